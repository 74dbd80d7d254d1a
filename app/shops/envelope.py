"""Reads the body of one event: strict, and fast enough for the web request (D1, docs/protocol.md section 3).

Everything odd is refused here with Invalid and a field name, so that nothing behind this module meets a NUL, a lone
surrogate or a number that PostgreSQL cannot hold. Cheap byte checks come first: no input can make the JSON parser
recurse deeply.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from app.errors import Invalid

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_KEYS = 10_000
MAX_INTEGER = 2**53
MAX_ID = 190  # longest id after "order/": what fits an index of every database a shop may have
YEARS = range(2000, 2101)  # outside of it a clock or a unit is wrong, and some databases cannot hold it

_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_NUL_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}:'))
_LISTS = bytes.maketrans(b"{}", b"[]")

_TYPE = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_SUBJECT = re.compile(rf"(?:order|product)/[^/\s].{{0,{MAX_ID - 1}}}|shop")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|\+00:00)"
)
_FLOAT = re.compile(r"-?[0-9.]{1,40}(?:[eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event as it came in. `sequence` decides what is newer (I13); `timestamp` is for people only."""

    type: str
    timestamp: datetime
    sequence: int
    subject: str
    data: Mapping[str, Any]


def parse(raw: bytes) -> Envelope:
    """The event in this body. Raises Invalid naming the code and, where there is one, the field; nothing else.

    Unknown types are accepted: a newer plugin must not be punished (protocol section 3).
    """
    body = parse_object(raw)
    return Envelope(
        type=_type(body),
        timestamp=_timestamp(body),
        sequence=_sequence(body),
        subject=_subject(body),
        data=_data(body),
    )


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in these bytes, with the limits of an event body. Raises Invalid only."""
    _check_bytes(raw)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Invalid("body.not_utf8", at=error.start) from None
    try:
        body = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Invalid("body.not_json", at=error.pos, problem=error.msg) from None
    if not isinstance(body, dict):
        raise Invalid("body.not_an_object")
    if b"\\u" in raw and _may_hold_lone_surrogates(raw):
        _refuse_lone_surrogates(body)
    return body


def _check_bytes(raw: bytes) -> None:
    """Everything that can be seen without parsing: size, byte order mark, NUL, depth, number of keys."""
    if len(raw) > MAX_BYTES:
        raise Invalid("body.too_large", limit=MAX_BYTES)
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise Invalid("body.byte_order_mark")
    if b"\x00" in raw or (b"\\u0000" in raw and _NUL_ESCAPE.search(raw)):
        raise Invalid("body.forbidden_character", character="NUL")
    structure = _structure(raw)
    if structure.count(b":") > MAX_KEYS:
        raise Invalid("body.too_many_keys", limit=MAX_KEYS)
    if _deeper_than(MAX_DEPTH, structure):
        raise Invalid("body.too_deep", limit=MAX_DEPTH)


def _structure(raw: bytes) -> bytes:
    """Only the brackets and colons that stand outside of strings. In broken JSON it may be wrong, never slow."""
    if b"\\" in raw:
        raw = _ESCAPE.sub(b"", raw)
    return b"".join(raw.translate(None, _NOT_STRUCTURE).split(b'"')[::2])


def _deeper_than(limit: int, structure: bytes) -> bool:
    """Takes the innermost pairs away, one level a round; what is left is too deep or unbalanced."""
    brackets = structure.translate(_LISTS, b":")
    for _ in range(limit):
        if not brackets:
            return False
        smaller = brackets.replace(b"[]", b"")
        if len(smaller) == len(brackets):
            # Unbalanced, so never valid JSON; only a long open run could make the parser recurse.
            return brackets.count(b"[") > limit
        brackets = smaller
    return bool(brackets)


def _integer(text: str) -> int:
    if len(text) > 17 or not -MAX_INTEGER <= (number := int(text)) <= MAX_INTEGER:
        raise Invalid("body.number_too_large", limit=MAX_INTEGER)
    return number


def _float(text: str) -> float:
    # PostgreSQL's numeric ends far beyond three digits of exponent, Python's float at 1e308.
    if not _FLOAT.fullmatch(text) or (number := float(text)) in _INFINITE:
        raise Invalid("body.number_too_large", limit=MAX_INTEGER)
    return number


_INFINITE = (float("inf"), float("-inf"))


def _constant(text: str) -> NoReturn:
    raise Invalid("body.not_a_number", value=text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Invalid("body.duplicate_key", field=_first_repeated(pairs)[:80])
    return found


def _first_repeated(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            break
        seen.add(name)
    return name


# Building the decoder costs more than decoding a small body with it.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def _may_hold_lone_surrogates(raw: bytes) -> bool:
    # An escaped backslash can make text look like an escape and hide a real one: then only the parsed strings tell.
    looked_at = raw if b"\\\\" in raw else _SURROGATE_PAIR.sub(b" ", raw)
    return _SURROGATE.search(looked_at) is not None


def _refuse_lone_surrogates(body: dict[str, Any]) -> None:
    """PostgreSQL cannot store half of a surrogate pair. Only suspicious bodies pay for this second look."""
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Invalid("body.forbidden_character", character="lone surrogate") from None


def _field(body: dict[str, Any], name: str) -> Any:
    try:
        return body[name]
    except KeyError:
        raise Invalid("field.missing", field=name) from None


def _type(body: dict[str, Any]) -> str:
    value = _field(body, "type")
    if not isinstance(value, str) or not _TYPE.fullmatch(value):
        raise Invalid("field.invalid", field="type", expected="a word like order.changed")
    return value


def _timestamp(body: dict[str, Any]) -> datetime:
    value = _field(body, "timestamp")
    if isinstance(value, str) and _TIMESTAMP.fullmatch(value):
        try:
            moment = datetime.fromisoformat(value).replace(tzinfo=UTC)
        except ValueError:
            pass  # The 30th of February, the hour 25.
        else:
            if moment.year in YEARS:
                return moment
    raise Invalid("field.invalid", field="timestamp", expected="ISO 8601 in UTC, like 2026-11-21T14:02:11Z")


def _sequence(body: dict[str, Any]) -> int:
    value = _field(body, "sequence")
    # bool is an int in Python; true must not become 1.
    if type(value) is not int or value < 1:
        raise Invalid("field.invalid", field="sequence", expected="a whole number from 1 to 2^53")
    return value


def _subject(body: dict[str, Any]) -> str:
    value = _field(body, "subject")
    if isinstance(value, str) and value.isprintable() and _SUBJECT.fullmatch(value):
        return value
    raise Invalid("field.invalid", field="subject", expected="order/<id>, product/<id> or shop")


def _data(body: dict[str, Any]) -> Mapping[str, Any]:
    value = _field(body, "data")
    if not isinstance(value, dict):
        raise Invalid("field.invalid", field="data", expected="an object")
    return value
