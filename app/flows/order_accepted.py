"""Some marketplaces want an answer before an order is an order: accepted, refused in part, or only noticed (Mirakl OR21, Octopia, eMAG).

Stock is held from the first look on, so what is accepted is there; where only that may be accepted, it is looked at again when the answer
leaves. What may go wrong: nobody answers and the marketplace cancels the order after a while. Therefore an order is accepted at once, unless
the merchant wants to decide himself or its price looks like a mistake; then a case says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session, defer, selectinload

from app import messages as m
from app import outbox, reservations
from app.delivery import Delivered
from app.models import Case, Command, Connection, Offer, Order, OrderLine, OrderPiece, Product
from app.registry import AcceptsOrders, Capabilities, provider
from app.rules import status, stock
from app.story import close_case, order_case, tell

WAITS = "order.awaits_acceptance"


def want(session: Session, order: Order, can: Capabilities) -> None:
    """An order, locked, wants an answer: give it by the merchant's rule, once for every piece that waits."""
    pieces = _waiting(session, order)
    if not pieces:
        return
    settings = session.get_one(Connection, order.connection_id).settings
    too_cheap = _too_cheap(session, order, pieces, settings.get("price_guard_percent"))
    if can.acceptance != "notice" and (too_cheap or settings.get("accept_orders") == "by_hand"):
        order_case(session, order, WAITS, line=too_cheap or None)
        return
    refused = _to_refuse(session, order, pieces, settings, can)
    _write(session, order, pieces, refused)


def _to_refuse(
    session: Session, order: Order, pieces: list[OrderPiece], settings: Mapping[str, Any], can: Capabilities
) -> list[OrderPiece]:
    """Which of these pieces the merchant's rule does not let us accept."""
    if settings.get("accept_orders") != "in_stock" or can.acceptance == "notice":
        return []
    missing = _not_there(session, order, pieces)
    return pieces if missing and can.acceptance == "order" else missing


def is_answered(session: Session, order: Order) -> None:
    """A look at an order, locked, that wants no answer any more: it was given in the back office, or the buyer has cancelled."""
    close_case(session, account_id=order.account_id, subject=f"order/{order.id}", code=WAITS)


def by_hand(session: Session, order: Order, *, accept: bool) -> bool:
    """The merchant decides about everything that waits for him. Answers whether anything did: announced pieces may also wait for a payment, and
    an answer that nobody asked for would be missing when it is asked for.
    """
    asked = select(Case.id).where(
        Case.subject == f"order/{order.id}", Case.code == WAITS, Case.state == "open"
    )
    if session.scalar(asked.where(Case.account_id == order.account_id)) is None:
        return False
    pieces = _waiting(session, order)
    return bool(pieces) and _write(session, order, pieces, [] if accept else pieces, by_hand=True)


def waiting(session: Session, account_id: int, shop_id: int, limit: int) -> list[tuple[Order, Case]]:
    """Orders of this account, for this shop, that the merchant has to answer, the longest waiting first; with the case that says why."""
    query = (
        select(Order, Case)
        .join(Case, Case.order_id == Order.id)
        .where(Order.account_id == account_id, or_(Order.shop_id == shop_id, Order.shop_id.is_(None)))
        .where(Case.account_id == account_id, Case.code == WAITS, Case.state == "open")
        .options(selectinload(Order.lines), selectinload(Order.pieces), defer(Order.buyer))
        .order_by(Case.id)
        .limit(limit)
    )
    return [(order, case) for order, case in session.execute(query)]


def deliver(
    session: Session, command: outbox.Claimed, marketplace: Connection, client: AcceptsOrders
) -> Delivered:
    """Tell the marketplace. A repeat needs no reading back: a client finds an answered order and says so (AcceptsOrders)."""
    order = session.scalars(select(Order).where(Order.id == command.order_id)).one()
    if not command.in_doubt and not command.payload.get("by_hand"):
        _look_again(session, command, order, marketplace)
    refused = set(command.payload["refuse"])
    wanted = _by_id(session, [*command.payload["accept"], *refused])
    accepted_ids = [piece.external_id for piece in wanted if piece.id not in refused]
    refused_ids = [piece.external_id for piece in wanted if piece.id in refused]
    # The marketplace knows only the order itself, not the one that we made of pieces that joined it later.
    root = session.get_one(Order, order.parent_id) if order.parent_id is not None else order
    root_id = root.external_id
    session.commit()
    answer = client.accept_order(root_id, accepted_ids, refused_ids)
    return _answered(session, command, answer, refused)


def _look_again(session: Session, command: outbox.Claimed, order: Order, marketplace: Connection) -> None:
    """The stock may have fallen since the answer was written: the marketplace may have rested for hours. An answer that may be there already is
    not changed any more, and what was refused stays so.
    """
    named = _by_id(session, [*command.payload["accept"], *command.payload["refuse"]])
    pieces = [each for each in named if each.state == m.PieceState.ANNOUNCED]
    can = provider(marketplace.provider).can(marketplace.settings)
    missing = {each.id for each in _to_refuse(session, order, pieces, marketplace.settings, can)}
    gone = [each for each in command.payload["accept"] if each in missing]
    if not gone:
        return
    command.payload["accept"] = [each for each in command.payload["accept"] if each not in gone]
    command.payload["refuse"] += gone
    session.execute(update(Command).where(Command.id == command.id).values(payload=command.payload))


