"""Somebody cancels: the other side must know before a parcel leaves (C6).

The shop cancels -> the marketplace is told, piece by piece. The marketplace cancels -> the shop is stopped from shipping and cancels or takes
back the quantity. `cancel_asked_by` on the piece says who began, so the echo of our own command never comes back as a new wish.
What may go wrong: the parcel has left already. Then nothing is cancelled and a case says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from app import messages as m
from app import outbox, reservations
from app.delivery import Delivered
from app.models import Command, Connection, Order, OrderLine, OrderPiece, Refund
from app.registry import MarketplaceClient, ShopClient, provider
from app.rules import status, waiting
from app.rules.refund import PieceTruth, in_one_go, reason_word
from app.story import close_case, close_cases, order_case, tell

OPEN = (m.PieceState.ANNOUNCED, m.PieceState.TO_SHIP, m.PieceState.UNCLEAR)


def from_shop(session: Session, order: Order, shop_status: m.ShopStatus) -> None:
    """The shop's order is cancelled: everything that has not left is cancelled at the marketplace."""
    if status.wishes(shop_status, has_tracking=False) != "cancel":
        return
    pieces = _pieces(session, order)
    mine = [
        piece for piece in pieces if piece.in_shop and piece.state in OPEN and piece.cancel_asked_by is None
    ]
    left = [piece for piece in pieces if piece.state in {m.PieceState.SHIPPED, m.PieceState.DELIVERED}]
    if left and not order.stopped:
        order_case(session, order, "cancel.after_shipping", pieces=len(left))
    if mine:
        ask_marketplace(session, order, mine)
    order.wait_until = None


def ask_marketplace(session: Session, order: Order, pieces: list[OrderPiece], reason: str = "other") -> None:
    """Write the cancellation of these pieces once. The key names the first piece: a piece is asked for only once in its life."""
    written = outbox.write_for_order(
        session,
        order,
        order.connection_id,
        "cancel",
        f"cancel:{pieces[0].id}",
        {"pieces": [piece.id for piece in pieces], "reason": reason},
    )
    if written is None:
        return  # the marketplace has refused it; a person decides whether it is tried again
    for piece in pieces:
        piece.cancel_asked_by = "shop"
    tell(session, order, "cancel.by_shop", pieces=len(pieces))


def not_done(session: Session, now: datetime, limit: int = 200) -> list[int]:
    """Ids of orders with a cancellation that the marketplace took hours ago and has not carried out (waiting.CANCELLED_WITHIN)."""
    query = (
        select(Command.order_id)
        .join(Connection, Connection.id == Command.connection_id)
        .join(OrderPiece, OrderPiece.order_id == Command.order_id)
        .where(
            _taken(now),
            Connection.state == "active",  # whoever is not asked cannot tell what was done
            OrderPiece.cancel_asked_by == "shop",
            OrderPiece.state.in_(OPEN),
        )
    )
    return [found for found in session.scalars(query.distinct().limit(limit)) if found is not None]


def counts_again(session: Session, order: Order, now: datetime) -> None:
    """Nobody waits any longer for the cancellation of these pieces of a locked order: they are to be shipped, and a person has to know."""
    taken = session.scalars(select(Command.payload).where(Command.order_id == order.id, _taken(now)))
    named = {piece for payload in taken for piece in payload["pieces"]}
    for piece in _pieces(session, order):
        if piece.id in named and piece.state in OPEN and piece.cancel_asked_by == "shop":
            piece.cancel_asked_by = None
            part = f"cancel/{piece.external_id}"
            order_case(session, order, "cancel.not_done", part=part, piece=piece.external_id)
            tell(session, order, "cancel.not_done", piece=piece.external_id)


def _taken(now: datetime) -> ColumnElement[bool]:
    over = Command.done_at < now - waiting.CANCELLED_WITHIN
    return and_(Command.kind == "cancel", Command.state == "done", over)


def from_marketplace(session: Session, order: Order) -> bool:
    """Pieces that the marketplace shows as cancelled and that the shop does not know about yet. Answers whether any piece is cancelled by now:
    a parcel may have waited for that.
    """
    gone = [piece for piece in _pieces(session, order) if piece.state == m.PieceState.CANCELLED]
    news = [piece for piece in gone if piece.cancel_asked_by is None]
    if news:
        _tell_shop(session, order, news)
    return bool(gone)


