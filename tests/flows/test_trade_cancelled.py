"""The supplier's CANCELLED gives everything back and is mirrored 1:1, whenever it comes (K9, K10)."""

from datetime import UTC, datetime

import pytest
from network_world import Listed, Network
from sqlalchemy import text

from app import jobs, ledger

TEE, SECOND = "4006381333931", "4012345678901"
DHL = {"number": "00340434161094015902", "carrier": "DHL"}


def listed(network: Network, *, at_kaufland: bool = False) -> Listed:
    product = network.product(network.anna, "TEE-001", TEE)
    return network.listing(network.boldt, product, at_kaufland=at_kaufland)


def everything_went_back(network: Network, place: int = -1) -> None:
    money = network.money(place)
    assert (money.captured, money.refunded, money.escrow) == (money.captured, money.captured, 0)
    assert network.trade(place).state == "cancelled"


def test_cancelled_refunds_everything_and_cancels_the_retailers_order(network: Network) -> None:
    number = network.boldt.buys((listed(network), 2))
    network.work()
    assert network.anna.stock("TEE-001") == 8
    network.anna.does("cancel", network.anna.child().id)
    network.work()
    everything_went_back(network)
    assert network.boldt.order(number).status == "cancelled"
    assert network.pieces() == ["cancelled", "cancelled"]
    assert network.anna.stock("TEE-001") == 10
    assert network.cases() == []
    assert "trade.cancelled" in network.story(network.retail().id)
    assert "trade.cancelled" in network.story(network.trade().order_id)


def test_cancelled_told_again_and_again_counts_once(network: Network) -> None:
    network.boldt.buys((listed(network), 1))
    network.work()
    network.anna.does("cancel", network.anna.child().id)
    for _ in range(3):
        network.work()
        network.session.execute(text("UPDATE event SET state = 'due', next_attempt_at = now()"))
        network.session.commit()
    network.work()
    assert network.money().refunded == 810
    assert network.story(network.retail().id).count("trade.cancelled") == 1


def test_an_old_processing_look_does_not_take_the_cancellation_back(network: Network) -> None:
    number = network.boldt.buys((listed(network), 1))
    network.work()
    child = network.anna.child()
    network.anna.does("status", child.id, status="on-hold")
    network.send_events()
    late = "UPDATE event SET next_attempt_at = now() + interval '1 hour' WHERE state = 'due'"
    network.session.execute(text(late))
    network.session.commit()
    network.anna.does("cancel", child.id)
    network.work()
    network.hurry()
    network.work()
    everything_went_back(network)
    assert network.boldt.order(number).status == "cancelled"


def test_one_of_two_suppliers_cancels_only_his_lines(network: Network) -> None:
    emil = network.join("Emils Kaffee", supplier=True)
    network.partners(network.boldt, emil)
    tee = listed(network)
    bean = network.listing(network.boldt, network.product(emil, "BEAN-1", SECOND))
    number = network.boldt.buys((tee, 1), (bean, 2))
    network.work()
    emil.does("cancel", emil.child().id)
    network.work()
    order = network.boldt.order(number)
    assert order.status == "processing"
    assert [(line.quantity, line.refunded) for line in order.lines] == [(1, 0), (2, 2)]
    assert [each.state for each in network.trades()] == ["accepted", "cancelled"]
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    assert network.boldt.order(number).status == "completed"
    assert network.cases() == []


def test_the_last_supplier_cancels_and_the_whole_order_is_cancelled(network: Network) -> None:
    emil = network.join("Emils Kaffee", supplier=True)
    network.partners(network.boldt, emil)
    tee = listed(network)
    bean = network.listing(network.boldt, network.product(emil, "BEAN-1", SECOND))
    number = network.boldt.buys((tee, 1), (bean, 1))
    network.work()
    for supplier in (emil, network.anna):
        supplier.does("cancel", supplier.child().id)
        network.work()
    assert network.boldt.order(number).status == "cancelled"
    for place in (0, 1):
        everything_went_back(network, place)


def test_own_goods_stay_when_the_supplier_cancels(network: Network) -> None:
    tee = listed(network)
    network.boldt.shop.add_product({"sku": "BOOK-1", "price": "20.00", "stock": 3})
    number = network.boldt.buys((tee, 1), ("BOOK-1", 1))
    network.work()
    network.anna.does("cancel", network.anna.child().id)
    network.work()
    order = network.boldt.order(number)
    assert order.status == "processing"
    assert [line.refunded for line in order.lines] == [1, 0]


def own_and_theirs(network: Network) -> int:
    """Two teas of Anna's and a book of Boldt's own; his customer has got one tea refunded by him, which came too late for Anna."""
    tee = listed(network)
    network.boldt.shop.add_product({"sku": "BOOK-1", "price": "20.00", "stock": 3})
    number = network.boldt.buys((tee, 2), ("BOOK-1", 1))
    network.work()
    network.boldt.does(
        "refund", number, lines=[{"id": network.boldt.order(number).lines[0].id, "quantity": 1}]
    )
    network.work()
    assert network.cases(network.boldt) == ["trade.cancel_too_late"]
    return number


