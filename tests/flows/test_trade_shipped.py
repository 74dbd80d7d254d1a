"""Parcels of suppliers: money moves with a number (K11), the retailer's shop and a marketplace behind it hear of it (K10)."""

import pytest
from network_world import Listed, Network
from sqlalchemy import text

from app import jobs, ledger
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


# --- more in one parcel ---------------------------------------------------------------------------------------------------


def two_lines(network: Network) -> tuple[int, list[int], list[str]]:
    """One tea and one cup, both Anna's; the retailer's number, the supplier's line ids and the retailer's."""
    cup = network.listing(network.boldt, network.product(network.anna, "CUP-1", SECOND, dealer=900))
    number = network.boldt.buys((listed(network), 1), (cup, 1))
    network.work()
    lines = [line.id for line in network.anna.child().lines]
    return number, lines, [str(line.id) for line in network.boldt.order(number).lines]


def lines_of(network: Network, number: int) -> list[dict[str, object]]:
    """What the retailer's shop knows to be in the only parcel."""
    (parcel,) = network.boldt.order(number).tracking
    return sorted(parcel["lines"], key=lambda part: str(part["id"]))


def test_a_line_that_is_added_to_a_parcel_releases_its_part(network: Network) -> None:
    number, (tea, cup), theirs = two_lines(network)
    child = network.anna.child().id
    network.anna.does("tracking", child, **DHL, lines=[{"id": tea, "quantity": 1}])
    network.work()
    assert (network.money().released, network.trade().state) == (420 + 390, "part_shipped")
    both = [{"id": tea, "quantity": 1}, {"id": cup, "quantity": 1}]
    for _ in range(2):
        network.anna.does("tracking", child, **DHL, lines=both)
        network.work()
    assert (network.money().released, network.money().escrow) == (420 + 390 + 900, 0)
    assert network.trade().state == "shipped"
    assert lines_of(network, number) == [{"id": line, "quantity": 1} for line in sorted(theirs)]
    assert network.boldt.order(number).status == "completed"
    assert network.cases() == []
    assert network.story(network.retail().id).count("trade.shipped") == 2
    assert ledger.breaches(network.session) == []


def test_a_line_that_left_without_a_number_releases_once_it_is_in_a_parcel(network: Network) -> None:
    """Completed with a parcel that names only the tea; after three hours the cup counts as sent without a number, until Anna adds it."""
    _, (tea, cup), _ = two_lines(network)
    child = network.anna.child().id
    network.anna.does("complete", child, tracking={**DHL, "lines": [{"id": tea, "quantity": 1}]})
    network.work()
    network.wait_is_over()
    assert (network.money().released, network.money().escrow) == (810, 900)
    assert network.cases(network.anna) == ["trade.number_missing"]
    network.anna.does("tracking", child, **DHL, lines=[{"id": cup, "quantity": 1}])
    network.work()
    assert (network.money().released, network.money().escrow) == (1710, 0)
    assert network.cases() == []
    assert ledger.breaches(network.session) == []


def test_more_of_a_line_than_was_ordered_releases_nothing_more(network: Network) -> None:
    number, (tea, cup), _ = two_lines(network)
    child = network.anna.child().id
    network.anna.does("tracking", child, **DHL, lines=[{"id": tea, "quantity": 1}])
    network.anna.does("tracking", child, **OTHER, lines=[{"id": cup, "quantity": 1}])
    network.work()
    network.anna.does(
        "tracking", child, **DHL, lines=[{"id": tea, "quantity": 3}, {"id": cup, "quantity": 1}]
    )
    network.work()
    assert (network.money().released, network.money().escrow) == (1710, 0)
    assert len(network.boldt.order(number).tracking) == 2
    assert network.cases() == []
    assert ledger.breaches(network.session) == []


def two_parts(network: Network) -> tuple[int, list[str]]:
    """A second line comes into the retailer's order later, so Anna has two orders of it."""
    tea = listed(network)
    cup = network.listing(network.boldt, network.product(network.anna, "CUP-1", SECOND, dealer=900))
    number = network.boldt.buys((tea, 1))
    network.work()
    network.boldt.order(number).lines.append(network.boldt.shop._bought({"sku": cup.sku, "quantity": 1}))
    network.boldt.shop.outbox.add("order.changed", f"order/{number}")
    network.work()
    assert len(network.anna.children()) == 2
    return number, [str(line.id) for line in network.boldt.order(number).lines]


def test_two_parts_in_one_parcel_both_reach_the_retailers_shop(network: Network) -> None:
    number, lines = two_parts(network)
    for child in network.anna.children():
        network.anna.does("complete", child.id, tracking=DHL)
        network.work()
    assert lines_of(network, number) == [{"id": line, "quantity": 1} for line in sorted(lines)]
    assert [network.money(place).released for place in (0, 1)] == [810, 900 + 390]
    assert network.boldt.order(number).status == "completed"
    assert network.cases() == []
    assert ledger.breaches(network.session) == []


def test_a_part_under_a_number_of_long_ago_reaches_the_shop_but_releases_nothing(network: Network) -> None:
    """One parcel is packed within 48 hours, or the number is used a second time (reliability 4.4)."""
    number, lines = two_parts(network)
    first, second = network.anna.children()
    network.anna.does("complete", first.id, tracking=DHL)
    network.work()
    network.session.execute(text("UPDATE tracking_use SET used_at = used_at - interval '49 hours'"))
    network.session.execute(text("UPDATE trade_parcel SET shipped_at = shipped_at - interval '49 hours'"))
    network.session.commit()
    network.anna.does("complete", second.id, tracking=DHL)
    network.work()
    assert lines_of(network, number) == [{"id": line, "quantity": 1} for line in sorted(lines)]
    assert (network.money(1).released, network.money(1).escrow) == (0, 1290)
    assert network.cases(network.anna) == ["ledger.tracking_used"]


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


def test_a_line_that_is_added_to_a_parcel_reaches_the_marketplace_too(network: Network) -> None:
    network.sell_at_kaufland(network.boldt)
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE), at_kaufland=True)
    cup = network.listing(network.boldt, network.product(network.anna, "CUP-1", SECOND), at_kaufland=True)
    network.work()
    placed = network.kaufland_orders((tee.sku, 1, 1290), (cup.sku, 1, 1290))
    network.work()
    child = network.anna.child()
    for line in child.lines:
        network.anna.does("tracking", child.id, **DHL, lines=[{"id": line.id, "quantity": 1}])
        network.work()
    units = network.kaufland_units(placed)
    assert [unit["status"] for unit in units] == ["sent", "sent"]
    assert [[each["tracking_number"] for each in unit["shipments"]] for unit in units] == [
        [DHL["number"]]
    ] * 2
    assert network.money().escrow == 0
    assert network.cases() == []
