"""The one door into the books: locks, guarded balances and balanced transactions. Nothing else writes ledger rows.

What may go wrong: two workers move the same money. Who changes a trade's money holds its row (`lock_trade`), who changes what a supplier gets or
owes also holds the supplier (`lock_supplier`), always in this order; and every balance changes by a conditional UPDATE (invariant 14), so a
mistake in the locking ends in Overdrawn and nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.ledger.answers import Source
from app.models import LedgerAccount, LedgerEntry, LedgerTransaction, Trade
from app.models.columns import table_of

ACCOUNTS = table_of(LedgerAccount)
TRANSACTIONS = table_of(LedgerTransaction)
ENTRIES = table_of(LedgerEntry)

DEBIT_KINDS = frozenset({"psp_clearing", "receivable", "recovery_in_transit"})
"""Accounts whose natural side is debit (what we have or are owed); all others say to whom it belongs."""

_SUPPLIERS = frozenset({"payable", "receivable", "payout_in_transit", "recovery_in_transit"})
_OPERATORS = frozenset({"fee", "fee_vat"})


class Overdrawn(RuntimeError):
    """A guarded balance would fall below zero: a defect in our own arithmetic or locking. The transaction must be rolled back."""


class Place(NamedTuple):
    """An account by what it is: of one trade, or (trade_id None) of one supplier in one currency."""

    kind: str
    currency: str
    owner_id: int | None
    trade_id: int | None


class Leg(NamedTuple):
    """One entry to be: `amount` minor units, debit positive, credit negative."""

    place: Place
    amount: int


class Book(NamedTuple):
    """What is known of a transaction besides its legs. `facts` is JSON that explains the figures."""

    key: str
    kind: str
    by: Source
    trade_id: int | None = None
    supplier_id: int | None = None
    payment_id: int | None = None
    facts: Mapping[str, Any] = {}


def of_trade(trade: Trade, kind: str) -> Place:
    """An account of one trade; the money in it is the supplier's, the operator's or still the retailer's."""
    if kind in _OPERATORS:
        return Place(kind, trade.currency, None, trade.id)
    owner = trade.supplier_id if kind in _SUPPLIERS else trade.retailer_id
    return Place(kind, trade.currency, owner, trade.id)


def of_supplier(supplier_id: int, currency: str, kind: str) -> Place:
    """An account of one supplier in one currency."""
    return Place(kind, currency, supplier_id, None)


def now() -> datetime:
    """The moment of a posting that nobody gave a time for."""
    return datetime.now(UTC)


def lock_trade(session: Session, trade: Trade) -> None:
    """Hold the trade until the end of the transaction, with its newest values. Always the first lock."""
    session.flush()
    session.refresh(trade, with_for_update={"key_share": True})


def lock_supplier(session: Session, supplier_id: int, currency: str) -> None:
    """Hold everything a supplier gets or owes in one currency. Always after the trade."""
    place = of_supplier(supplier_id, currency, "payout_in_transit")
    row = select(ACCOUNTS.c.id).where(*_is(place)).with_for_update(key_share=True)
    if session.execute(row).first() is None:
        _make(session, place)
        session.execute(row).one()


def find(session: Session, key: str) -> LedgerTransaction | None:
    """The transaction with this business key (invariant 2)."""
    return session.scalar(select(LedgerTransaction).where(LedgerTransaction.key == key))


def post(session: Session, book: Book, legs: Iterable[Leg], at: datetime | None = None) -> int:
    """Write one transaction and change the balances; answers its id. Legs of nothing are left out.

    Raises Overdrawn when a guarded balance would fall below zero, ValueError when the legs do not add up; the database refuses a key that is
    there already and repeats both checks.
    """
    moved = [leg for leg in legs if leg.amount]
    _must_balance(book.key, moved)
    values = {**book._asdict(), "facts": dict(book.facts), "at": at or now()}
    by = values.pop("by")
    values |= {"actor": by.actor, "event": by.event, "reason": by.reason}
    number: int = session.execute(
        insert(TRANSACTIONS).values(**values).returning(TRANSACTIONS.c.id)
    ).scalar_one()
    rows = [
        {
            "transaction_id": number,
            "account_id": _move(session, leg),
            "currency": leg.place.currency,
            "amount": leg.amount,
        }
        for leg in moved
    ]
    session.execute(insert(ENTRIES), rows)
    return number


def _must_balance(key: str, legs: list[Leg]) -> None:
    sums: dict[str, int] = {}
    for leg in legs:
        sums[leg.place.currency] = sums.get(leg.place.currency, 0) + leg.amount
    if not legs or any(sums.values()):
        raise ValueError(f"transaction {key!r} does not add up: {sums}")


def _move(session: Session, leg: Leg) -> int:
    """Change one balance if it stays at or above zero; answers the account's id."""
    natural = leg.amount if leg.place.kind in DEBIT_KINDS else -leg.amount
    for made in (False, True):
        moved = session.execute(
            update(ACCOUNTS)
            .where(*_is(leg.place), or_(ACCOUNTS.c.balance >= -natural, _unguarded()))
            .values(balance=ACCOUNTS.c.balance + natural)
            .returning(ACCOUNTS.c.id)
        ).scalar()
        if moved is not None:
            return int(moved)
        if not made:
            _make(session, leg.place)
    raise Overdrawn(f"{leg.place} by {leg.amount}")


def _unguarded() -> Any:
    """Only what went out to a supplier may be below zero: it is the other side of what trades brought in."""
    return (ACCOUNTS.c.kind == "psp_clearing") & ACCOUNTS.c.trade_id.is_(None)


def _is(place: Place) -> list[Any]:
    if place.trade_id is not None:
        return [ACCOUNTS.c.trade_id == place.trade_id, ACCOUNTS.c.kind == place.kind]
    return [
        ACCOUNTS.c.trade_id.is_(None),
        ACCOUNTS.c.owner_id == place.owner_id,
        ACCOUNTS.c.kind == place.kind,
        ACCOUNTS.c.currency == place.currency,
    ]


def _make(session: Session, place: Place) -> None:
    session.execute(upsert(ACCOUNTS).values(**place._asdict()).on_conflict_do_nothing())