def _answered(
    session: Session, command: outbox.Claimed, answer: m.OrderAnswer, refused: set[int]
) -> Delivered:
    order = session.scalars(select(Order).where(Order.id == command.order_id).with_for_update()).one()
    by_id = {each.external_id: each for each in answer.pieces}
    problem = None
    for piece in _by_id(session, [*command.payload["accept"], *refused]):
        told = by_id.get(piece.external_id)
        if told is None or told.ok:
            after = m.PieceState.CANCELLED if piece.id in refused else told.state if told else None
            piece.state = status.piece_after(m.PieceState(piece.state), after or m.PieceState(piece.state))
            if piece.state == m.PieceState.CANCELLED:
                piece.cancel_asked_by = "shop" if piece.id in refused else piece.cancel_asked_by
                reservations.release(session, [piece.id])
        else:
            problem = told.reason or m.Reason("partner.refused", {"operation": "accept_order"})
            order_case(session, order, problem.code, part=f"accept/{piece.external_id}", **problem.params)
    if problem is None:
        close_case(session, account_id=order.account_id, subject=f"order/{order.id}", code=WAITS)
        accepted = len(command.payload["accept"])
        tell(session, order, "order.accepted", command_id=command.id, pieces=accepted, refused=len(refused))
    return Delivered({"accepted": len(command.payload["accept"])}, problem, seen=answer.seen)


def _write(
    session: Session,
    order: Order,
    pieces: list[OrderPiece],
    refused: list[OrderPiece],
    *,
    by_hand: bool = False,
) -> bool:
    """One answer for these pieces; those that join the order later are answered on their own."""
    refuse = [piece.id for piece in refused]
    accept = [piece.id for piece in pieces if piece.id not in refuse]
    key = f"accept_order:{pieces[0].id}"
    payload = {"accept": accept, "refuse": refuse, "by_hand": by_hand}
    written = outbox.write_for_order(session, order, order.connection_id, "accept_order", key, payload)
    return written is not None


def _waiting(session: Session, order: Order) -> list[OrderPiece]:
    """Pieces that wait and that no answer was written for: some may have joined the order after one was."""
    # Pieces that were parted from an order may have been answered with it.
    family = [order.id] if order.parent_id is None else [order.id, order.parent_id]
    written = select(Command.payload).where(Command.order_id.in_(family), Command.kind == "accept_order")
    named = {
        piece for payload in session.scalars(written) for piece in (*payload["accept"], *payload["refuse"])
    }
    query = select(OrderPiece).where(
        OrderPiece.order_id == order.id, OrderPiece.state == m.PieceState.ANNOUNCED
    )
    return [each for each in session.scalars(query.order_by(OrderPiece.id)) if each.id not in named]


def _by_id(session: Session, ids: list[int]) -> list[OrderPiece]:
    return list(session.scalars(select(OrderPiece).where(OrderPiece.id.in_(ids)).order_by(OrderPiece.id)))


def _not_there(session: Session, order: Order, pieces: list[OrderPiece]) -> list[OrderPiece]:
    """Pieces for which there is no stock: the last ones of each product, as many as are promised too much."""
    by_product: dict[int, list[OrderPiece]] = defaultdict(list)
    lines = {
        line.id: line for line in session.scalars(select(OrderLine).where(OrderLine.order_id == order.id))
    }
    for piece in pieces:
        product_id = lines[piece.line_id].product_id
        if product_id is not None:
            by_product[product_id].append(piece)
    held = reservations.held(session, by_product)
    later = reservations.held_by_later(session, by_product, pieces[-1].id) if pieces else {}
    missing: list[OrderPiece] = []
    for product in session.scalars(select(Product).where(Product.id.in_(by_product))):
        short = stock.oversold_by(product.stock, held.get(product.id, 0) - later.get(product.id, 0))
        if product.stock is None and not product.in_stock:
            short = len(by_product[product.id])  # nobody counts them, and the shop says that there is none
        missing += by_product[product.id][-short:] if short else []
    return missing


def _too_cheap(session: Session, order: Order, pieces: list[OrderPiece], percent: int | None) -> str:
    """The title of a line that was sold for so many percent less than it was offered for; "" when there is none."""
    if percent is None:
        return ""
    offered = select(OrderLine.id, OrderLine.title, Offer.sent).join(
        Offer, (Offer.product_id == OrderLine.product_id) & (Offer.connection_id == order.connection_id)
    )
    lines = {row.id: row for row in session.execute(offered.where(OrderLine.order_id == order.id))}
    for piece in pieces:
        row = lines.get(piece.line_id)
        price = (row.sent or {}).get("price") if row else None
        if row and price and piece.price * 100 < price * (100 - percent):
            return str(row.title)
    return ""
