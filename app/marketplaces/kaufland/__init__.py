"""Kaufland.de and its other storefronts (Seller API v2): offers by EAN, one order unit per physical piece, no acknowledge call."""

from app.marketplaces.kaufland.client import KauflandClient
from app.marketplaces.kaufland.settings import KauflandSettings
from app.marketplaces.kaufland.translate import CANCEL_REASONS, CURRENCY, REJECTIONS
from app.registry import Capabilities, Poll, Provider

PROVIDER = Provider(
    key="kaufland",
    name="Kaufland.de",
    role="marketplace",
    settings=KauflandSettings,
    client=KauflandClient,
    base_url="https://sellerapi.kaufland.com/v2",
    countries=tuple(CURRENCY),
    currencies=("EUR", "CZK", "PLN"),
    capabilities=Capabilities(
        partial_shipment=True,
        partial_cancel=True,
        refund_amounts=True,
        ship_without_tracking="special_carrier",
        holiday="on_hold",
        price_basis="gross",
        offer_batch=150,
        returns=True,
        return_rejections={word: word for word in REJECTIONS},
        rejection_note="buyer",
        cancel_reasons=CANCEL_REASONS,
        creates_products=False,
    ),
    pace="111/second",
    currency_of=lambda settings: CURRENCY[settings["storefronts"][0]],
    polls=(
        Poll("orders", every=300, floor=60),
        Poll("changes", every=300, floor=60),
        Poll("returns", every=900, floor=300),
        Poll("drift", every=3600, floor=900),
    ),
    secret_settings=("secret_key",),
)
