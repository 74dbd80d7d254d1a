"""Somebody cancels a trade: the supplier at any time (K9, K10), the retailer only before his suppliers have heard of it (K12).

The supplier's CANCELLED gives the retailer the whole rest of his money back and is mirrored 1:1. What may go wrong: it comes after the parcel has
left, or after the money was paid out. It counts all the same; a case says what only people can put right.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import ledger, outbox, trades
from app import messages as m
from app.delivery import Delivered
from app.models import Command, Connection, Order, OrderPiece, Trade
from app.registry import ShopClient
from app.rules import trade as rules
from app.story import close_case, close_cases, order_case, tell


def by_supplier(session: Session, order: Order, status: m.ShopStatus, by: ledger.Source) -> None:
    """The newest status of the supplier's order. Only CANCELLED means something (K10); a second time it means nothing more."""
    if status is not m.ShopStatus.CANCELLED:
        return
    trade = trades.of_child(session, order.id)
    if trade is None:
        # A trial order of a developer: there is no money and no retailer, only the stock to give back (docs/decisions/0011).
        pieces = session.scalars(select(OrderPiece).where(OrderPiece.order_id == order.id))
        trades.take_back(session, pieces.all(), by=trades.SUPPLIER)
        return
    if trade.state in rules.OVER:
        return
    trades.end(session, trade, state="cancelled", code="trade.cancelled", by=by)
    _nothing_is_late(session, trades.retail_of(session, trade))


def lost_by_supplier(session: Session, order: Order) -> None:
    """The supplier has deleted his order in his shop. That is no cancellation (K9 asks for one), so no money moves; the retailer must know, because
    his customer waits.
    """
    trade = trades.of_child(session, order.id)
    if trade is None or trade.state in rules.OVER or trade.state in {"shipped", "closed"}:
        return
    trades.tell_retailer(session, trade, "trade.deleted_by_supplier")
    retail, part = trades.retail_of(session, trade), f"trade/{trade.id}"
    order_case(session, retail, "trade.deleted_by_supplier", part=part)


def found_by_supplier(session: Session, order: Order) -> None:
    """He has taken it out of the trash again."""
    trade = trades.of_child(session, order.id)
    if trade is not None:
        subject = f"order/{trade.retail_order_id}/trade/{trade.id}"
        close_case(session, account_id=trade.retailer_id, subject=subject, code="trade.deleted_by_supplier")


def by_retailer(
    session: Session, order: Order, wanted: Mapping[str, int], by: ledger.Source, now: datetime
) -> None:
    """What the retailer still wants of each line (rules.trade.wanted), as his newest look says; the order is locked with its children.

    Too many units are taken back from parts that nobody has heard of yet. What is with a supplier already is not forwarded (K12): a case.
    """
    known = trades.of_retail(session, order)
    units = trades.units_of(session, known)
    left = {name: each.too_many(wanted.get(name, 0)) for name, each in units.items()}
    secret = {trade.id for trade in known if _is_secret(session, trade)}
    for trade in [trade for trade in reversed(known) if trade.id in secret]:
        _take_back(session, trade, left, by, now)
    _too_late(session, order, [trade for trade in known if trade.id not in secret], left)


def deliver(session: Session, command: outbox.Claimed, shop: Connection, client: ShopClient) -> Delivered:
    """Cancel in the retailer's shop what the supplier has called off: the whole order when nothing else is left of it, else the lines."""
    retail = session.scalars(select(Order).where(Order.id == command.order_id)).one()
    if retail.shop_order_id is None or retail.shop_status == m.ShopStatus.CANCELLED:
        return Delivered({"skipped": f"the shop's order is {retail.shop_status}"})
    whole, completed = _nothing_left(session, retail), _is_completed(session, retail)
    shop_order_id = retail.shop_order_id
    wanted = [(str(name), int(quantity)) for name, quantity in command.payload["lines"]]
    session.commit()
    if whole and completed:
        # order.cancel refuses an order that has left; K10 mirrors the status all the same.
        client.send(
            command.public_id,
            "order.status",
            {"order_id": shop_order_id, "status": "cancelled", "note": ""},
        )
        taken = wanted
    else:
        # The retailer may have refunded some of it before: what is left is cancelled.
        key, lines = f"cancel_{command.public_id}", None if whole else wanted
        truth = client.cancel_order(
            command.public_id, shop_order_id, key, lines, "out_of_stock", at_most=True
        )
        taken = wanted if truth.cancelled_lines is None else list(truth.cancelled_lines)
    retail = session.scalars(select(Order).where(Order.id == command.order_id).with_for_update()).one()
    if not whole:
        _taken_back_in_shop(session, retail, dict(taken))
    units, asked = sum(count for _, count in taken), sum(count for _, count in wanted)
    code = "trade.cancelled_in_shop" if whole or units == asked else "trade.rest_cancelled_in_shop"
    tell(session, retail, code, command_id=command.id, pieces=units, wanted=asked)
    return Delivered({"whole": whole, "pieces": units})


