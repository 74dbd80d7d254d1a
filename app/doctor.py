"""The doctor: looks at everything the bridge stands on and says, for each finding, what to do. It changes nothing.

What may go wrong is what it is for: a check whose own ground is missing (no database) says so, and the others go on. Needs an application context.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import redis
from flask import current_app
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import defer

from app import queues
from app.extensions import db, safe
from app.models import Case, Command, Connection, Event, Heartbeat
from app.rules import reasons
from app.vault import VaultError

Level = Literal["ok", "warn", "wrong"]

OLDEST_POSTGRES = 150000
SILENT = timedelta(seconds=60)  # a beat comes every 15 seconds at the latest
LATE = timedelta(minutes=1)
TOO_LATE = timedelta(minutes=10)
LONG_PENDING = timedelta(hours=1)
NO_ANSWER = timedelta(minutes=20)  # marketplaces are asked every 5 minutes


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `says` what is, `to_do` what to do about it (empty when nothing)."""

    about: str
    level: Level
    says: str
    to_do: str = ""


def examine() -> list[Finding]:
    """Everything, in the order in which one would mend it."""
    found = [*_database()]
    ground = all(each.level != "wrong" for each in found)
    found += [*_migrations()] if ground else []
    ground = all(each.level != "wrong" for each in found)
    checks: list[Callable[[], Iterable[Finding]]] = [_redis, _addresses]
    if ground:
        checks += [_master_key, _clock, _workers, _lanes, _books, _connections, _stuck]
    for check in checks:
        found += check()
    db.session.rollback()
    return found


# --- the ground ----------------------------------------------------------------------------------------------


def _database() -> Iterator[Finding]:
    try:
        number = int(db.session.execute(text("SHOW server_version_num")).scalar() or 0)
        size = db.session.execute(
            text("SELECT pg_size_pretty(pg_database_size(current_database()))")
        ).scalar()
    except SQLAlchemyError as error:
        db.session.rollback()
        why = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines()[0]
        yield Finding(
            "database", "wrong", f"The database does not answer: {why}", "Start it, or correct DATABASE_URL."
        )
        return
    version = f"{number // 10000}.{number % 10000}"
    if number < OLDEST_POSTGRES:
        yield Finding("database", "wrong", f"PostgreSQL {version} is too old.", "Use PostgreSQL 15 or newer.")
    else:
        yield Finding("database", "ok", f"PostgreSQL {version}, {size}.")


def _migrations() -> Iterator[Finding]:
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    newest = ScriptDirectory.from_config(config).get_current_head()
    with db.engine.connect() as connection:
        there = MigrationContext.configure(connection).get_current_revision()
    if there == newest:
        yield Finding("migrations", "ok", f"The tables are at revision {there}.")
    elif there is None:
        yield Finding("migrations", "wrong", "The tables are missing.", "Run `shopbridge migrate`.")
    else:
        says = f"The tables are at revision {there}, this release wants {newest}."
        yield Finding(
            "migrations", "wrong", says, "Run `shopbridge migrate` with the newest release on any machine."
        )


def _redis() -> Iterator[Finding]:
    if not current_app.config["REDIS_URL"]:
        yield Finding(
            "redis", "wrong", "REDIS_URL is not set.", "Set it, or run everything with `shopbridge up`."
        )
        return
    try:
        store = queues.connect()
        waiting = queues.depth()
        policy = _policy(store)
    except (redis.RedisError, OSError, ValueError) as error:
        says = f"Redis does not answer ({type(error).__name__}). Events are still taken in, but nothing is worked off."
        yield Finding("redis", "wrong", says, "Start it, or correct REDIS_URL. Nothing is lost meanwhile.")
        return
    if policy not in {"noeviction", None}:
        to_do = "Set maxmemory-policy to noeviction; until then bells get lost and work starts late."
        yield Finding("redis", "warn", f"Redis may throw entries away (maxmemory-policy {policy}).", to_do)
    told = ", ".join(f"{lane} {count}" for lane, count in waiting.items())
    yield Finding("redis", "ok", f"Redis answers; jobs waiting: {told}.")


