"""Orders that nobody pays for give the goods back; suppliers who do not answer are warned, and in the end their silence is a no (K6)."""

from datetime import UTC, datetime, timedelta

import pytest
from network_world import Listed, Network
from sqlalchemy import select, text

from app import clock, ledger
from app.flows import trade_overdue, trade_passed_on
from app.models import Payment, Profile, Trade

TEE = "4006381333931"
PATIENCE = trade_overdue.Patience()


def listed(network: Network, **more: object) -> Listed:
    return network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE, **more))  # type: ignore[arg-type]


def days_later(network: Network, days: float) -> None:
    """The clock passes so much later, and everything that follows has happened."""
    clock.end_patience(network.session(), datetime.now(UTC) + timedelta(days=days))
    network.work()


# --- nobody pays ------------------------------------------------------------------------------------------------------------------


def test_what_nobody_pays_for_is_free_after_a_week_and_both_sides_read_why(network: Network) -> None:
    product = network.product(network.anna, "TEE-001", TEE, stock=10)
    tee, theirs = network.listing(network.boldt, product), network.listing(network.dora, product)
    number = network.boldt.buys((tee, 3), status="on-hold")
    network.work()
    days_later(network, 6.9)
    assert (network.trade().state, network.reserved(product)) == ("received", 3)
    days_later(network, 7.1)
    trade = network.trade()
    assert (trade.state, network.reserved(product)) == ("cancelled", 0)
    assert network.dora.stock(theirs.sku) == 10
    assert network.cases(network.boldt) == ["trade.reservation_over"]
    assert "trade.reservation_over" in network.story(trade.order_id)
    assert any("7" in note["note"] for note in network.boldt.order(number).notes)
    assert network.session.scalars(select(Payment)).all() == []
    assert network.boldt.order(number).status == "on-hold"


def test_paid_after_all_it_is_ordered_anew_once(network: Network) -> None:
    product = network.product(network.anna, "TEE-001", TEE, stock=10)
    tee = network.listing(network.boldt, product)
    number = network.boldt.buys((tee, 3), status="on-hold")
    network.work()
    days_later(network, 8)
    network.boldt.does("status", number, status="processing")
    network.work()
    assert [each.state for each in network.trades()] == ["cancelled", "accepted"]
    assert [line.quantity for line in network.anna.child().lines] == [3]
    assert network.money().captured == 3 * 420 + 390
    assert network.cases() == []
    days_later(network, 30)
    assert [each.state for each in network.trades()] == ["cancelled", "accepted"]
    assert ledger.breaches(network.session) == []


def test_paid_late_and_sold_meanwhile_is_said_to_the_retailer(network: Network) -> None:
    product = network.product(network.anna, "TEE-001", TEE, stock=3)
    tee, theirs = network.listing(network.boldt, product), network.listing(network.dora, product)
    number = network.boldt.buys((tee, 2), status="on-hold")
    network.work()
    days_later(network, 8)
    network.dora.buys((theirs, 2))
    network.work()
    network.boldt.does("status", number, status="processing")
    network.work()
    assert network.cases(network.boldt) == ["trade.paid_late"]
    network.anna.does("cancel", network.anna.child().id)
    network.work()
    assert (network.money().captured, network.money().refunded) == (1230, 1230)
    assert network.boldt.order(number).status == "cancelled"


def test_another_look_at_the_unpaid_order_reserves_nothing_again(network: Network) -> None:
    product = network.product(network.anna, "TEE-001", TEE)
    tee = network.listing(network.boldt, product)
    number = network.boldt.buys((tee, 3), status="on-hold")
    network.work()
    days_later(network, 8)
    network.boldt.shop.outbox.add("order.changed", f"order/{number}")
    network.session.execute(text("UPDATE event SET state = 'due', next_attempt_at = now()"))
    network.session.commit()
    network.work()
    assert (len(network.trades()), network.reserved(product)) == (1, 0)
    network.boldt.does("cancel", number)
    network.work()
    assert network.cases() == []
    assert len(network.trades()) == 1


def test_a_paid_order_is_never_freed_however_far_the_clock_jumps(network: Network) -> None:
    network.paying = False
    product = network.product(network.anna, "TEE-001", TEE)
    tee = network.listing(network.boldt, product)
    network.boldt.buys((tee, 1))
    network.work()
    days_later(network, 3650)
    days_later(network, -3650)
    assert (network.trade().state, network.reserved(product)) == ("payment_pending", 1)


def test_paid_between_the_question_and_the_lock_nothing_is_freed(network: Network) -> None:
    tee = listed(network)
    number = network.boldt.buys((tee, 1), status="on-hold")
    network.work()
    later = datetime.now(UTC) + timedelta(days=8)
    (found,) = trade_overdue.unpaid(network.session, later, PATIENCE)
    network.session.rollback()
    network.boldt.does("status", number, status="processing")
    network.work()
    assert trade_overdue.free(network.session, found, later, PATIENCE) is False
    network.session.rollback()
    assert network.trade().state == "accepted"


def test_twice_at_the_same_moment_frees_once(network: Network) -> None:
    tee = listed(network)
    network.boldt.buys((tee, 1), status="on-hold")
    network.work()
    later = datetime.now(UTC) + timedelta(days=8)
    (found,) = trade_overdue.unpaid(network.session, later, PATIENCE)
    assert trade_overdue.free(network.session, found, later, PATIENCE)
    network.session.commit()
    assert not trade_overdue.free(network.session, found, later, PATIENCE)
    network.session.commit()
    assert network.story(network.trade().order_id).count("trade.reservation_over") == 1


