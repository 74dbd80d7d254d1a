"""The dropshipping network (K1-K12) as the supplier's orders see it: a source of orders that takes every parcel.

A supplier has one connection of this provider. Orders, pieces, stock and parcels then live exactly as those of a marketplace; what the
retailer must know and what money moves is told by the flows `trade_*`.
"""

from app.networks.dropshipping.client import Client
from app.networks.dropshipping.settings import Settings
from app.registry import Capabilities, Provider

PROVIDER = Provider(
    key="dropshipping",
    name="Shopbridge Dropshipping",
    role="network",
    settings=Settings,
    client=Client,
    currencies=("EUR",),
    capabilities=Capabilities(partial_shipment=True, partial_cancel=True, ship_without_tracking="yes"),
)
