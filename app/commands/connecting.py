"""Plugging partners in: marketplaces by their keys, supplier systems by a pair of secrets, shop plugins by a pairing code.

What may go wrong is said by the connection check in plain words (I1). Keys that a marketplace refuses are not kept.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from app import accounts, queues, registry
from app.commands import finding, opening, showing
from app.commands.problems import stop, told
from app.errors import ShopbridgeError, Unauthorised
from app.extensions import db
from app.rules import reasons

if TYPE_CHECKING:
    from flask import Flask
    from marshmallow import fields

    from app.models import Connection
    from app.registry import Provider


class Partners(click.Group):
    """`connect standard`, `connect sandbox`, and every marketplace that the registry knows."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Marketplaces in alphabetical order, then the others."""
        return [
            *(each.key for each in registry.providers().values() if each.role == "marketplace"),
            "standard",
            "sandbox",
        ]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Drawn from the provider's own settings."""
        if cmd_name == "standard":
            return standard
        if cmd_name == "sandbox":
            from app.commands.playground import connect_sandbox

            return connect_sandbox
        found = registry.providers().get(cmd_name)
        return _marketplace_command(found) if found is not None and found.role == "marketplace" else None


@click.group(cls=Partners)
def connect() -> None:
    """Plug in a marketplace, a supplier system or the sandbox. The account is made on first use.

    A WooCommerce shop connects itself with a code: `shopbridge pair`.
    """


# --- marketplaces ------------------------------------------------------------------------------------


def _marketplace_command(provider: Provider) -> click.Command:
    @click.command(provider.key, help=explained(provider), short_help=f"Plug in {provider.name}.")
    @click.option("--account", metavar="NAME", help="The merchant; made on first use.")
    @click.option(
        "--connection", metavar="KEY", help="Change settings of this connection instead of making one."
    )
    @click.option(
        "--set",
        "given",
        multiple=True,
        metavar="NAME=VALUE",
        help="One setting; may be repeated. Lists with commas, mappings as JSON.",
    )
    @click.option("--name", help=f"How the connection is called; default: {provider.name}.")
    @click.option("--base-url", help="Another address than the marketplace's own, e.g. of a test system.")
    @showing.json_option
    def command(
        account: str | None,
        connection: str | None,
        given: tuple[str, ...],
        name: str | None,
        base_url: str | None,
        as_json: bool,
    ) -> None:
        if (account is None) == (connection is None):
            stop("Say for whom: --account NAME for a new connection, or --connection KEY to change one.")
        values = read_given(provider, given)
        with opening.bridge() as app:
            if connection is not None:
                _change(provider, connection, values, as_json)
                return
            values = ask_missing(provider, values, as_json)
            owner = finding.account_or_new(db.session(), str(account), quiet=as_json)
            made = accounts.connect_marketplace(
                db.session(), owner, provider.key, values, name=name, base_url=base_url,
                allow_loopback=app.config["SHOPBRIDGE_ALLOW_LOOPBACK"],
            )  # fmt: skip
            db.session.commit()
            path = accounts.knock_path(made)
            _tell_new(made, look(made), as_json, f"{public_url(app)}{path}" if path else None)

    return command


def _change(provider: Provider, word: str, values: dict[str, Any], as_json: bool) -> None:
    found = finding.connection(db.session(), word, role="marketplace")
    if found.provider != provider.key:
        stop(f"“{found.name}” is no connection to {provider.name}.")
    accounts.change_marketplace(db.session(), found, values)
    db.session.commit()
    _tell_checked(found, look(found), as_json)


def explained(provider: Provider) -> str:
    lines = [
        f"Plug in {provider.name}. Settings for --set; required ones are asked for on a terminal:",
        "",
        "\b",
    ]
    for name, field in provider.settings().fields.items():
        said = field.metadata.get("help", {}).get("en", "")
        lines.append(f"{name}{' (required)' if field.required else ''}: {said}")
    return "\n".join(lines)


