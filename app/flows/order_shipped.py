"""The shop ships: the marketplace gets the parcel within seconds, or the order waits for its tracking number (C2-C5).

Works on sets of pieces, so a part of an order can leave first. What may go wrong: the marketplace takes the shipment and the answer is lost;
a repeated command therefore reads the pieces back first and sends only what is still missing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from app import messages as m
from app import outbox, reservations
from app.delivery import Delivered
from app.models import Command, Connection, Order, OrderLine, OrderPiece, Shipment
from app.registry import Capabilities, MarketplaceClient, ShopClient, provider
from app.rules import status, tracking, waiting
from app.story import close_case, close_cases, order_case, tell

GONE = (m.PieceState.SHIPPED, m.PieceState.DELIVERED)
HERE = (m.PieceState.TO_SHIP, m.PieceState.UNCLEAR)


def from_shop(
    session: Session, shop: Connection, order: Order, seen: m.ShopOrderSeen, *, newer: bool
) -> None:
    """What the shop's order says about parcels. A parcel that names its lines has left; one for the whole order counts once it is completed.
    Lines that come to be in a known parcel leave with it.
    """
    completed = status.wishes(seen.status, bool(seen.tracking)) in {"ship", "wait"}
    known: dict[str, Shipment | None] = {
        each.tracking_number: each
        for each in session.scalars(select(Shipment).where(Shipment.order_id == order.id))
    }
    for parcel in seen.tracking:
        number = tracking.normalise(parcel.number)
        shipment = known.get(number)
        if shipment is not None:
            _more(session, order, shipment, parcel)
        elif number and number not in known and (completed or parcel.lines is not None):
            known[number] = _parcel(session, order, parcel, number)
    if newer and completed:
        _wait_for_tracking(session, shop, order)
    elif newer:
        order.wait_until = order.completed_at = None  # taken back: nothing has left, so nothing is waited for
    _note_returns(session, order, seen.return_tracking)
    waits = let_go(session, order)
    if waits is not None:
        tell(session, order, "ship.parts_together", number=waits.tracking_number)


def wait_is_over(session: Session, order: Order, can: Capabilities, now: datetime) -> None:
    """The clock says that an order has waited long enough: ship without tracking where the marketplace allows it, else alarm (C3)."""
    pieces = _to_ship(session, order)
    completed = order.shop_status == m.ShopStatus.COMPLETED
    if not pieces or order.stopped or not completed or order.wait_until is None:
        order.wait_until = None
        return
    verdict = waiting.decide(now, order.wait_until, order.ship_by, can.ship_without_tracking)
    if isinstance(verdict, waiting.ShipWithout):
        _send(session, order, _without_number(session, order), pieces)
        let_go(session, order)
        order.wait_until = None
        tell(session, order, "ship.without_tracking", pieces=len(pieces))
    elif verdict.alarm:
        order_case(session, order, "ship.tracking_required", deadline=verdict.deadline)
        order.wait_until = now + waiting.ALARM_BEFORE_DEADLINE


def _without_number(session: Session, order: Order) -> Shipment:
    """The one shipment of the order that has no number; pieces that may leave only later join it."""
    made = session.scalar(
        select(Shipment).where(Shipment.order_id == order.id, Shipment.tracking_number == "")
    )
    return made or Shipment(
        order_id=order.id, tracking_number="", carrier=None, carrier_name=None, carrier_source="none"
    )


def deadline_is_near(session: Session, order: Order, now: datetime) -> None:
    """The marketplace's own deadline comes near and it has not heard of some pieces, here or in a held parcel: the merchant is alarmed once (C3)."""
    order.alarmed_at = now
    held = select(OrderPiece.id).join(Shipment, Shipment.id == OrderPiece.shipment_id)
    unheard = held.where(Shipment.order_id == order.id, Shipment.held, OrderPiece.state.in_(HERE))
    left = [*_to_ship(session, order), *session.scalars(unheard)]
    if left:
        order_case(session, order, "ship.deadline_near", deadline=order.ship_by, pieces=len(left))


