"""Simulated OTTO on a real port, and a client that speaks with it through the real Door."""

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
from app.marketplaces.otto.client import OttoClient
from app.marketplaces.otto.settings import OttoSettings
from app.outbound import Door
from app.sandbox.faults import ROW_KINDS, Faults
from app.sandbox.otto import SIMULATOR, World, create_app
from app.sandbox.otto.world import PROFILE, Seller
from tests.marketplaces.otto import schemas

CLIENT_ID, CLIENT_SECRET = "client-of-anna", "secret-of-anna"
GTIN, OTHER_GTIN = "4006381333931", "4006381333948"
SETTINGS = dict(SIMULATOR.settings) | {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


@dataclass
class Otto:
    """The running simulator. `complaints` of the schemas about any call or answer fail the test."""

    url: str
    world: World
    faults: Faults
    complaints: list[str] = field(default_factory=list)
    kept: KeptInMemory = field(default_factory=KeptInMemory)

    @property
    def seller(self) -> Seller:
        return self.world.sellers[CLIENT_ID]

    def door(self, **how: Any) -> Door:
        how = {"kept": self.kept} | how
        return Door(connection=1, base_url=self.url, egress="public_https", allow_loopback=True, **how)

    def client(self, *, door: Door | None = None, **settings: Any) -> OttoClient:
        return OttoClient(door or self.door(), OttoSettings().load(SETTINGS | settings))

    def product(
        self, sku: str = "TEE-001", gtin: str = GTIN, stock: int = 5, price: int = 790
    ) -> dict[str, Any]:
        """The seller already has this product on sale."""
        with self.world.lock:
            amount = {"amount": price / 100, "currency": "EUR"}
            body = {"sku": sku, "ean": gtin, "pricing": {"standardPrice": amount, "vat": "FULL"}}
            made = self.world.add_product(self.seller, body)
            self.world.validate(made)
            made |= {"quantity": stock, "delivery": {"shippingProfileId": PROFILE, "processingTime": "2"}}
            self.world.deeds.clear()
            return made

    def order(self, *lines: tuple[str, int], state: str = "to_ship", **more: Any) -> list[str]:
        """A buyer orders; the ids of the pieces."""
        with self.world.lock:
            wanted = [{"sku": sku, "pieces": pieces} for sku, pieces in lines or (("TEE-001", 1),)]
            order = self.world.place_order(
                self.seller, {"lines": wanted, "state": state, "oversell": True, **more}
            )
            return [f"{order['id']}/{each}" for each in order["items"]]

    def item(self, piece: str) -> dict[str, Any]:
        return self.world.items[piece.rpartition("/")[2]]

    def status(self, piece: str) -> str:
        return str(self.item(piece)["status"])

    def sent(self, *pieces: str) -> None:
        """The seller has sent these."""
        number = f"0034043416{self.world.number():010d}"
        answers = self.client().ship(parcel(*pieces, number=number, back=f"R{number}"))
        assert all(each.ok for each in answers)

    def done(self, deed: str) -> list[dict[str, Any]]:
        return [each for each in self.world.deeds if each["deed"] == deed]


def parcel(
    *pieces: str,
    number: str | None = "00340434161094015902",
    carrier: str | None = "dhl",
    back: str | None = "577546565072",
    back_carrier: str | None = None,
    further: bool = False,
) -> m.ShipmentWanted:
    return m.ShipmentWanted(
        pieces,
        number,
        carrier,
        carrier,
        further_parcel=further,
        return_tracking_number=back,
        return_carrier=back_carrier,
    )


@pytest.fixture
def otto() -> Iterator[Otto]:
    world, faults = World(), Faults()
    world.sellers[CLIENT_ID] = Seller(CLIENT_ID, CLIENT_SECRET)
    # Tests are faster than the pace allows; the pace has tests of its own.
    world.conduct.per_second = world.conduct.products_per_second = 10_000
    app = create_app(world, faults)
    found: list[str] = []
    app.after_request(_watch(found))
    with running(app) as url:
        yield Otto(url, world, faults, found)
        faults.clear()
    assert found == []
    assert world.violations == []


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
        if not request.path.startswith("/_control") and not struck:
            body, answer = request.get_json(silent=True), response.get_json(silent=True)
            found.extend(schemas.complaints(request.method, request.path, body, response.status_code, answer))
        return response

    return watch


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if schemas.schemas() is None:
        terminalreporter.write_line("OTTO: no schemas here, calls were not checked against them")
    elif schemas.COVERED:
        covered, every = len(schemas.COVERED), len(schemas.OPERATIONS)
        calls = sum(schemas.COVERED.values())
        terminalreporter.write_line(f"OTTO: {calls} calls checked, {covered} of {every} operations used")