def _policy(store: redis.Redis) -> str | None:
    """None where the server does not tell (managed ones often forbid CONFIG)."""
    try:
        told: Any = store.config_get("maxmemory-policy")
    except redis.ResponseError:
        return None
    return str(told.get("maxmemory-policy")) if told else None


# --- addresses -------------------------------------------------------------------------------------------------


def _addresses() -> Iterator[Finding]:
    config = current_app.config
    public, host = str(config["SHOPBRIDGE_PUBLIC_URL"]), str(config["SHOPBRIDGE_HOST"])
    local = _is_local(urlsplit(public).hostname or "") if public else _is_local(host)
    if config["SHOPBRIDGE_ALLOW_LOOPBACK"] and not local:
        says = "SHOPBRIDGE_ALLOW_LOOPBACK is on, and others reach this bridge: whoever may connect a shop can make it call this machine."
        yield Finding(
            "loopback", "wrong", says, "Take SHOPBRIDGE_ALLOW_LOOPBACK out (and start without --sandbox)."
        )
    yield from _public_url(public, host, sandbox=bool(config["SHOPBRIDGE_ALLOW_LOOPBACK"]))


def _public_url(public: str, host: str, *, sandbox: bool) -> Iterator[Finding]:
    """The address that shops are told; only its form, because from here it may look different than from outside."""
    to_do = "Set SHOPBRIDGE_PUBLIC_URL to the https address of your proxy, e.g. https://bridge.example."
    if not public:
        if not _is_local(host):
            yield Finding(
                "address", "wrong", f"Shops would be told to call http://{host}: that is no address.", to_do
            )
        elif sandbox:
            yield Finding("address", "ok", "Only this machine can reach the bridge: right for the sandbox.")
        else:
            yield Finding(
                "address",
                "warn",
                f"SHOPBRIDGE_PUBLIC_URL is empty: shops on other machines cannot reach {host}.",
                to_do,
            )
        return
    parts = urlsplit(public)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        yield Finding("address", "wrong", f"SHOPBRIDGE_PUBLIC_URL is no web address: {public}", to_do)
    elif parts.query or parts.fragment or parts.username:
        yield Finding("address", "wrong", "SHOPBRIDGE_PUBLIC_URL must be only scheme, name and path.", to_do)
    elif parts.scheme == "http" and not _is_local(parts.hostname):
        yield Finding(
            "address",
            "wrong",
            f"{public} is not https: events and addresses of buyers would travel openly.",
            to_do,
        )
    else:
        yield Finding("address", "ok", f"Shops are told {public.rstrip('/')}/webhooks/...")


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# --- keys --------------------------------------------------------------------------------------------------------


def _master_key() -> Iterator[Finding]:
    """Opens one sealed value of every kind that there is; a wrong key is found before the next order needs it."""
    query = text("SELECT secrets FROM connection ORDER BY id")
    closed = 0
    for sealed in db.session.execute(query).scalars():
        try:
            safe.vault.open(bytes(sealed))
        except VaultError:
            closed += 1
    if closed:
        says = f"The master key does not open the secrets of {closed} connections."
        to_do = (
            "Add the old key to SHOPBRIDGE_MASTER_KEYS (newest first), or put master.key of your backup back."
        )
        yield Finding("master key", "wrong", says, to_do)
        return
    yield from _key_file()


def _key_file() -> Iterator[Finding]:
    if current_app.config["SHOPBRIDGE_MASTER_KEYS"]:
        count = len(current_app.config["SHOPBRIDGE_MASTER_KEYS"])
        yield Finding("master key", "ok", f"{count} from SHOPBRIDGE_MASTER_KEYS.")
        return
    path = Path(current_app.config["SHOPBRIDGE_DATA"]) / "master.key"
    if path.exists() and path.stat().st_mode & 0o077:
        yield Finding("master key", "wrong", f"Others on this machine may read {path}.", f"chmod 600 {path}")
    else:
        yield Finding("master key", "ok", f"In {path}. Keep a copy apart from the database backup.")


