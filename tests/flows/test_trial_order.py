"""The trial order of the conformance command lives the whole life and moves no money; what was seen of it is told."""

import pytest
from network_world import Network
from sqlalchemy import func, select
from suppliers import DHL, Supplier, connection_of, join

from app import conformance
from app.commands import evidence
from app.errors import Refused
from app.extensions import db
from app.flows import trial_order
from app.models import ApiToken, LedgerEntry, Payment, Trade


@pytest.fixture
def emil(network: Network) -> Supplier:
    made = join(network)
    made.has("A-17")
    network.work()
    return made


def states(network: Network, emil: Supplier) -> dict[str, str]:
    """The checks as the command would show them."""
    seen = evidence.gather(network.bridge, connection_of(emil))
    assert seen is not None
    return {each.code: each.state for each in conformance.check_network(seen)}


def test_the_checks_turn_ok_one_after_another(network: Network, emil: Supplier) -> None:
    before = states(network, emil)
    assert [code for code, state in before.items() if state == "ok"] == [
        "product.releasable",
        "request.replayed",
        "token.wrong",
        "order.foreign",
    ]
    assert "wrong" not in before.values()
    names = [evidence.trial(connection_of(emil)) for _ in range(2)]
    network.work()
    shown = emil.program.get("/orders?state=new").body["data"]
    assert sorted(each["id"] for each in shown) == sorted(names)
    assert {each["sold_by"] for each in shown} == {trial_order.SOLD_BY}
    assert states(network, emil)["order.pulled"] == "ok"
    first, second = names
    emil.program.post(f"/orders/{first}/accept", {})
    emil.program.post(f"/orders/{first}/ship", {"tracking_number": DHL, "carrier": "DHL"})
    emil.program.post(f"/orders/{first}/refunds", {"id": "RE-1", "amount": 100})
    emil.program.post(f"/orders/{second}/cancel", {})
    network.work()
    assert set(states(network, emil).values()) == {"ok"}
    assert emil.order(first)["state"] == "shipped"
    assert emil.order(second)["state"] == "cancelled"
    for table in (Trade, Payment, LedgerEntry):
        assert db.session.scalar(select(func.count()).select_from(table)) == 0
    assert network.cases() == []


def test_a_cancelled_trial_gives_its_stock_back(network: Network, emil: Supplier) -> None:
    name = evidence.trial(connection_of(emil))
    network.work()
    assert network.reserved(emil.product("A-17")) == trial_order.PIECES
    emil.program.post(f"/orders/{name}/cancel", {})
    network.work()
    assert network.reserved(emil.product("A-17")) == 0


def test_the_questions_leave_no_token_behind(network: Network, emil: Supplier) -> None:
    before = db.session.scalar(select(func.count()).select_from(ApiToken))
    states(network, emil)
    assert db.session.scalar(select(func.count()).select_from(ApiToken)) == before


def test_nothing_to_order_and_nobody_who_supplies(network: Network) -> None:
    empty = join(network, "Chai GmbH")
    with pytest.raises(Refused, match=r"trial\.not_possible"):
        trial_order.made(db.session(), connection_of(empty))
    assert (
        evidence.gather(
            network.bridge, db.session.get_one(type(connection_of(empty)), network.boldt.connection)
        )
        is None
    )
