"""The command line, through click's runner on the embedded database; the running processes are tested in tests/e2e/test_up.py."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from bridge import rings
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session
from world import World, serve, world

from app import accounts, cli, logs, queues, registry
from app.commands import playground, running
from app.config import SETTINGS
from app.extensions import db, safe
from app.models import Account, Command, Connection, Event, Offer, Order, Product, Schedule
from app.rules import gtin
from app.sandbox import kaufland
from app.sandbox.kaufland.world import DEMO_CLIENT_KEY, DEMO_SECRET_KEY
from app.shops import signing

__all__ = ["world"]

KEYS = ("--set", f"client_key={DEMO_CLIENT_KEY}", "--set", f"secret_key={DEMO_SECRET_KEY}")
Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs one command against the test's database; its changes are visible afterwards."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    for name in ("DATABASE_URL", "REDIS_URL", "SHOPBRIDGE_DATA"):
        monkeypatch.setenv(name, str(app.config[name]))
    monkeypatch.setenv("SHOPBRIDGE_MASTER_KEYS", ",".join(app.config["SHOPBRIDGE_MASTER_KEYS"]))
    monkeypatch.setenv("SHOPBRIDGE_ALLOW_LOOPBACK", "true")
    # The commands would send the log of the whole test process elsewhere.
    monkeypatch.setattr(logs, "configure", lambda *_, **__: None)

    def run_it(*arguments: str, code: int = 0) -> Result:
        db.session.commit()
        result = CliRunner().invoke(cli.main, arguments)
        db.session.rollback()
        db.session.expire_all()
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run_it


def told(result: Result) -> Any:
    return json.loads(result.stdout)


def says(result: Result) -> str:
    """What stands on stderr, as one line."""
    assert "Traceback" not in result.stderr
    return " ".join(result.stderr.split())


# --- the surface ----------------------------------------------------------------------------------


def test_help_lists_every_command() -> None:
    shown = CliRunner().invoke(cli.main, ["--help"]).stdout
    assert [name for name in cli.PLACES if not re.search(rf"^  {name} ", shown, re.MULTILINE)] == []


@pytest.mark.parametrize("name", cli.PLACES)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(cli.main, [name, "--help"])
    assert result.exit_code == 0
    assert len(result.stdout.split("Options:")[0].split("\n\n")) >= 2, "a usage line alone explains nothing"


def test_the_version_is_the_packages() -> None:
    assert re.fullmatch(r"shopbridge \d+\.\d+\.\d+\n", CliRunner().invoke(cli.main, ["--version"]).stdout)


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(cli.main, ["connnect"]).exit_code == 2


@pytest.mark.parametrize(
    "command",
    [
        ("connections",), ("orders", "--json"), ("worker", "in"), ("web",), ("clock",), ("migrate",), ("token", "--operator"),
        ("holiday", "on", "--account", "x"), ("connect", "sandbox", "--account", "x"), ("sandbox", "buy"),
    ],
)  # fmt: skip
def test_without_a_bridge_every_command_says_how_to_start_one(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("SHOPBRIDGE_DATA", str(tmp_path))
    result = CliRunner().invoke(cli.main, command)
    assert result.exit_code == 1
    assert "shopbridge up" in says(result)
    assert result.stdout == ""


def test_a_database_that_is_away_is_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://nobody@/none?host={tmp_path}")
    assert says(run("connections", code=1)).startswith("The database does not answer.")


def test_old_tables_are_one_sentence(run: Run) -> None:
    db.session.execute(text("ALTER TABLE orders RENAME COLUMN stopped TO halted"))
    db.session.commit()
    try:
        assert "shopbridge migrate" in says(run("orders", code=1))
    finally:
        db.session.execute(text("ALTER TABLE orders RENAME COLUMN halted TO stopped"))
        db.session.commit()


def test_a_setting_that_is_no_number_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPBRIDGE_PORT", "eighty")
    assert "SHOPBRIDGE_PORT" in says(run("connections", code=1))


def test_a_master_key_that_is_none_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPBRIDGE_MASTER_KEYS", "short")
    assert "master keys are wrong" in says(run("connections", code=1))


def test_a_level_of_the_log_that_is_none_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPBRIDGE_LOG_LEVEL", "LOUD")
    assert "SHOPBRIDGE_LOG_LEVEL is wrong" in says(run("clock", code=1))


# --- connecting -----------------------------------------------------------------------------------


def test_a_supplier_system_gets_its_address_and_secrets_once(
    run: Run, client: FlaskClient, session: Session
) -> None:
    answer = told(run("connect", "standard", "--account", "Anna's Teeladen", "--name", "ERP", "--json"))
    assert set(answer) == {"webhook_url", "connection_key", "event_secret", "command_secret", "state"}
    assert answer["webhook_url"].endswith(f"/webhooks/{answer['connection_key']}")
    assert answer["state"] == "active"
    assert session.scalar(select(Account.name)) == "Anna's Teeladen"
    assert sent(client, answer).status_code == 202


def sent(client: FlaskClient, answer: dict[str, str], number: int = 1) -> Any:
    """An event signed as a supplier would."""
    event = {
        "type": "plugin.installed",
        "timestamp": "2026-11-21T14:02:11Z",
        "sequence": number,
        "subject": "shop",
        "data": {},
    }
    event["data"] = {"plugin_version": "1.0", "platform": "erp", "platform_version": "1"}
    body = json.dumps(event).encode()
    headers = signing.sign([answer["event_secret"]], f"evt_{number:030d}", body, datetime.now(UTC))
    return client.post(
        f"/webhooks/{answer['connection_key']}",
        data=body,
        headers={**headers, "Content-Type": "application/json"},
    )


def test_a_second_connection_of_an_account_does_not_make_a_second_account(run: Run, session: Session) -> None:
    for _ in range(2):
        run("connect", "standard", "--account", "Anna's Teeladen")
    assert session.scalar(select(func.count()).select_from(Account)) == 1
    assert session.scalar(select(func.count()).select_from(Connection)) == 2


def test_a_pairing_code_can_be_used(run: Run, session: Session) -> None:
    answer = told(run("pair", "woocommerce", "--account", "Anna's Teeladen", "--json"))
    assert set(answer) == {"bridge", "code", "expires_at"}
    assert accounts.pairing_is_open(session, accounts.plain_code(answer["code"]))
    assert (
        14 * 60
        < (datetime.fromisoformat(answer["expires_at"]) - datetime.now(UTC)).total_seconds()
        <= 15 * 60
    )


def test_a_pairing_code_for_a_marketplace_is_refused(run: Run) -> None:
    assert "woocommerce" in says(run("pair", "kaufland", "--account", "x", code=1))


def test_a_marketplace_is_connected_and_checked(run: Run, session: Session) -> None:
    server, url = serve(kaufland.create_app())
    answer = told(
        run("connect", "kaufland", "--account", "Anna's Teeladen", *KEYS, "--base-url", f"{url}/v2", "--json")
    )
    server.shutdown()
    server.server_close()
    assert answer["check"]["ok"] is True
    assert answer["check"]["facts"]["storefronts"] == ["de"]
    made = session.scalars(select(Connection)).one()
    assert (made.state, made.key) == ("active", answer["connection"])
    assert made.secrets["settings"]["secret_key"] == DEMO_SECRET_KEY
    assert "secret_key" not in made.settings
    assert session.scalar(select(func.count()).select_from(Schedule)) == 4


def test_keys_that_the_marketplace_refuses_are_told_and_not_kept(run: Run, session: Session) -> None:
    server, url = serve(kaufland.create_app())
    wrong = ("--set", f"client_key={DEMO_CLIENT_KEY}", "--set", f"secret_key={'a' * 64}")
    result = run(
        "connect", "kaufland", "--account", "Anna's Teeladen", *wrong, "--base-url", f"{url}/v2", code=1
    )
    server.shutdown()
    server.server_close()
    assert "does not accept our signature" in says(result)
    assert session.scalar(select(func.count()).select_from(Connection)) == 0


def test_a_marketplace_that_is_away_is_kept_because_its_keys_may_be_right(run: Run, session: Session) -> None:
    result = run(
        "connect", "kaufland", "--account", "Anna's Teeladen", *KEYS, "--base-url", "http://127.0.0.1:1/v2"
    )
    assert "could not be checked yet" in result.stdout
    assert "cannot be reached" in result.stdout
    assert session.scalar(select(Connection.state)) == "active"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("--set", "client_key=abc"), "needs the setting “secret_key”"),
        (
            ("--set", "client_key=abc", "--set", f"secret_key={DEMO_SECRET_KEY}"),
            "32 letters and digits, these are 3 characters",
        ),
        (
            ("--set", f"client_key={DEMO_SECRET_KEY}", "--set", f"secret_key={DEMO_CLIENT_KEY}"),
            "client_key. Client key and secret key are swapped.",
        ),
        (("--set", "clientkey=abc"), "no setting “clientkey”. There are: "),
        (("--set", "client_key"), "write --set client_key=VALUE"),
        ((*KEYS, "--set", "handling_days=soon"), "must be a whole number"),
        ((*KEYS, "--base-url", "http://10.0.0.1/v2"), "must not call this address"),
    ],
)
def test_wrong_settings_are_told_in_plain_words(
    run: Run, session: Session, given: tuple[str, ...], expected: str
) -> None:
    assert expected in says(run("connect", "kaufland", "--account", "Anna's Teeladen", *given, code=1))
    assert session.scalar(select(func.count()).select_from(Connection)) == 0


def test_settings_of_each_kind_are_read(run: Run, session: Session) -> None:
    more = (
        "--set",
        "storefronts=de, at",
        "--set",
        "handling_days=3",
        "--set",
        'shipping_groups={"de": 7}',
        "--set",
        "export=false",
    )
    run("connect", "kaufland", "--account", "A", *KEYS, *more, "--base-url", "http://127.0.0.1:1/v2")
    kept = session.scalars(select(Connection)).one().settings
    assert (kept["storefronts"], kept["handling_days"], kept["shipping_groups"], kept["export"]) == (
        ["de", "at"],
        3,
        {"de": 7},
        False,
    )


# --- with a whole world -----------------------------------------------------------------------------


def kaufland_key(made: World) -> str:
    return str(made.session.get_one(Connection, made.kaufland_connection).key)


def shop_key(made: World) -> str:
    return str(made.session.get_one(Connection, made.shop_connection).key)


def test_mended_keys_wake_a_connection_that_needed_attention(
    world: World, run: Run, empty_redis: str
) -> None:
    connection = world.session.get_one(Connection, world.kaufland_connection)
    connection.state, connection.reason_code = "needs_attention", "signature.refused"
    result = run(
        "connect", "kaufland", "--connection", connection.key, "--set", f"secret_key={'a' * 64}", code=1
    )
    assert "does not accept our signature" in says(result)
    assert "needs_attention" in run("connections").stdout
    before = rings(empty_redis, "poll")
    run("connect", "kaufland", "--connection", connection.key, "--set", f"secret_key={DEMO_SECRET_KEY}")
    connection = world.session.get_one(Connection, world.kaufland_connection)
    assert (connection.state, connection.reason_code) == ("active", None)
    assert connection.settings["client_key"] == DEMO_CLIENT_KEY
    assert rings(empty_redis, "poll") > before


def test_check_asks_the_shop_and_activates_it(world: World, run: Run) -> None:
    world.session.get_one(Connection, world.shop_connection).state = "pending"
    assert "works and is active" in run("check", shop_key(world)).stdout
    assert told(run("check", "Kaufland.de", "--json"))["ok"] is True


def test_check_of_a_shop_that_is_away_says_so(world: World, run: Run) -> None:
    shop = world.session.get_one(Connection, world.shop_connection)
    shop.base_url, key = "http://127.0.0.1:1/", shop.key
    assert says(run("check", key, code=1)).startswith("Anna's Teeladen does not work:")
    assert told(run("check", key, "--json", code=1))["ok"] is False


@pytest.fixture
def sold(world: World) -> World:
    """Two pieces of one tea were bought, and the shop knows the order; another product has no place at Kaufland."""
    world.product("TEE-001", "4006381333931")
    world.product("TEE-002", "4012345678901", known=False)
    world.work()
    world.order(("TEE-001", 2, 790))
    world.work()
    return world


def test_lists_say_what_there_is(sold: World, run: Run) -> None:
    order = told(run("orders", "--json"))
    assert [(each["state"], each["total"], each["total_text"], each["shop_status"]) for each in order] == [
        ("in_shop", 1580, "15.80 EUR", "processing")
    ]
    offers = {each["sku"]: each for each in told(run("offers", "--json"))}
    assert (offers["TEE-001"]["state"], offers["TEE-001"]["stock"]) == ("on_sale", 8)
    assert re.search(r"TEE-001 .* 8 +7\.90 EUR ", run("offers").stdout)
    assert offers["TEE-002"]["reason_code"] == "product.unknown_gtin"
    assert "4012345678901" in offers["TEE-002"]["reason"]
    assert [each["code"] for each in told(run("cases", "--json"))] == ["product.unknown_gtin"]
    assert {each["role"] for each in told(run("connections", "--json"))} == {"shop", "marketplace"}
    assert "TEE-002" in run("offers", "--state", "needs_product").stdout
    assert "TEE-001" not in run("offers", "--state", "needs_product").stdout
    assert told(run("dead", "--json")) == []


def test_no_list_shows_a_buyer(sold: World, run: Run) -> None:
    shown = "".join(
        run(*each).stdout
        for each in (("orders", "--json"), ("order", "1", "--json"), ("events", "--json"), ("event", "1"))
    )
    assert "Muster" not in shown
    assert "Beispielweg" not in shown


def test_an_order_tells_its_story_in_the_merchants_language(sold: World, run: Run) -> None:
    order = sold.session.scalars(select(Order)).one()
    shown = run("order", f"ord_{order.id}").stdout
    assert "ist beim Marktplatz eingegangen" in shown
    assert re.search(r"Why is it not shipped yet\? \S+ Bestellung ist im Shop", shown)
    account = sold.session.get_one(Account, order.account_id)
    account.locale = "en"
    story = told(run("order", order.external_id, "--json"))
    assert story["timeline"][0]["says"].startswith("The order")
    assert story["why_not_shipped"]["code"] == "next.complete_in_shop"
    assert told(run("order", order.shop_number, "--json"))["id"] == f"ord_{order.id}"


def test_a_shipped_order_has_nothing_left_to_explain(sold: World, run: Run) -> None:
    order = sold.session.scalars(select(Order)).one()
    sold.in_shop(
        "complete", int(order.shop_order_id), tracking={"number": "00340434161094042557", "carrier": "dhl"}
    )
    sold.work()
    story = told(run("order", order.external_id, "--json"))
    assert story["why_not_shipped"] is None
    assert story["shipments"][0]["tracking_number"] == "00340434161094042557"
    assert told(run("orders", "--open", "--json")) == []
    assert len(told(run("orders", "--closed", "--json"))) == 1


def test_filters_narrow_events(sold: World, run: Run) -> None:
    everything = told(run("events", "--json"))
    placed = told(run("events", "--type", "order.placed", "--json"))
    assert 0 < len(placed) < len(everything)
    assert told(run("events", "--since", "2h", "--connection", shop_key(sold), "--json")) == everything
    assert told(run("events", "--until", "2h", "--json")) == []
    assert told(run("events", "--state", "dead", "--json")) == []
    assert len(told(run("events", "--limit", "1", "--json"))) == 1
    body = told(run("event", placed[0]["id"], "--body", "--json"))["body"]
    assert json.loads(body)["type"] == "order.placed"


@pytest.mark.parametrize(
    "command", [("event", "99"), ("order", "99"), ("check", "nobody"), ("token", "--account", "Chai GmbH")]
)
def test_what_is_not_there_is_said(sold: World, run: Run, command: tuple[str, ...]) -> None:
    assert says(run(*command, code=1)).startswith("There is no ")


def test_two_connections_of_one_name_are_told_apart_by_key(sold: World, run: Run, session: Session) -> None:
    chai = accounts.create_account(session, "Chai GmbH")
    accounts.connect_standard(session, chai, "Anna's Teeladen")
    assert shop_key(sold) in says(run("check", "anna's teeladen", code=1))


# --- replay -----------------------------------------------------------------------------------------


def test_one_event_is_worked_off_again(sold: World, run: Run, empty_redis: str) -> None:
    before = rings(empty_redis, "in")
    assert told(run("replay", "event", "evt_1", "--json")) == {"replayed": {"events": 1, "commands": 0}}
    assert sold.session.get_one(Event, 1).state == "due"
    assert rings(empty_redis, "in") > before
    sold.work(poll=False)
    assert sold.session.get_one(Event, 1).state in {"done", "superseded"}
    assert len(sold.shop_books()["orders_by_key"]) == 1


def test_everything_of_one_reason_is_replayed_in_both_directions(
    sold: World, run: Run, empty_redis: str
) -> None:
    sold.session.execute(text("UPDATE event SET state = 'dead', reason_code = 'job.crashed' WHERE id <= 2"))
    sold.session.execute(
        text("UPDATE event SET state = 'refused', reason_code = 'field.missing' WHERE id = 3")
    )
    sold.session.execute(
        text("UPDATE command SET state = 'dead', reason_code = 'job.crashed' WHERE kind = 'order.create'")
    )
    stuck = told(run("dead", "--json"))
    assert sorted(each["id"] for each in stuck if each["direction"] == "in") == ["evt_1", "evt_2", "evt_3"]
    assert [each["kind"] for each in stuck if each["direction"] == "out"] == ["order.create"]
    before = rings(empty_redis, "out")
    assert told(run("replay", "--reason", "job.crashed", "--json"))["replayed"] == {
        "events": 2,
        "commands": 1,
    }
    assert rings(empty_redis, "out") > before
    assert sold.session.get_one(Event, 3).state == "refused"
    sold.work(poll=False)
    assert sold.session.scalar(select(Command.state).where(Command.kind == "order.create")) == "done"
    assert list(sold.shop_books()["orders_by_key"].values()) == [1], "delivered again, created once"


def test_a_range_replays_what_is_stuck_and_with_done_too_everything(sold: World, run: Run) -> None:
    sold.session.execute(text("UPDATE event SET state = 'dead', reason_code = 'job.crashed' WHERE id = 1"))
    count = sold.session.scalar(select(func.count()).select_from(Event))
    of_shop = ("--connection", shop_key(sold), "--json")
    assert told(run("replay", "--until", "2h", *of_shop))["replayed"]["events"] == 0
    assert told(run("replay", "--since", "2h", *of_shop))["replayed"]["events"] == 1
    sold.work(poll=False)
    assert told(run("replay", "--since", "2h", "--done-too", *of_shop))["replayed"]["events"] == count


@pytest.mark.parametrize(
    "arguments",
    [(), ("--since", "2h"), ("--reason", "x", "--since", "2h"), ("event", "evt_99"), ("command", "cmd_99")],
)
def test_nothing_is_replayed_by_accident(sold: World, run: Run, arguments: tuple[str, ...]) -> None:
    run("replay", *arguments, code=1)
    assert sold.session.scalar(select(func.count()).select_from(Event).where(Event.state == "due")) == 0


# --- holiday, sync -------------------------------------------------------------------------------------


def test_holiday_counts_what_the_marketplace_confirmed(sold: World, run: Run) -> None:
    of_anna = ("--account", "Anna's Teeladen")
    assert "0 of 1 offers confirmed at 0" in run("holiday", "on", *of_anna).stdout
    sold.work()
    answer = told(run("holiday", "status", *of_anna, "--json"))
    assert (answer["on"], answer["offers"], answer["confirmed_at_zero"]) == (True, 1, 1)
    run("holiday", "off", *of_anna, "--connection", kaufland_key(sold))
    run("holiday", "off", *of_anna)
    sold.work()
    assert told(run("holiday", "status", *of_anna, "--json"))["confirmed_at_zero"] == 0
    assert (
        sold.session.scalar(select(Offer.desired["stock"].as_integer()).where(Offer.state == "on_sale")) == 8
    )


def test_holiday_names_marketplaces_that_hear_nothing_of_it(sold: World, run: Run) -> None:
    run("sync", "off", kaufland_key(sold))
    assert "Sending to Kaufland.de is off" in run("holiday", "on", "--account", "Anna's Teeladen").stdout


def test_sync_off_warns_how_many_offers_stay(sold: World, run: Run) -> None:
    assert "1 offers stay on sale" in run("sync", "off", "Kaufland.de").stdout
    assert sold.session.get_one(Connection, sold.kaufland_connection).sync is False
    run("sync", "on", "Kaufland.de")
    assert sold.session.get_one(Connection, sold.kaufland_connection).sync is True
    assert "is no marketplace" in says(run("sync", "off", shop_key(sold), code=1))


def test_a_plugin_gets_rotated_secrets_by_itself(sold: World, run: Run) -> None:
    before = list(sold.shop.outbox.secrets)
    run("rotate", shop_key(sold))
    sold.work(poll=False)
    assert next(iter(sold.shop.outbox.secrets)) not in before
    sold.product("TEE-NEW", "4012345678901")
    sold.work(poll=False)
    assert sold.session.scalar(select(func.count()).select_from(Product).where(Product.sku == "TEE-NEW")) == 1


def test_an_unplugged_marketplace_is_left_alone_and_its_name_is_free(sold: World, run: Run) -> None:
    assert "1 offers stay on sale" in run("remove", "Kaufland.de").stdout
    found = sold.session.get_one(Connection, sold.kaufland_connection)
    assert (found.state, found.name) == ("removed", f"Kaufland.de (removed {found.id})")
    sold.session.commit()
    calls = len(sold.kaufland_app.extensions["faults"].calls)
    sold.work()
    assert len(sold.kaufland_app.extensions["faults"].calls) == calls
    assert run("orders").stdout.count("ord_") >= 1


def test_after_a_restore_no_number_is_given_twice(sold: World, app: Flask) -> None:
    highest = sold.session.scalar(select(func.max(Command.id)))
    sold.session.commit()
    assert running.skip_numbers(app) > 10
    sold.order(("TEE-001", 1, 790))
    sold.work()
    newest = sold.session.scalars(select(Command.id).order_by(Command.id.desc())).first()
    assert newest > highest + running.SKIPPED
    assert len(sold.shop_books()["orders_by_key"]) == 2


# --- tokens and secrets -----------------------------------------------------------------------------------


def test_a_token_opens_the_api_for_its_account_only(
    sold: World, run: Run, client: FlaskClient, session: Session
) -> None:
    accounts.create_account(session, "Chai GmbH")

    def seen(*whose: str) -> int:
        token = told(run("token", *whose, "--json"))["token"]
        return len(client.get("/api/v1/orders", headers={"Authorization": f"Bearer {token}"}).json["data"])

    assert (seen("--account", "Anna's Teeladen"), seen("--account", "Chai GmbH"), seen("--operator")) == (
        1,
        0,
        1,
    )
    run("token", code=1)
    run("token", "--operator", "--account", "Anna's Teeladen", code=1)


def test_rotation_keeps_the_old_secret_for_a_day_and_now_does_not(
    run: Run, client: FlaskClient, app: Flask
) -> None:
    old = told(run("connect", "standard", "--account", "Anna's Teeladen", "--json"))
    new = told(run("rotate", old["connection_key"], "--json"))
    forget_senders(app, old["connection_key"])
    assert new["event_secret"] != old["event_secret"]
    assert (sent(client, old, 1).status_code, sent(client, new, 2).status_code) == (202, 202)
    last = told(run("rotate", old["connection_key"], "--now", "--json"))
    forget_senders(app, old["connection_key"])
    assert [sent(client, each, 3 + place).status_code for place, each in enumerate((old, new, last))] == [
        401,
        401,
        202,
    ]


def forget_senders(app: Flask, key: str) -> None:
    """Web processes keep a connection's secrets for some seconds; a test does not wait."""
    from app.web.senders import senders

    senders().forget(key)


