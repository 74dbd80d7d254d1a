"""What simulated OTTO checks before it listens: token and scope, pace, query and body, and the three shapes of its errors.

What may go wrong is the point: every refusal looks like the real one's (FACTS 2 and 3).
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from flask import Request

SCOPES: Final = {
    "/v4/orders": "orders",
    "/v5/products": "products",
    "/v1/shipments": "shipments",
    "/v1/multiparcel-shipments": "shipments",
    "/v1/return-shipments": "shipments",
    "/v3/returns": "returns",
    "/v1/price-reductions": "price-reduction",
    "/v1/availability": "availability",
    "/v1/shipping-profiles": "shipping-profiles",
}
OUTBOUND: Final = (
    "DHL", "DHL_EXPRESS", "DPD", "GLS", "HERMES", "UPS", "ABIKS", "AJ", "AJE", "BTW", "BURSPED", "CARGOLINE", "CARGOBOARD", "CTL",
    "DACHSER", "DB_SCHENKER", "DHL_FREIGHT", "DHL_HOME_DELIVERY", "DHL_2_MANN_HANDLING", "DSV", "ECE", "EMONS", "EPH_DIREKT", "FEDEX",
    "FROEDE", "GEIS", "GEL", "GRASSL", "GUETTLER", "HASENAUER", "HEPPNER", "HELLMANN", "HES", "HEUEL", "IDS", "ISG", "KIESSLING", "KOCH",
    "KUEHNE_NAGEL", "LOGWIN", "MEYER_JUMBO", "MIRJAN", "ORCARGO", "PALLETWAYS", "PEISKER", "RABEN_LOGISTIK", "REIMER", "REITHMEIER",
    "RHENUS", "RIECK", "SCHMIDT_GEVELSBERG", "SCHOCKEMOEHLE", "SIEVERS", "SIMPLE_LOGISTIK", "SPEEDTRANS", "SPT", "VERHOEK", "WEISS",
    "ZUFALL", "OTHER_FORWARDER",
)  # fmt: skip
PARCELS: Final = ("DHL", "DHL_EXPRESS", "DPD", "GLS", "HERMES", "UPS")
BACK: Final = ("DHL", "GLS", "HERMES")

Row = dict[str, Any]


class OttoError(Exception):
    """A refusal about to be sent."""

    def __init__(self, status: int, body: Row) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def refused(status: int, title: str, detail: str, path: str, json_path: str | None = None) -> OttoError:
    """The usual shape: `errors`."""
    error = {"path": path, "title": title, "detail": detail, "logref": "log-1"}
    return OttoError(status, {"errors": [error | ({"jsonPath": json_path} if json_path else {})]})


def availability(status: int, title: str, *details: str) -> OttoError:
    """The shape of availability and shipping profiles: `validationErrors`."""
    errors = [{"detail": each, "logref": "log-1"} for each in details]
    return OttoError(
        status, {"type": "about:blank", "title": title, "status": status, "validationErrors": errors}
    )


def gateway(status: int, message: str) -> OttoError:
    """The shape of the gateway before the interfaces: `message`."""
    return OttoError(status, {"message": message})


def scope_of(path: str) -> str:
    return next((scope for start, scope in SCOPES.items() if path.startswith(start)), "")


class Pace:
    """So many calls in one second per seller. The window is a quarter shorter than a second: the caller counts departures, we arrivals."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)

    def take(self, key: str, most: int, seconds: float = 0.75) -> None:
        now, times = self._clock(), self._times[key]
        while times and now - times[0] >= seconds:
            times.popleft()
        if len(times) >= most:
            raise gateway(429, "too many requests")
        times.append(now)


# --- what is asked -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Query:
    """The query parameters an interface knows. Everything else is refused, so that a misspelled filter is noticed."""

    text: Sequence[str] = ()
    times: Sequence[str] = ()
    lists: Mapping[str, Sequence[str]] | None = None
    limit: int | None = None  # Largest `limit`, None: not paged
    standard: int = 25
    first_page: int | None = None  # None: pages have no numbers

    def read(self, request: Request) -> Row:
        """Values by name. Raises OttoError 400 naming the parameter."""
        lists = self.lists or {}
        known = {*self.text, *self.times, *lists, *(["limit"] if self.limit else [])}
        known |= {"page"} if self.first_page is not None else set()
        for name in request.args:
            if name not in known:
                raise _wrong(request, name, "is not known")
        found: Row = {name: request.args.get(name) for name in self.text}
        found |= {name: _time(request, name) for name in self.times}
        found |= {name: _words(request, name, words) for name, words in lists.items()}
        if self.limit:
            found["limit"] = _number(request, "limit", self.standard, 1, self.limit)
        if self.first_page is not None:
            found["page"] = _number(request, "page", self.first_page, self.first_page, 10**6)
        return found


def _wrong(request: Request, name: str, why: str) -> OttoError:
    return refused(400, "INVALID_REQUEST_PARAMETER", f"{name} {why}", request.path, name)


def _number(request: Request, name: str, standard: int, least: int, most: int) -> int:
    value = request.args.get(name, str(standard))
    if not value.isdigit() or not least <= int(value) <= most:
        raise _wrong(request, name, f"must be between {least} and {most}")
    return int(value)


def _time(request: Request, name: str) -> datetime | None:
    value = request.args.get(name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _wrong(request, name, "must be ISO 8601") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _words(request: Request, name: str, allowed: Sequence[str]) -> list[str]:
    values = request.args.getlist(name)
    if strange := [each for each in values if each not in allowed]:
        raise _wrong(request, name, f"{strange[0]} is not valid")
    return values


def cursor(data: Row) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")


def opened(text: str, path: str) -> Row:
    """What a cursor stands for. Raises OttoError 400 when it is none of ours."""
    try:
        found: Row = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        raise refused(400, "INVALID_REQUEST_PARAMETER", "cursor is not valid", path, "nextcursor") from None
    return found


# --- what is sent --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """One field of a JSON body."""

    kind: type | tuple[type, ...]
    needed: bool = False
    least: int | None = None
    most: int | None = None
    words: Sequence[object] = ()


Complain = Callable[[str, str], OttoError]


def checked(data: object, fields: Mapping[str, Field], where: str, complain: Complain) -> Row:
    """The object when it is right; else `complain(place, why)` makes the error that is raised."""
    if not isinstance(data, dict):
        raise complain(where or "body", "must be an object")
    for name in data:
        if name not in fields:
            raise complain(f"{where}{name}", "is not known")
    for name, rule in fields.items():
        if name not in data:
            if rule.needed:
                raise complain(f"{where}{name}", "PROPERTY_IS_MANDATORY")
        elif why := _complaint(data[name], rule):
            raise complain(f"{where}{name}", why)
    return data


def _complaint(value: object, rule: Field) -> str | None:
    if not isinstance(value, rule.kind) or (isinstance(value, bool) and rule.kind is not bool):
        return "has the wrong type"
    if rule.words and value not in rule.words:
        return "is not valid"
    size = len(value) if isinstance(value, str | list | dict) else value
    if isinstance(size, int) and rule.least is not None and size < rule.least:
        return f"must be at least {rule.least}"
    if isinstance(size, int) and rule.most is not None and size > rule.most:
        return f"must be at most {rule.most}"
    return None
