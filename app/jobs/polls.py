"""Asks one marketplace what only asking can tell: new orders, changes, returns, and what its offers really show (D3).

Every order is a transaction of its own; one that cannot be read or remembered becomes a case and the next one lands (C10).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from flask import current_app
from sqlalchemy import select, text, update

from app import outbox, queues
from app.errors import Invalid, Refused, ShopbridgeError, Unavailable
from app.extensions import db
from app.flows import (
    order_accepted,
    order_cancelled,
    order_placed,
    order_returned,
    order_shipped,
    trade_returned,
    watch_drift,
)
from app.jobs.partner import Partner, note_trouble, rests
from app.models import Case, Connection, Schedule
from app.story import close_case, open_case

log = structlog.get_logger(__name__)

# Clocks of two machines differ and lists are sorted by them: every look reaches a little further back than the last one ended.
OVERLAP = {
    "orders": timedelta(hours=2),
    "changes": timedelta(minutes=15),
    "returns": timedelta(minutes=15),
    "drift": timedelta(0),
}
FIRST_LOOK = timedelta(days=14)
KEPT_OPEN = timedelta(days=7)  # how long a look reaches back for an order that could not be taken in
LONGEST_OPEN = timedelta(days=60)  # no marketplace leaves an order open for longer without a change
LONGEST_DOUBLING = 10  # 2 ** 10 seconds are more than any look's own time; 2.0 ** 1024 is no number any more

_CLAIM = text("""
    UPDATE schedule SET lease_until = now() + interval '120 seconds'
    WHERE id = (SELECT id FROM schedule WHERE connection_id = :connection AND due_at <= now() AND id <> ALL(:asked)
                AND (lease_until IS NULL OR lease_until < now())
                ORDER BY array_position(ARRAY['orders', 'changes', 'returns'], kind) NULLS LAST LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id
""")


class Polls:
    """Everything that is due to be asked of one marketplace (D3)."""

    def __init__(self, connection_id: int) -> None:
        self.session = db.session()
        self.connection_id = connection_id

    def ask(self) -> None:
        """Each kind of look under its own lease; a failed look does not stop the next kind, unless the partner must be left alone."""
        connection = self.session.get(Connection, self.connection_id)
        if connection is None or connection.state != "active" or rests(connection):
            return
        self.partner = Partner(connection)
        asked: list[int] = []
        while connection.state == "active" and not rests(connection):
            schedule_id = self._claim(asked)
            if schedule_id is None:
                break
            asked.append(schedule_id)
            self._look(schedule_id)
        queues.ring("out", self.connection_id)
        if connection.shop_id is not None:
            queues.ring("out", connection.shop_id)

    def _claim(self, asked: list[int]) -> int | None:
        """The next look that is due. Orders before drift: a sale that is not known yet looks like drift, and repairing it would sell the
        piece twice.
        """
        found: int | None = self.session.execute(
            _CLAIM, {"connection": self.connection_id, "asked": asked}
        ).scalar()
        self.session.commit()
        return found

    def _renew(self, schedule_id: int) -> None:
        """A long look stays one look: nobody else begins it while pages come."""
        lease = text("now() + interval '120 seconds'")
        self.session.execute(update(Schedule).where(Schedule.id == schedule_id).values(lease_until=lease))
        self.session.commit()

    def _look(self, schedule_id: int) -> None:
        started = datetime.now(UTC)
        schedule = self.session.get_one(Schedule, schedule_id)
        kind, since = schedule.kind, schedule.seen_until
        if since is not None and since > started:
            since = (
                started - KEPT_OPEN
            )  # the clock was ahead, so nobody knows how far the last look really reached
        always: int | None = current_app.config["SHOPBRIDGE_POLL_SECONDS"]
        every = always or schedule.every
        pause = min(schedule.every, 2 * max(schedule.floor, schedule.pause))
        self.session.commit()
        lost = 0
        try:
            for page in self._pages(kind, since - OVERLAP[kind] if since else None, started):
                lost += self._page(kind, page)
                for given in sorted(outbox.given_work(self.session)):
                    pause = schedule.floor  # something came, so more may come (C1)
                    queues.ring("out", given)
                self._renew(schedule_id)
        except ShopbridgeError as error:
            self.session.rollback()
            self._failed(schedule_id, error, every)
            return
        except Exception as error:
            self.session.rollback()
            log.exception("look.crashed", connection=self.connection_id, kind=kind)
            self._failed(schedule_id, Unavailable("job.crashed", error=type(error).__name__), every)
            return
        self.session.execute(
            update(Schedule)
            .where(Schedule.id == schedule_id)
            .values(
                # What could not be taken in must be seen again, also when a week later somebody has mended why.
                seen_until=self._reached(kind, since, started) if lost else started,
                last_ok_at=started,
                failures=0,
                lease_until=None,
                pause=pause,
                due_at=started + timedelta(seconds=always or pause),
            )
        )
        connection = self.session.get_one(Connection, self.connection_id)
        connection.last_ok_at = started
        subject = f"connection/{connection.id}/{kind}"
        close_case(self.session, account_id=connection.account_id, subject=subject)
        self.session.commit()

    def _reached(self, kind: str, since: datetime | None, started: datetime) -> datetime | None:
        """From where to look next after a look that could not take in everything. None: the first look is made again.

        Where the look at orders is the only one, the first one shows open orders only: made again and again it would never show a cancellation.
        """
        if since is not None:
            return max(since, started - KEPT_OPEN)
        connection = self.session.get_one(Connection, self.connection_id)
        kinds = {poll.kind for poll in self.partner.provider.looks(connection.settings)}
        return started - LONGEST_OPEN if kind == "orders" and "changes" not in kinds else None

    def _pages(self, kind: str, since: datetime | None, now: datetime) -> Iterator[Any]:
        """The first look at orders takes everything that is still to be shipped, however old."""
        client = self.partner.client
        if kind == "orders":
            yield from client.orders_to_ship(since)
        elif kind == "changes":
            yield from client.orders_changed(since or now - FIRST_LOOK)
        elif kind == "returns":
            yield from client.returns_changed(since or now - FIRST_LOOK)
        else:
            connection = self.session.get_one(Connection, self.connection_id)
            watch_drift.make_missing_offers(self.session, connection)
            watch_drift.try_unknown_products_again(self.session, connection)
            self.session.commit()
            yield from client.read_offers(None)

    def _page(self, kind: str, page: Sequence[Any]) -> int:
        """Every order and return is a transaction of its own: one bad order never blocks another (C10). Answers how many were bad."""
        lost = 0
        connection = self.session.get_one(Connection, self.connection_id)
        if kind == "drift":
            watch_drift.compare(self.session, connection, page)
            self.session.commit()
            return 0
        bad = self._bad_before(kind)
        for seen in page:
            subject = f"connection/{self.connection_id}/{kind}/{seen.external_id}"
            try:
                self._receive(kind, connection, seen)
                if subject in bad:
                    close_case(self.session, account_id=self.partner.account_id, subject=subject)
                self.session.commit()
            except Exception as error:
                lost += 1
                bad.add(subject)
                self.session.rollback()
                log.exception(
                    "look.crashed", connection=self.connection_id, kind=kind, order=seen.external_id
                )
                code = error.code if isinstance(error, ShopbridgeError) else "job.crashed"
                open_case(
                    self.session,
                    account_id=self.partner.account_id,
                    connection_id=self.connection_id,
                    subject=subject,
                    code=code,
                    params={"order": seen.external_id},
                )
                self.session.commit()
        return lost

    def _bad_before(self, kind: str) -> set[str]:
        """Subjects of this look's open cases: hardly any order has one, and only those need be closed."""
        mine = (Case.account_id == self.partner.account_id, Case.state == "open")
        beginning = f"connection/{self.connection_id}/{kind}/"
        return set(
            self.session.scalars(select(Case.subject).where(*mine, Case.subject.startswith(beginning)))
        )

    def _receive(self, kind: str, connection: Connection, seen: Any) -> None:
        if kind == "returns":
            touched = order_returned.from_marketplace(self.session, connection, seen)
            self.session.commit()  # child orders are locked before the retailer's order, never after it
            trade_returned.tell_suppliers(self.session, touched)
            return
        can = self.partner.provider.can(connection.settings)
        for order in order_placed.receive(self.session, connection, seen):
            if order_cancelled.from_marketplace(self.session, order):
                order_shipped.let_go(self.session, order)
            if seen.awaits_acceptance:
                order_accepted.want(self.session, order, can)
            elif can.acceptance != "none":
                order_accepted.is_answered(self.session, order)

    def _failed(self, schedule_id: int, error: ShopbridgeError, every: int) -> None:
        """The window of the look is not moved on, so nothing that was missed is lost. What cannot be read needs a person, not a hurry."""
        schedule = self.session.get_one(Schedule, schedule_id)
        connection = self.session.get_one(Connection, self.connection_id)
        schedule.failures += 1
        wait = getattr(error, "retry_after", None) or min(
            every, 2.0 ** min(schedule.failures, LONGEST_DOUBLING)
        )
        if isinstance(error, Invalid) and schedule.seen_until is None:
            schedule.seen_until = self._reached(schedule.kind, None, datetime.now(UTC))
        if isinstance(error, Refused):
            wait = every
            open_case(
                self.session,
                account_id=connection.account_id,
                connection_id=connection.id,
                subject=f"connection/{connection.id}/{schedule.kind}",
                code=error.code,
                params=error.params,
            )
        schedule.due_at, schedule.lease_until = datetime.now(UTC) + timedelta(seconds=wait), None
        note_trouble(self.session, connection, error)
        self.session.commit()