def _tell_shop(session: Session, order: Order, news: list[OrderPiece]) -> None:
    """Stop the parcel, when nothing is left of it, and cancel these pieces in the shop."""
    for piece in news:
        piece.cancel_asked_by = "marketplace"
    kept = [f"order/{order.id}/cancel/{piece.external_id}" for piece in news]
    close_cases(session, account_id=order.account_id, subjects=kept)
    tell(session, order, "cancel.by_marketplace", pieces=len(news), reason=news[0].marketplace_reason)
    # A cancellation that the shop began, and that came late, is in the shop already; a line is not to be taken back there twice.
    news = [piece for piece in news if not _is_in_shop(order, piece)]
    if not news:
        return
    if order.shop_id is None or not (
        order.shop_order_id or outbox.is_written(session, order, "order.create")
    ):
        return
    everything = not any(piece.state != m.PieceState.CANCELLED for piece in _pieces(session, order))
    order.stopped = everything
    if everything:
        order.wait_until = None
        _command_shop(session, order, "order.stop_shipping", news)
    _command_shop(session, order, "order.cancel", news)


def deliver_to_marketplace(
    session: Session, command: outbox.Claimed, marketplace: Connection, client: MarketplaceClient
) -> Delivered:
    """Cancel pieces at the marketplace; a repeat reads back first."""
    pieces = _by_id(session, command.payload["pieces"])
    due = [piece.external_id for piece in pieces if piece.state in OPEN]
    session.commit()
    truth = (
        {piece.external_id: piece for piece in client.read_pieces(due)} if command.repeated and due else {}
    )
    still = [key for key in due if key not in truth or truth[key].state in OPEN]
    answers = (
        {answer.external_id: answer for answer in client.cancel(still, command.payload["reason"])}
        if still
        else {}
    )
    order = session.scalars(select(Order).where(Order.id == command.order_id).with_for_update()).one()
    refused, left = None, []
    for piece in _by_id(session, command.payload["pieces"]):
        if piece.external_id in truth:
            piece.state = status.piece_after(m.PieceState(piece.state), truth[piece.external_id].state)
        answer = answers.get(piece.external_id)
        if answer is not None and answer.state is not None:
            piece.state = status.piece_after(m.PieceState(piece.state), answer.state)
        if answer is not None and answer.ok and answer.pending:
            piece.cancel_asked_by = "shop"  # taken, not done: a later look at the order shows it cancelled
        elif answer is not None and answer.ok:
            piece.state = status.piece_after(m.PieceState(piece.state), m.PieceState.CANCELLED)
            piece.cancel_asked_by = "shop"
            kept = f"order/{order.id}/cancel/{piece.external_id}"
            close_case(session, account_id=order.account_id, subject=kept)
        elif answer is not None:
            piece.cancel_asked_by = None  # the marketplace keeps it, so it may still be shipped
            refused = answer.reason or m.Reason("cancel.not_possible", {"piece": piece.external_id})
            order_case(session, order, refused.code, part=f"cancel/{piece.external_id}", **refused.params)
        if piece.state == m.PieceState.CANCELLED:
            reservations.release(session, [piece.id])
            asked = f"order/{order.id}/cancel_asked/{piece.line_id}"
            close_case(session, account_id=order.account_id, subject=asked)
        elif piece.state in {m.PieceState.SHIPPED, m.PieceState.DELIVERED}:
            order_case(
                session,
                order,
                "cancel.after_shipping",
                part=f"piece/{piece.external_id}",
                piece=piece.external_id,
            )
            left.append(piece)
    if left and command.payload.get("refund") is not None:
        can = provider(marketplace.provider).can(marketplace.settings)
        refund = session.get_one(Refund, command.payload["refund"])
        _refund_instead(session, order, left, refund, in_lines=can.refund_lines)
    if refused is None:
        tell(session, order, "cancel.confirmed", command_id=command.id, pieces=len(pieces))
    return Delivered({"pieces": len(answers)}, refused)


def _refund_instead(
    session: Session, order: Order, left: list[OrderPiece], refund: Refund, *, in_lines: bool
) -> None:
    """A refund object asked for this cancellation, and these pieces have left: the buyer gets the amounts of the object (K8)."""
    gone = {piece.id for piece in left}
    shares = {piece: amount for piece, amount, _ in refund.allocation.get("shares", []) if piece in gone}
    deeds = [[piece] for piece in shares]
    if in_lines:
        deeds = in_one_go(shares, _lines_without(session, order, shares))
    for together in deeds:
        payload: dict[str, Any] = {"piece": together[0], "amount": sum(shares[each] for each in together)}
        payload |= {"reason": reason_word(refund.reason)} | (
            {"pieces": together} if len(together) > 1 else {}
        )
        key = f"refund:{refund.id}:{together[0]}"
        outbox.write_for_order(session, order, order.connection_id, "refund", key, payload)


