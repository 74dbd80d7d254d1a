"""`POST /webhooks/<connection key>`: where shops push their events. Proven, read strictly, stored, then answered (D1).

What may go wrong: anybody can send anything here. Whatever comes in, nothing is stored unless a right signature proves the sender and the
envelope is whole, and no input makes a 500. Redis away: the event is stored and answered, the clock rings later. Database away: 503.
"""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime

import structlog
from flask import Blueprint, Response, request
from sqlalchemy import Connection as DbConnection
from sqlalchemy import select
from sqlalchemy.exc import DataError, IntegrityError

from app import inbox, queues
from app.errors import Invalid
from app.shops import envelope, signing
from app.web import answers, bodies, health, intake, rate
from app.web.senders import Sender, senders

blueprint = Blueprint("webhooks", __name__)
log = structlog.get_logger(__name__)

_ID = re.compile(r"[A-Za-z0-9_-]{4,64}")
_EVENTS = inbox.EVENTS

# Whoever sends to an unknown address is checked against this, so that the answer takes as long as for a known one (T4).
_NOBODYS_SECRET = signing.new_secret()


@blueprint.post("/webhooks/<key>", provide_automatic_options=False)
def receive(key: str) -> Response:
    """202 new, 200 duplicate, 400/413/415/422 payload, 401 signature, 410 removed, 429/503 later (protocol section 3)."""
    started = time.perf_counter()
    try:
        response = _receive(key)
    except answers.DATABASE_AWAY as error:
        log.warning("webhook.database_away", error=type(error).__name__)
        response = answers.later()
    health.webhook_answered(response.status_code, time.perf_counter() - started)
    return response


def _receive(key: str) -> Response:
    refused = bodies.wrong_kind() or _wrong_id()
    if refused is not None:
        return refused
    raw = bodies.read()
    if isinstance(raw, Response):
        return raw
    now = datetime.now(UTC)
    sender = proven_sender(key, raw, now)
    if sender is None:
        return unproven(now)
    return _accept(key, sender, raw)


def _wrong_id() -> Response | None:
    """A delivery id that is there but is none; a missing one is a missing signature."""
    given = request.headers.get("webhook-id")
    if given is None or _ID.fullmatch(given):
        return None
    message = "webhook-id has 4 to 64 characters of A-Z a-z 0-9 _ -"
    return answers.problem(400, "delivery_id.invalid", message, param="webhook-id")


def proven_sender(key: str, raw: bytes, now: datetime) -> Sender | None:
    """The connection that signed this message; None for an unknown address and for a wrong signature alike."""
    sender = senders().find(key)
    valid = sender.secrets(now) if sender is not None else []
    headers = {
        name: request.headers.get(name, "")
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    }
    try:
        signing.verify(valid or [_NOBODYS_SECRET], headers, raw, now)
    except signing.SignatureInvalid as error:
        log.info("webhook.unproven", connection=sender.id if sender else None, problem=error.problem)
        return None
    return sender


def unproven(now: datetime) -> Response:
    """The same 401 for everybody. The server's time lets a shop find out that its own clock is wrong."""
    message = "The signature is wrong, missing or older than 300 seconds."
    return answers.problem(401, "signature.invalid", message, server_time=int(now.timestamp()))


def _accept(key: str, sender: Sender, raw: bytes) -> Response:
    """From here on the sender is proven."""
    try:
        event = envelope.parse(raw)
    except Invalid as error:
        return bodies.refused(error)
    if sender.state == "removed" and event.type != "plugin.removed":
        message = "This connection was removed. Pair the shop again."
        return answers.problem(410, "connection.removed", message)
    wait = rate.buckets().take(sender.id)
    if wait:
        return answers.later("events.too_many", wait, status=429)
    return _store(key, sender, event, raw)


def _store(key: str, sender: Sender, event: envelope.Envelope, raw: bytes) -> Response:
    """One INSERT, durable before the answer; the bell after it."""
    delivery_id = request.headers["webhook-id"]

    def accept(connection: DbConnection) -> tuple[int | None, bool]:
        new = inbox.accept(
            connection,
            account_id=sender.account_id,
            connection_id=sender.id,
            delivery_id=delivery_id,
            kind=event.type,
            subject=event.subject,
            sequence=event.sequence,
            happened_at=event.timestamp,
            body=raw,
        )
        return (new, False) if new is not None else (_earlier(connection, sender.id, delivery_id), True)

    try:
        event_id, duplicate = intake.do(accept)
    except IntegrityError:  # deleted since we remembered it
        senders().forget(key)
        return unproven(datetime.now(UTC))
    except (
        DataError
    ):  # the envelope let something pass that PostgreSQL cannot hold: a defect, but no reason for retries
        log.warning("webhook.not_storable", connection=sender.id)
        return answers.problem(422, "body.not_storable")
    if not duplicate:
        queues.ring_soon("in", sender.id)
    return _stored(event_id, duplicate=duplicate)


def _earlier(connection: DbConnection, connection_id: int, delivery_id: str) -> int | None:
    """The event that has this delivery id. Whatever the repeat says, the first one counts."""
    query = select(_EVENTS.c.id).where(
        _EVENTS.c.connection_id == connection_id, _EVENTS.c.delivery_id == delivery_id
    )
    return connection.execute(query).scalar()


def _stored(event_id: int | None, *, duplicate: bool) -> Response:
    body = json.dumps({"id": f"evt_{event_id}", "duplicate": duplicate}, separators=(",", ":"))
    return Response(body, 200 if duplicate else 202, mimetype="application/json")
