"""What workers run. A job is a lane of one connection: due rows are claimed, one flow per row, then the next connection has its turn.

Three jobs and nothing else (queues.FUNCTIONS): `drain_inbox` works off events, `drain_outbox` delivers commands and offers, `ask_marketplace`
looks for orders. Each stops after a batch or its time and rings again, so a flooding shop never keeps the others waiting. What may go
wrong is written beside the row it happened to; one bad row never stops the next (C10).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import structlog
from flask import Flask, current_app
from sqlalchemy import insert, select, text, update

from app import create_app, inbox, outbound, outbox, plan, queues
from app.delivery import Delivered
from app.errors import Invalid, Refused, ShopbridgeError, Unauthorised, Unavailable, Unknown
from app.extensions import db
from app.flows import (
    order_cancelled,
    order_noted,
    order_placed,
    order_returned,
    order_shipped,
    product_changed,
    push_offers,
    shop_order_changed,
    shop_reports,
    watch_drift,
)
from app.models import Attempt, Connection, Offer, Order, Schedule
from app.registry import provider, translator
from app.story import close_case, open_case, order_case

BATCH = 100
SECONDS = 20.0

log = structlog.get_logger(__name__)

DELIVERIES: dict[str, Callable[..., Delivered]] = {
    "ping": shop_reports.deliver_ping,
    "events.resend": shop_reports.deliver_resend,
    "order.create": order_placed.deliver_create,
    "order.cancel": order_cancelled.deliver_to_shop,
    "order.stop_shipping": order_cancelled.deliver_stop,
    "order.refund": order_returned.deliver_to_shop,
    "order.note": order_noted.deliver,
    "ship": order_shipped.deliver_ship,
    "cancel": order_cancelled.deliver_to_marketplace,
    "refund": order_returned.deliver_refund,
    "accept_return": order_returned.deliver_accept,
}


@cache
def worker_app() -> Flask:
    """The application of this worker process, made once: connections and the vault stay open from job to job."""
    return create_app(web=False)


def drain_inbox(connection_id: int) -> None:
    """Work off due events of one connection."""
    with _context():
        queues.lower("in", connection_id)
        Inbox(connection_id).drain()


def drain_outbox(connection_id: int) -> None:
    """Deliver due commands and offers of one connection."""
    with _context():
        queues.lower("out", connection_id)
        Outbox(connection_id).drain()


def ask_marketplace(connection_id: int) -> None:
    """Ask one marketplace everything that is due."""
    with _context():
        queues.lower("poll", connection_id)
        Polls(connection_id).ask()


def _context() -> Any:
    return current_app.app_context() if current_app else worker_app().app_context()


# --- the way in -----------------------------------------------------------------------------------------------------------------


class Inbox:
    """Events of one connection. Product and stock events of a batch are taken together, the rest one by one."""

    def __init__(self, connection_id: int) -> None:
        self.session = db.session
        self.connection_id = connection_id
        self.rang: set[int] = set()

    def drain(self) -> None:
        """One batch; more work rings again, behind the other connections."""
        lease = current_app.config["SHOPBRIDGE_IN_LEASE_SECONDS"]
        self.batch = inbox.claim(self.session, self.connection_id, lease=lease, limit=BATCH)
        if not self.batch.events:
            return
        try:
            self._work()
        except inbox.LeaseLost:
            self.session.rollback()
            log.warning("lease.lost", lane="in", connection=self.connection_id)
        self._ring()
        if len(self.batch.events) == BATCH:
            queues.ring("in", self.connection_id)

    def _work(self) -> None:
        """Everything of the batch in one transaction; a row that fails is rolled back alone and keeps its reason."""
        self.connection = self.session.get_one(Connection, self.connection_id)
        self.translate = translator(self.connection.provider)
        self.done: dict[str, list[int]] = {"done": [], "superseded": []}
        read = [(event, data) for event in self.batch.events if (data := self._data(event)) is not None]
        together = {
            "product.changed": self._products,
            "stock.changed": self._stocks,
            "product.deleted": self._removed,
        }
        for kind, take in together.items():
            self._many([pair for pair in read if pair[0].type == kind], take)
        for event, data in read:
            if event.type not in together:
                self._alone([(event, data)], lambda pairs: self._one(*pairs[0]))
        inbox.finish(self.session, self.batch, self.done)
        newest = max(event.sequence for event in self.batch.events)
        self.connection.last_sequence = max(self.connection.last_sequence or 0, newest)
        self.connection.last_event_at = datetime.now(UTC)
        self._note_work()
        self.session.commit()

    def _data(self, event: inbox.Claimed) -> dict[str, Any] | None:
        try:
            return event.data()
        except ShopbridgeError as error:
            self._failed(event, error)
            return None

    def _many(
        self,
        pairs: Sequence[tuple[inbox.Claimed, Any]],
        take: Callable[[Sequence[tuple[inbox.Claimed, Any]]], None],
    ) -> None:
        """Try them all at once; when one of them is bad, each gets its own chance."""
        if not pairs:
            return
        try:
            with self.session.begin_nested():
                take(pairs)
        except Exception as error:  # noqa: BLE001  (whatever it was, the single rows will tell; nothing is kept of the joint try)
            log.info("batch.split", connection=self.connection_id, events=len(pairs), error=repr(error)[:200])
            for pair in pairs:
                self._alone([pair], take)
        else:
            self.done["done"] += [event.id for event, _ in pairs]

    def _alone(
        self,
        pairs: Sequence[tuple[inbox.Claimed, Any]],
        take: Callable[[Sequence[tuple[inbox.Claimed, Any]]], Any],
    ) -> None:
        event = pairs[0][0]
        try:
            with self.session.begin_nested():
                state = take(pairs) or "done"
        except ShopbridgeError as error:
            self._failed(event, error)
        except Exception as error:
            log.exception("event.crashed", event=event.id, type=event.type)
            self._failed(event, Unavailable("job.crashed", error=type(error).__name__))
        else:
            self.done[state].append(event.id)

    def _failed(self, event: inbox.Claimed, error: ShopbridgeError) -> None:
        final = isinstance(error, Refused)
        state = inbox.fail(
            self.session,
            self.batch,
            event,
            error,
            final=final,
            scale=current_app.config["SHOPBRIDGE_RETRY_SCALE"],
        )
        if state in {"refused", "dead"}:
            open_case(
                self.session,
                account_id=self.connection.account_id,
                connection_id=self.connection_id,
                subject=f"event/{event.id}",
                code=error.code,
                **{"type": event.type, "about": event.subject, **error.params},
            )

    def _products(self, pairs: Sequence[tuple[inbox.Claimed, Any]]) -> None:
        product_changed.receive(
            self.session,
            self.connection,
            [(event.sequence, self.translate.product(data)) for event, data in pairs],
        )

    def _stocks(self, pairs: Sequence[tuple[inbox.Claimed, Any]]) -> None:
        product_changed.receive_stock(
            self.session,
            self.connection,
            [(event.sequence, self.translate.stock(data)) for event, data in pairs],
        )

    def _removed(self, pairs: Sequence[tuple[inbox.Claimed, Any]]) -> None:
        gone = [(event.sequence, event.subject.partition("/")[2]) for event, _ in pairs]
        product_changed.removed(self.session, self.connection, gone)

    def _one(self, event: inbox.Claimed, data: dict[str, Any]) -> str | None:
        """An event of an order or of the shop itself. Answers "superseded" for an older look."""
        if event.type == "order.deleted":
            known = shop_order_changed.deleted(
                self.session, self.connection, event.sequence, event.subject.partition("/")[2]
            )
            return None if known is None or known.newer else "superseded"
        if event.type.startswith(("order.", "shipment.")):
            return self._order(event, data)
        if event.type in {"settings.changed", "plugin.installed"}:
            shop_reports.settings(self.session, self.connection, data)
        elif event.type == "plugin.removed":
            shop_reports.removed(self.session, self.connection)
        elif event.type == "manifest.daily":
            shop_reports.manifest(self.session, self.connection, data)
        else:
            raise Refused("event.not_understood", type=event.type)
        return None

    def _order(self, event: inbox.Claimed, data: dict[str, Any]) -> str | None:
        """The stories that an order of the shop can tell, one after another. Refunds and parcels can only grow, so an older look may still
        bring a new one; a status only counts when it is news.
        """
        seen = self.translate.order(data)
        known = shop_order_changed.receive(self.session, self.connection, event.sequence, seen)
        if known is None:
            return None
        order_shipped.from_shop(self.session, self.connection, known.order, seen, newer=known.newer)
        if known.newer:
            order_cancelled.from_shop(self.session, known.order, seen.status)
        order_returned.from_shop(self.session, known.order, seen.refunds)
        self.rang.add(known.order.connection_id)
        return None if known.newer else "superseded"

    def _note_work(self) -> None:
        """Marketplaces whose offers this batch touched have work now."""
        self.session.flush()
        stale = (
            select(Offer.connection_id)
            .where(Offer.stale, Offer.account_id == self.connection.account_id)
            .distinct()
        )
        self.rang |= set(self.session.scalars(stale))
        self.rang.add(self.connection_id)

    def _ring(self) -> None:
        for connection_id in sorted(self.rang):
            queues.ring("out", connection_id)


# --- the way out ----------------------------------------------------------------------------------------------------------------


class Partner:
    """One connection with the client that speaks to it. Every call it makes is an attempt row."""

    def __init__(self, connection: Connection) -> None:
        self.connection_id, self.account_id = connection.id, connection.account_id
        self.provider = provider(connection.provider)
        self.command_id: int | None = None
        door = outbound.Door(
            connection=connection.id,
            base_url=connection.base_url or self.provider.base_url or "",
            egress="tenant_url" if connection.base_url else self.provider.egress,
            allow_loopback=current_app.config["SHOPBRIDGE_ALLOW_LOOPBACK"],
            pace=self.provider.pace,
            record=self.record,
        )
        settings = {
            **connection.settings,
            **(connection.secrets or {}).get("settings", {}),
            "secrets": connection.secrets or {},
        }
        self.client = self.provider.client(door, settings)

    def record(self, note: outbound.AttemptNote) -> None:
        """Written in a transaction of its own: what was said stays known, whatever becomes of the work."""
        values = {
            "account_id": self.account_id,
            "connection_id": self.connection_id,
            "command_id": self.command_id,
            "operation": note.operation,
            "method": note.method,
            "url": note.url,
            "started_at": note.started_at,
            "duration_ms": note.duration_ms,
            "outcome": note.outcome,
            "status": note.status,
            "excerpt": note.excerpt.replace("\x00", ""),
            "error": note.error,
        }
        with db.engine.begin() as connection:
            connection.execute(insert(Attempt.__table__).values(values))


class Outbox:
    """Commands, then offers, of one connection, for at most SECONDS."""

    def __init__(self, connection_id: int) -> None:
        self.session = db.session
        self.connection_id = connection_id
        self.lease = current_app.config["SHOPBRIDGE_OUT_LEASE_SECONDS"]
        self.scale = current_app.config["SHOPBRIDGE_RETRY_SCALE"]
        self.until = time.monotonic() + SECONDS

    def drain(self) -> None:
        """Stops early when the partner rests or the credentials do not work; the rows stay due."""
        connection = self.session.get(Connection, self.connection_id)
        if connection is None or connection.state == "removed" or _resting(connection):
            return
        only = "" if connection.state == "active" else "ping"
        self.partner = Partner(connection)
        self.session.commit()
        try:
            while self._commands(only):
                if time.monotonic() > self.until:
                    queues.ring("out", self.connection_id)
                    return
            if not only:
                self._offers()
        except (Unavailable, Unauthorised, Unknown) as error:
            self._rest(error)
            self.session.commit()

    def _commands(self, only: str) -> bool:
        claimed = outbox.claim(self.session, self.connection_id, lease=self.lease, kind=only)
        for place, command in enumerate(claimed):
            try:
                self._deliver(command)
            except (Unavailable, Unauthorised) as error:
                if isinstance(error, Unauthorised) or error.pauses:
                    self._give_back(claimed[place + 1 :], error)
                    raise
        return bool(claimed)

    def _deliver(self, command: outbox.Claimed) -> None:
        """One command: the flow makes the call, its changes and the end of the command are one commit."""
        self.partner.command_id = command.id
        connection = self.session.get_one(Connection, self.connection_id)
        try:
            done = DELIVERIES[command.kind](self.session, command, connection, self.partner.client)
            if done.refused is not None:
                outbox.refuse(self.session, command, Refused(done.refused.code, **done.refused.params))
            else:
                outbox.finish(self.session, command, done.result)
                connection.last_ok_at = datetime.now(UTC)
            self._reset_connection(connection)
            self.session.commit()
        except inbox.LeaseLost:
            self.session.rollback()
            log.warning("lease.lost", lane="out", command=command.id)
        except ShopbridgeError as error:
            self.session.rollback()
            self._failed(command, error)
            if isinstance(error, Unavailable | Unauthorised):
                raise
        except Exception as error:
            self.session.rollback()
            log.exception("command.crashed", command=command.id, kind=command.kind)
            self._failed(command, Unknown("job.crashed", error=type(error).__name__))
        finally:
            self.partner.command_id = None
        for connection_id in self._neighbours():
            queues.ring("out", connection_id)

    def _failed(self, command: outbox.Claimed, error: ShopbridgeError) -> None:
        """Refused waits for a person; everything else comes back by the plan. In doubt stays in doubt until somebody has read back."""
        doubt = command.in_doubt or isinstance(error, Unknown | Invalid)
        state = "due"
        try:
            if isinstance(error, Refused) and not isinstance(error, Unauthorised | Invalid):
                outbox.refuse(self.session, command, error)
                state = "refused"
            else:
                state = outbox.later(
                    self.session,
                    command,
                    error,
                    scale=self.scale,
                    retry_after=getattr(error, "retry_after", None),
                    in_doubt=doubt,
                    counts=not isinstance(error, Unauthorised) and not getattr(error, "pauses", False),
                )
        except inbox.LeaseLost:
            self.session.rollback()
            return
        if state in {"refused", "dead"}:
            self._show(command, error, state)
        self.session.commit()

    def _show(self, command: outbox.Claimed, error: ShopbridgeError, state: str) -> None:
        order = self.session.get(Order, command.order_id) if command.order_id else None
        code = error.code if state == "refused" else "retry.exhausted"
        params = {"kind": command.kind, "last": error.code, **error.params}
        if order is not None:
            order_case(self.session, order, code, part=f"command/{command.id}", **params)
        else:
            open_case(
                self.session,
                account_id=self.partner.account_id,
                connection_id=self.connection_id,
                subject=f"command/{command.id}",
                code=code,
                **params,
            )

    def _give_back(self, rest: Sequence[outbox.Claimed], error: ShopbridgeError) -> None:
        for command in rest:
            outbox.later(
                self.session,
                command,
                error,
                scale=self.scale,
                retry_after=0.0,
                in_doubt=command.in_doubt,
                counts=False,
            )
        self.session.commit()

    def _offers(self) -> None:
        connection = self.session.get_one(Connection, self.connection_id)
        if self.partner.provider.role != "marketplace" or not connection.sync:
            return
        while push_offers.push(
            self.session,
            connection,
            self.partner.client,
            self.partner.provider,
            lease=self.lease,
            scale=self.scale,
        ):
            self._reset_connection(connection)
            if time.monotonic() > self.until:
                queues.ring("out", self.connection_id)
                return

    def _rest(self, error: ShopbridgeError) -> None:
        """The connection pauses: for as long as the partner said, or until the credentials are mended."""
        connection = self.session.get_one(Connection, self.connection_id)
        note_error(connection, error)
        if isinstance(error, Unauthorised):
            connection.state, connection.reason_code, connection.reason_params = (
                "needs_attention",
                error.code,
                plan.jsonable(error.params),
            )
            open_case(
                self.session,
                account_id=connection.account_id,
                connection_id=connection.id,
                subject=f"connection/{connection.id}",
                code=error.code,
                **error.params,
            )
        elif isinstance(error, Unavailable) and error.pauses:
            connection.paused_until = datetime.now(UTC) + timedelta(seconds=error.retry_after or 5.0)

    def _reset_connection(self, connection: Connection) -> None:
        if connection.paused_until is not None:
            connection.paused_until = None

    def _neighbours(self) -> list[int]:
        """Connections of the account that this delivery gave work to."""
        query = text("""
            SELECT DISTINCT connection_id FROM command
            WHERE account_id = :account AND connection_id <> :me AND state = 'due' AND next_attempt_at <= now()
            UNION SELECT DISTINCT connection_id FROM offer WHERE account_id = :account AND stale
        """)
        return list(
            self.session.execute(
                query, {"account": self.partner.account_id, "me": self.connection_id}
            ).scalars()
        )


def note_error(connection: Connection, error: ShopbridgeError) -> None:
    """What the status page shows as the last error."""
    connection.last_error_at, connection.last_error_code = datetime.now(UTC), error.code


def _resting(connection: Connection) -> bool:
    return connection.paused_until is not None and connection.paused_until > datetime.now(UTC)


# --- asking ---------------------------------------------------------------------------------------------------------------------

# Clocks of two machines differ and lists are sorted by them: every look reaches a little further back than the last one ended.
OVERLAP = {
    "orders": timedelta(hours=2),
    "changes": timedelta(minutes=15),
    "returns": timedelta(minutes=15),
    "drift": timedelta(0),
}
FIRST_LOOK = timedelta(days=14)


class Polls:
    """Everything that is due to be asked of one marketplace (D3)."""

    def __init__(self, connection_id: int) -> None:
        self.session = db.session
        self.connection_id = connection_id

    def ask(self) -> None:
        """Each kind of look under its own lease; a failed look does not stop the next kind."""
        connection = self.session.get(Connection, self.connection_id)
        if connection is None or connection.state != "active" or _resting(connection):
            return
        self.partner = Partner(connection)
        for schedule_id in self._claim():
            self._look(schedule_id)
        queues.ring("out", self.connection_id)
        if connection.shop_id is not None:
            queues.ring("out", connection.shop_id)

    def _claim(self) -> list[int]:
        rows = self.session.execute(
            text("""
                UPDATE schedule SET lease_until = now() + interval '120 seconds'
                WHERE id IN (SELECT id FROM schedule WHERE connection_id = :connection AND due_at <= now()
                             AND (lease_until IS NULL OR lease_until < now()) ORDER BY due_at FOR UPDATE SKIP LOCKED)
                RETURNING id
            """),
            {"connection": self.connection_id},
        ).scalars()
        ids = list(rows)
        self.session.commit()
        return ids

    def _look(self, schedule_id: int) -> None:
        started = datetime.now(UTC)
        schedule = self.session.get_one(Schedule, schedule_id)
        kind, since = schedule.kind, schedule.seen_until
        every = current_app.config["SHOPBRIDGE_POLL_SECONDS"] or schedule.every
        self.session.commit()
        try:
            for page in self._pages(kind, since - OVERLAP[kind] if since else started - FIRST_LOOK):
                self._page(kind, page)
        except ShopbridgeError as error:
            self.session.rollback()
            self._failed(schedule_id, error, every)
            return
        self.session.execute(
            update(Schedule)
            .where(Schedule.id == schedule_id)
            .values(
                seen_until=started,
                last_ok_at=started,
                failures=0,
                lease_until=None,
                due_at=started + timedelta(seconds=every),
            )
        )
        connection = self.session.get_one(Connection, self.connection_id)
        connection.last_ok_at = started
        self.session.commit()

    def _pages(self, kind: str, since: datetime) -> Iterator[Any]:
        client = self.partner.client
        if kind == "orders":
            yield from client.orders_to_ship(since)
        elif kind == "changes":
            yield from client.orders_changed(since)
        elif kind == "returns":
            yield from client.returns_changed(since)
        else:
            watch_drift.make_missing_offers(
                self.session, self.session.get_one(Connection, self.connection_id)
            )
            self.session.commit()
            yield from client.read_offers(None)

    def _page(self, kind: str, page: Sequence[Any]) -> None:
        """Every order and return is a transaction of its own: one bad order never blocks another (C10)."""
        connection = self.session.get_one(Connection, self.connection_id)
        if kind == "drift":
            watch_drift.compare(self.session, connection, page)
            self.session.commit()
            return
        for seen in page:
            subject = f"connection/{self.connection_id}/{kind}/{seen.external_id}"
            try:
                self._receive(kind, connection, seen)
                close_case(self.session, account_id=self.partner.account_id, subject=subject)
                self.session.commit()
            except Exception as error:
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
                    order=seen.external_id,
                )
                self.session.commit()

    def _receive(self, kind: str, connection: Connection, seen: Any) -> None:
        if kind == "returns":
            order_returned.from_marketplace(self.session, connection, seen)
            return
        for order in order_placed.receive(self.session, connection, seen):
            order_cancelled.from_marketplace(self.session, order)

    def _failed(self, schedule_id: int, error: ShopbridgeError, every: int) -> None:
        connection = self.session.get_one(Connection, self.connection_id)
        note_error(connection, error)
        schedule = self.session.get_one(Schedule, schedule_id)
        schedule.failures += 1
        wait = getattr(error, "retry_after", None) or min(every, 2.0**schedule.failures)
        schedule.due_at, schedule.lease_until = datetime.now(UTC) + timedelta(seconds=wait), None
        if isinstance(error, Unauthorised):
            connection.state, connection.reason_code, connection.reason_params = (
                "needs_attention",
                error.code,
                plan.jsonable(error.params),
            )
            open_case(
                self.session,
                account_id=connection.account_id,
                connection_id=connection.id,
                subject=f"connection/{connection.id}",
                code=error.code,
                **error.params,
            )
        elif isinstance(error, Unavailable) and error.pauses:
            connection.paused_until = datetime.now(UTC) + timedelta(seconds=wait)
        self.session.commit()
