"""The same shop sells on every marketplace that can be simulated: buyers, parcels, cancellations, refunds and lost answers at each, and the books.

Knows no marketplace by name. What may go wrong is what it looks for: an order that is not in the shop, one that is there twice, a deed that was
done twice, an offer that shows something else than the bridge believes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import text

from app import registry
from app.commands.playground import call, goods
from app.demo.books import Row
from app.demo.machine import Machine, pause
from app.demo.people import Merchant
from app.demo.quiet import Quiet
from app.demo.screen import Screen
from app.registry import Capabilities
from app.sandbox import Simulator, simulators

# What becomes of the orders at each marketplace, and how many of them: (fate, full day, short day).
FATES: Final = (
    ("tracking", 4, 1), ("parts", 2, 1), ("the shop cancels", 2, 1), ("the buyer cancels", 1, 1), ("refund a part", 2, 1), ("comes back", 1, 1),
)  # fmt: skip
STEPS: Final = 4
# Numbers that begin with 20 count in one's own house only, so no marketplace takes this one.
HOMEMADE: Final = {
    "name": "Annas Hausmischung, 50 g",
    "sku": "HAUS-001",
    "gtin": "2000000000015",
    "price": "4.50",
    "stock": 9,
}
WAIT_SECONDS: Final = 120.0
LOOK_EVERY: Final = 0.3
LOST_ANSWERS: Final = 2  # at each marketplace, after the deed was done
GONE: Final = frozenset({"shipped", "delivered", "returned"})
ONCE: Final = ("accept", "ship", "cancel", "accept_return")


@dataclass
class Stall:
    """One simulated marketplace of the merchant. `orders`: the marketplace's number -> its fate and pieces."""

    simulator: Simulator
    url: str
    connection: str
    can: Capabilities
    orders: dict[str, tuple[str, list[str]]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As it is called in the line for machines."""
        return self.simulator.plays or self.simulator.key

    def state(self) -> Row:
        """Orders, offers and deeds (app.sandbox.Simulator)."""
        found: Row = call("GET", f"{self.url}/_control/state")
        return found

    def buy(self, fate: str, lines: Mapping[str, int]) -> None:
        """Somebody buys; an order that its buyer will cancel stays unpaid."""
        asked: dict[str, Any] = {"lines": [{"sku": sku, "pieces": count} for sku, count in lines.items()]}
        if fate == "the buyer cancels":
            asked["state"] = "announced"
        made = call("POST", f"{self.url}/_control/buy", asked)
        self.orders[made["order"]] = fate, made["pieces"]

    def of(self, *fates: str) -> list[str]:
        """Numbers of the orders with these fates."""
        return [number for number, (fate, _) in self.orders.items() if fate in fates]


class MarketDay:
    """Plug in every simulated marketplace and let the same things happen at each."""

    def __init__(self, machine: Machine, screen: Screen, merchant: Merchant, *, short: bool) -> None:
        self.machine, self.screen, self.merchant, self.short = machine, screen, merchant, short
        self.stalls: list[Stall] = []
        self.wares = [each["sku"] for each in goods()[1:]]
        self.quiet = Quiet(machine, merchant)

    def run(self) -> list[Stall]:
        """All of it; answers the marketplaces, quiet or when the time is up."""
        with self.screen.step("The same shop on every simulated marketplace"):
            self.open()
        with self.screen.step("Orders at each of them, answers that get lost, parcels, cancellations"):
            self.sell()
            self.pack()
        with self.screen.step("Refunds and returns at each of them"):
            self.give_back()
            if not self.until("nothing moves any more", self.is_quiet):
                self.screen.note(", ".join(f"{name}: {count}" for name, count in self.quiet.work().items()))
        return self.stalls

    def open(self) -> None:
        """Connect all; the goods go on sale at each."""
        told = self.machine.connect("Anna's Teeladen", "all")
        for key, made in told["marketplaces"].items():
            simulator = simulators()[key]
            can = registry.provider(key).can(simulator.settings)
            self.stalls.append(Stall(simulator, told[f"{key}_url"], made["connection"], can))
        self.machine.ask_often()
        self.merchant.add_products([HOMEMADE])
        for sku in self.wares:
            self.merchant.change(sku, stock=60)
        wanted = set(self.wares)
        self.until(
            "everything is on sale everywhere",
            lambda: all(
                wanted <= {each["sku"] for each in stall.state()["offers"] if each["stock"] >= 20}
                for stall in self.stalls
            ),
        )

    def sell(self) -> None:
        """The same orders at each marketplace."""
        turn = 0
        for fate, full, short in FATES:
            for _ in range(short if self.short else full):
                for stall in self.stalls:
                    if fate == "comes back" and not stall.can.returns:
                        continue
                    first, second = (
                        self.wares[turn % len(self.wares)],
                        self.wares[(turn + 1) % len(self.wares)],
                    )
                    stall.buy(fate, {first: 2} if fate == "parts" else {first: 1, second: 1})
                    turn += 1
        wanted = {
            number
            for stall in self.stalls
            for number in stall.orders
            if number not in stall.of("the buyer cancels")
        }
        self.until("the orders are in the shop", lambda: wanted <= self.by_number().keys())

    def pack(self) -> None:
        """Parcels, cancellations; the first answers at each marketplace are lost after the deed was done."""
        here = self.by_number()
        for stall in self.stalls:
            for method in ("POST", "PUT", "PATCH"):
                lost = {"kind": "reset", "method": method, "effect": True, "skip": 1, "count": LOST_ANSWERS}
                call("POST", f"{stall.url}/_control/faults", lost)
            for number in stall.of("the buyer cancels"):
                call("POST", f"{stall.url}/_control/cancel", {"order": number})
            for number in stall.of("the shop cancels"):
                if number in here:
                    self.merchant.do("cancel", here[number])
            for number in stall.of("tracking", "parts", "refund a part", "comes back"):
                if number in here:
                    self.ship(stall, here[number], parts=number in stall.of("parts"))
        self.until("what was packed is shipped everywhere", self.all_gone)

    def ship(self, stall: Stall, order: Row, *, parts: bool) -> None:
        """One parcel or two, with the labels for their return where the marketplace wants these."""
        lines = order["line_items"]
        contents: list[list[Row] | None] = [None]
        if parts:
            contents = [[{"id": lines[0]["id"], "quantity": 1}], [{"id": lines[0]["id"], "quantity": 1}]]
        for content in contents:
            if stall.can.return_tracking:
                self.merchant.do("return_label", order, **self.merchant.parcel())
            if content is None:
                self.merchant.do("complete", order, tracking=self.merchant.parcel())
            else:
                self.merchant.do("tracking", order, **self.merchant.parcel(), lines=content)

    def give_back(self) -> None:
        """Money of the shop's refunds, and goods that come back."""
        here = self.by_number()
        for stall in self.stalls:
            for number in stall.of("refund a part"):
                if number in here:
                    self.merchant.do("refund", here[number], amount="1.50", reason="Dose beschädigt")
            for number in stall.of("comes back"):
                piece = stall.orders[number][1][0]
                call("POST", f"{stall.url}/_control/return", {"pieces": [piece]})
        self.until("the returns are known", self.returns_are_known)
        for stall in self.stalls:
            for number in stall.of("comes back"):
                line = here[number]["line_items"][0]
                back = [{"id": line["id"], "quantity": 1}]
                self.merchant.do("refund", here[number], lines=back, reason="Retoure")

    def returns_are_known(self) -> bool:
        wanted = sum(len(stall.of("comes back")) for stall in self.stalls)
        with self.machine.database() as session:
            known = session.execute(
                text("SELECT count(*) FROM return_piece WHERE state IN ('arrived', 'accepted', 'announced')")
            )
            return bool(known.scalar_one() >= wanted)

    def by_number(self) -> dict[str, Row]:
        """The shop's orders by the marketplace's number."""
        orders = self.merchant.books()["orders"]
        return {order["source"]["order_id"]: order for order in orders if order["source"]}

    def all_gone(self) -> bool:
        """Whether every order that was packed has left, and every cancelled one is over, at its marketplace."""
        return all(
            piece["state"]
            in (
                GONE
                if order["order"] in stall.of("tracking", "parts", "refund a part", "comes back")
                else {"cancelled"}
            )
            for stall in self.stalls
            for order in stall.state()["orders"]
            if order["order"] in stall.orders
            for piece in order["pieces"]
        )

    def is_quiet(self) -> bool:
        """Everything that was taken for processing is done, and nothing moves any more."""
        for stall in self.stalls:
            call("POST", f"{stall.url}/_control/settle", {})
        return self.quiet.reached()

    def until(self, what: str, happened: Callable[[], bool], seconds: float = WAIT_SECONDS) -> bool:
        """Wait for it; when it does not come the day goes on, and the books say what is missing."""
        deadline = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > deadline:
                self.screen.note(f"still waiting: {what}")
                return False
            pause(LOOK_EVERY)
        return True


# --- the books --------------------------------------------------------------------------------------------------------------


@dataclass
class Judged:
    """The figures of each marketplace, and what does not agree: (what, sentence)."""

    figures: dict[str, dict[str, int]] = field(default_factory=dict)
    wrong: list[tuple[str, str]] = field(default_factory=list)


def believed(machine: Machine) -> dict[str, list[Row]]:
    """What the bridge believes its offers show, by connection: sku, state, reason, confirmed stock."""
    with machine.database() as session:
        rows = session.execute(text(_OFFERS)).mappings().all()
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["connection"], []).append(dict(row))
    return found


