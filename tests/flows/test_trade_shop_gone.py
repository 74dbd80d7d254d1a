"""A shop is unplugged while orders of the network are open in it: both sides hear so, and the money stays right."""

import pytest
from network_world import Listed, Member, Network
from sqlalchemy import text
from world import call

from app import ledger
from app.flows import trade_shop_gone
from app.models import Connection

TEE = "4006381333931"
DHL = {"number": "00340434161094015902", "carrier": "DHL"}


@pytest.fixture
def tee(network: Network) -> Listed:
    return network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))


def unplug(network: Network, member: Member) -> None:
    call("POST", f"{member.shop_url}/_control/leave", {})
    network.work()


def plug_in(network: Network, member: Member) -> None:
    """As far as the trades see it: the same connection is active again."""
    shop = network.session.get_one(Connection, member.connection)
    shop.state, shop.reason_code = "active", None
    member.shop.outbox.removed = False
    trade_shop_gone.back(network.session, shop)
    network.session.commit()
    network.work()


def test_an_order_in_the_suppliers_shop_stays_paid_and_both_are_told(network: Network, tee: Listed) -> None:
    network.boldt.buys((tee, 2))
    network.work()
    unplug(network, network.anna)
    assert network.cases(network.anna) == ["plugin.removed", "trade.own_shop_gone"]
    assert network.cases(network.boldt) == ["trade.supplier_shop_gone_late"]
    assert (network.trade().state, network.money().escrow) == ("accepted", 1230)
    network.boldt.does("cancel", int(network.retail().shop_order_id))
    network.work()
    assert network.money().escrow == 1230
    plug_in(network, network.anna)
    network.anna.does("cancel", network.anna.child().id)
    network.work()
    assert network.money().refunded == 1230
    assert "trade.supplier_shop_gone_late" not in network.cases()
    assert network.cases(network.anna) == []


def test_what_the_supplier_has_not_got_waits_and_can_be_taken_back(network: Network, tee: Listed) -> None:
    network.session.execute(text("UPDATE profile SET hold_minutes = 30"))
    network.session.commit()
    number = network.boldt.buys((tee, 2))
    network.work()
    unplug(network, network.anna)
    assert network.cases(network.boldt) == ["trade.supplier_shop_gone"]
    network.window_is_over()
    network.work()
    assert (network.trade().state, network.trade().passed_on_at) == ("held", None)
    network.boldt.does("cancel", number)
    network.work()
    assert (network.trade().state, network.money().refunded) == ("cancelled", 1230)
    assert network.cases() == ["plugin.removed"]
    assert ledger.breaches(network.session) == []


def test_it_is_passed_on_when_the_shop_is_back(network: Network, tee: Listed) -> None:
    network.session.execute(text("UPDATE profile SET hold_minutes = 30"))
    network.session.commit()
    network.boldt.buys((tee, 1))
    network.work()
    unplug(network, network.anna)
    network.window_is_over()
    network.work()
    plug_in(network, network.anna)
    assert network.trade().state == "accepted"
    assert len(network.anna.children()) == 1
    assert network.cases() == []


def test_a_retailer_who_leaves_is_shipped_what_he_has_paid_for(network: Network, tee: Listed) -> None:
    network.boldt.buys((tee, 1))
    network.work()
    unplug(network, network.boldt)
    assert network.cases(network.boldt) == ["plugin.removed", "trade.own_shop_gone"]
    assert network.cases(network.anna) == ["trade.retailer_shop_gone"]
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    assert (network.trade().state, network.money().released) == ("shipped", 810)


def test_what_is_shipped_or_over_is_nobodys_case(network: Network, tee: Listed) -> None:
    network.boldt.buys((tee, 1))
    network.work()
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    number = network.boldt.buys((tee, 1), status="on-hold")
    network.work()
    network.boldt.does("cancel", number)
    network.work()
    unplug(network, network.anna)
    unplug(network, network.boldt)
    assert network.cases() == ["plugin.removed", "plugin.removed"]


def test_a_shop_without_trades_leaves_without_a_word_to_others(network: Network, tee: Listed) -> None:
    unplug(network, network.dora)
    assert network.cases() == ["plugin.removed"]
