"""Simulated Octopia on a real port, and a client that speaks with it through the real Door."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from app import messages as m
from app.kept import KeptInMemory
from app.marketplaces.cdiscount.client import CdiscountClient
from app.marketplaces.cdiscount.settings import CdiscountSettings
from app.outbound import Door
from app.sandbox.cdiscount import PREFIX, SIMULATOR, World, create_app
from app.sandbox.faults import Faults

GTIN, OTHER_GTIN, UNKNOWN_GTIN = "4006381333931", "4006381333948", "4012345678901"
NUMBER = "00340434161094015902"
OFFER = m.OfferWanted("TEE-001", GTIN, "Assam", 790, "EUR", 5, 1, on=True, vat_percent="19")


@dataclass
class Cdiscount:
    """The running simulator."""

    url: str
    world: World
    faults: Faults
    kept: KeptInMemory = field(default_factory=KeptInMemory)

    def door(self, **more: Any) -> Door:
        how: dict[str, Any] = {"kept": self.kept, "hosts": {"auth": self.url}} | more
        return Door(
            connection=1, base_url=f"{self.url}{PREFIX}", egress="public_https", allow_loopback=True, **how
        )

    def client(self, *, door: Door | None = None, **settings: Any) -> CdiscountClient:
        loaded = CdiscountSettings().load(dict(SIMULATOR.settings) | settings)
        return CdiscountClient(door or self.door(), loaded)

    def order(self, *lines: tuple[str, int], status: str = "InPreparation", **more: Any) -> list[str]:
        """A buyer orders, and the order has come as far as `status`; the ids of its pieces."""
        world = self.world
        with world.lock:
            wanted = [{"sku": sku, "pieces": pieces} for sku, pieces in lines or (("TEE-001", 1),)]
            order = world.place_order({"lines": wanted, "oversell": True, "state": "announced"} | more)
            if status != "Processing":
                world.pay(order["id"])
            if status not in {"Processing", "WaitingAcceptance"}:
                world.answer(order, "Accepted")
            if status not in {"Processing", "WaitingAcceptance", "Accepted"}:
                world.tick(everything=True)
            if status in {"Shipped", "Delivered"}:
                world.ship(order, {"parcelNumber": NUMBER, "carrierName": "DHL"})
            if status == "Delivered":
                world.receive(order["id"])
            world.deeds.clear()
            return world.pieces_of(order)

    def on_sale(self, sku: str = "TEE-001", gtin: str = GTIN, price: int = 790, stock: int = 5) -> None:
        """The seller already has this offer."""
        with self.world.lock:
            self.world.offers[sku] = {
                "sku": sku, "gtin": gtin, "price": price, "stock": stock, "handling_days": 1, "taxes": {},
                "modes": {}, "updated_at": self.world.now(),
            }  # fmt: skip

    def status(self, piece: str) -> str:
        return str(self.world.orders[piece.partition("/")[0]]["status"])

    def settle(self) -> None:
        with self.world.lock:
            self.world.tick(everything=True)

    def done(self, deed: str) -> list[dict[str, Any]]:
        return [each for each in self.world.deeds if each["deed"] == deed]

    def pushed(self, client: CdiscountClient, *offers: m.OfferWanted) -> dict[str, m.OfferAnswer]:
        """Push, let everything be integrated, and read the answers; by SKU."""
        answers = {each.sku: each for each in client.push_offers(offers)}
        self.settle()
        tasks = {each.task for each in answers.values() if each.task}
        for seen in client.read_tasks(sorted(tasks)):
            assert seen.done
            answers |= {each.sku: each for each in seen.answers}
        return answers


@pytest.fixture
def cdiscount() -> Iterator[Cdiscount]:
    world, faults = World(), Faults()
    world.products |= {GTIN: "Thé Assam", OTHER_GTIN: "Thé Darjeeling"}
    with running(create_app(world, faults)) as url:
        yield Cdiscount(url, world, faults)
        faults.clear()


class running:  # noqa: N801  Reads as a sentence: `with running(app) as url`.
    """A Flask app on a free loopback port, in threads."""

    def __init__(self, app: Flask) -> None:
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()
