"""A refund object in the supplier's shop gives back exactly its amount, once (K8)."""

from datetime import UTC, datetime

import pytest
from network_world import Listed, Network
from sqlalchemy import text

from app import jobs, ledger

TEE = "4006381333931"
DHL = {"number": "00340434161094015902", "carrier": "DHL"}


def listed(network: Network, *, at_kaufland: bool = False) -> Listed:
    product = network.product(network.anna, "TEE-001", TEE)
    return network.listing(network.boldt, product, at_kaufland=at_kaufland)


def shipped(network: Network, quantity: int = 2) -> int:
    number = network.boldt.buys((listed(network), quantity))
    network.work()
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    return number


def test_three_euros_are_three_euros(network: Network) -> None:
    number = shipped(network)
    network.anna.does("refund", network.anna.child().id, amount="3.00", reason="Delle")
    network.work()
    assert network.money().refunded == 300
    order = network.boldt.order(number)
    assert order.status == "completed"
    assert order.refunds == []
    (note,) = [each["note"] for each in order.notes if "Gutschrift" in each["note"]]
    assert "3,00 EUR" in note
    assert "Anna" not in str([each["note"] for each in order.notes])
    assert "trade.refunded" in network.story(network.retail().id)
    assert network.cases() == []


def test_the_same_object_in_every_look_counts_once_and_a_second_one_counts_too(network: Network) -> None:
    shipped(network)
    child = network.anna.child().id
    network.anna.does("refund", child, amount="3.00")
    network.work()
    for _ in range(3):
        network.session.execute(text("UPDATE event SET state = 'due', next_attempt_at = now()"))
        network.session.commit()
        network.work()
    assert network.money().refunded == 300
    network.anna.does("refund", child, amount="3.00")
    network.work()
    assert network.money().refunded == 600


def test_a_refund_in_an_old_look_counts_all_the_same(network: Network) -> None:
    shipped(network)
    child = network.anna.child().id
    network.anna.does("refund", child, amount="3.00")
    network.send_events()
    late = "UPDATE event SET next_attempt_at = now() + interval '1 hour', sequence = 1 WHERE type = 'order.refunded'"
    network.session.execute(text(late))
    network.session.commit()
    network.work()
    assert network.money().refunded == 0
    network.hurry()
    network.work()
    assert network.money().refunded == 300


def test_the_status_refunded_alone_refunds_nothing(network: Network) -> None:
    shipped(network)
    order = network.anna.child()
    order.status = "refunded"  # no object: not what WooCommerce does, but what the rule is about
    network.anna.shop.outbox.add("order.changed", f"order/{order.id}")
    network.work()
    assert network.money().refunded == 0
    assert network.trade().state == "shipped"


def test_the_object_that_the_status_makes_counts_once(network: Network) -> None:
    shipped(network)
    child = network.anna.child().id
    network.anna.does("refund", child, amount="3.00")
    network.anna.does("status", child, status="refunded")
    network.work()
    network.work()
    assert network.money().refunded == 1230


def test_after_the_payout_the_supplier_owes_it(network: Network) -> None:
    shipped(network)
    by = ledger.Source("test", "payout day", "payout")
    ledger.payout(network.session, network.anna.account.id, "EUR", datetime.now(UTC), by)
    network.session.commit()
    network.work()
    network.anna.does("refund", network.anna.child().id, amount="3.00")
    network.work()
    money = network.money()
    assert (money.paid_out, money.refunded, money.receivable) == (1230, 300, 300)


def test_more_than_is_left_is_refused_whole_and_shown(network: Network) -> None:
    shipped(network)
    child = network.anna.child()
    network.anna.does("refund", child.id, amount="12.00")
    network.work()
    child.lines[0].unit += 1000  # the supplier made the order dearer in his shop
    network.anna.does("refund", child.id, amount="5.00")
    network.work()
    assert network.money().refunded == 1200
    assert network.cases(network.anna) == ["ledger.refund_exceeds"]


