"""The regret window, the supplier's yes and no, and a payment that fails (K6, K12)."""

from datetime import UTC, datetime, timedelta

import pytest
from network_world import Listed, Network
from sqlalchemy import text

from app import messages as m
from app import obstacles
from app.errors import Refused
from app.flows import trade_passed_on
from app.models import Order, Profile

TEE = "4006381333931"


def listed(network: Network, *, stock: int = 10, hold: int = 0, by_hand: bool = False) -> Listed:
    network.session.get_one(Profile, network.boldt.account.id).hold_minutes = hold
    network.session.get_one(Profile, network.anna.account.id).accepts_orders = not by_hand
    network.session.commit()
    return network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE, stock=stock))


def test_a_regret_window_holds_the_stock_and_keeps_the_order_back(network: Network) -> None:
    tee = listed(network, hold=30)
    network.boldt.buys((tee, 2))
    network.work()
    trade = network.trade()
    assert trade.state == "held"
    assert trade.pass_on_at is not None
    assert timedelta(minutes=29) < trade.pass_on_at - datetime.now(UTC) <= timedelta(minutes=30)
    assert network.anna.children() == []
    assert network.anna.stock("TEE-001") == 10
    retail = obstacles.nearest(network.session, network.retail())
    assert (retail and retail.code) == "trade.regret_window"
    network.window_is_over()
    network.work()
    assert network.anna.stock("TEE-001") == 8
    assert network.trade().passed_on_at is not None


def test_the_clock_rings_for_a_window_that_is_over(network: Network, redis_url: str) -> None:
    from bridge import rings

    tee = listed(network, hold=30)
    network.boldt.buys((tee, 1))
    network.work()
    network.window_is_over()
    network.sweep()
    assert rings(redis_url, "out") >= 1


def test_the_retailer_cancels_inside_the_window_and_nothing_has_happened(network: Network) -> None:
    tee = listed(network, hold=30)
    number = network.boldt.buys((tee, 2))
    network.work()
    network.boldt.does("cancel", number)
    network.work()
    assert network.trade().state == "cancelled"
    assert network.pieces() == ["cancelled", "cancelled"]
    assert network.reserved(network.trade().lines[0].product_id or 0) == 0
    money = network.money()
    assert (money.captured, money.refunded, money.escrow) == (1230, 1230, 0)
    network.window_is_over()
    network.work()
    assert network.anna.children() == []
    assert network.cases() == []


def test_the_retailer_cancels_before_the_money_was_taken(network: Network) -> None:
    network.paying = False
    tee = listed(network, hold=30)
    number = network.boldt.buys((tee, 2))
    network.work()
    network.boldt.does("cancel", number)
    network.work()
    network.money_comes()
    network.work()
    network.money_comes()
    assert network.trade().state == "cancelled"
    money = network.money()
    assert money.captured == money.refunded
    assert money.escrow == 0
    assert network.anna.children() == []


def test_some_units_are_taken_back_inside_the_window(network: Network) -> None:
    tee = listed(network, hold=30)
    number = network.boldt.buys((tee, 3))
    network.work()
    line = network.boldt.order(number).lines[0].id
    network.boldt.does("refund", number, lines=[{"id": line, "quantity": 1}])
    network.work()
    assert sorted(network.pieces()) == ["announced", "announced", "cancelled"]
    network.window_is_over()
    network.work()
    assert [line.quantity for line in network.anna.child().lines] == [2]
    assert network.anna.child().shipping == 390
    money = network.money()
    assert (money.captured, money.refunded, money.escrow) == (1650, 420, 1230)
    network.work()
    assert network.money().refunded == 420


def test_a_cancellation_after_passing_on_is_a_case_and_never_forwarded(network: Network) -> None:
    tee = listed(network)
    number = network.boldt.buys((tee, 1))
    network.work()
    network.boldt.does("cancel", number)
    network.work()
    assert network.anna.child().status == "processing"
    assert network.trade().state == "accepted"
    assert network.cases(network.boldt) == ["trade.cancel_too_late"]
    assert network.cases(network.anna) == []
    assert network.money().refunded == 0


def test_an_order_on_hold_is_not_passed_on_until_it_goes_on(network: Network) -> None:
    tee = listed(network, hold=30)
    number = network.boldt.buys((tee, 1))
    network.work()
    network.boldt.does("status", number, status="on-hold")
    network.work()
    network.window_is_over()
    network.work()
    assert network.anna.children() == []
    waits = obstacles.nearest(network.session, network.retail())
    assert (waits and waits.code) == "trade.on_hold"
    network.boldt.does("status", number, status="processing")
    network.work()
    assert len(network.anna.children()) == 1


def test_a_deleted_order_is_not_passed_on(network: Network) -> None:
    tee = listed(network, hold=30)
    number = network.boldt.buys((tee, 1))
    network.work()
    network.boldt.does("trash", number)
    network.work()
    network.window_is_over()
    network.work()
    assert network.trade().state == "cancelled"
    assert network.anna.children() == []


def test_an_order_brought_back_to_life_is_ordered_anew(network: Network) -> None:
    product_stock = 10
    tee = listed(network, stock=product_stock, hold=30)
    number = network.boldt.buys((tee, 1))
    network.work()
    network.boldt.does("cancel", number)
    network.work()
    network.boldt.does("status", number, status="processing")
    network.work()
    network.window_is_over()
    network.work()
    assert [each.state for each in network.trades()] == ["cancelled", "accepted"]
    assert len(network.anna.children()) == 1


