"""`shopbridge network`: the life of a membership as the operator and a merchant type it."""

import io
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pypdf
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

sys.path.insert(0, str(Path(__file__).parents[1] / "web" / "api"))

from members_world import NOW, a_trade, goods, member, released

from app import accounts, cli, logs
from app.config import SETTINGS
from app.extensions import db, safe
from app.flows import network_members as members
from app.models import Account, Case, Listing, Partnership, Product, Profile, Release, Trade
from app.vault import generate_key

Run = Callable[..., Result]
COMPLETE = (
    "--supplier", "--address", "company", "Anna Teekanne e.K.", "--address", "address_1", "Teeweg 1", "--address", "postcode", "20095",
    "--address", "city", "Hamburg", "--address", "country", "DE", "--set", "vat_id", "DE136695976", "--set", "shipping_price", "4.90",
    "--bank", "iban", "DE89370400440532013000", "--bank", "holder", "Anna",
)  # fmt: skip


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs one command against the test's database; its changes are visible afterwards."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    for name in ("DATABASE_URL", "REDIS_URL", "SHOPBRIDGE_DATA"):
        monkeypatch.setenv(name, str(app.config[name]))
    monkeypatch.setenv("SHOPBRIDGE_MASTER_KEYS", ",".join(app.config["SHOPBRIDGE_MASTER_KEYS"]))
    monkeypatch.setattr(logs, "configure", lambda *_, **__: None)

    def run_it(*arguments: str, code: int = 0) -> Result:
        db.session.commit()
        result = CliRunner().invoke(cli.main, ["network", *arguments])
        db.session.rollback()
        db.session.expire_all()
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run_it


@pytest.fixture
def anna(app: Flask, session: Session) -> Account:
    return accounts.create_account(session, "Anna")


@pytest.fixture
def boldt(app: Flask, session: Session) -> Account:
    return accounts.create_account(session, "Boldt")


def told(result: Result) -> Any:
    return json.loads(result.stdout)


def says(result: Result) -> str:
    assert "Traceback" not in result.stderr
    return " ".join(result.stderr.split())


def test_a_profile_is_submitted_refused_mended_and_approved(
    run: Run, session: Session, anna: Account
) -> None:
    assert told(run("profile", "submit", "--account", "Anna", *COMPLETE, "--json"))["state"] == "submitted"
    refused = told(
        run("profile", "refuse", "--account", "Anna", "--reason", "Kein Handelsregister", "--json")
    )
    assert (refused["state"], refused["reason"]) == ("refused", "Kein Handelsregister")
    assert (
        told(run("profile", "submit", "--account", "Anna", "--set", "hold_minutes", "5", "--json"))["state"]
        == "submitted"
    )
    run("profile", "approve", "--account", "Anna")
    saved = session.get_one(Profile, anna.id)
    assert (saved.state, saved.hold_minutes, saved.shipping_price, saved.supplier) == (
        "approved",
        5,
        490,
        True,
    )


def test_a_supplier_gets_his_own_time_to_answer(run: Run, session: Session, anna: Account) -> None:
    assert "no supplier yet" in says(run("answer-time", "--account", "Anna", "--end", "24", code=1))
    run("profile", "submit", "--account", "Anna", *COMPLETE)
    answer = ("answer-time", "--account", "Anna", "--json")
    assert told(run(*answer)) == {"account": "Anna", "warn_hours": 48, "end_hours": 168}
    assert told(run(*answer, "--warn", "4", "--end", "0"))["end_hours"] == 0
    assert told(run(*answer, "--end", "24")) == {"account": "Anna", "warn_hours": 4, "end_hours": 24}
    assert told(run(*answer, "--as-bridge"))["warn_hours"] == 48


def test_a_shop_that_moved_is_confirmed_once(run: Run, session: Session, anna: Account) -> None:
    made = [
        accounts.connect_standard(session, anna, name, f"https://{name}.example/x")[0]
        for name in ("old", "new")
    ]
    session.commit()
    answer = told(run("shop-moved", "old", "new", "--json"))
    assert (answer["name"], answer["url"]) == ("old", "https://new.example/x")
    assert answer["connection"] == session.get_one(type(made[0]), made[0].id, populate_existing=True).key
    assert "not two connected shops" in says(run("shop-moved", "old", "old", code=1))


def test_every_mistake_is_a_line_with_its_field(run: Run, session: Session, anna: Account) -> None:
    result = run(
        "profile",
        "submit",
        "--account",
        "Anna",
        *COMPLETE,
        "--set",
        "vat_id",
        "DE1",
        "--bank",
        "iban",
        "DE00",
        code=1,
    )
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["vat_id", "bank.iban"]
    assert session.get(Profile, anna.id) is None


