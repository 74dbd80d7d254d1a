"""The script of one day: what the merchant, the buyers and bad luck do, and when. It decides nothing about right or wrong (see books.py).

What may go wrong: something does not arrive in time. The day then goes on without it, and the books say afterwards what is missing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import text

from app.commands.playground import goods
from app.demo.books import SENT, Change, Row
from app.demo.machine import DemoFailed, Machine, pause
from app.demo.people import Marketplace, Merchant, Placed, herbs
from app.demo.quiet import Quiet
from app.demo.screen import Screen

STEPS = 10
LOOK_EVERY = 0.25
PATIENCE = 90.0  # seconds for what takes two on a quiet machine; a busy one must not end a wait too early
CRASH_TRIES = 4
FEWEST_CHANGES = {False: 60, True: 15}  # by `short`

# What becomes of the orders of each part of the day, and how many of them: (fate, full day, short day).
MORNING = (
    ("tracking", 9, 2), ("late tracking", 2, 1), ("parts", 2, 1), ("the shop cancels", 2, 1), ("the buyer cancels", 2, 1),
    ("withheld", 3, 1), ("refund a part", 2, 1),
)  # fmt: skip
NOON = (
    ("tracking", 8, 2),
    ("no tracking", 4, 1),
    ("a piece is cancelled", 3, 1),
    ("the shop cancels", 2, 0),
    ("comes back", 3, 1),
)
AFTERNOON = (
    ("tracking", 6, 1), ("no tracking", 4, 1), ("parts", 2, 0), ("the shop takes a piece out", 2, 1), ("the buyer cancels", 2, 0),
    ("comes back, time accepts", 2, 1), ("refund all", 2, 0),
)  # fmt: skip
SEVERAL = {"parts", "a piece is cancelled", "the shop takes a piece out"}
SHIPPED_AT_ONCE = {
    "tracking",
    "withheld",
    "refund a part",
    "refund all",
    "comes back",
    "comes back, time accepts",
    "unknown",
}
BOUGHT_HERBS = 12
MEASURED_HERBS = 20


class Shelves:
    """Sets the stock of some products again and again, all day long; nobody buys these, so every number can be followed."""

    def __init__(self, merchant: Merchant, skus: Sequence[str], every: float) -> None:
        self.changes: list[Change] = []
        self.trouble: BaseException | None = None
        self._merchant, self._skus, self._every = merchant, skus, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shelves", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """No more changes; raises what went wrong."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)
        if self.trouble is not None:
            raise self.trouble

    def _run(self) -> None:
        turn = 0
        while not self._over.wait(self._every):
            try:
                # A number that was never used before, so that it is known when it arrives.
                self.changes.append(self._merchant.set_stock(self._skus[turn % len(self._skus)], 100 + turn))
            except Exception as error:  # noqa: BLE001 - it is raised again by stop(), in the thread that waits.
                self.trouble = error
                return
            turn += 1


