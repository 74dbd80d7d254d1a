"""What was released goes out to the supplier in one payout per currency, and debts come back.

What may go wrong: a refund that comes after the payout. Then the supplier owes it (receivable); it is netted against the next release, or
taken back from an earlier payout (`recover`) where the provider can.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from app.ledger.answers import Source
from app.models import Payment


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

    Left out: the payable of trades that are frozen by a dispute, and the reserve: `reserve_bp` (None = the setting) of what was released in the
    30 days before `now`. Nobody is paid whose profile is not approved or is blocked, who owes something, or while a breach is open.
    """
    raise NotImplementedError


def recover(session: Session, supplier_id: int, currency: str, now: datetime, by: Source) -> Payment | None:
    """Instruct the reversal of what the supplier owes, out of his last payout that covers it; None when he owes nothing or none covers it."""
    raise NotImplementedError
