"""An event is what a shop told us, stored before it was answered. The table is the queue of the way in."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.columns import Big, Json, Key, Sealed, Time, Words


class Event(Model):
    """One signed message of a shop. `delivery_id` is unique per connection for ever: a repeat does nothing.

    state: due -> leased -> done | superseded (an older state than we know) | refused (a person must act) | dead (retries used up).
    `body` is the raw message, sealed, emptied 14 days after it is done.
    """

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("connection_id", "delivery_id"),
        ForeignKeyConstraint(
            ["account_id", "connection_id"],
            ["connection.account_id", "connection.id"],
            ondelete="CASCADE",
            name="fk_event_connection",
        ),
        CheckConstraint("state IN ('due','leased','done','superseded','refused','dead')", name="state"),
        Index(
            "ix_event_open",
            "connection_id",
            "next_attempt_at",
            postgresql_where=text("state IN ('due','leased')"),
        ),
        Index("ix_event_sequence", "connection_id", "sequence"),
        Index("ix_event_stuck", "reason_code", postgresql_where=text("state IN ('refused','dead')")),
    )

    id: Mapped[Key]
    account_id: Mapped[Big]
    connection_id: Mapped[Big]
    delivery_id: Mapped[str] = mapped_column(Text)
    type: Mapped[Words]
    subject: Mapped[Words]
    sequence: Mapped[int] = mapped_column(BigInteger)
    happened_at: Mapped[Time]
    received_at: Mapped[Time] = mapped_column(server_default=func.now())
    body: Mapped[bytes | None] = mapped_column(Sealed)
    state: Mapped[Words] = mapped_column(server_default="due")
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[Time] = mapped_column(server_default=func.now())
    lease_token: Mapped[Words | None]
    lease_until: Mapped[Time | None]
    reason_code: Mapped[Words | None]
    reason_params: Mapped[Json | None]
    done_at: Mapped[Time | None]
