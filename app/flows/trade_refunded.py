"""A refund object in the supplier's shop gives the retailer exactly its amount, once by its id (K8).

The status REFUNDED alone means nothing. What may go wrong: the same object comes with every look (the unique row of Refund decides), it is higher
than what is left (refused whole, with a case), or it is about units that have not left yet: those are then called off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import ledger, trades
from app import messages as m
from app.models import Order, OrderLine, OrderPiece, Refund, Trade
from app.rules import refund as allocation
from app.story import close_case, order_case, tell


def by_supplier(session: Session, order: Order, refunds: Iterable[m.RefundSeen], by: ledger.Source) -> None:
    """The refund objects of the supplier's order, in any look at it, old or new."""
    due = [seen for seen in refunds if not seen.by_bridge and seen.amount > 0]
    trade = trades.of_child(session, order.id) if due else None
    if trade is None:
        return
    for seen in due:
        refund_id = _first_time(session, order, seen)
        if refund_id is not None:
            _settle(session, trade, session.get_one(Refund, refund_id), seen, by)


def _first_time(session: Session, order: Order, seen: m.RefundSeen) -> int | None:
    """The row of an object that moves money now: a new one, or one that was refused before, for what stood in its way may be over."""
    made = session.execute(
        insert(Refund)
        .values(
            order_id=order.id,
            origin="shop",
            external_id=seen.external_id,
            amount=seen.amount,
            currency=seen.currency,
            reason=seen.reason[:500],
            allocation={},
            unassigned=0,
        )
        .on_conflict_do_nothing(index_elements=["order_id", "origin", "external_id"])
        .returning(Refund.id)
    ).scalar()
    if made is not None:
        return made
    refused = select(Refund.id).where(
        Refund.order_id == order.id,
        Refund.origin == "shop",
        Refund.external_id == seen.external_id,
        Refund.unassigned == seen.amount,
    )
    return session.scalar(refused)


def _settle(session: Session, trade: Trade, refund: Refund, seen: m.RefundSeen, by: ledger.Source) -> None:
    """The money, then the goods, then the words."""
    child = trades.child_of(session, trade)
    part = f"refund/{seen.external_id}"
    close_case(session, account_id=child.account_id, subject=f"order/{child.id}/{part}")
    refund.unassigned = 0
    if trade.state == "cancelled":
        # K9 has given everything back already; the object only books it in the supplier's shop.
        tell(session, child, "trade.refund_covered", amount=seen.amount, currency=seen.currency)
        return
    plan = allocation.allocate(seen, _truth(session, trade))
    refused = _refuse(session, trade, seen, by)
    if refused is not None:
        refund.unassigned = seen.amount
        order_case(
            session,
            child,
            refused.code,
            part=part,
            **{**refused.params, "amount": seen.amount, "currency": seen.currency},
        )
        return
    pieces = {piece.id: piece for piece in trades.pieces_of(session, trade)}
    for share in plan.shares:
        pieces[share.piece_id].refunded += share.amount
    refund.allocation = {"shares": [[share.piece_id, share.amount, share.deed] for share in plan.shares]}
    trades.tell_both(session, trade, "trade.refunded", amount=seen.amount, currency=seen.currency)
    key = f"note:refunded:{refund.id}"
    trades.note_in_shop(
        session,
        trades.retail_of(session, trade),
        key,
        "trade.note_refunded",
        amount=seen.amount,
        currency=seen.currency,
    )
    _call_off(session, trade, [pieces[piece_id] for piece_id in plan.cancel])


def _refuse(session: Session, trade: Trade, seen: m.RefundSeen, by: ledger.Source) -> m.Reason | None:
    """Post the exact amount; the reason when it was not posted."""
    if seen.currency != trade.currency:
        return m.Reason("trade.refund_currency", {"expected": trade.currency})
    key, lines = f"shop:{seen.external_id}", _refund_lines(session, trade, seen)
    return ledger.refund(session, trade, seen.amount, key=key, by=by, lines=lines).refused


def _refund_lines(session: Session, trade: Trade, seen: m.RefundSeen) -> list[ledger.RefundLine]:
    """Which lines the money belongs to, for VAT: what the object says of the supplier's lines, in the terms of the trade."""
    ours = {line.shop_line_id: line.id for line in trade.lines}
    names = {
        line.shop_line_id: ours.get(line.group_key)
        for line in session.scalars(select(OrderLine).where(OrderLine.order_id == trade.order_id))
    }
    return [
        ledger.RefundLine(line_id, max(0, quantity), amount)
        for name, quantity, amount in seen.lines
        if (line_id := names.get(name)) is not None and amount > 0
    ]


def _call_off(session: Session, trade: Trade, pieces: Sequence[OrderPiece]) -> None:
    """Refunded in full before they left: these units will not come. A marketplace that sold them is told; to a customer of the retailer's own
    shop only he can give money back.
    """
    taken = trades.take_back(session, pieces, by=trades.SUPPLIER)
    if not taken:
        return
    retail = trades.retail_of(session, trade)
    lines = {name: len(found) for name, found in trades.by_line(session, trade, taken).items()}
    trades.tell_both(session, trade, "trade.units_called_off", pieces=len(taken))
    if trades.is_native(retail) or trades.mirror(session, trade, lines):
        order_case(session, retail, "trade.units_called_off", part=f"trade/{trade.id}", pieces=len(taken))
    states = [m.PieceState(piece.state) for piece in trades.pieces_of(session, trade)]
    if all(state is m.PieceState.CANCELLED for state in states):
        _nothing_to_ship(session, trade)
    else:
        trades.follow_pieces(session, trade)


def _nothing_to_ship(session: Session, trade: Trade) -> None:
    """All goods are called off. What is left of the money is the shipping: the object did not name it, so a person decides (K8 is exact)."""
    left = ledger.money(session, trade).refundable
    if left:
        order_case(
            session,
            trades.child_of(session, trade),
            "trade.rest_is_held",
            part=f"trade/{trade.id}",
            amount=left,
            currency=trade.currency,
        )
    else:
        trades.move(trade, "cancelled")


def _truth(session: Session, trade: Trade) -> list[allocation.LineTruth]:
    """The child's lines as rules.refund wants them; a parcel that is under way counts as left."""
    by_line = trades.by_line(session, trade, trades.pieces_of(session, trade))
    lines = session.scalars(
        select(OrderLine).where(OrderLine.order_id == trade.order_id).order_by(OrderLine.id)
    )
    return [
        allocation.LineTruth(
            shop_line_id=line.shop_line_id or "",
            line_key=f"ln_{line.id}",
            pieces=tuple(_piece(piece) for piece in by_line.get(line.group_key, ())),
        )
        for line in lines
    ]


def _piece(piece: OrderPiece) -> allocation.PieceTruth:
    under_way = piece.shipment_id is not None and piece.state == m.PieceState.TO_SHIP
    return allocation.PieceTruth(
        id=piece.id,
        state=m.PieceState.SHIPPED if under_way else m.PieceState(piece.state),
        price=piece.price + piece.shipping_price,
        goods=piece.price,
        refunded=piece.refunded,
        return_open=False,
    )
