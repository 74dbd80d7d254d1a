"""Goods and money go back, from either side, per piece and to the cent (C7).

A refund object in the shop becomes deeds at the marketplace: accept an open return, refund an amount, cancel what has not left. A return that
the marketplace settles becomes a refund object in the shop. Every refund object counts once, by its own id (K8).
What may go wrong: a refund call is answered by silence. Money cannot be read back everywhere, so such a refund is never repeated blindly: it
becomes a case for a person. Or it is only taken and refused later: so it counts when the marketplace has decided, not before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NoReturn, cast

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import messages as m
from app import outbox, plan
from app.delivery import Delivered
from app.errors import Unavailable
from app.models import Command, Connection, Order, OrderLine, OrderPiece, Refund, Return
from app.registry import (
    Capabilities,
    DecidesRefundsLater,
    MarketplaceClient,
    Provider,
    RefundsLines,
    ShopClient,
    ShowsRefunds,
    provider,
)
from app.rules import refund as rules
from app.rules import status
from app.story import close_case, order_case, tell

OPEN = (m.PieceState.ANNOUNCED, m.PieceState.TO_SHIP, m.PieceState.UNCLEAR)
WAITING = (m.ReturnState.ANNOUNCED, m.ReturnState.ARRIVED, m.ReturnState.UNCLEAR)


def from_shop(session: Session, order: Order, refunds: Iterable[m.RefundSeen]) -> None:
    """New refund objects of the shop. Those that our own commands made are known and ask for nothing."""
    for seen in refunds:
        if seen.by_bridge or seen.amount <= 0 or not _first_time(session, order, seen):
            continue
        if seen.currency != order.currency:
            part = f"refund/shop/{seen.external_id}"
            _case(session, order, part, "refund.not_assignable", amount=seen.amount, currency=seen.currency)
            continue
        _settle(session, order, seen)


def before_parcels(seen: m.ShopOrderSeen) -> list[m.RefundSeen]:
    """Refund objects that are older than every parcel: their pieces are in none of them, so they come before shipping is told.

    One look can bring both: a shop sends what is true now, not what happened one after another.
    """
    times = [parcel.shipped_at for parcel in seen.tracking]
    return [
        refund
        for refund in seen.refunds
        if refund.created_at is not None
        and all(time is not None and refund.created_at <= time for time in times)
    ]


def from_marketplace(session: Session, marketplace: Connection, seen: m.ReturnSeen) -> list[int]:
    """One look at one return. Answers the ids of the orders it touched; pieces that we do not know are left for the next look at orders."""
    ids = [each.piece_external_id for each in seen.pieces]
    mine = (OrderPiece.connection_id == marketplace.id, OrderPiece.external_id.in_(ids))
    # Locked in one order, and before the pieces are read: a refund in the shop may be booked on them at this moment.
    of_mine = Order.id.in_(select(OrderPiece.order_id).where(*mine))
    orders = {
        order.id: order
        for order in session.scalars(select(Order).where(of_mine).order_by(Order.id).with_for_update())
    }
    known = {piece.external_id: piece for piece in session.scalars(select(OrderPiece).where(*mine))}
    touched = []
    for piece_seen in seen.pieces:
        piece = known.get(piece_seen.piece_external_id)
        if piece is None:
            continue
        _look(session, orders[piece.order_id], piece, seen, piece_seen)
        touched.append(piece.order_id)
    return touched


def deliver_refund(
    session: Session, command: outbox.Claimed, marketplace: Connection, client: MarketplaceClient
) -> Delivered:
    """Refund one amount for one piece at the marketplace; never a second time when the first answer is unknown.

    One that is only taken is looked at again by the retry plan until the marketplace has decided (Capabilities.refund_decided_later).
    """
    external_id = session.get_one(OrderPiece, command.payload["piece"]).external_id
    can = provider(marketplace.provider).can(marketplace.settings)
    session.commit()
    answer = _refunded(session, command, can, client, external_id)
    order = session.scalars(select(Order).where(Order.id == command.order_id).with_for_update()).one()
    money: dict[str, Any] = {"amount": command.payload["amount"], "currency": order.currency}
    if answer.ok and answer.pending:
        _wait_for_decision(session, command, order, money)
    if answer.ok:
        subject = f"order/{order.id}/refund/{command.id}"
        close_case(session, account_id=order.account_id, subject=subject)
        money["amount"] -= answer.short
        tell(session, order, "refund.confirmed", command_id=command.id, **money)
        if answer.short and answer.reason is not None:
            part = f"refund/{command.id}/rest"
            order_case(session, order, answer.reason.code, part=part, **answer.reason.params)
        return Delivered({"amount": money["amount"]})
    reason = answer.reason or m.Reason("partner.refused", {"operation": "refund"})
    reason = m.Reason(reason.code, {**money, **reason.params})
    order_case(session, order, reason.code, part=f"refund/{command.id}", **reason.params)
    # What was seen before this try says nothing about the next one, unless this one may have had its effect.
    known = {"taken": None} if answer.pending else {"taken": None, "before": None, "given": None}
    _note(session, command, f"order/{order.id}", **known)
    return Delivered(refused=reason, in_doubt=answer.pending)


def deliver_accept(
    session: Session, command: outbox.Claimed, marketplace: Connection, client: MarketplaceClient
) -> Delivered:
    """Accept a return at the marketplace, which then refunds the buyer itself. A repeat is answered with "already".

    One that is only noted (`pending`) is a case and stays open here: the look that finds it accepted there books it and closes the case.
    """
    returned = session.get_one(Return, command.payload["return"])
    external_id = returned.external_id
    if returned.state == m.ReturnState.REJECTED and _rejected_by_us(session, returned):
        return _pay_after_all(session, command, returned)
    session.commit()
    answer = client.accept_return(external_id)
    order = session.scalars(select(Order).where(Order.id == command.order_id).with_for_update()).one()
    if not answer.ok and not answer.already:
        reason = answer.reason or m.Reason("partner.refused", {"operation": "accept_return"})
        order_case(session, order, reason.code, part=f"return/{external_id}", **reason.params)
        return Delivered(refused=reason)
    if answer.pending:
        reason = answer.reason or m.Reason("return.not_accepted_yet")
        order_case(session, order, reason.code, part=f"return/{external_id}", **reason.params)
        return Delivered({"pending": True})
    returned = session.get_one(Return, command.payload["return"])
    returned.state = m.ReturnState.ACCEPTED
    _close_case(session, order, returned)
    _close_case(session, order, returned, "/reject")
    piece = session.get_one(OrderPiece, returned.piece_id)
    piece.state = status.piece_after(m.PieceState(piece.state), m.PieceState.RETURNED)
    tell(session, order, "return.accepted", command_id=command.id, piece=piece.external_id)
    return Delivered({"already": answer.already})


def _rejected_by_us(session: Session, row: Return) -> bool:
    """Else a person has rejected it in the seller portal, and may have settled the money there too: then the marketplace is asked to accept."""
    mine = select(Command.payload, Command.result).where(
        Command.connection_id == row.connection_id, Command.kind == "reject_return", Command.state == "done"
    )
    told = session.execute(mine.where(Command.order_id == row.order_id))
    return any(row.id in payload["returns"] and "skipped" not in (result or {}) for payload, result in told)


def _pay_after_all(session: Session, command: outbox.Claimed, row: Return) -> Delivered:
    """Our rejection was there before the shop's refund was told: the buyer gets the money by its amount, where a return pays."""
    payload, amount = command.payload, command.payload["amount"]
    order = session.get_one(Order, command.order_id)
    _close_case(session, order, row)
    if not amount:
        return Delivered({"skipped": "rejected, and its refund is told by its amount"})
    key = f"refund:rejected:{payload['return']}"
    refund = {"piece": payload["piece"], "amount": amount, "reason": "return"}
    outbox.write_for_order(session, order, order.connection_id, "refund", key, refund)
    return Delivered({"skipped": "rejected, so it is refunded by its amount"})


