"""Statements and credit notes hold what the ledger holds: over every story, for every period, their sums are equal."""

from __future__ import annotations

import itertools
import json
import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.errors import Invalid
from app.flows import statements
from app.ledger import RefundLine
from app.models import LedgerAccount, LedgerTransaction, Order, Profile, Trade
from app.papers.statement import KINDS, Role, Statement

sys.path.insert(0, str(Path(__file__).parents[1] / "ledger"))

from desk import Desk

EVER = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture
def desk(session: Session) -> Desk:
    return Desk(session)


def of(desk: Desk, role: Role, start: datetime = EVER[0], end: datetime = EVER[1]) -> Statement:
    account = desk.anna if role == "supplier" else desk.boldt
    return statements.statement(desk.session, account, role, start, end)


def told(statement: Statement) -> list[tuple[str, int, int, int, int]]:
    return [(line.kind, line.gross, line.fee, line.fee_vat, line.amount) for line in statement.lines]


def test_a_suppliers_release_with_its_fee_and_his_payout(desk: Desk) -> None:
    trade = desk.trade(fee_bp=500)
    desk.ship_all(trade)
    desk.pay()
    statement = of(desk, "supplier")
    assert told(statement) == [("release", 1000, 50, 10, 940), ("payout", -940, 0, 0, -940)]
    assert (statement.opening, statement.closing) == (0, 0)
    assert (statement.fees, statement.fee_vat) == (50, 10)


def test_a_retailers_payment_its_release_and_a_refund(desk: Desk) -> None:
    trade = desk.trade()
    desk.refund(trade, 300)
    desk.settle_all()
    desk.ship_all(trade)
    statement = of(desk, "retailer")
    assert told(statement) == [
        ("capture", 1000, 0, 0, 1000),
        ("refund", -300, 0, 0, 0),
        ("refund_done", -300, 0, 0, -300),
        ("release", 700, 0, 0, -700),
    ]
    assert statement.closing == 0


def test_a_refund_after_the_payout_is_a_debt_with_the_fee_back(desk: Desk) -> None:
    trade = desk.trade(fee_bp=500)
    desk.ship_all(trade)
    desk.pay()
    desk.refund(trade, 1000)
    statement = of(desk, "supplier")
    assert told(statement)[-1] == ("refund", -1000, -50, -10, -940)
    assert statement.closing == -940
    assert (statement.fees, statement.fee_vat) == (0, 0)


def test_every_statement_begins_where_the_one_before_ended(desk: Desk, session: Session) -> None:
    trade = desk.trade()
    desk.ship_all(trade)
    middle = datetime.now(UTC)
    desk.pay()
    for role in ("supplier", "retailer"):
        first, second = of(desk, role, EVER[0], middle), of(desk, role, middle, EVER[1])
        assert first.closing == second.opening
        assert len(first.lines) + len(second.lines) == len(of(desk, role).lines)


def test_a_failed_payout_comes_back(desk: Desk) -> None:
    from app.messages import PaymentState

    desk.ship_all(desk.trade())
    payment = desk.pay(done=False)
    assert payment is not None
    desk.settle(payment, PaymentState.FAILED)
    assert [each[0] for each in told(of(desk, "supplier"))] == ["release", "payout", "payout_failed"]
    assert of(desk, "supplier").closing == 1000


def balance(session: Session, owner: int, kinds: tuple[str, ...]) -> int:
    """From the balances that the ledger keeps, not from the entries that statements read."""
    rows = session.execute(
        select(LedgerAccount.kind, LedgerAccount.balance).where(
            LedgerAccount.owner_id == owner, LedgerAccount.kind.in_(kinds)
        )
    )
    return sum(-amount if kind == "receivable" else amount for kind, amount in rows)


