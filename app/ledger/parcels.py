"""Whether a parcel counts: its number, its shipment and its units (K11; reliability 4.4 L0-L2).

What may go wrong: fraud. A real number of another parcel is the usual one, so a number counts once per supplier; only a second parcel-mate, an
order of the same recipient within 48 hours, may name it again. Addresses are compared as sealed digests and forgotten afterwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.messages import Reason
from app.models import Order, Shipment, TrackingUse, Trade, TradeLine, TradeParcel
from app.models.columns import table_of
from app.rules import tracking

SAME_PARCEL = timedelta(hours=48)
_WHO_AND_WHERE = (
    "first_name",
    "last_name",
    "company",
    "address_1",
    "address_2",
    "postcode",
    "city",
    "country",
)


def objection(
    session: Session,
    trade: Trade,
    shipment_id: int,
    number: str | None,
    units: Mapping[int, int],
    at: datetime,
) -> Reason | None:
    """Why this parcel proves nothing, None when it does; then its number is used from now on. The trade is locked."""
    told = (number or "").strip()
    if not told:
        return Reason("ledger.tracking_missing")
    shipment = session.get(Shipment, shipment_id)
    if shipment is None or trade.order_id is None or shipment.order_id != trade.order_id:
        return Reason("ledger.shipment_unknown", {"shipment": shipment_id})
    if (malformed := tracking.check(told, shipment.carrier)) is not None:
        return malformed
    return too_many(session, trade, units) or _used(session, trade, tracking.normalise(told), at)


def shipped(session: Session, trade: Trade, *, released: bool = False) -> dict[int, int]:
    """Units by line in parcels that count, or only in those that released money."""
    query = select(TradeParcel.units).where(TradeParcel.trade_id == trade.id)
    if released:
        query = query.where(TradeParcel.state == "released")
    found: dict[int, int] = {}
    for units in session.scalars(query):
        for line_id, count in units.items():
            found[int(line_id)] = found.get(int(line_id), 0) + count
    return found


def too_many(session: Session, trade: Trade, units: Mapping[int, int]) -> Reason | None:
    """More than was ordered and has not left in another parcel, or nothing of this trade at all: refused whole (invariant 5)."""
    rows = session.execute(select(TradeLine.id, TradeLine.quantity).where(TradeLine.trade_id == trade.id))
    left = {row.id: row.quantity for row in rows}
    for line_id, count in shipped(session, trade).items():
        left[line_id] = left.get(line_id, 0) - count
    fits = all(0 <= count <= left.get(line_id, 0) for line_id, count in units.items())
    if fits and any(units.values()):
        return None
    return Reason("ledger.units_exceeded", {"units": sum(units.values()), "left": sum(left.values())})


def _used(session: Session, trade: Trade, number: str, at: datetime) -> Reason | None:
    """Two parcels that name one number at the same moment meet at its row: the second waits for the first."""
    recipient = _recipient(session, trade)
    first = session.execute(
        insert(table_of(TrackingUse))
        .values(
            supplier_id=trade.supplier_id, number=number, trade_id=trade.id, recipient=recipient, used_at=at
        )
        .on_conflict_do_nothing(index_elements=["supplier_id", "number"])
        .returning(table_of(TrackingUse).c.id)
    ).first()
    if first is not None:
        return None
    use = session.scalars(
        select(TrackingUse)
        .where(TrackingUse.supplier_id == trade.supplier_id, TrackingUse.number == number)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()
    mate = use.trade_id != trade.id and recipient is not None and use.recipient == recipient
    if mate and abs(at - use.used_at) <= SAME_PARCEL:
        return None
    return Reason("ledger.tracking_used", {"number": number})


def _recipient(session: Session, trade: Trade) -> bytes | None:
    """A digest of whom the parcel goes to, None when the address is gone."""
    order = session.get(Order, trade.order_id or trade.retail_order_id)
    address = ((order.buyer if order is not None else None) or {}).get("shipping")
    if not address:
        return None
    words = [" ".join(str(address.get(name) or "").casefold().split()) for name in _WHO_AND_WHERE]
    return hashlib.sha256("\n".join(words).encode()).digest()


def forget_recipients(session: Session, now: datetime) -> None:
    """After 48 hours nobody compares them any more."""
    session.execute(
        update(TrackingUse)
        .where(TrackingUse.recipient.is_not(None), TrackingUse.used_at < now - SAME_PARCEL)
        .values(recipient=None)
    )
