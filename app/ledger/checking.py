"""The twenty invariants of the money (reliability 4.3), as far as rows can tell: read hourly, and after every step in the tests.

Most are one SQL statement (invariants.sql); what needs our rules (numbers, values, fees, VAT) is computed anew here. What may go wrong: a check
that cries wolf stops everybody's money, so each compares figures that are written under the same lock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.orm import Session, selectinload

from app.ledger import shares
from app.ledger.answers import Breach, Money
from app.ledger.orders import payment_connection
from app.ledger.reading import by_trade
from app.ledger.refunding import earned_of
from app.ledger.stopping import BREACH
from app.models import GUARDS, Case, LedgerAccount, Shipment, Trade, TradeParcel
from app.rules import fees, tracking
from app.rules.split import share_until
from app.story import close_cases, open_case

SHOWN = 20  # cases; one stops everything, more than a screenful helps nobody


# Built once: the money machine asks thousands of times, and building a statement takes longer than finding its plan.
_ROWS = text(
    "\n".join(
        line
        for line in Path(__file__).with_name("invariants.sql").read_text(encoding="utf-8").splitlines()
        if not line.lstrip().startswith("--")
    )
)
_GUARDED = {"guards": [guard.name for guard in GUARDS]}
_TOUCHED = (
    select(Trade)
    .where(Trade.id.in_(select(LedgerAccount.trade_id).where(LedgerAccount.trade_id.is_not(None))))
    .options(selectinload(Trade.lines))
    .order_by(Trade.id)
)
_RELEASED = (
    select(TradeParcel, Shipment.carrier)
    .outerjoin(Shipment, Shipment.id == TradeParcel.shipment_id)
    .where(TradeParcel.state == "released")
)


def breaches(session: Session) -> list[Breach]:
    """Every invariant that does not hold now; empty = the books are right. Only reads.

    Not from rows: 14 and 20 (how the code writes and where it takes the time from; tests/ledger/test_static.py), the mirroring of 12 (a command, its
    retries and its case), and the provider's own figures of 13 (app.flows.compare_money).
    """
    session.flush()
    rows = session.execute(_ROWS, _GUARDED)
    found = [Breach(row.invariant, row.subject, row.detail) for row in rows]
    return found + list(_by_rules(session))


def watch(session: Session, now: datetime) -> list[Breach]:
    """`breaches`, made visible: an open case "ledger.breach" for the operator stops all releases and payouts; it closes when all is right again.

    Reads one snapshot of what is committed, so that work going on beside it is seen wholly or not at all.
    """
    snapshot = session.connection().engine.execution_options(isolation_level="REPEATABLE READ")
    with Session(snapshot) as reader:
        found = breaches(reader)
    account_id = payment_connection(session).account_id
    subjects = {f"ledger/{each.invariant}/{each.subject}" for each in found}
    mine = (Case.account_id == account_id, Case.code == BREACH, Case.state == "open")
    gone = set(session.scalars(select(Case.subject).where(*mine))) - subjects
    close_cases(session, account_id=account_id, subjects=gone)
    for each in found[:SHOWN]:
        open_case(
            session,
            account_id=account_id,
            subject=f"ledger/{each.invariant}/{each.subject}",
            code=BREACH,
            params={
                "invariant": each.invariant,
                "subject": each.subject,
                "detail": each.detail,
                "at": now.isoformat(),
            },
        )
    return found


def _by_rules(session: Session) -> Iterator[Breach]:
    """What our rules say about every trade that money has touched."""
    parcels = defaultdict(list)
    for parcel, carrier in session.execute(_RELEASED):
        parcels[parcel.trade_id].append(parcel)
        yield from _number(parcel, carrier)
    figures = by_trade(session)
    refunded = shares.written(session)
    for trade in session.scalars(_TOUCHED).all():
        left = figures.get(trade.id, Money())
        yield from _worth(trade, left, parcels[trade.id])
        yield from _fee(trade, left)
        yield from _vat(trade, refunded.get(trade.id, {}))


def _number(parcel: TradeParcel, carrier: str | None) -> Iterator[Breach]:
    if parcel.transaction_id is not None and tracking.check(parcel.number, carrier) is not None:
        yield Breach(5, f"parcel/{parcel.id}", f"released with the number {parcel.number!r}")


def _worth(trade: Trade, left: Money, parcels: Sequence[TradeParcel]) -> Iterator[Breach]:
    """Never more than what was in the parcels and the shipping (invariant 6)."""
    prices = {line.id: line.unit_price for line in trade.lines}
    whole = sum(line.quantity * line.unit_price for line in trade.lines)
    gone = sum(count * prices.get(int(line), 0) for parcel in parcels for line, count in parcel.units.items())
    worth = share_until(trade.goods, min(gone, whole), whole) + (trade.shipping if parcels else 0)
    if left.released > worth:
        yield Breach(6, f"trade/{trade.id}", f"released {left.released}, shipped {worth}")


def _fee(trade: Trade, left: Money) -> Iterator[Breach]:
    """The fee is exactly that of what was earned: nothing was lost by rounding (invariant 11)."""
    must = fees.fee_on(max(earned_of(left), 0), trade.fee_bp, trade.fee_vat_bp)
    if (left.fees, left.fee_vat) != (must.fee, must.vat):
        yield Breach(
            11, f"trade/{trade.id}", f"fee {left.fees} + {left.fee_vat}, must be {must.fee} + {must.vat}"
        )


def _vat(trade: Trade, refunded: Mapping[int | None, tuple[int, int]]) -> Iterator[Breach]:
    """The VAT of all refunds of a line is the VAT in what was refunded on it (invariant 18)."""
    for line_id, must in shares.vat_due(
        trade, {line: gross for line, (gross, _) in refunded.items()}
    ).items():
        if refunded[line_id][1] != must:
            yield Breach(
                18, f"trade/{trade.id}/line/{line_id}", f"VAT {refunded[line_id][1]}, must be {must}"
            )