_OFFERS = """
    SELECT c.key AS connection, p.sku, o.state, o.reason_code, (o.confirmed->>'stock')::int AS stock, o.confirmed_revision = o.revision AS confirmed
    FROM offer o JOIN connection c ON c.id = o.connection_id JOIN product p ON p.id = o.product_id
"""


def compare(
    stalls: Iterable[Stall], states: Mapping[str, Row], shop: Row, offers: Mapping[str, Sequence[Row]]
) -> Judged:
    """One row for each marketplace. `states` by its name, `shop` the shop's books, `offers` what the bridge believes, by connection."""
    judged = Judged()
    in_shop = Counter(order["source"]["order_id"] for order in shop["orders"] if order["source"])
    for stall in stalls:
        _stall(judged, stall, states[stall.name], in_shop, offers.get(stall.connection, ()))
    return judged


def _stall(judged: Judged, stall: Stall, state: Row, in_shop: Counter[str], offers: Sequence[Row]) -> None:
    name, orders = stall.name, state["orders"]
    # An order that nobody ever had to ship need not come to the shop.
    wanted = [
        each["order"] for each in orders if any(piece["state"] != "cancelled" for piece in each["pieces"])
    ]
    lost = [number for number in wanted if not in_shop[number]]
    twice = [each["order"] for each in orders if in_shop[each["order"]] > 1]
    doubled = _doubled(state["deeds"])
    judged.wrong += [(f"{name} {number}", "is not in the shop") for number in lost]
    judged.wrong += [(f"{name} {number}", "is in the shop more than once") for number in twice]
    judged.wrong += [
        (f"{name} {piece}", f"had {deed} done to it {count} times")
        for (deed, piece), count in doubled.items()
    ]
    judged.wrong += [(f"{name} {number}", sentence) for number, sentence in _fates(stall, orders)]
    judged.wrong += [(f"{name} {sku}", sentence) for sku, sentence in _shown(state["offers"], offers)]
    pieces = [piece for order in orders for piece in order["pieces"]]
    judged.figures[name] = {
        "orders_at_marketplace": len(orders),
        "orders_in_shop": sum(1 for each in orders if in_shop[each["order"]]),
        "shipped": sum(piece["state"] in GONE for piece in pieces),
        "cancelled": sum(piece["state"] == "cancelled" for piece in pieces),
        "refunded": sum(piece["refunded"] for piece in pieces),
        "offers_confirmed": sum(
            bool(each["confirmed"]) and each["state"] in {"on_sale", "off"} for each in offers
        ),
        "offers_refused_with_reason": sum(
            each["state"] in {"needs_product", "needs_variation", "refused"} and bool(each["reason_code"])
            for each in offers
        ),
        "lost": len(lost),
        "duplicates": len(twice) + len(doubled),
    }


