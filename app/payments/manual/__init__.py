"""No provider at all: the bridge writes down what is to be paid, a person pays it elsewhere and ticks it off (`shopbridge money done`).

The bridge never sees that money. What may go wrong: somebody ticks off what was not paid; nobody can compare it with anything.
"""

from app.payments.manual.client import ManualClient
from app.payments.manual.settings import ManualSettings
from app.registry import Provider

PROVIDER = Provider(
    key="manual",
    name="By hand",
    role="payment",
    settings=ManualSettings,
    client=ManualClient,
    currencies=("EUR",),
    secret_settings=("iban",),
    by_hand=True,
)
