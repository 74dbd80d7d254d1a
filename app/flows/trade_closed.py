"""A part of an order is closed: everything in it has left or was called off, and no money of it is open any more (reliability 4.2).

Nothing in escrow, nothing owed, disputed or on its way, and the supplier is paid. What may go wrong: something happens afterwards. A refund, a
cancellation (K9) or a dispute counts as before; the part stays closed unless it is cancelled, and its money is shown as it is.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from app import ledger, trades
from app.models import Trade
from app.story import close_case

AT_ONCE = 200


def close_settled(session: Session, limit: int = AT_ONCE) -> int:
    """Close what is settled now, each part in a transaction of its own; answers how many were closed. Commits."""
    closed = 0
    for trade_id in ledger.settled(session, limit):
        closed += _close(session, trades.lock(session, trade_id))
        session.commit()
    # A full round may not have been all; one in which nothing could be closed would only come again.
    return closed + close_settled(session, limit) if closed == limit else closed


def _close(session: Session, trade: Trade) -> bool:
    """Looked at again under the lock: a refund may have come since."""
    if trade.id not in ledger.settled(session, 1, trade_id=trade.id) or not trades.move(trade, "closed"):
        return False
    # It may have left without a number and been refunded: nobody waits for the number any more.
    subject = f"order/{trade.order_id}/number"
    close_case(session, account_id=trade.supplier_id, subject=subject, code="trade.number_missing")
    trades.tell_both(session, trade, "trade.closed")
    return True
