"""The retailer's money goes back: escrow first, then the supplier's payable, then the supplier owes it (K8, K9; reliability 4.2).

What may go wrong: the supplier has been paid already. The retailer gets his money all the same; the debt is netted against later releases.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.ledger.answers import Refunded, RefundLine, Source
from app.models import Trade


def refund(
    session: Session,
    trade: Trade,
    amount: int,
    *,
    key: str,
    by: Source,
    lines: Sequence[RefundLine] = (),
) -> Refunded:
    """Give the retailer exactly `amount` minor units back, once per `key` (unique within the trade; K8).

    More than captured - refunded - disputed is refused whole (Reason "ledger.refund_exceeds"), as is less than 1 minor unit
    ("ledger.refund_empty"). `lines` say which lines the money belongs to (VAT, credit note); what they leave open falls on the rest
    proportionally. Writes the instruction "refund:<trade.key>:<key>".
    """
    raise NotImplementedError


def cancel(session: Session, trade: Trade, *, key: str, by: Source) -> Refunded:
    """Give back everything that is left of what was captured, and let no parcel of this trade release money any more (K9).

    Before the capture: an instruction that was not sent is withdrawn; one that may have been sent gives everything back when its money comes.
    The trade becomes `cancelled` (a `rejected` one stays so). Nothing left = Refunded() with amount 0.
    """
    raise NotImplementedError
