"""What the simulated Mirakl operator checks before it listens: key, pace, query, JSON and CSV bodies; and how it writes amounts.

What may go wrong is the point: every refusal is a Problem with a status and, where Mirakl publishes one, its code (FACTS sections 1 to 3).
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from flask import Request
from flask.json.provider import DefaultJSONProvider
from werkzeug.datastructures import MultiDict

CENT: Final = Decimal("0.01")
ALWAYS: Final = frozenset({"shop_id", "locale"})


class ProblemError(Exception):
    """A refusal about to be sent. `code` is Mirakl's own where it publishes one, else empty."""

    def __init__(self, status: int, message: str, code: str = "", retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.retry_after = status, message, code, retry_after

    def body(self) -> dict[str, Any]:
        told: dict[str, Any] = {"status": self.status, "message": self.message}
        return told | ({"errors": [{"code": self.code, "message": self.message}]} if self.code else {})


def invalid(message: str) -> ProblemError:
    return ProblemError(400, message, "VALIDATION_ERROR")


# --- amounts -----------------------------------------------------------------------------------------------------------

_MARK: Final = "\ue000"
_MARKED: Final = re.compile(r'"\\ue000(-?[0-9.]+)"')


class ExactJson(DefaultJSONProvider):
    """Writes Decimal as a JSON number with exactly its digits."""

    sort_keys = False

    def dumps(self, obj: Any, **how: Any) -> str:
        def exact(value: Any) -> Any:
            if isinstance(value, Decimal):
                return f"{_MARK}{value}"
            raise TypeError(f"{type(value).__name__} is no JSON")

        return _MARKED.sub(r"\1", json.dumps(obj, default=exact))


def money(minor: int) -> Decimal:
    """Minor units as the API writes them. All simulated shops count in a currency with two digits."""
    return Decimal(minor) * CENT


def cents(value: Any, name: str) -> int:
    """An amount of a body in minor units. Mirakl takes numbers, and in places text."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise invalid(f"{name} must be a number")
    try:
        scaled = Decimal(str(value)) * 100
    except InvalidOperation:
        raise invalid(f"{name} must be a number") from None
    if scaled != scaled.to_integral_value() or scaled < 0:
        raise invalid(f"{name} must not be negative and have at most two digits")
    return int(scaled)


# --- who speaks, and how often ------------------------------------------------------------------------------------------


def check_key(request: Request, keys: Iterable[str]) -> None:
    """The bare key, without "Bearer". Raises ProblemError 401."""
    if request.headers.get("Authorization", "") not in set(keys):
        raise ProblemError(401, "Unauthorized")


class Pace:
    """So many calls within so many seconds for each name. The caller holds the world's lock and says what time it is."""

    def __init__(self) -> None:
        self._times: defaultdict[str, deque[datetime]] = defaultdict(deque)

    def take(self, name: str, most: int, seconds: float, now: datetime) -> None:
        times = self._times[name]
        while times and (now - times[0]).total_seconds() >= seconds:
            times.popleft()
        if len(times) >= most:
            left = seconds - (now - times[0]).total_seconds()
            raise ProblemError(429, "Too many requests", retry_after=max(1, round(left)))
        times.append(now)


# --- what is asked -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Query:
    """The query parameters an endpoint knows. Everything else is refused, so that a misspelled filter is noticed."""

    text: Sequence[str] = ()
    times: Sequence[str] = ()
    many: Sequence[str] = ()  # may be given several times
    sorts: Sequence[str] = ()
    pages: str = ""  # "offset", "seek" or not paged

    def read(self, request: Request) -> dict[str, Any]:
        """Values by name; None or [] for what was not given."""
        paging = {"offset": {"max", "offset"}, "seek": {"limit", "page_token"}}.get(self.pages, set())
        known = {*self.text, *self.times, *self.many, *paging, *ALWAYS, *(["sort"] if self.sorts else [])}
        for name in request.args:
            if name not in known:
                raise invalid(f"parameter {name} is not known")
        found: dict[str, Any] = {name: request.args.get(name) for name in self.text}
        found |= {name: _time(name, request.args.get(name)) for name in self.times}
        found |= {name: request.args.getlist(name) for name in self.many}
        if self.sorts and request.args.get("sort", self.sorts[0]) not in self.sorts:
            raise invalid("parameter sort")
        if self.pages == "offset":
            found["max"] = _number("max", request.args, 10, 1, 100)
            found["offset"] = _number("offset", request.args, 0, 0, 10**9)
        if self.pages == "seek":
            found["limit"] = _number("limit", request.args, 10, 1, 100)
            found["page_token"] = _number("page_token", request.args, 0, 0, 10**9)
        return found


def _number(name: str, given: MultiDict[str, str], default: int, least: int, most: int) -> int:
    value = given.get(name, str(default))
    if not value.isdigit() or not least <= int(value) <= most:
        raise invalid(f"parameter {name} must be between {least} and {most}")
    return int(value)


def _time(name: str, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise invalid(f"parameter {name} must be YYYY-MM-ddTHH:mm:ssZ") from None


# --- what is sent --------------------------------------------------------------------------------------------------------


def json_body(request: Request) -> dict[str, Any]:
    if request.mimetype != "application/json":
        raise ProblemError(415, "Content-Type must be application/json")
    try:
        body = json.loads(request.get_data(), parse_float=Decimal)
    except ValueError:
        raise invalid("the body is no JSON") from None
    if not isinstance(body, dict):
        raise invalid("the body must be an object")
    return body


def needed(data: Mapping[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:
    """A required field of the right type. bool is no int."""
    value = data.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise invalid(f"{name} is missing or not valid")
    return value


def only(data: Mapping[str, Any], *names: str) -> None:
    """Unknown fields are refused, so that a misspelled one is noticed."""
    if strange := sorted(set(data) - set(names)):
        raise invalid(f"{', '.join(strange)} is not known")


def entries(data: Mapping[str, Any], name: str, most: int) -> list[dict[str, Any]]:
    """A list of objects with 1 to `most` entries."""
    rows = needed(data, name, list)
    if not 1 <= len(rows) <= most or not all(isinstance(row, dict) for row in rows):
        raise invalid(f"{name} must have 1 to {most} entries")
    return list(rows)


def uploaded(request: Request) -> list[dict[str, str]]:
    """The rows of the CSV file of a multipart form, by the names of its first line."""
    if request.mimetype != "multipart/form-data" or "file" not in request.files:
        raise ProblemError(415, "a multipart form with a file is needed")
    text = request.files["file"].read().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text), delimiter=";"))


def error_file(rows: Sequence[tuple[int, str, Mapping[str, str]]]) -> str:
    """An error report: line number, reason, and the row as it came (STO03)."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["error-line", "error-message", *(rows[0][2] if rows else ())])
    for line, message, row in rows:
        writer.writerow([line, message, *row.values()])
    return text.getvalue()


def product_error_file(rows: Sequence[tuple[int, str, Mapping[str, str]]]) -> str:
    """A report about products: the row as it came, then what was wrong (columns as sellers' programs read them)."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow([*(rows[0][2] if rows else ()), "errors", "warnings"])
    for _, message, row in rows:
        writer.writerow([*row.values(), message, ""])
    return text.getvalue()
