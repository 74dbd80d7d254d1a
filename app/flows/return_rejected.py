"""The merchant rejects a return at its marketplace, with the reason that he gives: nothing is refunded then (C7).

What may go wrong: an answer gets lost, goods have not come back yet, a piece of the return was refunded before, or the marketplace decides
only about the whole of it. A repeat is harmless (RejectsReturns); what is refused is a case with the marketplace's words and may be tried anew.
Who refunds in the shop afterwards has changed his mind: that is sent to the marketplace like every refund.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select, tuple_
from sqlalchemy.orm import Session, aliased, defer

from app import messages as m
from app import outbox, overview
from app.delivery import Delivered
from app.errors import Refused
from app.models import Case, Command, Connection, Order, OrderLine, OrderPiece, Return
from app.registry import Capabilities, RejectsReturns, provider
from app.story import close_case, order_case, tell

KIND = "reject_return"
WAITING = (m.ReturnState.ANNOUNCED, m.ReturnState.ARRIVED, m.ReturnState.UNCLEAR)
LONGEST_NOTE = 500


def by_hand(
    session: Session,
    order: Order,
    reason: str,
    note: str = "",
    only: Collection[str] = (),
    *,
    every: bool = False,
    rows: Collection[int] = (),
) -> int:
    """Reject what has come back of an order and of what joined it later. Answers how many pieces; the caller commits.

    `only`: SKUs, ids of returns or of returned pieces there; `rows`: our own ids of returned pieces, which no SKU can be mistaken for. Without
    both there may be one return only, or `every` is said.
    Raises Refused and writes nothing: return.cannot_reject, return.reject_reason (with those the marketplace knows), return.none_waits,
    return.some_do_not_wait (with those that were named and do not), return.several (with their ids), return.refunded_before, return.only_whole, connection.removed.
    """
    connection = session.get_one(Connection, order.connection_id)
    sold_at = provider(connection.provider)
    can = sold_at.can(connection.settings)
    told = {"marketplace": sold_at.name, "order": order.external_id}
    if connection.state == "removed":
        raise Refused("connection.removed", connection=connection.name)
    if not can.return_rejections:
        raise Refused("return.cannot_reject", **told)
    if reason not in can.return_rejections:
        raise Refused(
            "return.reject_reason", reason=reason, available=", ".join(sorted(can.return_rejections))
        )
    waits = _waiting(session, _family(session, order), can)
    wanted = _chosen(session, [row for row in waits if not rows or row.id in rows], only)
    if not wanted:
        raise Refused("return.none_waits", **told)
    missing = [word for word in only if not _chosen(session, wanted, [word])]
    if missing or set(rows) - {row.id for row in wanted}:
        raise Refused("return.some_do_not_wait", **told, missing=", ".join(missing))
    returns = _by_return(wanted)
    if len(returns) > 1 and not (only or rows or every):
        raise Refused("return.several", **told, available=", ".join(sorted(returns)))
    if _refunded(session, wanted):
        raise Refused("return.refunded_before", **told)
    if can.returns_whole and not all(_is_whole(session, each) for each in returns.values()):
        raise Refused("return.only_whole", **told)
    for each in returns.values():
        _write(session, each, reason, note)
    return len(wanted)


def deliver(
    session: Session, command: outbox.Claimed, marketplace: Connection, client: RejectsReturns
) -> Delivered:
    """Tell the marketplace. Pieces that were refunded in the shop meanwhile are left alone, unless an earlier try may have rejected them: then
    it is made sure that they are, and the refund is told by its amount (order_returned.deliver_accept).
    """
    rows = _locked(session, command)
    sure = [row for row in rows if row.state in WAITING]
    if not command.in_doubt:
        sure = [row for row in sure if not _refunded(session, [row])]
    can: Capabilities = provider(marketplace.provider).can(marketplace.settings)
    if can.returns_whole and sure and not _is_whole(session, sure):
        return _not_whole(session, marketplace, sure)
    ids = [row.external_id for row in sure]
    session.commit()
    if not ids:
        return Delivered({"skipped": "answered meanwhile"})
    payload = command.payload
    theirs = can.return_rejections.get(payload["reason"], payload["reason"])
    answers = {each.external_id: each for each in client.reject_return(ids, theirs, payload["note"])}
    return _answered(session, command, answers)


def _not_whole(session: Session, marketplace: Connection, rows: Sequence[Return]) -> Delivered:
    why = m.Reason("return.only_whole", {"marketplace": provider(marketplace.provider).name})
    for row in rows:
        order_case(session, session.get_one(Order, row.order_id), why.code, part=_part(row), **why.params)
    return Delivered(refused=why)


# --- what waits for a decision -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """One return that the merchant may reject: its pieces, what the marketplace knows of it, and why his last try was refused there."""

    order: Order
    number: str
    arrived: bool
    pieces: tuple[tuple[Return, OrderPiece, OrderLine], ...]
    can: Capabilities
    problem: Case | None


def waiting(session: Session, shop: Connection, limit: int) -> list[Waiting]:
    """Returns that somebody in this shop can reject now: first what has arrived, the longest waiting first, then what is on its way, the newest
    first. Those that the shop has refunded, or whose rejection is under way, are none, nor is a return that has to be rejected as a whole and
    is not whole any more.
    """
    places = _places(session, shop.account_id)
    if not places:
        return []
    open_ones = _can_be_rejected(shop, places)
    numbers = _numbers(session, open_ones, places, limit)
    query = (
        select(Return, Order, OrderPiece, OrderLine)
        .join(Order, Order.id == Return.order_id)
        .join(OrderPiece, OrderPiece.id == Return.piece_id)
        .join(OrderLine, OrderLine.id == OrderPiece.line_id)
        .where(*open_ones, tuple_(Return.connection_id, Return.return_external_id).in_(numbers))
        .options(defer(Order.buyer))
        .order_by(Return.id)
    )
    found: dict[tuple[int, str], list[tuple[Return, Order, OrderPiece, OrderLine]]] = {
        each: [] for each in numbers
    }
    for row, order, piece, line in session.execute(query):
        found[row.connection_id, row.return_external_id].append((row, order, piece, line))
    problems = _problems(session, shop, [each[0] for parts in found.values() for each in parts])
    return [_as_waiting(parts, places[place], problems) for (place, _), parts in found.items() if parts]


def _can_be_rejected(shop: Connection, places: Mapping[int, Capabilities]) -> list[ColumnElement[bool]]:
    """Conditions over Return and its Order."""
    here = or_(
        *(and_(Return.connection_id == each, Return.state.in_(_here(can))) for each, can in places.items())
    )
    accepted = exists().where(
        Command.connection_id == Return.connection_id, Command.key == func.concat("accept_return:", Return.id)
    )
    asked = exists().where(
        Command.connection_id == Return.connection_id,
        Command.kind == KIND,
        Command.state.in_(("due", "leased")),
        Command.payload["returns"].op("@>")(func.to_jsonb(Return.id)),
    )
    return [here, ~accepted, ~asked, overview.decided_in(shop)]


def _numbers(
    session: Session, open_ones: Sequence[ColumnElement[bool]], places: Mapping[int, Capabilities], limit: int
) -> list[tuple[int, str]]:
    """Connection and number of each return in question, in the order in which they are shown."""
    other = aliased(Return)
    pieces = (
        select(func.count())
        .where(
            other.connection_id == Return.connection_id, other.return_external_id == Return.return_external_id
        )
        .correlate(Return)
        .scalar_subquery()
    )
    part_by_part = [each for each, can in places.items() if not can.returns_whole]
    first, arrived = func.min(Return.id), func.bool_and(Return.state == m.ReturnState.ARRIVED)
    query = (
        select(Return.connection_id, Return.return_external_id)
        .join(Order, Order.id == Return.order_id)
        .where(*open_ones)
        .group_by(Return.connection_id, Return.return_external_id)
        .having(or_(Return.connection_id.in_(part_by_part), func.count() == pieces))
        .order_by(arrived.desc(), case((arrived, first), else_=-first))
        .limit(limit)
    )
    return [(row.connection_id, row.return_external_id) for row in session.execute(query)]


def _problems(session: Session, shop: Connection, rows: Iterable[Return]) -> dict[str, Case]:
    """Open cases of rejections that the marketplace refused, by subject."""
    subjects = {f"order/{row.order_id}/{_part(row)}" for row in rows}
    query = select(Case).where(
        Case.account_id == shop.account_id, Case.subject.in_(subjects), Case.state == "open"
    )
    return {found.subject: found for found in session.scalars(query.order_by(Case.id))}


def _places(session: Session, account_id: int) -> dict[int, Capabilities]:
    """The marketplaces of an account at which returns can be rejected."""
    theirs = select(Connection).where(
        Connection.account_id == account_id, Connection.role == "marketplace", Connection.state != "removed"
    )
    found = {each.id: provider(each.provider).can(each.settings) for each in session.scalars(theirs)}
    return {number: can for number, can in found.items() if can.return_rejections}


def _as_waiting(
    parts: Sequence[tuple[Return, Order, OrderPiece, OrderLine]],
    can: Capabilities,
    problems: Mapping[str, Case],
) -> Waiting:
    first, order, _, _ = parts[0]
    arrived = all(row.state == m.ReturnState.ARRIVED for row, *_ in parts)
    subjects = (f"order/{row.order_id}/{_part(row)}" for row, *_ in parts)
    problem = next((problems[each] for each in subjects if each in problems), None)
    pieces = tuple((row, piece, line) for row, _, piece, line in parts)
    return Waiting(order, first.return_external_id, arrived, pieces, can, problem)


# --- which -------------------------------------------------------------------------------------------------------------------


def _family(session: Session, order: Order) -> list[int]:
    """The order and those that its later pieces are in, locked as a look locks them."""
    root = order.parent_id or order.id
    mine = select(Order.id).where(or_(Order.id == root, Order.parent_id == root)).order_by(Order.id)
    return list(session.scalars(mine.with_for_update()))


def _waiting(session: Session, orders: Sequence[int], can: Capabilities) -> list[Return]:
    """What has come back. Where only the seller says that it has, his rejection says so."""
    mine = select(Return).where(Return.order_id.in_(orders), Return.state.in_(_here(can))).order_by(Return.id)
    asked = _under_way(session, orders)
    return [row for row in session.scalars(mine.with_for_update()) if row.id not in asked]


def _here(can: Capabilities) -> list[m.ReturnState]:
    return [m.ReturnState.ARRIVED] + ([] if can.tells_arrival else [m.ReturnState.ANNOUNCED])


def _under_way(session: Session, orders: Collection[int]) -> set[int]:
    """Returned pieces whose rejection is on its way to the marketplace."""
    mine = select(Command.payload).where(
        Command.order_id.in_(orders), Command.kind == KIND, Command.state.in_(("due", "leased"))
    )
    return {number for payload in session.scalars(mine) for number in payload["returns"]}


def _chosen(session: Session, rows: list[Return], only: Collection[str]) -> list[Return]:
    if not only:
        return rows
    return [row for row in rows if {row.external_id, row.return_external_id, _sku(session, row)} & set(only)]


def _sku(session: Session, row: Return) -> str | None:
    piece = session.get_one(OrderPiece, row.piece_id)
    return session.get_one(OrderLine, piece.line_id).sku


def _by_return(rows: Sequence[Return]) -> dict[str, list[Return]]:
    found: dict[str, list[Return]] = {}
    for row in rows:
        found.setdefault(row.return_external_id, []).append(row)
    return found


def _refunded(session: Session, rows: Sequence[Return]) -> bool:
    """Whether the shop has refunded any of them: the marketplace was, or is to be, told to accept it, whatever came of that."""
    keys = [f"accept_return:{row.id}" for row in rows]
    connection = rows[0].connection_id
    mine = select(Command.id).where(Command.connection_id == connection, Command.key.in_(keys))
    return session.scalar(mine.limit(1)) is not None


def _is_whole(session: Session, rows: Sequence[Return]) -> bool:
    """Every piece of the return is meant, in whichever order of the family and whatever became of it."""
    first = rows[0]
    mine = select(Return.id).where(
        Return.connection_id == first.connection_id, Return.return_external_id == first.return_external_id
    )
    return set(session.scalars(mine)) == {row.id for row in rows}


# --- the deed ----------------------------------------------------------------------------------------------------------------


def _write(session: Session, rows: list[Return], reason: str, note: str) -> None:
    """One deed for each return; one that was refused or could not be done before is taken up again with what is said now."""
    order = session.get_one(Order, rows[0].order_id)
    key = f"{KIND}:{rows[0].id}"
    payload: dict[str, Any] = {
        "returns": [row.id for row in rows],
        "reason": reason,
        "note": note.strip()[:LONGEST_NOTE],
    }
    place = order.connection_id
    if outbox.write_for_order(session, order, place, KIND, key, payload) is None:
        outbox.take_up(session, order, place, key, payload, ("refused", "dead", "done"))


def _locked(session: Session, command: outbox.Claimed) -> list[Return]:
    """The returned pieces that the deed is about, with their orders, in the order in which a look locks them."""
    mine = Return.id.in_(command.payload["returns"])
    orders = select(Order.id).where(Order.id.in_(select(Return.order_id).where(mine))).order_by(Order.id)
    session.execute(orders.with_for_update())
    return list(session.scalars(select(Return).where(mine).order_by(Return.id).with_for_update()))


def _answered(session: Session, command: outbox.Claimed, answers: dict[str, m.PieceAnswer]) -> Delivered:
    problem = None
    for row in _locked(session, command):
        answer = answers.get(row.external_id)
        if answer is None:
            continue
        order = session.get_one(Order, row.order_id)
        if not answer.ok:
            problem = answer.reason or m.Reason("partner.refused", {"operation": KIND})
            order_case(session, order, problem.code, part=_part(row), **problem.params)
            continue
        close_case(session, account_id=order.account_id, subject=f"order/{order.id}/{_part(row)}")
        if row.state in WAITING:
            row.state = m.ReturnState.REJECTED
            _tell(session, command, order, row)
    return Delivered({"rejected": sum(each.ok for each in answers.values())}, problem)


def _part(row: Return) -> str:
    """Beside the cases of accepting it (order_returned), which a rejection does not settle."""
    return f"return/{row.external_id}/reject"


def _tell(session: Session, command: outbox.Claimed, order: Order, row: Return) -> None:
    """Whoever looks at the order in the shop reads it too; a look that shows the rejection writes the same note, once."""
    piece = session.get_one(OrderPiece, row.piece_id)
    why = command.payload["note"] or None
    tell(session, order, "return.rejected", command_id=command.id, piece=piece.external_id, message=why)
    if order.shop_id is not None:
        payload = {"code": "return.rejected", "return": row.id}
        key = f"note:return:{row.id}:{m.ReturnState.REJECTED}"
        outbox.write_for_order(session, order, order.shop_id, "order.note", key, payload)