def test_the_new_address_reaches_the_supplier_while_there_is_time(network: Network) -> None:
    tee = listed(network, hold=30)
    number = network.boldt.buys((tee, 1))
    network.work()
    network.boldt.order(number).address["city"] = "Ulm"
    network.boldt.shop.outbox.add("order.changed", f"order/{number}")
    network.work()
    network.window_is_over()
    network.work()
    assert network.anna.child().address["city"] == "Ulm"
    network.boldt.order(number).address["city"] = "Kiel"
    network.boldt.shop.outbox.add("order.changed", f"order/{number}")
    network.work()
    assert network.cases(network.boldt) == ["trade.address_changed"]


def test_a_supplier_accepts_by_hand(network: Network) -> None:
    tee = listed(network, by_hand=True)
    network.boldt.buys((tee, 1))
    network.work()
    assert network.anna.children() == []
    assert network.cases(network.anna) == ["trade.to_accept"]
    trade_passed_on.accept(network.session, network.trade())
    network.session.commit()
    network.work()
    assert len(network.anna.children()) == 1
    assert network.cases() == []
    with pytest.raises(Refused, match=r"trade\.not_open"):
        trade_passed_on.reject(network.session, network.trade(), "too late")


def test_a_supplier_rejects_and_the_retailer_gets_everything_back(network: Network) -> None:
    tee = listed(network, by_hand=True)
    number = network.boldt.buys((tee, 2))
    network.work()
    trade_passed_on.reject(network.session, network.trade(), "Kein Platz im Wagen")
    network.session.commit()
    network.work()
    assert network.trade().state == "rejected"
    assert network.boldt.order(number).status == "cancelled"
    money = network.money()
    assert (money.captured, money.refunded, money.escrow) == (1230, 1230, 0)
    assert network.pieces() == ["cancelled", "cancelled"]
    assert network.cases() == []
    network.work()
    assert len(network.trades()) == 1


def test_nobody_accepts_what_is_not_paid_for(network: Network) -> None:
    network.paying = False
    tee = listed(network, by_hand=True)
    network.boldt.buys((tee, 1))
    network.work()
    with pytest.raises(Refused, match=r"trade\.not_open"):
        trade_passed_on.accept(network.session, network.trade())


def test_a_payment_that_fails_frees_the_stock(network: Network) -> None:
    network.paying = False
    tee = listed(network)
    number = network.boldt.buys((tee, 2))
    network.work()
    network.money_comes("capture", state=m.PaymentState.FAILED)
    network.work()
    assert network.trade().state == "payment_failed"
    assert network.pieces() == ["cancelled", "cancelled"]
    assert network.anna.children() == []
    assert "trade.payment_failed" in network.cases(network.boldt)
    assert network.boldt.order(number).status == "processing"
    network.work()
    assert len(network.trades()) == 1


def test_a_disputed_part_is_not_passed_on(network: Network) -> None:
    tee = listed(network, hold=30)
    network.boldt.buys((tee, 1))
    network.work()
    network.session.execute(text("UPDATE trade SET frozen = true"))
    network.session.commit()
    network.window_is_over()
    network.work()
    assert network.anna.children() == []


def test_a_crash_while_passing_on_passes_on_once(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    tee = listed(network, hold=30)
    network.boldt.buys((tee, 1))
    network.work()
    for where in ("app.flows.order_placed.into_shop", "app.flows.label_sender.want"):
        network.window_is_over()
        with monkeypatch.context() as patch:
            patch.setattr(where, _dies)
            network.work(rounds=1)
        assert network.trade().state == "held", where
        assert network.pieces() == ["announced"], where
    network.window_is_over()
    network.work()
    network.work()
    assert len(network.anna.children()) == 1


def _dies(*_: object, **__: object) -> None:
    raise RuntimeError("the worker was killed here")


# --- labels (K7) ------------------------------------------------------------------------------------------------------


def test_the_label_shows_the_retailer(network: Network) -> None:
    tee = listed(network)
    network.boldt.buys((tee, 1))
    network.work()
    sender = network.anna.child().label_sender
    assert (sender["company"], sender["address_1"], sender["city"]) == (
        "Bücher Boldt",
        "Buchgasse 7",
        "Leipzig",
    )
    printed = network.anna.does("label", network.anna.child().id)
    assert printed is not None


def test_without_the_retailers_address_the_label_waits_and_comes_later(network: Network) -> None:
    tee = listed(network)
    profile = network.session.get_one(Profile, network.boldt.account.id)
    whole = dict(profile.address)
    profile.address = {**whole, "postcode": ""}
    network.session.commit()
    network.boldt.buys((tee, 1))
    network.work()
    child = network.anna.child()
    assert child.label_sender is None
    assert network.cases(network.anna) == ["trade.sender_missing"]
    assert network.cases(network.boldt) == ["trade.sender_missing"]
    network.sweep()
    assert network.anna.child().label_sender is None
    network.session.get_one(Profile, network.boldt.account.id).address = whole
    network.session.commit()
    network.sweep()
    network.work()
    assert network.anna.child().label_sender["postcode"] == "04109"
    assert network.cases() == []


def test_the_supplier_reads_only_his_own_part(network: Network) -> None:
    emil = network.join("Emils Kaffee", supplier=True)
    network.partners(network.boldt, emil)
    tee = listed(network)
    bean = network.listing(network.boldt, network.product(emil, "BEAN-1", "4012345678901"))
    network.boldt.buys((tee, 1), (bean, 1))
    network.work()
    told = str(network.anna.shop.books())
    assert "Emils" not in told
    assert "BEAN-1" not in told
    retail = network.session.get_one(Order, network.trade().retail_order_id)
    assert {"trade.placed", "trade.passed_on"} <= set(network.story(retail.id))
