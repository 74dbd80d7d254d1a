"""What a marketplace shows is the newest truth: nothing old overtakes it, and it waits for nothing old."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select, text
from world import World, call

from app import jobs, reservations
from app.marketplaces.kaufland.client import KauflandClient
from app.models import Offer, Reservation

ASSAM = "4006381333931"


@pytest.fixture
def shelf(world: World) -> World:
    """Ten Assam on sale."""
    world.product("TEE-001", ASSAM, stock=10)
    world.work()
    return world


def set_stock(world: World, stock: int) -> None:
    (product,) = world.shop.products.values()
    call("PATCH", f"{world.shop_url}/_control/products/{product.id}", {"stock": stock})
    world.send_events()
    jobs.drain_inbox(world.shop_connection)


def shown_stock(world: World) -> int:
    (unit,) = world.kaufland.units.values()
    return int(world.kaufland.buyable(unit))


def test_a_sold_out_product_does_not_wait_for_the_next_try_of_its_old_stock(shelf: World) -> None:
    later = "UPDATE offer SET attempts = 6, next_attempt_at = now() + interval '10 hours'"
    shelf.session.execute(text(later))
    shelf.session.commit()
    set_stock(shelf, 0)
    shelf.work(poll=False)
    assert shown_stock(shelf) == 0


def test_offers_of_a_marketplace_that_was_down_for_long_are_tried_every_few_minutes(shelf: World) -> None:
    shelf.bridge.config["SHOPBRIDGE_RETRY_SCALE"] = 1
    shelf.session.execute(text("UPDATE offer SET attempts = 8"))
    shelf.session.commit()
    shelf.kaufland_app.extensions["faults"].add({"kind": "status", "status": 503, "count": -1})
    set_stock(shelf, 3)
    jobs.drain_outbox(shelf.kaufland_connection)
    wait = shelf.session.execute(
        text("SELECT extract(epoch FROM next_attempt_at - now()) FROM offer")
    ).scalar()
    assert 0 < wait <= 331


def test_an_older_stock_that_arrives_after_a_newer_one_does_not_stay(
    shelf: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker sleeps between reading the stock and sending it; another one takes over meanwhile (I13)."""
    push = KauflandClient.push_offers

    def asleep(client: KauflandClient, offers: Sequence[Any]) -> Any:
        monkeypatch.setattr(KauflandClient, "push_offers", push)
        shelf.session.execute(text("UPDATE offer SET lease_until = now() - interval '1 second'"))
        shelf.session.commit()
        set_stock(shelf, 0)
        jobs.drain_outbox(shelf.kaufland_connection)
        assert shown_stock(shelf) == 0
        return push(client, offers)

    set_stock(shelf, 7)
    monkeypatch.setattr(KauflandClient, "push_offers", asleep)
    jobs.drain_outbox(shelf.kaufland_connection)
    shelf.work(poll=False)
    assert shown_stock(shelf) == 0
    offer = shelf.session.scalars(select(Offer)).one()
    assert offer.sent_revision == offer.revision


def test_what_the_shops_stock_contains_is_closed_and_counts_no_more(shelf: World) -> None:
    shelf.order(("TEE-001", 3, 790))
    shelf.work()
    assert reservations.close_contained(shelf.session) == 3
    shelf.session.commit()
    assert set(shelf.session.scalars(select(Reservation.state))) == {"closed"}
    shelf.work()
    assert shown_stock(shelf) == 7
    shelf.order(("TEE-001", 1, 790))
    shelf.ask()
    assert reservations.close_contained(shelf.session) == 0


def test_two_products_with_one_sku_do_not_overwrite_each_other(shelf: World) -> None:
    """A variation without a SKU of its own carries its parent's: the marketplace has one offer for both."""
    second = shelf.product("TEE-002", "4012345678901", stock=99, price="12.50", known=True)
    shelf.session.rollback()
    shelf.shop.products[second["id"]].sku = "TEE-001"
    shelf.work()
    assert shown_stock(shelf) == 10
    reasons = dict(shelf.session.execute(select(Offer.state, Offer.reason_code)).all())
    assert reasons == {"on_sale": None, "waiting": "product.sku_duplicate"}
    call("PATCH", f"{shelf.shop_url}/_control/products/{second['id']}", {"sku": "TEE-002"})
    shelf.work()
    assert set(shelf.session.scalars(select(Offer.state))) == {"on_sale"}


def test_an_offer_that_was_made_without_our_hearing_of_it_is_switched_off_too(world: World) -> None:
    """The answer to its creation was lost, and then the merchant switched it off: it may be on sale."""
    world.bridge.config["SHOPBRIDGE_RETRY_SCALE"] = 1
    lost = {"kind": "reset", "method": "POST", "path": "/v2/units", "effect": True}
    world.kaufland_app.extensions["faults"].add(lost)
    world.product("TEE-001", ASSAM, stock=10)
    world.work()
    assert shown_stock(world) == 10
    assert world.session.scalars(select(Offer.external_ref)).one() is None
    world.session.execute(text("UPDATE offer SET switched_on = false, stale = true"))
    world.session.commit()
    world.hurry()
    world.work(poll=False)
    assert shown_stock(world) == 0