def test_a_field_that_does_not_exist_is_named_with_those_that_do(run: Run, anna: Account) -> None:
    said = says(run("profile", "submit", "--account", "Anna", "--address", "zip", "20095", code=1))
    assert said.startswith("There is no field zip.")
    assert "postcode" in said


def test_the_operator_sees_who_waits_first_and_the_whole_account_number(
    run: Run, session: Session, anna: Account, boldt: Account
) -> None:
    member(session, anna, "Anna e.K.")
    members.save_profile(
        session, boldt, {"address": {"company": "Boldt"}, "retailer": True}, submit=False, now=NOW
    )
    run("profile", "submit", "--account", "Boldt", *COMPLETE)
    rows = told(run("profile", "list", "--json"))
    assert [(each["account"], each["state"]) for each in rows] == [
        ("Boldt", "submitted"),
        ("Anna", "approved"),
    ]
    assert [each["account"] for each in told(run("profile", "list", "--state", "approved", "--json"))] == [
        "Anna"
    ]
    assert "DE89370400440532013000" in run("profile", "show", "--account", "Anna").stdout
    assert (
        told(run("profile", "show", "--account", "Anna", "--json"))["bank"]["iban"]
        == "DE89370400440532013000"
    )


def test_partners_ask_accept_pause_and_get_a_price_group(
    run: Run, session: Session, anna: Account, boldt: Account
) -> None:
    member(session, anna, "Anna e.K.", retailer=False)
    member(session, boldt, "Boldt GmbH", supplier=False)
    assert (
        told(run("partners", "ask", "--account", "Boldt", "--supplier", "Anna", "--json"))["state"] == "asked"
    )
    assert (
        told(run("partners", "accept", "--account", "Anna", "--with", "Boldt", "--json"))["state"] == "active"
    )
    groups = told(
        run("price-group", "--account", "Anna", "Gold", "--discount", "7,5", "--give", "Boldt", "--json")
    )
    assert groups == [{"name": "Gold", "discount": "7.5 %"}]
    (row,) = told(run("partners", "--account", "Boldt", "--json"))
    assert (row["supplier"], row["retailer"], row["price_group"]) == ("Anna", "Boldt", "Gold")
    run("price-group", "--account", "Anna", "--take", "Boldt")
    assert told(run("partners", "--json"))[0]["price_group"] is None
    assert (
        told(run("partners", "pause", "--account", "Boldt", "--with", "Anna", "--json"))["by"] == "retailer"
    )
    assert says(run("partners", "resume", "--account", "Anna", "--with", "Boldt", code=1)).startswith(
        "The other side has paused"
    )
    run("partners", "end", "--account", "Anna", "--with", "Boldt")
    assert session.scalars(select(Partnership)).one().state == "ended"


def test_without_a_partnership_there_is_nothing_to_end(run: Run, anna: Account, boldt: Account) -> None:
    assert "do not trade" in says(run("partners", "end", "--account", "Anna", "--with", "Boldt", code=1))
    assert "no account" in says(run("partners", "end", "--account", "Anna", "--with", "Chai", code=1))
    assert run("partners").stdout == "Nobody trades with anybody yet.\n"


def test_a_refusal_takes_the_products_off_at_once(run: Run, session: Session, anna: Account) -> None:
    """The command decides the releases anew itself (K4); from the web the clock does it."""
    member(session, anna, "Anna e.K.")
    shop, _, _ = accounts.connect_standard(session, anna, "Teeladen")
    made = goods(session, shop, "Assam")
    run("profile", "refuse", "--account", "Anna", "--reason", "Ware kommt nicht an")
    assert session.get_one(Release, made.id).state == "not_released"


def test_released_products_are_listed_with_why_not(run: Run, session: Session, anna: Account) -> None:
    shop, _, _ = accounts.connect_standard(session, anna, "Teeladen")
    goods(session, shop, "Assam")
    without = Product(account_id=anna.id, connection_id=shop.id, external_id="9", title="Ohne", extra={})
    session.add(without)
    session.flush()
    released(session, without, reasons=("product.gtin_missing",))
    rows = told(run("released", "--account", "Anna", "--json"))
    assert {each["title"]: (each["state"], each["price"], each["why"]) for each in rows} == {
        "Assam": ("released", "4.20 EUR", ""),
        "Ohne": ("not_released", None, "The product has no GTIN (EAN)."),
    }
    assert len(told(run("released", "--account", "Anna", "--state", "released", "--json"))) == 1


