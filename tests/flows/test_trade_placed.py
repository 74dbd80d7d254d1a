"""A retailer sells, and each supplier gets his part (K6)."""

import pytest
from listings import take
from network_world import Network
from sqlalchemy import event, func, select, text
from world import call

from app import jobs, ledger
from app.flows import trade_placed
from app.models import Order, Partnership, Payment

TEE = "4006381333931"


def test_a_paid_order_becomes_a_child_order_in_the_suppliers_shop(network: Network) -> None:
    product = network.product(network.anna, "TEE-001", TEE, stock=10, dealer=420)
    tee = network.listing(network.boldt, product)
    number = network.boldt.buys((tee, 2))
    network.work()
    child = network.anna.child()
    assert child.source["marketplace"] == "dropshipping"
    assert child.source["name"] == "Bücher Boldt"
    assert child.notes[0]["note"] == f"Bücher Boldt dropshipping order {number}"
    assert [(line.sku, line.quantity, line.unit) for line in child.lines] == [("TEE-001", 2, 420)]
    assert child.shipping == 390
    assert network.trade().total == 1230
    assert network.trade().state == "accepted"
    assert network.cases() == []


SECOND = "4012345678901"


def test_the_money_is_asked_for_and_nothing_is_passed_on_before_it_is_there(network: Network) -> None:
    network.paying = False
    product = network.product(network.anna, "TEE-001", TEE)
    tee = network.listing(network.boldt, product)
    network.boldt.buys((tee, 2))
    network.work()
    assert network.trade().state == "payment_pending"
    assert network.pieces() == ["announced", "announced"]
    assert network.reserved(product) == 2
    assert network.anna.children() == []
    assert network.money_comes("capture") == 1
    network.work()
    assert network.trade().state == "accepted"
    assert network.pieces() == ["to_ship", "to_ship"]
    assert network.money().captured == 1230


def test_the_customer_is_the_recipient_and_the_retailer_the_buyer(network: Network) -> None:
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    network.boldt.buys((tee, 1))
    network.work()
    child = network.anna.child()
    assert child.billing["company"] == "Bücher Boldt"
    assert (child.address["last_name"], child.address["city"]) == ("Muster", "Berlin")
    assert "mia@customer.example" not in str(network.anna.shop.books())


def test_the_suppliers_shop_and_other_retailers_show_less_at_once(network: Network) -> None:
    network.paying = False
    product = network.product(network.anna, "TEE-001", TEE, stock=5)
    at_boldt, at_dora = (network.listing(each, product) for each in (network.boldt, network.dora))
    network.boldt.buys((at_boldt, 2))
    network.work()
    assert network.dora.shop.products[at_dora.shop_product].stock == 3
    assert network.boldt.shop.products[at_boldt.shop_product].stock == 3


def test_a_price_group_makes_it_cheaper_per_unit(network: Network) -> None:
    cheap = network.join("Emils Ecke", retailer=True)
    network.partners(cheap, network.anna, discount_bp=500)
    tee = network.listing(cheap, network.product(network.anna, "TEE-001", TEE, dealer=419))
    cheap.buys((tee, 3))
    network.work()
    assert network.trade().goods == 3 * 398
    assert network.anna.child().lines[0].unit == 398


def test_an_order_is_split_by_supplier_and_own_goods_stay(network: Network) -> None:
    emil = network.join("Emils Kaffee", supplier=True, shipping_price=0)
    network.partners(network.boldt, emil)
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    bean = network.listing(network.boldt, network.product(emil, "BEAN-1", SECOND, dealer=800))
    network.boldt.shop.add_product({"sku": "BOOK-1", "price": "20.00", "stock": 3})
    network.boldt.buys((tee, 1), ("BOOK-1", 1), (bean, 2))
    network.work()
    assert [(each.supplier_id, each.total) for each in network.trades()] == [
        (network.anna.account.id, 810),
        (emil.account.id, 1600),
    ]
    assert [line.sku for line in network.anna.child().lines] == ["TEE-001"]
    assert [line.sku for line in emil.child().lines] == ["BEAN-1"]
    assert network.story(network.retail().id).count("trade.placed") == 2
    assert network.cases() == []


