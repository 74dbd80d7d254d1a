"""When the supplier's money is released, and when it is not (K11; reliability 4.3 invariants 4-6)."""

from datetime import UTC, datetime, timedelta

import pytest
from desk import ADDRESS, BY, Desk, dhl
from sqlalchemy import select

from app import ledger
from app.models import Case, LedgerTransaction, TrackingUse, TradeParcel


def codes(done: ledger.Released) -> list[str]:
    return [reason.code for reason in done.reasons]


def test_a_tracking_number_releases_everything_less_the_fee(desk: Desk) -> None:
    trade = desk.trade(((2, 500),), shipping=490, fee_bp=500)
    assert desk.ship_all(trade) == ledger.Released(1490, 75, 14)
    left = desk.money(trade)
    assert (left.released, left.escrow, left.payable, left.fees, left.fee_vat) == (1490, 0, 1401, 75, 14)
    assert ledger.breaches(desk.session) == []


def test_parcels_release_their_lines_and_shipping_goes_with_the_first(desk: Desk) -> None:
    trade = desk.trade(((3, 500), (1, 420)), shipping=490)
    assert desk.ship(trade, 2, 0).amount == 2 * 500 + 490
    assert desk.ship(trade, 1, 1).amount == 500 + 420
    assert desk.money(trade).escrow == 0


def test_shipping_is_released_once(desk: Desk) -> None:
    trade = desk.trade(((3, 500),), shipping=490)
    assert [desk.ship(trade, 1) for _ in range(3)] == [ledger.Released(each) for each in (990, 500, 500)]


def test_fees_of_parcels_add_up_to_the_fee_of_the_whole(desk: Desk) -> None:
    trade = desk.trade(((3, 333),), fee_bp=500)
    parts = [desk.ship(trade, 1) for _ in range(3)]
    assert [part.fee for part in parts] == [17, 16, 17]
    assert [part.vat for part in parts] == [3, 3, 4]


def test_the_rest_of_an_uneven_goods_total_comes_with_the_last_parcel(desk: Desk) -> None:
    trade = desk.trade(((3, 333),), captured=False)
    trade.goods, trade.total = 1000, 1000
    desk.session.commit()
    desk.capture(trade)
    assert [desk.ship(trade, 1).amount for _ in range(3)] == [333, 333, 334]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("", "ledger.tracking_missing"),
        ("   ", "ledger.tracking_missing"),
        ("n/a", "ship.tracking_malformed"),
        (dhl(17)[:-1] + str((int(dhl(17)[-1]) + 1) % 10), "ship.tracking_malformed"),
    ],
)
def test_a_number_that_is_none_releases_nothing(desk: Desk, number: str, code: str) -> None:
    trade = desk.trade()
    done = desk.ship(trade, 2, number=number)
    assert (done.amount, codes(done)) == (0, [code])
    assert desk.money(trade).escrow == 1000
    assert desk.session.scalar(select(TrackingUse)) is None


def test_a_good_number_after_a_bad_one_releases(desk: Desk) -> None:
    trade = desk.trade()
    shipment = desk.shipment(trade, "")
    assert desk.ship(trade, 2, number="", shipment=shipment).amount == 0
    assert desk.ship(trade, 2, number=dhl(1), shipment=shipment).amount == 1000


def test_a_number_counts_once_for_a_supplier(desk: Desk) -> None:
    first, second = desk.trade(), desk.trade()
    assert desk.ship(first, 2, number=dhl(1)).amount == 1000
    done = desk.ship(second, 2, number=f" {dhl(1)[:4]} {dhl(1)[4:]} ")
    assert (done.amount, codes(done)) == (0, ["ledger.tracking_used"])


def test_another_supplier_may_have_the_same_number(desk: Desk) -> None:
    chai = desk.account("Chai GmbH", supplier=True)
    assert desk.ship(desk.trade(), 2, number=dhl(1)).amount == 1000
    assert desk.ship(desk.trade(supplier=chai), 2, number=dhl(1)).amount == 1000


def test_one_parcel_for_two_orders_of_the_same_recipient(desk: Desk) -> None:
    shouted = {name: word.upper() + " " for name, word in ADDRESS.items()}
    first, second = desk.trade(address=ADDRESS), desk.trade(address=shouted)
    assert desk.ship(first, 2, number=dhl(1)).amount == 1000
    assert desk.ship(second, 2, number=dhl(1)).amount == 1000
    assert ledger.breaches(desk.session) == []


