"""Stripe with separate charges and transfers: the platform's account takes the retailer's money and passes it on by transfers.

Stripe holds the money and has the licence; the bridge only instructs. What may go wrong is told by its answers and by signed webhooks.
"""

from app.payments.stripe.client import StripeClient
from app.payments.stripe.settings import StripeSettings
from app.registry import Provider

PROVIDER = Provider(
    key="stripe",
    name="Stripe",
    role="payment",
    settings=StripeSettings,
    client=StripeClient,
    base_url="https://api.stripe.com",
    currencies=("EUR",),
    pace="80/second",  # Stripe lets 100 calls a second of a live account pass
    secret_settings=("secret_key", "webhook_secrets"),
)