def test_an_order_without_network_lines_is_none_of_our_business(network: Network) -> None:
    network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    network.boldt.shop.add_product({"sku": "BOOK-1", "stock": 3})
    network.boldt.buys(("BOOK-1", 1))
    network.work()
    assert network.trades() == []
    assert network.session.scalar(select(func.count()).select_from(Order)) == 0


def test_an_unpaid_order_waits_until_it_is_paid(network: Network) -> None:
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    number = network.boldt.buys((tee, 1), status="pending")
    network.work()
    assert network.trades() == []
    network.boldt.does("status", number, status="processing")
    network.work()
    assert len(network.anna.children()) == 1


def test_events_twice_and_late_make_one_part(network: Network) -> None:
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    network.boldt.buys((tee, 2))
    network.send_events()
    network.session.execute(text("UPDATE event SET state = 'due'"))
    network.session.commit()
    network.work()
    for _ in range(3):
        network.session.execute(text("UPDATE event SET state = 'due', next_attempt_at = now()"))
        network.session.commit()
        network.work()
    assert len(network.trades()) == 1
    assert len(network.anna.children()) == 1
    assert network.money().captured == 1230


def test_an_old_paid_look_after_the_cancellation_orders_nothing(network: Network) -> None:
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    number = network.boldt.buys((tee, 1))
    network.send_events()
    network.boldt.does("cancel", number)
    network.send_events()
    later = "UPDATE event SET next_attempt_at = now() + interval '1 hour' WHERE type = 'order.placed'"
    network.session.execute(text(later))
    network.session.commit()
    network.work()
    network.hurry()
    network.work()
    assert network.trades() == []


def test_a_line_added_later_is_a_second_part(network: Network) -> None:
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    mate = network.listing(network.boldt, network.product(network.anna, "MATE-1", SECOND, dealer=300))
    number = network.boldt.buys((tee, 1))
    network.work()
    order = network.boldt.order(number)
    order.lines.append(network.boldt.shop._bought({"sku": mate.sku, "quantity": 2}))
    order.lines[0].quantity = 3
    network.boldt.shop.outbox.add("order.changed", f"order/{number}")
    network.work()
    first, second = network.trades()
    assert (first.part, second.part) == (1, 2)
    assert second.key == f"{first.key}:2"
    assert sorted((line.sku, line.quantity) for line in network.anna.child().lines) == [
        ("MATE-1", 2),
        ("TEE-001", 2),
    ]
    network.work()
    assert len(network.trades()) == 2


def test_a_partnership_that_is_over_is_a_case_and_the_other_supplier_ships(network: Network) -> None:
    emil = network.join("Emils Kaffee", supplier=True)
    with_emil = network.partners(network.boldt, emil)
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    bean = network.listing(network.boldt, network.product(emil, "BEAN-1", SECOND))
    number = network.boldt.buys((tee, 1), (bean, 1))
    network.session.get_one(Partnership, with_emil.id).state = "paused"
    network.session.commit()
    network.work()
    assert [each.supplier_id for each in network.trades()] == [network.anna.account.id]
    assert network.cases(network.boldt) == ["trade.partnership_not_active"]
    network.session.get_one(Partnership, with_emil.id).state = "active"
    network.session.commit()
    network.boldt.does("status", number, status="on-hold")
    network.boldt.does("status", number, status="processing")
    network.work()
    assert [each.supplier_id for each in network.trades()] == [network.anna.account.id, emil.account.id]
    assert network.cases(network.boldt) == []


def test_an_order_without_an_address_waits_for_one(network: Network) -> None:
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    number = network.boldt.buys((tee, 1), shipping={}, billing={})
    network.work()
    assert network.cases(network.boldt) == ["trade.address_missing"]
    network.boldt.order(number).address = {"last_name": "Muster", "address_1": "Weg 1", "city": "Ulm"}
    network.boldt.shop.outbox.add("order.changed", f"order/{number}")
    network.work()
    assert network.anna.child().address["city"] == "Ulm"
    assert network.cases(network.boldt) == []


def test_more_than_the_supplier_has_lands_and_is_flagged(network: Network) -> None:
    product = network.product(network.anna, "TEE-001", TEE, stock=1)
    at_boldt, at_dora = (network.listing(each, product) for each in (network.boldt, network.dora))
    network.boldt.buys((at_boldt, 1))
    network.dora.buys((at_dora, 1))
    network.work()
    assert len(network.trades()) == 2
    assert network.cases(network.anna) == ["order.oversold"]