@pytest.mark.parametrize("seed", range(8))
def test_over_any_story_the_statements_add_up_to_the_ledger(desk: Desk, session: Session, seed: int) -> None:
    draw = random.Random(seed)
    trades: list[Trade] = []
    cuts = [EVER[0]]
    for step in range(60):
        deed = draw.choice(
            ["trade", "ship", "refund", "refund", "pay", "cancel", "dispute", "over", "settle"]
        )
        if deed == "trade" or not trades:
            lines = tuple((draw.randint(1, 3), draw.randint(100, 999)) for _ in range(draw.randint(1, 3)))
            trades.append(
                desk.trade(lines, shipping=draw.choice([0, 490]), fee_bp=draw.choice([0, 250, 1000]))
            )
            continue
        trade = draw.choice(trades)
        session.refresh(trade)
        if deed == "ship":
            desk.ship(trade, *(draw.randint(0, line.quantity) for line in trade.lines))
        elif deed == "refund":
            desk.refund(trade, draw.randint(1, 400))
        elif deed == "pay":
            desk.pay(done=draw.random() < 0.7)
        elif deed == "cancel" and draw.random() < 0.3:
            desk.cancel(trade, f"c{step}")
        elif deed == "dispute":
            desk.dispute(trade, draw.randint(1, 600), f"d{trade.id}")
        elif deed == "over":
            desk.dispute_over(trade, won=draw.random() < 0.5, key=f"d{trade.id}")
        elif deed == "settle":
            desk.settle_all()
        if draw.random() < 0.2:
            cuts.append(datetime.now(UTC))
    cuts.append(EVER[1])
    for role, owner in (("supplier", desk.anna), ("retailer", desk.boldt)):
        whole = of(desk, role)
        assert whole.closing == balance(session, owner.id, statements.BALANCE[role])
        assert whole.opening + sum(line.amount for line in whole.lines) == whole.closing
        parts = [of(desk, role, *pair) for pair in itertools.pairwise(cuts)]
        assert sum(len(part.lines) for part in parts) == len(whole.lines)
        assert [part.opening for part in parts[1:]] == [part.closing for part in parts[:-1]]
        assert {line.kind for line in whole.lines} <= set(KINDS)
    money = [desk.money(trade) for trade in trades]
    supplier, retailer = of(desk, "supplier"), of(desk, "retailer")
    assert supplier.fees == sum(each.fees for each in money)
    assert supplier.fee_vat == sum(each.fee_vat for each in money)
    releases = sum(line.gross for line in supplier.lines if line.kind == "release")
    assert releases == sum(each.released for each in money)
    captures = sum(line.gross for line in retailer.lines if line.kind == "capture")
    assert captures == sum(each.captured for each in money)
    given_back = -sum(line.gross for line in retailer.lines if line.kind == "refund")
    assert given_back == sum(each.refunded - each.charged_back for each in money)


def test_a_statement_that_does_not_add_up_is_never_given_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.ship_all(desk.trade())
    real = statements._lines
    monkeypatch.setattr(statements, "_lines", lambda *all_of_it: real(*all_of_it)[1:])
    with pytest.raises(RuntimeError, match="leads to"):
        of(desk, "supplier")


def test_nobody_reads_another_ones_movements(desk: Desk, session: Session) -> None:
    chai = desk.account("Chai GmbH", supplier=True)
    desk.ship_all(desk.trade())
    desk.ship_all(desk.trade(supplier=chai))
    mine = statements.statement(session, chai, "supplier", *EVER)
    assert told(mine) == [("release", 1000, 0, 0, 1000)]
    assert len(of(desk, "supplier").lines) == 1
    assert statements.statement(session, chai, "retailer", *EVER).lines == ()


def test_each_reads_his_own_number_of_the_order(desk: Desk, session: Session) -> None:
    trade = desk.trade()
    desk.ship_all(trade)
    session.execute(text("UPDATE orders SET shop_number = 'CHILD-7' WHERE id = :id"), {"id": trade.order_id})
    session.execute(
        text("UPDATE orders SET shop_number = 'RETAIL-9' WHERE id = :id"), {"id": trade.retail_order_id}
    )
    session.commit()
    assert {line.order for line in of(desk, "supplier").lines} == {"CHILD-7"}
    assert {line.order for line in of(desk, "retailer").lines} == {"RETAIL-9"}


