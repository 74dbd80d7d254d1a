"""Delivers the commands and the offers of one connection: one flow per command, a batch of offers per call.

Commands that belong to one order go out one after another. What may go wrong decides what happens: a refusal waits for a person, silence is
read back before it is repeated, a partner that asks for a pause gets it, and the rest comes back by the retry plan.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from flask import current_app
from sqlalchemy import select, text

from app import inbox, outbox, queues
from app import messages as m
from app.delivery import Delivered
from app.errors import Invalid, Refused, ShopbridgeError, Unauthorised, Unavailable, Unknown
from app.extensions import db
from app.flows import (
    compare_money,
    holiday,
    label_sender,
    order_accepted,
    order_cancelled,
    order_noted,
    order_placed,
    order_returned,
    order_shipped,
    order_timeline,
    pay,
    products_released,
    push_listings,
    push_offers,
    return_rejected,
    shop_reports,
    trade_cancelled,
    trade_passed_on,
    trade_returned,
    trade_shipped,
    trade_shop_gone,
    trade_status,
)
from app.jobs.partner import Partner, note_trouble, rests
from app.models import Connection, Order, Return
from app.story import open_case, order_case

SECONDS = 2.0  # then the other connections have their turn
OFFERS_EVERY = 0.25  # a long row of deeds must not keep an old stock on sale
LISTINGS_IN_BETWEEN = 5  # orders first: a shop takes its time for each

log = structlog.get_logger(__name__)

DELIVERIES: dict[str, Callable[..., Delivered]] = {
    "ping": shop_reports.deliver_ping,
    "events.resend": shop_reports.deliver_resend,
    "secret.rotate": shop_reports.deliver_rotate,
    "order.create": order_placed.deliver_create,
    "order.cancel": order_cancelled.deliver_to_shop,
    "order.stop_shipping": order_cancelled.deliver_stop,
    "order.refund": order_returned.deliver_to_shop,
    "order.note": order_noted.deliver,
    "order.status": order_noted.deliver_status,
    "order.label_sender": label_sender.deliver,
    "order.tracking": trade_shipped.deliver_tracking,
    "trade.status": trade_status.deliver,
    "trade.cancel": trade_cancelled.deliver,
    "trade.completed": trade_shipped.deliver_completed,
    "accept_order": order_accepted.deliver,
    "ship": order_shipped.deliver_ship,
    "holiday": holiday.deliver,
    "order.booked": order_shipped.deliver_booked,
    "cancel": order_cancelled.deliver_to_marketplace,
    "refund": order_returned.deliver_refund,
    "accept_return": order_returned.deliver_accept,
    "reject_return": return_rejected.deliver,
    "pay": pay.deliver,
    "pay.ask": pay.deliver_ask,
    "pay.payouts": pay.deliver_payouts,
    "pay.compare": compare_money.deliver,
}


class Outbox:
    """Commands, then offers, of one connection, for at most SECONDS."""

    def __init__(self, connection_id: int) -> None:
        self.session = db.session()
        self.connection_id = connection_id
        self.lease = current_app.config["SHOPBRIDGE_OUT_LEASE_SECONDS"]
        self.scale = current_app.config["SHOPBRIDGE_RETRY_SCALE"]
        self.until = time.monotonic() + SECONDS
        self.offers_at = time.monotonic() + OFFERS_EVERY

    def drain(self) -> None:
        """Stops early when the partner rests or the credentials do not work; the rows stay due."""
        connection = self.session.get(Connection, self.connection_id)
        if connection is None or connection.state == "removed" or rests(connection):
            return
        only = "" if connection.state == "active" else "ping"
        self.partner = Partner(connection)
        self.session.commit()
        if self.partner.provider.role == "network" and not only:
            self._trades()
        try:
            while self._commands(only):
                if time.monotonic() > self.until:
                    queues.ring("out", self.connection_id)
                    return
                if not only:
                    self._offers_in_between()
            if not only:
                self._what_is_shown()
        except (Unavailable, Unauthorised, Unknown) as error:
            self._rest(error)
            self.session.commit()

    def _trades(self) -> None:
        """Parts that this supplier gets now, each in a transaction of its own: one that fails keeps nobody else waiting (C10)."""
        now = datetime.now(UTC)
        due = trade_passed_on.due(self.session, self.session.get_one(Connection, self.connection_id), now)
        for trade_id in due:
            try:
                self._pass_on(trade_id, now)
            except Exception:
                log.exception("trade.not_passed_on", trade=trade_id)
                self.session.rollback()
                trade_passed_on.later(self.session, trade_id, now)
        for connection_id in sorted(outbox.given_work(self.session)):
            queues.ring("out", connection_id)

    def _pass_on(self, trade_id: int, now: datetime) -> None:
        child = trade_passed_on.pass_on(self.session, trade_id, now)
        if child is not None:
            source = self.session.get_one(Connection, self.connection_id)
            order_placed.into_shop(self.session, source, child)
            label_sender.want(self.session, child)
        self.session.commit()

    def _commands(self, only: str) -> bool:
        """One command at a time: its lease covers its own calls only, and a worker that dies leaves just this one in doubt."""
        claimed = outbox.claim(self.session, self.connection_id, lease=self.lease, limit=1, kind=only)
        for command in claimed:
            try:
                self._deliver(command)
            except (Unavailable, Unauthorised) as error:
                if isinstance(error, Unauthorised) or error.pauses:
                    raise
        return bool(claimed)

    def _deliver(self, command: outbox.Claimed) -> None:
        """One command: the flow makes the call, its changes and the end of the command are one commit."""
        self.partner.command_id = command.id
        connection = self.session.get_one(Connection, self.connection_id)
        try:
            done = DELIVERIES[command.kind](self.session, command, connection, self.partner.client)
            if connection.role == "network" and command.kind == "ship":
                # What left the supplier's house means money and news for the retailer, in the same transaction (K11).
                trade_shipped.left(self.session, command, connection)
            if connection.role == "marketplace" and command.kind == "cancel":
                # A parcel of the other pieces may have waited to hear whether these leave with it.
                order_shipped.let_go(self.session, self.session.get_one(Order, command.order_id))
            if connection.role == "shop" and command.kind == "ping":
                trade_shop_gone.back(self.session, connection)
            if done.seen is not None:
                self._take_in(connection, done.seen)
            if done.refused is not None:
                refusal = Refused(done.refused.code, **done.refused.params)
                outbox.refuse(self.session, command, refusal, in_doubt=done.in_doubt)
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
        self._tell_suppliers(command)
        for connection_id in sorted({*self._neighbours(), *outbox.given_work(self.session)}):
            queues.ring("out", connection_id)

    def _tell_suppliers(self, command: outbox.Claimed) -> None:
        """Suppliers of the network hear of an answered return at once: not every marketplace shows it in a later look."""
        if command.kind not in {"accept_return", "reject_return"}:
            return
        named = command.payload.get("returns") or [command.payload["return"]]
        try:
            mine = select(Return.order_id).where(Return.id.in_(named))
            trade_returned.tell_suppliers(self.session, self.session.scalars(mine).all())
        except Exception:
            # The return itself is answered; a look that shows it tells them too.
            log.exception("suppliers.not_told", command=command.id)
            self.session.rollback()

    def _take_in(self, connection: Connection, seen: m.OrderSeen) -> None:
        """The marketplace has shown the order after a deed: as good as a look at it (C1)."""
        for order in order_placed.receive(self.session, connection, seen):
            if order_cancelled.from_marketplace(self.session, order):
                order_shipped.let_go(self.session, order)

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
                    counts=_was_a_try(error),
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
                params=params,
            )

    def _offers_in_between(self) -> None:
        """One batch of offers or listings between two deeds: a hundred parcels take a while, and what is sold out must go off sale within
        seconds (I11, K5).
        """
        role = self.partner.provider.role
        if time.monotonic() < self.offers_at or role not in {"marketplace", "shop"}:
            return
        connection = self.session.get_one(Connection, self.connection_id)
        if role == "shop":
            self._some_listings(connection, LISTINGS_IN_BETWEEN)
        elif connection.sync:
            push_offers.push(
                self.session,
                connection,
                self.partner.client,
                self.partner.provider,
                lease=self.lease,
                scale=self.scale,
            )
        self.offers_at = time.monotonic() + OFFERS_EVERY

    def _what_is_shown(self) -> None:
        """Desired states, after the deeds: the stories in a shop's order boxes, the offers at a marketplace."""
        connection = self.session.get_one(Connection, self.connection_id)
        if self.partner.provider.role == "shop":
            if order_timeline.push(self.session, connection, self.partner.client):
                queues.ring("out", self.connection_id)  # more stories, after the orders that came meanwhile
            if self._some_listings(connection, push_listings.AT_ONCE):
                queues.ring("out", self.connection_id)
            if products_released.push(self.session, connection, self.partner.client):
                queues.ring("out", self.connection_id)
        elif self.partner.provider.role == "marketplace" and connection.sync:
            self._offers(connection)

    def _some_listings(self, shop: Connection, at_once: int) -> int:
        return push_listings.push(
            self.session, shop, self.partner.client, lease=self.lease, scale=self.scale, at_once=at_once
        )

    def _offers(self, connection: Connection) -> None:
        if self.partner.provider.can(connection.settings).answers_later:
            push_offers.collect(
                self.session, connection, self.partner.client, lease=self.lease, hurry=self.partner.hurry
            )
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
        note_trouble(self.session, self.session.get_one(Connection, self.connection_id), error)

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


def _was_a_try(error: ShopbridgeError) -> bool:
    """Whether a failure uses up a step of the plan: not when nothing left this machine, or when its lane or the whole connection must rest.

    A partner that is down rests most of the time; if its rests counted, minutes would use up the 75 hours of the plan.
    """
    if isinstance(error, Unavailable) and (error.pauses or error.only_its_turn):
        return False
    return not isinstance(error, Unauthorised) and error.code != "partner.resting"
