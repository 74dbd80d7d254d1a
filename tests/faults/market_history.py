"""Seeded histories at any simulated marketplace: the next step is drawn, calls fail, workers die, and in the end both books must agree.

Knows no marketplace by name: it plays over /_control and audits by /_control/state (app.sandbox.Simulator), the shop's books and the rows of
the bridge. One world lives through several histories, each settled and audited for itself.
"""

from __future__ import annotations

import logging
import random
import urllib.error
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from dying import Commits, Killed
from flask import current_app
from market_world import GOODS, Market
from sqlalchemy import text

from app import clock, jobs
from app.extensions import db
from app.jobs.partner import Partner
from app.models import Connection
from app.sandbox.faults import Fault
from app.sandbox.shop_state import NotObeyed

UNSENT = {"announced", "to_ship"}
OPEN_IN_SHOP = {"pending", "processing", "on-hold"}
SAME = {"delivered": "shipped"}
ONCE = {"accept", "ship", "cancel", "accept_return"}
# Words under which answers may carry rows, and the states in them; an answer without that word stays as it is.
ROWS = ("data", "results", "resources", "orders", "offers", "returns")
STATES = ("status", "state", "type")
KINDS = ["orders", "changes", "returns", "drift"]
MISCHIEF = ("duplicate", "reorder", "answer_lost", "lost_on_the_way")
# These cases tell of a parcel or of stock, not of what became of an order.
NO_EXCUSE = ("ship.tracking_malformed", "order.oversold")


