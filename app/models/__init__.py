"""Tables and their invariants, nothing else."""

from app.models.account import Account, ApiToken, Idempotency, Pairing
from app.models.command import Attempt, Command
from app.models.connection import Connection, Heartbeat, Manifest, Schedule
from app.models.event import Event
from app.models.kept import KeptValue
from app.models.ledger import (
    GUARDS,
    LedgerAccount,
    LedgerEntry,
    LedgerTransaction,
    Payment,
    RefundShare,
    TrackingUse,
    TradeParcel,
)
from app.models.network import Listing, Partnership, PriceGroup, Profile, Release, Trade, TradeLine
from app.models.offer import Offer
from app.models.order import Order, OrderLine, OrderPiece
from app.models.product import Product, Reservation
from app.models.shipment import Refund, Return, Shipment
from app.models.timeline import Case, Timeline
from app.models.transfer_file import TransferFile, TransferLine

__all__ = [
    "GUARDS",
    "Account",
    "ApiToken",
    "Attempt",
    "Case",
    "Command",
    "Connection",
    "Event",
    "Heartbeat",
    "Idempotency",
    "KeptValue",
    "LedgerAccount",
    "LedgerEntry",
    "LedgerTransaction",
    "Listing",
    "Manifest",
    "Offer",
    "Order",
    "OrderLine",
    "OrderPiece",
    "Pairing",
    "Partnership",
    "Payment",
    "PriceGroup",
    "Product",
    "Profile",
    "Refund",
    "RefundShare",
    "Release",
    "Reservation",
    "Return",
    "Schedule",
    "Shipment",
    "Timeline",
    "TrackingUse",
    "Trade",
    "TradeLine",
    "TradeParcel",
    "TransferFile",
    "TransferLine",
]
