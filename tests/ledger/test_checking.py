"""Each invariant that rows can show is noticed when it is broken; every case here breaks one by hand, past all guards."""

from datetime import UTC, datetime

import pytest
from desk import BY, Desk
from sqlalchemy import select, text

from app import ledger
from app.models import GUARDS, Case, Command, Trade

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def busy(desk: Desk) -> Trade:
    """A trade with everything in it: two parcels, a payout with a reserve, refunds, a lost dispute, a second trade beside it."""
    trade = desk.trade(((2, 500), (1, 1070)), shipping=490, fee_bp=500, vat=("19", "7"))
    desk.ship(trade, 1, 0)
    desk.pay(reserve_bp=500)
    desk.refund(trade, 300)
    desk.ship(trade, 1, 0)
    desk.dispute(trade, 100)
    desk.dispute_over(trade, won=False)
    desk.ship_all(desk.trade())
    desk.settle_all()
    assert ledger.breaches(desk.session) == []
    return trade


BROKEN = [
    (1, "UPDATE ledger_entry SET amount = amount + 1 WHERE id = 1"),
    (1, "DELETE FROM ledger_entry WHERE transaction_id = 1"),
    (1, "ALTER TABLE ledger_entry DISABLE TRIGGER ledger_entry_immutable"),
    (1, "DROP TRIGGER ledger_transaction_balanced ON ledger_transaction"),
    (2, "ALTER TABLE ledger_transaction DROP CONSTRAINT uq_ledger_transaction_key; UPDATE ledger_transaction SET key = 'same' WHERE id < 3"),
    (3, "UPDATE trade SET total = total + 1, shipping = shipping + 1 WHERE id = 1"),
    (3, "UPDATE refund_share SET amount = amount + 5000 WHERE id = 1"),
    (4, "ALTER TABLE ledger_account DROP CONSTRAINT ck_ledger_account_balance;"
        " UPDATE ledger_account SET balance = balance - 1 WHERE kind = 'escrow' AND trade_id = 1"),
    (5, "DELETE FROM trade_parcel WHERE id = 1"),
    (5, "UPDATE trade_parcel SET number = 'n/a' WHERE id = 1"),
    (5, "UPDATE trade_parcel SET shipment_id = 999 WHERE id = 1"),
    (5, "DELETE FROM tracking_use"),
    (5, "UPDATE tracking_use SET trade_id = 2, used_at = used_at - interval '49 hours' WHERE trade_id = 1"),
    (5, "UPDATE trade_parcel SET units = jsonb_build_object('1', 5) WHERE id = 1"),
    (5, "UPDATE trade SET policy = '{\"kind\": \"carrier_scan\"}' WHERE id = 1"),
    (5, "UPDATE trade SET policy = '{\"kind\": \"delivered\", \"days\": 14}' WHERE id = 1"),
    (5, "UPDATE trade_parcel SET delivered_at = now(); UPDATE trade SET policy = '{\"kind\": \"delivered\", \"days\": 14}' WHERE id = 1"),
    (6, "UPDATE trade_line SET unit_price = unit_price + 1 WHERE id = 2; UPDATE trade SET goods = goods - 99, shipping = shipping + 99 WHERE id = 1;"
        " UPDATE trade_parcel SET units = '{}' WHERE id = 1"),
    (7, "UPDATE payment SET amount = amount + 1 WHERE kind = 'payout'"),
    (7, "UPDATE payment SET reserve = reserve + 100000 WHERE kind = 'payout'"),
    (8, "UPDATE payment SET amount = amount + 1 WHERE kind = 'refund'"),
    (9, "UPDATE trade SET state = 'cancelled' WHERE id = 1"),
    (10, "UPDATE trade SET state = 'payment_failed' WHERE id = 1"),
    (10, "UPDATE ledger_account SET owner_id = (SELECT max(id) FROM account) WHERE kind = 'escrow' AND trade_id = 1"),
    (10, "UPDATE ledger_transaction SET supplier_id = 2 WHERE kind = 'release' AND trade_id = 1"),
    (11, "UPDATE trade SET fee_bp = 600 WHERE id = 1"),
    (13, "UPDATE payment SET state = 'due' WHERE kind = 'capture' AND trade_id = 1"),
    (13, "UPDATE payment SET state = 'failed' WHERE kind = 'payout'"),
    (13, "INSERT INTO payment (key, connection_id, kind, trade_id, amount, currency, state, reserve, reason_params)"
         " SELECT 'x', connection_id, 'refund', trade_id, 5, 'EUR', 'done', 0, '{}' FROM payment WHERE kind = 'refund' LIMIT 1"),
    (14, "ALTER TABLE ledger_account DROP CONSTRAINT ck_ledger_account_balance"),
    (15, "UPDATE ledger_account SET balance = balance + 1 WHERE kind = 'payable' AND trade_id = 1"),
    (15, "UPDATE ledger_entry SET id = id + 1000 WHERE transaction_id = 1"),
    (16, "ALTER TABLE ledger_transaction DROP CONSTRAINT ck_ledger_transaction_source; UPDATE ledger_transaction SET actor = '' WHERE id = 1"),
    (17, "UPDATE ledger_entry SET amount = amount * 99 WHERE transaction_id IN (SELECT id FROM ledger_transaction WHERE kind LIKE 'dispute%')"),
    (18, "UPDATE refund_share SET vat = vat + 1 WHERE id = 1"),
    (18, "DELETE FROM refund_share WHERE id = 1"),
    (19, "UPDATE payment SET amount = amount - 1 WHERE kind = 'payout'"),
]  # fmt: skip


