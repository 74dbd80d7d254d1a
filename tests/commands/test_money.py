"""`shopbridge money ...`: ticking off, transfer files for the licensed only, statements, disputes, and the provider's own keys."""

from __future__ import annotations

import csv
import io
import json
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pypdf
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import accounts, cli, jobs, ledger, logs
from app.config import SETTINGS
from app.extensions import db
from app.models import Account, Command, Connection, Payment, Profile, TransferFile
from app.sandbox import payments as provider
from tests.marketplaces.kaufland.conftest import running

sys.path.insert(0, str(Path(__file__).parents[1] / "ledger"))

from desk import Desk, dhl

Run = Callable[..., Result]
IBAN = "DE89370400440532013000"
ANNAS_IBAN = "DE02120300000000202051"


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs one command against the test's database; its changes are visible afterwards."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    for name in ("DATABASE_URL", "REDIS_URL", "SHOPBRIDGE_DATA"):
        monkeypatch.setenv(name, str(app.config[name]))
    monkeypatch.setenv("SHOPBRIDGE_MASTER_KEYS", ",".join(app.config["SHOPBRIDGE_MASTER_KEYS"]))
    monkeypatch.setenv("SHOPBRIDGE_ALLOW_LOOPBACK", "true")
    monkeypatch.setattr(logs, "configure", lambda *_, **__: None)

    def run_it(*arguments: str, code: int = 0) -> Result:
        db.session.commit()
        result = CliRunner().invoke(cli.main, ["money", *arguments])
        db.session.rollback()
        db.session.expire_all()
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output + result.stderr
        return result

    return run_it


@pytest.fixture
def desk(app: Flask, session: Session) -> Desk:
    return Desk(session)


def told(result: Result) -> Any:
    return json.loads(result.stdout)


def says(result: Result) -> str:
    return " ".join(result.stderr.split())


def open_payout(desk: Desk, amount: int = 500) -> Payment:
    """A payout by hand that waits for somebody."""
    desk.ship_all(desk.trade(((1, amount),)))
    payment = desk.pay(done=False)
    assert payment is not None
    return payment


def licensed(run: Run, session: Session) -> Connection:
    connection = ledger.payment_connection(session)
    session.commit()
    run(
        "connect", "manual", "--connection", connection.key, "--set", "licensed_operator=true", "--set", "name=Netz Zahlungsdienst GmbH",
        "--set", f"iban={IBAN}",
    )  # fmt: skip
    return connection


def bank_account(session: Session, account: Account, iban: str | None = ANNAS_IBAN) -> None:
    session.get_one(Profile, account.id).bank = {"iban": iban, "bic": None, "holder": "Anna Tee"}
    session.commit()


# --- payments ----------------------------------------------------------------------------------------------------------


def test_open_payments_are_listed_with_who_and_how_much(run: Run, desk: Desk, session: Session) -> None:
    ledger.charge(session, desk.trade(captured=False))
    open_payout(desk)
    rows = told(run("list", "--json"))
    assert [(row["kind"], row["amount"], row["state"], row["who"]) for row in rows] == [
        ("payout", "5.00 EUR", "due", "Anna's Teeladen"),
        ("capture", "10.00 EUR", "due", "Bücher Boldt"),
    ]
    assert len(told(run("list", "--all", "--json"))) == 3
    assert "Anna's Teeladen" in run("list").stdout


def test_a_payment_is_ticked_off_once_however_often(run: Run, desk: Desk, session: Session) -> None:
    trade = desk.trade(captured=False)
    payment = ledger.charge(session, trade)
    session.commit()
    name = f"pay_{payment.id}"
    assert told(run("done", name, "--json")) == [{"payment": name, "before": "due", "state": "done"}]
    assert told(run("done", payment.key, "--json")) == [{"payment": name, "before": "done", "state": "done"}]
    assert desk.money(trade).captured == 1000


def test_a_payment_that_failed_is_told_so(run: Run, desk: Desk, session: Session) -> None:
    trade = desk.trade(captured=False)
    payment = ledger.charge(session, trade)
    run("done", f"pay_{payment.id}", "--failed", "--why", "no money")
    assert (payment.state, trade.state) == ("failed", "payment_failed")
    assert payment.reason_params["message"] == "no money"


@pytest.mark.parametrize("arguments", [("done",), ("done", "pay_1", "--file", "x")])
def test_what_is_ticked_off_must_be_said(run: Run, arguments: tuple[str, ...]) -> None:
    assert "Say which" in says(run(*arguments, code=1))


