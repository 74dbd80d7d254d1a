"""The simulated Mirakl operator on a real port, and a client that speaks with it through the real Door."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask, g, request
from werkzeug.serving import make_server

from app import messages as m
from app.kept import KeptInMemory
from app.marketplaces.mirakl.client import MiraklClient
from app.marketplaces.mirakl.settings import MiraklSettings
from app.outbound import Door
from app.sandbox.faults import ROW_KINDS, Faults
from app.sandbox.mirakl import World, create_app
from app.sandbox.mirakl.world import DEMO_KEY
from tests.marketplaces.mirakl import openapi

GTIN, OTHER_GTIN, UNKNOWN_GTIN = "4006381333931", "4006381333948", "4006381333955"
NUMBER = "00340434161094015902"


@dataclass
class Mirakl:
    """The running simulator. `complaints` of the OpenAPI file about any call or answer fail the test."""

    url: str
    world: World
    faults: Faults
    kept: KeptInMemory = field(default_factory=KeptInMemory)
    complaints: list[str] = field(default_factory=list)

    def door(self, **how: Any) -> Door:
        return Door(
            connection=1,
            base_url=self.url,
            egress="tenant_url",
            allow_loopback=True,
            **({"kept": self.kept} | how),
        )

    def client(self, door: Any = None, **settings: Any) -> MiraklClient:
        given = {"operator": "eprice", "host": "https://eprice.mirakl.example", "api_key": DEMO_KEY}
        return MiraklClient(door or self.door(), MiraklSettings().load(given | settings))

    def offer(self, sku: str = "TEE-001", stock: int = 10, price: int = 790, gtin: str = GTIN) -> None:
        """The shop already has this offer."""
        row = {
            "sku": sku,
            "product-id": gtin,
            "product-id-type": "EAN",
            "price": f"{price // 100}.{price % 100:02d}",
        }
        with self.world.lock:
            self.world.take_import(
                "OF01", [row | {"quantity": str(stock), "state": "11", "leadtime-to-ship": "1"}]
            )
            self.world.settle()

    def order(
        self, pieces: int = 1, sku: str = "TEE-001", *, accepted: bool = True, **more: Any
    ) -> list[str]:
        """A buyer orders, and the seller accepts; the ids of the pieces."""
        with self.world.lock:
            lines = more.pop("lines", [{"sku": sku, "pieces": pieces}])
            made = self.world.place_order({"lines": lines, "oversell": True, **more})
            if accepted and made["state"] == "WAITING_ACCEPTANCE":
                self.world.accept(made["id"], [{"id": each, "accepted": True} for each in made["lines"]])
                self.world.deeds.pop()
            return self.world.pieces_of(made)

    def state(self, piece: str) -> str:
        return self.world.states(self.world.orders[piece.partition("/")[0]])[piece]

    def done(self, deed: str) -> list[dict[str, Any]]:
        return [each for each in self.world.deeds if each["deed"] == deed]

    def line(self, piece: str) -> dict[str, Any]:
        return self.world.line_of(piece.split("/")[1])[1]


@pytest.fixture
def mirakl() -> Iterator[Mirakl]:
    world, faults = World(), Faults()
    world.add_product(GTIN, "Assam Hathikuli, 100 g")
    world.add_product(OTHER_GTIN, "Darjeeling, 100 g")
    app = create_app(world, faults)
    found: list[str] = []
    app.after_request(_watch(found))
    with running(app) as url:
        yield Mirakl(url, world, faults, complaints=found)
        faults.clear()
    assert found == []


def wanted(sku: str = "TEE-001", **more: Any) -> m.OfferWanted:
    """What the shop wants to offer."""
    told: dict[str, Any] = {
        "gtin": GTIN,
        "title": "Assam",
        "price": 790,
        "currency": "EUR",
        "stock": 5,
        "handling_days": 1,
        "on": True,
    }
    return m.OfferWanted(sku=sku, **(told | more))


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


def _watch(found: list[str]) -> Callable[[Any], Any]:
    """Runs before the faults bend an answer: what the simulator means is checked, not what a fault makes of it."""

    def watch(response: Any) -> Any:
        struck = {each.kind for each in g.get("faults", [])} - ROW_KINDS - {"latency"}
        if request.path.startswith("/api") and not struck:
            query = [(name, value) for name, values in request.args.lists() for value in values]
            form = {**request.form, **dict.fromkeys(request.files, "a file")}
            body, answer = request.get_json(silent=True), response.get_json(silent=True)
            found.extend(
                openapi.complaints(
                    request.method, request.path, query, body, response.status_code, answer, form
                )
            )
        return response

    return watch


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if openapi.spec() is None:
        terminalreporter.write_line("Mirakl: no OpenAPI file here, calls were not checked against it")
    elif openapi.COVERED:
        covered, every = len(openapi.COVERED), openapi.operations()
        calls = sum(openapi.COVERED.values())
        terminalreporter.write_line(
            f"Mirakl: {calls} calls checked, {covered} of {every} operations of the OpenAPI file used"
        )
