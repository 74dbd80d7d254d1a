"""Status changes of the retailer reach the supplier, except COMPLETED, REFUNDED and CANCELLED (K12)."""

import pytest
from network_world import Network

TEE = "4006381333931"
DHL = {"number": "00340434161094015902", "carrier": "DHL"}


def bought(network: Network) -> int:
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    number = network.boldt.buys((tee, 1))
    network.work()
    return number


@pytest.mark.parametrize("status", ["on-hold", "pending", "failed"])
def test_a_status_is_forwarded_and_back(network: Network, status: str) -> None:
    number = bought(network)
    network.boldt.does("status", number, status=status)
    network.work()
    assert network.anna.child().status == status
    network.boldt.does("status", number, status="processing")
    network.work()
    assert network.anna.child().status == "processing"
    assert network.story(network.trade().order_id).count("trade.status_forwarded") == 2


@pytest.mark.parametrize("status", ["completed", "refunded", "cancelled"])
def test_three_statuses_are_never_forwarded(network: Network, status: str) -> None:
    number = bought(network)
    network.boldt.does("status", number, status=status)
    network.work()
    assert network.anna.child().status == "processing"
    kinds = [each["type"] for each in network.anna.shop.books()["commands"]]
    assert "order.status" not in kinds
    assert "order.cancel" not in kinds


def test_a_supplier_who_is_done_is_left_alone(network: Network) -> None:
    number = bought(network)
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    network.boldt.does("status", number, status="on-hold")
    network.work()
    assert network.anna.child().status == "completed"


def test_a_status_that_waits_finds_the_supplier_done_and_does_nothing(network: Network) -> None:
    number = bought(network)
    network.boldt.does("status", number, status="on-hold")
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    assert network.anna.child().status == "completed"
    assert network.money().released == 810


def test_a_status_that_the_suppliers_shop_does_not_know_becomes_a_note(network: Network) -> None:
    number = bought(network)
    order = network.boldt.order(number)
    order.status = "wartet-auf-farbe"
    network.boldt.shop.outbox.add("order.changed", f"order/{number}")
    network.work()
    child = network.anna.child()
    assert child.status == "processing"
    assert any("wartet-auf-farbe" in note["note"] for note in child.notes)
    assert network.cases() == []


def test_nothing_is_forwarded_while_the_supplier_knows_nothing(network: Network) -> None:
    network.paying = False
    number = bought(network)
    network.boldt.does("status", number, status="on-hold")
    network.work()
    network.boldt.does("status", number, status="processing")
    network.work()
    network.paying = True
    network.work()
    assert network.anna.child().status == "processing"
    assert "order.status" not in [each["type"] for each in network.anna.shop.books()["commands"]]