def test_an_unknown_payment_is_named(run: Run) -> None:
    assert "There is no payment “pay_99”" in says(run("done", "pay_99", code=1))
    assert "There is no transfer file" in says(run("done", "--file", "SB1", code=1))


def test_a_failed_refund_is_instructed_again(run: Run, desk: Desk, session: Session) -> None:
    trade = desk.trade()
    desk.refund(trade, 400)
    failed = session.scalars(select(Payment).where(Payment.kind == "refund")).one()
    run("done", f"pay_{failed.id}", "--failed")
    run("again", f"pay_{failed.id}")
    newest = session.scalars(select(Payment).order_by(Payment.id.desc())).first()
    assert newest is not None
    assert (newest.kind, newest.amount, newest.state) == ("refund", 400, "due")


def test_payouts_are_made_at_once_and_only_once(run: Run, desk: Desk) -> None:
    desk.ship_all(desk.trade())
    assert told(run("payouts", "--json"))["amount_minor"] == 1000
    assert told(run("payouts", "--json")) == {"payouts": [], "amount_minor": 0}


def test_payments_by_hand_cannot_be_asked_or_compared(run: Run, desk: Desk) -> None:
    payment = open_payout(desk)
    assert "paid by hand" in says(run("ask", f"pay_{payment.id}", code=1))
    assert "made by hand" in says(run("compare", code=1))


def test_the_totals_add_up_to_zero(run: Run, desk: Desk) -> None:
    desk.ship_all(desk.trade())
    figures = told(run("totals", "--json"))
    assert (figures["released_minor"], figures["payable_minor"], figures["ledger_sum"]) == (1000, 1000, 0)
    assert "10.00 EUR" in run("totals", "--account", "Bücher Boldt").stdout


# --- transfer files -------------------------------------------------------------------------------------------------------


def test_without_a_licence_there_is_no_transfer_file_and_the_reason_is_said(
    run: Run, desk: Desk, tmp_path: Path
) -> None:
    open_payout(desk)
    out = tmp_path / "payouts.xml"
    said = says(run("sepa", "--out", str(out), code=1))
    assert "licence" in said
    assert "ZAG" in said
    assert not out.exists()


def test_a_licensed_operator_gets_a_file_with_every_open_payout(
    run: Run, desk: Desk, session: Session, tmp_path: Path
) -> None:
    licensed(run, session)
    bank_account(session, desk.anna)
    payments = [open_payout(desk, 500), open_payout(desk, 701)]
    out = tmp_path / "payouts.xml"
    figures = told(run("sepa", "--out", str(out), "--json"))
    assert (figures["transfers"], figures["amount_minor"]) == (2, 1201)
    root = ET.fromstring(out.read_bytes())  # noqa: S314 - it is our own.
    texts = [(found.tag.partition("}")[2], found.text) for found in root.iter()]
    assert [text for tag, text in texts if tag == "InstdAmt"] == ["5.00", "7.01"]
    assert [text for tag, text in texts if tag == "EndToEndId"] == [f"PAY-{each.id}" for each in payments]
    assert [text for tag, text in texts if tag == "IBAN"] == [IBAN, ANNAS_IBAN, ANNAS_IBAN]
    run("done", "--file", figures["message"])
    assert {each.state for each in payments} == {"done"}


def test_a_payout_is_in_one_file_only_and_the_file_never_changes(
    run: Run, desk: Desk, session: Session, tmp_path: Path
) -> None:
    licensed(run, session)
    bank_account(session, desk.anna)
    open_payout(desk)
    first, again = tmp_path / "1.xml", tmp_path / "2.xml"
    message = told(run("sepa", "--out", str(first), "--json"))["message"]
    assert "No payout by hand is open" in says(run("sepa", "--out", str(again), code=1))
    bank_account(session, desk.anna, "NL91ABNA0417164300")
    run("sepa", "--out", str(again), "--message", message)
    assert first.read_bytes() == again.read_bytes()


def test_no_iban_stands_in_the_database_in_the_clear(
    run: Run, desk: Desk, session: Session, tmp_path: Path
) -> None:
    licensed(run, session)
    bank_account(session, desk.anna)
    open_payout(desk)
    run("sepa", "--out", str(tmp_path / "1.xml"))
    for table in db.metadata.sorted_tables:
        for row in session.connection().exec_driver_sql(f'SELECT t::text FROM "{table.name}" t').scalars():
            assert IBAN not in row
            assert ANNAS_IBAN not in row
    assert session.scalars(select(TransferFile.total)).one() == 500


