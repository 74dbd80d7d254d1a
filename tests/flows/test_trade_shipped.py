"""Parcels of suppliers: money moves with a number (K11), the retailer's shop and a marketplace behind it hear of it (K10)."""

import pytest
from network_world import Listed, Network
from sqlalchemy import text

from app import jobs
from app.models import Order, TradeParcel

TEE, SECOND = "4006381333931", "4012345678901"
DHL = {"number": "00340434161094015902", "carrier": "DHL"}
OTHER = {"number": "00340434161094032954", "carrier": "DHL"}


def listed(network: Network) -> Listed:
    return network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))


def test_a_parcel_releases_the_money_and_reaches_the_retailers_shop(network: Network) -> None:
    number = network.boldt.buys((listed(network), 2))
    network.work()
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    money = network.money()
    assert (money.captured, money.released, money.payable, money.escrow) == (1230, 1230, 1230, 0)
    order = network.boldt.order(number)
    (parcel,) = order.tracking
    assert (parcel["number"], parcel["carrier"]) == (DHL["number"], "DHL")
    assert parcel["lines"] == [{"id": str(order.lines[0].id), "quantity": 2}]
    assert order.status == "completed"
    assert network.trade().state == "shipped"
    assert network.cases() == []
    assert {"trade.shipped", "trade.released", "trade.tracking_in_shop"} <= set(
        network.story(network.retail().id)
    )


def test_the_same_parcel_told_many_times_releases_once(network: Network) -> None:
    number = network.boldt.buys((listed(network), 1))
    network.work()
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    for _ in range(3):
        network.work()
        network.session.execute(text("UPDATE event SET state = 'due', next_attempt_at = now()"))
        network.session.commit()
    network.work()
    assert network.money().released == 810
    assert len(network.boldt.order(number).tracking) == 1


def test_a_part_that_leaves_first_releases_its_part(network: Network) -> None:
    number = network.boldt.buys((listed(network), 3))
    network.work()
    child = network.anna.child()
    line = child.lines[0].id
    network.anna.does("tracking", child.id, **DHL, lines=[{"id": line, "quantity": 1}])
    network.work()
    assert network.money().released == 420 + 390
    assert network.trade().state == "part_shipped"
    order = network.boldt.order(number)
    assert order.tracking[0]["lines"] == [{"id": str(order.lines[0].id), "quantity": 1}]
    assert order.status == "processing"
    network.anna.does("complete", child.id, tracking=OTHER)
    network.work()
    assert network.money().released == 3 * 420 + 390
    assert network.boldt.order(number).tracking[1]["lines"] == [{"id": str(order.lines[0].id), "quantity": 2}]
    assert network.boldt.order(number).status == "completed"


def without_number(network: Network) -> None:
    """The supplier completes without a number, and three hours are over (C3)."""
    network.anna.does("complete", network.anna.child().id)
    network.work()
    network.wait_is_over()


def test_shipped_without_a_number_releases_nothing_and_tells_it(network: Network) -> None:
    number = network.boldt.buys((listed(network), 2))
    network.work()
    without_number(network)
    assert network.trade().state == "shipped"
    assert network.money().released == 0
    order = network.boldt.order(number)
    assert order.tracking == []
    assert order.status == "completed"
    assert any("ohne Sendungsnummer" in note["note"] for note in order.notes)
    assert "trade.shipped_without_tracking" in network.story(network.retail().id)
    assert network.cases(network.anna) == ["trade.number_missing"]


def test_the_number_that_comes_later_releases_then(network: Network) -> None:
    number = network.boldt.buys((listed(network), 2))
    network.work()
    without_number(network)
    network.anna.does("tracking", network.anna.child().id, **DHL)
    network.work()
    assert network.money().released == 1230
    assert [each["number"] for each in network.boldt.order(number).tracking] == [DHL["number"]]
    assert network.cases(network.anna) == []
    network.anna.does("tracking", network.anna.child().id, **OTHER)
    network.work()
    assert network.money().released == 1230
    assert len(network.boldt.order(number).tracking) == 2


