"""What a supplier's shop is told of its products, and that nothing is released that is not complete (K1, K2, K4)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
import redis
from listings import ASSAM, DARJEELING, SENCHA, calls, change, codes, goods, in_shop, offer, release, take
from network_world import Network
from sqlalchemy import event, select, text, update
from sqlalchemy.orm import Session
from world import call

from app import clock, jobs
from app.extensions import db
from app.flows import products_released
from app.models import Connection, Product, Profile, Release
from app.sandbox import shop_commands
from app.shops.woocommerce.client import WooCommerceClient as Client


def told(network: Network, sku: str) -> dict:
    return network.anna.shop.find(sku=sku).release


def test_a_complete_product_is_released_and_the_shop_shows_it(network: Network) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    row = release(network, product)
    assert (row.state, row.price, row.category, row.vat_percent, row.told) == (
        "released",
        420,
        "food.tea",
        "7",
        True,
    )
    assert told(network, "TEE-001") == {"state": "released", "reasons": []}


def test_the_shop_is_told_every_field_that_is_missing_in_its_language(network: Network) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", None, dealer_price=None))
    assert codes(network, product) == ["release.gtin_missing", "release.dealer_price_missing"]
    shown = told(network, "TEE-001")
    assert shown["state"] == "not_released"
    assert [(each["field"], each["text"]) for each in shown["reasons"]] == [
        ("gtin", "Dem Artikel fehlt die GTIN (EAN)."),
        ("dealer_price", "Dem Artikel fehlt der Händlerpreis."),
    ]
    change(network, network.anna, "TEE-001", gtin=ASSAM, dealer_price="4.20")
    network.work()
    assert told(network, "TEE-001") == {"state": "released", "reasons": []}


def test_a_parent_with_some_complete_variations_releases_those(network: Network) -> None:
    """K2"""
    parent = call(
        "POST",
        f"{network.anna.shop_url}/_control/products",
        goods("TEE-P", None, type="variable", dealer_price=None),
    )["products"][0]["id"]
    small, large, bare = offer(
        network,
        network.anna,
        goods("TEE-S", ASSAM, type="variation", parent_id=parent),
        goods("TEE-L", DARJEELING, type="variation", parent_id=parent),
        goods("TEE-X", SENCHA, type="variation", parent_id=parent, dealer_price=""),
    )
    assert [release(network, each).state for each in (small, large, bare)] == [
        "released",
        "released",
        "not_released",
    ]
    assert told(network, "TEE-P")["reasons"][0]["code"] == "release.parent"
    assert told(network, "TEE-P")["reasons"][0]["field"] is None


def test_a_gtin_belongs_to_one_product_of_a_supplier(network: Network) -> None:
    """The one that was released stays; the other one follows as soon as the number is free."""
    (first,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    (second,) = offer(network, network.anna, goods("TEE-002", ASSAM))
    assert release(network, first).state == "released"
    assert codes(network, second) == ["release.gtin_duplicate"]
    assert "Tee TEE-001" in told(network, "TEE-002")["reasons"][0]["text"]
    change(network, network.anna, "TEE-001", gtin=DARJEELING)
    network.work()
    assert release(network, second).state == "released"
    assert told(network, "TEE-002")["state"] == "released"


def test_two_batches_at_the_same_moment_do_not_release_one_gtin_twice(network: Network) -> None:
    """None of them sees what the other has written; so the second one waits."""
    products = offer(network, network.anna, goods("TEE-001", ASSAM), goods("TEE-002", DARJEELING))
    shop = network.session.get_one(Connection, network.anna.connection)
    network.session.expunge(shop)
    network.session.rollback()

    def same_gtin(product: int, session: Session) -> None:
        products_released.take_turns(session, shop.account_id)
        session.execute(update(Product).where(Product.id == product).values(gtin=SENCHA))
        products_released.after_change(session, shop, [product])

    def second() -> None:
        with Session(db.engine) as other:
            same_gtin(products[1], other)
            other.commit()

    engine = db.engine
    with Session(engine) as one, ThreadPoolExecutor(1) as pool:
        same_gtin(products[0], one)
        running = pool.submit(in_context, network, second)
        wait([running], timeout=1.5)
        one.commit()
        running.result(timeout=20)
    assert sorted(release(network, each).state for each in products) == ["not_released", "released"]


def in_context(network: Network, work: Callable[[], None]) -> None:
    with network.bridge.app_context():
        work()


def test_the_same_gtin_at_two_suppliers_is_released_at_both(network: Network) -> None:
    chai = network.join("Chai GmbH", supplier=True)
    (mine,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    (theirs,) = offer(network, chai, goods("CHAI-1", ASSAM))
    assert (release(network, mine).state, release(network, theirs).state) == ("released", "released")


def test_nothing_is_decided_for_who_is_no_supplier(network: Network) -> None:
    offer(network, network.boldt, goods("BUCH-1", ASSAM))
    assert network.session.scalars(select(Release)).all() == []
    assert calls(network.boldt, "product.release") == []


def test_a_profile_that_is_refused_takes_everything_from_sale_and_back(network: Network) -> None:
    """K4, found by the clock: nobody has to tell it."""
    products = offer(network, network.anna, goods("TEE-001", ASSAM), goods("TEE-002", DARJEELING))
    network.session.execute(text("UPDATE profile SET state = 'refused' WHERE supplier"))
    network.session.commit()
    network.sweep()
    assert [codes(network, each) for each in products] == [["release.profile_not_approved"]] * 2
    network.session.execute(text("UPDATE profile SET state = 'approved' WHERE supplier"))
    network.session.commit()
    network.sweep()
    network.work()
    assert {release(network, each).state for each in products} == {"released"}
    assert told(network, "TEE-002")["state"] == "released"


@pytest.mark.parametrize(
    ("change_of_shop", "code"),
    [
        ("state = 'needs_attention'", "release.shop_not_connected"),
        ('settings = settings || \'{"dealer_prices": "perhaps"}\'', "release.options_incomplete"),
    ],
)
def test_a_shop_that_is_not_complete_any_more_releases_nothing(
    network: Network, change_of_shop: str, code: str
) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    network.session.execute(
        text(f"UPDATE connection SET {change_of_shop} WHERE id = :id"), {"id": network.anna.connection}
    )
    network.session.commit()
    assert products_released.catch_up(db.session()) == 1
    assert codes(network, product) == [code]
    assert products_released.catch_up(db.session()) == 0


def test_the_option_net_or_gross_changes_every_dealer_price(network: Network) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    shop = network.session.get_one(Connection, network.anna.connection)
    shop.settings = {**shop.settings, "dealer_prices": "net"}
    network.session.commit()
    assert products_released.look(db.session(), network.anna.account.id) == 1
    network.session.commit()
    assert release(network, product).price == 449


def test_who_is_no_supplier_any_more_has_nothing_on_sale(network: Network) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    network.session.get_one(Profile, network.anna.account.id).supplier = False
    network.session.commit()
    network.sweep()
    assert codes(network, product) == ["release.profile_not_approved"]
    change(network, network.anna, "TEE-001", price="8.90")
    network.work()
    assert release(network, product).state == "not_released"


def test_a_product_that_goes_to_the_trash_is_released_no_more(network: Network) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    number = network.anna.shop.find(sku="TEE-001").id
    call("DELETE", f"{network.anna.shop_url}/_control/products/{number}")
    network.work()
    assert codes(network, product) == ["release.deleted"]


def test_two_hundred_products_are_told_in_three_messages_and_only_once(network: Network) -> None:
    network.anna.shop.commands.clear()
    offer(network, network.anna, *(goods(f"TEE-{place:03d}", None) for place in range(201)))
    assert calls(network.anna, "product.release") == ["product.release"] * 3
    change(network, network.anna, "TEE-000", stock=3)
    network.work()
    assert len(calls(network.anna, "product.release")) == 3


def test_a_shop_that_is_down_is_told_later(network: Network) -> None:
    faults = network.anna.shop_app.extensions["faults"]
    faults.add({"kind": "status", "path": "commands", "status": 503, "count": -1})
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    assert (release(network, product).told, told(network, "TEE-001")) == (False, None)
    faults.clear()
    with redis.Redis.from_url(network.bridge.config["REDIS_URL"]) as store:
        for key in store.scan_iter("breaker:*"):
            store.delete(key)
    network.hurry()
    network.sweep()
    network.work()
    assert (release(network, product).told, told(network, "TEE-001")["state"]) == (True, "released")


def test_a_plugin_that_does_not_know_the_command_is_not_asked_again(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {kind: deed for kind, deed in shop_commands.COMMANDS.items() if kind != "product.release"}
    monkeypatch.setattr(shop_commands, "COMMANDS", known)
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    assert release(network, product).told
    assert network.cases() == []


def test_a_change_while_the_shop_is_told_is_told_after_it(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Client.send

    def busy(client: Client, command_id: str, kind: str, data: dict) -> dict:
        if kind == "product.release":
            monkeypatch.setattr(Client, "send", send)
            change(network, network.anna, "TEE-001", gtin="")
            network.send_events()
            jobs.drain_inbox(network.anna.connection)
        return send(client, command_id, kind, data)

    monkeypatch.setattr(Client, "send", busy)
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    network.work()
    assert codes(network, product) == ["release.gtin_missing"]
    assert told(network, "TEE-001")["state"] == "not_released"


def test_a_shop_outside_the_network_pays_three_short_questions_for_a_batch(network: Network) -> None:
    """What a hundred product events of a shop without the network ask of its tables."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if any(name in statement for name in ("profile", "listing", "release", "partnership")):
            asked.append(statement)

    call(
        "POST",
        f"{network.boldt.shop_url}/_control/products",
        [goods(f"BUCH-{place:03d}", None) for place in range(100)],
    )
    network.send_events()
    event.listen(db.engine, "before_cursor_execute", note)
    try:
        jobs.drain_inbox(network.boldt.connection)
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert len(asked) <= 5, asked


def test_the_clock_looks_at_releases() -> None:
    assert clock.look_at_releases in clock.PARTS


def test_what_a_retailer_lists_from_the_network_is_offered_to_nobody(network: Network) -> None:
    """Its order would end with somebody who has no goods; and two who list each other's goods would chase their stocks for ever."""
    erna = network.join("Ernas Ecke", supplier=True, retailer=True)
    network.partners(erna, network.anna)
    product = network.product(network.anna, "TEE-001", ASSAM)
    assert take(network, erna, [product]).refused == []
    made = in_shop(network, erna, product)
    facts = {"dealer_price": "5.00", "tax_rate": "19", "network_category": "food.tea"}
    call("PATCH", f"{erna.shop_url}/_control/products/{made.id}", facts)
    network.work()
    row = network.session.scalars(select(Product).where(Product.connection_id == erna.connection)).one()
    assert codes(network, row.id) == ["release.from_network"]
