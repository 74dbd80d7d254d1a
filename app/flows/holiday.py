"""Holiday mode: everything to stock 0 and back, and proof of it (I7).

What may go wrong: a marketplace takes closed dates only once a day, so that the end of a short holiday cannot be told at once. The stock never
waits for that; the deed stays due, the newest wish is what is told then, and until then a case says what buyers still see.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app import outbox, reservations
from app.delivery import Delivered
from app.errors import Unavailable
from app.models import Account, Case, Command, Connection, Listing, Offer, Product
from app.registry import ClosesShop, provider
from app.story import close_case, open_case

LONGEST = timedelta(days=60)  # a shop that nobody opens again opens by itself
WORTH_A_WORD = 600.0  # seconds that a marketplace lets us wait; of less nobody needs to know


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
    """Tell the marketplace the closed dates, so that buyers see them. What it does not let us set is said; stock is at 0 all the same.

    Only the newest wish is told: a holiday that ended before anybody could be told of it needs no call. Raises Unavailable while the
    marketplace does not listen; the deed stays due, and a case tells of it when that takes long.
    """
    account_id, connection_id = marketplace.account_id, marketplace.id
    subject, on = f"connection/{connection_id}/holiday", bool(command.payload["on"])
    if _is_overtaken(session, command):
        return Delivered({"on": on, "overtaken": True, "in_doubt": command.in_doubt})
    if _stands(session, command):
        close_case(session, account_id=account_id, subject=subject)
        return Delivered({"on": on, "told": True})
    now = datetime.now(UTC)
    since, until = (now, now + LONGEST) if on else (None, None)
    session.commit()
    try:
        reason = client.close_shop(since, until)
    except Unavailable as error:
        if (error.retry_after or 0) >= WORTH_A_WORD or command.repeated:
            code = "holiday.closed_later" if on else "holiday.opened_later"
            params = {"marketplace": provider(marketplace.provider).name}
            _only_case(session, account_id, connection_id, code, params)
            session.commit()
        raise
    if reason is None:
        close_case(session, account_id=account_id, subject=subject)
    else:
        _only_case(session, account_id, connection_id, reason.code, reason.params)
    return Delivered({"on": on, "told": reason is None})


def _only_case(
    session: Session, account_id: int, connection_id: int, code: str, params: Mapping[str, object]
) -> None:
    """What buyers see is one problem: a word about it takes the place of an earlier one."""
    subject = f"connection/{connection_id}/holiday"
    earlier = (
        Case.account_id == account_id,
        Case.subject == subject,
        Case.code != code,
        Case.state == "open",
    )
    session.execute(update(Case).where(*earlier).values(state="closed", closed_at=func.now()))
    open_case(
        session,
        account_id=account_id,
        connection_id=connection_id,
        subject=subject,
        code=code,
        params=params,
    )


def _is_overtaken(session: Session, command: outbox.Claimed) -> bool:
    """Whether the merchant has switched again since: then the later deed, which waits for this one, tells what counts."""
    later = (Command.subject == command.subject, Command.kind == "holiday", Command.id > command.id)
    return session.scalar(select(Command.id).where(*later, Command.state == "due").limit(1)) is not None


def _stands(session: Session, command: outbox.Claimed) -> bool:
    """Whether the marketplace shows this wish already, because all switches since it was told were overtaken before anything left here."""
    earlier = (Command.subject == command.subject, Command.kind == "holiday", Command.id < command.id)
    newest_first = select(Command.state, Command.result).where(*earlier).order_by(Command.id.desc()).limit(50)
    overtaken = False
    for state, result in session.execute(newest_first):
        known = result or {}
        if state == "done" and known.get("overtaken") and not known["in_doubt"]:
            overtaken = True
            continue
        told = state == "done" and known.get("told", False)
        return bool(overtaken and told and known["on"] == command.payload["on"])
    return False


def _marketplaces(session: Session, account: Account) -> Sequence[Connection]:
    mine = (
        Connection.account_id == account.id,
        Connection.role == "marketplace",
        Connection.state != "removed",
    )
    return session.scalars(select(Connection).where(*mine)).all()


def _close(session: Session, marketplace: Connection, on: bool) -> None:
    """Where the marketplace knows closed dates, one deed for each switch; they go out in order. On: by either switch, as for the stock.

    A deed that waits for its day is looked at again now: it is overtaken, and perhaps nothing has to be told any more.
    """
    if provider(marketplace.provider).can(marketplace.settings).holiday == "closed_dates":
        subject = f"holiday/{marketplace.id}"
        waiting = (
            Command.connection_id == marketplace.id,
            Command.subject == subject,
            Command.state == "due",
        )
        session.execute(update(Command).where(*waiting).values(next_attempt_at=func.now()))
        outbox.write(
            session,
            account_id=marketplace.account_id,
            connection_id=marketplace.id,
            kind="holiday",
            subject=subject,
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