def _lines_without(session: Session, order: Order, shares: Mapping[int, int]) -> list[list[PieceTruth]]:
    """The lines of the order as they were before these shares of a refund were booked on their pieces."""
    lines: dict[int, list[PieceTruth]] = {}
    for piece in _pieces(session, order):
        before = piece.refunded - shares.get(piece.id, 0)
        truth = PieceTruth(
            piece.id,
            m.PieceState(piece.state),
            piece.price + piece.shipping_price,
            before,
            return_open=False,
            goods=piece.price,
        )
        lines.setdefault(piece.line_id, []).append(truth)
    return list(lines.values())


def deliver_to_shop(
    session: Session, command: outbox.Claimed, shop: Connection, client: ShopClient
) -> Delivered:
    """Cancel the order, or take back the quantities of the cancelled pieces, in the shop."""
    order = session.scalars(select(Order).where(Order.id == command.order_id)).one()
    pieces = [piece for piece in _by_id(session, command.payload["pieces"]) if piece.in_shop]
    if order.shop_order_id is None or not pieces:
        return Delivered({"skipped": "the shop never had these pieces"})
    shop_order_id, lines = (
        order.shop_order_id,
        None if _nothing_left(session, order) else _lines(session, order, pieces),
    )
    session.commit()
    truth = client.cancel_order(
        command.public_id, shop_order_id, f"cancel_{command.public_id}", lines, "cancel.by_marketplace"
    )
    order = session.scalars(select(Order).where(Order.id == command.order_id).with_for_update()).one()
    if lines is not None:
        for piece in pieces:
            # The shop wrote a refund object over it: no later one is meant for this piece.
            piece.refunded = piece.price + piece.shipping_price
    tell(session, order, "cancel.done_in_shop", command_id=command.id, pieces=len(pieces))
    return Delivered({"order_id": truth.external_id})


def deliver_stop(
    session: Session, command: outbox.Claimed, shop: Connection, client: ShopClient
) -> Delivered:
    """Flag the shop's order: nothing may be printed or sent any more."""
    order = session.scalars(select(Order).where(Order.id == command.order_id)).one()
    if order.shop_order_id is None:
        return Delivered({"skipped": "the shop never had this order"})
    shop_order_id = order.shop_order_id
    session.commit()
    truth = client.stop_shipping(
        command.public_id, shop_order_id, f"stop_{command.public_id}", "cancel.by_buyer"
    )
    if truth.already_shipped:
        order = session.scalars(select(Order).where(Order.id == command.order_id).with_for_update()).one()
        order_case(session, order, "cancel.after_shipping", pieces=len(command.payload["pieces"]))
    return Delivered({"already_shipped": truth.already_shipped})


def _command_shop(session: Session, order: Order, kind: str, pieces: list[OrderPiece]) -> None:
    if order.shop_id is None:
        return
    outbox.write_for_order(
        session,
        order,
        order.shop_id,
        kind,
        f"{kind}:{pieces[0].id}",
        {"pieces": [piece.id for piece in pieces]},
    )


def _is_in_shop(order: Order, piece: OrderPiece) -> bool:
    return order.shop_status == m.ShopStatus.CANCELLED or 0 < piece.price <= piece.refunded


def _nothing_left(session: Session, order: Order) -> bool:
    return not any(
        piece.in_shop and piece.state != m.PieceState.CANCELLED for piece in _pieces(session, order)
    )


def _lines(session: Session, order: Order, pieces: list[OrderPiece]) -> list[tuple[str, int]]:
    quantity: dict[str, int] = {}
    names = {
        line.id: line.shop_line_id
        for line in session.scalars(select(OrderLine).where(OrderLine.order_id == order.id))
    }
    for piece in pieces:
        name = names[piece.line_id]
        if name is not None:
            quantity[name] = quantity.get(name, 0) + 1
    return sorted(quantity.items())


def _pieces(session: Session, order: Order) -> list[OrderPiece]:
    return list(
        session.scalars(select(OrderPiece).where(OrderPiece.order_id == order.id).order_by(OrderPiece.id))
    )


def _by_id(session: Session, ids: list[int]) -> list[OrderPiece]:
    return list(session.scalars(select(OrderPiece).where(OrderPiece.id.in_(ids)).order_by(OrderPiece.id)))
