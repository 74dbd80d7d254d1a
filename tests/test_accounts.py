from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app import accounts
from app.errors import Invalid, Refused
from app.models import Account, ApiToken, Command, Connection, Pairing, Schedule
from app.registry import provider

KEYS = {"client_key": "a" * 32, "secret_key": "b" * 64}


@pytest.fixture
def anna(app: Flask, session: Session) -> Account:
    return accounts.create_account(session, "Anna's Teeladen")


def test_two_accounts_cannot_share_a_name(session: Session, anna: Account) -> None:
    with pytest.raises(Invalid, match=r"account\.name_taken"):
        accounts.create_account(session, "  Anna's   Teeladen ")


def test_a_marketplace_gets_its_polls_at_once_and_its_secret_sealed(session: Session, anna: Account) -> None:
    connection = accounts.connect_marketplace(session, anna, "kaufland", KEYS)
    session.commit()
    polls = session.scalars(select(Schedule).where(Schedule.connection_id == connection.id)).all()
    assert {(each.kind, each.every) for each in polls} == {
        (each.kind, each.every) for each in provider("kaufland").polls
    }
    assert all(each.due_at <= datetime.now(UTC) + timedelta(seconds=5) for each in polls)
    assert connection.state == "active"
    assert connection.secrets["settings"] == {"secret_key": KEYS["secret_key"]}
    assert "secret_key" not in connection.settings
    stored = session.execute(
        text("SELECT row_to_json(c)::text || encode(secrets, 'escape') FROM connection c")
    ).scalar_one()
    assert KEYS["secret_key"] not in stored


def test_the_provider_own_address_is_not_copied(session: Session, anna: Account) -> None:
    """Else a later change of it would not reach old connections, and the filter for tenants' addresses would apply."""
    assert accounts.connect_marketplace(session, anna, "kaufland", KEYS).base_url is None


def test_wrong_settings_name_the_field(session: Session, anna: Account) -> None:
    with pytest.raises(Invalid) as caught:
        accounts.connect_marketplace(session, anna, "kaufland", {**KEYS, "client_key": "short"})
    assert (caught.value.code, caught.value.params["field"]) == ("settings.invalid", "client_key")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"price_rule": {"kind": "half"}}, "price_rule"),
        ({"price_rule": "cheap"}, "price_rule"),
        ({"stock_buffer": -1}, "stock_buffer"),
        ({"stock_buffer": 1.5}, "stock_buffer"),
        ({"export": "yes"}, "export"),
    ],
)
def test_options_of_every_marketplace_are_checked_too(
    session: Session, anna: Account, settings: dict, field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        accounts.connect_marketplace(session, anna, "kaufland", {**KEYS, **settings})
    assert caught.value.params["field"] == field


def test_good_options_are_kept(session: Session, anna: Account) -> None:
    rule = {"kind": "plus_percent", "value": "7.5"}
    connection = accounts.connect_marketplace(
        session, anna, "kaufland", {**KEYS, "price_rule": rule, "stock_buffer": 2}
    )
    assert (connection.settings["price_rule"], connection.settings["stock_buffer"]) == (rule, 2)


def test_an_address_inside_our_network_is_refused(session: Session, anna: Account) -> None:
    for url in ("https://127.0.0.1/v2", "http://shop.example/v2", "https://169.254.169.254/"):
        with pytest.raises(Refused, match=r"address\.forbidden"):
            accounts.connect_marketplace(session, anna, "kaufland", KEYS, base_url=url)
    assert accounts.connect_marketplace(
        session, anna, "kaufland", KEYS, base_url="http://127.0.0.1:9/", allow_loopback=True
    )


def test_a_shop_is_no_marketplace(session: Session, anna: Account) -> None:
    with pytest.raises(Invalid, match=r"settings\.invalid"):
        accounts.connect_marketplace(session, anna, "woocommerce", {})
    with pytest.raises(Invalid, match=r"settings\.invalid"):
        accounts.make_pairing(session, anna, "kaufland")
    with pytest.raises(LookupError):
        accounts.make_pairing(session, anna, "nobody")


def test_the_only_shop_gets_the_marketplace_whoever_comes_first(session: Session, anna: Account) -> None:
    first = accounts.connect_marketplace(session, anna, "kaufland", KEYS)
    assert first.shop_id is None
    shop, _, _ = accounts.connect_standard(session, anna, "Laden")
    second = accounts.connect_marketplace(session, anna, "kaufland", KEYS)
    session.refresh(first)
    assert (first.shop_id, second.shop_id) == (shop.id, shop.id)
    assert second.name == "Kaufland.de (2)"
    accounts.connect_standard(session, anna, "Lager")
    assert accounts.connect_marketplace(session, anna, "kaufland", KEYS).shop_id is None, (
        "with two shops a person decides"
    )


def test_adopting_looks_at_the_products_at_once(session: Session, anna: Account) -> None:
    connection = accounts.connect_marketplace(session, anna, "kaufland", KEYS)
    session.execute(text("UPDATE schedule SET due_at = now() + interval '1 hour'"))
    accounts.connect_standard(session, anna, "Laden")
    due = select(Schedule.kind).where(Schedule.connection_id == connection.id, Schedule.due_at <= func.now())
    assert session.scalars(due).all() == ["drift"]


def test_another_accounts_marketplace_is_not_adopted(session: Session, anna: Account) -> None:
    chai = accounts.create_account(session, "Chai GmbH")
    theirs = accounts.connect_marketplace(session, chai, "kaufland", KEYS)
    accounts.connect_standard(session, anna, "Laden")
    session.refresh(theirs)
    assert theirs.shop_id is None


def test_a_supplier_without_command_url_is_active_and_one_with_is_pinged(
    session: Session, anna: Account
) -> None:
    silent, event_secret, command_secret = accounts.connect_standard(session, anna, "Lager")
    spoken, _, _ = accounts.connect_standard(session, anna, "ERP", "https://erp.example/commands")
    assert (silent.state, spoken.state) == ("active", "pending")
    assert event_secret != command_secret
    commands = session.execute(select(Command.connection_id, Command.kind)).all()
    assert commands == [(spoken.id, "ping")]


def test_a_token_is_kept_only_as_a_digest(session: Session, anna: Account) -> None:
    token = accounts.make_token(session, anna, "ERP")
    row = session.scalars(select(ApiToken)).one()
    assert row.digest == accounts.digest(token)
    assert token not in str(vars(row))
    assert accounts.make_token(session, None, "operator") != token


def test_a_pairing_code_can_be_read_aloud(session: Session, anna: Account) -> None:
    code = accounts.make_pairing(session, anna, "woocommerce")
    assert len(code) == 11
    assert set(code) - {"-"} <= set(accounts.CODE_LETTERS)
    assert accounts.plain_code(f"  {code.lower()} ") == code.replace("-", "")
    row = session.scalars(select(Pairing)).one()
    assert row.digest == accounts.digest(accounts.plain_code(code))
    assert timedelta(minutes=14) < row.expires_at - datetime.now(UTC) <= timedelta(minutes=15)


def test_rotation_keeps_the_old_secret_for_a_day(session: Session, anna: Account) -> None:
    shop, old, _ = accounts.connect_standard(session, anna, "Lager")
    new, _ = accounts.rotate_secrets(session, shop)
    first, second = shop.secrets["event"]
    assert (first["secret"], first["until"], second["secret"]) == (new, None, old)
    left = datetime.fromisoformat(second["until"]) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)


