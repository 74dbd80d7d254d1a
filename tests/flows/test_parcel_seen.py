"""Stricter release policies: whose word about a parcel counts, and whose does not (K10-K12, reliability 4.4)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from network_world import Network
from sqlalchemy import select

from app import accounts, clock
from app.errors import Invalid, Refused
from app.flows import network_members, parcel_seen
from app.ledger import Source
from app.models import Order, Partnership, Trade, TradeParcel
from app.rules import reasons

TEE, SECOND = "4006381333931", "4012345678901"
DHL = {"number": "00340434161094015902", "carrier": "DHL"}
OTHER = {"number": "00340434161094032954", "carrier": "DHL"}
BY = Source("operator", "a page of the carrier", "parcel.seen_by_hand")
SCAN, DELIVERED = {"kind": "carrier_scan"}, {"kind": "delivered", "days": 2}


def shipped(network: Network, policy: dict[str, Any], *, by: str = "", number: dict[str, str] = DHL) -> Trade:
    """An order of Boldt that Anna has given to the carrier."""
    supplier = network.members[by] if by else network.anna
    listed = network.listing(network.boldt, network.product(supplier, f"TEE-{by}", SECOND if by else TEE))
    pair = network.session.scalars(
        select(Partnership).where(Partnership.supplier_id == supplier.account.id)
    ).first()
    network_members.set_policy(network.session, pair.id, policy)
    network.session.commit()
    network.boldt.buys((listed, 2))
    network.work()
    supplier.does("complete", supplier.child().id, tracking=number)
    network.work()
    return network.trade()


def now() -> datetime:
    return datetime.now(UTC)


def say(
    network: Network, trade: Trade, kind: Any, at: datetime | None = None, **more: Any
) -> parcel_seen.Seen:
    done = parcel_seen.seen(network.session, trade.id, kind, at or now(), now=now(), by=BY, **more)
    network.session.commit()
    return done


def refused(network: Network, *arguments: Any, **more: Any) -> str:
    with pytest.raises(Refused) as caught:
        say(network, *arguments, **more)
    network.session.rollback()
    return caught.value.code


def test_nothing_is_released_before_the_carrier_has_scanned_it(network: Network) -> None:
    trade = shipped(network, SCAN)
    assert (network.money().released, network.money().escrow) == (0, 1230)
    assert network.cases() == [], "a wait is no problem"
    for order_id in (trade.order_id, trade.retail_order_id):
        assert "ledger.waiting_scan" in network.story(order_id)
    done = say(network, trade, "carrier_scan")
    assert (done.released, done.waits) == (1230, ())
    assert network.money().released == 1230
    for order_id in (trade.order_id, trade.retail_order_id):
        assert {"trade.parcel_scanned", "trade.released"} <= set(network.story(order_id))
    assert network.cases() == []


def test_the_first_word_counts_and_a_repeat_tells_nothing(network: Network) -> None:
    trade = shipped(network, SCAN)
    first = now() - timedelta(seconds=30)
    say(network, trade, "carrier_scan", first)
    told = network.story(trade.order_id)
    assert say(network, trade, "carrier_scan").released == 0
    assert network.story(trade.order_id) == told
    assert network.session.scalars(select(TradeParcel.scanned_at)).one() == first


def test_days_after_the_delivery_are_waited_for_and_the_clock_tells_the_end(network: Network) -> None:
    trade = shipped(network, DELIVERED)
    assert [each.code for each in say(network, trade, "carrier_scan").waits] == ["ledger.waiting_delivery"]
    assert [each.code for each in say(network, trade, "delivered").waits] == ["ledger.waiting_days"]
    clock.keep_the_books(network.session, now() + timedelta(days=1))
    assert network.money().released == 0
    clock.keep_the_books(network.session, now() + timedelta(days=3))
    assert network.money().released == 1230
    assert network.story(trade.retail_order_id).count("trade.released") == 1
    assert network.cases() == []


def test_the_shops_words_release_nothing(network: Network) -> None:
    """COMPLETED is what the supplier and the retailer's shop say all day (K10, K12); it is no receipt."""
    trade = shipped(network, DELIVERED)
    retail = network.session.get_one(Order, trade.retail_order_id)
    assert retail.shop_status == "completed"
    network.boldt.does("status", int(retail.shop_order_id), status="completed")
    network.work()
    clock.keep_the_books(network.session, now() + timedelta(days=30))
    assert network.money().released == 0


def test_the_retailer_confirms_his_own_order_and_nobody_elses(network: Network) -> None:
    trade = shipped(network, {"kind": "delivered", "days": 0})
    for stranger in (network.anna, network.dora):
        with pytest.raises(Refused) as caught:
            parcel_seen.received(network.session, stranger.account.id, trade.id, now(), now=now())
        assert caught.value.code == "parcel.not_your_order"
        network.session.rollback()
    done = parcel_seen.received(network.session, network.boldt.account.id, trade.id, now(), now=now())
    network.session.commit()
    assert done.released == 1230
    assert "trade.receipt_confirmed" in network.story(trade.order_id)


