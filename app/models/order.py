"""An order of a marketplace and its lines; a piece is one physical thing with an id of its own at the marketplace.

Kaufland and OTTO have one id per piece and no quantity, so ship, cancel and return work on sets of pieces everywhere.
"""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Model
from app.models.columns import Big, Json, Key, SealedJSON, Time, Words


class Order(Model):
    """One marketplace order = at most one shop order. Pieces that join later become an order of their own with `parent_id`.

    `shop_*` is what the shop last said; `shop_sequence` guards it. `wait_until` is when shipping without tracking is decided (C3).
    `buyer` (billing and shipping address) is sealed and purged 30 days after delivery.
    """

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("connection_id", "external_id"),
        UniqueConstraint("account_id", "id"),
        UniqueConstraint("account_id", "key"),
        UniqueConstraint("shop_id", "shop_order_id"),
        ForeignKeyConstraint(
            ["account_id", "connection_id"],
            ["connection.account_id", "connection.id"],
            ondelete="CASCADE",
            name="fk_orders_connection",
        ),
        ForeignKeyConstraint(
            ["account_id", "shop_id"], ["connection.account_id", "connection.id"], name="fk_orders_shop"
        ),
        Index("ix_orders_waiting", "wait_until", postgresql_where=text("wait_until IS NOT NULL")),
        Index("ix_orders_placed", "account_id", "placed_at"),
        Index("ix_orders_parent", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
        Index("ix_orders_new", "connection_id", "id", postgresql_where=text("shop_order_id IS NULL")),
        Index("ix_orders_story", "shop_id", "story_due", postgresql_where=text("story_due IS NOT NULL")),
        Index("ix_orders_fetch", "fetch_by", postgresql_where=text("fetch_by IS NOT NULL")),
    )

    id: Mapped[Key]
    account_id: Mapped[Big]
    connection_id: Mapped[Big]
    external_id: Mapped[Words]
    key: Mapped[
        Words
    ]  # what shops know it by; the same after a restored backup or a new bridge (docs/decisions/0008)
    parent_id: Mapped[Big | None] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    country: Mapped[Words | None]
    currency: Mapped[Words]
    placed_at: Mapped[Time]
    ship_by: Mapped[Time | None]
    buyer: Mapped[Any | None] = mapped_column(SealedJSON)
    purged_at: Mapped[Time | None]
    shop_id: Mapped[Big | None]
    shop_order_id: Mapped[Words | None]
    shop_number: Mapped[Words | None]
    shop_status: Mapped[Words | None]
    shop_sequence: Mapped[Big | None]
    shop_tracking: Mapped[Json | None]
    completed_at: Mapped[Time | None]
    wait_until: Mapped[Time | None]
    stopped: Mapped[bool] = mapped_column(default=False)
    alarmed_at: Mapped[Time | None]  # when the marketplace's own deadline came near
    story_due: Mapped[Time | None]  # the shop's order box is older than the timeline since then
    fetch_by: Mapped[Time | None]  # a system without an address has not fetched it yet; then it is a case
    created_at: Mapped[Time] = mapped_column(server_default=func.now())
    updated_at: Mapped[Time] = mapped_column(server_default=func.now(), onupdate=func.now())

    lines: Mapped[list["OrderLine"]] = relationship(back_populates="order", order_by="OrderLine.id")
    pieces: Mapped[list["OrderPiece"]] = relationship(back_populates="order", order_by="OrderPiece.id")


class OrderLine(Model):
    """Pieces of the same offer at the same price: one line of the shop order. `product_id` None = we do not know the product."""

    __tablename__ = "order_line"
    __table_args__ = (UniqueConstraint("order_id", "group_key"),)

    id: Mapped[Key]
    order_id: Mapped[Big] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    group_key: Mapped[Words]
    product_id: Mapped[Big | None] = mapped_column(ForeignKey("product.id", ondelete="SET NULL"))
    sku: Mapped[Words | None]
    gtin: Mapped[Words | None]
    title: Mapped[Words]
    unit_price: Mapped[Big]
    vat_percent: Mapped[Words | None]
    shop_line_id: Mapped[Words | None]

    order: Mapped[Order] = relationship(back_populates="lines")
    pieces: Mapped[list["OrderPiece"]] = relationship(back_populates="line", order_by="OrderPiece.id")


class OrderPiece(Model):
    """One physical piece. `state` is ours and only moves forward (rules.status); `raw_state` is the marketplace's own word."""

    __tablename__ = "order_piece"
    __table_args__ = (
        UniqueConstraint("connection_id", "external_id"),
        CheckConstraint(
            "state IN ('announced','to_ship','shipped','delivered','cancelled','returned','unclear')",
            name="state",
        ),
        CheckConstraint("refunded >= 0", name="refunded"),
        Index("ix_order_piece_order", "order_id"),
    )

    id: Mapped[Key]
    connection_id: Mapped[Big] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    order_id: Mapped[Big] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    line_id: Mapped[Big] = mapped_column(ForeignKey("order_line.id", ondelete="CASCADE"), index=True)
    external_id: Mapped[Words]
    price: Mapped[Big]
    shipping_price: Mapped[Big]
    state: Mapped[Words]
    raw_state: Mapped[Words]
    ship_by: Mapped[Time | None]
    marketplace_reason: Mapped[Words | None]
    shipment_id: Mapped[Big | None] = mapped_column(ForeignKey("shipment.id", ondelete="SET NULL"))
    refunded: Mapped[Big] = mapped_column(default=0)
    in_shop: Mapped[bool] = mapped_column(
        default=False
    )  # part of the order that was (or is being) created in the shop
    cancel_asked_by: Mapped[Words | None]  # shop | marketplace: who wanted the cancellation; None = nobody

    order: Mapped[Order] = relationship(back_populates="pieces")
    line: Mapped[OrderLine] = relationship(back_populates="pieces")