def test_without_a_limit_goods_are_kept_for_ever(network: Network) -> None:
    listing = listed(network)
    network.boldt.buys((listing, 1), status="on-hold")
    network.work()
    later = datetime.now(UTC) + timedelta(days=3650)
    assert trade_overdue.unpaid(network.session, later, trade_overdue.Patience(unpaid_days=0)) == []


# --- nobody answers -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def by_hand(network: Network) -> Network:
    """Anna accepts by hand, and a paid order of Boldt waits for her yes."""
    network.session.get_one(Profile, network.anna.account.id).accepts_orders = False
    network.session.commit()
    network.boldt.buys((listed(network), 2))
    network.work()
    assert (network.trade().state, network.cases(network.anna)) == ("held", ["trade.to_accept"])
    days_later(network, 0)
    return network


def test_both_are_warned_after_two_days(by_hand: Network) -> None:
    days_later(by_hand, 1.9)
    assert by_hand.cases(by_hand.boldt) == []
    days_later(by_hand, 2.1)
    days_later(by_hand, 2.2)
    assert by_hand.cases(by_hand.anna) == ["trade.to_accept", "trade.answer_due"]
    assert by_hand.cases(by_hand.boldt) == ["trade.not_answered_yet"]
    assert by_hand.story(by_hand.trade().order_id).count("trade.not_answered_yet") == 1
    assert by_hand.trade().state == "held"


def test_silence_counts_as_a_no_after_a_week(by_hand: Network) -> None:
    days_later(by_hand, 2.1)
    days_later(by_hand, 6.9)
    assert by_hand.trade().state == "held"
    days_later(by_hand, 7.2)
    assert by_hand.trade().state == "rejected"
    assert (by_hand.money().captured, by_hand.money().refunded, by_hand.money().escrow) == (1230, 1230, 0)
    assert by_hand.boldt.order(int(by_hand.retail().shop_order_id)).status == "cancelled"
    assert by_hand.cases(by_hand.anna) == []
    assert by_hand.cases(by_hand.boldt) == ["trade.not_answered"]
    assert by_hand.anna.children() == []
    days_later(by_hand, 30)
    assert by_hand.money().refunded == 1230
    assert ledger.breaches(by_hand.session) == []


def test_a_clock_that_jumps_warns_and_never_rejects_at_once(by_hand: Network) -> None:
    days_later(by_hand, 3650)
    assert (by_hand.trade().state, by_hand.cases(by_hand.boldt)) == ("held", ["trade.not_answered_yet"])
    days_later(by_hand, 3651)
    days_later(by_hand, 1)
    assert by_hand.trade().state == "held"


def test_who_answers_in_time_hears_no_more_of_it(by_hand: Network) -> None:
    days_later(by_hand, 2.1)
    trade_passed_on.accept(by_hand.session, by_hand.trade())
    by_hand.session.commit()
    by_hand.work()
    days_later(by_hand, 30)
    assert (by_hand.trade().state, by_hand.trade().answer_by) == ("accepted", None)
    assert by_hand.cases() == []
    assert len(by_hand.anna.children()) == 1


def test_the_retailer_may_take_it_back_after_the_warning(by_hand: Network) -> None:
    days_later(by_hand, 2.1)
    by_hand.boldt.does("cancel", int(by_hand.retail().shop_order_id))
    by_hand.work()
    days_later(by_hand, 30)
    assert by_hand.trade().state == "cancelled"
    assert by_hand.money().refunded == 1230
    assert by_hand.cases() == []


def test_time_begins_anew_when_the_order_was_on_hold(by_hand: Network) -> None:
    number = int(by_hand.retail().shop_order_id)
    days_later(by_hand, 2.1)
    by_hand.boldt.does("status", number, status="on-hold")
    by_hand.work()
    days_later(by_hand, 30)
    assert (by_hand.trade().state, by_hand.trade().answer_by) == ("held", None)
    by_hand.boldt.does("status", number, status="processing")
    by_hand.work()
    days_later(by_hand, 31)
    assert by_hand.trade().state == "held"


def test_an_open_dispute_is_no_silence(by_hand: Network) -> None:
    by_hand.session.execute(text("UPDATE trade SET frozen = true"))
    by_hand.session.commit()
    for days in (2.1, 8, 30):
        days_later(by_hand, days)
    assert (by_hand.trade().state, by_hand.cases(by_hand.boldt)) == ("held", [])


def test_only_the_warning_where_there_is_no_limit(by_hand: Network) -> None:
    patience = trade_overdue.Patience(answer_hours=0)
    for days in (0, 2.1, 30, 300):
        later = datetime.now(UTC) + timedelta(days=days)
        for found in trade_overdue.unanswered(by_hand.session, later):
            trade_overdue.next_step(by_hand.session, found, later, patience)
        by_hand.session.commit()
    assert (by_hand.trade().state, by_hand.cases(by_hand.boldt)) == ("held", ["trade.not_answered_yet"])
    assert trade_overdue.unanswered(by_hand.session, datetime.now(UTC) + timedelta(days=999)) == []


def test_a_supplier_may_have_his_own_time(by_hand: Network) -> None:
    network_connection = "UPDATE connection SET settings = :own WHERE role = 'network'"
    by_hand.session.execute(text("UPDATE trade SET answer_by = NULL"))
    by_hand.session.execute(text(network_connection), {"own": '{"answer_warn_hours": 4, "answer_hours": 24}'})
    by_hand.session.commit()
    for hours in (0, 4.1, 24.2):
        days_later(by_hand, hours / 24)
    assert by_hand.trade().state == "rejected"


def test_nothing_is_asked_of_a_trade_that_passes_by_itself(network: Network) -> None:
    network.boldt.buys((listed(network), 1))
    network.work()
    days_later(network, 30)
    assert network.session.scalars(select(Trade.answer_by)).all() == [None]
