"""What a supplier system without an address does with its orders: it fetches them and reports deeds, which become events of its own inbox (D6).

A deed is checked against what is true, then written as an event in the standard format, so that the flows that follow a shop's events do the rest,
exactly once (docs/decisions/0011). What may go wrong: two deeds at the same moment (the order is locked), a deed before the last one was worked
off (the newest waiting event is taken for true), and an order that nobody fetches: after its time it becomes a case.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app import inbox, ledger
from app import messages as m
from app.errors import Refused
from app.models import Connection, Event, Order, OrderLine, OrderPiece, Refund, Shipment, Trade
from app.rules import tracking
from app.rules import trade as rules
from app.shops.reading import amount_text
from app.story import close_case, order_case, tell

NOT_FETCHED = "order.not_fetched"
AGAIN = timedelta(hours=24)
REPORTS = 2**16
"""So many events one order may have; its sequences are a range of their own, so that they are found by the index."""

HERE = (m.PieceState.TO_SHIP, m.PieceState.UNCLEAR)
_AT_WORK = {m.ShopStatus.PROCESSING, m.ShopStatus.ON_HOLD, m.ShopStatus.COMPLETED}


@dataclass(frozen=True)
class Reported:
    """What became of a deed: the id of its event; `already`: it was reported before and nothing was written."""

    event_id: int | None = None
    already: bool = False


@dataclass(frozen=True)
class Parcel:
    """A parcel as its sender tells it. `lines`: (line id, quantity), None = everything that is left."""

    number: str | None
    carrier: str | None
    lines: Sequence[tuple[str, int]] | None


@dataclass(frozen=True)
class GivenBack:
    """A refund object: `amount` in minor units, `lines` (line id, quantity, amount). `id` is the supplier's own and counts once (K8)."""

    id: str
    amount: int
    reason: str
    lines: Sequence[tuple[str, int, int]]
    restocked: bool


# --- fetching -----------------------------------------------------------------------------------------------------------------


def fetched(session: Session, order_ids: Iterable[int]) -> None:
    """These orders were handed out: nobody has to be warned any more."""
    wanted = list(order_ids)
    if not wanted:
        return
    statement = (
        update(Order)
        .where(Order.id.in_(wanted), Order.fetch_by.is_not(None))
        .values(fetch_by=None)
        .returning(Order.id)
        .execution_options(synchronize_session="fetch")
    )
    for order_id in sorted(session.scalars(statement).all()):
        order = session.get_one(Order, order_id)
        close_case(session, account_id=order.account_id, subject=f"order/{order.id}", code=NOT_FETCHED)
        tell(session, order, "order.fetched")


def warn(session: Session, now: datetime) -> int:
    """Orders that nobody has fetched in time become cases; said again after a day. Answers how many were looked at. Commits."""
    query = select(Order).where(Order.fetch_by <= now).order_by(Order.fetch_by).limit(200)
    found = session.scalars(query.with_for_update(skip_locked=True)).all()
    for order in found:
        if not _open_pieces(session, order):
            order.fetch_by = None
            close_case(session, account_id=order.account_id, subject=f"order/{order.id}", code=NOT_FETCHED)
            continue
        shop = session.get_one(Connection, order.shop_id)
        order_case(session, order, NOT_FETCHED, hours=shop.settings.get("fetch_hours") or 24)
        order.fetch_by = now + AGAIN
    session.commit()
    return len(found)


# --- deeds ----------------------------------------------------------------------------------------------------------------------


def take(session: Session, order_id: int, stock_sequence: int | None) -> Reported:
    """The supplier's system has the order. `stock_sequence`: drawn by it after its stock was reduced for this order (I13)."""
    order = _locked(session, order_id)
    data = _now(session, order)
    if stock_sequence is None and (order.shop_sequence is not None or _newest(session, order) is not None):
        return Reported(already=True)
    tell(session, order, "order.taken")
    return _report(session, order, "order.placed", {**data, "stock_sequence": stock_sequence})