def test_two_days_later_it_is_another_parcel(desk: Desk) -> None:
    first, second = desk.trade(address=ADDRESS), desk.trade(address=ADDRESS)
    desk.ship(first, 2, number=dhl(1))
    use = desk.session.scalars(select(TrackingUse)).one()
    use.used_at -= timedelta(hours=48, minutes=1)
    desk.session.commit()
    assert codes(desk.ship(second, 2, number=dhl(1))) == ["ledger.tracking_used"]


def test_the_recipient_is_forgotten_after_two_days(desk: Desk) -> None:
    desk.ship_all(desk.trade())
    use = desk.session.scalars(select(TrackingUse)).one()
    assert use.recipient is not None
    assert b"Hafenweg" not in use.recipient
    ledger.forget_recipients(desk.session, datetime.now(UTC) + timedelta(hours=47))
    desk.session.refresh(use)
    assert use.recipient is not None
    ledger.forget_recipients(desk.session, datetime.now(UTC) + timedelta(hours=49))
    desk.session.refresh(use)
    assert use.recipient is None


def test_a_shipment_of_another_order_releases_nothing(desk: Desk) -> None:
    mine, other = desk.trade(), desk.trade()
    done = desk.ship(mine, 2, number=dhl(1), shipment=desk.shipment(other, dhl(1)))
    assert codes(done) == ["ledger.shipment_unknown"]
    assert codes(desk.ship(mine, 2, number=dhl(1), shipment=999)) == ["ledger.shipment_unknown"]


@pytest.mark.parametrize("counts", [(3,), (0,), (-1,)])
def test_more_or_less_than_was_ordered_releases_nothing(desk: Desk, counts: tuple[int, ...]) -> None:
    trade = desk.trade(((2, 500),))
    assert codes(desk.ship(trade, *counts)) == ["ledger.units_exceeded"]
    assert desk.ship(trade, 2).amount == 1000


def test_what_left_in_one_parcel_cannot_leave_in_another(desk: Desk) -> None:
    trade = desk.trade(((2, 500),))
    desk.ship(trade, 1)
    assert codes(desk.ship(trade, 2)) == ["ledger.units_exceeded"]
    assert desk.money(trade).released == 500


def test_a_line_of_another_trade_releases_nothing(desk: Desk) -> None:
    mine, other = desk.trade(), desk.trade()
    done = ledger.release(
        desk.session,
        mine,
        shipment_id=desk.shipment(mine, dhl(1)),
        number=dhl(1),
        units={other.lines[0].id: 1},
        country="DE",
        by=BY,
    )
    assert codes(done) == ["ledger.units_exceeded"]


def test_the_same_shipment_told_twice_releases_once(desk: Desk) -> None:
    trade = desk.trade(((3, 500),), fee_bp=500)
    shipment = desk.shipment(trade, dhl(1))
    first = desk.ship(trade, 1, number=dhl(1), shipment=shipment)
    assert desk.ship(trade, 1, number=dhl(1), shipment=shipment) == first
    assert desk.money(trade).released == 500


def test_nothing_is_released_before_the_money_is_there(desk: Desk) -> None:
    trade = desk.trade(captured=False)
    assert codes(desk.ship(trade, 2)) == ["ledger.not_captured"]


def test_a_cancelled_trade_releases_nothing(desk: Desk) -> None:
    trade = desk.trade()
    desk.cancel(trade)
    assert codes(desk.ship(trade, 2)) == ["ledger.trade_over"]


def test_a_refund_before_the_parcel_comes_out_of_its_release(desk: Desk) -> None:
    trade = desk.trade(((2, 500),), shipping=490)
    desk.refund(trade, 300)
    done = desk.ship_all(trade)
    assert (done.amount, codes(done)) == (1190, ["ledger.less_in_escrow"])
    assert ledger.breaches(desk.session) == []


def test_a_parcel_for_which_nothing_is_left_is_remembered(desk: Desk) -> None:
    trade = desk.trade(((1, 500), (1, 500)))
    desk.refund(trade, 1000)
    shipment = desk.shipment(trade, dhl(1))
    for _ in range(2):
        done = desk.ship(trade, 1, 0, number=dhl(1), shipment=shipment)
        assert (done.amount, codes(done)) == (0, ["ledger.less_in_escrow"])


# --- stricter policies -------------------------------------------------------------------------------------------------------


