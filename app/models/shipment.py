"""What left the house and what comes back: shipments, returns and refunds, each on sets of pieces."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.columns import Big, Json, Key, Time, Words


class Shipment(Model):
    """One parcel. `tracking_number` '' = shipped without one (C3); `carrier_source`: shop | recognised | none."""

    __tablename__ = "shipment"
    __table_args__ = (UniqueConstraint("order_id", "tracking_number"),)

    id: Mapped[Key]
    order_id: Mapped[Big] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    tracking_number: Mapped[Words]
    carrier: Mapped[Words | None]
    carrier_name: Mapped[Words | None]
    carrier_source: Mapped[Words]
    further: Mapped[bool] = mapped_column(default=False)
    held: Mapped[bool] = mapped_column(default=False)  # the marketplace is not told yet: something is missing
    # Of the label for a return, where the marketplace wants it with the parcel.
    return_number: Mapped[Words | None]
    return_carrier: Mapped[Words | None]
    piece_ids: Mapped[list[int]] = mapped_column(JSONB, default=list)
    created_at: Mapped[Time] = mapped_column(server_default=func.now())
    confirmed_at: Mapped[Time | None]


class Return(Model):
    """One piece that a buyer sends back, as the marketplace tells it."""

    __tablename__ = "return_piece"
    __table_args__ = (
        UniqueConstraint("connection_id", "external_id"),
        CheckConstraint(
            "state IN ('announced','arrived','accepted','rejected','closed','unclear')", name="state"
        ),
        Index("ix_return_piece_order", "order_id"),
    )

    id: Mapped[Key]
    connection_id: Mapped[Big] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    order_id: Mapped[Big] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    piece_id: Mapped[Big] = mapped_column(ForeignKey("order_piece.id", ondelete="CASCADE"))
    external_id: Mapped[Words]
    return_external_id: Mapped[Words]
    state: Mapped[Words]
    raw_state: Mapped[Words]
    reason: Mapped[Words | None]
    note: Mapped[Words | None]
    tracking_number: Mapped[Words | None]
    carrier: Mapped[Words | None]
    created_at: Mapped[Time] = mapped_column(server_default=func.now())
    updated_at: Mapped[Time] = mapped_column(server_default=func.now(), onupdate=func.now())


class Refund(Model):
    """One refund, wherever it began; `external_id` is the refund object's id there, so that it counts once (K8).

    `allocation`: {"cancelled": [piece], "returned": [piece], "amounts": {piece: minor}}; `unassigned` minor units found no piece.
    """

    __tablename__ = "refund"
    __table_args__ = (
        UniqueConstraint("order_id", "origin", "external_id"),
        CheckConstraint("origin IN ('shop','marketplace')", name="origin"),
        CheckConstraint("amount > 0", name="amount"),
    )

    id: Mapped[Key]
    order_id: Mapped[Big] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    origin: Mapped[Words]
    external_id: Mapped[Words]
    amount: Mapped[Big]
    currency: Mapped[Words]
    reason: Mapped[Words] = mapped_column(default="")
    allocation: Mapped[Json] = mapped_column(default=dict)
    unassigned: Mapped[Big] = mapped_column(default=0)
    created_at: Mapped[Time] = mapped_column(server_default=func.now())