def _doubled(deeds: Iterable[Row]) -> dict[tuple[str, str], int]:
    """Deeds that happened to one piece more than once."""
    seen = Counter(
        (deed["deed"], piece) for deed in deeds if deed["deed"] in ONCE for piece in deed["pieces"]
    )
    return {what: count for what, count in seen.items() if count > 1}


def _fates(stall: Stall, orders: Iterable[Row]) -> Iterable[tuple[str, str]]:
    """Whether each order ended as it should."""
    for order in orders:
        fate, _ = stall.orders.get(order["order"], ("", []))
        states = {piece["state"] for piece in order["pieces"]}
        if fate in {"the shop cancels", "the buyer cancels"} and states != {"cancelled"}:
            yield order["order"], f"was cancelled and is {', '.join(sorted(states))}"
        if fate in {"tracking", "parts", "refund a part", "comes back"} and not states <= GONE:
            yield order["order"], f"was shipped and is {', '.join(sorted(states))}"
        refunded = sum(piece["refunded"] for piece in order["pieces"])
        if fate == "refund a part" and refunded != (150 if stall.can.refund_amounts else 0):
            yield order["order"], f"was refunded 1.50 in the shop and {refunded / 100:.2f} there"
        if fate in {"tracking", "parts"} and refunded:
            yield order["order"], f"was refunded {refunded / 100:.2f} and nobody wanted it"


def _shown(shown: Iterable[Row], offers: Sequence[Row]) -> Iterable[tuple[str, str]]:
    """Whether the marketplace shows what the bridge says it has confirmed."""
    there = {each["sku"]: each["stock"] for each in shown}
    for offer in offers:
        if offer["confirmed"] and offer["state"] == "on_sale" and there.get(offer["sku"]) != offer["stock"]:
            yield str(offer["sku"]), f"shows {there.get(offer['sku'])}, the bridge believes {offer['stock']}"
