"""How accounts, connections, pairing codes, tokens and signing secrets come into being; used by the web and the command line.

Each function writes into the caller's session and leaves the commit to the caller. What may go wrong is told with app.errors; secrets
are answered once and kept sealed or as a digest.
"""

from __future__ import annotations

import hashlib
import secrets as randomness
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import Schema, ValidationError
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app import outbox, registry
from app.errors import Invalid, Refused
from app.ledger.orders import OPERATOR
from app.models import Account, ApiToken, Connection, Offer, Pairing, Schedule
from app.outbound import check_url
from app.shops import signing

CODE_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # nothing that looks like something else
CODE_LENGTH = 10
CODE_MINUTES = 15
OVERLAP_HOURS = 24
MAX_NAME = 120
MAX_SECRETS = 10  # of one direction at the same time

TOKEN_PREFIX = "sb_"  # noqa: S105 - a prefix is no secret.


# --- accounts and tokens ---------------------------------------------------------------------------


def create_account(session: Session, name: str, *, locale: str = "de") -> Account:
    """A new tenant. Raises Invalid("account.name_taken") when there is one of this name."""
    name = _clean_name(name)
    if session.scalar(select(Account.id).where(Account.name == name)) is not None:
        raise Invalid("account.name_taken", field="name", name=name)
    account = Account(name=name, locale=locale)
    session.add(account)
    session.flush()
    return account


def make_token(session: Session, account: Account | None, name: str) -> str:
    """A bearer token of the JSON API, told once; None makes an operator's token, which sees all accounts."""
    token = TOKEN_PREFIX + randomness.token_urlsafe(32)
    account_id = None if account is None else account.id
    session.add(ApiToken(account_id=account_id, digest=digest(token), name=_clean_name(name)))
    session.flush()
    return token


def digest(secret: str) -> str:
    """What is kept of a token or a code. Both are random, so a plain SHA-256 cannot be guessed back."""
    return hashlib.sha256(secret.encode()).hexdigest()


# --- marketplaces ----------------------------------------------------------------------------------


def connect_marketplace(
    session: Session,
    account: Account,
    provider_key: str,
    settings: Mapping[str, Any],
    *,
    name: str | None = None,
    base_url: str | None = None,
    allow_loopback: bool = False,
) -> Connection:
    """Plug in a marketplace (I1): settings checked by its own schema, secret ones sealed, its polls due at once.

    Raises Invalid("settings.invalid") naming the first wrong field, Refused("address.forbidden"), LookupError for an unknown provider.
    """
    provider = registry.provider(provider_key)
    if provider.role != "marketplace":
        raise Invalid("settings.invalid", field="provider", expected="a marketplace")
    loaded = _checked(provider.settings(), settings)
    if base_url is not None:
        check_url(base_url, egress="tenant_url", allow_loopback=allow_loopback)
    hidden = {key: loaded.pop(key) for key in provider.secret_settings if key in loaded}
    connection = Connection(
        account_id=account.id,
        key=new_key(),
        provider=provider.key,
        role="marketplace",
        name=free_name(session, account.id, name or provider.name),
        state="active",
        settings=loaded,
        secrets={"settings": hidden, **({"hint": randomness.token_urlsafe(24)} if provider.knocks else {})},
        base_url=base_url,
        shop_id=only_shop(session, account.id),
    )
    session.add(connection)
    session.flush()
    _plan_looks(session, connection, provider)
    session.flush()
    return connection


def knock_path(connection: Connection) -> str | None:
    """The path, below the bridge's public address, where this marketplace may knock; None where it does not. Secret."""
    secret = (connection.secrets or {}).get("hint")
    return f"/hints/{connection.key}/{secret}" if secret else None


def _plan_looks(session: Session, connection: Connection, provider: registry.Provider) -> None:
    """When the marketplace is asked for what; also after its settings have changed."""
    looks = provider.looks(connection.settings)
    query = select(Schedule).where(Schedule.connection_id == connection.id)
    known = {row.kind: row for row in session.scalars(query)}
    for look in looks:
        row = known.pop(look.kind, None)
        if row is None:
            row = Schedule(connection_id=connection.id, kind=look.kind, failures=0)
            session.add(row)
        row.every, row.floor, row.pause = look.every, look.floor, look.every
    for row in known.values():
        session.delete(row)