def ship(session: Session, order_id: int, parcel: Parcel) -> Reported:
    """A parcel has left; without a number the whole order, and no money moves until one comes (C3, K11). Raises Refused naming the field."""
    order = _locked(session, order_id)
    data = _now(session, order)
    if order.stopped:
        raise Refused("supplier.stopped")
    left = _left(session, order, data)
    if parcel.number is None:
        return _ship_without_number(session, order, data, parcel, left)
    number = tracking.normalise(parcel.number)
    problem = tracking.check(number, tracking.carrier_key(parcel.carrier))
    if problem is not None:
        raise Refused(problem.code, **problem.params, field="tracking_number")
    known = next((each for each in data["tracking"] if tracking.normalise(each["number"]) == number), None)
    if known is not None:
        return _known_parcel(session, order, data, known, parcel, left)
    lines = _contents(session, order, parcel, left)
    for line, quantity in lines or ():
        left[line] -= quantity
    data["tracking"].append(
        {
            "number": parcel.number,
            "carrier": parcel.carrier,
            "url": None,
            "shipped_at": _time(datetime.now(UTC)),
            "lines": None if lines is None else [{"id": name, "quantity": count} for name, count in lines],
        }
    )
    data["status"] = "processing" if any(left.values()) else "completed"
    return _report(session, order, "shipment.changed", data)


def cancel(session: Session, order_id: int) -> Reported:
    """Everything of the order is off (K9). Cancelled before: nothing happens."""
    order = _locked(session, order_id, over=True)
    data = _now(session, order, over=True)
    trade = _trade(session, order)
    if data["status"] == "cancelled" or (trade is not None and trade.state in rules.OVER):
        return Reported(already=True)
    return _report(session, order, "order.changed", {**data, "status": "cancelled"})


def refund(session: Session, order_id: int, wanted: GivenBack) -> Reported:
    """Exactly this amount goes back, once by its id (K8). Raises Refused naming the field."""
    order = _locked(session, order_id)
    data = _now(session, order)
    amount = amount_text(wanted.amount, order.currency)
    known = next((each for each in data["refunds"] if each["id"] == wanted.id), None)
    if known is not None:
        if known["amount"] != amount:
            raise Refused("supplier.refund_id_used", field="id")
        return Reported(already=True)
    _check_refund(session, order, data, wanted)
    data["refunds"].append(
        {
            "id": wanted.id,
            "amount": amount,
            "currency": order.currency,
            "reason": wanted.reason,
            "created_at": _time(datetime.now(UTC)),
            "restocked": wanted.restocked,
            "lines": [
                {"id": name, "quantity": count, "amount": amount_text(part, order.currency)}
                for name, count, part in wanted.lines
            ],
        }
    )
    return _report(session, order, "order.refunded", data)


# --- what may be done ------------------------------------------------------------------------------------------------------------


def _locked(session: Session, order_id: int, *, over: bool = False) -> Order:
    """The order, locked, when this system is the one that handles it. `over`: also when there is nothing left to do."""
    query = select(Order).where(Order.id == order_id).with_for_update()
    order = session.scalars(query.execution_options(populate_existing=True)).one()
    shop = session.get(Connection, order.shop_id) if order.shop_id is not None else None
    if shop is not None and shop.base_url is not None:
        raise Refused("supplier.in_a_shop")
    trade = _trade(session, order)
    if trade is not None and trade.state in rules.OVER and not over:
        raise Refused("supplier.order_over", state=trade.state)
    if order.shop_order_id is None and not (over and trade is not None and trade.state in rules.OVER):
        raise Refused("supplier.not_yours_yet", state=trade.state if trade is not None else None)
    fetched(session, [order.id])
    return order


def _trade(session: Session, order: Order) -> Trade | None:
    query = select(Trade).where(Trade.order_id == order.id)
    return session.scalar(query.execution_options(populate_existing=True))


