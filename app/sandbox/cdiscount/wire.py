"""What simulated Octopia checks before it listens: token, seller, pace, query and bodies; and how it writes amounts.

What may go wrong is the point: every refusal is a problem with a title, a detail and, where a field is wrong, `errors` (FACTS 1).
"""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from flask import Request
from flask.json.provider import DefaultJSONProvider

Row = dict[str, Any]

CENT: Final = Decimal("0.01")
STATUSES: Final = (
    "Processing", "WaitingAcceptance", "Refused", "Accepted", "InPreparation", "Shipped", "Delivered", "Cancelled", "Rejected",
)  # fmt: skip


class ProblemError(Exception):
    """A refusal about to be sent. `errors`: field -> what is wrong with it."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Mapping[str, str] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors, self.retry_after = status, detail, errors or {}, retry_after

    def body(self) -> Row:
        title = "Validation Failed" if self.errors else self.detail
        return {
            "title": title,
            "status": self.status,
            "detail": self.detail,
            "errors": {name: [message] for name, message in self.errors.items()},
        }


def invalid(name: str, message: str = "is not valid") -> ProblemError:
    return ProblemError(400, f"{name} {message}", {name: message})


def not_found(what: str) -> ProblemError:
    return ProblemError(404, f"{what} not found")


# --- amounts -----------------------------------------------------------------------------------------------------------

_MARK: Final = "\ue000"
_MARKED: Final = re.compile(r'"\\ue000(-?[0-9.]+)"')


class ExactJson(DefaultJSONProvider):
    """Writes Decimal as a JSON number with exactly its digits."""

    sort_keys = False

    def dumps(self, obj: Any, **_how: Any) -> str:
        def exact(value: Any) -> Any:
            if isinstance(value, Decimal):
                return f"{_MARK}{value:f}"
            raise TypeError(f"{type(value).__name__} is no JSON")

        return _MARKED.sub(r"\1", json.dumps(obj, default=exact))


def money(minor: int) -> Decimal:
    return Decimal(minor) * CENT


def cents(value: Any, name: str, least: int = 0) -> int:
    """An amount of a body in minor units; numbers only, at most two digits after the point."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise invalid(name, "must be a number")
    scaled = Decimal(value) / CENT
    if scaled != scaled.to_integral_value():
        raise invalid(name, "has too many decimals")
    if scaled < least:
        raise invalid(name, f"must be at least {money(least)}")
    return int(scaled)


# --- who speaks, and how often -------------------------------------------------------------------------------------------


class Pace:
    """So many calls in a time, by key. `now` comes from the world, so that a test may move it."""

    def __init__(self) -> None:
        self._times: defaultdict[str, deque[datetime]] = defaultdict(deque)

    def take(
        self, key: str, most: int, seconds: float, now: datetime, retry_after: int | None = None
    ) -> None:
        times = self._times[key]
        while times and (now - times[0]).total_seconds() >= seconds:
            times.popleft()
        if len(times) >= most:
            raise ProblemError(429, "Too many requests", retry_after=retry_after)
        times.append(now)

    def used(self, key: str, seconds: float, now: datetime) -> int:
        return sum((now - each).total_seconds() < seconds for each in self._times[key])


def bearer(request: Request) -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind != "Bearer" or not token:
        raise ProblemError(401, "Unauthorized")
    return token


def stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


# --- what is asked -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Query:
    """The query parameters an endpoint knows. Everything else is refused, so that a misspelled filter is noticed."""

    text: Sequence[str] = ()
    needed: Sequence[str] = ()
    times: Sequence[str] = ()
    many: Sequence[str] = ()
    words: Mapping[str, Sequence[str]] | None = None
    index: bool = False  # pages by pageIndex and pageSize; `limit` is ignored there
    cursor: bool = False

    def read(self, request: Request) -> Row:
        """Values by name. Raises ProblemError 400 naming the parameter."""
        known = {*self.text, *self.needed, *self.times, *self.many}
        known |= {"pageIndex", "pageSize", "limit"} if self.index else set()
        known |= {"limit", "cursor"} if self.cursor else set()
        for name in request.args:
            if name not in known:
                raise invalid(name, "is not known")
        found: Row = {name: request.args.get(name) for name in (*self.text, *self.needed)}
        for name in self.needed:
            if not found[name]:
                raise invalid(name, "is required")
        for name, allowed in (self.words or {}).items():
            if found.get(name) is not None and found[name] not in allowed:
                raise invalid(name, f"must be one of {', '.join(allowed)}")
        found |= {name: _time(name, request.args.get(name)) for name in self.times}
        found |= {name: request.args.getlist(name) for name in self.many}
        if self.index:
            found["pageIndex"] = _number("pageIndex", request.args.get("pageIndex", "1"), 1, 10**6)
            found["pageSize"] = _number("pageSize", request.args.get("pageSize", "10"), 1, 100)
        if self.cursor:
            found["limit"] = _number("limit", request.args.get("limit", "100"), 1, 1000)
            found["start"] = _number("cursor", request.args.get("cursor", "0"), 0, 10**9)
        return found


def _number(name: str, value: str, least: int, most: int) -> int:
    if not value.isdigit() or not least <= int(value) <= most:
        raise invalid(name, f"must be between {least} and {most}")
    return int(value)


def _time(name: str, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise invalid(name, "must be ISO 8601") from None
    if parsed.tzinfo is None:
        raise invalid(name, "must have an offset")
    return parsed.astimezone(UTC)


# --- what is sent --------------------------------------------------------------------------------------------------------


def body_of(request: Request, kind: type) -> Any:
    """The JSON body. Raises ProblemError 400 or 415 when it is none, or none of this kind."""
    if request.mimetype != "application/json":
        raise ProblemError(415, "Unsupported media type")
    try:
        body = json.loads(request.get_data(), parse_float=Decimal)
    except ValueError:
        raise ProblemError(400, "The body is no JSON") from None
    if not isinstance(body, kind):
        raise invalid("body", f"must be {kind.__name__}")
    return body


Check = Callable[[Any, str], Any]


def fields(
    body: Any, where: str, needed: Mapping[str, Check], more: Mapping[str, Check] | None = None
) -> Row:
    """An object with exactly these fields, each checked. Raises ProblemError 400 naming the first that is wrong."""
    more = more or {}
    if not isinstance(body, dict):
        raise invalid(where or "body", "must be an object")
    for name in body:
        if name not in needed and name not in more:
            raise invalid(f"{where}{name}", "is not known")
    for name, check in {**needed, **more}.items():
        if name in body:
            check(body[name], f"{where}{name}")
        elif name in needed:
            raise invalid(f"{where}{name}", "is required")
    return body


def text(value: Any, name: str, *, least: int = 1, most: int = 5000, words: Sequence[str] = ()) -> str:
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise invalid(name, f"must be text of {least} to {most} characters")
    if words and value not in words:
        raise invalid(name, f"must be one of {', '.join(words)}")
    return value


def word(*words: str) -> Check:
    return lambda value, name: text(value, name, words=words)


def texts(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or not value:
        raise invalid(name, "must be a list of text")
    return [text(each, name) for each in value]


def yes_or_no(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise invalid(name, "must be true or false")
    return value


def whole(value: Any, name: str, *, least: int = 0, most: int = 10**6) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise invalid(name, f"must be a whole number from {least} to {most}")
    return value


def amount(value: Any, name: str) -> int:
    return cents(value, name)
