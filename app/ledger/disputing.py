"""A retailer's bank takes money back: the amount is held until the dispute is over, and the order's money stands still (invariant 17)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.ledger.answers import Refunded, Source
from app.models import Trade


def dispute(session: Session, trade: Trade, amount: int, *, key: str, by: Source) -> Refunded:
    """Hold `amount` from escrow, payable, receivable in this order, once per `key` (the dispute's id); the trade is frozen.

    More than captured - refunded - disputed is refused whole (Reason "ledger.dispute_exceeds"); the trade is frozen all the same.
    """
    raise NotImplementedError


def dispute_over(session: Session, trade: Trade, *, won: bool, key: str, by: Source) -> None:
    """The dispute `key` (the same key as in `dispute`) is over. Won: the money goes back to where it was; lost: the retailer has it.

    The trade thaws when no other dispute is open: parcels that waited are looked at; a trade cancelled meanwhile gives the rest back. A repeat
    changes nothing. Raises LookupError when the dispute was never opened.
    """
    raise NotImplementedError
