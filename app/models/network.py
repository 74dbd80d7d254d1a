"""The dropshipping network: who may trade (K1), what is released and listed, and which supplier's part an order has (K6).

A retailer's order is an `orders` row (a marketplace's, or the shop's own with `connection_id` = the shop). Each supplier's part of it is a
`trade`; its `order_id` is the child order in the supplier's account, so that stock, parcels and pieces live where they always live.
"""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Model
from app.models.columns import Big, Json, Key, SealedJSON, Time, Words


class Profile(Model):
    """Who a merchant is in the network. `state` is the operator's word: draft -> submitted -> approved | refused (with a reason).

    Addresses are app.messages.Address as JSON. `bank` (sealed): {"iban", "bic", "holder"}. Amounts in minor units of `currency`.
    """

    __tablename__ = "profile"
    __table_args__ = (CheckConstraint("state IN ('draft','submitted','approved','refused')", name="state"),)

    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)
    supplier: Mapped[bool] = mapped_column(default=False)
    retailer: Mapped[bool] = mapped_column(default=False)
    address: Mapped[Json] = mapped_column(default=dict)  # company, street, mail and phone as on an invoice
    return_address: Mapped[Json | None]  # None = the same
    vat_id: Mapped[Words | None]
    bank: Mapped[Any | None] = mapped_column(SealedJSON)
    documents: Mapped[list[dict[str, Any]]] = mapped_column(
        JSONB, default=list
    )  # [{"kind", "name", "number", "at"}]
    currency: Mapped[Words] = mapped_column(default="EUR")
    accepts_partners: Mapped[bool] = mapped_column(default=False)  # supplier: every asking retailer at once
    accepts_orders: Mapped[bool] = mapped_column(default=True)  # supplier: every order at once, else by hand
    shipping_price: Mapped[Big] = mapped_column(default=0)  # supplier: gross per order
    shipping_free_from: Mapped[Big | None]  # supplier: goods of an order from which shipping costs nothing
    hold_minutes: Mapped[int] = mapped_column(
        default=0
    )  # retailer: regret window before an order is passed on
    payout_account: Mapped[Words | None]  # supplier: the payment provider's id of him
    payer_account: Mapped[Words | None]  # retailer: the payment provider's id of him
    payout_blocked: Mapped[bool] = mapped_column(default=False)
    state: Mapped[Words] = mapped_column(default="draft")
    reason: Mapped[Words | None]
    submitted_at: Mapped[Time | None]
    decided_at: Mapped[Time | None]
    updated_at: Mapped[Time] = mapped_column(server_default=func.now(), onupdate=func.now())


class PriceGroup(Model):
    """A supplier's conditions for some retailers: a discount on the dealer price in basis points (500 = 5 %)."""

    __tablename__ = "price_group"
    __table_args__ = (
        UniqueConstraint("supplier_id", "name"),
        CheckConstraint("discount_bp BETWEEN 0 AND 10000", name="discount"),
    )

    id: Mapped[Key]
    supplier_id: Mapped[Big] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    name: Mapped[Words]
    discount_bp: Mapped[int] = mapped_column(default=0)


class Partnership(Model):
    """One retailer and one supplier. `policy` says when the supplier's money is released (K11): {"kind": "tracking"} (default),
    {"kind": "carrier_scan"} or {"kind": "delivered", "days": n}.
    """

    __tablename__ = "partnership"
    __table_args__ = (
        UniqueConstraint("retailer_id", "supplier_id"),
        CheckConstraint("state IN ('asked','active','paused','refused','ended')", name="state"),
        CheckConstraint("retailer_id <> supplier_id", name="two"),
    )

    id: Mapped[Key]
    retailer_id: Mapped[Big] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    supplier_id: Mapped[Big] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    state: Mapped[Words] = mapped_column(default="asked")
    reason: Mapped[Words | None]
    price_group_id: Mapped[Big | None] = mapped_column(ForeignKey("price_group.id", ondelete="SET NULL"))
    policy: Mapped[Json] = mapped_column(default=lambda: {"kind": "tracking"})
    asked_at: Mapped[Time] = mapped_column(server_default=func.now())
    changed_at: Mapped[Time] = mapped_column(server_default=func.now(), onupdate=func.now())