# --- processes ---------------------------------------------------------------------------------------------------


def _silence(name: str, last: datetime) -> str:
    return f"{name} was last heard {_long(datetime.now(UTC) - last)} ago"


def _clock() -> Iterator[Finding]:
    last = db.session.scalar(select(Heartbeat.at).where(Heartbeat.name == "clock"))
    if last is None or datetime.now(UTC) - last > SILENT:
        says = "No clock has ever run here." if last is None else f"{_silence('The clock', last)}."
        to_do = "Start `shopbridge clock`: without it no retry, no poll and no wait begins."
        yield Finding("clock", "wrong", says, to_do)
    else:
        yield Finding("clock", "ok", "The clock beats.")


def _books() -> Iterator[Finding]:
    """What the clock found when it last looked at the network's books; nothing while there is no money."""
    row = db.session.execute(select(Heartbeat.at, Heartbeat.facts).where(Heartbeat.name == "ledger")).first()
    if row is None:
        return
    broken = int(row.facts.get("breaches", 0))
    if broken:
        says = f"{broken} rules of the network's books do not hold; releases and payouts rest."
        yield Finding("books", "wrong", says, "`shopbridge cases` shows which; find the cause.")
    else:
        yield Finding("books", "ok", "Every rule of the network's books holds.")


def _workers() -> Iterator[Finding]:
    rows = db.session.execute(
        select(Heartbeat.name, Heartbeat.at, Heartbeat.facts).where(
            Heartbeat.name.not_in(("clock", "ledger"))
        )
    ).all()
    now = datetime.now(UTC)
    living = [row for row in rows if now - row.at <= SILENT]
    for lane in queues.LANES:
        count = sum(row.facts.get("lane") == lane for row in living)
        if count:
            yield Finding(f"worker {lane}", "ok", f"{count} running.")
        else:
            says = f"No worker of the lane “{lane}” is running."
            yield Finding(
                f"worker {lane}",
                "wrong",
                says,
                f"Start `shopbridge worker {lane}`. What is due waits meanwhile.",
            )
    for row in rows:
        if now - row.at > SILENT and now - row.at < timedelta(days=1):
            yield Finding(
                "worker",
                "warn",
                f"{_silence(row.name, row.at)}.",
                "If it was stopped on purpose, forget this; it is gone tomorrow.",
            )


# --- work ----------------------------------------------------------------------------------------------------------

# The oldest row that is due and could go now, by lane. Connections that rest or need attention are told on their own.
_OLDEST = {
    "in": """
        SELECT min(next_attempt_at) FROM event
        WHERE state IN ('due', 'leased') AND next_attempt_at <= now() AND (state = 'due' OR lease_until < now())""",
    "out": """
        SELECT least(
            (SELECT min(k.next_attempt_at) FROM command k JOIN connection c ON c.id = k.connection_id
             WHERE k.state IN ('due', 'leased') AND k.next_attempt_at <= now() AND (k.state = 'due' OR k.lease_until < now())
               AND c.state = 'active' AND (c.paused_until IS NULL OR c.paused_until <= now())),
            (SELECT min(o.next_attempt_at) FROM offer o JOIN connection c ON c.id = o.connection_id
             WHERE (o.stale OR o.sent_revision < o.revision) AND o.next_attempt_at <= now()
               AND (o.lease_until IS NULL OR o.lease_until < now())
               AND c.state = 'active' AND c.sync AND (c.paused_until IS NULL OR c.paused_until <= now())))""",
    "poll": """
        SELECT min(s.due_at) FROM schedule s JOIN connection c ON c.id = s.connection_id
        WHERE s.due_at <= now() AND (s.lease_until IS NULL OR s.lease_until < now())
          AND c.state = 'active' AND (c.paused_until IS NULL OR c.paused_until <= now())""",
}


