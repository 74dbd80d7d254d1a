"""What the shop translators read with: strict marshmallow fields, amounts to minor units, one way to name a fault.

No value of a shop is ever repeated in an error, only its place: orders are full of addresses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeVar

from marshmallow import Schema, ValidationError, fields, validate

from app.errors import Invalid
from app.messages import ShopStatus, TrackingSeen

MAX_ID = 190
MAX_TITLE = 500
MAX_TEXT = 2_000
MAX_COUNT = 2**31 - 1  # what an integer column holds
YEARS = range(1990, 2101)

# ISO 4217: every other currency has two decimals.
_NO_DECIMALS = frozenset(
    {
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    }
)
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})

_AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,10})?")
_PERCENT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,4})?")

# Our word for each of theirs, written with dashes or with underscores.
_STATUSES = {
    "on-hold": ShopStatus.ON_HOLD,
    "on_hold": ShopStatus.ON_HOLD,
    "checkout-draft": ShopStatus.DRAFT,
    "auto-draft": ShopStatus.DRAFT,
    "trash": ShopStatus.DELETED,
} | {status.value: status for status in ShopStatus}


Value = TypeVar("Value")


class Strict(fields.Field[Value]):
    """A field that takes a value as it is or not at all: `take` answers None for what it does not accept."""

    expected = ""

    def take(self, value: Any) -> Value | None:
        raise NotImplementedError

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Value:
        taken = self.take(value)
        if taken is None:
            raise ValidationError(self.expected)
        return taken


class ShopId(Strict[str]):
    """An id of the shop: a whole number or a short printable text. Comes out as text."""

    expected = "a whole number or a text of at most 190 characters"

    def take(self, value: Any) -> str | None:
        """None for booleans, fractions, and texts that no database should have as an id."""
        if type(value) is int and value >= 0:
            return str(value)
        if isinstance(value, str) and 0 < len(text := value.strip()) <= MAX_ID and text.isprintable():
            return text
        return None


class Count(Strict[int]):
    """A whole number that a database column holds; 3.0, "3" and true do not pass."""

    def __init__(self, lowest: int = 0, highest: int = MAX_COUNT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lowest, self.highest = lowest, highest
        self.expected = f"a whole number from {lowest} to {highest}"

    def take(self, value: Any) -> int | None:
        """None for everything that is not exactly an int in the range."""
        return value if type(value) is int and self.lowest <= value <= self.highest else None


class Amount(Strict[Decimal]):
    """An amount as text with a dot, never negative: "7.90". Comes out as an exact Decimal, see `minor_units`."""

    expected = 'an amount as text like "7.90"'

    def __init__(self, decimals: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decimals = decimals

    def take(self, value: Any) -> Decimal | None:
        """None for numbers (a JSON number has lost its decimals), signs, exponents and other digits than 0-9."""
        if (
            isinstance(value, str)
            and _AMOUNT.fullmatch(value)
            and len(value.partition(".")[2]) <= self.decimals
        ):
            return Decimal(value)
        return None


class Percent(Strict[str]):
    """A percentage as text, "19" or "5.5"; comes out without zeros that mean nothing ("19.0000" is "19")."""

    expected = 'a percentage as text like "19"'

    def take(self, value: Any) -> str | None:
        """None for numbers, signs, a percent sign, and for more than a hundred."""
        if not isinstance(value, str) or not _PERCENT.fullmatch(value) or Decimal(value) > 100:
            return None
        whole, _, part = value.partition(".")
        part = part.rstrip("0")
        return f"{int(whole)}.{part}" if part else str(int(whole))


class Moment(Strict[datetime]):
    """A point in time in ISO 8601; without an offset it is UTC (WooCommerce's `_gmt` fields). Comes out in UTC."""

    expected = "a time like 2026-11-21T14:02:11Z"

    def take(self, value: Any) -> datetime | None:
        """None for other texts, and for years that only a broken clock or unit can mean."""
        if not isinstance(value, str) or not value.isascii() or len(value) > 40:
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        # The year is checked before the conversion: the year 1 with an offset overflows.
        if moment.year not in YEARS:
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Flag(Strict[bool]):
    """true or false, and nothing that only looks like it."""

    expected = "true or false"

    def take(self, value: Any) -> bool | None:
        """None for 1, 0, "yes" and the like."""
        return value if isinstance(value, bool) else None


class Text(fields.String):
    """A text of at most `longest` characters."""

    def __init__(self, longest: int = MAX_TEXT, **kwargs: Any) -> None:
        super().__init__(validate=validate.Length(max=longest), **kwargs)


class Currency(fields.String):
    """ISO 4217, three capital letters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=validate.Regexp(r"[A-Z]{3}\Z", error="a currency like EUR"), **kwargs)


def decimals_of(currency: str) -> int:
    """How many decimals the minor unit of this currency stands for: 2 for EUR, 0 for JPY, 3 for KWD."""
    if currency in _NO_DECIMALS:
        return 0
    return 3 if currency in _THREE_DECIMALS else 2


def minor_units(amount: Decimal, currency: str) -> int:
    """The amount in minor units, rounded half up: WooCommerce computes lines with more decimals than a currency has."""
    return int((amount * 10 ** decimals_of(currency)).quantize(Decimal(1), ROUND_HALF_UP))


def exact_minor_units(amount: Decimal, currency: str, place: str) -> int:
    """The amount in minor units. Raises Invalid naming the place when it has more decimals than the currency."""
    units = amount * 10 ** decimals_of(currency)
    if units != int(units):
        raise Invalid(
            "field.invalid", field=place, expected=f"at most {decimals_of(currency)} decimals for {currency}"
        )
    return int(units)


def amount_text(units: int, currency: str) -> str:
    """Minor units as the text of the protocol: 1580 EUR is "15.80", 1580 JPY is "1580"."""
    decimals = decimals_of(currency)
    return f"{Decimal(units).scaleb(-decimals):.{decimals}f}"


def status_of(raw: str) -> ShopStatus:
    """Our word for a shop's order status; OTHER for what only this shop knows."""
    return _STATUSES.get(raw.strip().lower().removeprefix("wc-"), ShopStatus.OTHER)


def filled(text: str | None) -> str | None:
    """The text without blanks around it; None when nothing is left."""
    return (text.strip() or None) if text else None


def parcels(seen: Sequence[Mapping[str, Any]]) -> tuple[TrackingSeen, ...]:
    """Parcels as schemas.ParcelData loads them; one whose number is only blanks does not exist yet."""
    return tuple(_parcel(parcel) for parcel in seen if filled(parcel["number"]))


def _parcel(parcel: Mapping[str, Any]) -> TrackingSeen:
    lines = parcel["lines"]
    return TrackingSeen(
        number=parcel["number"].strip(),
        carrier_name=filled(parcel["carrier"]),
        url=filled(parcel["url"]),
        shipped_at=parcel["shipped_at"],
        lines=None if lines is None else tuple((part["id"], part["quantity"]) for part in lines),
    )


def read(schema: Schema, value: Any, place: str = "data") -> dict[str, Any]:
    """The value through the schema. Raises Invalid with the path of the first fault, e.g. data.line_items.0.id."""
    try:
        loaded: dict[str, Any] = schema.load(value)
    except ValidationError as error:
        raise _invalid(error, place) from None
    return loaded


def faults(error: ValidationError, place: str = "data") -> list[tuple[str, str]]:
    """Every (path, what is expected) in the error, in the order of the schema."""
    return _walk(error.messages, place)


def _walk(messages: Any, place: str) -> list[tuple[str, str]]:
    if isinstance(messages, dict):
        found: list[tuple[str, str]] = []
        for name, inner in messages.items():
            found += _walk(inner, place if name == "_schema" else f"{place}.{name}")
        return found
    first = messages[0] if isinstance(messages, list) and messages else messages
    return [(place, str(first))]


def _invalid(error: ValidationError, place: str) -> Invalid:
    (field, expected), *others = faults(error, place)
    code = "field.missing" if expected.startswith("Missing data") else "field.invalid"
    return Invalid(code, field=field[:200], expected=expected[:200], others=len(others))