def _is_secret(session: Session, trade: Trade) -> bool:
    """The supplier has not heard of it: not passed on, or his shop cannot be reached and no call has begun (the first one fixes the pieces)."""
    if trade.state in rules.OVER:
        return False
    begun = select(OrderPiece.id).where(OrderPiece.order_id == trade.order_id, OrderPiece.in_shop).exists()
    return trade.passed_on_at is None or not session.scalar(select(begun))


def _take_back(
    session: Session, trade: Trade, left: dict[str, int], by: ledger.Source, now: datetime
) -> None:
    """Take units of `left` (line -> how many, counted down here) out of one part; its last one ends the trade."""
    chosen: list[OrderPiece] = []
    free = [piece for piece in trades.pieces_of(session, trade) if piece.state in trades.OPEN]
    for name, pieces in trades.by_line(session, trade, free).items():
        taken = pieces[::-1][: left.get(name, 0)]
        left[name] = left.get(name, 0) - len(taken)
        chosen += taken
    if not chosen:
        return
    trades.take_back(session, chosen, by=trades.RETAILER)
    if len(chosen) < len(free):
        # The price of these units goes back when the rest is passed on: until then the whole part is being paid.
        if trade.passed_on_at is not None:
            _give_back(session, trade, chosen, by)
        trades.tell_both(session, trade, "trade.units_taken_back", pieces=len(chosen))
        return
    trade.state = rules.after(trade.state, "cancelled")
    trade.cancelled_at, trade.pass_on_at = now, None
    ledger.cancel(session, trade, key="retailer", by=by)
    trades.over(session, trade)
    trades.tell_both(session, trade, "trade.withdrawn")


def _give_back(session: Session, trade: Trade, taken: list[OrderPiece], by: ledger.Source) -> None:
    """The part is paid for and on its way to a shop that cannot be reached: the price of these units goes back at once."""
    units = {name: len(pieces) for name, pieces in trades.by_line(session, trade, taken).items()}
    parts = [
        ledger.RefundLine(line.id, count, line.unit_price * count)
        for line in trade.lines
        if (count := units.get(line.shop_line_id, 0))
    ]
    if amount := sum(part.amount for part in parts):
        key = f"taken_back:{min(piece.id for piece in taken)}"
        done = ledger.refund(session, trade, amount, key=key, by=by, lines=parts)
        if done.refused is not None:
            retail, part = trades.retail_of(session, trade), f"trade/{trade.id}"
            order_case(session, retail, done.refused.code, part=part, **done.refused.params)


def _too_late(session: Session, order: Order, passed_on: list[Trade], left: Mapping[str, int]) -> None:
    """Units that the retailer does not want any more and that a supplier is about to ship."""
    late = 0
    for trade in passed_on:
        free = [piece for piece in trades.pieces_of(session, trade) if piece.state in trades.OPEN]
        for name, pieces in trades.by_line(session, trade, free).items():
            late += min(len(pieces), left.get(name, 0))
    if late:
        order_case(session, order, "trade.cancel_too_late", part="trade", pieces=late)
    else:
        close_cases(session, account_id=order.account_id, subjects=[f"order/{order.id}/trade"])


def _nothing_is_late(session: Session, retail: Order) -> None:
    """Nobody will ship any of it any more, so nothing comes too late for him."""
    known = trades.of_retail(session, retail)
    if all(piece.state not in trades.OPEN for trade in known for piece in trades.pieces_of(session, trade)):
        subject = f"order/{retail.id}/trade"
        close_case(session, account_id=retail.account_id, subject=subject, code="trade.cancel_too_late")


def _nothing_left(session: Session, retail: Order) -> bool:
    """Whether every unit of the retailer's order has been called off: nothing of his own is in it and no supplier ships a part."""
    if not trades.is_native(retail):
        pieces = session.scalars(
            select(OrderPiece).where(OrderPiece.order_id == retail.id, OrderPiece.in_shop)
        )
        return all(
            piece.state == m.PieceState.CANCELLED or piece.cancel_asked_by is not None for piece in pieces
        )
    known = list(session.scalars(select(Trade).where(Trade.retail_order_id == retail.id)))
    live = [
        piece
        for trade in known
        for piece in trades.pieces_of(session, trade)
        if piece.state != m.PieceState.CANCELLED
    ]
    return not live and not trades.foreign_lines(session, retail, known)


def _is_completed(session: Session, retail: Order) -> bool:
    """Whether the retailer's order is completed in his shop: he said so, or we have completed it and his word on that is still on its way."""
    if retail.shop_status is not None and m.ShopStatus(retail.shop_status) in rules.TERMINAL:
        return retail.shop_status == m.ShopStatus.COMPLETED
    ours = select(Command.id).where(
        Command.order_id == retail.id, Command.kind == "trade.completed", Command.state == "done"
    )
    return bool(session.scalar(select(ours.exists())))


def _taken_back_in_shop(session: Session, retail: Order, lines: Mapping[str, int]) -> None:
    """The shop wrote a refund object over these units: a marketplace behind it gets no further one for them."""
    if trades.is_native(retail):
        return
    for piece in trades.behind(session, retail, lines):
        piece.refunded = piece.price + piece.shipping_price
