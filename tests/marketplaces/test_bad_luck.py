"""Bad luck and careless merchants at any marketplace: things end, change or are answered while something else is under way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from market_world import GOODS, Market, market
from sqlalchemy import select, update

from app import jobs, registry
from app.errors import Invalid, Unknown
from app.extensions import db
from app.flows import order_accepted, order_placed
from app.models import Command, Connection, Offer, Order, OrderLine, Product, Schedule
from app.sandbox import simulators
from app.sandbox.faults import Fault

GTIN = "4012345678918"


# Where orders want a decision of the seller.
ASKING = [
    key
    for key, simulator in simulators().items()
    if registry.provider(key).can(simulator.settings).acceptance in {"order", "pieces"}
]
# Where orders name the number that we gave to an offer.
NUMBERED = [
    key
    for key, simulator in simulators().items()
    if registry.provider(key).can(simulator.settings).numbers_offers
]


@pytest.fixture(params=sorted(simulators()))
def at(request: pytest.FixtureRequest, app: Flask) -> Iterator[Market]:
    with market(app, simulators()[request.param]) as found:
        yield found


def without_settling(at: Market) -> None:
    """One round in which the marketplace takes for processing, and processes nothing."""
    at.shop.outbox.deliver_due()
    at.hurry()
    jobs.drain_inbox(at.shop_connection)
    jobs.drain_outbox(at.market_connection)
    db.session.rollback()


def new_product(at: Market) -> int:
    at.control("products", [{"gtin": GTIN, "title": "Tee TEE-009"}])
    at.product("TEE-009", GTIN)
    return next(each.id for each in at.shop.products.values() if each.sku == "TEE-009")


def on_sale(at: Market, sku: str) -> int:
    shown = at.offers().get(sku)
    return int(shown["stock"]) if shown is not None and shown["on"] else 0


def offer(sku: str) -> Offer:
    return db.session.scalars(
        select(Offer).join(Product, Product.id == Offer.product_id).where(Product.sku == sku)
    ).one()


@pytest.mark.parametrize("how", ["deleted", "off"])
def test_what_ends_while_its_first_offer_is_processed_does_not_stay_on_sale(at: Market, how: str) -> None:
    product = new_product(at)
    without_settling(at)
    end(at, product, how)
    at.work()
    assert on_sale(at, "TEE-009") == 0


@pytest.mark.parametrize("effect", [True, False])
def test_what_ends_after_its_first_offer_got_lost_does_not_go_on_sale(at: Market, effect: bool) -> None:
    product = new_product(at)
    for method in ("POST", "PUT", "PATCH"):
        at.faults.add(Fault("status", status=503, method=method, effect=effect, count=-1))
    without_settling(at)
    at.faults.clear()
    end(at, product, "deleted")
    at.work()
    assert on_sale(at, "TEE-009") == 0


def end(at: Market, product: int, how: str) -> None:
    if how == "off":
        offer("TEE-009").on = False
        offer("TEE-009").stale = True
        db.session.commit()
    else:
        at.shop.delete_product(product, force=True)


@pytest.mark.parametrize("at", ASKING, indirect=True)
def test_an_order_that_nobody_answered_is_no_question_any_more_once_the_buyer_cancels(at: Market) -> None:
    found = db.session.get_one(Connection, at.market_connection)
    found.settings = {**found.settings, "accept_orders": "by_hand"}
    db.session.commit()
    order = at.buy(("TEE-001", 1))
    at.work(rounds=3)
    assert at.cases() == ["order.awaits_acceptance"]
    at.control("cancel", {"order": order["order"]})
    at.work(rounds=3)
    assert at.cases() == []


@pytest.mark.parametrize("at", ASKING, indirect=True)
def test_what_is_left_of_an_order_is_accepted_when_a_line_was_cancelled_before(at: Market) -> None:
    bought = at.buy(("TEE-001", 2), ("TEE-002", 1))
    line = bought["pieces"][0].rsplit("/", 1)[0]
    at.control("cancel", {"pieces": [each for each in bought["pieces"] if each.startswith(f"{line}/")]})
    at.work(rounds=6)
    assert at.cases() == []
    assert sorted(each["state"] for each in at.pieces(bought).values()) == [
        "cancelled",
        "cancelled",
        "to_ship",
    ]
    assert [line.quantity for order in at.orders_in_shop() for line in order.lines] == [1]


@pytest.mark.parametrize("at", ASKING, indirect=True)
@pytest.mark.parametrize("arrived", [True, False])
def test_an_acceptance_that_got_lost_while_the_buyer_cancelled_is_nobodys_work(
    at: Market, arrived: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = registry.provider(at.simulator.key).client
    accept = client.accept_order

    def lost(self: Any, *asked: Any) -> None:
        if arrived:
            accept(self, *asked)
        raise Unknown("outcome.unknown", operation="accept")

    bought = at.buy(("TEE-001", 2))
    look(at)
    with monkeypatch.context() as broken:
        broken.setattr(client, "accept_order", lost)
        jobs.drain_outbox(at.market_connection)
    at.control("cancel", {"order": bought["order"]})
    at.work(rounds=6)
    assert at.cases() == []
    assert {each["state"] for each in at.pieces(bought).values()} == {"cancelled"}
    assert at.orders_in_shop() == []


def test_an_answer_that_nobody_asked_for_is_not_given(at: Market) -> None:
    at.buy(("TEE-001", 1), state="announced")
    at.work(rounds=3)
    for order in db.session.scalars(select(Order)):
        before = len(db.session.scalars(select(Command)).all())
        assert not order_accepted.by_hand(db.session(), order, accept=True)
        assert len(db.session.scalars(select(Command)).all()) == before


# Where the look at orders is the only one that shows cancellations.
ONE_LOOK = [
    key
    for key, simulator in simulators().items()
    if "changes" not in {poll.kind for poll in registry.provider(key).looks(simulator.settings)}
]


def look(at: Market) -> None:
    at.hurry()
    jobs.ask_marketplace(at.market_connection)
    db.session.rollback()


@pytest.mark.parametrize("at", NUMBERED, indirect=True)
def test_an_order_for_a_product_that_was_made_anew_holds_the_stock_of_the_new_one(at: Market) -> None:
    at.buy(("TEE-001", 1))
    at.shop.delete_product(product_in_shop(at, "TEE-001"), force=True)
    at.product("TEE-001", GOODS["TEE-001"])
    at.shop.outbox.deliver_due()
    jobs.drain_inbox(at.shop_connection)
    look(at)
    line = db.session.scalars(select(OrderLine)).one()
    assert line.product_id is not None
    assert not db.session.get_one(Product, line.product_id).deleted


@pytest.mark.parametrize("at", NUMBERED, indirect=True)
def test_the_number_of_an_offer_that_never_came_on_sale_names_no_product(at: Market) -> None:
    """It was taken there, by an offer of somebody else's making: that one's order must not become our product."""
    sold, refused = offer("TEE-001"), offer("TEE-002")
    taken, sold.number = sold.number, 777
    db.session.flush()
    refused.number, refused.external_ref = taken, None
    db.session.commit()
    at.buy(("TEE-001", 1))
    look(at)
    line = db.session.scalars(select(OrderLine)).one()
    assert db.session.get_one(Product, line.product_id).sku == "TEE-001"


def product_in_shop(at: Market, sku: str) -> int:
    return next(each.id for each in at.shop.products.values() if each.sku == sku)


@pytest.mark.parametrize("at", ONE_LOOK, indirect=True)
@pytest.mark.parametrize("why", ["lost", "unreadable"])
def test_a_bad_order_in_the_very_first_look_hides_no_cancellation(
    at: Market, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = at.buy(("TEE-001", 1))
    at.work(rounds=5)
    bad = at.buy(("TEE-002", 1))
    db.session.execute(update(Schedule).values(seen_until=None))
    db.session.commit()
    make_bad(at, bad["order"], why, monkeypatch)
    at.work(rounds=3)
    at.control("cancel", {"order": good["order"]})
    at.work(rounds=4)
    assert [order.status for order in at.orders_in_shop()] == ["cancelled"]
    assert at.cases() != []


def make_bad(at: Market, number: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """This order cannot be taken in, or not even be read."""
    receive, client = order_placed.receive, registry.provider(at.simulator.key).client
    to_ship, changed = client.orders_to_ship, client.orders_changed

    def without(pages: Any) -> Any:
        found = [[each for each in page if each.external_id != number] for page in pages]
        yield from found
        raise Invalid("data.invalid", field=number)

    def crash(session: Any, marketplace: Connection, seen: Any) -> Any:
        if seen.external_id == number:
            raise ZeroDivisionError
        return receive(session, marketplace, seen)

    if why == "lost":
        monkeypatch.setattr(order_placed, "receive", crash)
    else:
        monkeypatch.setattr(client, "orders_to_ship", lambda self, since: without(to_ship(self, since)))
        monkeypatch.setattr(client, "orders_changed", lambda self, since: without(changed(self, since)))


@pytest.mark.parametrize("key", sorted(simulators()))
def test_what_is_pasted_with_blanks_and_unseen_characters_is_the_same_setting(key: str) -> None:
    schema, given = registry.provider(key).settings(), dict(simulators()[key].settings)
    texts = {
        name: f" \u00a0{value}\0\u200b\t"
        for name, value in given.items()
        if isinstance(value, str) and not schema.fields[name].metadata.get("secret")
    }
    assert texts
    assert schema.load({**given, **texts}) == schema.load(given)
