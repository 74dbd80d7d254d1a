"""The simulated payment provider of the sandbox (app/sandbox/payments.py): the demo and the tests pay with it, over real HTTP.

It moves no money. What may go wrong is ordered: lost answers, errors, messages told twice or late, payouts that fail afterwards.
"""

from app.payments.simulated.client import SimulatedClient
from app.payments.simulated.settings import SimulatedSettings
from app.registry import Provider

PROVIDER = Provider(
    key="simulated",
    name="Simulated payments",
    role="payment",
    settings=SimulatedSettings,
    client=SimulatedClient,
    currencies=("EUR",),
    secret_settings=("api_key", "webhook_secrets"),
    egress="tenant_url",
)
