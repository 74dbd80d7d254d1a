"""OTTO Market (Orders v4, Shipments v1, Returns v3, Availability v1, Products v5): full product data, one item per physical piece, and no parcel
without the numbers of its own and of its return label.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.marketplaces.otto.client import OttoClient
from app.marketplaces.otto.settings import OttoSettings
from app.marketplaces.otto.translate import PARCEL_CARRIERS, REJECTIONS
from app.registry import Capabilities, Poll, Provider

_HOSTS = {"live": "https://api.otto.market", "sandbox": "https://sandbox.api.otto.market"}
_PARCELS = Capabilities(
    partial_shipment=True,
    partial_cancel=True,
    refund_amounts=True,
    refund_readable=True,
    refund_shown_by_piece=True,
    refund_decided_later=True,
    return_tracking=True,
    return_tracking_carriers=PARCEL_CARRIERS,
    ship_without_tracking="never",
    holiday="stock_zero",
    price_basis="gross",
    offer_batch=200,
    new_offer_batch=200,
    returns=True,
    return_rejections=REJECTIONS,
    creates_products=True,
    answers_later=True,
)


def _capabilities_of(settings: Mapping[str, Any]) -> Capabilities:
    """Forwarders need no return label (FACTS 5)."""
    return replace(_PARCELS, return_tracking=settings.get("delivery_type", "PARCEL") == "PARCEL")


PROVIDER = Provider(
    key="otto",
    name="OTTO Market",
    role="marketplace",
    settings=OttoSettings,
    client=OttoClient,
    base_url=_HOSTS["live"],
    base_url_of=lambda settings: _HOSTS[settings.get("environment", "live")],
    countries=("de",),
    currencies=("EUR",),
    capabilities=_PARCELS,
    capabilities_of=_capabilities_of,
    pace="20/second",
    # Reading products and their states is slower, switching them is counted by the day (FACTS 3).
    lanes={"products": "10/second", "active": "3600/day"},
    polls=(
        Poll("orders", every=300, floor=60),
        Poll("changes", every=300, floor=60),
        Poll("returns", every=900, floor=300),
        Poll("drift", every=3600, floor=900),
    ),
    secret_settings=("client_secret", "password"),
)