@pytest.mark.parametrize("off", [timedelta(hours=1), timedelta(days=-400)])
def test_a_day_that_cannot_be_right_is_refused(network: Network, off: timedelta) -> None:
    trade = shipped(network, {"kind": "delivered", "days": 3})
    assert refused(network, trade, "delivered", now() + off) == "parcel.time_wrong"
    clock.keep_the_books(network.session, now() + timedelta(days=1))
    assert network.money().released == 0


def test_a_number_that_does_not_count_proves_nothing(network: Network) -> None:
    trade = shipped(network, SCAN)
    assert refused(network, trade, "carrier_scan", number=OTHER["number"]) == "parcel.unknown"
    with pytest.raises(Refused, match=r"parcel\.unknown"):
        parcel_seen.trades_of(network.session, "4711")
    assert parcel_seen.trades_of(network.session, f" {DHL['number']} ") == [trade.id]


def test_a_number_that_two_suppliers_name_is_for_a_person(network: Network) -> None:
    first = shipped(network, SCAN)
    network.join("Chai GmbH", supplier=True)
    network.partners(network.boldt, network.members["Chai GmbH"])
    second = shipped(network, SCAN, by="Chai GmbH")
    with pytest.raises(Refused, match=r"parcel\.of_several_suppliers"):
        parcel_seen.trades_of(network.session, DHL["number"])
    say(network, first, "carrier_scan")
    money = [network.money(place).released for place in range(len(network.trades()))]
    assert money == [1230, 0], second


def test_a_policy_counts_from_the_next_order_on_and_must_exist(network: Network) -> None:
    trade = shipped(network, {"kind": "tracking"})
    assert network.money().released == 1230
    network_members.set_policy(network.session, trade.partnership_id, {**DELIVERED, "colour": "red"})
    pair = network.session.get_one(Partnership, trade.partnership_id)
    assert (pair.policy, network.trade().policy) == (DELIVERED, {"kind": "tracking"})
    for wrong in ({"kind": "trust"}, {"kind": "delivered", "days": 91}, {"kind": "delivered"}, {}):
        with pytest.raises(Invalid) as caught:
            network_members.set_policy(network.session, pair.id, wrong)
        assert "90" in reasons.next_step(caught.value.code, caught.value.params, "en")
    with pytest.raises(Refused, match=r"partnership\.unknown"):
        network_members.set_policy(network.session, 10**6, DELIVERED)


# --- the API ----------------------------------------------------------------------------------------------------------------


def post(network: Network, token: str, path: str, body: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    return network.bridge.test_client().post(f"/api/v1/network/{path}", json=body, headers=headers)


def test_only_the_operators_tracking_service_tells_what_the_carrier_says(network: Network) -> None:
    trade = shipped(network, SCAN)
    session = network.session
    tokens = [accounts.make_token(session, each.account, "x") for each in (network.anna, network.boldt)]
    operator = accounts.make_token(session, None, "tracking service")
    session.commit()
    body = {"tracking_number": DHL["number"], "kind": "carrier_scan", "at": now().isoformat()}
    assert [post(network, token, "parcels/seen", body).status_code for token in tokens] == [403, 403]
    assert network.money().released == 0
    answer = post(network, operator, "parcels/seen", body)
    assert answer.get_json() == {
        "data": [{"trade": f"trd_{trade.id}", "released": 1230, "currency": "EUR", "waits": []}]
    }
    wrong = post(network, operator, "parcels/seen", {**body, "at": (now() + timedelta(days=1)).isoformat()})
    assert (wrong.status_code, wrong.get_json()["error"]["code"]) == (422, "parcel.time_wrong")
    nothing = post(network, operator, "parcels/seen", {"kind": "delivered", "at": body["at"]})
    assert nothing.status_code == 422


def test_only_the_retailer_confirms_the_receipt(network: Network) -> None:
    trade = shipped(network, DELIVERED)
    session = network.session
    anna, boldt, dora = (
        accounts.make_token(session, each.account, "x")
        for each in (network.anna, network.boldt, network.dora)
    )
    session.commit()
    path = f"trades/trd_{trade.id}/received"
    assert [post(network, token, path, {}).status_code for token in (anna, dora)] == [403, 404]
    assert network.session.scalars(select(TradeParcel.delivered_at)).one() is None
    told = post(network, boldt, path, {}).get_json()
    assert (told["released"], [each["code"] for each in told["waits"]]) == (0, ["ledger.waiting_days"])
