"""What every answer of the bridge has in common: one error object, times as text, and the headers that keep browsers out.

What may go wrong: an error that is not ours (a wrong address, a database that is away) must still come out in the same shape.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from flask import Flask, Response, request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from app.errors import Refused
from app.rules import reasons

RETRY_SECONDS = 5  # the first step of the senders' own plan

DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeout)

_TYPES = {
    401: "unauthorised",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    410: "gone",
    429: "rate_limit",
}

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_STATUS_SENTENCES = {
    400: "The request cannot be read.",
    401: "Send a valid token: Authorization: Bearer <token>.",
    403: "This token may not do that.",
    404: "There is nothing here.",
    405: "This address does not know this method.",
    408: "The request came too slowly.",
    413: "The body is larger than 256 KiB.",
    415: "Send application/json in UTF-8, without compression.",
    422: "The request does not have the right form.",
    429: "Too many requests. Wait as long as Retry-After says.",
    500: "Something went wrong here. It was written to the log.",
    503: "Not now. Wait as long as Retry-After says.",
}

log = structlog.get_logger(__name__)


def answer(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, dict(headers or {}), mimetype="application/json")


def error_body(status: int, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """The one error object: {"error": {"type", "code", "message", "param"}}."""
    kind = _TYPES.get(status) or ("unavailable" if status >= 500 else "invalid_request")
    return {"error": {"type": kind, "code": code, "message": message, "param": param}}


def problem(
    status: int,
    code: str,
    message: str | None = None,
    *,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """An answer with the one error object. `more` stands beside the message, e.g. server_time."""
    body = error_body(status, code, message or _sentence(status, code), param)
    body["error"].update(more)
    return answer(status, body, headers)


def _sentence(status: int, code: str) -> str:
    if code in reasons.table():
        return reasons.sentence(code, {}, "en")
    return _STATUS_SENTENCES.get(status, "It did not work.")


def refusal(error: Refused, status: int, locale: str = "en") -> Response:
    """One of our own errors as an answer. No value of the sender is repeated, only the place."""
    field = error.params.get("field")
    param = str(field) if field is not None else None
    return problem(status, error.code, reasons.sentence(error.code, error.params, locale), param=param)


def later(code: str = "bridge.unavailable", seconds: float = RETRY_SECONDS, status: int = 503) -> Response:
    """Not now: the sender comes back after `seconds` (rounded up, at least 1)."""
    return problem(status, code, headers={"Retry-After": str(max(1, -int(-seconds // 1)))})


def iso(moment: datetime | None) -> str | None:
    """An aware time as the protocol writes it, in UTC with `Z`: 2026-11-21T14:02:11Z."""
    if moment is None:
        return None
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    return text.removesuffix("+00:00") + "Z"


def http_problem(error: HTTPException) -> Response:
    """Errors of the web framework, in our shape. A refused argument names the first field that is wrong."""
    status = error.code or 500
    data: Mapping[str, Any] = getattr(error, "data", None) or {}
    param, told = _first_fault(data.get("messages") or data.get("errors"))
    name = f"http.{status}" if param is None else "argument.invalid"
    sentence = data.get("message") or (f"{param}: {told}" if param else None)
    if told in reasons.table():  # a field that knows its own reason, as in web/network_forms.py
        name, sentence = told, reasons.sentence(told, {"field": param}, "en")
    headers = dict(data.get("headers") or {})
    if status == 405 and getattr(error, "valid_methods", None):
        headers["Allow"] = ", ".join(sorted(error.valid_methods))  # type: ignore[attr-defined]
    return problem(
        status, data.get("code") or name, sentence, param=data.get("param") or param, headers=headers
    )


def _first_fault(messages: Any, path: str = "") -> tuple[str | None, str]:
    """The place and text of the first fault in webargs' nested messages."""
    if isinstance(messages, Mapping) and messages:
        name, inner = next(iter(messages.items()))
        if name in {"json", "query", "_schema"}:
            return _first_fault(inner, path)
        return _first_fault(inner, f"{path}.{name}" if path else str(name))
    if isinstance(messages, list) and messages:
        return path or "body", str(messages[0])
    return (path or None), str(messages or "")


def register(app_: Flask) -> None:
    """Security headers on every answer, and our shape for errors nobody expected."""
    public = app_.config["SHOPBRIDGE_PUBLIC_URL"]
    headers = dict(_HEADERS)
    if public.startswith("https://"):
        headers["Strict-Transport-Security"] = "max-age=31536000"

    @app_.after_request
    def protect(response: Response) -> Response:
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response

    def away(error: Exception) -> Response:
        log.warning("database.away", path=request.endpoint, error=type(error).__name__)
        return later()

    for kind in DATABASE_AWAY:
        app_.register_error_handler(kind, away)
    app_.register_error_handler(HTTPException, http_problem)