def test_what_the_retailer_refunded_before_is_not_cancelled_once_more(network: Network) -> None:
    number = own_and_theirs(network)
    network.anna.does("cancel", network.anna.child().id)
    network.work()
    everything_went_back(network)
    order = network.boldt.order(number)
    assert (order.status, [line.refunded for line in order.lines]) == ("processing", [2, 0])
    assert [refund.by_bridge for refund in order.refunds] == [False, True]
    assert "trade.rest_cancelled_in_shop" in network.story(network.retail().id)
    assert network.cases() == []


def test_what_was_refunded_wholly_before_leaves_nothing_to_cancel(network: Network) -> None:
    number = own_and_theirs(network)
    network.boldt.does("refund", number, amount=f"{network.boldt.order(number).left / 100:.2f}")
    network.work()
    assert network.boldt.order(number).status == "refunded"
    network.anna.does("cancel", network.anna.child().id)
    network.work()
    everything_went_back(network)
    order = network.boldt.order(number)
    assert (order.status, len(order.refunds)) == ("refunded", 2)
    assert "trade.rest_cancelled_in_shop" in network.story(network.retail().id)
    assert network.cases() == []


def test_cancelled_after_shipping_gives_the_released_money_back(network: Network) -> None:
    number = network.boldt.buys((listed(network), 2))
    network.work()
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    assert network.money().payable == 1230
    network.anna.does("cancel", network.anna.child().id)
    network.work()
    everything_went_back(network)
    money = network.money()
    assert (money.payable, money.receivable) == (0, 0)
    assert network.boldt.order(number).status == "cancelled"
    assert network.cases(network.boldt) == ["trade.cancelled_after_shipping"]


def test_cancelled_at_once_after_shipping_is_mirrored_though_the_shop_has_not_told_of_its_completion(
    network: Network,
) -> None:
    number = network.boldt.buys((listed(network), 1))
    network.work()
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    deliver = network.boldt.shop.outbox.deliver_due
    network.boldt.shop.outbox.deliver_due = lambda: None  # his events are still on their way
    network.work()
    assert (network.boldt.order(number).status, network.retail().shop_status) == ("completed", "processing")
    network.anna.does("cancel", network.anna.child().id)
    network.work()
    assert network.boldt.order(number).status == "cancelled"
    network.boldt.shop.outbox.deliver_due = deliver
    network.work()
    everything_went_back(network)
    assert network.boldt.order(number).status == network.retail().shop_status == "cancelled"
    assert network.cases(network.boldt) == ["trade.cancelled_after_shipping"]


def test_cancelled_after_the_payout_leaves_the_supplier_owing(network: Network) -> None:
    network.boldt.buys((listed(network), 1))
    network.work()
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    by = ledger.Source("test", "payout day", "payout")
    assert ledger.payout(network.session, network.anna.account.id, "EUR", datetime.now(UTC), by) is not None
    network.session.commit()
    network.work()
    assert network.money().paid_out == 810
    network.anna.does("cancel", network.anna.child().id)
    network.work()
    everything_went_back(network)
    assert network.money().receivable == 810


def test_a_shipped_parcel_of_a_cancelled_order_releases_nothing(network: Network) -> None:
    network.boldt.buys((listed(network), 1))
    network.work()
    network.anna.does("cancel", network.anna.child().id)
    network.work()
    network.anna.does("tracking", network.anna.child().id, **DHL)
    network.work()
    assert network.money().released == 0
    everything_went_back(network)


@pytest.mark.parametrize("status", ["refunded", "failed", "on-hold", "pending", "completed"])
def test_no_other_status_of_the_supplier_is_mirrored(network: Network, status: str) -> None:
    number = network.boldt.buys((listed(network), 1))
    network.work()
    network.anna.shop.set_status(network.anna.child().id, "on-hold")
    network.work()
    network.anna.does("status", network.anna.child().id, status=status)
    network.work()
    assert network.boldt.order(number).status == "processing"


