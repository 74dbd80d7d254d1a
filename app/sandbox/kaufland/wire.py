"""What simulated Kaufland checks before it listens: headers, signature over the full URL, clock, pace, query and body.

What may go wrong is the point: every refusal is a Problem with the type the real API would name (FACTS sections 2 and 3).
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from flask import Request

STOREFRONTS: Final = ("de", "cz", "sk", "pl", "at", "fr", "it")
CURRENCY: Final = {"cz": "CZK", "pl": "PLN"}  # the others pay in EUR
MERCHANT: Final = "fulfilled_by_merchant"


class ProblemError(Exception):
    """An ErrorResponse about to be sent. `kind` without the leading /problems/."""

    def __init__(self, status: int, kind: str, message: str, *errors: tuple[str, str]) -> None:
        super().__init__(kind)
        self.status = status
        self.kind = kind
        self.message = message
        self.errors = errors

    def body(self) -> dict[str, Any]:
        kind = self.kind if self.kind == "about:blank" else f"/problems/{self.kind}"
        errors = [{"field": name, "message": message} for name, message in self.errors]
        return {"type": kind, "message": self.message, "errors": errors}


def invalid(name: str, message: str = "not valid") -> ProblemError:
    return ProblemError(400, "validation-error", "Request parameters have invalid values", (name, message))


def not_found(what: str) -> ProblemError:
    return ProblemError(404, "not-found", f"{what} not found")


# --- who speaks ----------------------------------------------------------------------------------------------------------


def sent_url(request: Request) -> str:
    """The URL byte for byte as it was sent: decoding and encoding it again would hide exactly the error we look for."""
    raw = (
        request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or request.full_path.rstrip("?")
    )
    return f"{request.environ['wsgi.url_scheme']}://{request.environ['HTTP_HOST']}{raw}"


def signature(secret: str, method: str, url: str, body: bytes, timestamp: str) -> str:
    text = f"{method}\n{url}\n".encode() + body + f"\n{timestamp}".encode()
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def check_signature(request: Request, secrets: Mapping[str, str], skew: float) -> str:
    """The client key of whoever signed this request. Raises ProblemError 401."""
    given = {
        name: request.headers.get(name, "")
        for name in ("Shop-Client-Key", "Shop-Timestamp", "Shop-Signature")
    }
    missing = [name for name in (*given, "User-Agent") if not request.headers.get(name)]
    if request.data and request.mimetype != "application/json":
        missing.append("Content-Type")
    if missing or not given["Shop-Timestamp"].isdigit():
        wrong = missing or ["Shop-Timestamp"]
        kind = "missing-or-invalid-request-header"
        raise ProblemError(401, kind, f"Missing or invalid header: {', '.join(wrong)}")
    secret = secrets.get(given["Shop-Client-Key"])
    if secret is None:
        raise ProblemError(401, "invalid-credentials", "Client key is not known")
    expected = signature(secret, request.method, sent_url(request), request.data, given["Shop-Timestamp"])
    late = abs(time.time() - int(given["Shop-Timestamp"])) > skew
    if late or not hmac.compare_digest(expected, given["Shop-Signature"]):
        raise ProblemError(401, "corrupted-signature", "Signature does not match")
    return given["Shop-Client-Key"]


class Pace:
    """So many calls in one second per seller, over all endpoints. The caller holds the world's lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)

    def take(self, key: str, per_second: int) -> None:
        now, times = self._clock(), self._times[key]
        while times and now - times[0] >= 1:
            times.popleft()
        if len(times) >= per_second:
            raise ProblemError(429, "about:blank", "Too many requests")
        times.append(now)


# --- what is asked -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Query:
    """The query parameters an endpoint knows. Everything else is refused, so that a misspelled filter is noticed."""

    text: Sequence[str] = ()
    times: Sequence[str] = ()
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sorts: Sequence[str] = ()
    page: int | None = None  # largest `limit`, None: not paged
    storefront: bool | None = None  # True: must be given, False: may be, None: not known

    def read(self, request: Request) -> dict[str, Any]:
        """Values by name. Raises ProblemError 400 naming the parameter."""
        known = {*self.text, *self.times, *self.lists, *(["sort"] if self.sorts else [])}
        known |= {"limit", "offset"} if self.page else set()
        known |= {"storefront"} if self.storefront is not None else set()
        known |= {"fulfillment_type"} if self.page else set()
        for name in request.args:
            if name not in known:
                raise invalid(name, "is not known")
        found: dict[str, Any] = {name: request.args.get(name) for name in self.text}
        found |= {name: _time(name, request.args.get(name)) for name in self.times}
        found |= {
            name: _list(name, request.args.getlist(name), allowed) for name, allowed in self.lists.items()
        }
        if self.page:
            found["limit"] = _number("limit", request.args.get("limit", "30"), 1, self.page)
            found["offset"] = _number("offset", request.args.get("offset", "0"), 0, 10**9)
        if self.sorts:
            found["sort"] = request.args.get("sort", self.sorts[0])
            if found["sort"] not in self.sorts:
                raise invalid("sort")
        return found | self._country(request)

    def _country(self, request: Request) -> dict[str, Any]:
        if self.storefront is None:
            return {}
        given = request.args.get("storefront")
        if (given is None and self.storefront) or (given is not None and given not in STOREFRONTS):
            raise invalid("storefront")
        return {"storefront": given}


def _number(name: str, value: str, least: int, most: int) -> int:
    if not value.isdigit() or not least <= int(value) <= most:
        raise invalid(name, f"must be between {least} and {most}")
    return int(value)


def _time(name: str, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise invalid(name, "must be YYYY-MM-ddTHH:mm:ssZ") from None


def _list(name: str, values: list[str], allowed: Sequence[str]) -> list[str]:
    if any(value not in allowed for value in values):
        raise invalid(name)
    return values


# --- what is sent --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """One field of a JSON body."""

    kind: type
    needed: bool = False
    least: int | None = None
    most: int | None = None
    words: Sequence[object] = ()


def checked(data: object, fields: Mapping[str, Field], prefix: str = "") -> dict[str, Any]:
    """The body when it is right. Raises ProblemError 400 naming every field that is wrong."""
    if not isinstance(data, dict):
        raise invalid(prefix or "body", "must be an object")
    wrong = [(prefix + name, "is not known") for name in data if name not in fields]
    for name, rule in fields.items():
        if name not in data:
            wrong += [(prefix + name, "is missing")] if rule.needed else []
        elif complaint := _complaint(data[name], rule):
            wrong.append((prefix + name, complaint))
    if wrong:
        raise ProblemError(400, "validation-error", "Request parameters have invalid values", *wrong)
    return data


def _complaint(value: object, rule: Field) -> str | None:
    if not isinstance(value, rule.kind) or (isinstance(value, bool) and rule.kind is not bool):
        return f"must be {rule.kind.__name__}"
    if rule.words and value not in rule.words:
        return "not valid"
    size = len(value) if isinstance(value, str) else value
    if isinstance(size, int):
        if rule.least is not None and size < rule.least:
            return f"must be at least {rule.least}"
        if rule.most is not None and size > rule.most:
            return f"must be at most {rule.most}"
    return None