def _lanes() -> Iterator[Finding]:
    for lane, query in _OLDEST.items():
        oldest: datetime | None = db.session.execute(text(query)).scalar()
        waited = timedelta() if oldest is None else datetime.now(UTC) - oldest
        if waited <= LATE:
            yield Finding(f"lane {lane}", "ok", "Nothing waits longer than it should.")
            continue
        says = f"The oldest due work waits since {_long(waited)}."
        to_do = f"Look at the workers above; more of them help: `shopbridge worker {lane}`."
        yield Finding(f"lane {lane}", "wrong" if waited > TOO_LATE else "warn", says, to_do)


def _connections() -> Iterator[Finding]:
    query = (
        select(Connection)
        .where(Connection.state != "removed")
        .options(defer(Connection.secrets))
        .order_by(Connection.id)
    )
    now, well = datetime.now(UTC), 0
    for each in db.session.scalars(query):
        problem = _connection(each, now)
        if problem is None:
            well += 1
        else:
            yield problem
    yield Finding("connections", "ok", f"{well} work.")


def _connection(each: Connection, now: datetime) -> Finding | None:
    name = f"{each.account.name} / {each.name}"
    if each.state == "needs_attention":
        code = each.reason_code or "connection.paused"
        says = f"{name}: {reasons.sentence(code, each.reason_params, 'en')}"
        return Finding(
            "connection",
            "wrong",
            says,
            f"{reasons.next_step(code, each.reason_params, 'en')} Then: shopbridge check {each.key}",
        )
    if each.state == "paused":
        return Finding(
            "connection",
            "warn",
            f"{name} is paused: nothing is sent and nothing is fetched.",
            f"shopbridge check {each.key}",
        )
    if each.state == "pending" and now - each.created_at > LONG_PENDING:
        says = f"{name} waits since {_long(now - each.created_at)} for the first answer of the shop."
        return Finding(
            "connection", "warn", says, f"shopbridge check {each.key} says why it does not answer."
        )
    if each.paused_until is not None and each.paused_until > now:
        return Finding(
            "connection",
            "warn",
            f"{name} rests for {_long(each.paused_until - now)} because the partner asked for it.",
        )
    if each.role == "marketplace" and now - (each.last_ok_at or each.created_at) > NO_ANSWER:
        since = _long(now - (each.last_ok_at or each.created_at))
        says = (
            f"{name} has not answered since {since}"
            if each.last_ok_at
            else f"{name} has never answered in {since}"
        )
        return Finding(
            "connection", "wrong", f"{says}: no orders come in.", f"shopbridge check {each.key} says why."
        )
    if not each.sync:
        return Finding(
            "connection", "warn", f"{name}: sending offers is switched off.", f"shopbridge sync on {each.key}"
        )
    return None


def _stuck() -> Iterator[Finding]:
    dead = sum(
        int(
            db.session.scalar(
                select(func.count()).select_from(table).where(table.state.in_(("refused", "dead")))
            )
            or 0
        )
        for table in (Event, Command)
    )
    cases = int(db.session.scalar(select(func.count()).select_from(Case).where(Case.state == "open")) or 0)
    if dead:
        yield Finding(
            "stuck",
            "warn",
            f"{dead} events or commands are refused or dead.",
            "`shopbridge dead` says why; then `shopbridge replay`.",
        )
    if cases:
        yield Finding("cases", "warn", f"{cases} open problems.", "`shopbridge cases` lists them.")
    if not dead and not cases:
        yield Finding("stuck", "ok", "Nothing is stuck.")


def _long(span: timedelta) -> str:
    """90 s, 12 min, 5 h, 3 days."""
    seconds = int(span.total_seconds())
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
