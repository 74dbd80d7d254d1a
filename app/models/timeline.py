"""The timeline answers "why is this order not shipped yet?"; a case is a problem that a person can see and close (C8, C10)."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.columns import Big, Json, Key, Time, Words


class Timeline(Model):
    """One line of a story, written in the same transaction as what it tells. `code` is a key of app.rules.reasons or a story word."""

    __tablename__ = "timeline"
    __table_args__ = (Index("ix_timeline_order", "order_id", "id"),)

    id: Mapped[Key]
    account_id: Mapped[Big] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    order_id: Mapped[Big | None] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    connection_id: Mapped[Big | None] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    at: Mapped[Time] = mapped_column(server_default=func.clock_timestamp())
    code: Mapped[Words]
    params: Mapped[Json] = mapped_column(default=dict)
    event_id: Mapped[Big | None]
    command_id: Mapped[Big | None]


class Case(Model):
    """A problem somebody must look at. At most one open case per code and subject; it closes itself when the problem is gone."""

    __tablename__ = "case_"
    __table_args__ = (
        CheckConstraint("state IN ('open','closed')", name="state"),
        Index(
            "uq_case_open",
            "account_id",
            "code",
            "subject",
            unique=True,
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_case_order", "order_id"),
    )

    id: Mapped[Key]
    account_id: Mapped[Big] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    order_id: Mapped[Big | None] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    connection_id: Mapped[Big | None] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    subject: Mapped[Words]
    code: Mapped[Words]
    params: Mapped[Json] = mapped_column(default=dict)
    state: Mapped[Words] = mapped_column(default="open")
    opened_at: Mapped[Time] = mapped_column(server_default=func.now())
    closed_at: Mapped[Time | None]
