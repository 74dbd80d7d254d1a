"""A carrier or a retailer says what became of a supplier's parcel: scanned, delivered, received. Stricter release policies wait for it (K11).

The supplier profits from such a word, so it never comes from him, and never from the status of a shop (K12): only from the operator, from whoever
tracks parcels for him, or from the retailer whose money it is. What may go wrong: a mistyped day releases money too early, which nobody can take
back; so what is in the future or older than the order is refused, and the first word of each kind counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import ledger, trades
from app.errors import Refused
from app.messages import Reason
from app.models import Trade, TradeParcel
from app.rules import release_policy, tracking
from app.story import close_case

CLOCKS_DIFFER = timedelta(minutes=10)


@dataclass(frozen=True)
class Seen:
    """What one word did to one trade: `released` now, gross minor units of `currency`; `waits`: for what the rest of its parcels waits still."""

    trade_id: int
    released: int
    currency: str
    waits: tuple[Reason, ...] = ()


def trades_of(session: Session, number: str) -> list[int]:
    """Ids of the trades that have a parcel with this number that counts, ascending: several where one parcel holds two orders.

    Raises Refused: parcel.unknown; parcel.of_several_suppliers, because at most one of them can have sent it.
    """
    found = session.execute(
        select(Trade.id, Trade.supplier_id)
        .join(TradeParcel, TradeParcel.trade_id == Trade.id)
        .where(TradeParcel.number == tracking.normalise(number))
        .distinct()
        .order_by(Trade.id)
    ).all()
    if not found:
        raise Refused("parcel.unknown", number=number)
    if len({row.supplier_id for row in found}) > 1:
        raise Refused("parcel.of_several_suppliers", number=number)
    return [row.id for row in found]


def seen(
    session: Session,
    trade_id: int,
    kind: ledger.EvidenceKind,
    at: datetime,
    *,
    now: datetime,
    by: ledger.Source,
    number: str | None = None,
    told: str | None = None,
) -> Seen:
    """One word about the parcels of one trade, or only about the one with this number; the caller commits before the next trade.

    `at`, `now`: aware. `told`: the code of the line in the story, where it is not the carrier's word. Raises Refused: parcel.time_wrong,
    parcel.unknown (no parcel whose number counts).
    """
    trade = trades.lock(session, trade_id)
    if at > now + CLOCKS_DIFFER or at < trade.created_at - CLOCKS_DIFFER:
        raise Refused("parcel.time_wrong", at=f"{at.astimezone(UTC):%d.%m.%Y %H:%M} UTC")
    parcels = _parcels(session, trade, number)
    if not parcels:
        raise Refused("parcel.unknown", number=number)
    before = ledger.money(session, trade).released
    waits: list[Reason] = []
    for shipment_id in sorted({parcel.shipment_id for parcel in parcels}):
        _tell(session, trade, parcels, shipment_id, kind, told)
        done = ledger.evidence(session, trade, shipment_id, kind, min(at, now), by)
        waits += [
            reason for reason in done.reasons if reason.code in release_policy.WAITS and reason not in waits
        ]
    released = ledger.money(session, trade).released - before
    _settle(session, trade, released, number or (parcels[0].number if len(parcels) == 1 else None))
    return Seen(trade.id, released, trade.currency, tuple(waits))


def received(
    session: Session,
    retailer_id: int,
    trade_id: int,
    at: datetime,
    *,
    now: datetime,
    number: str | None = None,
) -> Seen:
    """The retailer says that his customer has the parcel: as good as the carrier's word, because it is his money.

    Raises Refused: parcel.not_your_order, and as `seen`.
    """
    if session.scalar(select(Trade.retailer_id).where(Trade.id == trade_id)) != retailer_id:
        raise Refused("parcel.not_your_order")
    by = ledger.Source(f"account {retailer_id}", f"trade trd_{trade_id} {at.isoformat()}", "parcel.received")
    return seen(
        session, trade_id, "delivered", at, now=now, by=by, number=number, told="trade.receipt_confirmed"
    )


def released_by_time(session: Session, trade_id: int, amount: int) -> None:
    """The clock has released a parcel whose days were over: both sides read it. A transaction of its own, because a story needs other locks."""
    _settle(session, trades.lock(session, trade_id), amount, None)


def _parcels(session: Session, trade: Trade, number: str | None) -> Sequence[TradeParcel]:
    query = select(TradeParcel).where(TradeParcel.trade_id == trade.id)
    if number is not None:
        query = query.where(TradeParcel.number == tracking.normalise(number))
    return session.scalars(query.order_by(TradeParcel.id).execution_options(populate_existing=True)).all()


def _tell(
    session: Session,
    trade: Trade,
    parcels: Sequence[TradeParcel],
    shipment_id: int,
    kind: ledger.EvidenceKind,
    told: str | None,
) -> None:
    """A line in both orders, once for each parcel and kind."""
    first = next(parcel for parcel in parcels if parcel.shipment_id == shipment_id)
    if (first.delivered_at if kind == "delivered" else first.scanned_at) is not None:
        return
    if told is not None:
        trades.tell_both(session, trade, told, number=first.number)
    elif kind == "delivered":
        trades.tell_both(session, trade, "trade.parcel_delivered", number=first.number)
    else:
        trades.tell_both(session, trade, "trade.parcel_scanned", number=first.number)


def _settle(session: Session, trade: Trade, released: int, number: str | None) -> None:
    """What was released is told, and what was only a wait is no open problem any more."""
    if released:
        trades.tell_both(
            session, trade, "trade.released", amount=released, currency=trade.currency, number=number
        )
    done = select(TradeParcel.shipment_id).where(
        TradeParcel.trade_id == trade.id, TradeParcel.state == "released"
    )
    for shipment_id in session.scalars(done.distinct()):
        subject = f"order/{trade.order_id}/release/{shipment_id}"
        close_case(session, account_id=trade.supplier_id, subject=subject, code="ledger.stopped")