class Release(Model):
    """Whether a supplier's product may be listed by retailers, and if not, why (K1, K2): `reasons` = [{"code", "params"}].

    `price` is the dealer price gross in minor units, before any price group. `told` False = the supplier's shop shows an older state.
    """

    __tablename__ = "release"
    __table_args__ = (
        CheckConstraint("state IN ('released','not_released')", name="state"),
        Index("ix_release_account", "account_id", "state"),
        Index("ix_release_untold", "account_id", postgresql_where=text("NOT told")),
    )

    product_id: Mapped[int] = mapped_column(ForeignKey("product.id", ondelete="CASCADE"), primary_key=True)
    account_id: Mapped[Big] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    state: Mapped[Words]
    reasons: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list)
    category: Mapped[Words | None]
    price: Mapped[Big | None]
    currency: Mapped[Words | None]
    vat_percent: Mapped[Words | None]
    told: Mapped[bool] = mapped_column(default=False)
    changed_at: Mapped[Time] = mapped_column(server_default=func.now(), onupdate=func.now())


class Listing(Model):
    """A supplier's product in a retailer's shop (K3-K5): desired state, like an offer. `stale` = compute anew and push.

    `key` is what the retailer's shop knows it by for ever. `sent` is what the shop confirmed last: {"price", "stock", "title", ...}.
    `adopted`: the retailer had this product before (same GTIN), so his title and pictures stay. `lease_*` as in Offer: a push that was
    begun and never ended is due again when its lease is over. `sent_at`: when it was last looked at and found or made right.
    """

    __tablename__ = "listing"
    __table_args__ = (
        UniqueConstraint("shop_id", "product_id"),
        UniqueConstraint("shop_id", "key"),
        UniqueConstraint("shop_id", "shop_product_id"),
        CheckConstraint("state IN ('waiting','listed','withdrawn','refused')", name="state"),
        Index("ix_listing_product", "product_id"),
        Index(
            "ix_listing_due",
            "shop_id",
            "next_attempt_at",
            postgresql_where=text("stale OR lease_until IS NOT NULL"),
        ),
    )

    id: Mapped[Key]
    account_id: Mapped[Big] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    partnership_id: Mapped[Big] = mapped_column(ForeignKey("partnership.id", ondelete="CASCADE"), index=True)
    product_id: Mapped[Big] = mapped_column(ForeignKey("product.id", ondelete="CASCADE"))
    shop_id: Mapped[Big] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    key: Mapped[Words]
    shop_product_id: Mapped[Words | None]
    price_rule: Mapped[Json] = mapped_column(default=dict)
    adopted: Mapped[bool] = mapped_column(default=False)
    switched_on: Mapped[bool] = mapped_column(default=True)
    state: Mapped[Words] = mapped_column(default="waiting")
    reason_code: Mapped[Words | None]
    reason_params: Mapped[Json] = mapped_column(default=dict)
    stale: Mapped[bool] = mapped_column(default=True)
    lease_token: Mapped[Words | None]
    lease_until: Mapped[Time | None]
    sent: Mapped[Json | None]
    revision: Mapped[Big] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[Time] = mapped_column(server_default=func.now())
    sent_at: Mapped[Time | None]
    created_at: Mapped[Time] = mapped_column(server_default=func.now())


