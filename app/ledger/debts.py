"""Debts of suppliers that nothing nets any more: after 30 days a person must see to them (reliability 4.2)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.ledger.orders import payment_connection
from app.ledger.posting import ACCOUNTS, ENTRIES, TRANSACTIONS
from app.models import Case
from app.story import close_cases, open_case

PATIENCE = timedelta(days=30)
OLD = "ledger.debt_old"


def watch_debts(session: Session, now: datetime) -> dict[tuple[int, str], int]:
    """(supplier, currency) -> minor units owed for trades whose debt did not grow for 30 days. Each is one case, closed when it is paid."""
    found = _old(session, now - PATIENCE)
    account_id = payment_connection(session).account_id
    subjects = {f"debt/{supplier_id}/{currency}" for supplier_id, currency in found}
    mine = (Case.account_id == account_id, Case.code == OLD, Case.state == "open")
    gone = set(session.scalars(select(Case.subject).where(*mine))) - subjects
    close_cases(session, account_id=account_id, subjects=gone)
    for (supplier_id, currency), amount in found.items():
        open_case(
            session,
            account_id=account_id,
            subject=f"debt/{supplier_id}/{currency}",
            code=OLD,
            params={"supplier": supplier_id, "amount": amount, "currency": currency},
        )
    return found


def _old(session: Session, before: datetime) -> dict[tuple[int, str], int]:
    debts = (
        select(ACCOUNTS.c.owner_id, ACCOUNTS.c.currency, ACCOUNTS.c.balance)
        .join_from(ACCOUNTS, ENTRIES, ENTRIES.c.account_id == ACCOUNTS.c.id)
        .join(TRANSACTIONS, TRANSACTIONS.c.id == ENTRIES.c.transaction_id)
        .where(ACCOUNTS.c.kind == "receivable", ACCOUNTS.c.balance > 0, ENTRIES.c.amount > 0)
        .group_by(ACCOUNTS.c.id)
        .having(func.max(TRANSACTIONS.c.at) < before)
    )
    found: dict[tuple[int, str], int] = {}
    for supplier_id, currency, balance in session.execute(debts):
        found[supplier_id, currency] = found.get((supplier_id, currency), 0) + int(balance)
    return found