def _ship_without_number(
    session: Session, order: Order, data: dict[str, Any], parcel: Parcel, left: Mapping[str, int]
) -> Reported:
    if parcel.lines is not None:
        raise Refused("supplier.lines_need_number", field="tracking_number")
    if data["status"] == "completed":
        return Reported(already=True)
    if not any(left.values()):
        raise Refused("supplier.nothing_to_ship")
    return _report(session, order, "order.changed", {**data, "status": "completed"})


def _known_parcel(
    session: Session,
    order: Order,
    data: dict[str, Any],
    known: dict[str, Any],
    parcel: Parcel,
    left: dict[str, int],
) -> Reported:
    """The same parcel again, the same with more in it (all its lines are named), or another one under its number, which is refused."""
    if parcel.lines is None:
        return Reported(already=True)
    told = {each["id"]: each["quantity"] for each in known["lines"] or ()}
    wanted = dict(parcel.lines)
    if known["lines"] is None or any(wanted.get(line, 0) < count for line, count in told.items()):
        raise Refused("supplier.number_used", field="tracking_number")
    if wanted == told:
        return Reported(already=True)
    _check_lines([line for line, _ in parcel.lines], left)
    for place, (line, quantity) in enumerate(parcel.lines):
        more = quantity - told.get(line, 0)
        if more > left[line]:
            field = f"lines.{place}.quantity"
            raise Refused("supplier.quantity_too_high", field=field, left=left[line])
        left[line] -= more
    known["lines"] = [{"id": line, "quantity": quantity} for line, quantity in parcel.lines]
    data["status"] = "processing" if any(left.values()) else "completed"
    return _report(session, order, "shipment.changed", data)


def _contents(
    session: Session, order: Order, parcel: Parcel, left: Mapping[str, int]
) -> list[tuple[str, int]] | None:
    """(line id, quantity) of the parcel. None: all has left before, and this number is one more for it, or the one that was missing."""
    if parcel.lines is None:
        rest = [(line, count) for line, count in left.items() if count]
        if not rest and not _gone(session, order):
            raise Refused("supplier.nothing_to_ship")
        return rest or None
    _check_lines([line for line, _ in parcel.lines], left)
    for place, (line, quantity) in enumerate(parcel.lines):
        if quantity > left[line]:
            field = f"lines.{place}.quantity"
            raise Refused("supplier.quantity_too_high", field=field, left=left[line])
    return list(parcel.lines)


def _check_lines(names: Sequence[str], known: Mapping[str, int]) -> None:
    for place, name in enumerate(names):
        if name not in known:
            raise Refused("supplier.line_unknown", field=f"lines.{place}.id")
        if name in names[:place]:
            raise Refused("supplier.line_twice", field=f"lines.{place}.id")


def _check_refund(session: Session, order: Order, data: Mapping[str, Any], wanted: GivenBack) -> None:
    ordered = {line["id"]: line["quantity"] for line in data["lines"]}
    _check_lines([line for line, _, _ in wanted.lines], ordered)
    for place, (line, quantity, _) in enumerate(wanted.lines):
        if quantity > ordered[line]:
            field = f"lines.{place}.quantity"
            raise Refused("supplier.quantity_too_high", field=field, left=ordered[line])
    if sum(part for _, _, part in wanted.lines) > wanted.amount:
        raise Refused("supplier.lines_exceed_amount", field="lines")
    left = _refundable(session, order, data)
    if wanted.amount > left:
        raise Refused("supplier.amount_too_high", field="amount", left=left)


def _refundable(session: Session, order: Order, data: Mapping[str, Any]) -> int:
    """Minor units that may still go back, refunds that wait to be worked off taken away."""
    rows = session.execute(
        select(Refund.external_id, Refund.amount).where(Refund.order_id == order.id, Refund.origin == "shop")
    ).all()
    known = {row[0]: int(row[1]) for row in rows}
    # Written by `refund` itself, so exact.
    waiting = sum(
        _minor(each["amount"], order.currency) for each in data["refunds"] if each["id"] not in known
    )
    trade = _trade(session, order)
    if trade is not None:
        return max(0, ledger.money(session, trade).refundable - waiting)
    return max(0, _total(session, order) - sum(known.values()) - waiting)