def test_a_crash_while_parts_are_made_leaves_nothing_half(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = network.product(network.anna, "TEE-001", TEE)
    tee = network.listing(network.boldt, product)
    network.boldt.buys((tee, 2))
    for where in (
        "app.ledger.charge",
        "app.flows.order_placed.receive",
        "app.flows.trade_status.by_retailer",
    ):
        with monkeypatch.context() as patch:
            patch.setattr(where, _dies)
            network.work(rounds=1)
        counted = "SELECT (SELECT count(*) FROM trade) + (SELECT count(*) FROM reservation) + (SELECT count(*) FROM payment)"
        assert network.session.scalar(text(counted)) == 0, where
        network.hurry()
    network.work()
    assert len(network.anna.children()) == 1
    assert network.money().captured == 1230


def _dies(*_: object, **__: object) -> None:
    raise RuntimeError("the worker was killed here")


def test_a_shop_without_listings_pays_one_question_for_a_batch(network: Network) -> None:
    network.dora.shop.add_product({"sku": "SOAP-1", "stock": 500})
    network.work()
    for _ in range(40):
        network.dora.buys(("SOAP-1", 1))
    network.send_events()
    asked: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(network.session.get_bind(), "before_cursor_execute", note)
    try:
        jobs.drain_inbox(network.dora.connection)
    finally:
        event.remove(network.session.get_bind(), "before_cursor_execute", note)
    assert len([each for each in asked if "shop_product_id = ANY" in each]) == 1
    assert not [each for each in asked if each.lstrip().startswith("INSERT INTO orders")]


def test_more_units_than_the_bridge_passes_on_are_a_case_and_nothing_half(network: Network) -> None:
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE, stock=50_000))
    mate = network.listing(network.boldt, network.product(network.anna, "MATE-1", SECOND, dealer=300))
    number = network.boldt.buys((tee, 20_000), (mate, 2))
    network.work()
    assert network.cases(network.boldt) == ["trade.too_many_units"]
    assert [(line.sku, line.quantity) for line in network.anna.child().lines] == [("MATE-1", 2)]
    assert network.money().captured == 2 * 300 + 390
    assert network.session.scalar(text("SELECT count(*) FROM order_piece")) == 2
    network.boldt.shop.outbox.add("order.changed", f"order/{number}")
    network.work()
    assert len(network.trades()) == 1


@pytest.mark.parametrize(("units", "passed_on"), [(49, [49, 1]), (50, [1])])
def test_the_bound_is_that_of_the_whole_order(
    network: Network, monkeypatch: pytest.MonkeyPatch, units: int, passed_on: list[int]
) -> None:
    monkeypatch.setattr(trade_placed, "MAX_UNITS", 50)
    mate = network.listing(network.boldt, network.product(network.anna, "MATE-1", SECOND, dealer=300))
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE, stock=500))
    network.boldt.buys((mate, 1), (tee, units))
    network.work()
    assert sorted((line.quantity for line in network.anna.child().lines), reverse=True) == passed_on
    assert network.cases(network.boldt) == ([] if units == 49 else ["trade.too_many_units"])


# --- reserved before it is paid ------------------------------------------------------------------------------------------


def test_an_order_on_hold_reserves_and_charges_nothing(network: Network) -> None:
    product = network.product(network.anna, "TEE-001", TEE)
    tee = network.listing(network.boldt, product)
    theirs = network.listing(network.dora, product)
    number = network.boldt.buys((tee, 3), status="on-hold")
    network.work()
    assert (network.trade().state, network.reserved(product)) == ("received", 3)
    assert network.session.scalar(select(func.count()).select_from(Payment)) == 0
    assert network.dora.stock(theirs.sku) == 7
    network.window_is_over()
    network.work()
    assert network.anna.children() == []
    assert network.cases() == []
    network.boldt.does("status", number, status="processing")
    network.work()
    assert [each.state for each in network.trades()] == ["accepted"]
    assert network.money().captured == 3 * 420 + 390
    assert [line.quantity for line in network.anna.child().lines] == [3]