class Day:
    """One day. `short` is for the tests: fewer orders, the same stories."""

    def __init__(self, machine: Machine, screen: Screen, *, short: bool, seed: int) -> None:
        self.machine, self.screen, self.short = machine, screen, short
        self.merchant = Merchant(machine.shop)
        self.kaufland = Marketplace(machine.kaufland, seed)
        self.orders: list[Placed] = []
        more = herbs(BOUGHT_HERBS + MEASURED_HERBS + 1)
        self.wares = [each["sku"] for each in (*goods()[1:], *more[:BOUGHT_HERBS])]
        measured = [each["sku"] for each in more[BOUGHT_HERBS:-1]]
        self.rare = more[-1] | {"sku": "RAR-001", "stock": 1}
        self.more = [*more[:-1], self.rare]
        self.shelves = Shelves(self.merchant, measured, 0.3 if short else 0.4)

    def run(self) -> list[Change]:
        """All of it; answers the measured changes. The books are quiet afterwards, or the time was up."""
        try:
            self.open_the_shop()
            self.morning()
            self.noon()
            self.afternoon()
            self.evening()
            self.until(
                "the stock was changed often enough",
                lambda: len(self.shelves.changes) >= FEWEST_CHANGES[self.short],
            )
        finally:
            self.shelves.stop()
        self.night()
        return self.shelves.changes

    # --- the parts of the day --------------------------------------------------------------------------------

    def open_the_shop(self) -> None:
        """Plug in, and wait until everything is on sale."""
        with self.screen.step("Connecting the shop and Kaufland"):
            self.machine.connect("Anna's Teeladen")
            self.kaufland.conduct(withhold_seconds=0)
            self.machine.ask_often()
        with self.screen.step(f"{len(self.more)} more products in the shop"):
            self.kaufland.add_products(self.more)
            self.merchant.add_products(self.more)
            self.merchant.learn_products()
            wanted = {each["sku"] for each in self.more}
            self.until(
                "all products are on sale",
                lambda: wanted <= {unit["id_offer"] for unit in self.kaufland.books()["units"]},
            )
        self.shelves.start()

    def morning(self) -> None:
        """Orders, some with addresses that come later; events twice and in the wrong order; new prices."""
        with self.screen.step(
            "Morning: orders, cancellations, new prices; events come twice and in the wrong order"
        ):
            self.merchant.misbehave(duplicate=15, reorder=8)
            wave = self.buyers(MORNING)
            wave.append(self.kaufland.order("unknown", {"NIE-GEHÖRT": 1}))
            wave.append(self.kaufland.order("tracking", {self.rare["sku"]: 1}))
            wave.append(self.kaufland.order("the shop cancels", {self.rare["sku"]: 1}, oversell=True))
            for number, sku in enumerate(self.wares[::4]):
                self.merchant.change(sku, price=f"{5 + number}.40")
            self.follow(wave)
        self.set_wait_hours(0)

    def noon(self) -> None:
        """A worker is killed in the middle of a delivery; Valkey forgets everything."""
        with self.screen.step(
            "Noon: kill -9 of a worker while it creates an order, FLUSHALL while more come in"
        ):
            wave = self.crash()
            wave += self.buyers(NOON[:1])
            self.machine.flush_the_bells()
            self.screen.note("FLUSHALL: Valkey has forgotten every job")
            wave += self.buyers(NOON[1:])
            self.follow(wave)

    def crash(self) -> list[Placed]:
        """Kill the worker that creates an order, after the shop has made it and before the worker hears of it."""
        wave = []
        for _ in range(CRASH_TRIES):
            self.merchant.forget_calls()
            # Only this command: on a slow machine stories of earlier orders are still on their way to the shop.
            self.merchant.fault(kind="timeout", seconds=6, effect=True, body=r'"order\.create"')
            wave.append(self.kaufland.buy("tracking", self.wares))
            self.until("a command hangs", lambda: self.merchant.hanging() is not None, 30.0)
            hanging = self.merchant.hanging()
            if hanging == "order.create":
                killed = self.machine.kill_the_busy_worker()
                self.screen.note(
                    f"kill -9 of {killed} in the middle of {hanging}: the shop has the order, nobody heard its answer"
                )
                return wave
        raise DemoFailed("No worker could be caught while it created an order.")

    def afternoon(self) -> None:
        """Answers are lost after the deed was done, on both sides."""
        with self.screen.step(
            "Afternoon: answers to order.create and to send are lost after the deed was done"
        ):
            self.merchant.misbehave(duplicate=15, reorder=8)
            for skip in (0, 4):
                self.merchant.fault(kind="reset", effect=True, skip=skip)
            wave = self.buyers(AFTERNOON)
            for sku in self.wares[1::5]:
                self.merchant.change(sku, stock=60)
            for skip in (0, 4):
                self.kaufland.fault(kind="reset", method="PATCH", path="/send", effect=True, skip=skip)
            self.follow(wave)

    def evening(self) -> None:
        """Parcels come back, money goes back."""
        with self.screen.step("Evening: returns of buyers, refunds of the shop"):
            self.until("everything that was packed is sent", lambda: self.all_sent(self.kaufland.books()))
            here = self.by_number()
            before = {number: len(order["notes"]) for number, order in here.items()}
            back = [order for order in self.orders if order.fate.startswith("comes back")]
            for order in back:
                self.kaufland.send_back(order.pieces[0])
            for order in self.of("refund a part"):
                self.merchant.do("refund", here[order.number], amount="1.50", reason="Dose beschädigt")
            for order in self.of("refund all"):
                self.merchant.do(
                    "refund", here[order.number], lines=_all_lines(here[order.number]), reason="Kulanz"
                )
            self.until(
                "the shop has heard of the returns",
                lambda: all(
                    len(self.by_number()[order.number]["notes"]) > before[order.number] for order in back
                ),
            )
            self.take_back()
            self.kaufland.move_time(6)

    def night(self) -> None:
        """Wait until nothing moves any more, and send the manifest."""
        with self.screen.step("Night: waiting until nothing moves any more, then the manifest"):
            self.quiet()
            self.merchant.manifest()
            self.until(
                "the manifest is worked off", lambda: not Quiet(self.machine, self.merchant).work()["open"]
            )

    # --- what becomes of an order -----------------------------------------------------------------------------

    def buyers(self, fates: Sequence[tuple[str, int, int]]) -> list[Placed]:
        """Orders with their fates, mixed as they are listed."""
        made = []
        for fate, full, short in fates:
            for number in range(short if self.short else full):
                more: dict[str, Any] = {"open_seconds": 4} if fate == "withheld" else {}
                if fate == "tracking" and number % 3 == 0:
                    more["shipping_rate"] = 299
                pause(0.1 if self.short else 0.2)  # buyers come one after another
                made.append(self.kaufland.buy(fate, self.wares, least=2 if fate in SEVERAL else 1, **more))
        return made

    def follow(self, wave: Sequence[Placed]) -> None:
        """Wait until the shop has them, and let everybody do what they do."""
        self.orders += wave
        numbers = {order.number for order in wave}
        self.until("the orders are in the shop", lambda: numbers <= self.by_number().keys())
        here = self.by_number()
        known = [order for order in wave if order.number in here]
        for order in known:
            self.first(order, here[order.number])
        heard = [order for order in known if order.fate == "a piece is cancelled"]
        self.until(
            "the shop has heard of the cancelled pieces",
            lambda: all(self.by_number()[order.number]["shopbridge"]["refunds"] for order in heard),
        )
        for order in known:
            self.second(order, here[order.number])

    def first(self, order: Placed, shop_order: Row) -> None:
        """What happens as soon as the order is there."""
        merchant, fate = self.merchant, order.fate
        line = shop_order["line_items"][0]
        if fate in SHIPPED_AT_ONCE:
            merchant.do("complete", shop_order, tracking=merchant.parcel())
        elif fate in {"no tracking", "late tracking"}:
            merchant.do("complete", shop_order)
        elif fate == "parts":
            merchant.do(
                "tracking", shop_order, **merchant.parcel(), lines=[{"id": line["id"], "quantity": 1}]
            )
        elif fate == "the shop cancels":
            merchant.do("cancel", shop_order)
        elif fate == "the shop takes a piece out":
            merchant.do(
                "refund", shop_order, lines=[{"id": line["id"], "quantity": 1}], reason="nicht mehr da"
            )
        elif fate == "the buyer cancels":
            for piece in order.pieces:
                self.kaufland.cancel(piece)
        elif fate == "a piece is cancelled":
            self.kaufland.cancel(order.pieces[-1])

    def second(self, order: Placed, shop_order: Row) -> None:
        """What follows."""
        merchant = self.merchant
        if order.fate in {"parts", "a piece is cancelled", "the shop takes a piece out"}:
            merchant.do("complete", shop_order, tracking=merchant.parcel())
        elif order.fate == "late tracking":
            merchant.do("tracking", shop_order, **merchant.parcel())

    def take_back(self) -> None:
        """The merchant opens the parcels that came back and refunds what was in them."""
        there = {unit["id_order_unit"]: unit for unit in self.kaufland.books()["order_units"]}
        here = self.by_number()
        for order in self.of("comes back"):
            shop_order, sku = here[order.number], there[order.pieces[0]]["id_offer"]
            line = next(line for line in shop_order["line_items"] if line["sku"] == sku)
            self.merchant.do(
                "refund", shop_order, lines=[{"id": line["id"], "quantity": 1}], reason="Retoure"
            )

    def of(self, fate: str) -> list[Placed]:
        """The orders of one fate."""
        return [order for order in self.orders if order.fate == fate]

    def by_number(self) -> dict[str, Row]:
        """The shop's orders by the marketplace's number."""
        return {
            order["source"]["order_id"]: order for order in self.merchant.books()["orders"] if order["source"]
        }

    def all_sent(self, books: Row) -> bool:
        """Whether every piece that will come back, or whose money will, has left."""
        mine = {
            piece
            for order in self.orders
            if order.fate.startswith(("comes back", "refund"))
            for piece in order.pieces
        }
        return all(unit["status"] in SENT for unit in books["order_units"] if unit["id_order_unit"] in mine)

    # --- settings and waiting ------------------------------------------------------------------------------------

    def set_wait_hours(self, hours: int) -> None:
        """The merchant no longer wants to wait for tracking numbers (C3)."""
        with self.machine.database() as session:
            change = "UPDATE connection SET settings = settings || jsonb_build_object('tracking_wait_hours', CAST(:hours AS int)) WHERE role = 'shop'"
            session.execute(text(change), {"hours": hours})
            session.commit()

    def until(self, what: str, true: Callable[[], bool], seconds: float = PATIENCE) -> bool:
        """Look until it is true. Says so when the time is up; the books will tell what is missing."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                self.screen.note(f"after {seconds:.0f} s still waiting: {what}")
                return False
            pause(LOOK_EVERY)
        return True

    def quiet(self) -> None:
        """Nothing moves any more; when it does not become quiet, what is still open is said."""
        quiet = Quiet(self.machine, self.merchant)
        if not self.until("nothing is due", quiet.reached):
            self.screen.note(", ".join(f"{name}: {count}" for name, count in quiet.work().items()))


def _all_lines(order: Row) -> list[dict[str, Any]]:
    return [{"id": line["id"], "quantity": line["quantity"]} for line in order["line_items"]]
