"""What a shop plugin asks the bridge: to be connected for a pairing code, and how its connection is (protocol section 2).

What may go wrong: guessed codes (10 tries a minute and address, each code works once), a command URL that leads into our own network
(refused), a plugin that is connected twice (it gets its old connection back). The shop is never called inside these requests.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import limits
import limits.strategies
import structlog
from flask import Blueprint, Flask, Response, current_app, request
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate
from sqlalchemy import func, select

from app import accounts, queues
from app.errors import Invalid, Refused
from app.extensions import db
from app.models import Case, Connection, Event
from app.outbound import check_url
from app.rules import reasons
from app.shops import envelope
from app.web import answers, bodies, webhooks
from app.web.senders import senders

blueprint = Blueprint("plugin", __name__)
log = structlog.get_logger(__name__)

TRIES = limits.parse("10/minute")


class Printable(fields.String):
    """One line without control characters."""

    def __init__(self, longest: int, **kwargs: Any) -> None:
        kwargs.setdefault("required", True)
        super().__init__(validate=[validate.Length(min=1, max=longest), self._one_line], **kwargs)

    @staticmethod
    def _one_line(value: str) -> None:
        if not value.isprintable() or not value.strip():
            raise ValidationError("one line of text")


class ConnectRequest(Schema):
    """`POST /plugin/connect`, field by field as in docs/protocol.md. A newer plugin may say more."""

    class Meta:
        unknown = EXCLUDE

    code = Printable(40)
    platform = Printable(40)
    platform_version = Printable(40)
    plugin_version = Printable(40)
    shop_name = Printable(200)
    shop_url = Printable(500)
    command_url = Printable(500)
    currency = fields.String(required=True, validate=validate.Regexp(r"[A-Z]{3}\Z"))
    country = fields.String(required=True, validate=validate.Regexp(r"[A-Z]{2}\Z"))
    locale = fields.String(
        required=True, validate=validate.Regexp(r"[a-z]{2,3}([_-][A-Za-z0-9]{2,8}){0,3}\Z")
    )
    timezone = Printable(64)


class Tries:
    """Counts tries in Redis, so that all web processes count together; in this process alone while Redis is away."""

    def __init__(self, redis_url: str) -> None:
        self._own = limits.strategies.FixedWindowRateLimiter(MemoryStorage())
        self._shared: limits.strategies.FixedWindowRateLimiter | None = None
        if redis_url:
            storage = RedisStorage(
                redis_url,
                wrap_exceptions=True,
                socket_connect_timeout=0.5,
                socket_timeout=0.5,
                key_prefix="tries",
            )
            self._shared = limits.strategies.FixedWindowRateLimiter(storage)

    def left(self, *who: str) -> float:
        """0 when one more try is allowed (it is counted), else the seconds until the next."""
        for limiter in (self._shared, self._own):
            if limiter is None:
                continue
            try:
                if limiter.hit(TRIES, *who):
                    return 0.0
                return max(1.0, limiter.get_window_stats(TRIES, *who).reset_time - time.time())
            except StorageError:
                log.warning("tries.redis_away")
        return 0.0


@blueprint.post("/plugin/connect", provide_automatic_options=False)
def connect() -> Response:
    """201 with both secrets; 422 pairing.code_invalid or address.forbidden; 429 after ten tries in a minute."""
    try:
        told = _told()
        if isinstance(told, Response):
            return told
        code = accounts.plain_code(told["code"])
        wait = _tries().left("connect", request.remote_addr or "") or _tries().left(
            "code", accounts.digest(code)
        )
        if wait:
            return answers.later("pairing.too_many_tries", wait, status=429)
        return _connected(code, told)
    except Refused as error:
        db.session.rollback()
        log.info("plugin.not_connected", code=error.code)
        return bodies.refused(error)


def _told() -> dict[str, Any] | Response:
    """What the plugin says, read strictly. Raises Invalid naming the first wrong field."""
    refused = bodies.wrong_kind()
    if refused is not None:
        return refused
    raw = bodies.read()
    if isinstance(raw, Response):
        return raw
    try:
        told: dict[str, Any] = ConnectRequest().load(envelope.parse_object(raw))
    except ValidationError as error:
        field = next(iter(error.messages_dict))
        raise Invalid("field.invalid", field=str(field), expected="see docs/protocol.md") from None
    told["shop_url"] = told["shop_url"].strip().rstrip("/")
    return told


def _connected(code: str, told: dict[str, Any]) -> Response:
    """The address is checked only for a good code, and the code is used up only for a good address."""
    if not accounts.pairing_is_open(db.session(), code):
        raise Refused("pairing.code_invalid")
    allow_loopback = current_app.config["SHOPBRIDGE_ALLOW_LOOPBACK"]
    check_url(told["command_url"], egress="tenant_url", allow_loopback=allow_loopback)
    connection, event_secret, command_secret = accounts.connect_plugin(db.session(), code, told)
    connection_id, key, state = connection.id, connection.key, connection.state
    db.session.commit()
    senders().forget(key)
    queues.ring("out", connection_id)
    log.info("plugin.connected", connection=connection_id, platform=told["platform"])
    base = public_url()
    body = {
        "connection_key": key,
        "webhook_url": f"{base}/webhooks/{key}",
        "status_url": f"{base}/plugin/status",
        "event_secret": event_secret,
        "command_secret": command_secret,
        "state": state,
        "server_time": int(datetime.now(UTC).timestamp()),
    }
    return answers.answer(201, body)


def public_url() -> str:
    """The address under which shops reach the bridge, without a slash at the end."""
    config = current_app.config
    own = f"http://{config['SHOPBRIDGE_HOST']}:{config['SHOPBRIDGE_PORT']}"
    return str(config["SHOPBRIDGE_PUBLIC_URL"] or own).rstrip("/")


@blueprint.get("/plugin/status", provide_automatic_options=False)
def status() -> Response:
    """How the connection is, in the shop's language. Signed like an event, over the empty body."""
    now = datetime.now(UTC)
    sender = webhooks.proven_sender(request.headers.get("shopbridge-connection", ""), b"", now)
    connection = db.session.get(Connection, sender.id) if sender is not None else None
    if connection is None:
        return webhooks.unproven(now)
    locale = str(connection.settings.get("locale") or "de")
    body = {
        "state": connection.state,
        "reason": _told_reason(connection.reason_code, connection.reason_params, locale),
        "last_event_at": answers.iso(_last_event_at(connection)),
        "events_today": _events_since(connection, _midnight(connection, now)),
        "last_error": _told_reason(connection.last_error_code, None, locale),
        "open_cases": _open_cases(connection),
        "server_time": int(now.timestamp()),
    }
    return answers.answer(200, body)