def test_the_address_and_the_vat_id_are_those_of_the_profile(desk: Desk, session: Session) -> None:
    profile = session.get_one(Profile, desk.anna.id)
    profile.address = {
        "company": "Teeladen e.K.",
        "address_1": "Teeweg 1",
        "postcode": "20457",
        "city": "Hamburg",
    }
    profile.vat_id = "DE123456789"
    session.commit()
    statement = of(desk, "supplier")
    assert (statement.name, statement.address) == (
        "Teeladen e.K.",
        ("Teeweg 1", "20457 Hamburg", "DE123456789"),
    )


@pytest.mark.parametrize(
    "period",
    [(EVER[1], EVER[0]), (datetime(2026, 1, 1), EVER[1]), (EVER[0], datetime(2026, 1, 1))],  # noqa: DTZ001
)
def test_a_period_that_is_none_is_refused(desk: Desk, period: Any) -> None:
    with pytest.raises(Invalid):
        of(desk, "supplier", *period)


# --- credit notes ---------------------------------------------------------------------------------------------------------


def last_refund(session: Session) -> LedgerTransaction:
    return session.scalars(
        select(LedgerTransaction)
        .where(LedgerTransaction.kind.in_(statements.NOTES))
        .order_by(LedgerTransaction.id.desc())
    ).first()  # type: ignore[return-value]


def test_a_credit_note_has_the_refunds_lines_with_their_vat(desk: Desk, session: Session) -> None:
    trade = desk.trade(((2, 1190), (1, 1070)), vat=("19", "7"))
    first, second = trade.lines
    desk.refund(trade, 2260, "rf_1", (RefundLine(first.id, 1, 1190), RefundLine(second.id, 1, 1070)))
    note = statements.credit_note(session, last_refund(session).id)
    assert [
        (line["quantity"], line["gross"], line["vat_percent"], line["vat"], line["net"])
        for line in note["lines"]
    ] == [
        (1, 1190, "19", 190, 1000),
        (1, 1070, "7", 70, 1000),
    ]
    assert note["vat"] == [
        {"percent": "7", "net": 1000, "vat": 70, "gross": 1070},
        {"percent": "19", "net": 1000, "vat": 190, "gross": 1190},
    ]
    assert (note["net"], note["vat_total"], note["gross"]) == (2000, 260, 2260)
    assert note["number"] == f"GS-{last_refund(session).id}"
    assert (note["supplier"]["name"], note["retailer"]["name"]) == ("Anna's Teeladen", "Bücher Boldt")
    assert json.loads(json.dumps(note)) == note


def test_every_credit_note_adds_up_to_its_refund(desk: Desk, session: Session) -> None:
    draw = random.Random(18)
    for _ in range(12):
        lines = tuple((draw.randint(1, 4), draw.randint(1, 5000)) for _ in range(draw.randint(1, 4)))
        vat = [draw.choice(["19", "7", "0", None]) for _ in lines]
        trade = desk.trade(lines, shipping=draw.choice([0, 490]), vat=vat)
        for number in range(4):
            left = desk.money(trade).refundable
            if left:
                desk.refund(trade, draw.randint(1, left), f"rf_{number}")
        total = 0
        for refund in statements.refunds(session, trade):
            note = statements.credit_note(session, refund)
            assert note["net"] + note["vat_total"] == note["gross"]
            assert sum(row["gross"] for row in note["vat"]) == note["gross"]
            total += note["gross"]
        assert total == desk.money(trade).refunded


def test_a_lost_dispute_has_a_credit_note_too(desk: Desk, session: Session) -> None:
    trade = desk.trade(vat=("19",))
    desk.dispute(trade, 400)
    desk.dispute_over(trade, won=False)
    assert statements.credit_note(session, last_refund(session).id)["gross"] == 400


def test_what_gave_nothing_back_has_no_credit_note(desk: Desk, session: Session) -> None:
    desk.trade()
    captured = session.scalars(select(LedgerTransaction.id)).first()
    for number in (captured, 999_999):
        with pytest.raises(Invalid):
            statements.credit_note(session, int(number or 0))
    assert session.query(Order).count() == 2
