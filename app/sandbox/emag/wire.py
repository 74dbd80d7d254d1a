"""What simulated eMAG checks before it listens: who speaks and from where, how often, and whether the body has the right form.

What may go wrong is the point: refusals come as the real ones do, often with status 200 and `isError` (FACTS 2).
"""

from __future__ import annotations

import base64
import binascii
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from flask import Request

MOST_ELEMENTS: Final = 4000
BATCH: Final = 50
PAGE: Final = 100


class EmagError(Exception):
    """A refusal about to be sent. `plain` is the form of the newer routes: {"message"} instead of the envelope."""

    def __init__(self, status: int, *messages: str, plain: bool = False, field: str | None = None) -> None:
        super().__init__(*messages)
        self.status, self.messages, self.plain, self.field = status, messages, plain, field

    def body(self) -> dict[str, Any]:
        if not self.plain:
            return {"isError": True, "messages": list(self.messages), "results": []}
        told: dict[str, Any] = {"message": self.messages[0]}
        if self.field is not None:
            told = {
                "message": "Validation errors in your request",
                "errors": [{"message": each, "field": self.field} for each in self.messages],
            }
        return told


def refused(*messages: str) -> EmagError:
    """Refused in eMAG's way: status 200, and only the body says so."""
    return EmagError(200, *messages)


# --- who speaks ----------------------------------------------------------------------------------------------------------


def credentials(request: Request) -> tuple[str, str]:
    """User and password of basic authorization. Raises EmagError 401."""
    kind, _, coded = request.headers.get("Authorization", "").partition(" ")
    try:
        user, _, password = base64.b64decode(coded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise EmagError(401, "Authorization is not readable") from None
    if kind != "Basic" or not user:
        raise EmagError(401, "You are not authorized")
    return user, password


class Pace:
    """So many calls a second and a minute for each kind of route, per seller (FACTS 2). The caller holds the world's lock."""

    LIMITS: Final = {"orders": ((12, 1), (720, 60)), "rest": ((3, 1), (180, 60)), "eans": ((5, 1), (200, 60))}

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)

    def take(self, user: str, lane: str, hurry: float) -> None:
        """`hurry`: how many times faster than the real one this eMAG may be called."""
        now, times = self._clock(), self._times[user, lane]
        while times and now - times[0] >= 60:
            times.popleft()
        times.append(now)  # Invalid and refused requests count too.
        for most, seconds in self.LIMITS[lane]:
            # A quarter of a second less than the whole window: calls that left one second apart may arrive closer together.
            if sum(now - each < seconds - 0.25 for each in times) > most * hurry:
                raise EmagError(429, "API rate limit exceeded", plain=True)


# --- what is sent --------------------------------------------------------------------------------------------------------


def elements(value: object) -> int:
    """How many input variables PHP would count."""
    if isinstance(value, Mapping):
        return sum(elements(each) for each in value.values())
    if isinstance(value, list):
        return sum(elements(each) for each in value)
    return 1


def listed(body: object) -> list[dict[str, Any]]:
    """The entities of a bulk save: a bare list of objects, at most 50."""
    if isinstance(body, dict) and "data" in body:
        raise refused("The wrapper data is for form fields, not for JSON")
    if not isinstance(body, list) or not body or not all(isinstance(each, dict) for each in body):
        raise refused("A list of entities is expected")
    if len(body) > BATCH:
        raise refused(f"Maximum {BATCH} entities are allowed")
    return body


@dataclass(frozen=True)
class Asked:
    """Filters and page of a list."""

    filters: dict[str, Any]
    page: int
    size: int

    def cut(self, rows: Sequence[Any]) -> list[Any]:
        start = (self.page - 1) * self.size
        return list(rows[start : start + self.size])


def asked(body: object, known: Iterable[str]) -> Asked:
    """Refuses filters that nobody knows, so that a misspelled one is noticed."""
    if not isinstance(body, dict):
        raise refused("An object with filters is expected")
    names = {*known, "currentPage", "itemsPerPage"}
    if strange := sorted(set(body) - names):
        raise refused(f"Unknown filters: {', '.join(strange)}")
    page, size = body.get("currentPage", 1), body.get("itemsPerPage", PAGE)
    if type(page) is not int or type(size) is not int or page < 1 or not 1 <= size <= PAGE:
        raise refused(f"itemsPerPage must be between 1 and {PAGE}")
    filters = {name: value for name, value in body.items() if name not in {"currentPage", "itemsPerPage"}}
    return Asked(filters, page, size)


def whole(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def amount(value: object) -> Decimal | None:
    """A price as number or text with at most four decimals; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    exponent = found.as_tuple().exponent
    return found if found.is_finite() and isinstance(exponent, int) and exponent >= -4 else None
