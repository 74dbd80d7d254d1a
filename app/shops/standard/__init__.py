"""Our own public event format: for supplier systems and custom shops (D6), and the reference for every other shop."""

from app.registry import Provider
from app.shops.standard.client import StandardClient
from app.shops.standard.settings import StandardSettings

PROVIDER = Provider(
    key="standard",
    name="Supplier system or custom shop",
    role="shop",
    settings=StandardSettings,
    client=StandardClient,
    egress="tenant_url",
)