class Crashes(logging.Handler):
    """Log lines of jobs that ended with an error nobody had expected."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        told = record.msg if isinstance(record.msg, dict) else {"event": str(record.msg)}
        trace = str(told.get("exception", ""))
        if str(told.get("event", "")).endswith(".crashed") and "app.errors." not in trace.splitlines()[-1:]:
            self.seen.append(f"{told['event']}: {trace[-600:]}")


class MarketHistory:
    """`run(steps)` plays, `settle()` lets everything come to rest, `problems()` audits. `told` is what happened, for a failing seed."""

    def __init__(
        self,
        at: Market,
        seed: int,
        monkeypatch: pytest.MonkeyPatch,
        *,
        favour: Mapping[str, int] | None = None,
    ) -> None:
        self.at, self.favour = at, favour or {}
        self.random = random.Random(seed)
        self.told: list[str] = []
        self.wrong: list[str] = []
        self.commits = Commits(self.random, monkeypatch)
        at.shop.outbox._time_scale = 0.0

    # --- playing ----------------------------------------------------------------------------------------------------

    def run(self, steps: int) -> None:
        """Somebody buys; then the next step is drawn by weight, the bridge's own work as likely as everything that happens to it."""
        deeds: dict[Callable[[], object], int] = {
            self.buy: 6,
            self.announce: 2,
            self.pay: 2,
            self.ship: 6,
            self.ship_part: 2,
            self.complete_without_tracking: 1,
            self.cancel_in_shop: 3,
            self.cancel_there: 3,
            self.refund: 4,
            self.send_back: 2,
            self.change_stock: 3,
            self.change_price: 1,
            self.mischief: 2,
            self.fault: 10,
            self.fault_of_shop: 2,
            self.wipe_redis: 1,
            self.jump: 3,
            self.sweep: 1,
            self.process: 3,
            self.deliver: 6,
            self.work_in: 5,
            self.work_out_shop: 6,
            self.work_out_market: 8,
            self.look: 7,
        }
        weights = [self.favour.get(deed.__name__, weight) for deed, weight in deeds.items()]
        drawn = self.random.choices(list(deeds), weights, k=steps - 2)
        for deed in (self.buy, self.look, *drawn):
            self._play(deed)

    def _play(self, deed: Callable[[], object]) -> None:
        try:
            told = deed()
        except NotObeyed as no:
            told = f"not possible: {no.code}"
        except urllib.error.HTTPError as no:
            with no:
                if no.code >= 500:
                    raise AssertionError(f"the simulator broke at {deed.__name__}: {no.read()!r}") from no
                told = f"not possible: {no.code}"
        self.told.append(f"{deed.__name__}: {told}")

    def buy(self, **more: Any) -> object:
        skus = self.random.sample(list(GOODS), self.random.randint(1, 2))
        lines = [(sku, self.random.choice((1, 1, 2, 3))) for sku in skus]
        return self.at.buy(*lines, **more)["order"], lines

    def announce(self) -> object:
        return self.buy(state="announced")

    def _there(self, *states: str) -> dict[str, Any]:
        """An order of the marketplace that has pieces in one of these states: those pieces only."""
        found = []
        for order in self.at.state()["orders"]:
            pieces = [each for each in order["pieces"] if each["state"] in states]
            if pieces:
                found.append({"order": order["order"], "pieces": [each["piece"] for each in pieces]})
        if not found:
            raise NotObeyed("nothing", "no such order")
        return self.random.choice(found)

    def pay(self) -> object:
        order = self._there("announced")["order"]
        self.at.control(f"orders/{order}/pay")
        return order

    def cancel_there(self) -> object:
        found = self._there("announced", "to_ship")
        if self.random.random() < 0.6:
            self.at.control("cancel", {"order": found["order"]})
            self.at.called_off.extend(found["pieces"])
            return found["order"]
        pieces = self.random.sample(found["pieces"], self.random.randint(1, len(found["pieces"])))
        self.at.control("cancel", {"pieces": pieces})
        self.at.called_off.extend(pieces)
        return pieces

    def send_back(self) -> object:
        found = self._there("shipped", "delivered")
        piece = self.random.choice(found["pieces"])
        return self.at.control("return", {"pieces": [piece]})["returns"]

    def _some_order(self, *states: str) -> Any:
        orders = [each for each in self.at.orders_in_shop() if each.status in states]
        if not orders:
            raise NotObeyed("nothing", "no such order")
        return self.random.choice(orders)

    def ship(self) -> object:
        order = self._some_order("processing")
        return order.id, self.at.ship(order)

    def ship_part(self) -> object:
        order = self._some_order("processing")
        line = self.random.choice(order.lines)
        return order.id, self.at.ship(order, [{"id": str(line.id), "quantity": 1}])

    def complete_without_tracking(self) -> object:
        return self.at.shop.complete(self._some_order("processing").id, None).id

    def cancel_in_shop(self) -> object:
        return self.at.shop.set_status(self._some_order("processing", "on-hold").id, "cancelled").id

    def refund(self) -> object:
        order = self._some_order("completed", "completed", "processing")
        line = self.random.choice(order.lines)
        wanted: dict[str, Any] = {"reason": "Retoure"}
        if self.random.random() < 0.6:
            wanted["lines"] = [{"id": line.id, "quantity": 1}]
        if "lines" not in wanted or self.random.random() < 0.3:
            wanted["amount"] = "1.00"
        return order.id, wanted, self.at.shop.refund(order.id, wanted).amount

    def _some_product(self) -> Any:
        return self.random.choice([each for each in self.at.shop.products.values() if each.sku in GOODS])

    def change_stock(self) -> object:
        product = self._some_product()
        return product.sku, self.at.shop.change_product(
            product.id, {"stock": self.random.choice((0, 3, *range(20, 60)))}
        ).stock

    def change_price(self) -> object:
        product = self._some_product()
        price = f"{self.random.randint(500, 999) / 100:.2f}"
        return product.sku, self.at.shop.change_product(product.id, {"price": price}).price

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def mischief(self) -> object:
        name = self.random.choice(MISCHIEF)
        setattr(self.at.shop.outbox.mischief, name, self.random.randint(1, 2))
        return name

    def _fault(self) -> Fault:
        """One of the ways in which a partner fails. 401 strikes once, everything else once to three times."""
        draw = self.random
        kind = draw.choice(
            (
                "reset",
                "reset",
                "reset",
                "timeout",
                "status",
                "status",
                "rest",
                "unauthorised",
                "garbage",
                "rows",
            )
        )
        more: dict[str, Any] = {
            "count": draw.randint(1, 3),
            "skip": draw.choice((0, 0, 0, 1, 2)),
            "method": draw.choice((None, None, "POST", "PUT", "PATCH")),
        }
        if kind == "rows":
            kind = draw.choice(("half_page", "duplicate_row", "unknown_enum"))
            more |= {"rows": draw.choice(ROWS), "name": draw.choice(STATES), "method": None}
        elif kind == "rest":
            kind, more["status"], more["retry_after"] = "status", 429, draw.choice((None, 1, 30))
        elif kind == "unauthorised":
            kind, more["status"], more["count"] = "status", 401, 1
        elif kind == "timeout":
            more["seconds"] = 0.01
        else:
            more |= {"status": draw.choice((500, 502, 503)), "effect": draw.random() < 0.6}
        return Fault(kind, **more)

    def fault(self) -> object:
        return _told(self.at.faults.add(self._fault()))

    def fault_of_shop(self) -> object:
        made = Fault(
            self.random.choice(("reset", "status", "garbage")),
            effect=self.random.random() < 0.5,
            method="POST",
        )
        return _told(self.at.shop_app.extensions["faults"].add(made))

    def wipe_redis(self) -> None:
        """Bells, paces and breakers are gone; nothing is lost with them."""
        with redis.Redis.from_url(current_app.config["REDIS_URL"]) as store:
            store.flushdb()

    def jump(self) -> None:
        """Time passes: leases end, waits are over, partners have rested, and the merchant has looked at his connection.

        The marketplace's clock stays with ours: if it alone went on, the bridge would rightly wait for what lies in its future.
        """
        self._hurry()

    def _hurry(self) -> None:
        self.at.hurry()
        market = db.session.get_one(Connection, self.at.market_connection)
        market.state = "active"
        db.session.commit()
        self.wipe_redis()

    def sweep(self) -> None:
        clock.end_waits(db.session(), datetime.now(UTC) + timedelta(hours=self.random.choice((0, 4))))
        db.session.remove()

    # --- the bridge's work ----------------------------------------------------------------------------------------------

    def process(self) -> None:
        """What the marketplace took for processing is done."""
        self.at.control("settle")

    def deliver(self) -> object:
        return self.at.shop.outbox.deliver_due()

    def _work(self, job: Callable[[int], None], connection: int) -> object:
        """One job of a worker that may die at any of its commits."""
        if self.random.random() < 0.25:
            self.commits.kill_within(12)
        try:
            job(connection)
        except Killed:
            return "killed"
        finally:
            self.commits.spare()
            db.session.rollback()
            db.session.remove()
        return "done"

    def work_in(self) -> object:
        return self._work(jobs.drain_inbox, self.at.shop_connection)

    def work_out_shop(self) -> object:
        return self._work(jobs.drain_outbox, self.at.shop_connection)

    def work_out_market(self) -> object:
        db.session.execute(text("UPDATE offer SET task_due_at = now() WHERE task_due_at IS NOT NULL"))
        db.session.commit()
        return self._work(jobs.drain_outbox, self.at.market_connection)

    def look(self) -> object:
        """At everything, or at what real plans look at most often, or only at what they look at seldom."""
        kinds = self.random.choice(
            (KINDS, ["orders", "changes"], ["orders", "changes"], ["returns"], ["drift"])
        )
        due = text(
            "UPDATE schedule SET due_at = now() - interval '1 second', lease_until = NULL WHERE kind = ANY(:kinds)"
        )
        db.session.execute(due, {"kinds": kinds})
        db.session.commit()
        return kinds, self._work(jobs.ask_marketplace, self.at.market_connection)

    # --- at rest ----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Nothing goes wrong any more; everything may work until nothing moves."""
        for app in (self.at.market_app, self.at.shop_app):
            app.extensions["faults"].clear()
        for name in MISCHIEF:
            setattr(self.at.shop.outbox.mischief, name, 0)
        self.at.shop.outbox.wake()
        before: list[object] | None = None
        for place in range(40):
            if place < 2:
                self._hurry()
                clock.end_waits(db.session(), datetime.now(UTC) + timedelta(hours=4))
            # While something is under way a look leaves that offer alone: only a round that began at rest has compared everything (I11).
            at_rest = not self.at.moving()
            self.at.step()
            db.session.remove()
            now = self.at.seen()
            if at_rest and not self.at.moving() and now == before:
                return
            earlier, before = before, now
        changes = [(old, new) for old, new in zip(earlier or [], before or [], strict=False) if old != new]
        self.wrong.append(f"it never came to rest: {self.at.moving()}, in the last round {changes}"[:3000])

    # --- the audit ----------------------------------------------------------------------------------------------------

    def problems(self) -> list[str]:
        """Everything that does not agree, as sentences."""
        audit = Audit(self.at)
        return self.wrong + audit.problems()


