"""A product as the shop shows it, and the reservations that keep it from being sold twice."""

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.columns import Big, Json, Key, Time, Words


class Product(Model):
    """A sellable product or variation of one shop (or a parent, kind `variable`). Prices in minor units, gross or as the shop says.

    `sequence` guards the fields, `stock_sequence` the stock: an older state never overwrites a newer one (I13).
    """

    __tablename__ = "product"
    __table_args__ = (
        UniqueConstraint("connection_id", "external_id"),
        UniqueConstraint("account_id", "id"),
        ForeignKeyConstraint(
            ["account_id", "connection_id"],
            ["connection.account_id", "connection.id"],
            ondelete="CASCADE",
            name="fk_product_connection",
        ),
        Index("ix_product_sku", "account_id", "sku"),
        Index("ix_product_gtin", "account_id", "gtin"),
        Index(
            "ix_product_parent",
            "connection_id",
            "parent_external_id",
            postgresql_where=text("parent_external_id IS NOT NULL"),
        ),
    )

    id: Mapped[Key]
    account_id: Mapped[Big]
    connection_id: Mapped[Big]
    external_id: Mapped[Words]
    parent_external_id: Mapped[Words | None]
    kind: Mapped[Words] = mapped_column(default="simple")
    published: Mapped[bool] = mapped_column(default=True)
    deleted: Mapped[bool] = mapped_column(default=False)
    title: Mapped[Words] = mapped_column(default="")
    sku: Mapped[Words | None]
    gtin: Mapped[Words | None]
    price: Mapped[Big | None]
    currency: Mapped[Words | None]
    dealer_price: Mapped[Big | None]
    vat_percent: Mapped[Words | None]
    brand: Mapped[Words | None]
    network_category: Mapped[Words | None]
    handling_days: Mapped[int | None]
    stock: Mapped[Big | None]
    in_stock: Mapped[bool] = mapped_column(default=True)
    extra: Mapped[Json] = mapped_column(default=dict)
    # Descriptions. Only who creates products at a marketplace reads them, so they never travel with the rest by accident.
    texts: Mapped[Json] = mapped_column(
        default=dict, server_default="{}", deferred=True, deferred_raiseload=True
    )
    sequence: Mapped[Big | None]
    stock_sequence: Mapped[Big | None]
    updated_at: Mapped[Time] = mapped_column(server_default=func.now(), onupdate=func.now())


class Reservation(Model):
    """One piece of one marketplace order holds one unit of a product, from first sight of the order.

    It counts while it is open and the shop's stock does not contain the order yet: `stock_sequence` is the shop's sequence from which on it
    does (None = not known yet). So an order is subtracted exactly once, whatever arrives first (I13).
    """

    __tablename__ = "reservation"
    __table_args__ = (
        CheckConstraint("state IN ('open','closed')", name="state"),
        Index("ix_reservation_open", "product_id", postgresql_where=text("state = 'open'")),
    )

    id: Mapped[Key]
    account_id: Mapped[Big] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    product_id: Mapped[Big] = mapped_column(ForeignKey("product.id", ondelete="CASCADE"))
    piece_id: Mapped[Big] = mapped_column(ForeignKey("order_piece.id", ondelete="CASCADE"), unique=True)
    state: Mapped[Words] = mapped_column(default="open")
    stock_sequence: Mapped[Big | None]
    created_at: Mapped[Time] = mapped_column(server_default=func.now())