def test_a_second_parcel_of_the_same_things_releases_nothing_more(network: Network) -> None:
    network.boldt.buys((listed(network), 1))
    network.work()
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    network.anna.does("tracking", network.anna.child().id, **OTHER)
    network.work()
    assert network.money().released == 810
    assert len(network.session.query(TradeParcel).all()) == 1


def test_a_wrong_number_releases_nothing_until_a_right_one_comes(network: Network) -> None:
    network.boldt.buys((listed(network), 1))
    network.work()
    wrong = DHL["number"][:-1] + "3"
    network.anna.does("complete", network.anna.child().id, tracking={"number": wrong, "carrier": "DHL"})
    network.work()
    assert network.money().released == 0
    assert network.cases(network.anna) != []
    network.anna.does("tracking", network.anna.child().id, **DHL)
    network.work()
    assert network.money().released == 810


def test_own_goods_keep_the_retailers_order_open(network: Network) -> None:
    tee = listed(network)
    network.boldt.shop.add_product({"sku": "BOOK-1", "price": "20.00", "stock": 3})
    number = network.boldt.buys((tee, 1), ("BOOK-1", 1))
    network.work()
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    assert network.boldt.order(number).status == "processing"
    assert len(network.boldt.order(number).tracking) == 1


def test_the_order_is_completed_when_the_last_supplier_has_shipped(network: Network) -> None:
    emil = network.join("Emils Kaffee", supplier=True)
    network.partners(network.boldt, emil)
    tee = listed(network)
    bean = network.listing(network.boldt, network.product(emil, "BEAN-1", SECOND))
    number = network.boldt.buys((tee, 1), (bean, 1))
    network.work()
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    assert network.boldt.order(number).status == "processing"
    emil.does("complete", emil.child().id, tracking=OTHER)
    network.work()
    assert network.boldt.order(number).status == "completed"


@pytest.mark.parametrize("where", ["app.ledger.release", "app.trades.follow_pieces", "app.outbox.finish"])
def test_a_crash_while_it_ships_releases_once(
    network: Network, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    number = network.boldt.buys((listed(network), 1))
    network.work()
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.send_events()
    jobs.drain_inbox(network.anna.connection)
    with monkeypatch.context() as patch:
        patch.setattr(where, _dies)
        jobs.drain_outbox(network.anna.network)
    assert network.money().released == 0
    assert network.pieces() == ["to_ship"]
    network.hurry()
    network.work()
    assert network.money().released == 810
    assert network.pieces() == ["shipped"]
    assert len(network.boldt.order(number).tracking) == 1


def _dies(*_: object, **__: object) -> None:
    raise RuntimeError("the worker was killed here")


# --- a marketplace behind the retailer ------------------------------------------------------------------------------------


def test_marketplace_retailer_supplier_and_back(network: Network) -> None:
    network.sell_at_kaufland(network.boldt)
    product = network.product(network.anna, "TEE-001", TEE)
    tee = network.listing(network.boldt, product, at_kaufland=True)
    network.work()
    placed = network.kaufland_orders((tee.sku, 2, 1290))
    network.work()
    child = network.anna.child()
    assert [(line.sku, line.quantity, line.unit) for line in child.lines] == [("TEE-001", 2, 420)]
    assert child.source["name"] == "Bücher Boldt"
    retail = network.retail()
    assert retail.key.startswith("kaufland:")
    network.anna.does("complete", child.id, tracking=DHL)
    network.work()
    assert network.money().released == 1230
    units = network.kaufland_units(placed)
    assert {unit["status"] for unit in units} == {"sent"}
    assert [unit["shipments"][0]["tracking_number"] for unit in units] == [DHL["number"]] * 2
    story = network.story(retail.id)
    order = [
        "order.seen",
        "order.created_in_shop",
        "trade.placed",
        "trade.passed_on",
        "trade.shipped",
        "ship.confirmed",
    ]
    places = [story.index(code) for code in order]
    assert places == sorted(places)
    assert network.cases() == []
    assert network.boldt.order(int(retail.shop_order_id)).status == "completed"
    told = str(network.kaufland_books())
    assert "Anna" not in told
    assert network.session.query(Order).count() == 2
