"""The supplier's money becomes his: parcel by parcel, only with a tracking number that counts and what the policy asks for (K11).

What may go wrong: a number that is mistyped, invented or used before; more units than were ordered, or cancelled ones; the same parcel told
twice. Then nothing is released, the answer says why, and a parcel with a better number may come. What is told later to be in a parcel that
counts already is a part of its own (`release_added`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.ledger.answers import EvidenceKind, Money, Released, Source
from app.ledger.claims import changed
from app.ledger.parcels import objection, shipped, too_many
from app.ledger.posting import Book, Leg, lock_trade, now, of_trade, post
from app.ledger.reading import money
from app.ledger.refunding import earned_of
from app.ledger.stopping import is_stopped
from app.messages import Reason
from app.models import LedgerTransaction, Trade, TradeLine, TradeParcel
from app.rules import fees, tracking
from app.rules.release_policy import Evidence, policy_of
from app.rules.split import share_until
from app.rules.trade import OVER


def release(
    session: Session,
    trade: Trade,
    *,
    shipment_id: int,
    number: str | None,
    units: Mapping[int, int],
    country: str | None,
    by: Source,
) -> Released:
    """Release what one parcel is worth: its lines proportionally, shipping with the first parcel, the rest with the last (K11).

    `units`: trade_line.id -> quantity in this parcel. The Shipment row must belong to the trade's child order. Nothing is released, with reasons,
    for a trade that is over or not captured, without a number, with a number that breaks its format or check digit or was used before (the same
    supplier may use it again within 48 hours for another order of the same recipient), or with more units than are left: such a parcel is not
    remembered, and may be told again. Before the policy is met, or while frozen, it waits and is released by itself. Never more than is left in
    escrow. A repeat for a remembered shipment answers what became of it.
    """
    lock_trade(session, trade)
    if known := _parts(session, trade, shipment_id):
        return _together(_result(session, part) for part in known)
    if (over := _over(trade)) is not None:
        return over
    left = money(session, trade)
    if trade.total and not left.captured:
        return _nothing(Reason("ledger.not_captured", {"trade": trade.key}))
    at = now()
    if (why := objection(session, trade, shipment_id, number, units, at)) is not None:
        return _nothing(why)
    parcel = TradeParcel(
        trade_id=trade.id,
        shipment_id=shipment_id,
        number=tracking.normalise(number or ""),
        country=country,
        units={str(line_id): count for line_id, count in units.items() if count},
        actor=by.actor,
        event=by.event,
        reason=by.reason,
        shipped_at=at,
    )
    session.add(parcel)
    session.flush()
    return _judge(session, trade, parcel, at, by)


def release_added(
    session: Session, trade: Trade, *, shipment_id: int, units: Mapping[int, int], by: Source
) -> Released:
    """Release what is told later to be in a parcel that counts already (K8, K9, K11; reliability 4.3 invariants 4-6).

    `units`: trade_line.id -> everything that is in the parcel now; what was told before never counts again. Answers what the new units released;
    nothing new = Released(0). They share the parcel's number and its scan; delivered + n days runs for them from this moment on at the earliest,
    because the retailer could not miss them before. More than was ordered and has not left yet is refused whole, and may be told again.
    """
    lock_trade(session, trade)
    known = _parts(session, trade, shipment_id)
    if not known:
        return _nothing(Reason("ledger.shipment_unknown", {"shipment": shipment_id}))
    if (over := _over(trade)) is not None:
        return over
    added = _added(known, units)
    if not added:
        return Released(0)
    if (why := too_many(session, trade, added)) is not None:
        return _nothing(why)
    at = now()
    parcel = _next_part(known, added, by, at)
    session.add(parcel)
    session.flush()
    return _judge(session, trade, parcel, at, by)


def _added(known: Sequence[TradeParcel], units: Mapping[int, int]) -> dict[int, int]:
    """Line -> units that no part of the parcel has yet."""
    told: Counter[int] = Counter()
    for parcel in known:
        told.update({int(line): count for line, count in parcel.units.items()})
    return {line: count - told[line] for line, count in units.items() if count > told[line]}


def _next_part(
    known: Sequence[TradeParcel], added: Mapping[int, int], by: Source, at: datetime
) -> TradeParcel:
    first = known[0]
    return TradeParcel(
        trade_id=first.trade_id,
        shipment_id=first.shipment_id,
        part=len(known) + 1,
        number=first.number,
        country=first.country,
        units={str(line_id): count for line_id, count in added.items()},
        actor=by.actor,
        event=by.event,
        reason=by.reason,
        shipped_at=first.shipped_at,
        scanned_at=first.scanned_at,
        delivered_at=None if first.delivered_at is None else max(first.delivered_at, at),
    )


def evidence(
    session: Session, trade: Trade, shipment_id: int, kind: EvidenceKind, at: datetime, by: Source
) -> Released:
    """The carrier scanned or delivered the parcel at `at` (aware). Stricter policies release now, or n days after delivery (`release_due`).

    The first word of each kind counts. Nothing happens for a shipment whose number did not count.
    """
    if at.tzinfo is None:
        raise ValueError("the time of a scan must be aware")
    lock_trade(session, trade)
    known = _parts(session, trade, shipment_id)
    if not known:
        return _nothing(Reason("ledger.shipment_unknown", {"shipment": shipment_id}))
    for parcel in known:
        if kind == "delivered":
            parcel.delivered_at = parcel.delivered_at or at
        else:
            parcel.scanned_at = parcel.scanned_at or at
    session.flush()
    # Days after the delivery are counted by the clock alone, whatever else is told meanwhile.
    return _together(
        _judge(session, trade, parcel, parcel.delivered_at or at, by)
        if parcel.state == "waiting"
        else _result(session, parcel)
        for parcel in known
    )


def release_due(session: Session, now: datetime, limit: int = 100) -> list[tuple[int, Released]]:
    """Release parcels whose time has come by `now` (aware; the injected clock, invariant 20); answers (trade id, result) of those that moved.

    All their trades are locked first, in order, so one call is one transaction of the clock; call again while it answers `limit` results.
    """
    if is_stopped(session):
        return []
    found: list[tuple[int, Released]] = []
    for trade, parcel in _due(session, now, limit):
        by = Source("clock", f"parcel {parcel.id}", "ledger.due")
        result = _judge(session, trade, parcel, now, by)
        if parcel.state == "released":
            found.append((trade.id, result))
    return found


def look_again(session: Session, trade: Trade) -> None:
    """The trade has thawed: parcels that waited for that are released; those that wait for a time are left to the clock. The trade is locked."""
    for parcel in session.scalars(
        select(TradeParcel)
        .where(TradeParcel.trade_id == trade.id, TradeParcel.state == "waiting")
        .order_by(TradeParcel.id)
    ).all():
        by = Source(parcel.actor, parcel.event, parcel.reason)
        _judge(session, trade, parcel, parcel.delivered_at or parcel.shipped_at, by)


def _due(session: Session, now: datetime, limit: int) -> Iterator[tuple[Trade, TradeParcel]]:
    """Waiting parcels whose time has come, each with its trade; the trades are locked by ascending id before the first is given."""
    waiting = (TradeParcel.state == "waiting", TradeParcel.due_at <= now)
    numbers = session.scalars(select(TradeParcel.trade_id).where(*waiting).distinct().limit(limit)).all()
    trades = [session.get_one(Trade, number) for number in sorted(numbers)]
    for trade in trades:
        lock_trade(session, trade)
    for trade in trades:
        mine = select(TradeParcel).where(TradeParcel.trade_id == trade.id, *waiting).order_by(TradeParcel.id)
        for parcel in session.scalars(mine.execution_options(populate_existing=True)).all():
            yield trade, parcel


def _judge(session: Session, trade: Trade, parcel: TradeParcel, at: datetime, by: Source) -> Released:
    """Release the parcel, or say what it waits for."""
    if trade.frozen:
        return _wait(session, parcel, Reason("ledger.frozen", {"trade": trade.key}), None)
    if is_stopped(session):
        return _wait(session, parcel, Reason("ledger.stopped"), at)
    verdict = policy_of(trade.policy).judge(Evidence(parcel.scanned_at, parcel.delivered_at), at)
    if verdict.reason is not None:
        return _wait(session, parcel, verdict.reason, verdict.due_at)
    # The clock may have been turned back: nothing is released before it was shipped.
    return _post(session, trade, parcel, by, max(at, parcel.delivered_at or parcel.shipped_at, now()))


def _wait(session: Session, parcel: TradeParcel, why: Reason, due_at: datetime | None) -> Released:
    parcel.reason_code, parcel.reason_params, parcel.due_at = why.code, dict(why.params), due_at
    session.flush()
    return _nothing(why)


def _post(session: Session, trade: Trade, parcel: TradeParcel, by: Source, at: datetime) -> Released:
    """The parcel's worth leaves escrow, as far as it is there."""
    left, value = money(session, trade), _value(session, trade, parcel)
    amount = min(value, left.escrow)
    result = Released(amount, reasons=_less(trade, value, amount))
    if amount:
        result, legs = _legs(session, trade, left, result)
        facts = {
            "amount": amount,
            "fee": result.fee,
            "vat": result.vat,
            "value": value,
            "parcel": parcel.id,
            "shipment": parcel.shipment_id,
            "units": parcel.units,
        }
        key = f"release:{trade.key}:{parcel.shipment_id}"
        key += f":{parcel.part}" if parcel.part > 1 else ""
        book = Book(key, "release", by, trade.id, trade.supplier_id, facts=facts)
        parcel.transaction_id = post(session, book, legs, at)
    parcel.state, parcel.due_at = "released", None
    parcel.reason_code, parcel.reason_params = (None, {})
    for reason in result.reasons:
        parcel.reason_code, parcel.reason_params = reason.code, dict(reason.params)
    session.flush()
    return result