def read_given(provider: Provider, given: tuple[str, ...]) -> dict[str, Any]:
    """NAME=VALUE pairs, each turned into what its field expects."""
    known = provider.settings().fields
    values: dict[str, Any] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals:
            stop(f"“{pair}” is no setting: write --set {name}=VALUE.")
        if name not in known:
            stop(f"{provider.name} has no setting “{name}”. There are: {', '.join(known)}.")
        values[name] = _as_field(name, known[name], value)
    return values


def _as_field(name: str, field: fields.Field[Any], value: str) -> Any:
    """A command line has only text; numbers, lists and objects are recognised by the field."""
    from marshmallow import fields

    if isinstance(field, fields.List):
        return [each.strip() for each in value.split(",") if each.strip()]
    if isinstance(field, fields.Integer | fields.Boolean | fields.Dict):
        try:
            return json.loads(value)
        except ValueError:
            stop(f"The setting “{name}” must be {_kind(field)}, not “{value}”.")
    return value


def _kind(field: fields.Field[Any]) -> str:
    from marshmallow import fields

    if isinstance(field, fields.Boolean):
        return "true or false"
    return (
        "a whole number" if isinstance(field, fields.Integer) else 'a mapping as JSON, such as {"from": "to"}'
    )


def ask_missing(provider: Provider, values: dict[str, Any], as_json: bool) -> dict[str, Any]:
    """Ask for required settings that are missing, where somebody can answer."""
    for name, field in provider.settings().fields.items():
        if not field.required or name in values:
            continue
        if as_json or not sys.stdin.isatty():
            stop(f"{provider.name} needs the setting “{name}”: add --set {name}=VALUE.")
        if said := field.metadata.get("help", {}).get("en"):
            click.echo(said, err=True)
        label = field.metadata.get("label", {}).get("en", name)
        values[name] = click.prompt(label, hide_input=name in provider.secret_settings, err=True)
    return values


def _tell_new(made: Connection, checked: Mapping[str, Any], as_json: bool, knocks_at: str | None) -> None:
    """A connection whose keys are refused is not kept; one that could not be asked is, because the keys may be right."""
    if made.state == "needs_attention":
        name = made.name
        db.session.delete(made)
        db.session.commit()
        stop(f"{name} was not connected: {checked['says']}")
    for lane in ("poll", "out"):
        queues.ring(lane, made.id)
    if as_json:
        showing.as_json_text(
            {
                "connection": made.key,
                "name": made.name,
                "state": made.state,
                "check": checked,
                **({"knocks_at": knocks_at} if knocks_at else {}),
            }
        )
        return
    state = "is connected" if checked["ok"] else "is set up, but its keys could not be checked yet"
    click.echo(f"{made.name} {state} ({made.key}). {checked['says']}")
    if knocks_at is not None:
        click.echo(f"New orders arrive sooner when {made.name} may knock at this secret address: {knocks_at}")
    if made.shop_id is None:
        click.echo(
            "No shop gets its orders yet: connect one with `shopbridge pair` or `shopbridge connect standard`. "
            "Where the account has several, remove those that are not meant (`shopbridge remove`) before you connect the marketplace."
        )


# --- the check -----------------------------------------------------------------------------------------


def look(connection: Connection) -> dict[str, Any]:
    """Ask the partner whether the connection works, write down what came out, commit: {"ok", "says", "facts"}."""
    from app.jobs import Partner

    partner = Partner(connection)
    db.session.commit()
    ask: Callable[[Any], tuple[bool, str, dict[str, Any]]] = (
        _ask_shop if connection.role == "shop" else _ask_marketplace
    )
    try:
        ok, says, facts = ask(partner.client)
    except ShopbridgeError as error:
        ok, says, facts = False, told(error), {}
        if isinstance(error, Unauthorised):
            _needs_attention(connection, error.code, error.params)
    else:
        if ok:
            _works(connection, facts)
        else:
            _needs_attention(connection, facts.pop("code"), facts.pop("params"))
    db.session.commit()
    return {"ok": ok, "says": says, "facts": facts}


def _ask_marketplace(client: Any) -> tuple[bool, str, dict[str, Any]]:
    answer = client.check()
    if answer.ok:
        return True, "The keys work.", dict(answer.facts)
    reason = answer.reason
    says = f"{reasons.sentence(reason.code, reason.params, 'en')} {reasons.next_step(reason.code, reason.params, 'en')}"
    return False, says.strip(), {**answer.facts, "code": reason.code, "params": dict(reason.params)}


