"""How request bodies are read at every door: limited before reading, JSON in UTF-8 only, never decompressed (T5, T6)."""

from __future__ import annotations

from flask import Response, request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from app.errors import Refused
from app.shops import envelope
from app.web import answers
from app.web.patience import patience

# Breaks of JSON itself are 400; JSON that is not what the protocol wants is 422.
_NOT_JSON = frozenset(
    {
        "body.not_utf8",
        "body.not_json",
        "body.byte_order_mark",
        "body.forbidden_character",
        "body.not_a_number",
        "body.duplicate_key",
    }
)


_CLOSE = {"Connection": "close"}


def wrong_kind() -> Response | None:
    """413 for a body that says it is too long, 415 for anything but application/json in UTF-8 without compression."""
    if (request.content_length or 0) > envelope.MAX_BYTES:
        return too_large()
    charset = request.mimetype_params.get("charset", "utf-8")
    if request.mimetype != "application/json" or charset.lower() not in {"utf-8", "utf8"}:
        return answers.problem(415, "body.content_type")
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        return answers.problem(415, "body.content_encoding")
    return None


def read(*, keep: bool = False) -> bytes | Response:
    """The raw bytes, or the answer that refuses them. `keep`: others will read them again."""
    # A body without a length is silently cut off at the limit by the framework: one byte more shows that there is more.
    request.max_content_length = envelope.MAX_BYTES + 1
    peer = request.environ.get("gunicorn.socket")
    ticket = patience.begin(peer) if peer is not None else None
    try:
        raw = request.get_data(cache=keep)
    except RequestEntityTooLarge:
        return too_large()
    except (
        BadRequest,
        ParseException,
    ):  # the sender went away in the middle, or does not know how to send chunks
        in_time = ticket is None or patience.end(ticket)
        ticket = None
        return (
            answers.problem(400, "body.incomplete")
            if in_time
            else answers.problem(408, "body.too_slow", headers=_CLOSE)
        )
    finally:
        if ticket is not None:
            patience.end(ticket)
    return too_large() if len(raw) > envelope.MAX_BYTES else raw


def too_large() -> Response:
    """Nothing more is read: the connection ends with this answer."""
    return answers.problem(413, "body.too_large", headers=_CLOSE)


def refused(error: Refused) -> Response:
    """What is wrong with the content of a body, with the status that tells senders never to send it again."""
    if error.code == "body.too_large":
        return too_large()
    return answers.refusal(error, 400 if error.code in _NOT_JSON else 422)