def _minor(amount: str, currency: str) -> int:
    """What amount_text has written, back in minor units."""
    digits = amount.replace(".", "")
    if amount_text(int(digits), currency) != amount:
        raise ValueError(f"{amount!r} is no amount in {currency}")
    return int(digits)


# --- what is true ------------------------------------------------------------------------------------------------------------------


def _now(session: Session, order: Order, *, over: bool = False) -> dict[str, Any]:
    """The whole order as an event tells it: by the newest event that waits to be worked off, else by the rows. Raises Refused when it is over."""
    newest = _newest(session, order)
    waits = newest is not None and newest.body is not None and newest.state not in {"done", "superseded"}
    data = json.loads(newest.body)["data"] if newest is not None and newest.body and waits else None
    found: dict[str, Any] = {**(data or _by_rows(session, order)), "transitions": [], "stock_sequence": None}
    if found["status"] == "cancelled" and not over:
        raise Refused("supplier.order_over")
    return found


def _by_rows(session: Session, order: Order) -> dict[str, Any]:
    status = m.ShopStatus(order.shop_status) if order.shop_status else m.ShopStatus.PROCESSING
    lines, pieces = _lines(session, order), _pieces(session, order)
    return {
        "id": order.shop_order_id or order.key,
        "number": order.shop_number,
        "key": order.key,
        "status": str(status if status in {*_AT_WORK, m.ShopStatus.CANCELLED} else m.ShopStatus.PROCESSING),
        "currency": order.currency,
        "total": amount_text(_total(session, order), order.currency),
        "lines": [_line(line, pieces, order.currency) for line in lines],
        "tracking": _parcels(session, order, {line.id: _name(line) for line in lines}, pieces),
        "return_tracking": [],
        "refunds": _refunds(session, order),
    }


def _line(line: OrderLine, pieces: Sequence[OrderPiece], currency: str) -> dict[str, Any]:
    count = sum(1 for piece in pieces if piece.line_id == line.id)
    return {
        "id": _name(line),
        "key": f"ln_{line.id}",
        "sku": line.sku,
        "title": line.title,
        "quantity": count,
        "total": amount_text(line.unit_price * count, currency),
    }


def _name(line: OrderLine) -> str:
    return line.shop_line_id or f"ln_{line.id}"


def _parcels(
    session: Session, order: Order, names: Mapping[int, str], pieces: Sequence[OrderPiece]
) -> list[dict[str, Any]]:
    line_of = {piece.id: names[piece.line_id] for piece in pieces}
    query = select(Shipment).where(Shipment.order_id == order.id, Shipment.tracking_number != "")
    found = []
    for shipment in session.scalars(query.order_by(Shipment.id)):
        inside = [line_of[piece] for piece in shipment.piece_ids if piece in line_of]
        found.append(
            {
                "number": shipment.tracking_number,
                "carrier": shipment.carrier_name or shipment.carrier,
                "url": None,
                "shipped_at": _time(shipment.created_at),
                "lines": [{"id": name, "quantity": inside.count(name)} for name in sorted(set(inside))],
            }
        )
    return found


def _refunds(session: Session, order: Order) -> list[dict[str, Any]]:
    """Refund objects that were worked off before. Their lines are not needed again: an object counts once, by its id."""
    query = select(Refund).where(Refund.order_id == order.id, Refund.origin == "shop").order_by(Refund.id)
    return [
        {
            "id": refund.external_id,
            "amount": amount_text(refund.amount, refund.currency),
            "currency": refund.currency,
            "reason": refund.reason,
            "created_at": _time(refund.created_at),
            "lines": [],
        }
        for refund in session.scalars(query)
    ]


