"""What a supplier changes reaches every retailer's shop, the urgent first, and never more than he can sell (K3-K5, I13)."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis
from listings import (
    ASSAM,
    DARJEELING,
    SENCHA,
    calls,
    change,
    goods,
    in_shop,
    listing,
    offer,
    one_round,
    recorded,
    release,
    take,
)
from network_world import Network
from sqlalchemy import event, select, text
from world import call

from app import jobs, outbox, queues, reservations
from app.extensions import db
from app.flows import catalogue, holiday, push_listings
from app.models import Account, Case, Connection, Listing, Offer, Product
from app.shops.woocommerce.client import WooCommerceClient


@pytest.fixture
def assam(network: Network) -> int:
    """Anna's Assam, ten in stock, at Boldt's and Dora's."""
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    take(network, network.boldt, [product])
    take(network, network.dora, [product])
    return product


def stocks(network: Network, product: int) -> list[int]:
    """What both retailers show."""
    return [in_shop(network, member, product).stock for member in (network.boldt, network.dora)]


def set_stock(network: Network, sku: str, stock: int) -> None:
    change(network, network.anna, sku, stock=stock)


# --- stock in real time (K5) -------------------------------------------------------------------------------------------------


def test_a_stock_reaches_both_retailers_in_one_round_and_as_one_small_call_each(
    network: Network, assam: int
) -> None:
    for member in (network.boldt, network.dora):
        member.shop.commands.clear()
    set_stock(network, "TEE-001", 4)
    one_round(network, network.anna, network.boldt, network.dora)
    assert stocks(network, assam) == [4, 4]
    assert [calls(member) for member in (network.boldt, network.dora)] == [["stock.set"]] * 2


def test_the_bells_of_the_retailers_ring_when_the_supplier_sold(network: Network, assam: int) -> None:
    network.work()
    with redis.Redis.from_url(network.bridge.config["REDIS_URL"]) as store:
        store.flushdb()
        network.anna.buys(("TEE-001", 3))
        network.send_events()
        jobs.drain_inbox(network.anna.connection)
        rung = {int(key.decode().rpartition(":")[2]) for key in store.scan_iter("bell:out:*")}
    assert {network.boldt.connection, network.dora.connection} <= rung


def test_a_marketplace_sale_of_the_supplier_is_reserved_for_all(network: Network, assam: int) -> None:
    """Reserved at first sight, long before the supplier's shop counts it down (I13)."""
    network.sell_at_kaufland(network.anna)
    network.kaufland_app.extensions["kaufland"].add_product(ASSAM)
    network.work()
    ordered = {"lines": [{"id_offer": "TEE-001", "pieces": 6, "price": 790}]}
    call("POST", f"{network.kaufland_url}/_control/orders", ordered)
    network.ask()
    for member in (network.boldt, network.dora):
        jobs.drain_outbox(member.connection)
    assert stocks(network, assam) == [4, 4]
    assert network.anna.stock("TEE-001") == 10, "the supplier's shop does not know the order yet"
    network.work()
    assert (network.anna.stock("TEE-001"), stocks(network, assam)) == (4, [4, 4])


def test_a_sale_in_one_retailers_shop_is_missing_in_the_others(network: Network, assam: int) -> None:
    sku = in_shop(network, network.boldt, assam).sku
    network.boldt.buys((sku, 3))
    network.work()
    assert network.anna.stock("TEE-001") == 7
    assert stocks(network, assam) == [7, 7]