def test_trades_and_their_packing_slip(
    run: Run, session: Session, anna: Account, boldt: Account, tmp_path: Path
) -> None:
    member(session, anna, "Anna Teekanne e.K.", accepts_partners=True)
    member(session, boldt, "Boldt GmbH")
    pair = members.ask(session, boldt.id, anna.id)
    teeladen, _, _ = accounts.connect_standard(session, anna, "Teeladen")
    buchladen, _, _ = accounts.connect_standard(session, boldt, "Buchladen")
    _, _, child = a_trade(session, pair, buchladen, teeladen, goods(session, teeladen, "Assam"))
    number = str(child.shop_order_id)
    (row,) = told(run("trades", "--account", "Anna", "--state", "held", "--json"))
    assert (row["supplier"], row["retailer"], row["total"], row["held"]) == (
        "Anna",
        "Boldt",
        "13.30 EUR",
        "0.00 EUR",
    )
    assert told(run("trades", "--state", "closed", "--json")) == []
    paper = tmp_path / "slip.pdf"
    assert "1 packing slip(s)" in run("packing-slip", "--connection", "Teeladen", number, str(paper)).stdout
    words = pypdf.PdfReader(io.BytesIO(paper.read_bytes())).pages[0].extract_text()
    assert "Boldt GmbH" in words
    assert "Teekanne" not in words
    assert "no packing slip" in says(run("packing-slip", "--connection", "Teeladen", "0", str(paper), code=1))


def test_a_retailer_takes_goods_of_his_partners_into_his_shop(
    run: Run, session: Session, anna: Account, boldt: Account
) -> None:
    member(session, anna, "Anna Teekanne e.K.", accepts_partners=True)
    teeladen, _, _ = accounts.connect_standard(session, anna, "Teeladen")
    tea = goods(session, teeladen, "Assam")
    assert "not approved" in says(run("catalogue", "--account", "Boldt", code=1))
    member(session, boldt, "Boldt GmbH")
    assert "no shop" in says(run("catalogue", "--account", "Boldt", code=1))
    accounts.connect_standard(session, boldt, "Buchladen")
    assert "Nothing is offered" in run("catalogue", "--account", "Boldt").stdout
    members.ask(session, boldt.id, anna.id)
    (row,) = told(run("catalogue", "--account", "Boldt", "--json"))
    assert (row["product"], row["dealer_price"], row["listed"]) == (f"prd_{tea.id}", "4.20 EUR", False)
    answer = told(
        run(
            "import",
            "--account",
            "Boldt",
            "--rule",
            "plus_percent",
            "60",
            row["product"],
            "prd_999999",
            "--json",
        )
    )
    assert (answer["queued"], list(answer["refused"])) == (1, ["prd_999999"])
    assert told(run("catalogue", "--account", "Boldt", "--json"))[0]["listed"] is True


def test_of_several_shops_one_must_be_named(run: Run, session: Session, boldt: Account) -> None:
    member(session, boldt, "Boldt GmbH")
    for name in ("Buchladen", "Kartenladen"):
        accounts.connect_standard(session, boldt, name)
    assert "Say which: --connection" in says(run("catalogue", "--account", "Boldt", code=1))
    run("catalogue", "--account", "Boldt", "--connection", "Kartenladen")


@pytest.mark.parametrize(
    "name",
    ["profile", "partners", "price-group", "released", "catalogue", "import", "trades", "packing-slip"],
)
def test_every_command_explains_itself(name: str) -> None:
    assert "Usage:" in CliRunner().invoke(cli.main, ["network", name, "--help"]).stdout


def test_nothing_is_written_when_only_looked_at(run: Run, session: Session, anna: Account) -> None:
    run("profile", "show", "--account", "Anna")
    run("released", "--account", "Anna")
    assert session.execute(text("SELECT count(*) FROM profile")).scalar() == 0


