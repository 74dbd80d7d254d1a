"""Looks at a marketplace: one kind that crashes harms no other, and a sale is never taken for drift."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from world import World

from app.flows import order_placed, watch_drift
from app.marketplaces.kaufland.client import KauflandClient
from app.models import Offer, Schedule
from app.sandbox.faults import Fault


def test_a_look_that_crashes_is_put_off_and_the_other_looks_happen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(watch_drift, "make_missing_offers", crash)
    world.ask()
    found = {row.kind: row for row in world.session.scalars(select(Schedule))}
    assert found["drift"].failures == 1
    assert {kind for kind, row in found.items() if row.failures} == {"drift"}
    assert [kind for kind, row in found.items() if row.lease_until is not None] == []


def test_a_sale_that_is_seen_together_with_the_stock_is_not_repaired_as_drift(world: World) -> None:
    world.product("TEE-001", "4006381333931", stock=10)
    world.work()
    before = world.session.scalars(select(Offer.sent_revision)).one()
    world.order(("TEE-001", 3, 790))
    world.ask()
    offer = world.session.scalars(select(Offer)).one()
    assert offer.stale, "the order must have been taken in"
    assert offer.revision == before + 1, "the sale asks for one more push, and was taken for drift besides"


def test_an_order_that_could_not_be_taken_in_is_seen_again_when_that_is_mended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it took: the look reaches back to where the order was seen first."""

    def crash(*_: Any) -> None:
        raise ZeroDivisionError

    world.product("TEE-001", "4006381333931", stock=10)
    world.work()
    before = world.session.scalars(select(Schedule.seen_until).where(Schedule.kind == "orders")).one()
    world.order(("TEE-001", 1, 790))
    with monkeypatch.context() as broken:
        broken.setattr(order_placed, "receive", crash)
        world.ask()
    assert world.cases() == ["job.crashed"] * 2
    after = world.session.scalars(select(Schedule.seen_until).where(Schedule.kind == "orders")).one()
    assert after == before
    world.work()
    assert len(world.shop.orders) == 1
    assert world.cases() == []


def test_a_look_that_fails_for_days_is_still_put_off(world: World) -> None:
    """Two to the power of a thousand tries is no number of seconds."""
    world.session.execute(update(Schedule).values(failures=2000))
    world.session.commit()
    world.kaufland_app.extensions["faults"].add(Fault("status", status=500, count=-1))
    world.ask()
    rows = world.session.scalars(select(Schedule)).all()
    assert {row.lease_until for row in rows if row.failures > 2000} == {None}
    assert any(row.failures > 2000 for row in rows)


def test_a_marketplace_that_asks_for_a_pause_is_not_asked_the_next_question(world: World) -> None:
    faults = world.kaufland_app.extensions["faults"]
    faults.add(Fault("status", status=429, retry_after=60, count=-1))
    faults.calls.clear()
    world.ask()
    assert len(faults.calls) == 1


def test_a_look_whose_last_one_lies_in_the_future_reaches_back_for_days(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock was ahead: what changed meanwhile was asked for with a time that had not come yet."""
    asked: list[datetime] = []
    monkeypatch.setattr(KauflandClient, "orders_changed", lambda _, since: asked.append(since) or [])
    world.ask()
    world.session.execute(update(Schedule).values(seen_until=datetime.now(UTC) + timedelta(days=30)))
    world.session.commit()
    world.ask()
    assert asked[-1] < datetime.now(UTC) - timedelta(days=6)
    world.ask()
    assert asked[-1] > datetime.now(UTC) - timedelta(hours=1)