@pytest.mark.parametrize("where", ["app.ledger.cancel", "app.trades.mirror", "app.inbox.finish"])
def test_a_crash_while_it_is_cancelled_cancels_once(
    network: Network, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    number = network.boldt.buys((listed(network), 1))
    network.work()
    network.anna.does("cancel", network.anna.child().id)
    network.send_events()
    with monkeypatch.context() as patch:
        patch.setattr(where, _dies)
        try:
            jobs.drain_inbox(network.anna.connection)
        except RuntimeError:
            network.session.rollback()
    assert network.money().refunded == 0
    assert network.trade().state == "accepted"
    network.hurry()
    network.work()
    everything_went_back(network)
    assert network.boldt.order(number).status == "cancelled"


def _dies(*_: object, **__: object) -> None:
    raise RuntimeError("the worker was killed here")


# --- a marketplace behind the retailer ------------------------------------------------------------------------------------


def test_the_marketplace_hears_of_the_suppliers_cancellation(network: Network) -> None:
    network.sell_at_kaufland(network.boldt)
    tee = listed(network, at_kaufland=True)
    network.work()
    placed = network.kaufland_orders((tee.sku, 2, 1290))
    network.work()
    network.anna.does("cancel", network.anna.child().id)
    network.work()
    everything_went_back(network)
    assert {unit["status"] for unit in network.kaufland_units(placed)} == {"cancelled"}
    assert network.boldt.order(int(network.retail().shop_order_id)).status == "cancelled"
    assert network.cases() == []


def test_the_marketplace_hears_which_pieces_one_supplier_cancels(network: Network) -> None:
    network.sell_at_kaufland(network.boldt)
    emil = network.join("Emils Kaffee", supplier=True)
    network.partners(network.boldt, emil)
    tee = listed(network, at_kaufland=True)
    bean = network.listing(network.boldt, network.product(emil, "BEAN-1", SECOND), at_kaufland=True)
    network.work()
    placed = network.kaufland_orders((tee.sku, 1, 1290), (bean.sku, 2, 1290))
    network.work()
    emil.does("cancel", emil.child().id)
    network.work()
    found = sorted((unit["id_offer"] == bean.sku, unit["status"]) for unit in network.kaufland_units(placed))
    assert found == [(False, "need_to_be_sent"), (True, "cancelled"), (True, "cancelled")]
    order = network.boldt.order(int(network.retail().shop_order_id))
    assert sorted(line.refunded for line in order.lines) == [0, 2]
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    found = sorted((unit["id_offer"] == bean.sku, unit["status"]) for unit in network.kaufland_units(placed))
    assert found == [(False, "sent"), (True, "cancelled"), (True, "cancelled")]
    assert network.cases() == []


def test_a_buyer_who_cancels_inside_the_window_costs_nobody_anything(network: Network) -> None:
    network.sell_at_kaufland(network.boldt)
    network.session.execute(text("UPDATE profile SET hold_minutes = 30"))
    network.session.commit()
    tee = listed(network, at_kaufland=True)
    network.work()
    placed = network.kaufland_orders((tee.sku, 1, 1290))
    network.work()
    assert network.trade().state == "held"
    network.buyer_cancels(placed["units"][0])
    network.work()
    everything_went_back(network)
    network.window_is_over()
    network.work()
    assert network.anna.children() == []


def test_what_the_buyer_cancelled_is_not_cancelled_once_more(network: Network) -> None:
    """Too late for the network, so the retailer asks the supplier to leave that unit out; the other one is shipped and paid for."""
    network.sell_at_kaufland(network.boldt)
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE), at_kaufland=True)
    network.work()
    placed = network.kaufland_orders((tee.sku, 2, 1290))
    network.work()
    child = network.anna.child()
    network.buyer_cancels(placed["units"][0])
    network.work()
    assert network.cases(network.boldt) == ["trade.cancel_too_late"]
    assert network.money().refunded == 0
    network.anna.does("refund", child.id, lines=[{"id": child.lines[0].id, "quantity": 1}])
    network.work()
    network.anna.does("complete", child.id, tracking=DHL)
    network.work()
    assert [unit["status"] for unit in network.kaufland_units(placed)] == ["cancelled", "sent"]
    assert network.boldt.order(int(network.retail().shop_order_id)).status == "completed"
    assert (network.money().refunded, network.money().released) == (420, 810)


def test_a_shop_that_is_down_has_heard_of_nothing(network: Network) -> None:
    """Passed on, but no call has begun: the retailer can still take everything back."""
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    number = _bought_while_the_supplier_is_down(network, tee, 2)
    network.boldt.does("cancel", number)
    network.work()
    network.hurry()
    network.work()
    assert network.anna.children() == []
    assert network.trade().state == "cancelled"
    assert (network.money().captured, network.money().refunded) == (1230, 1230)
    assert network.cases() == []


def test_units_are_taken_back_while_the_shop_is_down(network: Network) -> None:
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    number = _bought_while_the_supplier_is_down(network, tee, 3)
    line = network.boldt.order(number).lines[0].id
    for _ in range(2):
        network.boldt.does("refund", number, lines=[{"id": line, "quantity": 1}])
        network.work()
    network.hurry()
    network.work()
    assert [line.quantity for line in network.anna.child().lines] == [1]
    assert (network.money().captured, network.money().refunded) == (1650, 840)
    assert ledger.breaches(network.session) == []


def _bought_while_the_supplier_is_down(network: Network, tee: Listed, quantity: int) -> int:
    rests = "UPDATE connection SET paused_until = now() + interval '1 hour' WHERE id = :id"
    network.session.execute(text(rests), {"id": network.anna.connection})
    network.session.commit()
    number = network.boldt.buys((tee, quantity))
    network.work()
    assert (network.trade().state, network.anna.children()) == ("accepted", [])
    return number


def test_an_order_in_the_suppliers_trash_is_told_to_the_retailer(network: Network) -> None:
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    network.boldt.buys((tee, 1))
    network.work()
    child = network.anna.child().id
    network.anna.does("trash", child)
    network.work()
    assert network.cases(network.boldt) == ["trade.deleted_by_supplier"]
    assert network.money().refunded == 0
    network.anna.does("status", child, status="processing")
    network.work()
    assert network.cases() == []