def test_units_refunded_before_they_left_are_called_off(network: Network) -> None:
    product_listed = listed(network)
    number = network.boldt.buys((product_listed, 3))
    network.work()
    child = network.anna.child()
    network.anna.does("refund", child.id, lines=[{"id": child.lines[0].id, "quantity": 1}])
    network.work()
    assert network.money().refunded == 420
    assert sorted(network.pieces()) == ["cancelled", "to_ship", "to_ship"]
    assert network.anna.stock("TEE-001") == 8
    assert network.reserved(network.trade().lines[0].product_id or 0) == 2
    assert network.cases(network.boldt) == ["trade.units_called_off"]
    network.anna.does("complete", child.id, tracking=DHL)
    network.work()
    money = network.money()
    assert (money.released, money.escrow) == (2 * 420 + 390, 0)
    assert network.boldt.order(number).tracking[0]["lines"][0]["quantity"] == 2
    assert network.boldt.order(number).status == "completed"
    assert len(network.trades()) == 1


def test_a_marketplace_hears_of_units_that_will_not_come(network: Network) -> None:
    network.sell_at_kaufland(network.boldt)
    tee = listed(network, at_kaufland=True)
    network.work()
    placed = network.kaufland_orders((tee.sku, 2, 1290))
    network.work()
    child = network.anna.child()
    network.anna.does("refund", child.id, lines=[{"id": child.lines[0].id, "quantity": 1}])
    network.work()
    assert sorted(unit["status"] for unit in network.kaufland_units(placed)) == [
        "cancelled",
        "need_to_be_sent",
    ]
    order = network.boldt.order(int(network.retail().shop_order_id))
    assert order.lines[0].refunded == 1
    network.anna.does("complete", child.id, tracking=DHL)
    network.work()
    assert sorted(unit["status"] for unit in network.kaufland_units(placed)) == ["cancelled", "sent"]
    assert network.money().refunded == 420
    assert network.cases() == []


def test_all_goods_called_off_leave_the_shipping_to_a_person(network: Network) -> None:
    network.boldt.buys((listed(network), 1))
    network.work()
    child = network.anna.child()
    network.anna.does("refund", child.id, lines=[{"id": child.lines[0].id, "quantity": 1}])
    network.work()
    assert network.money().refunded == 420
    assert network.money().escrow == 390
    assert network.cases(network.anna) == ["trade.rest_is_held"]
    network.anna.does("cancel", child.id)
    network.work()
    assert network.money().refunded == 810
    assert network.trade().state == "cancelled"


def test_a_refund_object_after_the_cancellation_is_covered_by_it(network: Network) -> None:
    network.boldt.buys((listed(network), 1))
    network.work()
    child = network.anna.child()
    network.anna.does("cancel", child.id)
    network.work()
    network.anna.does("refund", child.id, amount="8.10", restock=False)
    network.work()
    assert network.money().refunded == 810
    assert network.cases() == []


@pytest.mark.parametrize("where", ["app.ledger.refund", "app.trades.note_in_shop", "app.inbox.finish"])
def test_a_crash_while_it_is_refunded_refunds_once(
    network: Network, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    number = shipped(network)
    network.anna.does("refund", network.anna.child().id, amount="3.00")
    network.send_events()
    with monkeypatch.context() as patch:
        patch.setattr(where, _dies)
        try:
            jobs.drain_inbox(network.anna.connection)
        except RuntimeError:
            network.session.rollback()
    assert network.money().refunded == 0
    network.hurry()
    network.work()
    assert network.money().refunded == 300
    assert len([each for each in network.boldt.order(number).notes if "Gutschrift" in each["note"]]) == 1


def _dies(*_: object, **__: object) -> None:
    raise RuntimeError("the worker was killed here")


def test_a_refund_that_a_dispute_stood_against_is_made_up(network: Network) -> None:
    network.boldt.buys((listed(network), 2))
    network.work()
    by, trade = ledger.Source("operator", "letter", "dispute"), network.trade()
    ledger.dispute(network.session, trade, trade.total, key="d1", by=by)
    network.session.commit()
    child = network.anna.child().id
    network.anna.does("refund", child, amount="3.00")
    network.work()
    assert (network.money().refunded, network.cases()) == (0, ["ledger.refund_exceeds"])
    ledger.dispute_over(network.session, network.trade(), won=True, key="d1", by=by)
    network.session.commit()
    for _ in range(2):
        network.anna.shop.outbox.add("order.changed", f"order/{child}")
        network.work()
    assert (network.money().refunded, network.cases()) == (300, [])