class Trade(Model):
    """One supplier's part of one retailer's order. Money is gross minor units; `total` = `goods` + `shipping` is what is captured (K9).

    The money's state is never here: it is read from the ledger. `policy` and `fee_bp` are copied when the trade is made, so a later change of
    conditions does not touch it. `pass_on_at` is the end of the retailer's regret window. `expired_at`: nobody paid for the order in time, so the
    goods are free again. `answer_by`: until when its supplier is to accept it by hand, before he is warned and again before it is rejected.
    """

    __tablename__ = "trade"
    __table_args__ = (
        UniqueConstraint("retail_order_id", "supplier_id", "part"),
        UniqueConstraint("key"),
        UniqueConstraint("order_id"),
        CheckConstraint(
            "state IN ('received','payment_pending','held','accepted','part_shipped','shipped','closed',"
            "'payment_failed','rejected','cancelled')",
            name="state",
        ),
        CheckConstraint("total = goods + shipping AND goods >= 0 AND shipping >= 0", name="total"),
        Index("ix_trade_due", "pass_on_at", postgresql_where=text("pass_on_at IS NOT NULL")),
        Index("ix_trade_unpaid", "created_at", postgresql_where=text("state = 'received'")),
        Index("ix_trade_answer", "answer_by", postgresql_where=text("answer_by IS NOT NULL")),
        Index("ix_trade_supplier", "supplier_id", "id"),
        Index("ix_trade_retailer", "retailer_id", "id"),
    )

    id: Mapped[Key]
    key: Mapped[
        Words
    ]  # dropshipping:<digest of the retailer's shop>:<its order>[:part]; the child order's key too
    partnership_id: Mapped[Big] = mapped_column(ForeignKey("partnership.id"))
    retailer_id: Mapped[Big] = mapped_column(ForeignKey("account.id"))
    supplier_id: Mapped[Big] = mapped_column(ForeignKey("account.id"))
    retail_order_id: Mapped[Big] = mapped_column(ForeignKey("orders.id"))
    order_id: Mapped[Big | None] = mapped_column(ForeignKey("orders.id"))
    part: Mapped[int] = mapped_column(default=1)
    state: Mapped[Words] = mapped_column(default="received")
    currency: Mapped[Words]
    goods: Mapped[Big]
    shipping: Mapped[Big]
    total: Mapped[Big]
    fee_bp: Mapped[int] = mapped_column(default=0)  # of the released amount, net
    fee_vat_bp: Mapped[int] = mapped_column(default=1900)
    policy: Mapped[Json] = mapped_column(default=lambda: {"kind": "tracking"})
    frozen: Mapped[bool] = mapped_column(default=False)  # a dispute is open: nothing is released or paid out
    pass_on_at: Mapped[Time | None]
    passed_on_at: Mapped[Time | None]
    cancelled_at: Mapped[Time | None]
    expired_at: Mapped[Time | None]
    answer_by: Mapped[Time | None]
    answer_warned_at: Mapped[Time | None]
    created_at: Mapped[Time] = mapped_column(server_default=func.now())
    updated_at: Mapped[Time] = mapped_column(server_default=func.now(), onupdate=func.now())

    lines: Mapped[list["TradeLine"]] = relationship(back_populates="trade", order_by="TradeLine.id")


class TradeLine(Model):
    """One line of a trade: `quantity` units of a supplier's product at a gross dealer price. `shop_line_id` is the retailer's line."""

    __tablename__ = "trade_line"
    __table_args__ = (
        UniqueConstraint("trade_id", "shop_line_id"),
        CheckConstraint("quantity > 0 AND unit_price >= 0", name="amounts"),
    )

    id: Mapped[Key]
    trade_id: Mapped[Big] = mapped_column(ForeignKey("trade.id", ondelete="CASCADE"))
    listing_id: Mapped[Big | None] = mapped_column(ForeignKey("listing.id", ondelete="SET NULL"))
    product_id: Mapped[Big | None] = mapped_column(ForeignKey("product.id", ondelete="SET NULL"))
    shop_line_id: Mapped[Words]
    sku: Mapped[Words | None]
    gtin: Mapped[Words | None]
    title: Mapped[Words]
    quantity: Mapped[int]
    unit_price: Mapped[Big]
    vat_percent: Mapped[Words | None]

    trade: Mapped[Trade] = relationship(back_populates="lines")
