"""Why is this order not shipped yet? Gathers what app.rules.next_step needs to know; asked by the API, the command line and the shop's order box."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.messages import PieceState, Reason
from app.models import Case, Command, Connection, Order, OrderPiece, Profile, Trade
from app.rules.next_step import Pending, Standing, why_not_shipped
from app.rules.trade import PAID, waits_for

LACKING = ("ship.return_tracking_required", "ship.tracking_required", "ship.tracking_malformed")


def nearest(session: Session, order: Order) -> Reason | None:
    """The nearest obstacle; None when nothing is left to ship (C8)."""
    return _of_its_trades(session, order) or why_not_shipped(_standing(session, order))


def _of_its_trades(session: Session, order: Order) -> Reason | None:
    """What a part of the network waits for: of a supplier's order until it is passed on to him, of a retailer's until all has left."""
    mine = select(Trade).where(or_(Trade.order_id == order.id, Trade.retail_order_id == order.id))
    for trade in session.scalars(mine.order_by(Trade.id)):
        supplier = session.get(Profile, trade.supplier_id)
        retail = session.get_one(Order, trade.retail_order_id)
        found = waits_for(
            trade.state,
            passed_on=trade.passed_on_at is not None,
            pass_on_at=trade.pass_on_at,
            by_hand=supplier is not None and not supplier.accepts_orders,
            paid=retail.shop_status in PAID,
            frozen=trade.frozen,
            now=datetime.now(UTC),
        )
        if found is not None and (trade.order_id != order.id or found.code != "trade.with_supplier"):
            return found
    return None


def _standing(session: Session, order: Order) -> Standing:
    unfinished = select(Command).where(
        Command.order_id == order.id, Command.state.in_(("due", "leased", "refused", "dead"))
    )
    pieces = session.scalars(
        select(OrderPiece).where(OrderPiece.order_id == order.id).order_by(OrderPiece.id)
    ).all()
    return Standing(
        pieces=[PieceState(piece.state) for piece in pieces],
        raw_states=[piece.raw_state for piece in pieces],
        in_shop=order.shop_order_id is not None,
        completed=order.completed_at is not None,
        stopped=order.stopped,
        wait_until=order.wait_until,
        pending=[_pending(command) for command in session.scalars(unfinished.order_by(Command.id))],
        blocked=_blocked(session, order),
        parcel_lacks=_lacks(session, order),
    )


def _pending(command: Command) -> Pending:
    reason = Reason(command.reason_code, dict(command.reason_params or {})) if command.reason_code else None
    return Pending(kind=command.kind, stuck=command.state in {"refused", "dead"}, reason=reason)


def _lacks(session: Session, order: Order) -> Reason | None:
    """What the merchant was asked for and has not typed in yet: the order is completed in the shop, and nothing is on its way."""
    asked = select(Case).where(Case.order_id == order.id, Case.state == "open", Case.code.in_(LACKING))
    case = session.scalars(asked.order_by(Case.id).limit(1)).first()
    return Reason(case.code, dict(case.params or {})) if case is not None else None


def _blocked(session: Session, order: Order) -> Reason | None:
    """Why the connection that has to act next lets nothing out."""
    acting = order.shop_id if order.shop_order_id is None else order.connection_id
    connection = session.get(Connection, acting) if acting is not None else None
    if connection is None or connection.state == "active":
        return None
    return Reason(
        connection.reason_code or f"connection.{connection.state}", dict(connection.reason_params or {})
    )
