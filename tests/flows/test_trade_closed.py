"""A part of an order is closed once everything has left and no money of it is open; what comes afterwards still counts."""

from datetime import UTC, datetime

import pytest
from network_world import Listed, Network

from app import ledger
from app import messages as m
from app.flows import trade_closed

TEE = "4006381333931"
DHL = {"number": "00340434161094015902", "carrier": "DHL"}
BY = ledger.Source("test", "payout day", "payout")


def listed(network: Network) -> Listed:
    return network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))


def bought(network: Network, units: int = 2) -> int:
    network.boldt.buys((listed(network), units))
    network.work()
    return int(network.anna.child().id)


def shipped(network: Network) -> int:
    child = bought(network)
    network.anna.does("complete", child, tracking=DHL)
    network.work()
    return child


def paid_out(network: Network, *, state: m.PaymentState = m.PaymentState.DONE) -> None:
    assert ledger.payout(network.session, network.anna.account.id, "EUR", datetime.now(UTC), BY) is not None
    network.session.commit()
    network.money_comes("payout", state=state)


def state(network: Network) -> str:
    """What it is after a look for what is settled."""
    trade_closed.close_settled(network.session)
    return str(network.trade().state)


def test_it_is_closed_once_the_payout_has_arrived(network: Network) -> None:
    network.paying = False
    listed_once = listed(network)
    network.boldt.buys((listed_once, 2))
    network.work()
    network.money_comes()
    network.work()
    assert state(network) == "accepted"
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    assert state(network) == "shipped"
    assert ledger.payout(network.session, network.anna.account.id, "EUR", datetime.now(UTC), BY) is not None
    network.session.commit()
    assert state(network) == "shipped"
    network.money_comes("payout")
    assert state(network) == "closed"
    assert state(network) == "closed"
    for order in (network.retail().id, network.trade().order_id):
        assert network.story(order).count("trade.closed") == 1
    assert ledger.breaches(network.session) == []


def test_a_payout_that_failed_leaves_it_open(network: Network) -> None:
    shipped(network)
    network.paying = False
    paid_out(network, state=m.PaymentState.FAILED)
    assert network.money().payable == 1230
    assert state(network) == "shipped"


def test_without_a_number_the_money_is_held_until_it_is_refunded(network: Network) -> None:
    child = bought(network)
    network.anna.does("complete", child)
    network.work()
    network.wait_is_over()
    assert state(network) == "shipped"
    assert network.cases(network.anna) == ["trade.number_missing"]
    network.anna.does("refund", child, amount="12.30")
    network.work()
    assert state(network) == "closed"
    assert network.cases() == []


def test_a_dispute_keeps_it_open(network: Network) -> None:
    shipped(network)
    trade = network.trade()
    ledger.dispute(network.session, trade, 300, key="d1", by=BY)
    ledger.dispute_over(network.session, trade, won=False, key="d1", by=BY)
    ledger.dispute(network.session, trade, 9999, key="d2", by=BY)
    network.session.commit()
    assert network.trade().frozen
    ledger.dispute_over(network.session, network.trade(), won=True, key="d2", by=BY)
    network.session.commit()
    paid_out(network)
    ledger.dispute(network.session, network.trade(), 500, key="d3", by=BY)
    network.session.commit()
    assert state(network) == "shipped"
    ledger.dispute_over(network.session, network.trade(), won=True, key="d3", by=BY)
    network.session.commit()
    assert network.money().payable == 0
    assert state(network) == "closed"


def test_a_refund_on_its_way_keeps_it_open(network: Network) -> None:
    child = shipped(network)
    paid_out(network)
    network.paying = False
    network.anna.does("refund", child, amount="2.00")
    network.work()
    assert (network.money().receivable, network.money().refund_in_transit) == (200, 200)
    assert state(network) == "shipped"
    network.money_comes("refund")
    assert state(network) == "shipped"  # Anna owes it


@pytest.mark.parametrize("deed", ["refund", "cancel"])
def test_what_comes_after_the_end_still_counts(network: Network, deed: str) -> None:
    child = shipped(network)
    paid_out(network)
    assert state(network) == "closed"
    network.anna.does(deed, child, **({"amount": "2.00"} if deed == "refund" else {}))
    network.work()
    refunded = {"refund": 200, "cancel": 1230}[deed]
    assert (network.money().refunded, network.money().receivable) == (refunded, refunded)
    assert state(network) == {"refund": "closed", "cancel": "cancelled"}[deed]
    assert ledger.breaches(network.session) == []


def test_no_status_of_the_retailer_reaches_a_closed_part(network: Network) -> None:
    shipped(network)
    paid_out(network)
    assert state(network) == "closed"
    network.anna.does("status", network.anna.child().id, status="processing")
    network.boldt.does("status", int(network.retail().shop_order_id), status="on-hold")
    network.work()
    assert network.anna.child().status == "processing"


def test_the_clock_looks_every_hour(network: Network) -> None:
    shipped(network)
    paid_out(network)
    network.sweep()
    assert network.trade().state == "closed"