def test_an_account_number_is_sealed_and_sealed_anew(
    run: Run, app: Flask, session: Session, anna: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The profile has no `id` of its own, so `reseal` must find its key."""
    member(session, anna, "Anna e.K.")
    session.commit()
    stored = bytes(session.execute(text("SELECT bank FROM profile")).scalar_one())
    assert b"DE89" not in stored
    old, before = app.config["SHOPBRIDGE_MASTER_KEYS"][0], safe.vault
    monkeypatch.setenv("SHOPBRIDGE_MASTER_KEYS", f"{generate_key()},{old}")
    try:
        assert told(CliRunner().invoke(cli.main, ["reseal", "--json"]))["resealed"]["profile.bank"] == 1
    finally:
        safe.bind(before)
    assert bytes(session.execute(text("SELECT bank FROM profile")).scalar_one()) != stored


def test_the_operator_chooses_when_a_supplier_is_paid(
    run: Run, session: Session, anna: Account, boldt: Account
) -> None:
    member(session, anna, "Anna e.K.")
    member(session, boldt, "Boldt KG")
    members.ask(session, boldt.id, anna.id)
    pair = ("--account", "Anna", "--with", "Boldt")
    assert told(run("policy", *pair, "delivered", "--days", "3", "--json"))["policy"] == {
        "kind": "delivered",
        "days": 3,
    }
    assert session.scalars(select(Partnership.policy)).one() == {"kind": "delivered", "days": 3}
    assert "delivered + 3 days" in run("partners").stdout
    assert "other way round" in says(
        run("policy", "--account", "Boldt", "--with", "Anna", "tracking", code=1)
    )
    assert told(run("policy", *pair, "tracking", "--json"))["released"] == "tracking"


def test_removing_a_shop_with_open_trades_tells_both_sides(
    run: Run, session: Session, anna: Account, boldt: Account
) -> None:
    member(session, anna, "Anna e.K.")
    member(session, boldt, "Boldt KG")
    pair = members.ask(session, boldt.id, anna.id)
    shops = [accounts.connect_standard(session, each, each.name)[0] for each in (boldt, anna)]
    trade, _, _ = a_trade(session, pair, *shops, goods(session, shops[1], "Assam"))
    trade.state = "accepted"
    session.commit()
    result = CliRunner().invoke(cli.main, ["remove", shops[1].key, "--json"])
    assert told(result)["open_trades"] == 1
    query = select(Case.account_id, Case.code).where(Case.code.like("trade.%"))
    found = session.execute(query).all()
    assert set(found) == {(anna.id, "trade.own_shop_gone"), (boldt.id, "trade.supplier_shop_gone")}


def test_only_the_retailer_confirms_a_receipt(
    run: Run, session: Session, anna: Account, boldt: Account
) -> None:
    member(session, anna, "Anna e.K.")
    member(session, boldt, "Boldt KG")
    pair = members.ask(session, boldt.id, anna.id)
    shops = [accounts.connect_standard(session, each, each.name)[0] for each in (boldt, anna)]
    trade, _, _ = a_trade(session, pair, *shops, goods(session, shops[1], "Assam"))
    refused = says(run("received", "--account", "Anna", f"trd_{trade.id}", code=1))
    assert "Only the retailer" in refused
    assert "no parcel whose" in says(run("received", "--account", "Boldt", f"trd_{trade.id}", code=1))


def test_a_profile_that_was_changed_since_is_not_approved(run: Run, session: Session, anna: Account) -> None:
    run("profile", "submit", "--account", "Anna", *COMPLETE)
    seen = told(run("profile", "show", "--account", "Anna", "--json"))["submitted_at"]
    session.get_one(Profile, anna.id).submitted_at += timedelta(minutes=1)
    refused = run("profile", "approve", "--account", "Anna", "--submitted", seen, code=1)
    assert "changed since you looked" in says(refused)
    seen = told(run("profile", "show", "--account", "Anna", "--json"))["submitted_at"]
    assert (
        told(run("profile", "approve", "--account", "Anna", "--submitted", seen, "--json"))["state"]
        == "approved"
    )


def test_goods_are_listed_and_taken_out_and_a_member_leaves(
    run: Run, session: Session, anna: Account, boldt: Account
) -> None:
    member(session, anna, "Anna e.K.")
    member(session, boldt, "Boldt KG")
    pair = members.ask(session, boldt.id, anna.id)
    members.act(session, anna.id, pair.id, "accept")
    buchladen, teeladen = (accounts.connect_standard(session, each, each.name)[0] for each in (boldt, anna))
    tee = goods(session, teeladen, "Assam")
    run("import", "--account", "Boldt", f"prd_{tee.id}")
    (row,) = told(run("listings", "--account", "Boldt", "--json"))
    assert (row["product"], row["supplier"], row["state"]) == (f"prd_{tee.id}", "Anna e.K.", "waiting")
    assert "Assam" in run("listings", "--account", "Boldt").stdout
    assert "Say which" in says(run("remove", "--account", "Boldt", code=1))
    assert "no shop" not in says(run("remove", "--account", "Boldt", "--all"))
    assert told(run("remove", "--account", "Boldt", f"prd_{tee.id}", "--json"))["withdrawn"] == 0
    assert session.scalars(select(Listing.state)).one() == "withdrawn"
    trade, _, _ = a_trade(session, pair, buchladen, teeladen, tee)
    assert "1 orders are under way" in says(run("profile", "withdraw", "--account", "Anna", code=1))
    session.get_one(Trade, trade.id).state = "closed"
    assert told(run("profile", "withdraw", "--account", "Anna", "--json"))["state"] == "draft"
    assert session.scalars(select(Partnership.state)).one() == "ended"
    assert session.get_one(Release, tee.id).state == "not_released"