def test_a_sale_is_not_put_back_into_the_shelf_while_its_order_is_on_its_way(
    network: Network, assam: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the stock message has come; the supplier still has ten."""
    listing_row = listing(network, network.boldt, assam)
    number = int(listing_row.shop_product_id or 0)
    network.boldt.shop.products[number].stock = 8
    network.boldt.shop.report_stock(network.boldt.shop.products[number], 4711)
    network.work()
    assert stocks(network, assam) == [8, 10]
    assert listing(network, network.boldt, assam).stale
    monkeypatch.setattr(push_listings, "SALE_GRACE", 0.0)
    network.hurry()
    network.work()
    assert stocks(network, assam) == [10, 10], "no order came: somebody took them out by hand"


@pytest.mark.parametrize("echoed", [4, 0])
def test_a_stock_that_the_shop_only_repeats_is_no_sale_that_a_new_delivery_waits_for(
    network: Network, assam: int, echoed: int
) -> None:
    """A shop may report what we wrote there, with a sequence of its own."""
    change(network, network.anna, "TEE-001", stock=echoed)
    network.work()
    number = int(listing(network, network.boldt, assam).shop_product_id or 0)
    network.boldt.shop.report_stock(network.boldt.shop.products[number], 4711)
    network.work()
    change(network, network.anna, "TEE-001", stock=12)
    network.work()
    assert stocks(network, assam) == [12, 12]


def test_more_than_the_supplier_has_is_corrected_at_once(network: Network, assam: int) -> None:
    number = int(listing(network, network.boldt, assam).shop_product_id or 0)
    call("PATCH", f"{network.boldt.shop_url}/_control/products/{number}", {"stock": 500})
    network.work()
    assert stocks(network, assam) == [10, 10]


def test_a_retailers_own_title_and_price_stay_when_the_supplier_changes_his_stock_or_brand(
    network: Network, assam: int
) -> None:
    number = int(listing(network, network.boldt, assam).shop_product_id or 0)
    mine = {"name": "Boldts Hausmarke", "price": "9.99"}
    call("PATCH", f"{network.boldt.shop_url}/_control/products/{number}", mine)
    network.work()
    change(network, network.anna, "TEE-001", brand="Hathikuli Estate", stock=3)
    network.work()
    own = in_shop(network, network.boldt, assam)
    assert (own.name, own.price, own.brand, own.stock) == ("Boldts Hausmarke", 999, "Hathikuli Estate", 3)


def test_a_new_price_of_the_supplier_goes_through_the_retailers_rule(network: Network, assam: int) -> None:
    take(network, network.dora, [assam], {"kind": "plus_percent", "value": "100"})
    change(network, network.anna, "TEE-001", price="8.90", dealer_price="5.00")
    network.work()
    prices = [in_shop(network, member, assam).price for member in (network.boldt, network.dora)]
    assert prices == [890, 1000]


def test_the_buffer_is_kept_back(network: Network, assam: int) -> None:
    shop = network.session.get_one(Connection, network.anna.connection)
    shop.settings = {**shop.settings, "stock_buffer": 3}
    reservations.mark_offers(db.session(), [assam])
    network.session.commit()
    network.work()
    assert stocks(network, assam) == [7, 7]


# --- K4 -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "missing", [{"gtin": ""}, {"dealer_price": ""}, {"network_category": None}, {"status": "draft"}]
)
def test_what_is_no_longer_complete_goes_to_0_says_why_and_comes_back(
    network: Network, assam: int, missing: dict[str, Any]
) -> None:
    change(network, network.anna, "TEE-001", **missing)
    one_round(network, network.anna, network.boldt, network.dora)
    assert release(network, assam).state == "not_released"
    assert stocks(network, assam) == [0, 0]
    row = listing(network, network.boldt, assam)
    assert (row.state, row.reason_code) == ("waiting", "listing.not_released")
    whole = {"gtin": ASSAM, "dealer_price": "4.20", "network_category": "food.tea", "status": "publish"}
    change(network, network.anna, "TEE-001", **whole)
    one_round(network, network.anna, network.boldt, network.dora)
    assert stocks(network, assam) == [10, 10]
    row = listing(network, network.boldt, assam)
    assert (row.state, row.reason_code) == ("listed", None)


def test_a_paused_partnership_empties_one_shop_only(network: Network, assam: int) -> None:
    network.session.execute(
        text("UPDATE partnership SET state = 'paused' WHERE retailer_id = :id"),
        {"id": network.boldt.account.id},
    )
    reservations.mark_listings(db.session(), Listing.account_id == network.boldt.account.id)
    network.session.commit()
    network.work()
    assert stocks(network, assam) == [0, 10]
    assert listing(network, network.boldt, assam).reason_code == "listing.partnership_not_active"


def test_a_supplier_who_is_not_connected_any_more_sells_nothing(network: Network, assam: int) -> None:
    network.session.execute(
        text("UPDATE connection SET state = 'paused' WHERE id = :id"), {"id": network.anna.connection}
    )
    network.session.commit()
    network.sweep()
    network.work()
    assert stocks(network, assam) == [0, 0]


def test_the_suppliers_holiday_is_everybodys(network: Network, assam: int) -> None:
    holiday.switch(db.session(), network.session.get_one(Account, network.anna.account.id), on=True)
    network.session.commit()
    network.work()
    assert stocks(network, assam) == [0, 0]
    assert listing(network, network.boldt, assam).reason_code == "listing.supplier_on_holiday"
    holiday.switch(db.session(), network.session.get_one(Account, network.anna.account.id), on=False)
    network.session.commit()
    network.work()
    assert stocks(network, assam) == [10, 10]


def test_what_was_never_in_a_shop_is_not_put_there_at_0(network: Network) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    shop = network.session.get_one(Connection, network.boldt.connection)
    catalogue.list_products(network.session, shop, [product], {})
    network.session.commit()
    change(network, network.anna, "TEE-001", gtin="")
    network.send_events()
    jobs.drain_inbox(network.anna.connection)
    network.work()
    assert calls(network.boldt, "product.upsert", "stock.set") == []
    assert listing(network, network.boldt, product).reason_code == "listing.not_released"


def test_what_may_be_in_a_shop_without_our_hearing_of_it_is_made_sure_of(network: Network) -> None:
    """The answer to its creation was lost, and then the supplier withdrew it: it may be on sale."""
    network.bridge.config["SHOPBRIDGE_RETRY_SCALE"] = 1
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    network.boldt.shop_app.extensions["faults"].add({"kind": "reset", "path": "commands", "effect": True})
    take(network, network.boldt, [product])
    made = list(network.boldt.shop.products.values())
    assert [each.stock for each in made] == [10]
    assert listing(network, network.boldt, product).shop_product_id is None
    change(network, network.anna, "TEE-001", gtin="")
    network.hurry()
    network.work()
    assert (made[0].stock, made[0].status) == (0, "draft")
    change(network, network.anna, "TEE-001", gtin=ASSAM)
    network.work()
    assert (made[0].stock, made[0].status, len(network.boldt.shop.products)) == (10, "publish", 1)


# --- order, failure, repetition ---------------------------------------------------------------------------------------------------


def test_zero_first_then_what_falls_then_what_rises_then_what_is_new(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    gtins = {"UP": ASSAM, "DOWN": DARJEELING, "ZERO": SENCHA, "NEW": "4049500005784"}
    products = dict(
        zip(
            gtins,
            offer(network, network.anna, *(goods(f"T-{name}", each) for name, each in gtins.items())),
            strict=True,
        )
    )
    take(network, network.boldt, [products[name] for name in ("UP", "DOWN", "ZERO")])
    numbers = {
        listing(network, network.boldt, products[name]).shop_product_id: name
        for name in ("UP", "DOWN", "ZERO")
    }
    catalogue.list_products(
        network.session, network.session.get_one(Connection, network.boldt.connection), [products["NEW"]], {}
    )
    network.session.commit()
    for sku, stock in (("T-UP", 50), ("T-DOWN", 4), ("T-ZERO", 0)):
        set_stock(network, sku, stock)
    sent = recorded(monkeypatch)
    one_round(network, network.anna, network.boldt)
    told = [
        numbers.get(data.get("product_id"), "NEW")
        for kind, data in sent
        if kind in {"stock.set", "product.upsert"}
    ]
    assert told == ["ZERO", "DOWN", "UP", "NEW"]


def test_the_sold_out_one_goes_first_among_very_many(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one batch waits; the claim itself must know what is urgent."""
    monkeypatch.setattr(push_listings, "AT_ONCE", 2)
    gtins = [ASSAM, DARJEELING, SENCHA, "4049500005784", "4005500805113"]
    products = offer(network, network.anna, *(goods(f"T-{place}", each) for place, each in enumerate(gtins)))
    take(network, network.boldt, products)
    for _ in range(3):
        network.work()
    for place in range(4):
        set_stock(network, f"T-{place}", 50)
    set_stock(network, "T-4", 0)
    sent = recorded(monkeypatch)
    one_round(network, network.anna, network.boldt)
    stock_calls = [data["stock_quantity"] for kind, data in sent if kind == "stock.set"]
    assert (stock_calls[0], len(stock_calls)) == (0, 2)
    network.work()
    assert sorted(data["stock_quantity"] for kind, data in sent if kind == "stock.set") == [0, 50, 50, 50, 50]


def test_orders_go_before_listings(network: Network, assam: int, monkeypatch: pytest.MonkeyPatch) -> None:
    set_stock(network, "TEE-001", 2)
    network.send_events()
    jobs.drain_inbox(network.anna.connection)
    shop = network.session.get_one(Connection, network.boldt.connection)
    outbox.write(
        network.session,
        account_id=shop.account_id,
        connection_id=shop.id,
        kind="events.resend",
        subject="shop",
        key="resend:1",
        payload={"ranges": [], "all_products": False},
    )
    network.session.commit()
    sent = recorded(monkeypatch)
    jobs.drain_outbox(network.boldt.connection)
    assert [kind for kind, _ in sent][:2] == ["events.resend", "stock.set"]


def test_a_listing_gets_its_turn_in_a_long_row_of_orders(
    network: Network, assam: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.jobs.commands.OFFERS_EVERY", 0.0)
    set_stock(network, "TEE-001", 0)
    network.send_events()
    jobs.drain_inbox(network.anna.connection)
    shop = network.session.get_one(Connection, network.boldt.connection)
    for place in range(5):
        outbox.write(
            network.session,
            account_id=shop.account_id,
            connection_id=shop.id,
            kind="events.resend",
            subject=f"shop/{place}",
            key=f"resend:{place}",
            payload={"ranges": [], "all_products": False},
        )
    network.session.commit()
    sent = recorded(monkeypatch)
    jobs.drain_outbox(network.boldt.connection)
    kinds = [kind for kind, _ in sent]
    assert kinds.index("stock.set") <= 2
    assert kinds.count("events.resend") == 5


def test_a_shop_that_is_down_gets_the_newest_stock_when_it_is_back(network: Network, assam: int) -> None:
    faults = network.boldt.shop_app.extensions["faults"]
    faults.add({"kind": "status", "path": "commands", "status": 503, "count": -1})
    for stock in (8, 6, 4):
        set_stock(network, "TEE-001", stock)
        network.work()
    assert stocks(network, assam) == [10, 4]
    faults.clear()
    forget_rests(network)
    network.hurry()
    network.boldt.shop.commands.clear()
    network.work()
    assert stocks(network, assam) == [4, 4]
    assert calls(network.boldt, "stock.set", "product.upsert") == ["stock.set"]


def forget_rests(network: Network) -> None:
    """The minute for which a partner rests after five failures is over."""
    with redis.Redis.from_url(network.bridge.config["REDIS_URL"]) as store:
        for key in store.scan_iter("breaker:*"):
            store.delete(key)


def test_an_answer_that_was_lost_makes_no_second_product(network: Network) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    network.boldt.shop_app.extensions["faults"].add({"kind": "reset", "path": "commands", "effect": True})
    take(network, network.boldt, [product])
    network.hurry()
    network.work()
    assert len(network.boldt.shop.products) == 1
    assert listing(network, network.boldt, product).state == "listed"


def test_one_that_the_shop_refuses_is_a_case_and_the_next_one_goes(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C10; after the merchant has mended it, the next change tries again and closes the case."""
    first, second = offer(network, network.anna, goods("TEE-001", ASSAM), goods("TEE-002", DARJEELING))
    shop = network.boldt.shop
    upsert = WooCommerceClient.send

    def picky(client: WooCommerceClient, command_id: str, kind: str, data: dict[str, Any]) -> Any:
        if kind == "product.upsert" and data.get("gtin") == ASSAM:
            data = {**data, "name": None}
        return upsert(client, command_id, kind, data)

    monkeypatch.setattr(WooCommerceClient, "send", picky)
    take(network, network.boldt, [first, second])
    assert listing(network, network.boldt, first).state == "refused"
    assert listing(network, network.boldt, second).state == "listed"
    assert network.cases(network.boldt) == ["listing.refused"]
    monkeypatch.setattr(WooCommerceClient, "send", upsert)
    set_stock(network, "TEE-001", 5)
    network.work()
    assert (listing(network, network.boldt, first).state, network.cases(network.boldt)) == ("listed", [])
    assert shop.find(gtin=ASSAM).stock == 5


def test_one_that_the_retailer_deleted_is_not_made_again(network: Network, assam: int) -> None:
    number = int(listing(network, network.boldt, assam).shop_product_id or 0)
    call("DELETE", f"{network.boldt.shop_url}/_control/products/{number}?force=1")
    network.work()
    set_stock(network, "TEE-001", 5)
    network.work()
    row = listing(network, network.boldt, assam)
    assert (row.state, row.reason_code, row.switched_on) == ("withdrawn", "listing.gone_from_shop", False)
    assert network.boldt.shop.products == {}
    take(network, network.boldt, [assam])
    assert in_shop(network, network.boldt, assam).stock == 5


def test_one_that_is_gone_before_the_shop_said_so_is_taken_for_deleted(network: Network, assam: int) -> None:
    number = int(listing(network, network.boldt, assam).shop_product_id or 0)
    del network.boldt.shop.products[number]
    set_stock(network, "TEE-001", 5)
    network.work()
    row = listing(network, network.boldt, assam)
    assert (row.state, row.reason_code) == ("withdrawn", "listing.gone_from_shop")
    assert network.cases(network.boldt) == []


def test_a_worker_that_dies_leaves_a_listing_that_is_pushed_again(network: Network, assam: int) -> None:
    set_stock(network, "TEE-001", 5)
    network.send_events()
    jobs.drain_inbox(network.anna.connection)
    found = {"token": "dead", "lease": 60, "shop": network.boldt.connection, "limit": 5}
    network.session.execute(push_listings._CLAIM, found)
    network.session.commit()
    network.work()
    assert stocks(network, assam) == [10, 5], "somebody else has it for a minute"
    network.session.execute(text("UPDATE listing SET lease_until = now() - interval '1 second'"))
    network.session.commit()
    assert network.boldt.connection in outbox.waiting_connections(network.session)
    network.work()
    assert stocks(network, assam) == [5, 5]


def test_an_older_stock_that_arrives_after_a_newer_one_does_not_stay(
    network: Network, assam: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker sleeps between reading the stock and sending it; another one takes over meanwhile (I13)."""
    send = WooCommerceClient.send

    def asleep(client: WooCommerceClient, command_id: str, kind: str, data: dict[str, Any]) -> Any:
        if kind == "stock.set" and data["stock_quantity"] == 7:
            monkeypatch.setattr(WooCommerceClient, "send", send)
            db.session.execute(
                text(
                    "UPDATE listing SET lease_until = now() - interval '1 second' WHERE lease_token IS NOT NULL"
                )
            )
            db.session.commit()
            set_stock(network, "TEE-001", 0)
            network.send_events()
            jobs.drain_inbox(network.anna.connection)
            jobs.drain_outbox(network.boldt.connection)
            assert in_shop(network, network.boldt, assam).stock == 0
        return send(client, command_id, kind, data)

    set_stock(network, "TEE-001", 7)
    network.send_events()
    jobs.drain_inbox(network.anna.connection)
    monkeypatch.setattr(WooCommerceClient, "send", asleep)
    jobs.drain_outbox(network.boldt.connection)
    network.work()
    assert stocks(network, assam) == [0, 0]


def test_a_change_while_the_old_stock_is_on_the_wire_is_sent_after_it(
    network: Network, assam: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = WooCommerceClient.send

    def late(client: WooCommerceClient, command_id: str, kind: str, data: dict[str, Any]) -> Any:
        if kind == "stock.set" and data["stock_quantity"] == 7:
            monkeypatch.setattr(WooCommerceClient, "send", send)
            set_stock(network, "TEE-001", 2)
            network.send_events()
            jobs.drain_inbox(network.anna.connection)
        return send(client, command_id, kind, data)

    set_stock(network, "TEE-001", 7)
    monkeypatch.setattr(WooCommerceClient, "send", late)
    network.work()
    assert stocks(network, assam) == [2, 2]


def test_our_own_echo_is_no_reason_for_another_call(network: Network, assam: int) -> None:
    network.work()
    network.boldt.shop.commands.clear()
    set_stock(network, "TEE-001", 6)
    network.work()
    network.work()
    assert calls(network.boldt) == ["stock.set"]


def test_two_listings_never_stand_for_one_product_of_the_shop(network: Network) -> None:
    """A shop that finds the wrong one is not believed: the right one is made whole again."""
    network.bridge.config["SHOPBRIDGE_RETRY_SCALE"] = 1
    first, second = offer(network, network.anna, goods("TEE-001", ASSAM), goods("TEE-002", DARJEELING))
    take(network, network.boldt, [first])
    shop = network.boldt.shop
    only = next(iter(shop.products.values()))
    find = shop.find
    shop.find = lambda **wanted: only if wanted.get("gtin") == DARJEELING else find(**wanted)
    only.key = None
    take(network, network.boldt, [second])
    assert listing(network, network.boldt, second).state == "refused"
    assert network.cases(network.boldt) == ["listing.product_taken"]
    shop.find = find
    network.hurry()
    network.work()
    network.hurry()
    network.work()
    assert network.cases(network.boldt) == []
    for product, gtin in ((first, ASSAM), (second, DARJEELING)):
        own = in_shop(network, network.boldt, product)
        assert (own.gtin, own.stock, own.key) == (gtin, 10, listing(network, network.boldt, product).key)


# --- size ----------------------------------------------------------------------------------------------------------------------------


def gtin13(number: int) -> str:
    """A right GTIN made of a number."""
    body = f"20{number:010d}"
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body))
    return f"{body}{-total % 10}"


def test_a_hundred_stocks_at_two_retailers(network: Network, record_property: Any) -> None:
    """Complete, and it says how long it took."""
    count = 100
    products = offer(
        network, network.anna, *(goods(f"T-{place:03d}", gtin13(place)) for place in range(count))
    )
    for member in (network.boldt, network.dora):
        assert take(network, member, products).queued == count
    for _ in range(3):
        network.work()
    began = time.monotonic()
    for place in range(count):
        set_stock(network, f"T-{place:03d}", place % 5)
    for _ in range(3):
        network.work()
    took = time.monotonic() - began
    for member in (network.boldt, network.dora):
        shown = {each.stock for each in member.shop.products.values()}
        assert shown == {0, 1, 2, 3, 4}
        assert len(member.shop.products) == count
    record_property("table", f"{count} stocks at 2 retailers, one process doing everything: {took:.1f} s")


def test_a_mark_costs_one_statement_however_many_retailers(network: Network, assam: int) -> None:
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        reservations.mark_offers(db.session(), [assam])
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert len(asked) == 2
    assert outbox.given_work(db.session()) == {network.boldt.connection, network.dora.connection}
    assert queues.depth()["out"] >= 0
    assert network.session.scalars(select(Offer)).all() == []
    assert network.session.scalars(select(Case.code).where(Case.state == "open")).all() == []
    assert network.session.get_one(Product, assam).stock == 10