def let_go(session: Session, order: Order) -> Shipment | None:
    """Parcels of a locked order that were held back because the marketplace wants something else first: a return number with each, or the order
    as a whole. To be called whenever that may have come true: a number was typed in, the rest has left or is cancelled. Answers the parcel
    that still waits for the rest.
    """
    query = select(Shipment).where(Shipment.order_id == order.id, Shipment.held).order_by(Shipment.id)
    held = session.scalars(query).all()
    if not held:
        return None
    can = _can(session, order)
    ready = [each for each in held if each.return_number or not _wants_label(can, each)]
    for shipment in held:
        part = f"return/{shipment.tracking_number[:40]}"
        if shipment in ready:
            close_cases(session, account_id=order.account_id, subjects=[f"order/{order.id}/{part}"])
        else:
            order_case(
                session, order, "ship.return_tracking_required", part=part, number=shipment.tracking_number
            )
    if can.partial_shipment:
        for shipment in ready:
            _release(session, order, shipment, shipment.piece_ids)
        return None
    if len(ready) < len(held) or _rest_is_open(session, order):
        return held[-1]
    together = [piece_id for shipment in held for piece_id in shipment.piece_ids]
    _release(session, order, held[0], together)
    for shipment in held:
        shipment.held = False
    return None


def deliver_ship(
    session: Session, command: outbox.Claimed, marketplace: Connection, client: MarketplaceClient
) -> Delivered:
    """Tell the marketplace that the pieces of one shipment have left."""
    shipment = session.scalars(select(Shipment).where(Shipment.id == command.payload["shipment"])).one()
    pieces = _pieces(session, command.payload.get("pieces", shipment.piece_ids))
    wanted = m.ShipmentWanted(
        pieces=(),
        tracking_number=shipment.tracking_number or None,
        carrier=shipment.carrier,
        carrier_name=shipment.carrier_name,
        return_tracking_number=shipment.return_number,
        return_carrier=shipment.return_carrier,
    )
    due = [piece.external_id for piece in pieces if piece.state in HERE]
    # A parcel more, for what the marketplace knows to have left; where the first parcel was refused, this one is the first.
    sent = command.payload.get("sent", [piece.id for piece in pieces] if shipment.further else [])
    more = tuple(piece.external_id for piece in pieces if piece.id in sent and piece.state in GONE)
    session.commit()
    truth = (
        {piece.external_id: piece for piece in client.read_pieces(due)} if command.repeated and due else {}
    )
    over = {*GONE, m.PieceState.CANCELLED, m.PieceState.RETURNED}
    # The number of a parcel that the marketplace booked is in its answer: whoever missed that asks once more, and is told `already`.
    booked = not wanted.tracking_number and _can_of(marketplace).books_parcels
    over = {m.PieceState.CANCELLED, m.PieceState.RETURNED} if booked else over
    due = [key for key in due if key not in truth or truth[key].state not in over]
    answers = client.ship(replace(wanted, pieces=tuple(due))) if due else []
    if more:
        answers += client.ship(replace(wanted, pieces=more, further_parcel=True))
    return _shipped(session, command, truth, answers)


def _shipped(
    session: Session, command: outbox.Claimed, truth: dict[str, m.PieceSeen], answers: list[m.PieceAnswer]
) -> Delivered:
    """Write down what is true now. What the marketplace refused stays open and becomes a case; what worked is kept."""
    shipment = session.scalars(select(Shipment).where(Shipment.id == command.payload["shipment"])).one()
    order = session.scalars(select(Order).where(Order.id == shipment.order_id).with_for_update()).one()
    by_id = {answer.external_id: answer for answer in answers}
    gone, refused = [], None
    pieces = _pieces(session, command.payload.get("pieces", shipment.piece_ids))
    for piece in pieces:
        seen, answer = truth.get(piece.external_id), by_id.get(piece.external_id)
        if seen is not None:
            piece.state = status.piece_after(m.PieceState(piece.state), seen.state)
        if answer is not None and answer.state is not None:
            piece.state = status.piece_after(m.PieceState(piece.state), answer.state)
        if answer is not None and answer.ok:
            piece.state = status.piece_after(m.PieceState(piece.state), m.PieceState.SHIPPED)
            gone.append(piece.id)
        elif answer is not None:
            refused = answer.reason or m.Reason("partner.refused", {"operation": "ship"})
            order_case(session, order, refused.code, part=f"ship/{piece.external_id}", **refused.params)
        elif piece.state == m.PieceState.CANCELLED and piece.cancel_asked_by != "shop":
            part = f"piece/{piece.external_id}"
            order_case(session, order, "cancel.after_shipping", part=part, piece=piece.external_id)
    reservations.release(session, [piece.id for piece in pieces if piece.state == m.PieceState.CANCELLED])
    reservations.left_the_house(session, gone)
    well = [
        f"order/{order.id}/{part}/{key}"
        for key, answer in by_id.items()
        if answer.ok
        for part in ("ship", "cancel")
    ]
    asked = [f"order/{order.id}/cancel_asked/{line}" for line in {piece.line_id for piece in pieces}]
    close_cases(session, account_id=order.account_id, subjects=[*well, *asked])
    _booked(session, order, shipment, answers)
    if refused is None:
        shipment.confirmed_at = datetime.now(UTC)
        for code in ("ship.tracking_required", "ship.deadline_near"):
            close_case(session, account_id=order.account_id, subject=f"order/{order.id}", code=code)
        tell(
            session,
            order,
            "ship.confirmed",
            command_id=command.id,
            number=shipment.tracking_number,
            pieces=len(pieces),
        )
    return Delivered({"pieces": len(gone)}, refused)