def _legs(session: Session, trade: Trade, left: Money, result: Released) -> tuple[Released, list[Leg]]:
    """Escrow to the supplier, less the fee on everything he earned so far."""
    earned = earned_of(left)
    fee = fees.change(earned, earned + result.amount, trade.fee_bp, trade.fee_vat_bp)
    claims = changed(session, trade.supplier_id, trade.currency, {trade.id: result.amount - fee.gross})
    legs = [
        Leg(of_trade(trade, "escrow"), result.amount),
        Leg(of_trade(trade, "fee"), -fee.fee),
        Leg(of_trade(trade, "fee_vat"), -fee.vat),
        *claims.legs,
    ]
    return Released(result.amount, fee.fee, fee.vat, result.reasons), legs


def _value(session: Session, trade: Trade, parcel: TradeParcel) -> int:
    """Its part of the goods, and the shipping when no parcel before had it."""
    prices = {
        row.id: (row.quantity, row.unit_price)
        for row in session.execute(
            select(TradeLine.id, TradeLine.quantity, TradeLine.unit_price).where(
                TradeLine.trade_id == trade.id
            )
        )
    }
    whole = sum(quantity * price for quantity, price in prices.values())
    gone = sum(count * prices[line][1] for line, count in shipped(session, trade, released=True).items())
    mine = sum(count * prices[int(line)][1] for line, count in parcel.units.items())
    goods = share_until(trade.goods, gone + mine, whole) - share_until(trade.goods, gone, whole)
    earlier = select(TradeParcel.id).where(TradeParcel.trade_id == trade.id, TradeParcel.state == "released")
    return goods + (trade.shipping if session.scalar(earlier.limit(1)) is None else 0)