def _ask_shop(client: Any) -> tuple[bool, str, dict[str, Any]]:
    facts = client.ping(f"cmd_check_{secrets.token_hex(6)}")
    return True, "The shop answers.", dict(facts)


def _works(connection: Connection, facts: Mapping[str, Any]) -> None:
    from app.story import close_case

    if connection.state in {"needs_attention", "pending"}:
        connection.state, connection.reason_code, connection.reason_params = "active", None, {}
    connection.paused_until, connection.last_ok_at = None, datetime.now(UTC)
    if connection.role == "marketplace":
        connection.facts = {**connection.facts, "check": json.loads(json.dumps(facts, default=str))}
    close_case(db.session(), account_id=connection.account_id, subject=f"connection/{connection.id}")


def _needs_attention(connection: Connection, code: str, params: Mapping[str, Any]) -> None:
    from app import plan

    connection.state, connection.reason_code, connection.reason_params = (
        "needs_attention",
        code,
        plan.jsonable(params),
    )


@click.command()
@click.argument("connection")
@showing.json_option
def check(connection: str, as_json: bool) -> None:
    """Check one CONNECTION (key or name): does the partner accept us? When it works, it is active again and its work goes on."""
    with opening.bridge():
        found = finding.connection(db.session(), connection)
        if found.state == "removed":
            stop(f"{found.name} was removed. Pair the shop again with `shopbridge pair`.")
        if found.role == "shop" and not found.base_url:
            stop(
                f"{found.name} has no address to be asked at: it reports and pulls. Its last event came {showing.moment(found.last_event_at)}."
            )
        _tell_checked(found, look(found), as_json)


def _tell_checked(found: Connection, checked: Mapping[str, Any], as_json: bool) -> None:
    """What the check said; exit code 1 when it does not work."""
    lanes: tuple[queues.Lane, ...] = ("out", "poll", "in") if checked["ok"] else ()
    for lane in lanes:
        queues.ring(lane, found.id)
    if as_json:
        showing.as_json_text({"connection": found.key, "name": found.name, "state": found.state, **checked})
    if not checked["ok"]:
        if as_json:
            raise click.exceptions.Exit(1)
        stop(f"{found.name} does not work: {checked['says']}")
    if not as_json:
        click.echo(f"{found.name} works and is {found.state}. {checked['says']}")
        _tell_golive(checked["facts"])


def _tell_golive(facts: Mapping[str, Any]) -> None:
    """The way to go-live where a marketplace has one (O2): what is proven, what is left, and the letter to its support. Nothing when all is done."""
    steps: list[dict[str, Any]] = facts.get("golive") or []
    if all(step["done"] for step in steps):
        return
    click.echo("\nThe way to go-live:")
    for step in steps:
        shown = f" ({step['evidence']})" if step["evidence"] else ""
        click.echo(f"  [{'x' if step['done'] else ' '}] {step['what']['en']}{shown}")
    if letter := facts.get("support_text"):
        click.echo(f"\nFor the marketplace's support:\n\n{letter}")


# --- shops and suppliers ---------------------------------------------------------------------------------


@click.command()
@finding.account_option
@click.option("--name", default="Supplier", show_default=True, help="How the connection is called.")
@click.option(
    "--command-url",
    help="Where the system takes commands; without it, it pulls its orders by the supplier API.",
)
@showing.json_option
def standard(account: str, name: str, command_url: str | None, as_json: bool) -> None:
    """Plug in a supplier system, an ERP or a custom shop (docs/suppliers.md): answers its address and both secrets, once."""
    with opening.bridge() as app:
        owner = finding.account_or_new(db.session(), account, quiet=as_json)
        made, event_secret, command_secret = accounts.connect_standard(
            db.session(), owner, name, command_url, allow_loopback=app.config["SHOPBRIDGE_ALLOW_LOOPBACK"]
        )
        db.session.commit()
        queues.ring("out", made.id)
        base = public_url(app)
        answer = {
            "webhook_url": f"{base}/webhooks/{made.key}",
            "connection_key": made.key,
            "event_secret": event_secret,
            "command_secret": command_secret,
            "state": made.state,
        }
        showing.answer(answer, as_json)
        if not as_json:
            click.echo("The secrets are shown only now. Keep them where the system can read them.", err=True)


