"""What a marketplace should show of a product, or why not (I3-I5, I7, I9).

What may go wrong: an offer that should not be on sale stays on sale. So a product that was on sale and may no longer be is
taken to stock 0 as long as the data allow it, and the caller is told when they do not (`Blocked.take_down`).
"""

from dataclasses import dataclass

from app.messages import Reason
from app.rules import gtin as gtins
from app.rules import preparation, pricing, stock
from app.rules.pricing import PriceRule

# A parent of variations is not sellable itself; what the shop calls otherwise (grouped, affiliate) may have no stock of its own.
SELLABLE_KINDS = ("simple", "variation")


@dataclass(frozen=True)
class ProductTruth:
    """A product as the shop shows it. `price` in minor units of `currency`; `stock` None = not counted."""

    sku: str | None
    gtin: str | None
    title: str
    price: int | None
    currency: str | None
    stock: int | None
    in_stock: bool
    published: bool
    deleted: bool
    kind: str  # simple, variation, variable (a parent), other
    handling_days: int | None


@dataclass(frozen=True)
class OfferRules:
    """The merchant's rules for one product at one marketplace. Overrides (I4) are None where the shop decides."""

    on: bool
    price_rule: PriceRule
    price_override: int | None
    stock_override: int | None
    handling_override: int | None
    default_handling_days: int
    added_handling_days: int
    handling_cap: int | None
    buffer: int
    unmanaged_stock: int
    currency: str  # of the marketplace
    shipping_group: str | None


@dataclass(frozen=True)
class Desired:
    """What the marketplace should show. `reason` says why it is not for sale, where it is not."""

    sku: str
    gtin: str
    title: str
    price: int
    currency: str
    stock: int
    handling_days: int
    on: bool
    shipping_group: str | None
    reason: Reason | None = None


@dataclass(frozen=True)
class Blocked:
    """Nothing can be sent. `take_down`: it was on sale, so stock 0 must be sent with the values last sent."""

    reason: Reason
    take_down: bool = False


def desired(
    product: ProductTruth,
    offer: OfferRules,
    *,
    reserved: int,
    holiday: bool,
    on_sale_before: bool = False,
) -> Desired | Blocked:
    """The offer as it should be, or the reason why there is none (I9).

    `reserved`: pieces of open marketplace orders that the shop's stock does not contain yet. `on_sale_before`: the marketplace
    has an offer for it already, so that it must be taken down instead of only not being made.
    """
    gone = _gone(product)
    if gone is not None and not on_sale_before:
        return Blocked(gone)
    identity = _identity(product)
    if isinstance(identity, Reason):
        return Blocked(gone or identity, take_down=on_sale_before)
    price = _price(product, offer)
    if isinstance(price, Reason):
        return Blocked(gone or price, take_down=on_sale_before)
    sku, gtin = identity
    on = offer.on and gone is None
    return Desired(
        sku=sku,
        gtin=gtin,
        title=product.title.strip() or sku,
        price=price,
        currency=offer.currency,
        stock=_stock(product, offer, reserved=reserved, on=on, holiday=holiday),
        handling_days=_handling_days(product, offer),
        on=on,
        shipping_group=offer.shipping_group,
        reason=gone or _pause(offer, holiday=holiday),
    )


def _gone(product: ProductTruth) -> Reason | None:
    """Why the shop itself does not sell this product, if so."""
    if product.deleted:
        return Reason("product.deleted", {"title": product.title, "sku": product.sku})
    if product.kind not in SELLABLE_KINDS:
        return Reason("product.kind_not_sellable", {"title": product.title, "kind": product.kind})
    if not product.published:
        return Reason("product.not_published", {"title": product.title, "sku": product.sku})
    return None


def _identity(product: ProductTruth) -> tuple[str, str] | Reason:
    """SKU and GTIN, or which of them is missing."""
    sku = (product.sku or "").strip()
    if not sku:
        return Reason("product.sku_missing", {"title": product.title})
    number = gtins.clean(product.gtin)
    if number is None:
        return Reason("product.gtin_missing", {"title": product.title, "sku": sku})
    if not gtins.is_valid(number):
        return Reason("product.gtin_invalid", {"title": product.title, "sku": sku, "gtin": number})
    return sku, number


def _price(product: ProductTruth, offer: OfferRules) -> int | Reason:
    """The price at the marketplace, or why there is none. An override and a fixed price need no price in the shop."""
    told: dict[str, object] = {"title": product.title, "sku": product.sku}
    if offer.price_override is not None:
        return offer.price_override if offer.price_override > 0 else Reason("product.price_too_low", told)
    if offer.price_rule.kind == "fixed":
        return pricing.price(offer.price_rule, 0)
    if product.price is None or product.price <= 0:
        return Reason("product.price_missing", told)
    if product.currency != offer.currency:
        return Reason(
            "product.price_currency", {**told, "currency": product.currency, "expected": offer.currency}
        )
    # One cent is what the rule leaves when it takes off more than everything: nobody means that.
    if pricing.exact(offer.price_rule, product.price) < 1:
        return Reason("product.price_too_low", told)
    return pricing.price(offer.price_rule, product.price)


def _stock(product: ProductTruth, offer: OfferRules, *, reserved: int, on: bool, holiday: bool) -> int:
    """The override shows fewer than there are, never more (I13); only for an uncounted product it is the count itself."""
    uncounted = product.stock is None and offer.stock_override is not None
    return stock.published(
        product.stock,
        reserved,
        offer.buffer,
        on=on,
        holiday=holiday,
        unmanaged=(offer.stock_override or 0) if uncounted else offer.unmanaged_stock,
        in_stock=product.in_stock,
        cap=offer.stock_override,
    )


def _handling_days(product: ProductTruth, offer: OfferRules) -> int:
    """An override is the whole time as the merchant wants it; only the marketplace's cap still holds."""
    if offer.handling_override is not None:
        return preparation.handling_days(offer.handling_override, 0, 0, offer.handling_cap)
    return preparation.handling_days(
        product.handling_days, offer.default_handling_days, offer.added_handling_days, offer.handling_cap
    )


def _pause(offer: OfferRules, *, holiday: bool) -> Reason | None:
    """Why an offer that could be sold shows nothing: switched off (I5) or holiday (I7)."""
    if not offer.on:
        return Reason("offer.off")
    return Reason("offer.holiday") if holiday else None
