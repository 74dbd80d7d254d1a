"""The supplier reads on his order what a customer sends back; money moves by refund objects alone (K8)."""

from typing import Any

import pytest
from network_world import Network
from sqlalchemy import select, text
from world import call

from app import jobs
from app.flows import return_rejected, trade_returned
from app.models import Command, Order

TEE, SECOND = "4006381333931", "4012345678901"
DHL = {"number": "00340434161094015902", "carrier": "DHL"}
OTHER = {"number": "00340434161094032954", "carrier": "DHL"}
BACK = {"number": "00340434161094015919", "carrier": "DHL"}


def sold_at_kaufland(network: Network) -> dict[str, Any]:
    """Two teas of Anna's, shipped."""
    network.sell_at_kaufland(network.boldt)
    product = network.product(network.anna, "TEE-001", TEE)
    tee = network.listing(network.boldt, product, at_kaufland=True)
    network.work()
    placed = network.kaufland_orders((tee.sku, 2, 1290))
    network.work()
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    return placed


def buyer_returns(network: Network, unit: int) -> int:
    made = call("POST", f"{network.kaufland_url}/_control/returns", {"units": [unit]})
    network.work()
    return int(made["id_return"])


def notes(order: Any, word: str) -> list[str]:
    """Notes of a shop's order with this word in them."""
    return [str(note["note"]) for note in order.notes if word in note["note"]]


def test_a_return_at_the_marketplace_is_a_note_on_the_suppliers_order(network: Network) -> None:
    placed = sold_at_kaufland(network)
    returned = buyer_returns(network, placed["units"][0])
    for _ in range(2):
        network.work()
    (note,) = notes(network.anna.child(), "schickt etwas zurück")
    assert "Tee TEE-001" in note
    assert "Boldt" not in note
    assert "trade.return_announced" in network.story(network.trade().order_id)
    call("POST", f"{network.kaufland_url}/_control/returns/{returned}/arrive", {})
    network.work()
    assert len(notes(network.anna.child(), "ist angekommen")) == 1
    money = network.money()
    assert (money.released, money.refunded) == (1230, 0)


def test_the_return_of_own_goods_is_no_suppliers_business(network: Network) -> None:
    placed = sold_at_kaufland(network)
    before = len(network.anna.child().notes)
    # As if the line were Boldt's own: no part of it is anybody else's.
    network.session.execute(text("UPDATE trade_line SET shop_line_id = 'another'"))
    network.session.execute(
        text("UPDATE order_line SET group_key = 'another' WHERE order_id = :id"),
        {"id": network.trade().order_id},
    )
    network.session.commit()
    buyer_returns(network, placed["units"][0])
    assert len(network.anna.child().notes) == before


def two_suppliers(network: Network) -> int:
    """A tea of Anna's and a bag of beans of Emil's in one order of Boldt's own shop; both have shipped."""
    emil = network.join("Emils Kaffee", supplier=True)
    network.partners(network.boldt, emil)
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    bean = network.listing(network.boldt, network.product(emil, "BEAN-1", SECOND))
    number = network.boldt.buys((tee, 1), (bean, 1))
    network.work()
    for supplier, parcel in ((network.anna, DHL), (emil, OTHER)):
        supplier.does("complete", supplier.child().id, tracking=parcel)
        network.work()
    return number


def test_a_return_label_of_the_retailers_shop_is_told_once(network: Network) -> None:
    number = two_suppliers(network)
    network.boldt.does("return_label", number, **BACK)
    network.work()
    network.boldt.does("status", number, status="processing")
    network.work()
    for supplier in (network.anna, network.members["Emils Kaffee"]):
        (note,) = notes(supplier.child(), "schickt etwas zurück")
        assert BACK["number"] in note


def test_a_label_that_names_lines_is_told_to_their_supplier(network: Network) -> None:
    number = two_suppliers(network)
    tea = network.boldt.order(number).lines[0].id
    lines = [{"id": str(tea), "quantity": 1}]
    network.boldt.order(number).return_tracking.append(
        {**BACK, "url": None, "shipped_at": "2026-11-21T14:09:00Z", "lines": lines}
    )
    network.boldt.shop.outbox.add("shipment.changed", f"order/{number}")
    network.work()
    assert len(notes(network.anna.child(), "schickt etwas zurück")) == 1
    assert notes(network.members["Emils Kaffee"].child(), "schickt etwas zurück") == []


def test_a_label_before_anything_was_shipped_is_told_to_nobody(network: Network) -> None:
    tee = network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))
    number = network.boldt.buys((tee, 1))
    network.work()
    network.boldt.does("return_label", number, **BACK)
    network.work()
    assert notes(network.anna.child(), "schickt etwas zurück") == []


def rejected(network: Network) -> str:
    """Boldt rejects what has come back, and only the command goes out: nobody looks at the marketplace. Answers the command's state."""
    placed = sold_at_kaufland(network)
    returned = buyer_returns(network, placed["units"][0])
    call("POST", f"{network.kaufland_url}/_control/returns/{returned}/arrive", {})
    network.work()
    order = network.session.scalars(
        select(Order).where(Order.connection_id == network.kaufland_connection)
    ).one()
    assert return_rejected.by_hand(network.session(), order, "damaged") == 1
    network.session.commit()
    jobs.drain_outbox(network.kaufland_connection)
    network.session.rollback()
    return str(network.session.scalars(select(Command.state).where(Command.kind == "reject_return")).one())


def test_a_supplier_hears_of_a_rejected_return_before_the_next_look(network: Network) -> None:
    assert rejected(network) == "done"
    assert "trade.return_rejected" in network.story(network.trade().order_id)


def test_a_rejection_stands_when_the_supplier_could_not_be_told_and_the_next_look_tells_him(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the suppliers could not be told")

    with monkeypatch.context() as patch:
        patch.setattr(trade_returned, "tell_suppliers", broken)
        assert rejected(network) == "done"
        assert "trade.return_rejected" not in network.story(network.trade().order_id)
    network.work()
    assert "trade.return_rejected" in network.story(network.trade().order_id)