def _less(trade: Trade, value: int, amount: int) -> tuple[Reason, ...]:
    """Refunds have used up a part of escrow."""
    if amount == value:
        return ()
    return (Reason("ledger.less_in_escrow", {"value": value, "amount": amount, "currency": trade.currency}),)


def _over(trade: Trade) -> Released | None:
    """What a parcel of a trade that is over releases: nothing, with the reason."""
    if trade.state in OVER or trade.cancelled_at is not None:
        return _nothing(Reason("ledger.trade_over", {"trade": trade.key}))
    return None


def _parts(session: Session, trade: Trade, shipment_id: int) -> Sequence[TradeParcel]:
    """A remembered parcel: what was told first and what was told later, in this order; nothing when it is not known."""
    return session.scalars(
        select(TradeParcel)
        .where(TradeParcel.trade_id == trade.id, TradeParcel.shipment_id == shipment_id)
        .order_by(TradeParcel.part)
        .execution_options(populate_existing=True)
    ).all()


def _together(results: Iterable[Released]) -> Released:
    """What all parts of one parcel released, each reason once."""
    amount = fee = vat = 0
    reasons: list[Reason] = []
    for each in results:
        amount, fee, vat = amount + each.amount, fee + each.fee, vat + each.vat
        reasons += [reason for reason in each.reasons if reason not in reasons]
    return Released(amount, fee, vat, tuple(reasons))


def _result(session: Session, parcel: TradeParcel) -> Released:
    """What became of a parcel that is known already."""
    reasons = (Reason(parcel.reason_code, parcel.reason_params),) if parcel.reason_code else ()
    if parcel.transaction_id is None:
        return Released(0, reasons=reasons)
    posted = session.get_one(LedgerTransaction, parcel.transaction_id).facts
    return Released(posted["amount"], posted["fee"], posted["vat"], reasons)


def _nothing(why: Reason) -> Released:
    return Released(0, reasons=(why,))
