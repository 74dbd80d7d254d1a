"""Some marketplaces want an answer before an order is an order: accepted, refused in part, or only noticed (Mirakl OR21, Octopia, eMAG).

Stock is held from the first look on, so what is accepted is there; where only that may be accepted, it is looked at again when the answer
leaves. What may go wrong: nobody answers and the marketplace cancels the order after a while. Therefore an order is accepted at once, unless
the merchant wants to decide himself or its price looks like a mistake; then a case says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session, defer, selectinload

from app import messages as m
from app import outbox, overview, reservations
from app.delivery import Delivered
from app.errors import Refused
from app.models import Case, Command, Connection, Offer, Order, OrderLine, OrderPiece, Product
from app.registry import AcceptsOrders, Capabilities, provider
from app.rules import status, stock
from app.story import close_case, close_cases, order_case, tell

WAITS = "order.awaits_acceptance"
KIND = "accept_order"
GIVEN = ("due", "leased", "done")  # answers that the marketplace has, or is to have


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


def by_hand(session: Session, order: Order, *, accept: bool, pieces: Collection[int] = ()) -> bool:
    """The merchant decides about everything that waits for him. Answers whether anything did: announced pieces may also wait for a payment, and
    an answer that nobody asked for would be missing when it is asked for. An answer that the marketplace did not take can be given anew.

    `pieces`: our ids of those that he has seen. Raises Refused: order.others_wait when others do by now, connection.removed.
    """
    marketplace = session.get_one(Connection, order.connection_id)
    if marketplace.state == "removed":
        raise Refused("connection.removed", connection=marketplace.name)
    asked = select(Case.id).where(
        Case.subject == f"order/{order.id}", Case.code == WAITS, Case.state == "open"
    )
    if session.scalar(asked.where(Case.account_id == order.account_id)) is None:
        return False
    given = _named(session, [order], GIVEN)
    found = [each for each in _announced(session, order) if each.id not in given]
    if found and pieces and {each.id for each in found} != set(pieces):
        raise Refused("order.others_wait", order=order.external_id)
    return bool(found) and _write_anew(session, order, found, accept=accept)


def _write_anew(session: Session, order: Order, pieces: list[OrderPiece], *, accept: bool) -> bool:
    """The client finds out whether an earlier answer was taken after all (AcceptsOrders), and says so when this one differs."""
    if _write(session, order, pieces, [] if accept else pieces, by_hand=True):
        return True
    parts = [f"order/{order.id}/accept/{piece.external_id}" for piece in pieces]
    close_cases(session, account_id=order.account_id, subjects=parts)
    payload = _payload(pieces, [] if accept else pieces, by_hand=True)
    key = f"{KIND}:{pieces[0].id}"
    return outbox.take_up(session, order, order.connection_id, key, payload) is not None


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order that somebody has to answer, the pieces that wait (with their lines), and the case that says why."""

    order: Order
    case: Case
    pieces: tuple[tuple[OrderPiece, OrderLine], ...]


def waiting(session: Session, shop: Connection, limit: int) -> list[Waiting]:
    """Orders that somebody in this shop has to answer, the longest waiting first. An answer that is on its way is given."""
    query = (
        select(Order, Case)
        .join(Case, Case.order_id == Order.id)
        .join(Connection, Connection.id == Order.connection_id)
        .where(overview.decided_in(shop), Connection.state != "removed")
        .where(Case.account_id == shop.account_id, Case.code == WAITS, Case.state == "open")
        .options(selectinload(Order.lines), selectinload(Order.pieces), defer(Order.buyer))
        .order_by(Case.id)
        .limit(limit * 10)  # those with an answer on its way are among them
    )
    rows = [(order, case) for order, case in session.execute(query)]
    named = _named(session, [order for order, _ in rows], GIVEN)
    found = []
    for order, case in rows:
        lines = {line.id: line for line in order.lines}
        left = (each for each in order.pieces if each.state == m.PieceState.ANNOUNCED)
        pieces = tuple((each, lines[each.line_id]) for each in left if each.id not in named)
        found += [Waiting(order, case, pieces)] if pieces else []
    return found[:limit]


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
    payload = _payload(pieces, refused, by_hand=by_hand)
    key = f"{KIND}:{pieces[0].id}"
    return outbox.write_for_order(session, order, order.connection_id, KIND, key, payload) is not None


def _payload(pieces: list[OrderPiece], refused: list[OrderPiece], *, by_hand: bool) -> dict[str, Any]:
    refuse = [piece.id for piece in refused]
    accept = [piece.id for piece in pieces if piece.id not in refuse]
    return {"accept": accept, "refuse": refuse, "by_hand": by_hand}


def _waiting(session: Session, order: Order) -> list[OrderPiece]:
    """Pieces that wait and that no answer was written for: some may have joined the order after one was."""
    named = _named(session, [order])
    return [each for each in _announced(session, order) if each.id not in named]


def _announced(session: Session, order: Order) -> list[OrderPiece]:
    query = select(OrderPiece).where(
        OrderPiece.order_id == order.id, OrderPiece.state == m.PieceState.ANNOUNCED
    )
    return list(session.scalars(query.order_by(OrderPiece.id)))


def _named(session: Session, orders: Iterable[Order], states: Collection[str] = ()) -> set[int]:
    """Pieces of these orders that an answer was written for, in one of these states (none: in any)."""
    # Pieces that were parted from an order may have been answered with it.
    family = {number for order in orders for number in (order.id, order.parent_id) if number is not None}
    written = select(Command.payload).where(Command.order_id.in_(family), Command.kind == KIND)
    if states:
        written = written.where(Command.state.in_(states))
    payloads = session.scalars(written)
    return {piece for payload in payloads for piece in (*payload["accept"], *payload["refuse"])}


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
