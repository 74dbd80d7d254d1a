"""The simulated provider on a real port, and a client that speaks with it through the real Door."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from app.outbound import Door
from app.payments.simulated.client import SimulatedClient
from app.sandbox.faults import Faults
from app.sandbox.payments import API_KEY, Books, create_app
from tests.marketplaces.kaufland.conftest import running


@dataclass
class Simulated:
    """The running simulator."""

    url: str
    books: Books
    faults: Faults

    def client(self, api_key: str = API_KEY, deadline: float = 5.0) -> SimulatedClient:
        door = Door(
            connection=1, base_url=self.url, egress="tenant_url", allow_loopback=True, deadline=deadline
        )
        return SimulatedClient(door, {"api_key": api_key})


@pytest.fixture
def simulated() -> Iterator[Simulated]:
    app = create_app(deliver=False)
    with running(app) as url:
        made = Simulated(url, app.extensions["payments"], app.extensions["faults"])
        yield made
        made.faults.clear()