class Audit:
    """What the marketplace, the bridge and the shop say at rest, compared. Counts anew: it does not ask the code that it audits."""

    def __init__(self, at: Market) -> None:
        self.at = at
        state = at.state()
        self.orders, self.offers, self.deeds = state["orders"], state["offers"], state["deeds"]
        self.pieces = {each["piece"]: each for order in self.orders for each in order["pieces"]}
        self.rows = self._rows(
            "SELECT p.external_id AS piece, p.state, p.in_shop, o.id AS order_id, o.external_id AS number, o.shop_order_id,"
            " EXISTS (SELECT 1 FROM case_ c WHERE c.order_id = o.id AND c.code NOT IN ('"
            + "', '".join(NO_EXCUSE)
            + "')) AS told"
            " FROM order_piece p JOIN orders o ON o.id = p.order_id ORDER BY p.id"
        )
        self.known = {row.piece: row for row in self.rows}

    def _rows(self, query: str) -> list[Any]:
        return list(db.session.execute(text(query)).all())

    def problems(self) -> list[str]:
        checks = (
            self._stuck,
            self._doubled,
            self._answered,
            self._landed,
            self._agreed,
            self._shown,
            self._paid,
        )
        found = [sentence for check in checks for sentence in check()]
        db.session.rollback()
        return found

    def _stuck(self) -> list[str]:
        """Nothing is due any more, what was refused is a case, and no job ended with an error that nobody had expected."""
        events = self._rows(
            "SELECT id, type, state, reason_code FROM event WHERE state NOT IN ('done', 'superseded')"
        )
        commands = self._rows(
            "SELECT id, kind, state, reason_code FROM command k WHERE state <> 'done' AND NOT (state = 'refused' AND EXISTS ("
            "SELECT 1 FROM case_ c WHERE c.order_id = k.order_id))"
        )
        crashed = self._rows("SELECT id, code, subject, params FROM case_ WHERE code = 'job.crashed'")
        return [f"stuck: {tuple(row)}" for row in (*events, *commands, *crashed)]

    def _doubled(self) -> list[str]:
        done = Counter(
            (deed["deed"], piece) for deed in self.deeds if deed["deed"] in ONCE for piece in deed["pieces"]
        )
        return [f"{deed} {count} times to {piece}" for (deed, piece), count in done.items() if count > 1]

    def _answered(self) -> list[str]:
        """No order waits for an answer any more: all are accepted, and nothing is called off that the shop never had.

        The marketplace itself is asked: an order that nobody accepted is as good as lost there, and looks like one that is not paid.
        """
        partner = Partner(db.session.get_one(Connection, self.at.market_connection))
        pages = list(partner.client.orders_to_ship(None))
        waiting = {seen.external_id for page in pages for seen in page if seen.awaits_acceptance}
        gone = {
            piece
            for deed in self.deeds
            if deed["deed"] == "cancel"
            for piece in deed["pieces"]
            if piece in self.known and not self.known[piece].in_shop
        }
        # Some marketplaces only count the pieces of a line: which one is gone is anybody's guess, how many is not.
        never, asked = (
            self._by_line(gone),
            self._by_line(each for each in self.at.called_off if each in self.known),
        )
        return [f"order {number} waits for an answer and gets none" for number in sorted(waiting)] + [
            f"{count} of {sku} in order {number} were called off, and {asked[number, sku]} by their buyer"
            for (number, sku), count in sorted(never.items())
            if count > asked[number, sku]
        ]

    def _by_line(self, pieces: Iterable[str]) -> Counter[tuple[int, str]]:
        return Counter((self.known[piece].order_id, str(self.pieces[piece]["sku"])) for piece in pieces)

    def _landed(self) -> list[str]:
        """Whatever had to be shipped is in the shop, once: every piece that is neither announced nor cancelled."""
        keys = Counter(order.key for order in self.at.orders_in_shop())
        wrong = [f"{key} is {count} times in the shop" for key, count in keys.items() if count > 1]
        for piece, there in self.pieces.items():
            here = self.known.get(piece)
            if there["state"] not in {"announced", "cancelled"} and (here is None or not here.in_shop):
                wrong.append(f"piece {piece} is {there['state']} there and never reached the shop")
        wanted: dict[str, Counter[str]] = defaultdict(Counter)
        for row in self.rows:
            if row.piece not in self.pieces:
                wrong.append(f"piece {row.piece} is unknown there")
            elif row.in_shop:
                wanted[str(row.shop_order_id)][self.pieces[row.piece]["sku"]] += 1
        for order in self.at.orders_in_shop():
            got = Counter({line.sku: 0 for line in order.lines})
            for line in order.lines:
                got[line.sku] += line.quantity
            if got != wanted[str(order.id)]:
                wrong.append(
                    f"shop order {order.id} has {dict(got)}, {dict(wanted[str(order.id)])} were sold there"
                )
        return wrong

    def _agreed(self) -> list[str]:
        """Cancelled here is cancelled there, what has left the shop is shipped there, or a case says that it is not so."""
        wrong = []
        by_order: dict[int, list[Any]] = defaultdict(list)
        here: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
        there: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
        # Some marketplaces take back returns, not pieces, and their orders never say so: then what has come back is still sent there.
        silent = {
            deed["order"]
            for deed in self.deeds
            if deed["deed"] == "accept_return" and not self.pieces.keys() & set(deed["pieces"])
        }
        for row in self.rows:
            piece = self.pieces[row.piece]
            same = SAME | ({"returned": "shipped"} if row.number in silent else {})
            # Some marketplaces only count the pieces of a line: which one is gone is anybody's guess, how many is not.
            here[row.order_id, piece["sku"]][same.get(row.state, row.state)] += 1
            there[row.order_id, piece["sku"]][same.get(piece["state"], piece["state"])] += 1
            if row.in_shop:
                by_order[row.order_id].append(row)
        wrong += [
            f"of {sku} in order {number} {dict(here[number, sku])} are here and {dict(count)} there"
            for (number, sku), count in there.items()
            if count != here[number, sku]
        ]
        for rows in by_order.values():
            order = self.at.shop.orders.get(int(rows[0].shop_order_id or 0))
            if order is not None and not rows[0].told:
                wrong += self._differs(order, {row.piece: self.pieces[row.piece]["state"] for row in rows})
        return wrong

    def _differs(self, order: Any, states: dict[str, str]) -> list[str]:
        told = f"shop order {order.id} is {order.status}, its pieces are {states} there, and nobody is told"
        whole = any(each["lines"] is None for each in order.tracking)
        there = set(states.values())
        gone_there = there == {"cancelled"} and order.status in OPEN_IN_SHOP
        gone_here = order.status == "cancelled" and there != {"cancelled"}
        unsent = order.status == "completed" and whole and bool(there & UNSENT)
        return [told] if gone_there or gone_here or unsent else []

    def _shown(self) -> list[str]:
        """Stock on sale = stock of the shop minus what open orders hold that the shop has not counted yet; and the shop's price."""
        wrong = []
        held = {
            row.sku: row.held
            for row in self._rows(
                "SELECT p.sku, count(*) AS held FROM reservation r JOIN product p ON p.id = r.product_id"
                " JOIN order_piece o ON o.id = r.piece_id WHERE o.state <> 'cancelled' AND r.state = 'open'"
                " AND (r.stock_sequence IS NULL OR p.stock_sequence IS NULL OR p.stock_sequence < r.stock_sequence) GROUP BY p.sku"
            )
        }
        shown = {each["sku"]: each for each in self.offers}
        for product in self.at.shop.products.values():
            if product.sku not in GOODS:
                continue
            offer, free = shown[product.sku], max(0, product.stock - held.get(product.sku, 0))
            if offer["stock"] != free:
                wrong.append(
                    f"{product.sku}: {offer['stock']} on sale, {product.stock} in the shop, {held.get(product.sku, 0)} held"
                )
            if offer["price"] != product.price:
                wrong.append(f"{product.sku} costs {offer['price']} there and {product.price} in the shop")
        return wrong

    def _paid(self) -> list[str]:
        """Money back, order by order: exactly what the shop's refund objects say, by amounts, accepted returns and cancelled pieces; else a case."""
        wrong = []
        by_order: dict[int, list[Any]] = defaultdict(list)
        for row in self.rows:
            by_order[row.order_id].append(row)
        for rows in by_order.values():
            order = self.at.shop.orders.get(int(rows[0].shop_order_id or 0))
            if order is None:
                continue
            mine = {row.piece for row in rows}
            asked = sum(each.amount for each in order.refunds if not each.by_bridge)
            paid = sum(
                deed["amount"] or 0
                for deed in self.deeds
                if deed["deed"] == "refund" and mine & set(deed["pieces"])
            )
            if paid > asked:
                wrong.append(f"shop order {order.id}: {paid} cents were paid back, {asked} were asked for")
            back = {p for d in self.deeds if d["deed"] == "accept_return" for p in d["pieces"]}
            settled = sum(
                each["price"]
                for piece, each in self.pieces.items()
                if piece in mine and (piece in back or each["state"] == "cancelled")
            )
            if paid + settled < asked and not any(row.told for row in rows):
                wrong.append(
                    f"shop order {order.id}: {asked} cents were asked back, {paid} were paid and {settled} settled, and nobody is told"
                )
        return wrong


def _told(fault: Fault) -> str:
    """A fault in few words."""
    more = {
        "reset": fault.effect,
        "status": (fault.status, fault.retry_after, fault.effect),
        "garbage": fault.effect,
        "timeout": fault.effect,
    }.get(fault.kind, (fault.rows, fault.name))
    return f"{fault.kind} {more} at {fault.method or 'any'} call, {fault.skip} spared, {fault.count} times"
