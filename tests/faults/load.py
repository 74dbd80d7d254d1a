"""What shops, buyers and merchants do while the bridge is being killed; each remembers what it was promised, for the books afterwards."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from machine import Bridge

from app.sandbox.kaufland.wire import ProblemError
from app.sandbox.shop_state import NotObeyed, Order
from app.shops import signing

GTINS = ("4006381333931", "4012345678901", "4260107220015", "4000417025005")
PRODUCTS_OF_CLIENTS = 40
FATES = ("ship", "ship", "ship", "ship_and_refund", "cancelled_by_shop", "cancelled_by_buyer")


@dataclass
class Promise:
    """One acknowledged event: 200 or 202 was answered for it."""

    delivery_id: str
    sequence: int
    product: int
    stock: int
    answers: list[int]


@dataclass
class Buying:
    """One marketplace order and what shall become of it."""

    id_order: str
    units: list[int]
    fate: str
    begun: bool = False
    refund_at: float | None = (
        None  # monotonic; a refund in the second of the parcel would count as older than it
    )


@dataclass
class Notes:
    """What was promised and done."""

    promises: list[Promise] = field(default_factory=list)
    failed_tries: int = 0
    orders: list[Buying] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Load:
    """All threads of one run. `run(seconds)` starts them, `stop()` ends them when each has kept its last promise."""

    def __init__(self, bridge: Bridge, *, clients: int = 3, pause: float = 0.03, orders: bool = True) -> None:
        self.bridge = bridge
        self.notes = Notes()
        self._clients, self._pause, self._orders = clients, pause, orders
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._parcels = iter(range(1, 10**9))
        self._fates = FATES

    def prepare(self) -> None:
        """Products on the shelf, known at Kaufland."""
        for number, gtin in enumerate(GTINS):
            with self.bridge.kaufland.lock:
                self.bridge.kaufland.add_product(gtin)
            wanted = {
                "name": f"Tee {number}",
                "sku": f"TEE-{number}",
                "gtin": gtin,
                "stock": 500,
                "price": "7.90",
            }
            self.bridge.shop.add_product(wanted)
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with self.bridge.kaufland.lock:
                if len(self.bridge.kaufland.units) == len(GTINS):
                    return
            time.sleep(0.1)
        raise AssertionError(f"the products never came on sale:\n{self.bridge.logs()}")

    def only(self, fate: str) -> None:
        """Every order ends like this."""
        self._fates = (fate,)

    def start(self) -> None:
        """Everybody begins."""
        actors: list[Callable[[random.Random], None]] = [self._client] * self._clients
        if self._orders:
            actors += [self._buyers, self._merchant, self._shop_counter]
        for number, actor in enumerate(actors):
            rng = random.Random(f"{self.bridge.random.random()}/{number}")
            thread = threading.Thread(target=self._guarded, args=(actor, rng), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _guarded(self, actor: Callable[[random.Random], None], rng: random.Random) -> None:
        try:
            actor(rng)
        except Exception as error:
            self.notes.problems.append(f"{actor.__name__} stopped: {error!r}")
            raise

    def go_on_until(self, promises: int, seconds: float = 90.0) -> None:
        """So many events were acknowledged, or the time is up."""
        deadline = time.monotonic() + seconds
        while len(self.notes.promises) < promises and time.monotonic() < deadline:
            time.sleep(0.05)

    def stop(self) -> None:
        """Nobody begins anything new; every event that was begun is delivered."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=120)
            if thread.is_alive():
                self.notes.problems.append("an event was never answered with 200 or 202")

    # --- a program that sends stock, retrying like a plugin -----------------------------------------------------------

    def _client(self, rng: random.Random) -> None:
        while not self._stop.is_set():
            product, stock = 900_000 + rng.randrange(PRODUCTS_OF_CLIENTS), rng.randrange(1000)
            sequence = self.bridge.shop.outbox.draw_sequence()
            promise = Promise(f"evt_load{sequence:020d}", sequence, product, stock, [])
            body = _stock_event(promise)
            self._deliver(promise, body)
            if rng.random() < 0.05:
                self._deliver(promise, body)  # an answer that was lost: the same event again
            with self._lock:
                self.notes.promises.append(promise)
            time.sleep(self._pause)

    def _deliver(self, promise: Promise, body: bytes) -> None:
        link = self.bridge.shop.link
        assert link is not None
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline:
            headers = signing.sign(link.event_secrets, promise.delivery_id, body, datetime.now(UTC))
            status = _post(self.bridge.port, link.webhook_url.split("/", 3)[3], body, headers)
            if status in {200, 202}:
                promise.answers.append(status)
                return
            with self._lock:
                self.notes.failed_tries += 1
            time.sleep(0.05)
        raise AssertionError(f"{promise.delivery_id} was never accepted")

    # --- buyers and the merchant ------------------------------------------------------------------------------------

    def _buyers(self, rng: random.Random) -> None:
        kaufland = self.bridge.kaufland
        while not self._stop.is_set():
            lines = [
                {"id_offer": f"TEE-{number}", "pieces": rng.randint(1, 3), "price": 790}
                for number in rng.sample(range(len(GTINS)), rng.randint(1, 2))
            ]
            with kaufland.lock:
                try:
                    placed = kaufland.place_order(next(iter(kaufland.sellers.values())), {"lines": lines})
                except ProblemError:
                    placed = None  # sold out at this moment
                if placed is not None:
                    buying = Buying(placed["id_order"], placed["units"], rng.choice(self._fates))
                    self.notes.orders.append(buying)
                    if buying.fate == "cancelled_by_buyer" and rng.random() < 0.5:
                        self._buyer_cancels(buying)
            self._stop.wait(rng.uniform(0.2, 0.5))

    def _buyer_cancels(self, buying: Buying) -> None:
        kaufland = self.bridge.kaufland
        buying.begun = True
        with kaufland.lock:
            for unit in buying.units:
                kaufland.cancel(kaufland.order_units[unit], "BuyerCancelled", by="buyer")

    def _merchant(self, rng: random.Random) -> None:
        while not self._stop.is_set():
            self.do_what_is_due(rng)
            self._stop.wait(0.2)

    def do_what_is_due(self, rng: random.Random) -> int:
        """The merchant's and the buyers' part in every order that has reached the shop; answers how many were begun."""
        shop = self.bridge.shop
        with shop.lock:
            in_shop = {order.source["order_id"]: order for order in shop.orders.values() if order.source}
        waiting = [each for each in self.notes.orders if not each.begun and each.id_order in in_shop]
        for buying in waiting:
            self._begin(buying, in_shop[buying.id_order])
        refunds = [each for each in self.notes.orders if each.refund_at is not None]
        for buying in refunds:
            self._refund(buying, in_shop[buying.id_order])
        return len(waiting) + len(refunds)

    def _begin(self, buying: Buying, order: Order) -> None:
        buying.begun = True
        if buying.fate == "cancelled_by_buyer":
            self._buyer_cancels(buying)
        elif buying.fate == "cancelled_by_shop":
            self.bridge.shop.set_status(order.id, "cancelled")
        else:
            parcel = {"number": f"0034043416{next(self._parcels):010d}", "carrier": "DHL"}
            self.bridge.shop.complete(order.id, parcel)
            if buying.fate == "ship_and_refund":
                buying.refund_at = time.monotonic() + 2

    def _refund(self, buying: Buying, order: Order) -> None:
        """One euro of one piece comes back."""
        if buying.refund_at is None or time.monotonic() < buying.refund_at:
            return
        buying.refund_at = None
        part = {"id": order.lines[0].id, "quantity": 1}
        self.bridge.shop.refund(order.id, {"amount": "1.00", "lines": [part], "restock": False})

    def _shop_counter(self, rng: random.Random) -> None:
        """Customers in the shop itself, and deliveries to its shelf."""
        shop = self.bridge.shop
        while not self._stop.is_set():
            number = rng.randrange(len(GTINS))
            try:
                if rng.random() < 0.6:
                    shop.buy({"lines": [{"sku": f"TEE-{number}", "quantity": rng.randint(1, 3)}]})
                else:
                    with shop.lock:
                        product = shop.find(sku=f"TEE-{number}")
                        shop.change_product(product.id, {"stock": product.stock + rng.randint(1, 5)})
            except NotObeyed:
                pass  # sold out
            self._stop.wait(rng.uniform(0.1, 0.3))


def _stock_event(promise: Promise) -> bytes:
    data = {
        "id": promise.product,
        "sku": f"X-{promise.product}",
        "manage_stock": True,
        "stock_quantity": promise.stock,
        "stock_status": "instock",
        "order_id": None,
    }
    event = {
        "type": "stock.changed",
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "sequence": promise.sequence,
        "subject": f"product/{promise.product}",
        "data": data,
    }
    return json.dumps(event).encode()


def _post(port: int, path: str, body: bytes, headers: dict[str, str]) -> int | None:
    """The status, None for no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", f"/{path}", body, {"Content-Type": "application/json", **headers})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def kill_at_random(bridge: Bridge, targets: list[str], *, pause: tuple[float, float]) -> Any:
    """One kill per target, in the given order, with random pauses between."""
    for target in targets:
        time.sleep(bridge.random.uniform(*pause))
        bridge.kill(target)
