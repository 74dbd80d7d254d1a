"""Looks at a marketplace: one kind that crashes harms no other, and a sale is never taken for drift."""

from typing import Any

import pytest
from sqlalchemy import select
from world import World

from app.flows import watch_drift
from app.models import Offer, Schedule


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
    assert offer.revision == before, "the sale was taken for drift"