def test_the_regret_window_begins_when_a_reserved_order_is_paid(network: Network) -> None:
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    network.session.execute(text("UPDATE profile SET hold_minutes = 30"))
    network.session.commit()
    number = network.boldt.buys((tee, 1), status="on-hold")
    network.work()
    network.window_is_over()
    network.boldt.does("status", number, status="processing")
    network.work()
    assert network.trade().state == "held"
    assert network.anna.children() == []
    network.window_is_over()
    network.work()
    assert len(network.anna.children()) == 1


@pytest.mark.parametrize("end", ["cancelled", "failed"])
def test_what_is_never_paid_is_free_again_and_may_come_back(network: Network, end: str) -> None:
    product = network.product(network.anna, "TEE-001", TEE)
    tee = network.listing(network.boldt, product)
    number = network.boldt.buys((tee, 3), status="on-hold")
    network.work()
    network.boldt.does("status", number, status=end)
    network.work()
    assert (network.trade().state, network.reserved(product)) == ("cancelled", 0)
    network.boldt.does("status", number, status="processing")
    network.work()
    assert [each.state for each in network.trades()] == ["cancelled", "accepted"]
    assert len(network.anna.children()) == 1


def test_the_last_piece_on_hold_in_two_shops_is_flagged(network: Network) -> None:
    product = network.product(network.anna, "TEE-001", TEE, stock=1)
    mine, theirs = network.listing(network.boldt, product), network.listing(network.dora, product)
    network.boldt.buys((mine, 1), status="on-hold")
    network.dora.buys((theirs, 1), status="on-hold")
    network.work()
    assert network.cases(network.anna) == ["order.oversold"]


# --- whose goods are they --------------------------------------------------------------------------------------------------


def test_what_the_retailer_sold_before_he_listed_it_is_his_own(network: Network) -> None:
    goods = {"name": "Mein Tee", "sku": "EIGEN-1", "gtin": TEE, "price": "9.00", "stock": 5}
    call("POST", f"{network.boldt.shop_url}/_control/products", goods)
    network.work()
    number = network.boldt.buys(("EIGEN-1", 1))
    network.work()
    product = network.product(network.anna, "TEE-001", TEE)
    assert take(network, network.boldt, [product]).refused == []
    network.boldt.does("complete", number)
    network.work()
    assert network.trades() == []
    # Shops tell the second in which an order was placed: the next one is placed in a later second than the listing was made.
    network.session.execute(text("UPDATE listing SET created_at = created_at - interval '1 second'"))
    network.session.commit()
    network.boldt.buys(("EIGEN-1", 1))
    network.work()
    assert len(network.trades()) == 1


def test_what_the_retailer_has_shipped_himself_is_not_ordered_afterwards(network: Network) -> None:
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    network.session.execute(text("UPDATE partnership SET state = 'paused'"))
    network.session.commit()
    number = network.boldt.buys((tee, 1))
    network.work()
    assert network.cases(network.boldt) == ["trade.partnership_not_active"]
    network.session.execute(text("UPDATE partnership SET state = 'active'"))
    network.session.commit()
    network.boldt.does("complete", number)
    network.work()
    assert network.trades() == []


def test_a_supplier_whose_plugin_is_gone_gets_no_order_and_no_money(network: Network) -> None:
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    gone = "UPDATE connection SET state = 'removed' WHERE id = :id"
    network.session.execute(text(gone), {"id": network.anna.connection})
    network.session.commit()
    network.boldt.buys((tee, 1))
    network.work()
    assert network.trades() == []
    assert network.cases(network.boldt) == ["trade.supplier_not_ready"]


@pytest.mark.parametrize("shipping", [0, 390])
def test_goods_for_nothing_go_their_whole_way(network: Network, shipping: int) -> None:
    network.session.execute(text("DELETE FROM partnership"))
    network.session.execute(text("UPDATE profile SET shipping_price = :price"), {"price": shipping})
    network.session.commit()
    network.partners(network.boldt, network.anna, discount_bp=10_000)
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    network.boldt.buys((tee, 2))
    network.work()
    child = network.anna.child().id
    network.anna.does("complete", child, tracking={"number": "00340434161094042557", "carrier": "DHL"})
    network.work()
    assert (network.trade().state, network.money().released) == ("shipped", shipping)
    network.anna.does("cancel", child)
    network.work()
    assert (network.trade().state, network.money().refunded) == ("cancelled", shipping)
    assert ledger.breaches(network.session) == []
