"""Signed questions of a shop plugin: read, proven, answered in the shop's language. Used by web/network.py and web/decisions.py.

What may go wrong: as at the webhook door, anybody can send anything; nothing is looked at before the signature proves the shop. Then every
query of a view is bound to that shop's own account (T9).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import Any

import structlog
from flask import Response, request
from sqlalchemy.exc import DataError, IntegrityError

from app.errors import Invalid, Refused
from app.extensions import db
from app.models import Connection
from app.shops import envelope
from app.web import answers, bodies, network_forms, rate, webhooks

log = structlog.get_logger(__name__)

_NOT_FOUND = frozenset({"partnership.unknown", "slip.order_unknown", "order.unknown"})

View = Callable[[Connection, Mapping[str, Any]], Response]


def signed(view: View) -> Callable[[], Response]:
    """Reads and proves a question, answers our errors in the shop's language, and never leaves a transaction open."""

    @wraps(view)
    def asked() -> Response:
        found = _proven()
        if isinstance(found, Response):
            return found
        shop, told = found
        try:
            return view(shop, told)
        except Refused as error:
            db.session.rollback()
            return _refusal(error, locale_of(shop))
        except (
            DataError,
            IntegrityError,
        ) as error:  # two at the same moment, or something that no form has foreseen
            db.session.rollback()
            log.warning("question.not_storable", connection=shop.id, error=type(error).__name__)
            return answers.problem(422, "body.not_storable")

    return asked


def _proven() -> tuple[Connection, dict[str, Any]] | Response:
    """The shop that asks and what it says, or the answer that refuses it."""
    refused = bodies.wrong_kind()
    raw = refused if refused is not None else bodies.read()
    if isinstance(raw, Response):
        return raw
    now = datetime.now(UTC)
    sender = webhooks.proven_sender(request.headers.get("shopbridge-connection", ""), raw, now)
    shop = db.session.get(Connection, sender.id) if sender is not None else None
    if shop is None or shop.role != "shop":
        return webhooks.unproven(now)
    if shop.state == "removed":
        return answers.problem(410, "connection.removed", "This connection was removed. Pair the shop again.")
    wait = rate.buckets().take(shop.id)
    if wait:
        return answers.later("events.too_many", wait, status=429)
    try:
        return shop, envelope.parse_object(raw)
    except Invalid as error:
        return bodies.refused(error)


def _refusal(error: Refused, locale: str) -> Response:
    """The one error object; `field` names the place in the form, `mistakes` are all of them."""
    status = 404 if error.code in _NOT_FOUND else 422
    mistakes = network_forms.mistakes_shown(error, locale)
    field = mistakes[0]["field"] or None
    sentence = network_forms.sentence(error, locale)
    return answers.problem(status, error.code, sentence, param=field, field=field, mistakes=mistakes)


def locale_of(shop: Connection) -> str:
    """The language of the shop's merchant, "de" where nobody knows."""
    return str(shop.settings.get("locale") or "de")
