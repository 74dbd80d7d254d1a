"""Holiday mode: everything to stock 0 and back, and proof of it (I7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app import reservations
from app.models import Account, Connection, Listing, Offer, Product


@dataclass(frozen=True)
class Progress:
    """How many offers the marketplaces have confirmed at the wished stock. `at` is the last confirmation."""

    offers: int
    confirmed: int
    at: datetime | None


def switch(session: Session, account: Account, on: bool, marketplace: Connection | None = None) -> int:
    """Switch it for one marketplace or for the whole account; then retailers of the network sell nothing of it either (K4). Answers how many
    offers will be sent anew.
    """
    if marketplace is None:
        account.holiday = on
        mine = select(Product.id).where(Product.account_id == account.id)
        reservations.mark_listings(session, Listing.product_id.in_(mine))
    else:
        marketplace.holiday = on
    where = [Offer.account_id == account.id]
    if marketplace is not None:
        where.append(Offer.connection_id == marketplace.id)
    done = session.execute(update(Offer).where(*where).values(stale=True, next_attempt_at=func.now()))
    return int(done.rowcount)  # type: ignore[attr-defined]


def progress(session: Session, account: Account, marketplace: Connection | None = None) -> Progress:
    """Counts confirmations, not sends: an offer counts when the marketplace has shown stock 0 for the newest wish."""
    where = [Offer.account_id == account.id, Offer.external_ref.is_not(None)]
    if marketplace is not None:
        where.append(Offer.connection_id == marketplace.id)
    at_zero = [
        ~Offer.stale,
        Offer.confirmed_revision == Offer.revision,
        Offer.desired["stock"].as_integer() == 0,
    ]
    total = session.scalar(select(func.count()).select_from(Offer).where(*where)) or 0
    confirmed, last = session.execute(
        select(func.count(), func.max(Offer.confirmed_at)).where(*where, *at_zero)
    ).one()
    return Progress(total, confirmed, last)