def _told_reason(code: str | None, params: dict[str, Any] | None, locale: str) -> dict[str, Any] | None:
    return None if code is None else {"code": code, "message": reasons.sentence(code, params, locale)}


def _last_event_at(connection: Connection) -> datetime | None:
    """When the event with the highest sequence came, or what was written on the connection, whichever is later."""
    newest = db.session.scalar(
        select(Event.received_at)
        .where(Event.connection_id == connection.id)
        .order_by(Event.sequence.desc())
        .limit(1)
    )
    return max((moment for moment in (newest, connection.last_event_at) if moment is not None), default=None)


def _midnight(connection: Connection, now: datetime) -> datetime:
    """When the shop's day began."""
    try:
        zone = ZoneInfo(str(connection.settings.get("timezone") or "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):  # shops also say "+02:00"
        zone = ZoneInfo("UTC")
    return now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)


def _events_since(connection: Connection, since: datetime) -> int:
    query = select(func.count()).where(Event.connection_id == connection.id, Event.received_at >= since)
    return int(db.session.scalar(query) or 0)


def _open_cases(connection: Connection) -> int:
    query = select(func.count()).where(Case.account_id == connection.account_id, Case.state == "open")
    return int(db.session.scalar(query) or 0)


def _tries() -> Tries:
    found: Tries = current_app.extensions["shopbridge.tries"]
    return found


def register(app_: Flask) -> None:
    """The counter of tries belongs to the app, because it knows the address of Redis."""
    app_.extensions["shopbridge.tries"] = Tries(app_.config["REDIS_URL"])