def connect_payment(
    session: Session,
    provider_key: str,
    settings: Mapping[str, Any],
    *,
    name: str | None = None,
    base_url: str | None = None,
    allow_loopback: bool = False,
) -> Connection:
    """Plug the operator's payment provider in. New payments go there; what was instructed elsewhere before is finished there.

    Raises Invalid("settings.invalid") naming the first wrong field, Refused("address.forbidden"), LookupError for an unknown provider.
    """
    provider = registry.provider(provider_key)
    if provider.role != "payment":
        raise Invalid("settings.invalid", field="provider", expected="a payment provider")
    loaded = _checked(provider.settings(), settings)
    if base_url is not None:
        check_url(base_url, egress="tenant_url", allow_loopback=allow_loopback)
    operator = session.scalar(select(Account).where(Account.name == OPERATOR))
    operator = operator or create_account(session, OPERATOR)
    hidden = {key: loaded.pop(key) for key in provider.secret_settings if key in loaded}
    connection = Connection(
        account_id=operator.id,
        key=new_key(),
        provider=provider.key,
        role="payment",
        name=free_name(session, operator.id, name or provider.name),
        state="active",
        settings=loaded,
        secrets={"settings": hidden},
        base_url=base_url,
    )
    session.add(connection)
    session.flush()
    return connection


def change_payment(session: Session, connection: Connection, settings: Mapping[str, Any]) -> None:
    """Change some settings of a payment connection; the others stay, secret ones too. Raises Invalid("settings.invalid")."""
    provider = registry.provider(connection.provider)
    sealed = dict(connection.secrets or {})
    loaded = _checked(provider.settings(), {**connection.settings, **sealed.get("settings", {}), **settings})
    hidden = {key: loaded.pop(key) for key in provider.secret_settings if key in loaded}
    connection.settings, connection.secrets = loaded, {**sealed, "settings": hidden}


def change_marketplace(session: Session, connection: Connection, settings: Mapping[str, Any]) -> None:
    """Change some settings of a marketplace; the others stay, secret ones too. Its offers are looked at anew.

    A setting may shape what is sent (delivery, taxes, the mapping of product data), or be the reason why offers were refused: where one has
    changed, everything is sent once more, and whole.

    Raises Invalid("settings.invalid") naming the first wrong field; then nothing is changed.
    """
    provider = registry.provider(connection.provider)
    sealed = dict(connection.secrets or {})
    wanted = {**connection.settings, **sealed.get("settings", {}), **settings}
    loaded = _checked(provider.settings(), wanted)
    hidden = {key: loaded.pop(key) for key in provider.secret_settings if key in loaded}
    changed = loaded != connection.settings
    connection.settings, connection.secrets = loaded, {**sealed, "settings": hidden}
    _plan_looks(session, connection, provider)
    session.execute(
        update(Offer)
        .where(Offer.connection_id == connection.id)
        .values(stale=True, next_attempt_at=func.now())
    )
    if changed:
        session.execute(
            update(Offer)
            .where(Offer.connection_id == connection.id, Offer.desired.is_not(None))
            .values(revision=Offer.revision + 1, confirmed=None)
        )


def _checked(schema: Schema, settings: Mapping[str, Any]) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(dict(settings))
    except ValidationError as error:
        field, expected = _first(error.messages)
        raise Invalid("settings.invalid", field=field, expected=expected) from None
    return loaded


def _first(messages: Any, path: str = "") -> tuple[str, str]:
    """The first wrong field and what is expected of it."""
    if isinstance(messages, Mapping):
        name, inner = next(iter(messages.items()))
        return _first(inner, path if name == "_schema" else f"{path}.{name}".lstrip("."))
    return path or "settings", str(messages[0] if isinstance(messages, list) else messages)


# --- shops -----------------------------------------------------------------------------------------


def connect_standard(
    session: Session,
    account: Account,
    name: str,
    command_url: str | None = None,
    *,
    allow_loopback: bool = False,
) -> tuple[Connection, str, str]:
    """Plug in a supplier system or custom shop (D6): (connection, event secret, command secret).

    Without a command URL it reports, pulls its orders by the supplier API and is active at once; with one it must answer a ping first. Raises Refused("address.forbidden").
    """
    if command_url is not None:
        check_url(command_url, egress="tenant_url", allow_loopback=allow_loopback)
    connection = Connection(
        account_id=account.id,
        key=new_key(),
        provider="standard",
        role="shop",
        name=free_name(session, account.id, name),
        state="active" if command_url is None else "pending",
        settings=_shop_settings("standard", {"locale": account.locale}),
        secrets=_new_secrets(),
        base_url=command_url,
    )
    session.add(connection)
    session.flush()
    adopt_marketplaces(session, connection)
    if command_url is not None:
        ping(session, connection, "connected")
    return connection, _newest(connection, "event"), _newest(connection, "command")


