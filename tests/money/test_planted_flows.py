"""Two mistakes in the flows, planted one by one, and what shows them: COMPLETED forwarded (K12), REFUNDED taken for money (K8)."""

from __future__ import annotations

from typing import Any

import pytest
from network_world import Network

from app import ledger
from app import messages as m
from app.flows import trade_cancelled
from app.ledger import Breach
from app.rules import trade as rules

TEE = "4006381333931"
DHL = {"number": "00340434161094015902", "carrier": "DHL"}


def completed_by_the_retailer(network: Network) -> list[Breach]:
    """The retailer completes his order; what the checks of the books say afterwards."""
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    number = network.boldt.buys((tee, 1))
    network.work()
    network.boldt.does("status", number, status="completed")
    network.work()
    return ledger.breaches(network.session)


def test_completed_is_not_forwarded(network: Network) -> None:
    assert completed_by_the_retailer(network) == []


def test_completed_forwarded_is_a_breach(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "forwarded", lambda _status: True)
    found = completed_by_the_retailer(network)
    assert [breach.invariant for breach in found] == [12]
    assert "completed" in found[0].detail


def refunded_by_a_word(network: Network) -> int:
    """The supplier's order says REFUNDED, without any refund object; minor units that went back."""
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    network.boldt.buys((tee, 1))
    network.work()
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    network.anna.child().status = "refunded"
    network.anna.shop.outbox.add("order.changed", f"order/{network.anna.child().id}")
    network.work()
    return network.money().refunded


def test_the_word_refunded_is_no_money(network: Network) -> None:
    assert refunded_by_a_word(network) == 0


def test_refunded_taken_for_money_is_seen(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    real = trade_cancelled.by_supplier

    def by_supplier(session: Any, order: Any, status: m.ShopStatus, by: ledger.Source) -> None:
        word = m.ShopStatus.CANCELLED if status is m.ShopStatus.REFUNDED else status
        real(session, order, word, by)

    monkeypatch.setattr(trade_cancelled, "by_supplier", by_supplier)
    assert refunded_by_a_word(network) > 0
