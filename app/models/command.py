"""A command is one deed that must happen exactly once at a partner; an attempt is one call that was made for it."""

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.columns import Big, Json, Key, Time, Words


class Command(Model):
    """One deed. `key` is unique per connection: writing it twice writes it once.

    state: due -> leased -> done | refused (a person must act) | dead (retries used up). `in_doubt` is true from the claim until an answer is
    known: whoever claims a row that is already in doubt reads back before repeating. Commands of one subject are delivered in order.
    """

    __tablename__ = "command"
    __table_args__ = (
        UniqueConstraint("connection_id", "key"),
        ForeignKeyConstraint(
            ["account_id", "connection_id"],
            ["connection.account_id", "connection.id"],
            ondelete="CASCADE",
            name="fk_command_connection",
        ),
        CheckConstraint("state IN ('due','leased','done','refused','dead')", name="state"),
        Index(
            "ix_command_open",
            "connection_id",
            "subject",
            "id",
            postgresql_where=text("state IN ('due','leased')"),
        ),
        Index("ix_command_stuck", "reason_code", postgresql_where=text("state IN ('refused','dead')")),
        Index("ix_command_order", "order_id"),
    )

    id: Mapped[Key]
    account_id: Mapped[Big]
    connection_id: Mapped[Big]
    kind: Mapped[Words]
    subject: Mapped[Words]
    key: Mapped[Words]
    payload: Mapped[Json] = mapped_column(default=dict)
    order_id: Mapped[Big | None] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    state: Mapped[Words] = mapped_column(server_default="due")
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[Time] = mapped_column(server_default=func.now())
    lease_token: Mapped[Words | None]
    lease_until: Mapped[Time | None]
    in_doubt: Mapped[bool] = mapped_column(server_default=text("false"))
    result: Mapped[Json | None]
    reason_code: Mapped[Words | None]
    reason_params: Mapped[Json | None]
    created_at: Mapped[Time] = mapped_column(server_default=func.now())
    done_at: Mapped[Time | None]


class Attempt(Model):
    """One call to a partner, with secrets and personal data removed. Kept for the question "what did they really say?"."""

    __tablename__ = "attempt"
    __table_args__ = (
        Index("ix_attempt_connection", "connection_id", "id"),
        Index("ix_attempt_command", "command_id", postgresql_where=text("command_id IS NOT NULL")),
        Index("ix_attempt_started", "started_at"),
    )

    id: Mapped[Key]
    account_id: Mapped[Big] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    connection_id: Mapped[Big] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    command_id: Mapped[Big | None] = mapped_column(ForeignKey("command.id", ondelete="CASCADE"))
    operation: Mapped[Words]
    method: Mapped[Words]
    url: Mapped[Words]
    started_at: Mapped[Time]
    duration_ms: Mapped[int]
    outcome: Mapped[Words]
    status: Mapped[int | None]
    excerpt: Mapped[Words] = mapped_column(default="")
    error: Mapped[Words | None]
