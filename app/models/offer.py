"""An offer says what one marketplace should show for one product, what was last sent and what was confirmed (desired state)."""

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.columns import Big, Json, Key, Time, Words


class Offer(Model):
    """product x marketplace connection.

    Whoever changes something an offer depends on sets `stale`; the push clears it, reads the newest truth, and sends only when `desired`
    differs from what was sent. `revision` counts desired states; sent_revision and confirmed_revision follow it. `counted_revision` is the
    first one after the marketplace has counted its own stock for an order: until it is confirmed, nobody knows the stock that is shown.
    """

    __tablename__ = "offer"
    __table_args__ = (
        UniqueConstraint("product_id", "connection_id"),
        UniqueConstraint("connection_id", "number"),
        UniqueConstraint("account_id", "id"),
        ForeignKeyConstraint(
            ["account_id", "connection_id"],
            ["connection.account_id", "connection.id"],
            ondelete="CASCADE",
            name="fk_offer_connection",
        ),
        ForeignKeyConstraint(
            ["account_id", "product_id"],
            ["product.account_id", "product.id"],
            ondelete="CASCADE",
            name="fk_offer_product",
        ),
        CheckConstraint(
            "state IN ('waiting','on_sale','off','needs_product','needs_variation','refused','changed_elsewhere')",
            name="state",
        ),
        CheckConstraint(
            "sent_revision <= revision AND confirmed_revision <= sent_revision", name="revisions"
        ),
        Index(
            "ix_offer_work",
            "connection_id",
            "next_attempt_at",
            postgresql_where=text("stale OR sent_revision < revision"),
        ),
        Index(
            "ix_offer_task", "connection_id", "task_due_at", postgresql_where=text("task_due_at IS NOT NULL")
        ),
    )

    id: Mapped[Key]
    account_id: Mapped[Big]
    connection_id: Mapped[Big]
    product_id: Mapped[Big]
    on: Mapped[bool] = mapped_column("switched_on", default=True)  # I5
    overrides: Mapped[Json] = mapped_column(default=dict)  # I4: price, stock, handling_days, shipping_group
    external_ref: Mapped[Words | None]
    number: Mapped[int | None]  # ours, where the marketplace wants one (Capabilities.numbers_offers)
    task: Mapped[Words | None]  # what was sent last is being processed there under this id
    # Earlier tasks that were undecided when something newer was sent.
    overtaken: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")
    task_due_at: Mapped[Time | None]  # when to ask what became of these
    task_since: Mapped[Time | None]  # since when nobody has said what became of the oldest of these
    stale: Mapped[bool] = mapped_column(default=True)
    desired: Mapped[Json | None]
    revision: Mapped[Big] = mapped_column(default=0)
    sent: Mapped[Json | None]
    sent_revision: Mapped[Big] = mapped_column(default=0)
    sent_at: Mapped[Time | None]
    confirmed: Mapped[Json | None]
    confirmed_revision: Mapped[Big] = mapped_column(default=0)
    confirmed_at: Mapped[Time | None]
    counted_revision: Mapped[Big] = mapped_column(default=0, server_default="0")
    state: Mapped[Words] = mapped_column(default="waiting")
    reason_code: Mapped[Words | None] = mapped_column(default="offer.waiting")
    reason_params: Mapped[Json] = mapped_column(default=dict)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[Time] = mapped_column(server_default=func.now())
    lease_token: Mapped[Words | None]
    lease_until: Mapped[Time | None]
    updated_at: Mapped[Time] = mapped_column(server_default=func.now(), onupdate=func.now())
