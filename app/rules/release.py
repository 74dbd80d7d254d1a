"""Which of a supplier's products retailers may list, and if not, which field of which product is missing (K1, K2). Pure.

What may go wrong: a product that is not complete goes on sale in a hundred shops. So everything that is not known counts as missing, and every
reason that holds is told at once, because nobody wants to mend a product five times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from app.messages import Reason
from app.rules import gtin as gtins
from app.rules import network_categories
from app.rules.offers import SELLABLE_KINDS

FIELDS: Mapping[str, str | None] = {
    "release.shop_not_connected": "connection",
    "release.other_shop": "connection",
    "release.profile_not_approved": "profile",
    "release.options_incomplete": "options",
    "release.deleted": "status",
    "release.parent": None,
    "release.kind_not_sellable": "status",
    "release.not_published": "status",
    "release.from_network": None,
    "release.gtin_missing": "gtin",
    "release.gtin_invalid": "gtin",
    "release.gtin_duplicate": "gtin",
    "release.dealer_price_missing": "dealer_price",
    "release.dealer_price_not_positive": "dealer_price",
    "release.dealer_price_too_high": "dealer_price",
    "release.currency": "price",
    "release.tax_missing": "tax_rate",
    "release.category_missing": "network_category",
    "release.category_unknown": "network_category",
}
"""Every reason -> the field in which it is mended (docs/protocol.md 4.1); None = nothing is to be mended."""


@dataclass(frozen=True)
class Terms:
    """What holds for all products of one shop of a supplier.

    `orders_come_here`: the network's orders go to this shop and to no other of the account (K6). `currency` is the one he trades in.
    """

    shop_state: str  # connection.state
    orders_come_here: bool
    is_supplier: bool
    profile_state: str
    currency: str
    dealer_prices: str  # "net" | "gross"
    vat_percent: str | None  # where the product has none of its own


@dataclass(frozen=True)
class Goods:
    """A product or variation as its shop shows it. `dealer_price` as the option `dealer_prices` says, minor units of `currency`."""

    kind: str
    published: bool
    deleted: bool
    gtin: str | None
    price: int | None
    dealer_price: int | None
    currency: str | None
    vat_percent: str | None
    network_category: str | None
    same_gtin: str | None = None  # title of the product of this supplier that has the GTIN already
    from_network: bool = False  # it stands in this shop for another supplier's product


@dataclass(frozen=True)
class Verdict:
    """Released when there is no reason against it. `price` is the dealer price, gross minor units, before any price group."""

    reasons: tuple[Reason, ...]
    price: int | None
    category: str | None
    currency: str | None
    vat_percent: str | None

    @property
    def released(self) -> bool:
        return not self.reasons


def decide(goods: Goods, terms: Terms) -> Verdict:
    """K1 and K2 for one product or variation. A parent of variations is never released itself: its variations are, each on its own."""
    vat = percent(goods.vat_percent) if goods.vat_percent is not None else percent(terms.vat_percent)
    price = gross(goods.dealer_price, vat, terms.dealer_prices)
    out_of_question = _out_of_question(goods)
    reasons = (
        [out_of_question]
        if out_of_question
        else [*_of_the_shop(terms), *_of_the_product(goods, terms, vat=vat, price=price)]
    )
    return Verdict(
        reasons=tuple(reasons),
        price=price,
        category=goods.network_category,
        currency=goods.currency,
        vat_percent=None if vat is None else format(vat, "f"),
    )


def as_rows(reasons: tuple[Reason, ...]) -> list[dict[str, Any]]:
    """The reasons as release.reasons keeps them: [{"code", "params"}]."""
    return [{"code": reason.code, "params": dict(reason.params)} for reason in reasons]


def field_of(code: str) -> str | None:
    """Where the merchant can mend it."""
    return FIELDS.get(code)


def gross(dealer_price: int | None, vat_percent: Decimal | None, meant: str) -> int | None:
    """The dealer price with VAT in minor units, rounded half up per unit; None where the price or, for a net price, the rate is not known."""
    if dealer_price is None or (meant != "gross" and vat_percent is None):
        return None
    if meant == "gross" or vat_percent is None:
        return dealer_price
    exact = Decimal(dealer_price) * (100 + vat_percent) / 100
    return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def percent(text: str | None) -> Decimal | None:
    """The rate as a number from 0 to 100; None where there is none or it cannot be one."""
    try:
        rate = Decimal(text) if text else None
    except InvalidOperation:
        return None
    return rate if rate is not None and rate.is_finite() and 0 <= rate <= 100 else None


def gtin_forms(number: str | None) -> tuple[str, ...]:
    """How the same GTIN may be written: a UPC of 12 digits is the EAN of 13 with a zero before it. Empty for what is no GTIN."""
    cleaned = gtins.clean(number)
    if cleaned is None or not gtins.is_valid(cleaned):
        return ()
    longest = cleaned.zfill(14)
    return tuple(longest[14 - size :] for size in (14, 13, 12, 8) if not longest[: 14 - size].strip("0"))


def _out_of_question(goods: Goods) -> Reason | None:
    """Whatever else is missing does not matter then."""
    if goods.deleted:
        return Reason("release.deleted")
    if goods.kind == "variable":
        return Reason("release.parent")
    return None if goods.kind in SELLABLE_KINDS else Reason("release.kind_not_sellable", {"kind": goods.kind})


def _of_the_shop(terms: Terms) -> list[Reason]:
    found: list[Reason] = []
    if terms.shop_state != "active":
        found.append(Reason("release.shop_not_connected", {"state": terms.shop_state}))
    elif not terms.orders_come_here:
        found.append(Reason("release.other_shop"))
    if not terms.is_supplier or terms.profile_state != "approved":
        found.append(Reason("release.profile_not_approved", {"state": terms.profile_state}))
    if terms.dealer_prices not in {"net", "gross"}:
        found.append(Reason("release.options_incomplete", {"option": "dealer_prices"}))
    if terms.vat_percent is not None and percent(terms.vat_percent) is None:
        found.append(Reason("release.options_incomplete", {"option": "dealer_vat_percent"}))
    return found


def _of_the_product(goods: Goods, terms: Terms, *, vat: Decimal | None, price: int | None) -> list[Reason]:
    found = [] if goods.published else [Reason("release.not_published")]
    if goods.from_network:
        found.append(Reason("release.from_network"))
    found += _gtin(goods)
    found += _dealer_price(goods, price)
    if goods.dealer_price is not None and goods.currency != terms.currency:
        found.append(Reason("release.currency", {"currency": goods.currency, "expected": terms.currency}))
    if vat is None:
        found.append(Reason("release.tax_missing"))
    if goods.network_category is None:
        found.append(Reason("release.category_missing"))
    elif not network_categories.is_known(goods.network_category):
        found.append(Reason("release.category_unknown", {"category": goods.network_category}))
    return found


def _gtin(goods: Goods) -> list[Reason]:
    number = gtins.clean(goods.gtin)
    if number is None:
        return [Reason("release.gtin_missing")]
    if not gtins.is_valid(number):
        return [Reason("release.gtin_invalid", {"gtin": number})]
    if goods.same_gtin is not None:
        return [Reason("release.gtin_duplicate", {"gtin": number, "title": goods.same_gtin})]
    return []


def _dealer_price(goods: Goods, price: int | None) -> list[Reason]:
    """Above the consumer price somebody mistook net for gross, typed a digit too many, or sells it off at home: no retailer could earn anything."""
    if goods.dealer_price is None:
        return [Reason("release.dealer_price_missing")]
    if goods.dealer_price <= 0:
        return [Reason("release.dealer_price_not_positive")]
    if price is not None and goods.price is not None and 0 < goods.price < price:
        return [Reason("release.dealer_price_too_high", {"amount": price, "currency": goods.currency})]
    return []
