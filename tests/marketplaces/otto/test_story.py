"""A shop on OTTO Market and on Kaufland at once, through the whole bridge: from product data to a return, and what happens when an answer gets lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select, text, update
from world import World, call, serve

from app import accounts, jobs
from app.extensions import db
from app.models import Offer, Schedule
from app.sandbox import otto
from app.sandbox.otto import SIMULATOR

ASSAM = "4006381333931"
PARCEL = {"number": "00340434161094015902", "carrier": "DHL"}
BACK = {"number": "00340434161094015926", "carrier": "DHL"}


@dataclass
class Story:
    """The small world of tests/world.py with OTTO beside Kaufland."""

    world: World
    url: str
    state: otto.World
    faults: Any
    connection: int

    def work(self, *, rounds: int = 3) -> None:
        """Everything that is due happens, at both marketplaces, and nothing waits."""
        for _ in range(rounds):
            self.world.hurry()
            self.world.work(rounds=2)
            db.session.execute(
                update(Schedule).values(due_at=text("now() - interval '1 second'"), lease_until=None)
            )
            db.session.execute(
                text(
                    "UPDATE offer SET task_due_at = now() - interval '1 second' WHERE task_due_at IS NOT NULL"
                )
            )
            db.session.commit()
            jobs.ask_marketplace(self.connection)
            jobs.drain_inbox(self.connection)
            jobs.drain_outbox(self.connection)
            db.session.rollback()

    def buy(self, pieces: int = 1, **more: Any) -> tuple[str, list[str]]:
        made = call(
            "POST", f"{self.url}/_control/buy", {"lines": [{"sku": "TEE-001", "pieces": pieces}], **more}
        )
        return made["order"], made["pieces"]

    def pieces(self) -> list[str]:
        told = call("GET", f"{self.url}/_control/state")
        return [piece["state"] for order in told["orders"] for piece in order["pieces"]]

    def deeds(self) -> list[str]:
        return [each["deed"] for each in self.state.deeds if each["deed"] != "offer"]

    def shop_order(self) -> Any:
        return list(self.world.shop.orders.values())[-1]


@pytest.fixture
def story(world: World) -> Iterator[Story]:
    """Ten Assam on sale at both."""
    world.bridge.config["SHOPBRIDGE_SANDBOX_PACE"] = 100_000.0
    app = otto.create_app()
    state = app.extensions["otto"]
    state.conduct.per_second = state.conduct.products_per_second = 10_000
    server, url = serve(app)
    made = accounts.connect_marketplace(
        db.session, world.account, "otto", dict(SIMULATOR.settings), base_url=url, allow_loopback=True
    )
    db.session.commit()
    told = Story(world, url, state, app.extensions["faults"], made.id)
    world.product("TEE-001", ASSAM, stock=10)
    told.work(rounds=6)  # Created, validated, stocked, and its price confirmed.
    yield told
    server.shutdown()
    server.server_close()


def stock(story: Story) -> int:
    (product,) = story.state.products.values()
    return story.state.buyable(product)


def test_a_product_of_the_shop_goes_on_sale_with_its_data(story: Story) -> None:
    assert stock(story) == 10
    query = select(Offer).where(Offer.connection_id == story.connection)
    offer = db.session.scalars(query).one()
    assert (offer.state, offer.task, offer.confirmed["stock"]) == ("on_sale", None, 10)


def test_an_announced_order_reserves_its_stock_everywhere_and_comes_to_the_shop_when_it_may_be_shipped(
    story: Story,
) -> None:
    order, _ = story.buy(2, state="announced")
    story.work()
    (unit,) = story.world.kaufland.units.values()
    assert (story.world.kaufland.buyable(unit), stock(story)) == (8, 8)
    assert story.world.shop.orders == {}
    call("POST", f"{story.url}/_control/orders/{order}/pay", {})
    story.work()
    assert len(story.world.shop.orders) == 1


def test_a_parcel_is_held_until_its_return_number_is_there_and_reported_once(story: Story) -> None:
    story.buy(2)
    story.work()
    shop_order = story.shop_order()
    story.world.in_shop("complete", shop_order.id, tracking=PARCEL)
    story.work()
    assert story.pieces() == ["to_ship", "to_ship"]
    assert "ship.return_tracking_required" in story.world.cases()
    story.faults.add({"kind": "reset", "method": "POST", "path": "/v1/shipments", "effect": True})
    story.world.in_shop("return_label", shop_order.id, **BACK)
    story.work()
    assert story.pieces() == ["shipped", "shipped"]
    assert story.deeds() == ["ship"]
    assert story.world.cases() == []


def test_a_cancellation_of_the_shop_is_confirmed_by_a_later_look(story: Story) -> None:
    story.buy()
    story.work()
    story.world.in_shop("cancel", story.shop_order().id)
    story.work()
    assert story.pieces() == ["cancelled"]
    assert story.deeds() == ["cancel"]


def test_a_part_of_the_price_is_given_back_once_although_the_answer_got_lost(story: Story) -> None:
    story.buy()
    story.work()
    shop_order = story.shop_order()
    story.world.in_shop("return_label", shop_order.id, **BACK)
    story.world.in_shop("complete", shop_order.id, tracking=PARCEL)
    story.work()
    story.faults.add({"kind": "reset", "method": "POST", "path": "/v1/price-reductions", "effect": True})
    story.world.in_shop("refund", shop_order.id, amount="1.50", reason="Dose beschädigt")
    story.work()
    refunds = [each["amount"] for each in story.state.deeds if each["deed"] == "refund"]
    assert refunds == [150]


def test_what_the_buyer_sends_back_is_accepted_once(story: Story) -> None:
    _, pieces = story.buy()
    story.work()
    shop_order = story.shop_order()
    story.world.in_shop("return_label", shop_order.id, **BACK)
    story.world.in_shop("complete", shop_order.id, tracking=PARCEL)
    story.work()
    call("POST", f"{story.url}/_control/return", {"pieces": pieces})
    story.work()
    lines = [{"id": shop_order.lines[0].id, "quantity": 1}]
    story.world.in_shop("refund", shop_order.id, lines=lines, reason="Retoure")
    story.work()
    assert story.pieces() == ["returned"]
    assert story.deeds() == ["ship", "accept_return"]
