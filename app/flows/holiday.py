"""Holiday mode: everything to stock 0 and back, and proof of it (I7)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app import outbox, reservations
from app.delivery import Delivered
from app.models import Account, Connection, Listing, Offer, Product
from app.registry import ClosesShop, provider
from app.story import close_case, open_case

LONGEST = timedelta(days=60)  # a shop that nobody opens again opens by itself


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
    for each in [marketplace] if marketplace is not None else _marketplaces(session, account):
        _close(session, each, account.holiday or each.holiday)
    return int(done.rowcount)  # type: ignore[attr-defined]


def deliver(
    session: Session, command: outbox.Claimed, marketplace: Connection, client: ClosesShop
) -> Delivered:
    """Tell the marketplace the closed dates, so that buyers see them. What it does not let us set is said; stock is at 0 all the same."""
    now = datetime.now(UTC)
    since, until = (now, now + LONGEST) if command.payload["on"] else (None, None)
    account_id, connection_id = marketplace.account_id, marketplace.id
    session.commit()
    reason = client.close_shop(since, until)
    subject = f"connection/{connection_id}/holiday"
    if reason is None:
        close_case(session, account_id=account_id, subject=subject)
    else:
        open_case(
            session,
            account_id=account_id,
            connection_id=connection_id,
            subject=subject,
            code=reason.code,
            params=reason.params,
        )
    return Delivered({"on": command.payload["on"]})


def _marketplaces(session: Session, account: Account) -> Sequence[Connection]:
    mine = (
        Connection.account_id == account.id,
        Connection.role == "marketplace",
        Connection.state != "removed",
    )
    return session.scalars(select(Connection).where(*mine)).all()


def _close(session: Session, marketplace: Connection, on: bool) -> None:
    """Where the marketplace knows closed dates, one deed for each switch; they go out in order. On: by either switch, as for the stock."""
    if provider(marketplace.provider).can(marketplace.settings).holiday == "closed_dates":
        outbox.write(
            session,
            account_id=marketplace.account_id,
            connection_id=marketplace.id,
            kind="holiday",
            subject=f"holiday/{marketplace.id}",
            key=f"holiday:{marketplace.id}:{time.time_ns()}",
            payload={"on": on},
        )


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