def test_a_supplier_without_a_bank_account_stops_the_file(
    run: Run, desk: Desk, session: Session, tmp_path: Path
) -> None:
    licensed(run, session)
    open_payout(desk)
    assert "Anna's Teeladen" in says(run("sepa", "--out", str(tmp_path / "1.xml"), code=1))
    assert session.scalars(select(TransferFile.id)).all() == []


def test_a_licence_without_an_account_to_pay_from_is_refused(run: Run, session: Session) -> None:
    connection = ledger.payment_connection(session)
    session.commit()
    said = says(
        run("connect", "manual", "--connection", connection.key, "--set", "licensed_operator=true", code=1)
    )
    assert "iban" in said


# --- papers ---------------------------------------------------------------------------------------------------------------


def test_a_statement_is_written_as_csv_and_as_pdf(run: Run, desk: Desk, tmp_path: Path) -> None:
    desk.ship_all(desk.trade(fee_bp=500))
    period = (
        "--account",
        "Anna's Teeladen",
        "--role",
        "supplier",
        "--from",
        "2020-01-01",
        "--to",
        "2099-12-31",
    )
    figures = told(run("statement", *period, "--json"))
    assert (figures["lines"], figures["fees_minor"], figures["fee_vat_minor"], figures["closing_minor"]) == (
        1,
        50,
        10,
        940,
    )
    run("statement", *period, "--out", str(tmp_path / "a.csv"))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text("utf-8-sig")), delimiter=";"))
    assert rows[-1]["balance"] == "9.40"
    run("statement", *period, "--out", str(tmp_path / "a.pdf"), "--language", "en")
    text = pypdf.PdfReader(tmp_path / "a.pdf").pages[0].extract_text()
    assert "Statement for suppliers" in text
    assert ".csv or .pdf" in says(run("statement", *period, "--out", str(tmp_path / "a.txt"), code=1))


def test_the_credit_notes_of_a_trade_are_shown_as_data(run: Run, desk: Desk) -> None:
    trade = desk.trade(vat=("19",))
    desk.refund(trade, 400)
    desk.refund(trade, 600)
    notes = told(run("credit-notes", trade.key))
    assert [note["gross"] for note in notes] == [400, 600]
    assert sum(note["vat_total"] for note in notes) == 160
    assert told(run("credit-notes", f"trd_{trade.id}")) == notes


# --- disputes --------------------------------------------------------------------------------------------------------------


def test_a_dispute_by_hand_holds_money_until_it_is_over(run: Run, desk: Desk) -> None:
    trade = desk.trade()
    for _ in range(2):
        run("dispute", "open", trade.key, "400", "--key", "bank 7")
    assert (trade.frozen, desk.money(trade).disputed) == (True, 400)
    assert [row["held_minor"] for row in told(run("dispute", "list", "--json"))] == [400]
    run("dispute", "over", trade.key, "--key", "bank 7", "--lost")
    assert (trade.frozen, desk.money(trade).charged_back) == (False, 400)
    assert told(run("dispute", "list", "--json")) == []


def test_a_dispute_of_more_than_is_there_is_said(run: Run, desk: Desk) -> None:
    trade = desk.trade()
    assert "frozen, but not so much is there" in says(
        run("dispute", "open", trade.key, "1001", "--key", "x", code=1)
    )


# --- the provider -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def simulated() -> Iterator[str]:
    with running(provider.create_app(deliver=False)) as url:
        yield url


def test_a_provider_is_connected_and_says_where_its_messages_go(
    run: Run, desk: Desk, session: Session, simulated: str
) -> None:
    made = told(
        run("connect", "simulated", "--set", f"api_key={provider.API_KEY}", "--base-url", simulated, "--json")
    )
    assert made["check"]["ok"]
    assert made["webhook_url"].endswith(f"/webhooks/payments/{made['connection']}")
    connection = session.scalars(select(Connection).where(Connection.key == made["connection"])).one()
    assert ledger.payment_connection(session).id == connection.id
    ledger.charge(session, desk.trade(captured=False))
    session.commit()
    jobs.drain_outbox(connection.id)
    db.session.expire_all()
    assert told(run("list", "--json")) == []


def test_a_provider_that_refuses_the_key_is_not_connected(run: Run, session: Session, simulated: str) -> None:
    said = says(run("connect", "simulated", "--set", "api_key=wrong", "--base-url", simulated, code=1))
    assert "was not connected" in said
    assert session.scalars(select(Connection.id)).all() == []


