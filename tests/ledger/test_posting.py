"""What the database itself refuses: changed rows, unbalanced transactions, overdrawn balances, a key twice (invariants 1, 2, 14)."""

import pytest
from desk import BY, Desk
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app import ledger
from app.ledger.posting import Book, Leg, Overdrawn, of_trade, post
from app.models import GUARDS


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger_entry SET amount = amount + 1",
        "DELETE FROM ledger_entry",
        "UPDATE ledger_transaction SET reason = 'another'",
        "DELETE FROM ledger_transaction",
        "UPDATE refund_share SET vat = 0",
        "DELETE FROM refund_share",
        "UPDATE payment SET amount = amount + 1",
        "UPDATE payment SET currency = 'RON'",
        "UPDATE payment SET key = key || 'x'",
        "UPDATE payment SET of_id = id",
        "DELETE FROM payment",
    ],
)
def test_what_is_written_stays(desk: Desk, change: str) -> None:
    trade = desk.trade()
    desk.refund(trade, 100)
    with pytest.raises(IntegrityError, match=r"only added to|keeps its amount"):
        desk.session.execute(text(change))
    desk.session.rollback()
    assert ledger.breaches(desk.session) == []


def test_the_state_of_a_payment_may_change(desk: Desk) -> None:
    desk.trade()
    desk.session.execute(text("UPDATE payment SET state = 'unknown', external_id = 'x'"))
    desk.session.rollback()


def test_a_transaction_that_does_not_add_up_is_refused_by_the_database(desk: Desk) -> None:
    desk.trade()
    desk.session.execute(
        text(
            "INSERT INTO ledger_entry (transaction_id, account_id, currency, amount)"
            " SELECT t.id, a.id, 'EUR', 5 FROM ledger_transaction t, ledger_account a LIMIT 1"
        )
    )
    with pytest.raises(IntegrityError, match="does not add up"):
        desk.session.commit()
    desk.session.rollback()


def test_a_transaction_without_entries_is_refused(desk: Desk) -> None:
    desk.session.execute(
        text(
            "INSERT INTO ledger_transaction (key, kind, actor, event, reason, facts, at)"
            " VALUES ('k', 'x', 'a', 'e', 'r', '{}', now())"
        )
    )
    with pytest.raises(IntegrityError, match="does not add up"):
        desk.session.commit()
    desk.session.rollback()


def test_an_entry_cannot_have_another_currency_than_its_account(desk: Desk) -> None:
    desk.trade()
    with pytest.raises(IntegrityError, match="fk_ledger_entry_account"):
        desk.session.execute(
            text(
                "INSERT INTO ledger_entry (transaction_id, account_id, currency, amount)"
                " SELECT t.id, a.id, 'RON', 5 FROM ledger_transaction t, ledger_account a LIMIT 1"
            )
        )
    desk.session.rollback()


def legs(desk: Desk, amount: int) -> list[Leg]:
    trade = desk.trade(captured=False)
    return [Leg(of_trade(trade, "escrow"), amount), Leg(of_trade(trade, "payable"), -amount)]


def test_a_guarded_balance_never_falls_below_zero(desk: Desk) -> None:
    with pytest.raises(Overdrawn, match="escrow"):
        post(desk.session, Book("k", "release", BY), legs(desk, 1))
    desk.session.rollback()


def test_the_database_guards_balances_too(desk: Desk) -> None:
    desk.trade()
    with pytest.raises(IntegrityError, match="ck_ledger_account_balance"):
        desk.session.execute(text("UPDATE ledger_account SET balance = -1 WHERE kind = 'escrow'"))
    desk.session.rollback()


@pytest.mark.parametrize("amounts", [(5, -4), ()])
def test_legs_that_do_not_add_up_are_a_defect(desk: Desk, amounts: tuple[int, ...]) -> None:
    trade = desk.trade()
    wrong = [Leg(of_trade(trade, "escrow"), amount) for amount in amounts]
    with pytest.raises(ValueError, match="does not add up"):
        post(desk.session, Book("k", "x", BY), wrong)


def test_a_key_is_posted_once(desk: Desk) -> None:
    trade = desk.trade()
    same = [Leg(of_trade(trade, "escrow"), 5), Leg(of_trade(trade, "payable"), -5)]
    post(desk.session, Book("k", "release", BY), same)
    with pytest.raises(IntegrityError, match="uq_ledger_transaction_key"):
        post(desk.session, Book("k", "release", BY), same)
    desk.session.rollback()


@pytest.mark.parametrize("missing", ["actor", "event", "reason"])
def test_nobody_posts_without_a_name_and_a_reason(desk: Desk, missing: str) -> None:
    trade = desk.trade()
    by = ledger.Source(**{"actor": "a", "event": "e", "reason": "r", missing: ""})
    with pytest.raises(IntegrityError, match="ck_ledger_transaction_source"):
        ledger.refund(desk.session, trade, 1, key="k", by=by)
    desk.session.rollback()


def test_a_rolled_back_refund_leaves_nothing(desk: Desk) -> None:
    trade = desk.trade()
    ledger.refund(desk.session, trade, 300, key="k", by=BY)
    desk.session.rollback()
    assert desk.money(trade).refunded == 0
    assert desk.balance("escrow", trade) == 1000
    assert desk.refund(trade, 300, "k").amount == 300


def test_every_guard_is_there(desk: Desk) -> None:
    found = desk.session.execute(text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")).scalars().all()
    assert {guard.name for guard in GUARDS} <= set(found)