def _parcel(session: Session, order: Order, parcel: m.TrackingSeen, number: str) -> Shipment | None:
    """One new tracking number: for the pieces of its lines, else for everything that has not left; else it is one more parcel."""
    if order.stopped:
        order_case(session, order, "ship.stopped_but_shipped", number=number)
        return None
    problem = tracking.check(number, tracking.carrier_key(parcel.carrier_name))
    if problem is not None and problem.code == "ship.tracking_malformed":
        order_case(session, order, problem.code, part=f"tracking/{number[:40]}", **problem.params)
    pieces = _to_ship(session, order)
    if parcel.lines is not None:
        pieces = _of_lines(session, order, pieces, parcel.lines)
    further = not pieces
    if further:
        pieces = _sent(session, order)
        pieces = pieces if parcel.lines is None else _of_lines(session, order, pieces, parcel.lines)
    if not pieces:
        _parcel_of_nothing(session, order, number)
        return None
    carrier, name, source = _carrier(session, order, parcel, number)
    shipment = Shipment(
        order_id=order.id,
        tracking_number=number,
        carrier=carrier,
        carrier_name=name,
        carrier_source=source,
        further=further,
    )
    _send(session, order, shipment, pieces)
    order.wait_until = None
    return shipment


def _more(session: Session, order: Order, shipment: Shipment, parcel: m.TrackingSeen) -> None:
    """A known number now names lines, or units of them, that were not in it: they leave with it, also what had left without a number."""
    free = _without_number_yet(session, order) if parcel.lines is not None else []
    if not free:
        return
    inside, added = _pieces(session, shipment.piece_ids), []
    wanted = Counter[str]()
    for line, quantity in parcel.lines or ():
        wanted[line] += quantity
    for line, quantity in wanted.items():
        told = len(_of_lines(session, order, inside, ((line, quantity),)))
        added += _of_lines(session, order, free, ((line, quantity - told),))
    if added and order.stopped:
        order_case(session, order, "ship.stopped_but_shipped", number=shipment.tracking_number)
    elif added:
        _send(session, order, shipment, added)
        if not _to_ship(session, order):
            order.wait_until = None


def _without_number_yet(session: Session, order: Order) -> list[OrderPiece]:
    """Pieces that may leave, and after them those that have left, or are on their way out, in the shipment that has no number."""
    query = (
        select(OrderPiece)
        .join(Shipment, Shipment.id == OrderPiece.shipment_id)
        .where(Shipment.order_id == order.id, Shipment.tracking_number == "")
        .where(OrderPiece.state.in_((*GONE, *HERE)))
    )
    return [*_to_ship(session, order), *session.scalars(query.order_by(OrderPiece.id))]


def _parcel_of_nothing(session: Session, order: Order, number: str) -> None:
    """A parcel left although its pieces are being cancelled, or are cancelled already: nobody will pay for it."""
    asked = select(OrderPiece.id).where(
        OrderPiece.order_id == order.id, OrderPiece.in_shop, OrderPiece.cancel_asked_by.is_not(None)
    )
    if session.scalar(asked.limit(1)) is not None:
        order_case(session, order, "cancel.after_shipping", part=f"tracking/{number[:40]}", number=number)


def _carrier(
    session: Session, order: Order, parcel: m.TrackingSeen, number: str
) -> tuple[str | None, str | None, str]:
    """The carrier the shop names; where it names none, the most likely one by the number, said as a guess (C4)."""
    key = tracking.carrier_key(parcel.carrier_name)
    if key is not None or parcel.carrier_name:
        return key, parcel.carrier_name, "shop"
    country = (order.buyer or {}).get("shipping", {}).get("country")
    proposals = tracking.recognise(number, country)
    if proposals and proposals[0].certainty != "low" and not _tied(proposals):
        tell(session, order, "ship.carrier_guessed", number=number, carrier=proposals[0].carrier)
        return proposals[0].carrier, None, "recognised"
    order_case(session, order, "ship.carrier_unknown", part=f"tracking/{number[:40]}", number=number)
    return None, None, "none"


