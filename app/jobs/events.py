"""Works off the events of one connection: translated by its shop's provider, told by the flows, written down together.

Product and stock events of a batch are taken together, the rest one by one. What may go wrong is written beside the event it happened to; one
bad event never stops the next (C10).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import structlog
from flask import current_app
from sqlalchemy import select

from app import inbox, ledger, outbox, queues, trades
from app import messages as m
from app.errors import Refused, ShopbridgeError, Unavailable
from app.extensions import db
from app.flows import (
    order_cancelled,
    order_placed,
    order_returned,
    order_shipped,
    pay,
    product_changed,
    products_released,
    push_listings,
    shop_order_changed,
    shop_reports,
    trade_cancelled,
    trade_placed,
    trade_refunded,
    trade_returned,
    trade_shop_gone,
    trade_status,
)
from app.models import Connection, Offer
from app.registry import translator
from app.rules import trade
from app.story import open_case

BATCH = 100

OF_AN_ORDER = frozenset({"order.placed", "order.changed", "order.refunded", "shipment.changed"})

log = structlog.get_logger(__name__)


class Inbox:
    """Events of one connection. Product and stock events of a batch are taken together, the rest one by one."""

    def __init__(self, connection_id: int) -> None:
        self.session = db.session()
        self.connection_id = connection_id
        self.rang: set[int] = set()
        self.traded: set[str] = set()

    def drain(self) -> None:
        """One batch; more work rings again, behind the other connections."""
        connection = self.session.get(Connection, self.connection_id)
        if connection is None or connection.state == "pending":
            return  # stored, and worked off once the shop has answered a signed ping
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
        """Products together, then order by order, each in a transaction of its own; a row that fails is rolled back alone.

        One transaction for all would hold the offers of the first order while it waits for the second, and whoever delivers the second
        waits for these offers: orders are locked before offers, everywhere.
        """
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
            self._keep()
        self._note_work()
        self.session.commit()
        self._ring()
        rest = [pair for pair in read if pair[0].type not in together]
        foreign = self._of_foreign_orders(rest)
        self.done["done"] += sorted(foreign)
        self._keep()
        for event, data in rest:
            if event.id not in foreign:
                self._alone([(event, data)], lambda pairs: self._one(*pairs[0]))
                self._keep()
        theirs = [event.sequence for event in self.batch.events if event.sequence <= inbox.OWN_SEQUENCES]
        if theirs:
            self.connection.last_sequence = max(self.connection.last_sequence or 0, *theirs)
        self.connection.last_event_at = datetime.now(UTC)
        self._note_work()
        self.session.commit()

    def _of_foreign_orders(self, rest: Sequence[tuple[inbox.Claimed, Any]]) -> set[int]:
        """Ids of the events about orders that the shop took itself. Most are, nothing follows from them, and one question answers for all: a
        transaction for each would take most of a worker's time. What cannot be read is left to its own turn, which says why.
        """
        seen = {}
        for event, data in rest:
            if event.type in OF_AN_ORDER:
                with suppress(Exception):
                    seen[event.id] = self.translate.order(data)
        # An order that is ours may get its number in the shop by an event of this very batch; that one carries our key.
        ours = {order.external_id for order in seen.values() if order.key is not None}
        asked = {order.external_id for order in seen.values()} - ours
        ours |= shop_order_changed.known_of(self.session, self.connection, asked)
        # Orders in which suppliers of the network have a part, or may get one: also those that the shop took itself (K6).
        self.traded = trade_placed.of_the_network(self.session, self.connection, seen.values())
        ours |= self.traded
        return {event_id for event_id, order in seen.items() if order.external_id not in ours}

    def _keep(self) -> None:
        """What was done so far and the end of its events are one commit. Raises LeaseLost when another worker has them now."""
        inbox.finish(self.session, self.batch, self.done)
        self.session.commit()
        self.done = {state: [] for state in self.done}

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
            log.exception("event.crashed", event_id=event.id, type=event.type)
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
                params={"type": event.type, "about": event.subject, **error.params},
            )

    def _products(self, pairs: Sequence[tuple[inbox.Claimed, Any]]) -> None:
        products_released.take_turns(self.session, self.connection.account_id)
        changed = product_changed.receive(
            self.session,
            self.connection,
            [(event.sequence, self.translate.product(data)) for event, data in pairs],
        )
        products_released.after_change(self.session, self.connection, changed)
        push_listings.shown(self.session, self.connection, changed)

    def _stocks(self, pairs: Sequence[tuple[inbox.Claimed, Any]]) -> None:
        changed = product_changed.receive_stock(
            self.session,
            self.connection,
            [(event.sequence, self.translate.stock(data)) for event, data in pairs],
        )
        push_listings.shown(self.session, self.connection, changed)

    def _removed(self, pairs: Sequence[tuple[inbox.Claimed, Any]]) -> None:
        gone = [(event.sequence, event.subject.partition("/")[2]) for event, _ in pairs]
        products_released.take_turns(self.session, self.connection.account_id)
        changed = product_changed.removed(self.session, self.connection, gone)
        products_released.after_change(self.session, self.connection, changed)
        push_listings.shown(self.session, self.connection, changed)

    def _one(self, event: inbox.Claimed, data: dict[str, Any]) -> str | None:
        """An event of an order or of the shop itself. Answers "superseded" for an older look."""
        if event.type == "order.deleted":
            return self._deleted(event, event.subject.partition("/")[2])
        if event.type in OF_AN_ORDER:
            return self._order(event, data)
        if event.type in {"settings.changed", "plugin.installed"}:
            shop_reports.settings(self.session, self.connection, data)
        elif event.type == "plugin.removed":
            shop_reports.removed(self.session, self.connection)
            trade_shop_gone.gone(self.session, self.connection)
        elif event.type == "manifest.daily":
            shop_reports.manifest(self.session, self.connection, data)
        elif event.type == "payment.told" and self.connection.role == "payment":
            pay.told(self.session, self.connection, event.id, data)
        else:
            raise Refused("event.not_understood", type=event.type)
        return None

    def _deleted(self, event: inbox.Claimed, shop_order_id: str) -> str | None:
        """Trashed or deleted in the shop. What no supplier has heard of yet will not be passed on."""
        trades.lock_children(self.session, self.connection, shop_order_id)
        known = shop_order_changed.deleted(self.session, self.connection, event.sequence, shop_order_id)
        if known is not None and known.newer:
            by = ledger.Source(f"shop {self.connection.key}", f"event {event.id}", event.type)
            trade_cancelled.by_retailer(self.session, known.order, {}, by, datetime.now(UTC))
            trade_cancelled.lost_by_supplier(self.session, known.order)
        return None if known is None or known.newer else "superseded"

    def _order(self, event: inbox.Claimed, data: dict[str, Any]) -> str | None:
        """The stories that an order of the shop can tell, one after another. Refunds and parcels can only grow, so an older look may still
        bring a new one; a status only counts when it is news.
        """
        seen = self.translate.order(data)
        known = self._known(event, seen)
        if known is None:
            return None
        by = ledger.Source(f"shop {self.connection.key}", f"event {event.id}", event.type)
        if trade.is_key(known.order.key):
            self._of_a_supplier(known, seen, by)
        else:
            if not trades.is_native(known.order):
                self._of_a_marketplace(known, seen)
            if known.newer and seen.external_id in self.traded:
                self._of_a_retailer(known, seen, by)
        self.rang.add(known.order.connection_id)
        return None if known.newer else "superseded"

    def _known(self, event: inbox.Claimed, seen: m.ShopOrderSeen) -> shop_order_changed.Known | None:
        """Our row of the order. One that the shop took itself gets a row when suppliers of the network have a part in it."""
        if seen.external_id in self.traded:
            trades.lock_children_of(self.session, self.connection, seen)
            if seen.key is None:
                trade_placed.remember(self.session, self.connection, seen, datetime.now(UTC))
        return shop_order_changed.receive(self.session, self.connection, event.sequence, seen)

    def _of_a_marketplace(self, known: shop_order_changed.Known, seen: m.ShopOrderSeen) -> None:
        """An order that a marketplace sold."""
        order_returned.from_shop(self.session, known.order, order_returned.before_parcels(seen))
        order_shipped.from_shop(self.session, self.connection, known.order, seen, newer=known.newer)
        if known.newer:
            order_cancelled.from_shop(self.session, known.order, seen.status)
        order_returned.from_shop(self.session, known.order, seen.refunds)

    def _of_a_supplier(
        self, known: shop_order_changed.Known, seen: m.ShopOrderSeen, by: ledger.Source
    ) -> None:
        """A child order: parcels leave as everywhere, refunds and CANCELLED mean money of the retailer (K8-K10)."""
        if known.newer and known.was == m.ShopStatus.DELETED:
            trade_cancelled.found_by_supplier(self.session, known.order)
        trade_refunded.by_supplier(self.session, known.order, order_returned.before_parcels(seen), by)
        order_shipped.from_shop(self.session, self.connection, known.order, seen, newer=known.newer)
        trade_refunded.by_supplier(self.session, known.order, seen.refunds, by)
        if known.newer:
            trade_cancelled.by_supplier(self.session, known.order, seen.status, by)

    def _of_a_retailer(
        self, known: shop_order_changed.Known, seen: m.ShopOrderSeen, by: ledger.Source
    ) -> None:
        """An order in which suppliers have a part. Flows do not call flows: each new part is handed from one to the next here."""
        now, conditions = datetime.now(UTC), trade_placed.Conditions(*_fees())
        trade_cancelled.by_retailer(self.session, known.order, trade.wanted(seen), by, now)
        parts = trade_placed.receive(
            self.session, self.connection, known.order, seen, conditions, now, was=known.was
        )
        for part in parts:
            (child, *_) = order_placed.receive(self.session, part.network, part.seen)
            trade_placed.reserved(self.session, part, child)
            self.rang.add(part.network.id)
        trade_status.by_retailer(self.session, known.order, known.was, seen)
        trade_returned.from_shop(self.session, known.order, seen.return_tracking)

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
        for connection_id in sorted(self.rang | outbox.given_work(self.session)):
            queues.ring("out", connection_id)
        self.rang.clear()


def _fees() -> tuple[int, int]:
    """What the operator keeps of a trade, and the VAT on it, in basis points."""
    config = current_app.config
    return config.get("SHOPBRIDGE_NETWORK_FEE_BP", 0), config.get("SHOPBRIDGE_NETWORK_FEE_VAT_BP", 1900)