def _left(session: Session, order: Order, data: Mapping[str, Any]) -> dict[str, int]:
    """Units by line id that may still leave: neither sent nor cancelled, nor in a parcel that waits to be worked off."""
    names = {line.id: _name(line) for line in _lines(session, order)}
    left = dict.fromkeys(names.values(), 0)
    for piece in _pieces(session, order):
        if piece.state in HERE and piece.shipment_id is None and piece.cancel_asked_by is None:
            left[names[piece.line_id]] += 1
    inside = {tracking.normalise(each["number"]): each for each in _parcels_by_rows(session, order)}
    for parcel in data["tracking"]:
        known = (inside.get(tracking.normalise(parcel["number"])) or {"lines": []})["lines"]
        told = {each["id"]: each["quantity"] for each in known or ()}
        for part in (parcel["lines"] or ()) if known is not None else ():
            waiting = max(0, part["quantity"] - told.get(part["id"], 0))
            left[part["id"]] = max(0, left[part["id"]] - waiting)
    return left


def _parcels_by_rows(session: Session, order: Order) -> list[dict[str, Any]]:
    """The parcels that are worked off already."""
    names = {line.id: _name(line) for line in _lines(session, order)}
    return _parcels(session, order, names, _pieces(session, order))


def _gone(session: Session, order: Order) -> bool:
    """Whether something has left, or is on its way out."""
    gone = {m.PieceState.SHIPPED, m.PieceState.DELIVERED}
    return any(piece.state in gone or piece.shipment_id is not None for piece in _pieces(session, order))


def _lines(session: Session, order: Order) -> list[OrderLine]:
    return list(
        session.scalars(select(OrderLine).where(OrderLine.order_id == order.id).order_by(OrderLine.id))
    )


def _pieces(session: Session, order: Order) -> list[OrderPiece]:
    """What the order had when it was handed over."""
    query = select(OrderPiece).where(OrderPiece.order_id == order.id, OrderPiece.in_shop)
    return list(session.scalars(query.order_by(OrderPiece.id).execution_options(populate_existing=True)))


def _open_pieces(session: Session, order: Order) -> bool:
    return any(piece.state in HERE for piece in _pieces(session, order))


def _total(session: Session, order: Order) -> int:
    return sum(piece.price + piece.shipping_price for piece in _pieces(session, order))


# --- the event ---------------------------------------------------------------------------------------------------------------------


def sequences(order_id: int) -> tuple[int, int]:
    """The first and last sequence of events about this order (inbox.OWN_SEQUENCES)."""
    first = inbox.OWN_SEQUENCES + order_id * REPORTS
    return first + 1, first + REPORTS - 1


def _newest(session: Session, order: Order) -> Event | None:
    """The last event that a deed has written for this order."""
    first, last = sequences(order.id)
    query = select(Event).where(Event.connection_id == order.shop_id, Event.sequence.between(first, last))
    query = query.order_by(Event.sequence.desc()).limit(1)
    return session.scalar(query.execution_options(populate_existing=True))


def _report(session: Session, order: Order, kind: str, data: Mapping[str, Any]) -> Reported:
    """Write the event in the caller's transaction: with its Idempotency-Key, or not at all. The order's lock makes the sequence the next one."""
    first, last = sequences(order.id)
    where = (Event.connection_id == order.shop_id, Event.sequence.between(first, last))
    sequence = max(first, (session.scalar(select(func.max(Event.sequence)).where(*where)) or 0) + 1)
    if sequence > last or order.shop_id is None:
        raise Refused("supplier.too_many_reports")
    now = datetime.now(UTC)
    subject = f"order/{data['id']}"
    body = {"type": kind, "timestamp": _time(now), "sequence": sequence, "subject": subject, "data": data}
    event_id = inbox.accept(
        session.connection(),
        account_id=order.account_id,
        connection_id=order.shop_id,
        delivery_id=f"api_{secrets.token_hex(20)}",
        kind=kind,
        subject=subject,
        sequence=sequence,
        happened_at=now,
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
    )
    return Reported(event_id)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