def _tied(proposals: list[tracking.Proposal]) -> bool:
    """Two carriers that fit equally well are a coin toss, no proposal."""
    return len(proposals) > 1 and proposals[0].certainty == proposals[1].certainty


def _send(session: Session, order: Order, shipment: Shipment, pieces: list[OrderPiece]) -> None:
    """Write the command for these pieces of a shipment. What joins a known one names its pieces, because the others were told before; those of
    them that had left without a number (`sent`) get it as one parcel more.
    """
    payload: dict[str, object] = {}
    if shipment.piece_ids:
        sent = [piece.id for piece in pieces if piece.shipment_id is not None]
        payload |= {"pieces": [piece.id for piece in pieces], "sent": sent}
    shipment.piece_ids = [*(shipment.piece_ids or []), *(piece.id for piece in pieces)]
    session.add(shipment)
    session.flush()
    for piece in pieces:
        piece.shipment_id = shipment.id
    tell(
        session,
        order,
        "ship.wanted",
        number=shipment.tracking_number,
        carrier=shipment.carrier or shipment.carrier_name,
        pieces=len(pieces),
    )
    payload["shipment"] = shipment.id
    can = _can(session, order)
    # What joins a parcel that the marketplace knows already needs nothing more than that.
    shipment.held = shipment.confirmed_at is None and (
        _wants_label(can, shipment) or not can.partial_shipment
    )
    if not shipment.held:
        _tell_marketplace(session, order, payload, pieces)


def _tell_marketplace(
    session: Session, order: Order, payload: dict[str, object], pieces: list[OrderPiece]
) -> None:
    key = f"ship:{payload['shipment']}:{pieces[0].id}"
    outbox.write_for_order(session, order, order.connection_id, "ship", key, payload)


def _can(session: Session, order: Order) -> Capabilities:
    return _can_of(session.get_one(Connection, order.connection_id))


def _can_of(marketplace: Connection) -> Capabilities:
    return provider(marketplace.provider).can(marketplace.settings)


def _note_returns(session: Session, order: Order, told: tuple[m.TrackingSeen, ...]) -> None:
    """Numbers of return labels, each to one parcel: the first to the first. They come with the parcel, or somebody types them in later."""
    query = select(Shipment).where(Shipment.order_id == order.id).order_by(Shipment.id)
    shipments = session.scalars(query).all() if told else ()
    # The number on a parcel itself, typed in once more, would send the buyer's parcel back to the buyer.
    used = {number for each in shipments for number in (each.return_number, each.tracking_number)}
    bare = [each for each in shipments if each.return_number is None and each.tracking_number]
    for parcel in told:
        number = tracking.normalise(parcel.number)
        if bare and number and number not in used:
            shipment = bare.pop(0)
            used.add(number)
            shipment.return_number = number
            shipment.return_carrier = tracking.carrier_key(parcel.carrier_name) or shipment.carrier


def _rest_is_open(session: Session, order: Order) -> bool:
    """Whether pieces are in no parcel yet. Also those that somebody wants to cancel: until the marketplace has done it, a parcel for the order
    as a whole would report them as shipped, and their buyer would pay for what he never gets.
    """
    rest = select(OrderPiece.id).where(
        OrderPiece.order_id == order.id,
        OrderPiece.shipment_id.is_(None),
        OrderPiece.state.in_((m.PieceState.ANNOUNCED, *HERE)),
    )
    return session.scalar(rest.limit(1)) is not None


def _wants_label(can: Capabilities, shipment: Shipment) -> bool:
    """Whether this parcel may not be told without the number of its return label. A carrier that was only guessed excuses nobody."""
    only = can.return_tracking_carriers if shipment.carrier_source == "shop" else None
    return can.return_tracking and (only is None or shipment.carrier is None or shipment.carrier in only)


def _release(session: Session, order: Order, shipment: Shipment, piece_ids: list[int]) -> None:
    """The marketplace is told now. Pieces that were cancelled meanwhile stay here; what has left in an earlier parcel gets one more."""
    shipment.held = False
    told = _told(session, order, shipment)
    pieces = [
        piece
        for piece in _pieces(session, piece_ids)
        if piece.state in {*HERE, *GONE} and piece.id not in told
    ]
    if pieces:
        sent = [piece.id for piece in pieces] if shipment.further else []
        payload: dict[str, object] = {"shipment": shipment.id, "pieces": [p.id for p in pieces], "sent": sent}
        _tell_marketplace(session, order, payload, pieces)


