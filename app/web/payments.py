"""`POST /webhooks/payments/<connection key>`: where payment providers say that something happened. Proven, stored, then answered (D1).

What may go wrong: anybody can send anything here. A message must carry the provider's own signature and be young; even then it moves no money,
it only makes the bridge ask the provider. Kept is what it is about, never the message itself, because that names people and cards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import structlog
from flask import Blueprint, Response, request
from sqlalchemy import Connection as DbConnection
from sqlalchemy import select

from app import inbox, queues, registry
from app import messages as m
from app.errors import Invalid, Unauthorised
from app.models import Connection
from app.models.columns import table_of
from app.web import answers, bodies, intake, rate

blueprint = Blueprint("payments", __name__)
log = structlog.get_logger(__name__)

_KEY = re.compile(r"cn_[A-Za-z0-9_-]{1,61}")
_ID = re.compile(r"[\x21-\x7e]{1,255}")
_CONNECTION = table_of(Connection)


@dataclass(frozen=True)
class Teller:
    """A payment connection as this door needs it."""

    id: int
    account_id: int
    provider: str
    state: str
    secrets: Sequence[str]


@blueprint.post("/webhooks/payments/<key>", provide_automatic_options=False)
def receive(key: str) -> Response:
    """202 new, 200 duplicate or of no interest, 400/413/415/422 body, 401 signature, 410 removed, 429/503 later."""
    try:
        return _receive(key)
    except answers.DATABASE_AWAY as error:
        log.warning("payment_webhook.database_away", error=type(error).__name__)
        return answers.later()


def _receive(key: str) -> Response:
    refused = bodies.wrong_kind()
    if refused is not None:
        return refused
    raw = bodies.read()
    if isinstance(raw, Response):
        return raw
    now = datetime.now(UTC)
    teller = _teller(key)
    try:
        notice = _proven(teller, raw, now)
    except Unauthorised:
        log.info("payment_webhook.unproven", connection=teller.id if teller else None)
        message = "The signature is wrong, missing or older than 300 seconds."
        return answers.problem(401, "signature.invalid", message, server_time=int(now.timestamp()))
    except Invalid as error:
        return bodies.refused(error)
    return _accept(teller, notice)


def _proven(teller: Teller | None, raw: bytes, now: datetime) -> m.PaymentNotice | None:
    """Raises Unauthorised for whoever cannot prove himself; an unknown address and an unset secret answer as a wrong signature does."""
    notice = getattr(registry.translator(teller.provider), "notice", None) if teller else None
    if teller is None or notice is None or not teller.secrets:
        raise Unauthorised("signature.invalid")
    headers = {name.lower(): value for name, value in request.headers.items()}
    found: m.PaymentNotice | None = notice(teller.secrets, headers, raw, now)
    return found


def _teller(key: str) -> Teller | None:
    """The payment connection of this address. Asked anew each time: such messages are few, and a rotated secret counts at once."""
    if not _KEY.fullmatch(key):
        return None
    columns = _CONNECTION.c
    query = select(columns.id, columns.account_id, columns.provider, columns.state, columns.secrets).where(
        columns.key == key, columns.role == "payment"
    )
    row = intake.do(lambda connection: connection.execute(query).one_or_none())
    if row is None:
        return None
    secrets = ((row.secrets or {}).get("settings") or {}).get("webhook_secrets") or []
    return Teller(row.id, row.account_id, row.provider, row.state, secrets)


def _accept(teller: Teller | None, notice: m.PaymentNotice | None) -> Response:
    """From here on the sender is proven."""
    if teller is None or notice is None:
        return answers.answer(200, {"ignored": True})
    if teller.state == "removed":
        return answers.problem(410, "connection.removed")
    if not all(_ID.fullmatch(each) for each in _names(notice)):
        return answers.problem(422, "delivery_id.invalid", param="id")
    wait = rate.buckets().take(teller.id)
    if wait:
        return answers.later("events.too_many", wait, status=429)
    new = intake.do(lambda connection: _store(connection, teller, notice))
    if new:
        queues.ring_soon("in", teller.id)
    return answers.answer(202 if new else 200, {"duplicate": not new})


def _names(notice: m.PaymentNotice) -> list[str]:
    """What of the message becomes a key here: it must be plain, whoever signed it."""
    named = (notice.external_id, notice.subject_id, notice.key)
    return [notice.delivery_id, *(each for each in named if each is not None)]


def _store(connection: DbConnection, teller: Teller, notice: m.PaymentNotice) -> bool:
    """One INSERT; False when this message was stored before. In the envelope of all events, so that it is worked off like them."""
    data = {**asdict(notice), "at": notice.at.isoformat()}
    body = json.dumps({"type": "payment.told", "data": data}, separators=(",", ":")).encode()
    stored = inbox.accept(
        connection,
        account_id=teller.account_id,
        connection_id=teller.id,
        delivery_id=notice.delivery_id,
        kind="payment.told",
        subject=f"payment/{notice.external_id or notice.subject_id or ''}",
        sequence=int(notice.at.timestamp() * 1000),
        happened_at=notice.at,
        body=body,
    )
    return stored is not None
