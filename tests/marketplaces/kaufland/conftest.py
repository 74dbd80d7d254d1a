"""The simulated Kaufland on a real port, and a client that speaks with it through the real Door."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask, g, request
from werkzeug.serving import make_server

from app.marketplaces.kaufland.client import KauflandClient
from app.marketplaces.kaufland.settings import KauflandSettings
from app.outbound import Door
from app.sandbox.faults import ROW_KINDS, Faults
from app.sandbox.kaufland import World, create_app
from app.sandbox.kaufland.world import Seller
from tests.marketplaces.kaufland import openapi

CLIENT_KEY, SECRET_KEY = "c" * 32, "5" * 64
GTIN, OTHER_GTIN, UNKNOWN_GTIN = "4006381333931", "4006381333948", "4006381333955"


@dataclass
class Kaufland:
    """The running simulator. `complaints` of the OpenAPI file about any call or answer fail the test."""

    url: str
    world: World
    faults: Faults
    complaints: list[str] = field(default_factory=list)

    @property
    def seller(self) -> Seller:
        return self.world.sellers[CLIENT_KEY]

    def door(self, **how: Any) -> Door:
        return Door(
            connection=1, base_url=f"{self.url}/v2", egress="public_https", allow_loopback=True, **how
        )

    def client(self, **settings: Any) -> KauflandClient:
        loaded = KauflandSettings().load({"client_key": CLIENT_KEY, "secret_key": SECRET_KEY} | settings)
        return KauflandClient(self.door(), loaded)

    def order(
        self, pieces: int = 1, sku: str = "TEE-001", *, open_seconds: float = 0, **more: Any
    ) -> list[str]:
        """A buyer orders; the ids of the pieces."""
        with self.world.lock:
            lines = more.pop("lines", [{"id_offer": sku, "pieces": pieces}])
            wanted = {"lines": lines, "open_seconds": open_seconds, **more}
            return [str(each) for each in self.world.place_order(self.seller, wanted)["units"]]

    def unit(
        self, sku: str = "TEE-001", ean: str = GTIN, storefront: str = "de", **more: Any
    ) -> dict[str, Any]:
        """The seller already has this unit."""
        wanted = {"id_offer": sku, "ean": ean, "listing_price": 790, "handling_time": 1, "amount": 5} | more
        with self.world.lock:
            return self.world.add_unit(self.seller, storefront, wanted)

    def status(self, piece: str) -> str:
        return str(self.world.order_units[int(piece)]["status"])

    def done(self, deed: str) -> list[dict[str, Any]]:
        return [each for each in self.world.deeds if each["deed"] == deed]


@pytest.fixture
def kaufland() -> Iterator[Kaufland]:
    world, faults = World(), Faults()
    world.sellers[CLIENT_KEY] = Seller(CLIENT_KEY, SECRET_KEY, storefronts=["de", "at"])
    world.add_product(GTIN)
    world.add_product(OTHER_GTIN, "Darjeeling, 100 g")
    app = create_app(world, faults)
    found: list[str] = []
    app.after_request(_watch(found))
    with running(app) as url:
        yield Kaufland(url, world, faults, found)
        faults.clear()
    assert found == []


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
        if request.path.startswith("/v2") and not struck:
            query = [(name, value) for name, values in request.args.lists() for value in values]
            body, answer = request.get_json(silent=True), response.get_json(silent=True)
            found.extend(
                openapi.complaints(
                    request.method, request.path[3:], query, body, response.status_code, answer
                )
            )
        return response

    return watch


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if openapi.spec() is None:
        terminalreporter.write_line("Kaufland: no OpenAPI file here, calls were not checked against it")
    elif openapi.COVERED:
        covered, every = len(openapi.COVERED), openapi.operations()
        calls = sum(openapi.COVERED.values())
        terminalreporter.write_line(
            f"Kaufland: {calls} calls checked, {covered} of {every} operations of the OpenAPI file used"
        )
