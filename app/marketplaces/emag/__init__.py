"""eMAG in Romania, Bulgaria and Hungary, and Fashion Days (Marketplace API v4.4.9): net prices, offers by our own numbers, one parcel per order."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.marketplaces.emag.client import BATCH, EmagClient
from app.marketplaces.emag.settings import EmagSettings
from app.marketplaces.emag.translate import CANCEL_REASONS, PLATFORMS, REJECTIONS
from app.registry import Capabilities, Poll, Provider

CAN = Capabilities(
    partial_shipment=False,
    partial_cancel=True,
    refund_amounts=False,
    refund_readable=True,
    takes_numbers=False,
    acceptance="notice",
    ship_without_tracking="yes",
    holiday="stock_zero",
    # eMAG wants net prices; flows hand gross ones and the client takes the VAT off.
    price_basis="net",
    offer_batch=BATCH,
    returns=True,
    return_rejections=REJECTIONS,
    returns_whole=True,
    tells_arrival=False,
    cancel_reasons=CANCEL_REASONS,
    numbers_offers=True,
)


def capabilities_of(settings: Mapping[str, Any]) -> Capabilities:
    """Who ships with eMAG's couriers has eMAG book the parcels; who has mapped categories can create products."""
    return replace(
        CAN,
        books_parcels=settings.get("shipping_mode") == "emag",
        creates_products=bool(settings.get("categories")),
    )


PROVIDER = Provider(
    key="emag",
    name="eMAG",
    role="marketplace",
    settings=EmagSettings,
    client=EmagClient,
    base_url=PLATFORMS["ro"].base_url,
    base_url_of=lambda settings: PLATFORMS[settings["platform"]].base_url,
    countries=tuple(dict.fromkeys(each.country for each in PLATFORMS.values())),
    currencies=("RON", "EUR", "HUF"),
    capabilities=CAN,
    capabilities_of=capabilities_of,
    # Orders have a budget of their own; everything else shares one, except the search by EAN (FACTS 2).
    lanes={
        "orders": "12/second; 720/minute",
        "rest": "3/second; 180/minute",
        "eans": "5/second; 200/minute; 5000/day",
    },
    currency_of=lambda settings: PLATFORMS[settings["platform"]].currency,
    polls=(
        Poll("orders", every=300, floor=60),
        Poll("changes", every=300, floor=60),
        Poll("returns", every=900, floor=300),
        Poll("drift", every=3600, floor=900),
    ),
    secret_settings=("password",),
    knocks=True,
)
