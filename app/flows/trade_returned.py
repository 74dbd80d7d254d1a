"""A customer sends something back that a supplier has shipped: the supplier reads it on his order. Money moves by refund objects alone (K8).

From a marketplace behind the retailer each returned piece is told once for each state; from the retailer's own shop each return label once. What
may go wrong: two suppliers have units of one line. Then the parcel's number says whose piece it was; where it does not, all of them are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import messages as m
from app import outbox, trades
from app.models import Order, OrderLine, OrderPiece, Return, Shipment, Trade
from app.rules import tracking
from app.story import tell

TOLD = {
    m.ReturnState.ANNOUNCED: "trade.return_announced",
    m.ReturnState.ARRIVED: "trade.return_arrived",
    m.ReturnState.ACCEPTED: "trade.return_accepted",
    m.ReturnState.REJECTED: "trade.return_rejected",
}


def tell_suppliers(session: Session, order_ids: Iterable[int]) -> None:
    """Returns of these orders, as they are now; what was told before is not told again. Locks the child orders, so nothing else may be locked."""
    for order_id in sorted(set(order_ids)):
        query = select(Trade).where(Trade.retail_order_id == order_id, Trade.order_id.is_not(None))
        known = session.scalars(query.order_by(Trade.id)).all()
        if not known:
            continue
        trades.lock_orders(session, [trade.order_id for trade in known if trade.order_id is not None])
        rows = select(Return).where(Return.order_id == order_id).order_by(Return.id)
        for row in session.scalars(rows):
            _tell(session, known, row)
        session.commit()


def from_shop(session: Session, order: Order, seen: Sequence[m.TrackingSeen]) -> None:
    """Return labels of the retailer's own order; it is locked with its children. One for the whole order is told to everybody who shipped."""
    if not trades.is_native(order) or not seen:
        return
    for trade in trades.of_retail(session, order):
        left = set(trades.by_line(session, trade, _left(session, trade)))
        for parcel in seen:
            number = tracking.normalise(parcel.number)
            named = left if parcel.lines is None else left & {name for name, _ in parcel.lines}
            if number and named:
                told = {"number": number, "carrier": parcel.carrier_name}
                _note(session, trade, f"note:return:{trade.id}:{number}", "trade.return_announced", **told)


def _tell(session: Session, known: Sequence[Trade], row: Return) -> None:
    code = TOLD.get(m.ReturnState(row.state))
    piece = session.get_one(OrderPiece, row.piece_id)
    line = session.get_one(OrderLine, piece.line_id)
    if code is None:
        return
    told = {"reason": row.reason, "number": row.tracking_number, "carrier": row.carrier}
    for trade in _shipped_by(session, known, line.shop_line_id, piece):
        title = next((each.title for each in trade.lines if each.shop_line_id == line.shop_line_id), None)
        _note(session, trade, f"note:return:{trade.id}:{row.id}:{row.state}", code, title=title, **told)


def _shipped_by(
    session: Session, known: Sequence[Trade], shop_line_id: str | None, piece: OrderPiece
) -> list[Trade]:
    """The parts from which this piece may have come."""
    shipment = session.get(Shipment, piece.shipment_id) if piece.shipment_id is not None else None
    found, exact = [], []
    for trade in known:
        left = trades.by_line(session, trade, _left(session, trade)).get(shop_line_id or "", [])
        found += [trade] if left else []
        query = select(Shipment.tracking_number).where(Shipment.id.in_([each.shipment_id for each in left]))
        if shipment is not None and shipment.tracking_number in set(session.scalars(query)):
            exact.append(trade)
    return exact or found


def _left(session: Session, trade: Trade) -> list[OrderPiece]:
    return [piece for piece in trades.pieces_of(session, trade) if piece.state in trades.GONE]


def _note(session: Session, trade: Trade, key: str, code: str, **told: Any) -> None:
    """Once by `key`: a line in the supplier's order, and a note where it is in his shop."""
    child = trades.child_of(session, trade)
    if child.shop_id is None:
        return
    payload = {"code": code, "params": told}
    if outbox.write_for_order(session, child, child.shop_id, "order.note", key, payload) is not None:
        tell(session, child, code, **told)
