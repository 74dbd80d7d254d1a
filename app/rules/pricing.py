"""What a product costs at a marketplace, from its price in the shop and the merchant's rule (I3).

What may go wrong: a rule that takes off more than a product costs. `price` then stays at one cent; `exact` tells how far below
zero the rule went, so that an offer can be held back instead of being given away.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Literal, get_args

from app.errors import Invalid

Kind = Literal["same", "fixed", "plus", "minus", "plus_percent", "minus_percent"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# More than this is a typing mistake, and would leave the range of the columns.
_HIGHEST = Decimal(10_000_000)


@dataclass(frozen=True)
class PriceRule:
    """One rule. `value` is decimal text: an amount in whole currency units ("1.50") or a percentage ("7.5")."""

    kind: Kind = "same"
    value: str = "0"


def from_settings(settings: Mapping[str, Any]) -> PriceRule:
    """The rule as a connection keeps it: {"kind": "plus_percent", "value": "7.5"}; nothing means same, a comma is forgiven.

    Raises Invalid("price.rule_invalid") with field "price_rule.kind" or "price_rule.value", whichever cannot be used.
    """
    kind = settings.get("kind") or "same"
    if kind not in KINDS:
        raise Invalid("price.rule_invalid", field="price_rule.kind", value=str(kind)[:60])
    if kind == "same":
        return PriceRule()
    told = settings.get("value")
    value = _number(told)
    if value is None or not _makes_sense(kind, value):
        raise Invalid(
            "price.rule_invalid", field="price_rule.value", value="" if told is None else str(told)[:60]
        )
    return PriceRule(kind, format(value, "f"))


def price(rule: PriceRule, shop_price_minor: int) -> int:
    """The marketplace's price in minor units, rounded half up, at least 1."""
    return max(1, exact(rule, shop_price_minor))


def exact(rule: PriceRule, shop_price_minor: int) -> int:
    """What the rule yields in minor units, rounded half up; zero or negative when the rule takes off too much."""
    value = Decimal(rule.value)
    shop = Decimal(shop_price_minor)
    yielded = {
        "same": shop,
        "fixed": value * 100,
        "plus": shop + value * 100,
        "minus": shop - value * 100,
        "plus_percent": shop * (100 + value) / 100,
        "minus_percent": shop * (100 - value) / 100,
    }[rule.kind]
    return int(yielded.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _number(value: Any) -> Decimal | None:
    """Decimal of what a person typed, None when it is no number."""
    try:
        number = Decimal(str(value).strip().removesuffix("%").strip().replace(",", "."))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _makes_sense(kind: str, value: Decimal) -> bool:
    """A negative value would turn plus into minus, and minus 100 percent gives the goods away."""
    if kind == "fixed":
        return Decimal("0.01") <= value <= _HIGHEST
    if kind == "minus_percent":
        return 0 <= value < 100
    return 0 <= value <= _HIGHEST
