"""Every marketplace that runs on Mirakl (ePRICE and others): one generic seller API, its operators are data (settings.PRESETS)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.marketplaces.mirakl.client import MiraklClient
from app.marketplaces.mirakl.settings import MiraklSettings
from app.marketplaces.mirakl.translate import CANCEL_WORDS, REJECTIONS
from app.registry import Capabilities, Poll, Provider

# OR11 is asked once for new orders and changes together, because its limit counts both (FACTS 1).
OWN_KEY = (
    Poll("orders", every=300, floor=60),
    Poll("returns", every=900, floor=300),
    Poll("drift", every=3600, floor=900),
)
PARTNER_KEY = (
    Poll("orders", every=900, floor=900),
    Poll("returns", every=900, floor=900),
    Poll("drift", every=3600, floor=900),
)

CAPABILITIES = Capabilities(
    partial_shipment=False,
    partial_cancel=True,
    refund_amounts=True,
    refund_readable=True,
    return_pays=False,
    acceptance="pieces",
    ship_without_tracking="yes",
    holiday="closed_dates",
    price_basis="gross",
    offer_batch=1000,
    new_offer_batch=500,
    returns=True,
    return_rejections=REJECTIONS,
    rejection_note="marketplace",
    returns_whole=True,
    tells_arrival=False,
    # The operator's own codes are read from RE01; what stands here is only that there is one for each.
    cancel_reasons=dict.fromkeys(CANCEL_WORDS, "RE01"),
    answers_later=True,
)


def capabilities_of(settings: Mapping[str, Any]) -> Capabilities:
    """What an operator has switched on, as the merchant has set it (the connection check tells). Product data are wanted by who has mapped
    categories: only then unknown products are created.
    """
    return replace(
        CAPABILITIES,
        partial_shipment=settings.get("multi_shipment") is True,
        creates_products=bool(settings.get("categories")),
        price_basis="net" if settings.get("offer_prices") == "net" else "gross",
    )


def polls_of(settings: Mapping[str, Any]) -> Sequence[Poll]:
    """An external partner's key may ask for orders every 15 minutes, a merchant's own every minute (FACTS 1)."""
    return PARTNER_KEY if settings.get("key_kind") == "partner" else OWN_KEY


PROVIDER = Provider(
    key="mirakl",
    name="Mirakl",
    role="marketplace",
    settings=MiraklSettings,
    client=MiraklClient,
    base_url_of=lambda settings: str(settings["host"]),
    countries=(),
    currencies=("EUR", "GBP", "CHF", "PLN", "CZK", "HUF", "RON", "SEK", "DKK", "NOK", "BGN", "USD", "CAD"),
    currency_of=lambda settings: str(settings["currency"]),
    capabilities=CAPABILITIES,
    capabilities_of=capabilities_of,
    polls=OWN_KEY,
    polls_of=polls_of,
    egress="tenant_url",
    secret_settings=("api_key",),
    lanes={
        "orders": "1/minute",
        "offers": "1/minute",
        "stock": "1/minute",
        "prices": "1/minute",
        "offers_status": "1/minute",
        "stock_status": "4/minute",
        "prices_status": "1/minute",
        "offers_errors": "1/minute",
        "stock_errors": "1/minute",
        "prices_errors": "1/minute",
        "products": "1/15 minute",
        "products_status": "1/minute",
        "attributes": "1/hour",
        "returns": "1/5 minute",
        "account": "1/day",
        # Answers of these are kept for a day, but settings may change meanwhile. Their lanes are there so that a 429 stops nothing else.
        "shop": "6/minute",
        "platform": "6/minute",
        "fields": "6/minute",
        "carriers": "6/minute",
        "reasons": "6/minute",
    },
)
