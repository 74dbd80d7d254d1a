"""The merchant rejects a return at its marketplace, with the reason that he gives: nothing is refunded then (C7).

What may go wrong: an answer gets lost, or the marketplace lets a return be rejected only in another state, or only as a whole. A repeat is
harmless (RejectsReturns); what is refused is a case with the marketplace's words and may be tried anew. Who refunds in the shop afterwards
has changed his mind: that is sent to the marketplace like every refund.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import messages as m
from app import outbox
from app.delivery import Delivered
from app.errors import Refused
from app.models import Command, Connection, Order, OrderLine, OrderPiece, Return
from app.registry import Capabilities, RejectsReturns, provider
from app.story import close_case, order_case, tell

KIND = "reject_return"
UNANSWERED = (m.ReturnState.ANNOUNCED, m.ReturnState.ARRIVED, m.ReturnState.UNCLEAR)
UNDER_WAY = ("due", "leased", "dead")
LONGEST_NOTE = 500


def by_hand(session: Session, order: Order, reason: str, note: str = "", sku: str | None = None) -> int:
    """Reject what waits for an answer of an order that is locked; `sku`: only that product. Answers how many pieces.

    Raises Refused: return.cannot_reject, return.reject_reason (with those the marketplace knows), return.none_waits,
    return.only_whole (it decides about whole returns, and another product came with this one).
    """
    connection = session.get_one(Connection, order.connection_id)
    sold_at = provider(connection.provider)
    can = sold_at.can(connection.settings)
    told = {"marketplace": sold_at.name, "order": order.external_id}
    if not can.return_rejections:
        raise Refused("return.cannot_reject", **told)
    if reason not in can.return_rejections:
        raise Refused(
            "return.reject_reason", reason=reason, available=", ".join(sorted(can.return_rejections))
        )
    waiting = _unanswered(session, order)
    wanted = [row for row in waiting if sku is None or sku == _sku(session, row)]
    if not wanted:
        raise Refused("return.none_waits", **told)
    together = {row.return_external_id for row in wanted}
    if can.returns_whole and any(row.return_external_id in together and row not in wanted for row in waiting):
        raise Refused("return.only_whole", **told)
    for return_id in sorted(together):
        _write(session, order, [row for row in wanted if row.return_external_id == return_id], reason, note)
    return len(wanted)


def deliver(
    session: Session, command: outbox.Claimed, marketplace: Connection, client: RejectsReturns
) -> Delivered:
    """Tell the marketplace. Pieces that were refunded or answered meanwhile are left alone."""
    order = session.scalars(select(Order).where(Order.id == command.order_id)).one()
    wanted = {row.id for row in _unanswered(session, order, but=command.id)}
    rows = [row for row in _rows(session, command) if row.id in wanted]
    ids = [row.external_id for row in rows]
    can: Capabilities = provider(marketplace.provider).can(marketplace.settings)
    session.commit()
    if not ids:
        return Delivered({"skipped": "answered meanwhile"})
    payload = command.payload
    theirs = can.return_rejections.get(payload["reason"], payload["reason"])
    answers = {each.external_id: each for each in client.reject_return(ids, theirs, payload["note"])}
    return _answered(session, command, answers)


def _answered(session: Session, command: outbox.Claimed, answers: dict[str, m.PieceAnswer]) -> Delivered:
    order = session.scalars(select(Order).where(Order.id == command.order_id).with_for_update()).one()
    problem = None
    for row in _rows(session, command):
        answer = answers.get(row.external_id)
        if answer is None:
            continue
        part = f"return/{row.external_id}"
        if answer.ok:
            row.state = m.ReturnState.REJECTED
            close_case(session, account_id=order.account_id, subject=f"order/{order.id}/{part}")
            piece = session.get_one(OrderPiece, row.piece_id)
            tell(session, order, "return.rejected", command_id=command.id, piece=piece.external_id)
            _note(session, order, row)
        else:
            problem = answer.reason or m.Reason("partner.refused", {"operation": KIND})
            order_case(session, order, problem.code, part=part, **problem.params)
    return Delivered({"rejected": sum(each.ok for each in answers.values())}, problem)


def _note(session: Session, order: Order, row: Return) -> None:
    """Whoever looks at the order in the shop reads it too; a look that shows the rejection writes the same note, once."""
    if order.shop_id is not None:
        payload = {"code": "return.rejected", "return": row.id}
        key = f"note:return:{row.id}:{m.ReturnState.REJECTED}"
        outbox.write_for_order(session, order, order.shop_id, "order.note", key, payload)


def _unanswered(session: Session, order: Order, but: int | None = None) -> list[Return]:
    """Returned pieces about which neither the marketplace nor we have decided yet; what the command `but` is about counts as such."""
    answered: set[int] = set()
    asked = select(Command.id, Command.kind, Command.payload).where(
        Command.order_id == order.id,
        Command.kind.in_(("accept_return", KIND)),
        Command.state.in_((*UNDER_WAY, "done")),
    )
    for number, kind, payload in session.execute(asked):
        if number != but:
            answered |= {payload["return"]} if kind == "accept_return" else set(payload["returns"])
    rows = session.scalars(
        select(Return)
        .where(Return.order_id == order.id, Return.state.in_(UNANSWERED))
        .order_by(Return.id)
        .with_for_update()
    )
    return [row for row in rows if row.id not in answered]


def _rows(session: Session, command: outbox.Claimed) -> Sequence[Return]:
    mine = select(Return).where(Return.id.in_(command.payload["returns"])).order_by(Return.id)
    return session.scalars(mine.with_for_update()).all()


def _sku(session: Session, row: Return) -> str | None:
    piece = session.get_one(OrderPiece, row.piece_id)
    return session.get_one(OrderLine, piece.line_id).sku


def _write(session: Session, order: Order, rows: list[Return], reason: str, note: str) -> None:
    """One deed for each return; one that the marketplace refused before does not keep a new one from being tried."""
    mine = select(func.count(Command.id)).where(Command.order_id == order.id, Command.kind == KIND)
    outbox.write_for_order(
        session,
        order,
        order.connection_id,
        KIND,
        f"{KIND}:{rows[0].id}:{session.scalar(mine)}",
        {"returns": [row.id for row in rows], "reason": reason, "note": note.strip()[:LONGEST_NOTE]},
    )