def _told(session: Session, order: Order, shipment: Shipment) -> set[int]:
    """Pieces that a command for this parcel names already: lines may be added while its answer is still awaited."""
    written = select(Command.payload).where(Command.order_id == order.id, Command.kind == "ship")
    mine = [payload for payload in session.scalars(written) if payload["shipment"] == shipment.id]
    return {piece for payload in mine for piece in payload.get("pieces", ())}


def _booked(session: Session, order: Order, shipment: Shipment, answers: list[m.PieceAnswer]) -> None:
    """The marketplace itself booked the parcel: its number belongs to the shop's order, where the label is printed."""
    number = next((each.tracking_number for each in answers if each.tracking_number), None)
    if number is None or shipment.tracking_number == number or order.shop_id is None:
        return
    shipment.tracking_number = number
    payload = {"shipment": shipment.id}
    key = f"order.booked:{shipment.id}"
    outbox.write_for_order(session, order, order.shop_id, "order.booked", key, payload)


def deliver_booked(
    session: Session, command: outbox.Claimed, shop: Connection, client: ShopClient
) -> Delivered:
    """Write the number of a parcel that the marketplace booked into the shop's order; once, by its number."""
    order = session.scalars(select(Order).where(Order.id == command.order_id)).one()
    shipment = session.get_one(Shipment, command.payload["shipment"])
    if order.shop_order_id is None:
        return Delivered({"skipped": "the shop never had this order"})
    known = tracking.carriers().get(shipment.carrier or "")
    lines = Counter(piece.line_id for piece in _pieces(session, shipment.piece_ids))
    names = {
        line.id: line.shop_line_id
        for line in session.scalars(select(OrderLine).where(OrderLine.order_id == order.id))
    }
    data = {
        "order_id": order.shop_order_id,
        "key": f"tracking_{command.public_id}",
        "number": shipment.tracking_number,
        "carrier": known.name if known else shipment.carrier_name,
        "url": tracking.tracking_url(shipment.carrier, shipment.tracking_number),
        "lines": [{"id": names[line], "quantity": count} for line, count in lines.items() if names[line]],
    }
    session.commit()
    client.send(command.public_id, "order.tracking", data)
    return Delivered()


def _wait_for_tracking(session: Session, shop: Connection, order: Order) -> None:
    if order.wait_until is not None or order.stopped or not _to_ship(session, order):
        return
    now = datetime.now(UTC)
    order.completed_at = order.completed_at or now
    if _can(session, order).books_parcels:
        _send(session, order, _without_number(session, order), _to_ship(session, order))
        return
    order.wait_until = waiting.wait_until(now, int(shop.settings.get("tracking_wait_hours", 3)))
    tell(session, order, "ship.waiting_for_tracking", until=order.wait_until)


def _to_ship(session: Session, order: Order) -> list[OrderPiece]:
    """Pieces in the shop's order that have not left, are not on their way out and that nobody wants to cancel."""
    return list(
        session.scalars(
            select(OrderPiece)
            .where(
                OrderPiece.order_id == order.id,
                OrderPiece.in_shop,
                OrderPiece.shipment_id.is_(None),
                OrderPiece.cancel_asked_by.is_(None),
                OrderPiece.state.in_(HERE),
            )
            .order_by(OrderPiece.id)
        )
    )


def _sent(session: Session, order: Order) -> list[OrderPiece]:
    """Pieces that have left, or whose first parcel the marketplace has not taken yet."""
    on_the_way = and_(OrderPiece.shipment_id.is_not(None), OrderPiece.state.in_(HERE))
    query = select(OrderPiece).where(
        OrderPiece.order_id == order.id, or_(OrderPiece.state.in_(GONE), on_the_way)
    )
    return list(session.scalars(query.order_by(OrderPiece.id)))


def _of_lines(
    session: Session, order: Order, pieces: list[OrderPiece], wanted: tuple[tuple[str, int], ...]
) -> list[OrderPiece]:
    line_ids = {
        line.shop_line_id: line.id
        for line in session.scalars(select(OrderLine).where(OrderLine.order_id == order.id))
    }
    chosen: list[OrderPiece] = []
    for shop_line_id, quantity in wanted:
        of_line = [
            piece for piece in pieces if piece.line_id == line_ids.get(shop_line_id) and piece not in chosen
        ]
        chosen += of_line[:quantity]
    return chosen


def _pieces(session: Session, ids: list[int]) -> list[OrderPiece]:
    return list(session.scalars(select(OrderPiece).where(OrderPiece.id.in_(ids)).order_by(OrderPiece.id)))
