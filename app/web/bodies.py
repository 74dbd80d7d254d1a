"""How request bodies are read at every door: limited before reading, JSON in UTF-8 only, never decompressed (T5, T6)."""

from __future__ import annotations

from flask import Response, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from app.errors import Refused
from app.shops import envelope
from app.web import answers

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
    try:
        raw = request.get_data(cache=keep)
    except RequestEntityTooLarge:
        return too_large()
    except BadRequest:  # the sender went away in the middle
        return answers.problem(400, "body.incomplete", "The body ended early.")
    return too_large() if len(raw) > envelope.MAX_BYTES else raw


def too_large() -> Response:
    """Nothing more is read: the connection ends with this answer."""
    return answers.problem(413, "body.too_large", headers={"Connection": "close"})


def refused(error: Refused) -> Response:
    """What is wrong with the content of a body, with the status that tells senders never to send it again."""
    if error.code == "body.too_large":
        return too_large()
    return answers.refusal(error, 400 if error.code in _NOT_JSON else 422)