def test_a_changed_secret_is_kept_sealed_and_the_others_stay(run: Run, session: Session) -> None:
    made = accounts.connect_payment(session, "stripe", {"secret_key": "sk_test_123456"})
    session.commit()
    accounts.change_payment(session, made, {"webhook_secrets": ["whsec_1", "whsec_2"]})
    session.commit()
    assert made.secrets["settings"] == {
        "secret_key": "sk_test_123456",
        "webhook_secrets": ["whsec_1", "whsec_2"],
    }
    assert made.settings == {}


def test_payer_and_payee_are_what_the_provider_calls_them(run: Run, desk: Desk, session: Session) -> None:
    run("payer", "Bücher Boldt", "cus_boldt")
    run("payee", "Anna's Teeladen", "acct_anna")
    assert session.get_one(Profile, desk.boldt.id).payer_account == "cus_boldt"
    assert session.get_one(Profile, desk.anna.id).payout_account == "acct_anna"
    accounts.create_account(session, "Chai GmbH")
    assert "no profile" in says(run("payee", "Chai GmbH", "acct_chai", code=1))


def test_the_provider_is_asked_and_compared_on_demand(
    run: Run, desk: Desk, session: Session, simulated: str
) -> None:
    settings = {"api_key": provider.API_KEY}
    made = accounts.connect_payment(session, "simulated", settings, base_url=simulated, allow_loopback=True)
    payment = ledger.charge(session, desk.trade(captured=False))
    run("ask", f"pay_{payment.id}")
    run("compare")
    kinds = session.scalars(
        select(Command.kind).where(Command.connection_id == made.id).order_by(Command.id)
    ).all()
    assert kinds == ["pay", "pay.ask", "pay.compare"]


# --- debts and parcels --------------------------------------------------------------------------------------------------


def test_a_debt_is_taken_out_of_an_earlier_payout_and_only_with_yes(
    run: Run, desk: Desk, session: Session
) -> None:
    trade = desk.trade(((1, 500),))
    desk.ship_all(trade)
    paid = desk.pay()
    assert paid is not None
    assert "owes nothing" in says(run("recover", "--account", "Anna's Teeladen", "--yes", code=1))
    desk.refund(trade, 300)
    assert "3.00 EUR would be taken back" in run("recover", "--account", "Anna's Teeladen").stdout
    assert session.scalars(select(Payment.id).where(Payment.kind == "reverse")).all() == []
    made = told(run("recover", "--account", "Anna's Teeladen", "--yes", "--json"))
    assert (made["amount_minor"], made["out_of"], made["done"]) == (300, f"pay_{paid.id}", True)
    back = session.scalars(select(Payment).where(Payment.kind == "reverse")).one()
    assert (f"pay_{back.id}", back.amount, back.state) == (made["payment"], 300, "due")
    assert desk.balance("receivable", trade) == 0
    run("recover", "--account", "Anna's Teeladen", "--yes", code=1)


def test_the_operator_tells_what_the_carrier_says(run: Run, desk: Desk, session: Session) -> None:
    scan, delivered = (
        desk.trade(((1, 500),), policy=policy)
        for policy in ({"kind": "carrier_scan"}, {"kind": "delivered", "days": 3})
    )
    number = dhl(77)
    desk.ship(scan, 1, number=number)
    desk.ship_all(delivered)
    shown = told(run("seen", number, "--kind", "carrier_scan", "--at", "1s", "--json"))
    assert shown == [{"trade": f"trd_{scan.id}", "released": "5.00 EUR", "released_minor": 500, "waits": ""}]
    text = run("seen", f"trd_{delivered.id}", "--kind", "delivered", "--at", "1s").stdout
    assert "0.00 EUR released" in text
    assert "time is over" in text
    assert "cannot be right" in says(run("seen", number, "--kind", "delivered", "--at", "2099-01-01", code=1))
    assert "no parcel 4711 whose" in says(run("seen", "4711", "--kind", "delivered", "--at", "1s", code=1))


def test_a_provider_with_open_payments_is_not_unplugged(run: Run, desk: Desk, session: Session) -> None:
    payment = open_payout(desk)
    connection = session.get_one(Connection, payment.connection_id)

    def remove() -> Result:
        session.commit()
        return CliRunner().invoke(cli.main, ["remove", connection.key])

    refused = remove()
    assert refused.exit_code == 1
    assert "1 payment through manual is open. Let it be finished" in says(refused)
    session.expire_all()
    assert connection.state == "active"
    run("done", f"pay_{payment.id}")
    done = remove()
    assert done.exit_code == 0, done.output
    assert "New payments go to another provider" in done.stdout
    session.expire_all()
    assert connection.state == "removed"