def test_everything_is_encrypted_anew_under_the_newest_key(
    sold: World, run: Run, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, before = app.config["SHOPBRIDGE_MASTER_KEYS"][0], safe.vault
    new = run("reseal", "--new-key").stdout.strip()
    monkeypatch.setenv("SHOPBRIDGE_MASTER_KEYS", f"{new},{old}")
    try:
        first = told(run("reseal", "--json"))
        assert first["closed"] == 0
        assert first["resealed"]["connection.secrets"] == 2
        assert first["resealed"]["orders.buyer"] == 1
        assert first["resealed"]["event.body"] > 3
        assert set(told(run("reseal", "--json"))["resealed"].values()) == {0}
        monkeypatch.setenv("SHOPBRIDGE_MASTER_KEYS", new)
        assert json.loads(told(run("event", "1", "--body", "--json"))["body"])["type"]
        monkeypatch.setenv("SHOPBRIDGE_MASTER_KEYS", run("reseal", "--new-key").stdout.strip())
        assert "cannot be opened" in says(run("reseal", code=1))
    finally:
        safe.bind(before)


# --- doctor, conformance, demo -----------------------------------------------------------------------------


def test_the_doctor_ends_with_1_when_something_is_wrong(run: Run) -> None:
    answer = told(run("doctor", "--json", code=1))
    assert answer["healthy"] is False
    assert {"about", "level", "says", "to_do"} == set(answer["findings"][0])
    assert "WRONG" in run("doctor", code=1).stdout


def test_the_doctor_of_no_bridge_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("SHOPBRIDGE_DATA", str(tmp_path))
    result = CliRunner().invoke(cli.main, ["doctor"])
    assert result.exit_code == 1
    assert "shopbridge up" in result.stdout


def test_conformance_reads_what_a_system_sent(run: Run, client: FlaskClient) -> None:
    system = told(run("connect", "standard", "--account", "Anna's Teeladen", "--json"))
    sent(client, system)
    answer = told(run("conformance", "--connection", system["connection_key"], "--json"))
    assert answer["events"] == 1
    assert "whsec_" in run("conformance", "--kit").stdout
    run("conformance", code=1)


# --- the playground ---------------------------------------------------------------------------------------


def test_the_goods_of_the_sandbox_are_sound() -> None:
    goods = playground.goods()
    assert len({each["sku"] for each in goods}) == len({each["gtin"] for each in goods}) == 20
    assert all(gtin.is_valid(each["gtin"]) for each in goods)


def test_two_parcels_of_the_sandbox_have_different_numbers() -> None:
    numbers = [playground.parcel_number(order) for order in (32300499, 32300502)]
    assert len(set(numbers)) == 2
    assert all(len(each) == 20 for each in numbers)
    assert playground.parcel_number(161094042) == "00340434161610940428"  # weights 3 and 1 from the right


def test_the_sandbox_of_the_network_says_where_it_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    listening: list[int] = []

    class Server:
        def serve_forever(self) -> None: ...

    monkeypatch.setattr(playground, "_server", lambda made, port: listening.append(port) or Server())
    monkeypatch.setattr(playground, "_until_term", lambda server: None)
    shown = CliRunner().invoke(cli.main, ["sandbox", "network", "--port", "8093", "--port", "8095"]).stdout
    assert listening == [8095, 8093]
    assert "“Shop 8093”: http://127.0.0.1:8093" in shown
    assert "payment provider: http://127.0.0.1:8095" in shown


@pytest.mark.parametrize(
    "key", [each.key for each in registry.providers().values() if each.role == "payment"]
)
def test_every_setting_of_a_payment_provider_explains_itself(key: str) -> None:
    shown = CliRunner().invoke(cli.main, ["money", "connect", key, "--help"]).stdout
    for name, field in registry.provider(key).settings().fields.items():
        assert set(field.metadata["help"]) == {"de", "en"}
        assert re.search(rf"^  {name}( \(required\))?: \S", shown, re.MULTILINE), name


def test_an_empty_shelf_of_the_sandbox_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playground, "simulators", lambda: {"kaufland": "http://127.0.0.1:1"})
    monkeypatch.setattr(
        playground, "call", lambda *_: {"offers": [{"sku": "TEE-001", "on": True, "stock": 0}]}
    )
    assert says(CliRunner().invoke(cli.main, ["sandbox", "buy"])).startswith("Nothing is on sale there.")
    named = CliRunner().invoke(cli.main, ["sandbox", "buy", "--sku", "TEE-001", "--pieces", "3"])
    assert says(named).startswith("TEE-001 is not on sale there in this quantity.")


