"""One seeded history of a small world: the next step is drawn, the step may be cut short by a crash, and in the end the books must agree.

Inbox, outbox, flows and database are the real ones, the partners are the simulators over real HTTP; only time and death are played:
a clock jump moves the rows, a crash is raised out of the n-th commit, before or after it.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from dying import Commits, Killed
from sqlalchemy import text
from world import World

from app import clock, jobs
from app.extensions import db
from app.models import Offer, Product
from app.sandbox.faults import Fault
from app.sandbox.kaufland.wire import ProblemError
from app.sandbox.shop_state import NotObeyed

GTINS = {"TEE-1": "4006381333931", "TEE-2": "4012345678901", "TEE-3": "4260107220015"}
UNSENT = {"open", "need_to_be_sent"}
OPEN_IN_SHOP = {"pending", "processing", "on-hold"}
GONE = {"sent", "received", "sent_and_autopaid"}
SAME = {
    "open": {"announced", "to_ship"},
    "need_to_be_sent": {"to_ship"},
    "sent": {"shipped"},
    "received": {"delivered"},
    "sent_and_autopaid": {"delivered"},
    "cancelled": {"cancelled"},
    "returned": {"returned"},
    "returned_paid": {"returned"},
}


class History:
    """`run(steps)` plays, `settle()` lets everything come to rest, `problems()` audits. `told` is what happened, for a failing seed."""

    def __init__(self, world: World, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.seed = world, seed
        self.random = random.Random(seed)
        self.told: list[str] = []
        self.wrong: list[str] = []
        self._parcel = seed * 1000
        world.shop.outbox._time_scale = 0.0
        self.commits = Commits(self.random, monkeypatch)
        missing = {} if world.shop.products else GTINS  # a second history goes on in the same world
        for number, (sku, gtin) in enumerate(missing.items()):
            world.product(sku, gtin, stock=(3, 12, 40)[number])
        world.work()

    # --- playing ----------------------------------------------------------------------------------------------------

    def run(self, steps: int) -> None:
        """The next step is drawn by weight; the bridge's own work is as likely as everything that happens to it."""
        deeds: dict[Callable[[], object], int] = {
            self.buy_at_marketplace: 8,
            self.buy_in_shop: 4,
            self.change_stock: 4,
            self.ship: 6,
            self.ship_part: 2,
            self.complete_without_tracking: 1,
            self.cancel_in_shop: 2,
            self.cancel_at_marketplace: 3,
            self.refund: 4,
            self.send_back: 2,
            self.mischief: 5,
            self.fault: 5,
            self.wipe_redis: 2,
            self.jump: 5,
            self.deliver: 10,
            self.work_in: 9,
            self.work_out_shop: 9,
            self.work_out_marketplace: 9,
            self.look: 8,
            self.sweep: 3,
        }
        for deed in self.random.choices(list(deeds), list(deeds.values()), k=steps):
            try:
                told = deed()
            except (NotObeyed, ProblemError) as no:
                told = f"not possible: {getattr(no, 'code', no)}"
            self.told.append(f"{deed.__name__}: {told}")
            self.published_is_never_too_much()

    def buy_at_marketplace(self) -> object:
        skus = self.random.sample(list(GTINS), self.random.randint(1, 2))
        lines = [{"id_offer": sku, "pieces": self.random.randint(1, 3), "price": 790} for sku in skus]
        wanted = {"lines": lines, "open_seconds": self.random.choice((0, 0, 900))}
        with self.world.kaufland.lock:
            return self.world.kaufland.place_order(self._seller, wanted)["id_order"]

    @property
    def _seller(self) -> Any:
        return next(iter(self.world.kaufland.sellers.values()))

    def buy_in_shop(self) -> object:
        sku = self.random.choice(list(GTINS))
        return self.world.shop.buy({"lines": [{"sku": sku, "quantity": self.random.randint(1, 2)}]}).id

    def change_stock(self) -> object:
        product = self.random.choice(list(self.world.shop.products.values()))
        return product.sku, self.world.shop.change_product(
            product.id, {"stock": self.random.randrange(15)}
        ).stock

    def _some_order(self, *states: str) -> Any:
        orders = [each for each in self.world.shop.orders.values() if each.key and each.status in states]
        if not orders:
            raise NotObeyed("nothing", "no such order")
        return self.random.choice(orders)

    def _some_parcel(self) -> dict[str, Any]:
        self._parcel += 1
        return {"number": f"003404341{self._parcel:011d}", "carrier": "DHL"}

    def ship(self) -> object:
        return self.world.shop.complete(self._some_order("processing").id, self._some_parcel()).id

    def ship_part(self) -> object:
        order = self._some_order("processing")
        line = self.random.choice(order.lines)
        return self.world.shop.track(
            order.id, self._some_parcel() | {"lines": [{"id": line.id, "quantity": 1}]}
        ).id

    def complete_without_tracking(self) -> object:
        return self.world.shop.complete(self._some_order("processing").id, None).id

    def cancel_in_shop(self) -> object:
        return self.world.shop.set_status(self._some_order("processing", "on-hold").id, "cancelled").id

    def cancel_at_marketplace(self) -> object:
        kaufland = self.world.kaufland
        with kaufland.lock:
            unsent = [unit for unit in kaufland.order_units.values() if unit["status"] in UNSENT]
            chosen = self.random.sample(unsent, min(len(unsent), self.random.randint(1, 3)))
            if chosen and self.random.random() < 0.6:  # the whole order
                chosen = [unit for unit in unsent if unit["id_order"] == chosen[0]["id_order"]]
            for unit in chosen:
                kaufland.cancel(unit, "BuyerCancelled", by="customer_service")
        return len(unsent)

    def refund(self) -> object:
        order = self._some_order("completed", "processing")
        line = self.random.choice(order.lines)
        wanted: dict[str, Any] = {
            "lines": [{"id": line.id, "quantity": 1}],
            "restock": self.random.random() < 0.5,
        }
        if self.random.random() < 0.5:
            wanted["amount"] = "1.00"
        return order.id, self.world.shop.refund(order.id, wanted).amount

    def send_back(self) -> object:
        kaufland = self.world.kaufland
        with kaufland.lock:
            taken = {each["id_order_unit"] for each in kaufland.return_units.values()}
            gone = [
                u
                for u in kaufland.order_units.values()
                if u["status"] in GONE and u["id_order_unit"] not in taken
            ]
            if not gone:
                return None
            back = kaufland.start_return([self.random.choice(gone)], "defect", None, by="buyer")
            kaufland.arrive(back)
            return back["id_return"]

    def mischief(self) -> object:
        name = self.random.choice(("duplicate", "reorder", "answer_lost", "lost_on_the_way"))
        setattr(self.world.shop.outbox.mischief, name, self.random.randint(1, 3))
        return name

    def fault(self) -> object:
        app = self.random.choice((self.world.kaufland_app, self.world.shop_app))
        kind = self.random.choice(("reset", "status", "garbage"))
        fault = Fault(
            kind,
            path=self.random.choice(("", "", "/refund$", "/send$", "/cancel$")),
            effect=self.random.random() < 0.5,
            status=self.random.choice((500, 502, 503, 429)),
            count=self.random.randint(1, 2),
            skip=self.random.randint(0, 2),
            method=self.random.choice((None, "PATCH", "POST")),
        )
        app.extensions["faults"].add(fault)
        return app.name, kind, fault.path, fault.effect, fault.status, fault.method

    def wipe_redis(self) -> None:
        with redis.Redis.from_url(self.world.bridge.config["REDIS_URL"]) as store:
            store.flushdb()

    def jump(self) -> None:
        """Time passes: leases end, waits are over, partners have rested."""
        self.world.hurry()
        db.session.execute(text("UPDATE offer SET lease_until = NULL"))
        db.session.commit()
        self.wipe_redis()

    def deliver(self) -> object:
        return self.world.shop.outbox.deliver_due()

    def _work(self, job: Callable[[int], None], connection: int) -> object:
        """One job of a worker that may die at any of its commits."""
        if self.random.random() < 0.3:
            self.commits.kill_within(10)
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
        return self._work(jobs.drain_inbox, self.world.shop_connection)

    def work_out_shop(self) -> object:
        return self._work(jobs.drain_outbox, self.world.shop_connection)

    def work_out_marketplace(self) -> object:
        return self._work(jobs.drain_outbox, self.world.kaufland_connection)

    def look(self) -> object:
        db.session.execute(
            text("UPDATE schedule SET due_at = now() - interval '1 second', lease_until = NULL")
        )
        db.session.commit()
        return self._work(jobs.ask_marketplace, self.world.kaufland_connection)

    def sweep(self) -> None:
        clock.end_waits(db.session(), datetime.now(UTC) + timedelta(hours=self.random.choice((0, 4))))
        db.session.remove()

    # --- at rest ----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Nothing goes wrong any more; everything may work until nothing moves."""
        for app in (self.world.kaufland_app, self.world.shop_app):
            app.extensions["faults"].clear()
        for name in ("duplicate", "reorder", "answer_lost", "lost_on_the_way"):
            setattr(self.world.shop.outbox.mischief, name, 0)
        self.world.shop.outbox.wake()
        self.world.kaufland.advance(901)
        calm = 0
        for _ in range(40):
            self.jump()
            clock.end_waits(db.session(), datetime.now(UTC) + timedelta(hours=4))
            self.world.work(rounds=2)
            db.session.remove()
            calm = calm + 1 if not self._moving() else 0
            if calm == 3:
                return
        self.wrong.append(f"it never came to rest: {self._moving()}")

    def _moving(self) -> dict[str, int]:
        queries = {
            "events": "SELECT count(*) FROM event WHERE state IN ('due', 'leased')",
            "commands": "SELECT count(*) FROM command WHERE state IN ('due', 'leased')",
            "offers": "SELECT count(*) FROM offer WHERE stale OR sent_revision < revision",
        }
        found = {name: int(db.session.scalar(text(query)) or 0) for name, query in queries.items()}
        states = self.world.shop.outbox.counts()
        found["waiting in the shop"] = states.get("waiting", 0) + states.get("sending", 0)
        db.session.rollback()
        return {name: count for name, count in found.items() if count}

    def published_is_never_too_much(self) -> None:
        """Whatever was sent last and is not marked as old shows exactly what is sellable as far as the bridge knows."""
        rows = db.session.query(Offer, Product).join(Product, Product.id == Offer.product_id).all()
        held = self._held()
        for offer, product in rows:
            if offer.stale or offer.sent is None or offer.sent_revision < offer.revision:
                continue
            free = max(0, (product.stock or 0) - held.get(product.id, 0)) if product.in_stock else 0
            if offer.sent["stock"] > free:
                self.wrong.append(
                    f"{product.sku}: {offer.sent['stock']} shown, {free} are free, after {self.told[-1]}"
                )
        db.session.rollback()

    def _held(self) -> Counter[int]:
        """What open orders hold, counted anew: the audit does not ask the code that it audits."""
        rows = self._rows(
            "SELECT r.product_id FROM reservation r JOIN product p ON p.id = r.product_id WHERE r.state = 'open' AND ("
            "r.stock_sequence IS NULL OR p.stock_sequence IS NULL OR p.stock_sequence < r.stock_sequence)"
        )
        return Counter(row.product_id for row in rows)

    def problems(self) -> list[str]:
        """Everything that does not agree, as sentences."""
        checks = (
            self._stuck,
            self._doubled_deeds,
            self._orders,
            self._stock,
            self._reservations,
            self._agreement,
            self._money,
        )
        found = [sentence for check in checks for sentence in check()]
        db.session.rollback()
        return self.wrong + found

    def _rows(self, query: str) -> list[Any]:
        return list(db.session.execute(text(query)).all())

    def _stuck(self) -> list[str]:
        events = self._rows(
            "SELECT id, type, state, reason_code FROM event WHERE state NOT IN ('done', 'superseded')"
        )
        silent = self._rows(
            "SELECT id, kind, state, reason_code FROM command k WHERE state <> 'done' AND NOT (state = 'refused' AND EXISTS ("
            "SELECT 1 FROM case_ c WHERE c.order_id = k.order_id))"
        )
        return [f"stuck: {tuple(row)}" for row in events + silent]

    def _doubled_deeds(self) -> list[str]:
        once = {"send", "cancel", "accept_return", "create_unit"}
        done = Counter(
            (deed["deed"], deed["id"]) for deed in self.world.kaufland.deeds if deed["deed"] in once
        )
        return [f"{deed} {count} times to {piece}" for (deed, piece), count in done.items() if count > 1]

    def _orders(self) -> list[str]:
        wrong = []
        keys = Counter(order.key for order in self.world.shop.orders.values() if order.key)
        wrong += [f"{key} is {count} times in the shop" for key, count in keys.items() if count > 1]
        pieces = Counter[str]()
        for order in self.world.shop.orders.values():
            if order.source:
                pieces[order.source["order_id"].partition("/")[0]] += sum(
                    line.quantity for line in order.lines
                )
        known = defaultdict(list)
        for row in self._rows(
            "SELECT p.external_id, p.in_shop, o.external_id AS number FROM order_piece p JOIN orders o ON o.id = p.order_id"
        ):
            known[row.number.partition("/")[0]].append(row)
        for number, order in self.world.kaufland.orders.items():
            units = [self.world.kaufland.order_units[unit] for unit in order["units"]]
            rows = known[number]
            gone_unseen = not rows and all(unit["status"] == "cancelled" for unit in units)
            if len(rows) != len(units) and not gone_unseen:
                wrong.append(f"{number} has {len(units)} pieces there and {len(rows)} here")
            if pieces[number] != sum(row.in_shop for row in rows):
                wrong.append(
                    f"{number} has {pieces[number]} pieces in the shop, {sum(r.in_shop for r in rows)} were sent there"
                )
            here = {row.external_id: row.in_shop for row in rows}
            lost = [
                u["id_order_unit"]
                for u in units
                if u["status"] != "cancelled" and not here.get(str(u["id_order_unit"]))
            ]
            if lost:
                wrong.append(f"{number}: pieces {lost} never reached the shop")
        return wrong

    def _stock(self) -> list[str]:
        wrong = []
        rows = db.session.query(Product).filter(Product.sku.in_(GTINS)).all()
        held = self._held()
        for product in rows:
            truth = next(each for each in self.world.shop.products.values() if each.sku == product.sku)
            if product.stock != truth.stock:
                wrong.append(f"{product.sku}: {product.stock} here, {truth.stock} in the shop")
            unit = next(
                each for each in self.world.kaufland.units.values() if each["id_offer"] == product.sku
            )
            shown = self.world.kaufland.buyable(unit)
            if shown != max(0, truth.stock - held.get(product.id, 0)):
                wrong.append(
                    f"{product.sku}: {shown} on sale, {truth.stock} in the shop, {held.get(product.id, 0)} held"
                )
        return wrong

    def _reservations(self) -> list[str]:
        rows = self._rows(
            "SELECT p.external_id, p.state, count(r.id) AS held FROM order_piece p LEFT JOIN reservation r ON r.piece_id = p.id"
            " GROUP BY p.external_id, p.state"
        )
        wanted = {"announced": {1}, "to_ship": {1}, "cancelled": {0}}
        return [f"piece {tuple(row)}" for row in rows if row.held not in wanted.get(row.state, {0, 1})]

    def _agreement(self) -> list[str]:
        """Marketplace, bridge and shop say the same about every piece, or a case says that they do not."""
        wrong = []
        rows = self._rows(
            "SELECT p.external_id, p.state, o.id AS order_id, o.shop_order_id, p.in_shop,"
            " EXISTS (SELECT 1 FROM case_ c WHERE c.order_id = o.id AND c.code NOT IN ('ship.tracking_malformed', 'order.oversold'))"
            " AS told FROM order_piece p JOIN orders o ON o.id = p.order_id"
        )
        for row in rows:
            status = self.world.kaufland.order_units[int(row.external_id)]["status"]
            if row.state not in SAME[status]:
                wrong.append(f"piece {row.external_id} is {row.state} here and {status} there")
            order = self.world.shop.orders.get(int(row.shop_order_id or 0))
            if order is None or row.told or not row.in_shop:
                continue
            if {each["status"] for each in self._units_of(row.order_id)} == {
                "cancelled"
            } and order.status in OPEN_IN_SHOP:
                wrong.append(
                    f"every piece of order {order.id} is cancelled there, it is {order.status} in the shop"
                )
            whole = [each for each in order.tracking if each["lines"] is None]
            if order.status == "cancelled" and status != "cancelled":
                wrong.append(
                    f"piece {row.external_id} is {status}, its order is cancelled in the shop, and nobody is told"
                )
            if order.status == "completed" and whole and status in UNSENT:
                wrong.append(
                    f"piece {row.external_id} has left the shop, is {status} there, and nobody is told"
                )
        return wrong

    def _units_of(self, order_id: int) -> list[Any]:
        rows = self._rows(f"SELECT external_id FROM order_piece WHERE in_shop AND order_id = {order_id}")
        return [self.world.kaufland.order_units[int(row.external_id)] for row in rows]

    def _money(self) -> list[str]:
        """Never more money back than the shop's refund objects ask for; what is missing is a case."""
        asked = sum(
            r.amount for order in self.world.shop.orders.values() for r in order.refunds if not r.by_bridge
        )
        paid = sum(deed["amount"] for deed in self.world.kaufland.deeds if deed["deed"] == "refund")
        too_much = [f"{paid} cents were paid back, {asked} were asked for"] if paid > asked else []
        deeds = [deed for deed in self.world.kaufland.deeds if deed["deed"] == "refund"]
        made = Counter(deed["id"] for deed in deeds)
        commands = self._rows(
            "SELECT p.external_id FROM command k JOIN order_piece p ON p.id = (k.payload->>'piece')::bigint WHERE k.kind = 'refund'"
        )
        wanted = Counter(row.external_id for row in commands)
        doubled = [
            f"{unit} was refunded {n} times, wanted {wanted[unit]}"
            for unit, n in made.items()
            if n > wanted[unit]
        ]
        return too_much + doubled