def seen(desk: Desk, trade: object, kind: ledger.EvidenceKind, at: datetime) -> ledger.Released:
    parcel = desk.session.scalars(select(TradeParcel)).one()
    done = ledger.evidence(desk.session, trade, parcel.shipment_id, kind, at, BY)  # type: ignore[arg-type]
    desk.session.commit()
    return done


AT = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize("kind", ["carrier_scan", "delivered"])
def test_carrier_scan_waits_for_the_carrier(desk: Desk, kind: ledger.EvidenceKind) -> None:
    trade = desk.trade(policy={"kind": "carrier_scan"})
    assert codes(desk.ship_all(trade)) == ["ledger.waiting_scan"]
    assert ledger.release_due(desk.session, datetime.now(UTC) + timedelta(days=400)) == []
    assert seen(desk, trade, kind, AT).amount == 1000
    assert seen(desk, trade, kind, AT).amount == 1000
    assert desk.money(trade).released == 1000
    assert ledger.breaches(desk.session) == []


def test_delivered_and_fourteen_days_is_never_early(desk: Desk) -> None:
    trade = desk.trade(policy={"kind": "delivered", "days": 14})
    assert codes(desk.ship_all(trade)) == ["ledger.waiting_delivery"]
    assert codes(seen(desk, trade, "carrier_scan", AT)) == ["ledger.waiting_delivery"]
    assert codes(seen(desk, trade, "delivered", AT)) == ["ledger.waiting_days"]
    due = AT + timedelta(days=14)
    assert ledger.release_due(desk.session, due - timedelta(seconds=1)) == []
    assert ledger.release_due(desk.session, due) == [(trade.id, ledger.Released(1000))]
    assert ledger.release_due(desk.session, due) == []


def test_a_late_scan_is_no_clock(desk: Desk) -> None:
    trade = desk.trade(policy={"kind": "delivered", "days": 14})
    desk.ship_all(trade)
    seen(desk, trade, "delivered", AT)
    assert codes(seen(desk, trade, "carrier_scan", AT + timedelta(days=20))) == ["ledger.waiting_days"]
    assert ledger.release_due(desk.session, AT + timedelta(days=20)) == [(trade.id, ledger.Released(1000))]


def test_the_first_word_of_a_delivery_counts(desk: Desk) -> None:
    trade = desk.trade(policy={"kind": "delivered", "days": 14})
    desk.ship_all(trade)
    seen(desk, trade, "delivered", AT)
    seen(desk, trade, "delivered", AT - timedelta(days=30))
    assert ledger.release_due(desk.session, AT + timedelta(days=13)) == []


def test_a_time_without_a_zone_is_a_defect(desk: Desk) -> None:
    trade = desk.trade(policy={"kind": "carrier_scan"})
    desk.ship_all(trade)
    with pytest.raises(ValueError, match="aware"):
        seen(desk, trade, "delivered", datetime(2026, 3, 5))  # noqa: DTZ001


def test_evidence_about_a_parcel_that_does_not_count_is_nothing(desk: Desk) -> None:
    trade = desk.trade(policy={"kind": "carrier_scan"})
    shipment = desk.shipment(trade, "")
    desk.ship(trade, 2, number="", shipment=shipment)
    assert codes(ledger.evidence(desk.session, trade, shipment, "carrier_scan", AT, BY)) == [
        "ledger.shipment_unknown"
    ]


def test_an_unknown_policy_releases_nothing(desk: Desk) -> None:
    trade = desk.trade(policy={"kind": "trust"})
    assert codes(desk.ship_all(trade)) == ["ledger.policy_unknown"]


def test_a_parcel_that_waits_is_refused_when_the_trade_is_cancelled(desk: Desk) -> None:
    trade = desk.trade(policy={"kind": "delivered", "days": 1})
    desk.ship_all(trade)
    seen(desk, trade, "delivered", AT)
    desk.cancel(trade)
    assert ledger.release_due(desk.session, AT + timedelta(days=9)) == []
    assert desk.money(trade).released == 0
    assert codes(seen(desk, trade, "delivered", AT)) == ["ledger.trade_over"]


# --- the emergency stop ------------------------------------------------------------------------------------------------------


def test_while_the_books_are_wrong_nothing_is_released_or_paid(desk: Desk) -> None:
    paid, waits = desk.trade(), desk.trade()
    desk.ship_all(paid)
    desk.session.add(Case(account_id=desk.anna.id, subject="ledger/1/x", code="ledger.breach"))
    desk.session.commit()
    assert codes(desk.ship_all(waits)) == ["ledger.stopped"]
    assert desk.pay() is None
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert ledger.release_due(desk.session, later) == []
    ledger.watch(desk.session, later)
    case = desk.session.scalars(select(Case).where(Case.code == "ledger.breach")).one()
    case.state = "closed"
    desk.session.commit()
    assert ledger.release_due(desk.session, later) == [(waits.id, ledger.Released(1000))]
    assert desk.pay() is not None


