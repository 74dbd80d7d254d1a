"""The people of the day: the merchant and the buyers, as calls to the simulators' controls.

What may go wrong: a simulator refuses (nothing is on sale, an order is not there); then the demo ends with its words.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.commands.playground import call
from app.demo.books import Change, Row

TEAS = (
    "Earl Grey Blue", "Gyokuro", "Houjicha", "Kukicha", "Keemun", "Nilgiri", "Silver Needle", "Tie Guan Yin", "Pu Erh", "Lady Grey",
    "Zitronenmelisse", "Salbei", "Brennnessel", "Thymian", "Lindenblüte", "Ingwer-Zitrone", "Holunder", "Schafgarbe", "Anis", "Lavendel",
    "Ringelblume", "Malve", "Eisenkraut", "Kornblume", "Birkenblatt", "Süßholz", "Zimt", "Kardamom", "Nelke", "Orangenschale",
)  # fmt: skip


@dataclass(frozen=True)
class Placed:
    """An order of a buyer: its number and the ids of its pieces at the marketplace, and what will become of it."""

    number: str
    pieces: Sequence[int]
    fate: str


def check_digit(digits: str) -> int:
    """The last digit of a GTIN or of a parcel's number (GS1, weights 3 and 1 from the right)."""
    return (
        -sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits))) % 10
    )


class Merchant:
    """Anna in her shop."""

    def __init__(self, url: str, *, first_parcel: int = 1) -> None:
        self.url = f"{url}/_control"
        self.products: dict[str, int] = {}
        self._parcels = itertools.count(first_parcel)

    def books(self) -> dict[str, Any]:
        """Everything the shop knows."""
        answer: dict[str, Any] = call("GET", f"{self.url}/books")
        return answer

    def add_products(self, wanted: Sequence[Row]) -> None:
        """New products."""
        for made in call("POST", f"{self.url}/products", list(wanted))["products"]:
            self.products[made["sku"]] = made["id"]

    def learn_products(self) -> None:
        """The ids of what is on the shelf already."""
        self.products |= {product["sku"]: product["id"] for product in self.books()["products"]}

    def change(self, sku: str, **values: Any) -> None:
        """New price or stock."""
        call("PATCH", f"{self.url}/products/{self.products[sku]}", values)

    def set_stock(self, sku: str, stock: int) -> Change:
        """A stock change whose way is measured: the clock is read before the shop hears of it."""
        at = datetime.now(UTC)
        self.change(sku, stock=stock)
        return Change(sku, stock, at)

    def do(self, deed: str, order: Row, **asked: Any) -> None:
        """Complete, track, refund or cancel an order."""
        call("POST", f"{self.url}/orders/{order['id']}/{deed}", asked)

    def parcel(self) -> dict[str, str]:
        """A new DHL label with a right check digit."""
        digits = f"34043416{next(self._parcels):09d}"
        return {"number": f"00{digits}{check_digit(digits)}", "carrier": "DHL"}

    def misbehave(self, **mischief: int) -> None:
        """Let the next deliveries come twice or in the wrong order."""
        call("POST", f"{self.url}/delivery", mischief)

    def manifest(self) -> None:
        """Send the manifest of the day."""
        call("POST", f"{self.url}/manifest", {})

    def fault(self, **ordered: Any) -> None:
        """Let the next commands that reach the shop go wrong."""
        call("POST", f"{self.url}/faults", {"method": "POST", "path": "/commands", **ordered})

    def hanging(self) -> str | None:
        """The type of the newest command whose answer is kept back; None when none is."""
        calls = call("GET", f"{self.url}/calls")["calls"]
        struck = [each for each in calls if "timeout" in each["faults"]]
        return str(struck[-1]["body"]["type"]) if struck else None

    def forget_calls(self) -> None:
        """Begin a new list of calls."""
        call("DELETE", f"{self.url}/calls")


class Marketplace:
    """Buyers and customer service at Kaufland."""

    def __init__(self, url: str, seed: int) -> None:
        self.url = f"{url}/_control"
        self._random = random.Random(seed)  # noqa: S311 - the same day again is what is wanted.

    def books(self) -> dict[str, Any]:
        """Everything the marketplace knows."""
        answer: dict[str, Any] = call("GET", f"{self.url}/books")
        return answer

    def add_products(self, products: Sequence[Row]) -> None:
        """Put products into the catalogue."""
        call(
            "POST",
            f"{self.url}/products",
            [{"ean": each["gtin"], "title": each["name"]} for each in products],
        )

    def conduct(self, **values: Any) -> None:
        """How this Kaufland behaves."""
        call("POST", f"{self.url}/conduct", values)

    def buy(self, fate: str, skus: Sequence[str], *, least: int = 1, **more: Any) -> Placed:
        """Somebody orders one to three products, one to four pieces together, at least `least`."""
        wanted = self._random.randint(least, 4)
        lines: dict[str, int] = {}
        for sku in self._random.sample(skus, min(len(skus), self._random.randint(1, min(3, wanted)))):
            lines[sku] = 1
        for _ in range(wanted - len(lines)):
            lines[self._random.choice(list(lines))] += 1
        return self.order(fate, lines, **more)

    def order(self, fate: str, lines: Mapping[str, int], **more: Any) -> Placed:
        """Somebody orders exactly this."""
        asked = {"lines": [{"id_offer": sku, "pieces": pieces} for sku, pieces in lines.items()], **more}
        made = call("POST", f"{self.url}/orders", asked)
        return Placed(made["id_order"], made["units"], fate)

    def cancel(self, piece: int) -> None:
        """Customer service cancels one piece."""
        call("POST", f"{self.url}/order-units/{piece}/cancel", {})

    def send_back(self, piece: int) -> None:
        """A buyer sends one piece back, and the parcel arrives."""
        back = call("POST", f"{self.url}/returns", {"units": [piece], "reason": "dislike"})
        call("POST", f"{self.url}/returns/{back['id_return']}/arrive", {})

    def move_time(self, days: int) -> None:
        """Some days pass there."""
        call("POST", f"{self.url}/time", {"seconds": days * 86400})

    def fault(self, **ordered: Any) -> None:
        """Let the next calls go wrong."""
        call("POST", f"{self.url}/faults", ordered)


def herbs(how_many: int) -> list[dict[str, Any]]:
    """More products for the shop. GTINs that begin with 952 are for examples and nobody's goods (GS1)."""
    names = [TEAS[number % len(TEAS)] for number in range(how_many)]
    return [
        {
            "name": f"{name}, 50 g",
            "sku": f"KRAUT-{number:03d}",
            "gtin": f"{(digits := f'{952_000_001_000 + number}')}{check_digit(digits)}",
            "price": f"{3 + number % 9}.50",
            "stock": 40,
        }
        for number, name in enumerate(names, start=1)
    ]
