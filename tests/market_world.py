"""Any simulated marketplace, the simulated shop and the bridge in one process, each a real HTTP server; the workers are called by hand.

Knows no marketplace by name: everything goes through what all simulators have in common (app.sandbox.Simulator). A new one is a parameter.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from sqlalchemy import select, text, update
from werkzeug.serving import BaseWSGIServer
from world import call, serve

from app import accounts, clock, jobs, registry
from app.extensions import db
from app.models import Account, Connection, Offer, Schedule
from app.registry import Capabilities
from app.sandbox import Simulator, shop

GOODS = {"TEE-001": "4006381333931", "TEE-002": "4006381333948", "TEE-003": "4012345678901"}
BACK = "00340434161094099{:02d}"


@dataclass
class Market:
    """A merchant with one shop and one marketplace. `shop` is the shop's state; the marketplace is asked over its /_control."""

    simulator: Simulator
    account: Account
    shop_app: Flask
    shop_url: str
    market_app: Flask
    market_url: str
    bridge_url: str
    servers: list[BaseWSGIServer] = field(default_factory=list)
    shop_connection: int = 0
    market_connection: int = 0
    called_off: list[str] = field(
        default_factory=list
    )  # pieces that a buyer has cancelled; one twice where only their number counts
    _parcels: int = 0

    @property
    def shop(self) -> Any:
        return self.shop_app.extensions["shop"]

    @property
    def can(self) -> Capabilities:
        found = db.session.get_one(Connection, self.market_connection)
        return registry.provider(found.provider).can(found.settings)

    @property
    def faults(self) -> Any:
        return self.market_app.extensions["faults"]

    def plug_in(self) -> None:
        """Connect both, and let all goods go on sale."""
        code = accounts.make_pairing(db.session, self.account, "woocommerce")
        db.session.commit()
        answer = call("POST", f"{self.shop_url}/_control/pair", {"bridge": self.bridge_url, "code": code})
        assert answer["status"] == 201, answer
        key = answer["answer"]["connection_key"]
        self.shop_connection = db.session.scalars(select(Connection.id).where(Connection.key == key)).one()
        made = accounts.connect_marketplace(
            db.session,
            self.account,
            self.simulator.key,
            dict(self.simulator.settings),
            base_url=f"{self.market_url}{self.simulator.prefix}",
            allow_loopback=True,
        )
        db.session.commit()
        self.market_connection = made.id
        self.control("products", [{"gtin": gtin, "title": f"Tee {sku}"} for sku, gtin in GOODS.items()])
        for sku, gtin in GOODS.items():
            self.product(sku, gtin)
        for _ in range(8):
            self.step(look=False)  # nobody has bought anything yet
            if not self.moving():
                break
        self.step()
        assert not self.moving()

    def product(self, sku: str, gtin: str, stock: int = 10, price: str = "7.90") -> dict[str, Any]:
        """One product of the shop, with all that a marketplace may want to know of it."""
        wanted = {
            "name": f"Tee {sku}",
            "sku": sku,
            "gtin": gtin,
            "price": price,
            "stock": stock,
            "brand": "Teeladen",
            "images": [f"https://shop.example/{sku}.jpg"],
            "description": "<div><p>Ein <b>kräftiger</b> Tee.</p></div>",
            "attributes": [{"name": "Sorte", "options": ["Assam", "Darjeeling"]}],
            "categories": [{"id": 9, "name": "Schwarzer Tee"}],
        }
        return dict(call("POST", f"{self.shop_url}/_control/products", wanted)["products"][0])

    def control(self, what: str, body: Any = None) -> Any:
        """Be a buyer or the customer service."""
        return call("POST", f"{self.market_url}/_control/{what}", {} if body is None else body)

    def state(self) -> dict[str, Any]:
        return dict(call("GET", f"{self.market_url}/_control/state"))

    def buy(self, *lines: tuple[str, int], **more: Any) -> dict[str, Any]:
        """Somebody orders: (SKU, pieces)."""
        return dict(
            self.control("buy", {"lines": [{"sku": sku, "pieces": pieces} for sku, pieces in lines], **more})
        )

    def offers(self) -> dict[str, dict[str, Any]]:
        """What the marketplace shows, by SKU."""
        return {each["sku"]: each for each in self.state()["offers"]}

    def pieces(self, order: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The pieces of one order as the marketplace has them now."""
        (found,) = [each for each in self.state()["orders"] if each["order"] == order["order"]]
        return {each["piece"]: each for each in found["pieces"]}

    def deeds(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.state()["deeds"] if each["deed"] == kind]

    def in_shop(self, deed: str, order: int, /, **asked: Any) -> Any:
        """The merchant does something with an order."""
        return call("POST", f"{self.shop_url}/_control/orders/{order}/{deed}", asked)

    def orders_in_shop(self) -> list[Any]:
        return [each for each in self.shop.orders.values() if each.key]

    def ship(self, order: Any, lines: Sequence[Mapping[str, Any]] | None = None) -> str:
        """A parcel leaves, with the label for its return where the marketplace wants one."""
        self._parcels += 1
        number = f"{self._parcels:09d}"
        parcel = {"number": _checked(f"0034043416{number}"), "carrier": "DHL"}
        if self.can.return_tracking:
            back = {"number": _checked(f"0034043417{number}"), "carrier": "DHL"}
            self.in_shop("return_label", order.id, **back)
        if lines is None:
            self.in_shop("complete", order.id, tracking=parcel)
        else:
            self.in_shop("tracking", order.id, **parcel, lines=list(lines))
        return parcel["number"]

    # --- the bridge's work ------------------------------------------------------------------------------------------------

    def work(self, *, rounds: int = 8) -> None:
        """Events in, looks, commands and offers out, and what was taken for processing is done; until nothing moves any more."""
        before: list[object] | None = None
        for _ in range(rounds):
            self.step()
            now = self.seen()
            if now == before and not self.moving():
                return
            before = now

    def step(self, *, look: bool = True) -> None:
        """One round of everything, with every wait over."""
        self.shop.outbox.deliver_due()
        self.hurry()
        for connection_id in (self.shop_connection, self.market_connection):
            jobs.drain_inbox(connection_id)
        if look:
            jobs.ask_marketplace(self.market_connection)
        for connection_id in (self.market_connection, self.shop_connection):
            jobs.drain_outbox(connection_id)
        self.control("settle")
        db.session.rollback()

    def seen(self) -> list[object]:
        """What changes in a round in which anything happened, at the marketplace or here."""
        state = self.state()
        here = (
            "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM command), (SELECT count(*) FROM order_piece),"
            " (SELECT sum(revision) FROM offer), (SELECT count(*) FROM timeline)"
        )
        return [
            *(state[name] for name in ("orders", "offers", "deeds")),
            *db.session.execute(text(here)).one(),
        ]

    def moving(self) -> dict[str, int]:
        """What is due or in hand, by kind; empty = nothing."""
        queries = {
            "events": "SELECT count(*) FROM event WHERE state IN ('due', 'leased')",
            "commands": "SELECT count(*) FROM command WHERE state IN ('due', 'leased')",
            "offers": "SELECT count(*) FROM offer WHERE stale OR sent_revision < revision OR task_due_at IS NOT NULL",
        }
        found = {name: int(db.session.scalar(text(query)) or 0) for name, query in queries.items()}
        states = self.shop.outbox.counts()
        found["waiting in the shop"] = states.get("waiting", 0) + states.get("sending", 0)
        db.session.rollback()
        return {name: count for name, count in found.items() if count}

    def hurry(self) -> None:
        """Everything that waits for its time is due now, and nobody rests."""
        past = text("now() - interval '1 second'")
        db.session.execute(update(Schedule).values(due_at=past, lease_until=None))
        db.session.execute(update(Offer).where(Offer.task_due_at.is_not(None)).values(task_due_at=past))
        for table in ("event", "command", "offer"):
            db.session.execute(text(f"UPDATE {table} SET next_attempt_at = now() - interval '1 second'"))
            done = "lease_until = NULL" if table == "offer" else "lease_until = now() - interval '1 second'"
            db.session.execute(text(f"UPDATE {table} SET {done} WHERE lease_until IS NOT NULL"))
        db.session.execute(update(Connection).values(paused_until=None))
        db.session.commit()

    def sweep(self) -> None:
        clock.sweep()

    def cases(self) -> list[str]:
        """Codes of the open cases."""
        return list(
            db.session.execute(text("SELECT code FROM case_ WHERE state = 'open' ORDER BY id")).scalars()
        )


def _checked(digits: str) -> str:
    total = sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(reversed(digits)))
    return f"{digits}{-total % 10}"


@contextlib.contextmanager
def market(app: Flask, simulator: Simulator) -> Iterator[Market]:
    """A merchant whose goods are on sale at this marketplace."""
    app.config["SHOPBRIDGE_RETRY_SCALE"] = 0.001
    app.config["SHOPBRIDGE_SANDBOX_PACE"] = 100_000.0
    market_app, shop_app = simulator.create_app(1), shop.create_app(deliver=False)
    made = [serve(app), serve(shop_app), serve(market_app)]
    (_, bridge_url), (_, shop_url), (_, market_url) = made
    app.config["SHOPBRIDGE_PUBLIC_URL"] = bridge_url
    account = accounts.create_account(db.session, "Anna's Teeladen")
    db.session.commit()
    servers = [server for server, _ in made]
    found = Market(simulator, account, shop_app, shop_url, market_app, market_url, bridge_url, servers)
    try:
        found.plug_in()
        yield found
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
