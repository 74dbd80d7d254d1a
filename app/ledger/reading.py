"""The money as people and pages see it, always read from the entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, exists, func, or_, select
from sqlalchemy.orm import Session

from app.ledger.answers import Money, Totals
from app.ledger.posting import ACCOUNTS, ENTRIES, TRANSACTIONS
from app.models import Payment, Trade
from app.models.columns import table_of

PAYMENTS = table_of(Payment)
TRADES = table_of(Trade)

# (what happened, which account, what became of its payment) -> sum of entries, debit positive.
Sums = dict[tuple[str, str, str | None], int]


def money(session: Session, trade: Trade) -> Money:
    """One trade's money. Needs no lock; under the trade's lock it is exact."""
    rows = session.execute(_OF_ONE, {"trade": trade.id})
    return _money({(row[0], row[1], row[2]): int(row[3]) for row in rows})


def totals(session: Session, account_id: int | None = None, currency: str = "EUR") -> Totals:
    """All trades of one currency, or those in which this account is the supplier or the retailer."""
    where = [ACCOUNTS.c.trade_id.is_not(None), ACCOUNTS.c.currency == currency]
    if account_id is not None:
        mine = select(TRADES.c.id).where(
            or_(TRADES.c.supplier_id == account_id, TRADES.c.retailer_id == account_id)
        )
        where.append(ACCOUNTS.c.trade_id.in_(mine))
    found = _money(_sums(session, *where))
    added = session.execute(
        select(func.coalesce(func.sum(ENTRIES.c.amount), 0)).where(ENTRIES.c.currency == currency)
    ).scalar_one()
    return Totals(
        held_minor=found.escrow + found.disputed,
        released_minor=found.released,
        refunded_minor=found.refunded,
        paid_out_minor=found.paid_out,
        receivable_minor=found.receivable,
        payable_minor=found.payable,
        fees_minor=found.fees,
        ledger_sum=int(added),
    )


def by_trade(session: Session, *where: ColumnElement[bool]) -> dict[int, Money]:
    """The money of every trade that has any and fits `where` (on ledger accounts), in one look."""
    found: dict[int, Sums] = {}
    for row in session.execute(_OF_EACH.where(*where) if where else _OF_EACH):
        found.setdefault(row[0], {})[row[1], row[2], row[3]] = int(row[4])
    return {trade_id: _money(sums) for trade_id, sums in found.items()}


def settled(session: Session, limit: int, *, trade_id: int | None = None) -> list[int]:
    """Trades in state shipped of which no money is open: captured (or free of charge), nothing in escrow, disputed, payable, owed or on its way
    to anybody, and no instruction without its last word. Oldest first, or only this one.
    """
    query = _SETTLED if trade_id is None else _SETTLED.where(TRADES.c.id == trade_id)
    return list(session.scalars(query.limit(limit)))


def _sums(session: Session, *where: Any) -> Sums:
    rows = session.execute(_query().where(*where))
    return {(row[0], row[1], row[2]): int(row[3]) for row in rows}


def _query(*more: ColumnElement[Any]) -> Select[Any]:
    """`more` columns, what happened, the account, the payment's state, the sum of entries."""
    columns = (*more, TRANSACTIONS.c.kind, ACCOUNTS.c.kind, PAYMENTS.c.state)
    return (
        select(*columns, func.sum(ENTRIES.c.amount))
        .join_from(ENTRIES, ACCOUNTS, ACCOUNTS.c.id == ENTRIES.c.account_id)
        .join(TRANSACTIONS, TRANSACTIONS.c.id == ENTRIES.c.transaction_id)
        .outerjoin(PAYMENTS, PAYMENTS.c.id == TRANSACTIONS.c.payment_id)
        .group_by(*columns)
    )


# Built once: every step of money reads one, and building a statement takes longer than finding its plan.
_OF_ONE = _query().where(ACCOUNTS.c.trade_id == bindparam("trade"))
_OF_EACH = _query(ACCOUNTS.c.trade_id).where(ACCOUNTS.c.trade_id.is_not(None))


_OPEN_KINDS = ("escrow", "dispute_hold", "refund_in_transit", "payable", "receivable")
_SETTLED = (
    select(TRADES.c.id)
    .where(
        TRADES.c.state == "shipped",
        TRADES.c.frozen.is_(False),
        or_(
            TRADES.c.total == 0,
            exists().where(TRANSACTIONS.c.trade_id == TRADES.c.id, TRANSACTIONS.c.kind == "capture"),
        ),
        ~exists().where(
            ACCOUNTS.c.trade_id == TRADES.c.id, ACCOUNTS.c.kind.in_(_OPEN_KINDS), ACCOUNTS.c.balance > 0
        ),
        ~exists().where(
            ACCOUNTS.c.trade_id == TRADES.c.id,
            ENTRIES.c.account_id == ACCOUNTS.c.id,
            TRANSACTIONS.c.id == ENTRIES.c.transaction_id,
            PAYMENTS.c.id == TRANSACTIONS.c.payment_id,
            PAYMENTS.c.state.in_(("due", "unknown")),
        ),
    )
    .order_by(TRADES.c.id)
)


def _adder(sums: Sums) -> Callable[..., int]:
    """Adds up what fits: `happened` (None = anything), the account, and optionally the states of the payment."""
    by: Counter[tuple[str | None, ...]] = Counter()
    for (kind, place, state), amount in sums.items():
        by[None, place] += amount
        by[kind, place] += amount
        by[kind, place, state] += amount

    def added(happened: str | None, account: str, *states: str) -> int:
        if states:
            return sum(by[happened, account, state] for state in states)
        return by[happened, account]

    return added


def _money(sums: Sums) -> Money:
    added = _adder(sums)
    charged_back = added("dispute_lost", "dispute_hold")
    return Money(
        captured=added("capture", "psp_clearing"),
        refunded=charged_back - added("refund", "refund_in_transit"),
        released=added("release", "escrow"),
        paid_out=added("payout", "payable", "done"),
        escrow=-added(None, "escrow"),
        payable=-added(None, "payable"),
        receivable=added(None, "receivable"),
        disputed=-added(None, "dispute_hold"),
        fees=-added(None, "fee"),
        fee_vat=-added(None, "fee_vat"),
        charged_back=charged_back,
        refunded_from_escrow=added("refund", "escrow"),
        refund_in_transit=-added(None, "refund_in_transit"),
        payout_in_transit=added("payout", "payable", "due", "unknown"),
    )
