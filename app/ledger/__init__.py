"""The books of the network: an immutable double-entry ledger in minor units (K8, K9, K11; reliability 4).

The bridge records and instructs; it never holds money. Every function writes into the caller's transaction: state, entries, instruction and
command are there together or not at all. What may go wrong: two trades in one transaction, locked by two callers in different order; so do one
trade in a transaction, or take them by ascending id. A repeat with the same key posts nothing and answers what the first call answered.
"""

from app.ledger.answers import (
    Breach,
    EvidenceKind,
    Money,
    Refunded,
    RefundLine,
    Released,
    Source,
    Totals,
)
from app.ledger.checking import breaches, watch
from app.ledger.debts import watch_debts
from app.ledger.disputing import dispute, dispute_over
from app.ledger.instructing import again, charge, settle
from app.ledger.orders import payment_connection
from app.ledger.parcels import forget_recipients
from app.ledger.paying import payout, recover
from app.ledger.reading import money, settled, totals
from app.ledger.refunding import cancel, refund
from app.ledger.releasing import evidence, release, release_added, release_due

__all__ = [
    "Breach",
    "EvidenceKind",
    "Money",
    "RefundLine",
    "Refunded",
    "Released",
    "Source",
    "Totals",
    "again",
    "breaches",
    "cancel",
    "charge",
    "dispute",
    "dispute_over",
    "evidence",
    "forget_recipients",
    "money",
    "payment_connection",
    "payout",
    "recover",
    "refund",
    "release",
    "release_added",
    "release_due",
    "settle",
    "settled",
    "totals",
    "watch",
    "watch_debts",
]