def make_pairing(session: Session, account: Account, provider_key: str) -> str:
    """A pairing code for a shop plugin: 15 minutes, one use. Told once. Raises LookupError for an unknown provider."""
    provider = registry.provider(provider_key)
    if provider.role != "shop":
        raise Invalid("settings.invalid", field="provider", expected="a shop")
    code = "".join(randomness.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
    expires_at = datetime.now(UTC) + timedelta(minutes=CODE_MINUTES)
    session.add(
        Pairing(account_id=account.id, provider=provider.key, digest=digest(code), expires_at=expires_at)
    )
    session.flush()
    return f"{code[:5]}-{code[5:]}"


def plain_code(typed: str) -> str:
    """The code in what a person typed: blanks, dashes and small letters are forgiven."""
    return "".join(letter for letter in typed.upper() if letter.isalnum())


def pairing_is_open(session: Session, code: str) -> bool:
    """Whether this code could be used now. Only `redeem` decides."""
    query = select(Pairing.id).where(
        Pairing.digest == digest(code), Pairing.used_at.is_(None), Pairing.expires_at > func.now()
    )
    return session.scalar(query) is not None


def redeem(session: Session, code: str) -> tuple[int, int, str]:
    """Use a code up: (pairing id, account id, provider). Of many at the same moment one gets it, the others Refused("pairing.code_invalid")."""
    used = session.execute(
        update(Pairing)
        .where(Pairing.digest == digest(code), Pairing.used_at.is_(None), Pairing.expires_at > func.now())
        .values(used_at=func.now())
        .returning(Pairing.id, Pairing.account_id, Pairing.provider)
    ).one_or_none()
    if used is None:
        raise Refused("pairing.code_invalid")
    return used.id, used.account_id, used.provider


def connect_plugin(session: Session, code: str, told: Mapping[str, Any]) -> tuple[Connection, str, str]:
    """What a shop plugin gets for a good code: (connection, event secret, command secret), and a ping on its way.

    The same shop of the same account gets its old connection again with new secrets, so that nothing is doubled; its old secrets stay
    valid for a day. Raises Refused("pairing.code_invalid") and Invalid("pairing.wrong_platform").
    """
    pairing_id, account_id, provider = redeem(session, code)
    if told["platform"] != provider:
        raise Invalid("pairing.wrong_platform", field="platform", expected=provider)
    # Two pairings of one account wait for each other here, so that a shop is never plugged in twice.
    session.execute(select(Account.id).where(Account.id == account_id).with_for_update())
    connection = _same_shop(session, account_id, provider, told["shop_url"])
    if connection is None:
        connection = _new_shop(session, account_id, provider, told)
    else:
        _again(connection, told)
    session.flush()
    adopt_marketplaces(session, connection)
    ping(session, connection, f"pairing-{pairing_id}")
    return connection, _newest(connection, "event"), _newest(connection, "command")


def _same_shop(session: Session, account_id: int, provider: str, shop_url: str) -> Connection | None:
    return session.scalar(
        select(Connection)
        .where(
            Connection.account_id == account_id,
            Connection.role == "shop",
            Connection.provider == provider,
            Connection.settings["shop_url"].astext == shop_url,
        )
        .order_by(Connection.id)
        .limit(1)
        .with_for_update()
    )


def _new_shop(session: Session, account_id: int, provider: str, told: Mapping[str, Any]) -> Connection:
    connection = Connection(
        account_id=account_id,
        key=new_key(),
        provider=provider,
        role="shop",
        name=free_name(session, account_id, told["shop_name"]),
        state="pending",
        settings={**_shop_settings(provider, told), **_platform(told)},
        secrets=_new_secrets(),
        base_url=told["command_url"],
    )
    session.add(connection)
    return connection


def _again(connection: Connection, told: Mapping[str, Any]) -> None:
    """Same connection, new secrets. What the merchant has set stays."""
    connection.secrets = _rotated(connection.secrets, OVERLAP_HOURS)
    connection.base_url = told["command_url"]
    connection.settings = {**connection.settings, **_platform(told)}
    connection.state = "pending"
    connection.reason_code, connection.reason_params, connection.paused_until = None, {}, None


def _platform(told: Mapping[str, Any]) -> dict[str, Any]:
    """What the plugin says about its shop. The code is a secret and no setting, the language is the merchant's choice later."""
    names = ("shop_url", "platform", "platform_version", "plugin_version", "currency", "country", "timezone")
    return {name: told[name] for name in names}


def _shop_settings(provider: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """A shop's options with their defaults; messages in the shop's language."""
    language = str(told.get("locale") or "de")[:2].lower()
    loaded: dict[str, Any] = (
        registry.provider(provider).settings().load({"locale": language if language == "de" else "en"})
    )
    return loaded


def adopt_marketplaces(session: Session, shop: Connection) -> None:
    """Marketplaces of the account that have no shop yet send their orders to this one, and look at its products at once.

    So does the connection of the dropshipping network (K6), which is there from the day the merchant became a supplier.
    """
    adopted = session.scalars(
        update(Connection)
        .where(
            Connection.account_id == shop.account_id,
            Connection.role.in_(("marketplace", "network")),
            Connection.shop_id.is_(None),
        )
        .values(shop_id=shop.id)
        .returning(Connection.id)
    ).all()
    if adopted:
        due_now = (
            update(Schedule)
            .where(Schedule.connection_id.in_(adopted), Schedule.kind == "drift")
            .values(due_at=func.now())
        )
        session.execute(due_now)


def only_shop(session: Session, account_id: int) -> int | None:
    """The account's shop when it has exactly one."""
    query = select(Connection.id).where(
        Connection.account_id == account_id, Connection.role == "shop", Connection.state != "removed"
    )
    shops = session.scalars(query.limit(2)).all()
    return shops[0] if len(shops) == 1 else None


def ping(session: Session, connection: Connection, why: str) -> None:
    """The signed ping that activates a connection; it is sent after the caller's commit."""
    outbox.write(
        session,
        account_id=connection.account_id,
        connection_id=connection.id,
        kind="ping",
        subject="shop",
        key=f"ping:{why}",
        payload={},
    )


# --- signing secrets -------------------------------------------------------------------------------


def rotate_secrets(
    session: Session, connection: Connection, overlap_hours: float = OVERLAP_HOURS
) -> tuple[str, str]:
    """New signing secrets of both directions, told once: (event, command). The old ones stay valid for the overlap; 0 revokes them now.

    The shop is not told by this: who rotates hands the secrets over (command secret.rotate, or by hand for a supplier).
    """
    if connection.role != "shop":
        raise Refused("connection.not_a_shop")
    connection.secrets = _rotated(connection.secrets, overlap_hours)
    session.flush()
    return _newest(connection, "event"), _newest(connection, "command")


def hand_over_secrets(session: Session, connection: Connection) -> None:
    """Tell the shop its newest secrets by command, signed with the old ones too. The command holds no secret; they are read when it is sent."""
    outbox.write(
        session,
        account_id=connection.account_id,
        connection_id=connection.id,
        kind="secret.rotate",
        subject="shop",
        key=f"secret.rotate:{datetime.now(UTC).isoformat()}",
    )


def _new_secrets() -> dict[str, Any]:
    return {
        direction: [{"secret": signing.new_secret(), "until": None}] for direction in ("event", "command")
    }


def _rotated(secrets: Mapping[str, Any], overlap_hours: float) -> dict[str, Any]:
    """A new secret in front of each direction; those still valid end after the overlap, or earlier if they were to end earlier."""
    now = datetime.now(UTC)
    end = now + timedelta(hours=overlap_hours)
    rotated = dict(secrets)
    for direction in ("event", "command"):
        kept = [_ending(entry, end) for entry in secrets.get(direction, [])]
        still = [entry for entry in kept if datetime.fromisoformat(entry["until"]) > now]
        rotated[direction] = [{"secret": signing.new_secret(), "until": None}, *still][:MAX_SECRETS]
    return rotated


def _ending(entry: Mapping[str, Any], end: datetime) -> dict[str, Any]:
    until = entry.get("until")
    last = end if until is None else min(end, datetime.fromisoformat(until))
    return {"secret": entry["secret"], "until": last.isoformat()}


def _newest(connection: Connection, direction: str) -> str:
    return str(connection.secrets[direction][0]["secret"])


# --- names -----------------------------------------------------------------------------------------


def new_key() -> str:
    """The unguessable name of a connection in its webhook URL."""
    return f"cn_{randomness.token_hex(10)}"


def free_name(session: Session, account_id: int, wanted: str) -> str:
    """The wanted name, with a number behind it where the account has one of that name already."""
    wanted = _clean_name(wanted)
    taken = set(session.scalars(select(Connection.name).where(Connection.account_id == account_id)))
    if wanted not in taken:
        return wanted
    return next(name for n in range(2, len(taken) + 3) if (name := f"{wanted} ({n})") not in taken)


def _clean_name(name: str) -> str:
    """One line of at most 120 printable characters. Raises Invalid for an empty one."""
    clean = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())[
        :MAX_NAME
    ].strip()
    if not clean:
        raise Invalid("field.invalid", field="name", expected="a name")
    return clean