def do_harm(desk: Desk, harm: str) -> set[int]:
    """Write past all guards of ours, look, and take it back: the numbers of the invariants that are broken."""
    guarded = sorted({guard.table for guard in GUARDS})
    for table in guarded:
        desk.session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
    statements = harm.split(";")
    for statement in statements:
        if "TRIGGER" not in statement:
            desk.session.execute(text(statement))
    for table in guarded:
        desk.session.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER USER"))
    for statement in statements:
        if "TRIGGER" in statement:
            desk.session.execute(text(statement))
    desk.session.expire_all()
    found = {breach.invariant for breach in ledger.breaches(desk.session)}
    desk.session.rollback()
    return found


@pytest.mark.parametrize(("invariant", "harm"), BROKEN)
def test_a_broken_invariant_is_noticed(desk: Desk, busy: Trade, invariant: int, harm: str) -> None:
    assert invariant in do_harm(desk, harm)


def test_looking_past_the_guards_alone_is_no_breach(desk: Desk, busy: Trade) -> None:
    assert do_harm(desk, "SELECT 1") == set()


def test_a_release_after_the_cancellation_is_noticed(desk: Desk) -> None:
    trade = desk.trade()
    desk.cancel(trade)
    other = desk.trade()
    desk.ship_all(other)
    assert 9 in do_harm(desk, "UPDATE ledger_transaction SET trade_id = 1 WHERE kind = 'release'")


def test_a_payout_of_a_disputed_trade_is_noticed(desk: Desk) -> None:
    trade = desk.trade()
    desk.ship_all(trade)
    desk.dispute(trade, 100)
    desk.session.execute(text("UPDATE trade SET frozen = false"))
    desk.session.commit()
    desk.pay()
    assert 7 in {breach.invariant for breach in ledger.breaches(desk.session)}


@pytest.mark.parametrize("status", ["completed", "refunded", "cancelled"])
def test_a_forwarded_status_is_noticed(desk: Desk, status: str) -> None:
    trade = desk.trade()
    desk.session.add(
        Command(
            account_id=desk.anna.id,
            connection_id=1,
            kind="trade.status",
            subject="order/1",
            key="k",
            payload={"status": status},
            order_id=trade.order_id,
        )
    )
    desk.session.commit()
    assert [breach.invariant for breach in ledger.breaches(desk.session)] == [12]


def test_a_breach_is_a_case_that_stops_the_money_until_it_is_gone(desk: Desk) -> None:
    trade, waits = desk.trade(), desk.trade()
    trade.state = "cancelled"
    desk.session.commit()
    found = ledger.watch(desk.session, NOW)
    desk.session.commit()
    assert {breach.invariant for breach in found} == {9, 10}
    cases = desk.session.scalars(select(Case).where(Case.state == "open")).all()
    assert {case.code for case in cases} == {"ledger.breach"}
    assert {case.account_id for case in cases} == {ledger.payment_connection(desk.session).account_id}
    assert desk.ship_all(waits).amount == 0
    trade.state = "held"
    desk.session.commit()
    assert ledger.watch(desk.session, NOW) == []
    assert desk.session.scalar(select(Case).where(Case.state == "open")) is None
    assert ledger.release_due(desk.session, datetime.now(UTC)) == [(waits.id, ledger.Released(1000))]


def test_refunds_go_on_while_the_books_are_wrong(desk: Desk) -> None:
    trade, wrong = desk.trade(), desk.trade()
    wrong.state = "cancelled"
    desk.session.commit()
    ledger.watch(desk.session, NOW)
    assert ledger.refund(desk.session, trade, 100, key="k", by=BY).amount == 100