def test_a_release_names_who_and_why(desk: Desk) -> None:
    trade = desk.trade()
    desk.ship_all(trade)
    posted = desk.session.scalars(select(LedgerTransaction).where(LedgerTransaction.kind == "release")).one()
    assert (posted.actor, posted.event, posted.reason) == (BY.actor, BY.event, BY.reason)
    assert posted.facts["value"] == 1000


# --- more in a parcel that counts -------------------------------------------------------------------------------------------


def test_what_is_told_later_of_a_parcel_is_released_once(desk: Desk) -> None:
    trade = desk.trade(((3, 500), (1, 420)), shipping=490, fee_bp=500)
    shipment = desk.shipment(trade, dhl(1))
    assert desk.ship(trade, 2, 0, number=dhl(1), shipment=shipment).amount == 1490
    assert desk.more(trade, shipment, 3, 1) == ledger.Released(920, 46, 9)
    assert desk.more(trade, shipment, 3, 1) == desk.more(trade, shipment, 2, 0) == ledger.Released(0)
    assert desk.money(trade).escrow == 0
    assert desk.ship(trade, 2, 0, number=dhl(1), shipment=shipment) == ledger.Released(2410, 121, 23)
    assert [row.part for row in desk.session.scalars(select(TradeParcel))] == [1, 2]
    assert ledger.breaches(desk.session) == []


def test_more_than_was_ordered_is_refused_whole(desk: Desk) -> None:
    trade = desk.trade(((3, 500),))
    shipment = desk.shipment(trade, dhl(1))
    desk.ship(trade, 1, number=dhl(1), shipment=shipment)
    desk.ship(trade, 1, number=dhl(2))
    assert codes(desk.more(trade, shipment, 3)) == ["ledger.units_exceeded"]
    assert desk.more(trade, shipment, 2).amount == 500
    assert desk.money(trade).escrow == 0


def test_a_parcel_that_never_counted_takes_nothing_in(desk: Desk) -> None:
    trade = desk.trade(((2, 500),))
    shipment = desk.shipment(trade, "")
    desk.ship(trade, 1, number="", shipment=shipment)
    assert codes(desk.more(trade, shipment, 2)) == ["ledger.shipment_unknown"]
    assert desk.money(trade).escrow == 1000


def test_a_cancelled_trade_takes_nothing_in(desk: Desk) -> None:
    trade = desk.trade(((2, 500),))
    shipment = desk.shipment(trade, dhl(1))
    desk.ship(trade, 1, number=dhl(1), shipment=shipment)
    ledger.cancel(desk.session, trade, key="cancelled", by=BY)
    assert codes(desk.more(trade, shipment, 2)) == ["ledger.trade_over"]


def test_what_is_told_later_shares_the_scan(desk: Desk) -> None:
    trade = desk.trade(((2, 500),), policy={"kind": "carrier_scan"})
    shipment = desk.shipment(trade, dhl(1))
    desk.ship(trade, 1, number=dhl(1), shipment=shipment)
    assert codes(desk.more(trade, shipment, 2)) == ["ledger.waiting_scan"]
    done = ledger.evidence(desk.session, trade, shipment, "carrier_scan", datetime.now(UTC), BY)
    assert done.amount == 1000
    assert ledger.breaches(desk.session) == []


def test_days_after_the_delivery_begin_when_it_is_told(desk: Desk) -> None:
    trade = desk.trade(((2, 500),), policy={"kind": "delivered", "days": 2})
    shipment, now = desk.shipment(trade, dhl(1)), datetime.now(UTC)
    desk.ship(trade, 1, number=dhl(1), shipment=shipment)
    long_ago = now - timedelta(days=5)
    assert ledger.evidence(desk.session, trade, shipment, "delivered", long_ago, BY).amount == 0
    assert [done.amount for _, done in ledger.release_due(desk.session, now)] == [500]
    assert codes(desk.more(trade, shipment, 2)) == ["ledger.waiting_days"]
    assert ledger.release_due(desk.session, now + timedelta(hours=47)) == []
    assert [done.amount for _, done in ledger.release_due(desk.session, now + timedelta(hours=49))] == [500]
