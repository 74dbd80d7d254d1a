"""A supplier's part is paid for and the retailer's regret window is over: it becomes an order in the supplier's shop (K6).

Passed on is what is captured (state held), whose time has come, that its supplier accepts (by himself or by hand), and whose order the retailer
still has as paid. What may go wrong: the payment fails. Then the stock is free again and the retailer reads why.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app import ledger, trades
from app import messages as m
from app.errors import Refused
from app.models import Connection, Order, Profile, Trade
from app.rules import trade as rules
from app.story import order_case, tell

AT_ONCE = 20
AGAIN = timedelta(minutes=1)


def due(session: Session, network: Connection, now: datetime) -> list[int]:
    """Ids of this supplier's trades that are to be looked at now, the longest waiting first."""
    query = (
        select(Trade.id)
        .join(Profile, Profile.account_id == Trade.supplier_id)
        .join(Order, Order.id == Trade.retail_order_id)
        .where(Trade.supplier_id == network.account_id, trades.due(now))
        .order_by(Trade.pass_on_at, Trade.id)
        .limit(AT_ONCE)
    )
    return list(session.scalars(query))


def pass_on(session: Session, trade_id: int, now: datetime) -> Order | None:
    """One trade. Answers the child order, whose pieces may be shipped from now on; None when there was nothing to do after all."""
    trade = trades.lock(session, trade_id)
    if trade.pass_on_at is None or trade.passed_on_at is not None or trade.order_id is None:
        return None
    if trade.state == "payment_failed":
        _not_paid(session, trade)
        return None
    if not _may_go(session, trade, now):
        return None
    trades.move(trade, "accepted")
    for piece in trades.pieces_of(session, trade):
        if piece.state == m.PieceState.ANNOUNCED:
            piece.state, piece.raw_state = m.PieceState.TO_SHIP, "passed_on"
    _give_back_what_was_taken_back(session, trade)
    trade.passed_on_at, trade.pass_on_at = now, None
    trades.answered(session, trade)
    trades.tell_both(session, trade, "trade.passed_on")
    return trades.child_of(session, trade)


def later(session: Session, trade_id: int, now: datetime) -> None:
    """It could not be passed on, and nobody knows why: the others have their turn first. Commits."""
    session.execute(update(Trade).where(Trade.id == trade_id).values(pass_on_at=now + AGAIN))
    session.commit()


def accept(session: Session, trade: Trade) -> None:
    """The supplier says yes by hand. Raises Refused("trade.not_open") when it is too late or not paid for yet."""
    trade = trades.lock(session, trade.id)
    if trade.state != "held":
        raise Refused("trade.not_open", state=trade.state)
    trade.state = "accepted"
    trades.answered(session, trade)
    trades.tell_both(session, trade, "trade.accepted")


def reject(session: Session, trade: Trade, reason: str) -> None:
    """The supplier says no before the part is in his shop: the retailer gets all his money back and his shop hears of it, like a cancellation.

    Raises Refused("trade.not_open") afterwards: then he cancels the order in his shop.
    """
    trade = trades.lock(session, trade.id)
    if trade.state not in {"received", "payment_pending", "held"}:
        raise Refused("trade.not_open", state=trade.state)
    by = ledger.Source(f"account {trade.supplier_id}", f"trade {trade.key}", "trade.rejected")
    trades.end(session, trade, state="rejected", code="trade.rejected", by=by, message=reason[:200])


def _may_go(session: Session, trade: Trade, now: datetime) -> bool:
    """Looked at again under the lock: since the trade was found due, the retailer may have changed his mind."""
    supplier = session.get_one(Profile, trade.supplier_id)
    accepted = trade.state == "accepted" or (trade.state == "held" and supplier.accepts_orders)
    over = trade.pass_on_at is not None and trade.pass_on_at <= now
    paid = trades.retail_of(session, trade).shop_status in rules.PAID
    return accepted and over and paid and not trade.frozen and not trades.is_unplugged(session, trade)


def _give_back_what_was_taken_back(session: Session, trade: Trade) -> None:
    """The retailer took units back while the whole part was being paid: their price goes back now, once."""
    pieces = [piece for piece in trades.pieces_of(session, trade) if piece.state == m.PieceState.CANCELLED]
    gone = trades.by_line(session, trade, pieces)
    parts = [
        ledger.RefundLine(
            line.id, len(gone[line.shop_line_id]), line.unit_price * len(gone[line.shop_line_id])
        )
        for line in trade.lines
        if line.shop_line_id in gone
    ]
    amount = sum(part.amount for part in parts)
    if not amount:
        return
    by = ledger.Source(f"account {trade.retailer_id}", f"trade {trade.key}", "trade.taken_back")
    done = ledger.refund(session, trade, amount, key="taken_back", by=by, lines=parts)
    if done.refused is not None:
        retail, part = trades.retail_of(session, trade), f"trade/{trade.id}"
        order_case(session, retail, done.refused.code, part=part, **done.refused.params)
        return
    trades.tell_both(session, trade, "trade.refunded", amount=amount, currency=trade.currency)


def _not_paid(session: Session, trade: Trade) -> None:
    """Nothing was passed on and nothing will be: the stock is free again."""
    trades.take_back(session, trades.pieces_of(session, trade), by=trades.SUPPLIER)
    trade.pass_on_at, trade.cancelled_at = None, datetime.now(UTC)
    trades.over(session, trade)
    retail = trades.retail_of(session, trade)
    order_case(
        session,
        retail,
        "trade.payment_failed",
        part=f"trade/{trade.id}",
        amount=trade.total,
        currency=trade.currency,
    )
    tell(session, trades.child_of(session, trade), "trade.payment_failed")
    trades.tell_retailer(session, trade, "trade.payment_failed")
