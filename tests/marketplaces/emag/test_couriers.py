"""A merchant who ships with eMAG's couriers, through the whole bridge: shop, flows, client, simulated eMAG."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from flask import Flask
from market_world import Market, market

from app.sandbox.emag import SIMULATOR
from app.sandbox.faults import Fault
from tests.marketplaces.emag.conftest import PARCELS


@pytest.fixture
def at(app: Flask) -> Iterator[Market]:
    with market(app, dataclasses.replace(SIMULATOR, settings={**SIMULATOR.settings, **PARCELS})) as found:
        yield found


def test_completing_an_order_books_the_parcel_and_its_number_comes_into_the_shop(at: Market) -> None:
    order = at.buy(("TEE-001", 2))
    at.work()
    (here,) = at.orders_in_shop()
    at.in_shop("complete", here.id)
    at.work()
    (booked,) = at.market_app.extensions["emag"].awbs.values()
    number = booked["awb"][0]["awb_number"]
    assert {piece["tracking_number"] for piece in at.pieces(order).values()} == {number}
    assert {piece["state"] for piece in at.pieces(order).values()} == {"shipped"}
    assert number in str(vars(at.orders_in_shop()[0]))
    assert at.cases() == []
    at.work()
    assert len(at.market_app.extensions["emag"].awbs) == 1


@pytest.mark.parametrize("effect", [True, False])
def test_a_lost_answer_never_books_a_second_parcel(at: Market, effect: bool) -> None:
    order = at.buy(("TEE-001", 1))
    at.work()
    at.faults.add(Fault("reset", path="awb/save", effect=effect))
    at.in_shop("complete", at.orders_in_shop()[0].id)
    at.work()
    assert len(at.market_app.extensions["emag"].awbs) == 1
    assert [piece["state"] for piece in at.pieces(order).values()] == ["shipped"]
    if not effect:
        # After an answer that got lost the bridge only reads that the order has left; nobody asks for the number then.
        assert "2EMG" in str(vars(at.orders_in_shop()[0]))
