"""Cdiscount through the Octopia Seller API v2: orders that are accepted first, one parcel each, offers by asynchronous packages."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.marketplaces.cdiscount.client import BATCH, OFFERS_AT_ONCE, CdiscountClient
from app.marketplaces.cdiscount.settings import CdiscountSettings
from app.marketplaces.cdiscount.translate import CANCEL_REASONS, CURRENCY
from app.registry import Capabilities, Poll, Provider

CAN = Capabilities(
    partial_shipment=False,
    partial_cancel=True,
    refund_amounts=True,
    refund_readable=True,
    refund_lines=True,
    refund_decided_later=True,
    acceptance="order",
    ship_without_tracking="never",
    holiday="stock_zero",
    price_basis="gross",
    offer_batch=BATCH,
    stock_rows=OFFERS_AT_ONCE,
    # Whether the catalogue knows a GTIN is asked one by one.
    new_offer_batch=100,
    returns=False,
    # Their codes depend on the order's status and are read when they are needed; what stands here is only that there is one for each.
    cancel_reasons=dict.fromkeys(CANCEL_REASONS, "cancellation-reasons"),
    answers_later=True,
)


def capabilities_of(settings: Mapping[str, Any]) -> Capabilities:
    """Product data are wanted by who has mapped categories, or keeps the eco-participation at the product."""
    wanted = bool(settings.get("categories") or settings.get("ecotax_field"))
    return replace(CAN, creates_products=wanted)


PROVIDER = Provider(
    key="cdiscount",
    name="Cdiscount",
    role="marketplace",
    settings=CdiscountSettings,
    client=CdiscountClient,
    base_url="https://api.octopia-io.net/seller/v2",
    hosts={"auth": "https://auth.octopia-io.net"},
    countries=("fr",),
    currencies=(CURRENCY,),
    capabilities=CAN,
    capabilities_of=capabilities_of,
    # Not published; 429 occurs (FACTS 1), so this is only careful.
    pace="5/second",
    lanes={"tokens": "500/hour", "products": "25/hour"},
    polls=(
        Poll("orders", every=300, floor=60),
        Poll("changes", every=300, floor=60),
        # Money that Cdiscount gave back after shipping; there is no resource of returns.
        Poll("returns", every=1800, floor=900),
        Poll("drift", every=3600, floor=900),
    ),
    secret_settings=("client_secret",),
)
