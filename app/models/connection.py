"""A connection is one plugged-in partner of an account: a shop, a supplier system or a marketplace; and what it must be asked regularly."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Model
from app.models.account import Account
from app.models.columns import Big, Json, Key, SealedJSON, Time, Words


class Connection(Model):
    """One partner of one account.

    `key` is the unguessable name in the webhook URL. `secrets` (sealed) holds credentials and, for shops, the signing secrets of both
    directions as lists, newest first: {"event": [{"secret", "until"}], "command": [...]}. `state` active lets things out; in every state
    but `removed` events are stored. `shop_id` says which shop gets this marketplace's orders.
    """

    __tablename__ = "connection"
    __table_args__ = (
        UniqueConstraint("account_id", "id"),
        UniqueConstraint("account_id", "name"),
        ForeignKeyConstraint(
            ["account_id", "shop_id"], ["connection.account_id", "connection.id"], name="fk_connection_shop"
        ),
        CheckConstraint("state IN ('pending','active','paused','needs_attention','removed')", name="state"),
        CheckConstraint("role IN ('shop','marketplace','network','payment')", name="role"),
    )

    id: Mapped[Key]
    account_id: Mapped[Big] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    key: Mapped[Words] = mapped_column(unique=True)
    provider: Mapped[Words]
    role: Mapped[Words]
    name: Mapped[Words]
    state: Mapped[Words] = mapped_column(default="pending")
    reason_code: Mapped[Words | None]
    reason_params: Mapped[Json] = mapped_column(default=dict)
    settings: Mapped[Json] = mapped_column(default=dict)
    secrets: Mapped[Any] = mapped_column(SealedJSON, default=dict)
    base_url: Mapped[Words | None]
    facts: Mapped[Json] = mapped_column(default=dict)
    shop_id: Mapped[Big | None]
    sync: Mapped[bool] = mapped_column(default=True)  # I6: off = send no offers, they stay as last sent
    holiday: Mapped[bool] = mapped_column(default=False)
    offer_numbers: Mapped[int] = mapped_column(default=0)  # the last one given to an offer; never goes back
    paused_until: Mapped[Time | None]
    last_sequence: Mapped[Big | None]
    last_event_at: Mapped[Time | None]
    last_ok_at: Mapped[Time | None]
    last_error_at: Mapped[Time | None]
    last_error_code: Mapped[Words | None]
    created_at: Mapped[Time] = mapped_column(server_default=func.now())

    account: Mapped[Account] = relationship()


class Schedule(Model):
    """When a marketplace is asked next, and how far the last successful look reached (`seen_until`). Times in seconds (Poll)."""

    __tablename__ = "schedule"
    __table_args__ = (
        UniqueConstraint("connection_id", "kind"),
        Index("ix_schedule_due", "due_at"),
    )

    id: Mapped[Key]
    connection_id: Mapped[Big] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    kind: Mapped[Words]
    every: Mapped[int]
    floor: Mapped[int]
    pause: Mapped[int]  # seconds until the next look: `floor` while something comes, growing to `every`
    due_at: Mapped[Time] = mapped_column(server_default=func.now())
    lease_token: Mapped[Words | None]
    lease_until: Mapped[Time | None]
    failures: Mapped[int] = mapped_column(default=0)
    seen_until: Mapped[Time | None]
    last_ok_at: Mapped[Time | None]


class Manifest(Model):
    """What a shop says it sent on one day, and what we had of it: completeness is shown, not hoped for (D7)."""

    __tablename__ = "manifest"
    __table_args__ = (UniqueConstraint("connection_id", "day"),)

    id: Mapped[Key]
    account_id: Mapped[Big] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    connection_id: Mapped[Big] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    day: Mapped[Words]
    first_sequence: Mapped[Big]
    last_sequence: Mapped[Big]
    count: Mapped[int]
    arrived: Mapped[int]
    waiting: Mapped[int] = mapped_column(default=0)
    dead: Mapped[int] = mapped_column(default=0)
    received_at: Mapped[Time] = mapped_column(server_default=func.now())


class Heartbeat(Model):
    """The last sign of life of a process; the doctor and /healthz read it."""

    __tablename__ = "heartbeat"

    name: Mapped[Words] = mapped_column(primary_key=True)
    at: Mapped[Time]
    facts: Mapped[Json] = mapped_column(default=dict)