@click.command()
@click.argument("platform", default="woocommerce")
@finding.account_option
@showing.json_option
def pair(platform: str, account: str, as_json: bool) -> None:
    """Make a pairing code for the plugin of a PLATFORM (woocommerce): one use, 15 minutes. The merchant pastes it into the plugin."""
    with opening.bridge() as app:
        if platform not in (
            shops := [each.key for each in registry.providers().values() if each.role == "shop"]
        ):
            stop(f"There is no shop plugin “{platform}”. There are: {', '.join(shops)}.")
        owner = finding.account_or_new(db.session(), account, quiet=as_json)
        code = accounts.make_pairing(db.session(), owner, platform)
        expires = datetime.now(UTC) + timedelta(minutes=accounts.CODE_MINUTES)
        db.session.commit()
        showing.answer(
            {"bridge": public_url(app), "code": code, "expires_at": showing.moment(expires)}, as_json
        )


@click.command()
@click.option("--account", metavar="NAME", help="The merchant whose data the token may see.")
@click.option("--operator", is_flag=True, help="A token that sees all accounts, but no buyers.")
@click.option("--name", default="command line", show_default=True, help="What the token is for.")
@showing.json_option
def token(account: str | None, operator: bool, name: str, as_json: bool) -> None:
    """Make a token for the JSON API (/api/v1): for one merchant, or for the operator. Shown once."""
    if (account is None) == (not operator):
        stop("Say for whom: --account NAME or --operator.")
    with opening.bridge() as app:
        owner = None if account is None else finding.account(db.session(), account)
        made = accounts.make_token(db.session(), owner, name)
        db.session.commit()
        answer = {"token": made, "account": account, "api": f"{public_url(app)}/api/v1"}
        showing.answer(answer, as_json)


@click.command()
@click.argument("connection")
@click.option(
    "--now", is_flag=True, help="The old secrets stop working at once (they are known to a stranger)."
)
@showing.json_option
def rotate(connection: str, now: bool, as_json: bool) -> None:
    """Change the signing secrets of a shop or supplier CONNECTION; the old ones stay valid for 24 hours. Shown once."""
    with opening.bridge() as app:
        found = finding.connection(db.session(), connection, role="shop")
        told_shop = _tells_plugin(found, now=now)
        event_secret, command_secret = accounts.rotate_secrets(
            db.session(), found, 0 if now else accounts.OVERLAP_HOURS
        )
        if _hears_of_it(found, now=now):
            accounts.hand_over_secrets(db.session(), found)
        db.session.commit()
        queues.ring("out", found.id)
        answer = {
            "webhook_url": f"{public_url(app)}/webhooks/{found.key}",
            "connection_key": found.key,
            "event_secret": event_secret,
            "command_secret": command_secret,
            "old_secrets": "revoked" if now else f"valid for {accounts.OVERLAP_HOURS} hours",
        }
        showing.answer(answer, as_json)
        if not as_json:
            click.echo(told_shop, err=True)


def _hears_of_it(found: Connection, *, now: bool) -> bool:
    """A plugin can be told while the old secrets still prove who tells it; what has no command URL cannot."""
    return found.provider != "standard" and found.base_url is not None and not now


def _tells_plugin(found: Connection, *, now: bool) -> str:
    if found.provider == "standard":
        return "Give both secrets to the supplier's system."
    if _hears_of_it(found, now=now):
        return "The plugin gets the new secrets by itself; until then the old ones work."
    return "A plugin gets new secrets by pairing again: `shopbridge pair` gives the code, the shop keeps its connection."


def public_url(app: Flask) -> str:
    """The address under which shops reach the bridge."""
    config = app.config
    from app.machine.runfile import reachable

    own = f"http://{reachable(config['SHOPBRIDGE_HOST'])}:{config['SHOPBRIDGE_PORT']}"
    return str(config["SHOPBRIDGE_PUBLIC_URL"] or own).rstrip("/")
