"""The simulated eMAG on a real port, and a client that speaks with it through the real Door."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from app import messages as m
from app.kept import KeptInMemory
from app.marketplaces.emag.client import EmagClient
from app.marketplaces.emag.settings import EmagSettings
from app.outbound import Door
from app.sandbox.emag import PREFIX, World, create_app
from app.sandbox.emag.world import Conduct, Seller
from app.sandbox.faults import Faults

USER, PASSWORD = "anna", "teeladen"
GTIN, OTHER_GTIN, UNKNOWN_GTIN = "4006381333931", "4006381333948", "4006381333955"
PARCELS = {
    "shipping_mode": "emag",
    "sender_name": "Anna's Teeladen",
    "sender_phone": "+40700000001",
    "sender_street": "Teeweg 1",
    "sender_locality_id": 5,
}


@dataclass
class Emag:
    """The running simulator. `kept` is what all clients of a test share, as all workers do."""

    url: str
    world: World
    faults: Faults
    kept: KeptInMemory

    def door(self, **how: Any) -> Door:
        return Door(
            connection=1,
            base_url=f"{self.url}{PREFIX}",
            egress="public_https",
            allow_loopback=True,
            lanes={"orders": "10000/second", "rest": "10000/second", "eans": "10000/second"},
            kept=self.kept,
            **how,
        )

    def client(self, **settings: Any) -> EmagClient:
        told = {
            "platform": "bg",
            "username": USER,
            "password": PASSWORD,
            "default_vat_percent": "20",
        } | settings
        return EmagClient(self.door(), EmagSettings().load(told))

    def offer(self, number: int = 1, sku: str = "TEE-001", ean: str = GTIN, **more: Any) -> dict[str, Any]:
        """The seller already has this offer."""
        wanted = {
            "id": number,
            "part_number": sku,
            "ean": [ean],
            "name": sku,
            "status": 1,
            "sale_price": 6.5833,
            "min_sale_price": 3,
            "max_sale_price": 20,
            "vat_id": 1,
            "stock": [{"warehouse_id": 1, "value": 10}],
            "handling_time": [{"warehouse_id": 1, "value": 1}],
        } | more
        with self.world.lock:
            wrong = self.world.place_offer(wanted)
            assert wrong == []
            return self.world.offers[number]

    def order(self, pieces: int = 1, sku: str = "TEE-001", *, open_: bool = False, **more: Any) -> list[str]:
        """A buyer orders; the ids of the pieces. Acknowledged unless `open_`."""
        if not self.world.offers:
            self.offer()
        with self.world.lock:
            order_id = self.world.place_order({"lines": [{"sku": sku, "pieces": pieces}], "more": more})
            if not open_:
                self.world.acknowledge(order_id)
            return [each["piece"] for each in self.world.pieces[order_id]]

    def row(self, piece: str) -> dict[str, Any]:
        """The order of a piece as eMAG shows it."""
        return self.world.orders[int(piece.partition("/")[0])]

    def done(self, deed: str) -> list[dict[str, Any]]:
        return [each for each in self.world.deeds if each["deed"] == deed]


@pytest.fixture
def emag() -> Iterator[Emag]:
    world, faults = World(Conduct(hurry=1000.0)), Faults()
    world.sellers[USER] = Seller(USER, PASSWORD)
    world.add_product(GTIN, "Assam Hathikuli, 100 g")
    world.add_product(OTHER_GTIN, "Darjeeling, 100 g")
    with running(create_app(world, faults)) as url:
        yield Emag(url, world, faults, KeptInMemory())
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


OFFER = m.OfferWanted("TEE-001", GTIN, "Assam", 790, "EUR", 5, 1, on=True, number=1)
