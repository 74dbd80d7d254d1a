"""The supplier's money becomes his: parcel by parcel, only with a tracking number that counts and what the policy asks for (K11).

What may go wrong: a number that is mistyped, invented or used before; more units than were ordered, or cancelled ones; the same parcel told
twice. Then nothing is released and the answer says why; the parcel waits, and a corrected number may be told for the same shipment.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from app.ledger.answers import EvidenceKind, Released, Source
from app.models import Trade


def release(
    session: Session,
    trade: Trade,
    *,
    shipment_id: int,
    number: str | None,
    units: Mapping[int, int],
    country: str | None,
    by: Source,
) -> Released:
    """Release what one parcel is worth: its lines proportionally, shipping with the first parcel, the rest with the last (K11).

    `units`: trade_line.id -> quantity in this parcel. The Shipment row must belong to the trade's child order. Nothing is released, with reasons,
    without a number, with a number that breaks its format or check digit or was used before (the same supplier may use it again within
    48 hours for the same recipient), before the policy is met, while frozen, for cancelled trades, or before the money is captured; in the
    last cases it is released by itself when that is over. Never more than is left in escrow. A repeat for a released shipment answers the
    first result.
    """
    raise NotImplementedError


def evidence(
    session: Session, trade: Trade, shipment_id: int, kind: EvidenceKind, at: datetime, by: Source
) -> Released:
    """The carrier scanned or delivered the parcel at `at` (aware). Stricter policies release now, or n days after delivery (`release_due`)."""
    raise NotImplementedError


def release_due(session: Session, now: datetime, limit: int = 100) -> list[tuple[int, Released]]:
    """Release parcels whose time has come by `now` (aware; the injected clock, invariant 20); answers (trade id, result) of those that moved."""
    raise NotImplementedError
