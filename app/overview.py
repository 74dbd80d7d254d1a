"""What an order comes to in a list: its pieces, its amount, one word for its state, and the parts that suppliers have in it (I12, K6).

An order that a retailer's shop sold itself has no pieces of its own; what became of it is read from its suppliers' parts, and its amount is what
these cost him. What may go wrong: such an order without any part. Then nobody knows an amount, and None is told instead of 0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session, selectinload

from app.messages import PieceState
from app.models import Account, Connection, Order, OrderLine, OrderPiece, Profile, Shipment, Trade
from app.rules import next_step, status
from app.rules import trade as rules


@dataclass(frozen=True, slots=True)
class Parcel:
    """A supplier's parcel as his retailer knows it; `number` None = shipped without one."""

    number: str | None
    carrier: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """One supplier's part of a retailer's order: `state` of the trade, ordered units, gross minor units with shipping."""

    trade_id: int
    supplier_id: int
    supplier: str
    state: str
    pieces: int
    total: int
    currency: str
    parcels: tuple[Parcel, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """`total` in gross minor units of `currency`; None where nobody knows it. `pieces` counts cancelled ones too."""

    state: str
    pieces: int
    total: int | None
    currency: str
    parts: tuple[Part, ...] = ()


@dataclass
class _Known:
    """What was read for a whole list, by order."""

    trades: dict[int, list[Trade]] = field(default_factory=dict)
    pieces: dict[int, list[PieceState]] = field(default_factory=dict)  # by child order
    parcels: dict[int, list[Parcel]] = field(default_factory=dict)  # by child order
    lines: dict[int, set[str | None]] = field(
        default_factory=dict
    )  # the shop's line ids, by retailer's order
    names: dict[int, str] = field(default_factory=dict)  # companies of suppliers


def of(session: Session, orders: Sequence[Order]) -> dict[int, Overview]:
    """The overview of each of these orders by its id, in a handful of questions for all of them; their pieces should be loaded."""
    known = _read(session, [order.id for order in orders])
    return {order.id: _overview(order, known) for order in orders}


def units(session: Session, order: Order) -> dict[str, list[str]]:
    """States of the units that suppliers have of a retailer's order, by the shop's line id. The retailer's own goods are not in it."""
    rows = session.execute(
        select(OrderLine.group_key, OrderPiece.state)
        .join(OrderPiece, OrderPiece.line_id == OrderLine.id)
        .join(Trade, Trade.order_id == OrderLine.order_id)
        .where(Trade.retail_order_id == order.id)
        .order_by(OrderPiece.id)
    )
    found: dict[str, list[str]] = {}
    for name, state in rows:
        found.setdefault(name, []).append(state)
    return found


def decided_in(shop: Connection) -> ColumnElement[bool]:
    """Orders about which somebody in this shop decides: its own, those that no shop has, and those whose shop was unplugged."""
    gone = select(Connection.id).where(
        Connection.account_id == shop.account_id, Connection.role == "shop", Connection.state == "removed"
    )
    here = or_(Order.shop_id == shop.id, Order.shop_id.is_(None), Order.shop_id.in_(gone))
    return and_(Order.account_id == shop.account_id, here)


def is_open() -> ColumnElement[bool]:
    """Whether something is left to ship: the condition over Order. What a shop sold itself is open while a supplier has something to ship."""
    theirs = (
        select(OrderPiece.id)
        .join(Trade, Trade.order_id == OrderPiece.order_id)
        .where(Trade.retail_order_id == Order.id, OrderPiece.state.in_(next_step.OPEN))
    )
    native = and_(Order.connection_id == Order.shop_id, theirs.exists())
    return or_(Order.pieces.any(OrderPiece.state.in_(next_step.OPEN)), native)


# --- reading ---------------------------------------------------------------------------------------------------------------------


def _read(session: Session, ids: Collection[int]) -> _Known:
    known = _Known()
    query = select(Trade).where(Trade.retail_order_id.in_(ids)).options(selectinload(Trade.lines))
    for trade in session.scalars(query.order_by(Trade.id)):
        known.trades.setdefault(trade.retail_order_id, []).append(trade)
    if not known.trades:
        return known
    found = [trade for trades in known.trades.values() for trade in trades]
    children = [trade.order_id for trade in found if trade.order_id is not None]
    pieces = select(OrderPiece.order_id, OrderPiece.state).where(OrderPiece.order_id.in_(children))
    for child, state in session.execute(pieces):
        known.pieces.setdefault(child, []).append(PieceState(state))
    parcels = select(Shipment).where(Shipment.order_id.in_(children)).order_by(Shipment.id)
    for each in session.scalars(parcels):
        told = Parcel(each.tracking_number or None, each.carrier_name or each.carrier, each.created_at)
        known.parcels.setdefault(each.order_id, []).append(told)
    lines = select(OrderLine.order_id, OrderLine.shop_line_id).where(OrderLine.order_id.in_(known.trades))
    for order_id, name in session.execute(lines):
        known.lines.setdefault(order_id, set()).add(name)
    known.names = _companies(session, {trade.supplier_id for trade in found})
    return known


def _companies(session: Session, account_ids: Collection[int]) -> dict[int, str]:
    company = func.nullif(Profile.address["company"].astext, "")
    query = select(Account.id, func.coalesce(company, Account.name)).outerjoin(
        Profile, Profile.account_id == Account.id
    )
    return {row[0]: row[1] for row in session.execute(query.where(Account.id.in_(account_ids)))}


# --- deciding --------------------------------------------------------------------------------------------------------------------


def _overview(order: Order, known: _Known) -> Overview:
    trades = known.trades.get(order.id, [])
    parts = tuple(_part(trade, known) for trade in trades)
    if order.connection_id == order.shop_id:
        states = [state for trade in trades for state in _states(trade, known)]
        total, currency = _cost(parts, order.currency)
        return Overview(_native_state(order, trades, states, known), len(states), total, currency, parts)
    states = [PieceState(piece.state) for piece in order.pieces]
    state = status.order_state(
        states,
        in_shop=order.shop_order_id is not None,
        waiting=order.wait_until is not None,
        stopped=order.stopped,
    )
    total = sum(piece.price + piece.shipping_price for piece in order.pieces)
    return Overview(state, len(states), total, order.currency, parts)


def _part(trade: Trade, known: _Known) -> Part:
    ordered = sum(line.quantity for line in trade.lines)
    parcels = tuple(known.parcels.get(trade.order_id or 0, ()))
    name = known.names.get(trade.supplier_id, "")
    return Part(trade.id, trade.supplier_id, name, trade.state, ordered, trade.total, trade.currency, parcels)


def _states(trade: Trade, known: _Known) -> list[PieceState]:
    """The pieces of the supplier's order; one that is not there yet has its units announced."""
    if trade.order_id is not None:
        return known.pieces.get(trade.order_id, [])
    state = PieceState.CANCELLED if trade.state in rules.OVER else PieceState.ANNOUNCED
    return [state] * sum(line.quantity for line in trade.lines)


def _cost(parts: Iterable[Part], currency: str) -> tuple[int | None, str]:
    """What all parts cost the retailer; amounts of different currencies are never added."""
    amounts = [(part.total, part.currency) for part in parts]
    if not amounts or len({name for _, name in amounts}) > 1:
        return None, currency
    return sum(total for total, _ in amounts), amounts[0][1]


def _native_state(order: Order, trades: Sequence[Trade], states: list[PieceState], known: _Known) -> str:
    if not states:
        return _by_the_shop(order.shop_status)
    found = status.order_state(states, in_shop=True, waiting=False, stopped=order.stopped)
    ours = {line.shop_line_id for trade in trades for line in trade.lines}
    own_goods = known.lines.get(order.id, set()) - ours
    # The retailer's own goods in the same order leave when he says so, in his shop.
    if own_goods and found in {"shipped", "delivered"} and order.shop_status != "completed":
        return "part_shipped"
    return found


def _by_the_shop(shop_status: str | None) -> str:
    """Nobody but the retailer has a part in it, so his shop's word is all there is."""
    if shop_status == "completed":
        return "shipped"
    return "cancelled" if shop_status in {"cancelled", "refunded", "failed", "deleted"} else "in_shop"