def deliver_to_shop(
    session: Session, command: outbox.Claimed, shop: Connection, client: ShopClient
) -> Delivered:
    """Write the refund into the shop's books without moving money: the marketplace has paid the buyer."""
    order = session.scalars(select(Order).where(Order.id == command.order_id)).one()
    piece = session.get_one(OrderPiece, command.payload["piece"])
    line = session.get_one(OrderLine, piece.line_id)
    if order.shop_order_id is None:
        return Delivered({"skipped": "the shop never had this order"})
    shop_order_id, amount, currency = order.shop_order_id, command.payload["amount"], order.currency
    lines = [(line.shop_line_id, 1, amount)] if line.shop_line_id else []
    session.commit()
    truth = client.refund_order(
        command.public_id,
        shop_order_id,
        command.payload["key"],
        amount,
        lines,
        command.payload["reason"],
        restock=False,
        currency=currency,
    )
    order = session.scalars(select(Order).where(Order.id == command.order_id).with_for_update()).one()
    tell(session, order, "refund.done_in_shop", command_id=command.id, amount=amount, currency=order.currency)
    return Delivered({"refund_id": truth.refund_external_id})


# --- the shop's refund objects -------------------------------------------------------------------------------------------------


def _first_time(session: Session, order: Order, seen: m.RefundSeen) -> bool:
    """The unique key of the table decides, so the same refund object can come as often as it likes."""
    new = session.execute(
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
    return new is not None


def _settle(session: Session, order: Order, seen: m.RefundSeen) -> None:
    """Give every piece its share and write one command for each deed."""
    refund = session.scalars(
        select(Refund).where(
            Refund.order_id == order.id, Refund.origin == "shop", Refund.external_id == seen.external_id
        )
    ).one()
    open_returns = {
        row.piece_id: row
        for row in session.scalars(
            select(Return).where(Return.order_id == order.id, Return.state.in_(WAITING))
        )
    }
    truth = _truth(session, order, set(open_returns))
    plan = rules.allocate(seen, truth)
    pieces = {
        piece.id: piece
        for piece in session.scalars(select(OrderPiece).where(OrderPiece.order_id == order.id))
    }
    for share in plan.shares:
        pieces[share.piece_id].refunded += share.amount
    refund.allocation = {"shares": [[share.piece_id, share.amount, share.deed] for share in plan.shares]}
    refund.unassigned = plan.unassigned
    tell(
        session, order, "refund.by_shop", amount=seen.amount, currency=seen.currency, refund=seen.external_id
    )
    can = _can(session, order)
    pays = can.return_pays
    # Where accepting a return moves no money, a returned piece has got no more than what the shop gave so far.
    back = {piece.id for piece in pieces.values() if piece.state == m.PieceState.RETURNED}
    settled = [share for share in plan.shares if share.deed == "none" and share.piece_id in back and not pays]
    shares = {share.piece_id: share for share in (*(plan.refunds if pays else plan.by_amount), *settled)}
    given = {piece_id: share.amount for piece_id, share in shares.items()}
    for together in (
        rules.in_one_go(given, [line.pieces for line in truth])
        if can.refund_lines
        else [[piece_id] for piece_id in shares]
    ):
        word = "return" if shares[together[0]].deed == "accept_return" else rules.reason_word(seen.reason)
        payload: dict[str, Any] = {"piece": together[0], "amount": sum(given[each] for each in together)}
        payload |= {"reason": word} | ({"pieces": together} if len(together) > 1 else {})
        outbox.write_for_order(
            session, order, order.connection_id, "refund", f"refund:{refund.id}:{together[0]}", payload
        )
    for piece_id in plan.accept_returns:
        row = open_returns[piece_id]
        paid = sum(share.amount for share in plan.shares if share.piece_id == piece_id) if pays else 0
        outbox.write_for_order(
            session,
            order,
            order.connection_id,
            "accept_return",
            f"accept_return:{row.id}",
            {"return": row.id, "piece": piece_id, "amount": paid},
        )
    if plan.cancel:
        _cancel(session, order, refund, [pieces[piece_id] for piece_id in plan.cancel])
    part = f"refund/shop/{seen.external_id}"  # refunds of our own have their numbers without `shop/`
    if pays and (shipping := plan.shipping_of(back)):
        _case(session, order, f"{part}/shipping", "refund.shipping_with_return", amount=shipping)
    if plan.unassigned:
        reason = plan.reason or m.Reason("refund.not_assignable", {})
        _case(session, order, part, reason.code, **{"amount": plan.unassigned, **reason.params})


def _case(session: Session, order: Order, part: str, code: str, **params: Any) -> None:
    """Where the money is told in the order's currency, and who sold it."""
    known = {"currency": order.currency, "marketplace": _sold_at(session, order).name}
    order_case(session, order, code, part=part, **{**known, **params})


def _can(session: Session, order: Order) -> Capabilities:
    return _sold_at(session, order).can(session.get_one(Connection, order.connection_id).settings)


def _sold_at(session: Session, order: Order) -> Provider:
    return provider(session.get_one(Connection, order.connection_id).provider)


def _cancel(session: Session, order: Order, refund: Refund, pieces: list[OrderPiece]) -> None:
    """Refunded in full before it left: that is a cancellation."""
    reason = rules.cancel_word(refund.reason or "")
    payload = {"pieces": [piece.id for piece in pieces], "reason": reason, "refund": refund.id}
    key = f"cancel:{pieces[0].id}"
    if outbox.write_for_order(session, order, order.connection_id, "cancel", key, payload) is None:
        return  # the marketplace has refused it; a person decides whether it is tried again
    for piece in pieces:
        piece.cancel_asked_by = "shop"
    tell(session, order, "cancel.by_shop", pieces=len(pieces))


def _truth(session: Session, order: Order, returning: set[int]) -> list[rules.LineTruth]:
    """The lines as rules.refund wants them. What is under way counts as done: a cancellation, and a parcel, because the marketplace hears
    of it before it hears of the refund.
    """
    lines = []
    for line in session.scalars(
        select(OrderLine).where(OrderLine.order_id == order.id).order_by(OrderLine.id)
    ):
        pieces = tuple(
            rules.PieceTruth(
                id=piece.id,
                state=_state_soon(piece),
                price=piece.price + piece.shipping_price,
                goods=piece.price,
                refunded=piece.refunded,
                return_open=piece.id in returning,
            )
            for piece in session.scalars(
                select(OrderPiece)
                .where(OrderPiece.line_id == line.id, OrderPiece.in_shop)
                .order_by(OrderPiece.id)
            )
        )
        lines.append(
            rules.LineTruth(shop_line_id=line.shop_line_id or "", line_key=f"ln_{line.id}", pieces=pieces)
        )
    return lines


def _state_soon(piece: OrderPiece) -> m.PieceState:
    if piece.cancel_asked_by and piece.state in OPEN:
        return m.PieceState.CANCELLED
    if piece.shipment_id is not None and piece.state == m.PieceState.TO_SHIP:
        return m.PieceState.SHIPPED
    return m.PieceState(piece.state)


def _refunded(
    session: Session, command: outbox.Claimed, can: Capabilities, client: MarketplaceClient, piece: str
) -> m.PieceAnswer:
    """What became of an earlier try of unknown outcome, else of a new one. `pending`: taken (ok), or only a person can tell (not ok)."""
    payload = command.payload
    taken = bool(payload.get("taken"))
    if taken or command.in_doubt:
        if not can.refund_readable or "before" not in payload:
            return _nobody_knows(piece)
        if taken and cast("DecidesRefundsLater", client).read_undecided(piece):
            return _not_decided(command, piece)
        found = _read_back(session, command, can, cast("ShowsRefunds", client), piece)
        if found == "made":
            return m.PieceAnswer(piece, True, already=True, pending=can.refund_decided_later and not taken)
        if found == "unclear":
            return _nobody_knows(piece)
        if taken:
            return m.PieceAnswer(piece, False, reason=m.Reason("refund.refused_later"))
    elif can.refund_readable:
        _note_before(session, command, can, cast("ShowsRefunds", client), piece)
    if together := payload.get("pieces"):
        mine = select(OrderPiece.external_id).where(OrderPiece.id.in_(together)).order_by(OrderPiece.id)
        ids = session.scalars(mine).all()
        session.commit()
        return cast("RefundsLines", client).refund(piece, payload["amount"], payload["reason"], ids)
    return client.refund(piece, payload["amount"], payload["reason"])


def _nobody_knows(piece: str) -> m.PieceAnswer:
    return m.PieceAnswer(
        piece, False, reason=m.Reason("outcome.unknown_refund", {"piece": piece}), pending=True
    )


def _not_decided(command: outbox.Claimed, piece: str) -> m.PieceAnswer:
    """Looked at again by the retry plan; when that is used up a person must look."""
    if command.attempts <= len(plan.STEPS):
        raise Unavailable("refund.awaited", amount=command.payload["amount"])
    return m.PieceAnswer(piece, False, reason=m.Reason("refund.not_decided"), pending=True)


def _wait_for_decision(
    session: Session, command: outbox.Claimed, order: Order, money: dict[str, Any]
) -> NoReturn:
    """Taken is not done: the command stays due. It gets a subject of its own, so that the other deeds of the order need not wait for it."""
    tell(session, order, "refund.awaited", command_id=command.id, **money)
    _note(session, command, f"order/{order.id}/refund/{command.id}", taken=True)
    session.commit()
    raise Unavailable("refund.awaited", amount=command.payload["amount"])


def _note_before(
    session: Session, command: outbox.Claimed, can: Capabilities, client: ShowsRefunds, piece: str
) -> None:
    """Keep what the marketplace shows, and what our other refunds gave, before a try whose answer may get lost."""
    given, _, _ = _by_others(session, command, can)
    session.commit()
    _note(session, command, before=client.read_refunded(piece), given=given)
    session.commit()


def _read_back(
    session: Session, command: outbox.Claimed, can: Capabilities, client: ShowsRefunds, piece: str
) -> Literal["made", "missing", "unclear"]:
    """Whether what the marketplace shows since the last try contains this refund.

    Most marketplaces only show a sum: what our other refunds gave meanwhile, or may have given, must be there besides. Unclear: something was
    refunded meanwhile, and only a person can tell whether it was this.
    """
    given, doubtful, sure = _by_others(session, command, can)
    session.commit()
    shown, before = client.read_refunded(piece), command.payload["before"]
    known = command.payload.get("given", 0)
    others = max(0, given - known) + doubtful
    if shown >= before + command.payload["amount"] + others:
        return "made"
    # What was only taken before may have been refused since, and this one has come in its place: then the same sum says nothing.
    return "missing" if shown == before and sure >= known else "unclear"


def _by_others(session: Session, command: outbox.Claimed, can: Capabilities) -> tuple[int, int, int]:
    """What our other refunds and accepted returns of the order have given at the marketplace, what those in doubt may have, and which part of
    the first is decided; only of the same piece where refunds are shown by piece.
    """
    others = [
        Command.order_id == command.order_id,
        Command.kind.in_(("refund", "accept_return")),
        Command.id != command.id,
    ]
    if can.refund_shown_by_piece:
        others.append(Command.payload["piece"].as_integer() == command.payload["piece"])
    given = doubtful = sure = 0
    query = select(Command.state, Command.in_doubt, Command.payload, Command.result).where(*others)
    for state, in_doubt, payload, result in session.execute(query):
        if "skipped" in (result or {}):
            continue
        if state == "done" or payload.get("taken"):
            given += payload.get("amount", 0)
            sure += payload.get("amount", 0) if state == "done" else 0
        elif in_doubt:
            doubtful += payload.get("amount", 0)
    return given, doubtful, sure


def _note(session: Session, command: outbox.Claimed, subject: str | None = None, **known: object) -> None:
    """Write down what is known of a refund beside it; None = no longer known. `subject`: with which deeds it goes out one after another."""
    row = session.get_one(Command, command.id, populate_existing=True)
    row.payload = {name: value for name, value in {**row.payload, **known}.items() if value is not None}
    row.subject = subject or row.subject


# --- the marketplace's returns ---------------------------------------------------------------------------------------------------


def _look(
    session: Session, order: Order, piece: OrderPiece, seen: m.ReturnSeen, piece_seen: m.ReturnPieceSeen
) -> None:
    row = session.scalar(
        select(Return)
        .where(Return.connection_id == order.connection_id, Return.external_id == piece_seen.external_id)
        .with_for_update()
    )
    before = m.ReturnState(row.state) if row is not None else None
    if row is None:
        row = Return(
            connection_id=order.connection_id,
            order_id=order.id,
            piece_id=piece.id,
            external_id=piece_seen.external_id,
            return_external_id=seen.external_id,
            state=piece_seen.state,
            raw_state=piece_seen.raw_state,
            reason=piece_seen.reason,
            note=piece_seen.note,
        )
        session.add(row)
        session.flush()
    row.state, row.raw_state = _state_after(before, piece_seen.state), piece_seen.raw_state
    row.tracking_number, row.carrier = (
        seen.tracking_number or row.tracking_number,
        seen.carrier or row.carrier,
    )
    if row.state != before:
        tell(session, order, f"return.{row.state}", piece=piece.external_id, reason=row.reason)
        _react(session, order, piece, row)


def _state_after(before: m.ReturnState | None, seen: m.ReturnState) -> m.ReturnState:
    """A return that was settled stays settled, and one that has arrived has arrived, whatever an old look says.

    Where a parcel and its return are told in two lists, one look says both: arrived from the one, announced from the other.
    """
    settled = {m.ReturnState.ACCEPTED, m.ReturnState.REJECTED, m.ReturnState.CLOSED}
    if before == m.ReturnState.ARRIVED and seen == m.ReturnState.ANNOUNCED:
        return before
    return before if before in settled and seen not in settled else seen


def _react(session: Session, order: Order, piece: OrderPiece, row: Return) -> None:
    """Tell the shop what it must know: a return comes, or the marketplace has paid the buyer back."""
    if row.state == m.ReturnState.ACCEPTED:
        _close_case(session, order, row)
        piece.state = status.piece_after(m.PieceState(piece.state), m.PieceState.RETURNED)
        # What a marketplace pays back of the shipping is not documented (unverified): only the goods are booked in the shop.
        left = piece.price - piece.refunded
        if left > 0 and not _accepted_by_us(session, order, row):
            _refund_in_shop(session, order, piece, row, left)
        return
    if row.state == m.ReturnState.REJECTED:
        _close_case(session, order, row, "/reject")
    if (
        row.state in {m.ReturnState.ANNOUNCED, m.ReturnState.ARRIVED, m.ReturnState.REJECTED}
        and order.shop_id is not None
    ):
        outbox.write_for_order(
            session,
            order,
            order.shop_id,
            "order.note",
            f"note:return:{row.id}:{row.state}",
            {"code": f"return.{row.state}", "return": row.id},
        )


def _close_case(session: Session, order: Order, row: Return, about: str = "") -> None:
    subject = f"order/{order.id}/return/{row.external_id}{about}"
    close_case(session, account_id=order.account_id, subject=subject)


def _accepted_by_us(session: Session, order: Order, row: Return) -> bool:
    query = select(Command.id).where(
        Command.connection_id == order.connection_id, Command.key == f"accept_return:{row.id}"
    )
    return session.scalar(query) is not None


def _refund_in_shop(session: Session, order: Order, piece: OrderPiece, row: Return, amount: int) -> None:
    session.add(
        Refund(
            order_id=order.id,
            origin="marketplace",
            external_id=row.external_id,
            amount=amount,
            currency=order.currency,
            reason=row.reason or "",
            allocation={"shares": [[piece.id, amount, "none"]]},
        )
    )
    piece.refunded += amount
    if order.shop_id is not None:
        payload = {
            "piece": piece.id,
            "amount": amount,
            "reason": row.reason or "",
            "key": f"{order.key}:{row.external_id}",
        }
        outbox.write_for_order(
            session, order, order.shop_id, "order.refund", f"order.refund:return:{row.id}", payload
        )