def test_the_demo_explains_its_own_options() -> None:
    assert "--short" in CliRunner().invoke(cli.main, ["demo", "--help"]).stdout


def test_up_refuses_what_cannot_work_before_it_starts_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.setenv("SHOPBRIDGE_DATA", str(tmp_path / "data"))
    server, url = serve(Flask("taken"))
    taken = url.rpartition(":")[2]
    public = CliRunner().invoke(cli.main, ["up", "--sandbox", "--host", "0.0.0.0"])  # noqa: S104 - it must refuse
    busy = CliRunner().invoke(cli.main, ["up", "--port", taken])
    busy_simulator = CliRunner().invoke(cli.main, ["up", "--port", "0", "--sandbox"])
    server.shutdown()
    server.server_close()
    assert (public.exit_code, busy.exit_code, busy_simulator.exit_code) == (1, 1, 2)
    assert "only on 127.0.0.1" in says(public)
    assert f"port {taken}" in says(busy)
    assert not (tmp_path / "data").exists()


def test_every_lane_of_the_queue_can_be_worked() -> None:
    worker = cli.main.get_command(click.Context(cli.main), "worker")
    assert worker is not None
    lane = next(each for each in worker.params if each.name == "lane")
    assert isinstance(lane.type, click.Choice)
    assert tuple(lane.type.choices) == queues.LANES