def test_revoking_drops_the_old_secret_now(session: Session, anna: Account) -> None:
    shop, old, _ = accounts.connect_standard(session, anna, "Lager")
    accounts.rotate_secrets(session, shop, overlap_hours=0)
    assert [entry["secret"] for entry in shop.secrets["event"]] != [old]
    assert len(shop.secrets["event"]) == 1


def test_a_later_rotation_never_lengthens_an_old_secrets_life(session: Session, anna: Account) -> None:
    shop, _, _ = accounts.connect_standard(session, anna, "Lager")
    accounts.rotate_secrets(session, shop, overlap_hours=1)
    before = shop.secrets["event"][1]["until"]
    accounts.rotate_secrets(session, shop, overlap_hours=24)
    assert shop.secrets["event"][2]["until"] == before


def test_there_are_never_more_than_ten_secrets(session: Session, anna: Account) -> None:
    shop, _, _ = accounts.connect_standard(session, anna, "Lager")
    for _ in range(15):
        accounts.rotate_secrets(session, shop)
    assert len(shop.secrets["event"]) == len(shop.secrets["command"]) == 10


def test_a_marketplace_has_no_signing_secrets(session: Session, anna: Account) -> None:
    connection = accounts.connect_marketplace(session, anna, "kaufland", KEYS)
    with pytest.raises(Refused, match=r"connection\.not_a_shop"):
        accounts.rotate_secrets(session, connection)


def test_names_are_one_line_and_free(session: Session, anna: Account) -> None:
    accounts.connect_standard(session, anna, "Laden")
    again, _, _ = accounts.connect_standard(session, anna, "La\x00den\n" + "x" * 500)
    third, _, _ = accounts.connect_standard(session, anna, "Laden")
    assert again.name.startswith("La den xxx")
    assert len(again.name) == accounts.MAX_NAME
    assert third.name == "Laden (2)"
    with pytest.raises(Invalid):
        accounts.connect_standard(session, anna, " \n ")
    assert session.scalars(select(Connection.key)).all()[0].startswith("cn_")
