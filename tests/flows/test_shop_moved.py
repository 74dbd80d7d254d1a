"""A shop that was paired again under a new address goes on where it was, once somebody says that it is the same shop."""

import pytest
from network_world import Listed, Network
from sqlalchemy import select, text
from world import call, serve

from app import accounts, jobs
from app.errors import Refused
from app.flows import shop_moved
from app.models import Connection, Product, Release
from app.web.senders import senders

TEE = "4006381333931"
DHL = {"number": "00340434161094015902", "carrier": "DHL"}


@pytest.fixture
def tee(network: Network) -> Listed:
    return network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))


def move(network: Network) -> int:
    """Anna's shop answers at another address and is paired there; the id of that connection."""
    server, url = serve(network.anna.shop_app)
    network.servers.append(server)
    code = accounts.make_pairing(network.session, network.anna.account, "woocommerce")
    network.session.commit()
    assert call("POST", f"{url}/_control/pair", {"bridge": network.bridge_url, "code": code})["status"] == 201
    network.anna.shop_url = url
    network.work()
    query = select(Connection.id).where(Connection.account_id == network.anna.account.id)
    return int(
        network.session.scalar(query.where(Connection.role == "shop").order_by(Connection.id.desc())) or 0
    )


def confirmed(network: Network, new: int) -> Connection:
    kept = shop_moved.confirm(network.session, network.anna.connection, new)
    network.session.commit()
    jobs.drain_outbox(kept.id)
    network.session.execute(text("UPDATE event SET next_attempt_at = now() - interval '1 second'"))
    network.session.commit()
    senders().forget(kept.key)
    network.work()
    return network.session.get_one(Connection, kept.id, populate_existing=True)


def test_everything_goes_on_under_the_new_address(network: Network, tee: Listed) -> None:
    network.boldt.buys((tee, 1))
    network.work()
    new = move(network)
    assert new != network.anna.connection
    kept = confirmed(network, new)
    assert (kept.id, kept.state) == (network.anna.connection, "active")
    assert str(kept.base_url).startswith(network.anna.shop_url)
    assert network.session.scalars(select(Release.state)).all() == ["released"]
    assert network.session.scalars(select(Product.connection_id).distinct()).all().count(new) == 0
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    assert (network.trade().state, network.money().released) == ("shipped", 810)
    network.boldt.buys((tee, 2))
    network.work()
    assert [line.quantity for line in network.anna.child().lines] == [2]
    assert network.cases() == []


def test_what_was_shipped_in_between_is_not_lost(network: Network, tee: Listed) -> None:
    network.boldt.buys((tee, 1))
    network.work()
    new = move(network)
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    assert network.trade().state == "accepted"
    confirmed(network, new)
    assert (network.trade().state, network.money().released) == ("shipped", 810)


def test_a_shop_with_orders_of_its_own_is_another_shop(network: Network, tee: Listed) -> None:
    new = move(network)
    network.session.execute(text("UPDATE orders SET shop_id = NULL"))
    network.session.execute(text("UPDATE connection SET shop_id = :new WHERE role = 'network'"), {"new": new})
    network.session.commit()
    with pytest.raises(Refused) as refused:
        shop_moved.confirm(network.session, network.anna.connection, new)
    assert refused.value.code == "move.in_use"


def test_nobody_takes_over_the_shop_of_another(network: Network, tee: Listed) -> None:
    new = move(network)
    for old, other in (
        (network.boldt.connection, new),
        (network.anna.connection, network.boldt.connection),
        (new, new),
        (network.anna.network, new),
        (network.anna.connection, 4711),
    ):
        with pytest.raises(Refused) as refused:
            shop_moved.confirm(network.session, old, other)
        assert refused.value.code == "move.not_possible"
        network.session.rollback()
    assert network.session.get_one(Connection, network.anna.connection).state == "active"


def test_a_second_confirmation_is_refused_and_changes_nothing(network: Network, tee: Listed) -> None:
    new = move(network)
    key = confirmed(network, new).key
    with pytest.raises(Refused):
        shop_moved.confirm(network.session, network.anna.connection, new)
    network.session.rollback()
    assert network.session.get_one(Connection, network.anna.connection).key == key
