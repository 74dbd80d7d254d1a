"""What a retailer's shop should show of a supplier's product: price, stock, or why there is none (K3-K5). Pure.

What may go wrong: a shop sells what the supplier does not offer any more. So whatever speaks against a sale makes the stock 0, and the reason is
told; a price that cannot be computed does so too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, get_args

from app.errors import Invalid
from app.messages import Reason
from app.rules import pricing
from app.rules.pricing import PriceRule

Base = Literal["dealer", "recommended"]
BASES: tuple[Base, ...] = get_args(Base)

# What goes on top is meant from what the retailer pays; what is taken off, from what the supplier recommends.
_BASE_OF: Mapping[str, Base] = {"plus": "dealer", "plus_percent": "dealer"}


@dataclass(frozen=True)
class Rule:
    """A retailer's price rule and what it starts from: his dealer price (gross, after his price group) or the supplier's own price."""

    rule: PriceRule
    base: Base


@dataclass(frozen=True)
class Circumstances:
    """Everything outside the product itself that decides whether a retailer may sell it now."""

    switched_on: bool
    released: bool
    partnership_state: str
    retailer_approved: bool
    supplier_on_holiday: bool


def key(supplier_shop: str, product_id: str) -> str:
    """What the retailer's shop knows the product by for ever: a digest of the supplier's shop (its connection key) and its id there.

    No number of ours is in it: those begin anew with a new database. Nothing of the supplier can be read in it (K7).
    """
    return f"network:{sha256(f'{supplier_shop}:{product_id}'.encode()).hexdigest()[:24]}"


def sku(listing_key: str) -> str:
    """The SKU of a listing in the retailer's shop: never the supplier's, which a product of the retailer may carry already."""
    return f"DS-{listing_key.removeprefix('network:')[:10].upper()}"


def rule_from(told: Mapping[str, Any]) -> Rule:
    """The rule as listing.price_rule keeps it: {"kind", "value", "base"}; `base` may be left out, nothing means the recommended price.

    Raises Invalid("price.rule_invalid") with field "price_rule.kind", "price_rule.value" or "price_rule.base".
    """
    rule = pricing.from_settings(told)
    base = told.get("base") or _BASE_OF.get(rule.kind, "recommended")
    if base not in BASES:
        raise Invalid("price.rule_invalid", field="price_rule.base", value=str(base)[:60])
    return Rule(rule, base)


def rule_row(rule: Rule) -> dict[str, str]:
    """The rule as it is kept."""
    return {"kind": rule.rule.kind, "value": rule.rule.value, "base": rule.base}


def price(rule: Rule, dealer_price: int | None, recommended: int | None) -> int | Reason:
    """The retailer's price in minor units, rounded half up; or why there is none. `dealer_price` is gross and after his price group."""
    start = dealer_price if rule.base == "dealer" else recommended
    if rule.rule.kind == "fixed":
        return pricing.price(rule.rule, 0)
    if start is None or start <= 0:
        return Reason("listing.price_missing")
    if pricing.exact(rule.rule, start) < 1:
        return Reason("listing.price_too_low")
    return pricing.price(rule.rule, start)


def withheld(now: Circumstances) -> Reason | None:
    """Why the stock is 0 although the supplier may have some (K4); None = it may be sold."""
    if not now.switched_on:
        return Reason("listing.off")
    if now.partnership_state != "active":
        return Reason("listing.partnership_not_active", {"state": now.partnership_state})
    if not now.retailer_approved:
        return Reason("listing.retailer_not_approved")
    if not now.released:
        return Reason("listing.not_released")
    return Reason("listing.supplier_on_holiday") if now.supplier_on_holiday else None


def margin_percent(price_minor: int | None, dealer_price: int | None) -> int | None:
    """What is left of the price after the dealer price, in whole percent of the price, rounded down; None where one of them is missing."""
    if not price_minor or price_minor <= 0 or dealer_price is None:
        return None
    return (price_minor - dealer_price) * 100 // price_minor
