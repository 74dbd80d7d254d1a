"""What was released goes out to the supplier in one payout per currency, and debts come back.

What may go wrong: a refund that comes after the payout. Then the supplier owes it (receivable); it is netted against the next release, or
taken back from an earlier payout (`recover`) where the provider can. The reserve makes it rarer.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.ledger.answers import Source
from app.ledger.claims import Claims, open_claims
from app.ledger.orders import instruct, payment_connection
from app.ledger.posting import ACCOUNTS, TRANSACTIONS, Book, Leg, of_supplier, post
from app.ledger.reading import by_trade
from app.ledger.refunding import earned_of
from app.ledger.stopping import is_stopped
from app.models import Payment, Profile
from app.rules import fees

RESERVE_DAYS = 30
"""Most returns come within a month (14 days to withdraw, 14 to send back)."""


def payout(
    session: Session,
    supplier_id: int,
    currency: str,
    now: datetime,
    by: Source,
    *,
    reserve_bp: int | None = None,
) -> Payment | None:
    """Instruct the payout of everything payable; None when there is nothing to pay or he may not be paid.

    Left out: the payable of trades that are frozen by a dispute, and the reserve: `reserve_bp` (None = the setting) of what the trades with a
    release in the 30 days before `now` earned. Nobody is paid whose profile is not approved or is blocked, or while a breach is open.
    """
    if not _may_be_paid(session, supplier_id) or is_stopped(session):
        return None
    claims = open_claims(session, supplier_id, currency)
    basis_points = _setting() if reserve_bp is None else reserve_bp
    earned = _earned_lately(session, supplier_id, currency, now) if basis_points else 0
    reserve = fees.half_up(earned, basis_points)
    amount = sum(part for _, part in claims.payable_now()) - claims.owed() - reserve
    if amount <= 0:
        return None
    payment = _payment(session, supplier_id, currency, amount, now, reserve=reserve)
    left = amount
    for trade_id, part in list(claims.payable_now()):
        taken = min(part, left)
        claims.change(trade_id, -taken)
        left -= taken
    legs = [*claims.legs, Leg(of_supplier(supplier_id, currency, "payout_in_transit"), -amount)]
    post(session, Book(payment.key, "payout", by, None, supplier_id, payment.id), legs, at=now)
    return payment


def recover(session: Session, supplier_id: int, currency: str, now: datetime, by: Source) -> Payment | None:
    """Instruct the reversal of what the supplier owes, out of one payout that was done; None when he owes nothing or none has enough left.

    What is left of a payout smaller than the debt is taken; the rest of the debt stays.
    """
    claims = open_claims(session, supplier_id, currency)
    source, left = _best_payout(session, supplier_id, currency)
    amount = min(claims.owed(), left)
    if source is None or amount <= 0:
        return None
    payment = _payment(session, supplier_id, currency, amount, now, of=source)
    for trade_id, part in _oldest(claims, amount):
        claims.change(trade_id, part)
    legs = [Leg(of_supplier(supplier_id, currency, "recovery_in_transit"), amount), *claims.legs]
    post(session, Book(payment.key, "recover", by, None, supplier_id, payment.id), legs, at=now)
    return payment


def _may_be_paid(session: Session, supplier_id: int) -> bool:
    profile = session.get(Profile, supplier_id, populate_existing=True)
    return profile is not None and profile.state == "approved" and not profile.payout_blocked


def _setting() -> int:
    return int(current_app.config.get("SHOPBRIDGE_NETWORK_RESERVE_BP", 0))


def _earned_lately(session: Session, supplier_id: int, currency: str, now: datetime) -> int:
    """What the supplier earned, gross, with trades that released something in the last days: what may still come back."""
    lately = select(TRANSACTIONS.c.trade_id).where(
        TRANSACTIONS.c.supplier_id == supplier_id,
        TRANSACTIONS.c.kind == "release",
        TRANSACTIONS.c.at >= now - timedelta(days=RESERVE_DAYS),
    )
    found = by_trade(session, ACCOUNTS.c.currency == currency, ACCOUNTS.c.trade_id.in_(lately))
    return sum(earned_of(left) for left in found.values())


def _payment(
    session: Session,
    supplier_id: int,
    currency: str,
    amount: int,
    now: datetime,
    *,
    reserve: int = 0,
    of: Payment | None = None,
) -> Payment:
    """The key has the moment in it, because numbers begin anew in a new database (docs/decisions/0008), and a count, because moments repeat."""
    kind = "payout" if of is None else "reverse"
    count = session.execute(
        select(func.count()).where(Payment.supplier_id == supplier_id, Payment.kind == kind)
    ).scalar_one()
    connection_id = payment_connection(session).id if of is None else of.connection_id
    return instruct(
        session,
        Payment(
            key=f"{kind}:acc_{supplier_id}:{currency}:{now:%Y%m%dT%H%M%S}:{count + 1}",
            connection_id=connection_id,
            kind=kind,
            supplier_id=supplier_id,
            amount=amount,
            currency=currency,
            of_id=None if of is None else of.id,
            reserve=reserve,
        ),
    )


def _best_payout(session: Session, supplier_id: int, currency: str) -> tuple[Payment | None, int]:
    """The newest payout that was done with the most left to reverse."""
    done = session.scalars(
        select(Payment)
        .where(Payment.supplier_id == supplier_id, Payment.currency == currency)
        .where(Payment.kind == "payout", Payment.state == "done")
        .order_by(Payment.id.desc())
    ).all()
    reversed_of = dict(
        session.execute(
            select(Payment.of_id, func.sum(Payment.amount))
            .where(Payment.kind == "reverse", Payment.supplier_id == supplier_id, Payment.state != "failed")
            .group_by(Payment.of_id)
        ).all()
    )
    left = [(payment.amount - int(reversed_of.get(payment.id, 0)), payment) for payment in done]
    if not left:
        return None, 0
    most, payment = max(left, key=lambda each: each[0])
    return payment, most


def _oldest(claims: Claims, amount: int) -> list[tuple[int, int]]:
    """(trade, part) of the debts, the oldest first, up to an amount."""
    parts, left = [], amount
    for trade_id in sorted(claims.receivable):
        part = min(claims.receivable[trade_id], left)
        if part:
            parts.append((trade_id, part))
            left -= part
    return parts
