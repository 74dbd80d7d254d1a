"""Which lines a refund belongs to and the VAT in it: the lines of a credit note (invariant 18).

What may go wrong: VAT that is rounded for each refund by itself does not add up to the VAT of the line. So it is always computed of everything
refunded on a line so far, and what is written is the difference to before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.ledger.answers import RefundLine
from app.models import RefundShare, Trade
from app.rules.split import Good, fill, largest_remainder, share_until, vat_in, vat_in_shipping

_WRITTEN = select(
    RefundShare.trade_id,
    RefundShare.line_id,
    func.sum(RefundShare.amount),
    func.sum(RefundShare.vat),
).group_by(RefundShare.trade_id, RefundShare.line_id)


class _Line(NamedTuple):
    """One line as refunds see it; `id` None = shipping."""

    id: int | None
    total: int
    vat_percent: str | None


def write(
    session: Session, trade: Trade, transaction_id: int, amount: int, asked: Sequence[RefundLine]
) -> None:
    """Spread a refund over the lines of the trade: first as it was asked for, the rest by what is left of each. The trade is locked."""
    lines = _lines(trade)
    before = _refunded(session, trade)
    room = {line.id: line.total - before.get(line.id, 0) for line in lines}
    parts = fill(amount, room, [(each.line_id, each.amount) for each in asked])
    units = {each.line_id: each.quantity for each in asked}
    goods = [Good(line.total, line.vat_percent) for line in lines if line.id is not None]
    for line in lines:
        if parts[line.id] or units.get(line.id):
            was = before.get(line.id, 0)
            vat = _vat(line, was + parts[line.id], goods) - _vat(line, was, goods)
            session.add(
                RefundShare(
                    transaction_id=transaction_id,
                    trade_id=trade.id,
                    line_id=line.id,
                    quantity=max(0, units.get(line.id, 0)),
                    amount=parts[line.id],
                    vat_percent=line.vat_percent,
                    vat=min(max(vat, 0), parts[line.id]),
                )
            )
    session.flush()


def written(session: Session) -> dict[int, dict[int | None, tuple[int, int]]]:
    """Trade -> line -> (gross, VAT) of all refunds, for the checks."""
    rows = session.execute(_WRITTEN)
    found: dict[int, dict[int | None, tuple[int, int]]] = {}
    for trade_id, line_id, amount, vat in rows:
        found.setdefault(trade_id, {})[line_id] = (int(amount), int(vat))
    return found


def vat_due(trade: Trade, gross: Mapping[int | None, int]) -> dict[int | None, int]:
    """Line -> the VAT in what was refunded on it."""
    lines = _lines(trade)
    goods = [Good(line.total, line.vat_percent) for line in lines if line.id is not None]
    return {line.id: _vat(line, gross[line.id], goods) for line in lines if line.id in gross}


def _lines(trade: Trade) -> list[_Line]:
    """The lines with what was captured for each, and shipping; together the trade's total."""
    rows = trade.lines
    totals = largest_remainder(trade.goods, [row.quantity * row.unit_price for row in rows] or [0])
    found = [_Line(row.id, total, row.vat_percent) for row, total in zip(rows, totals, strict=False)]
    percents = {line.vat_percent for line in found if line.total}
    shipping = trade.total - sum(line.total for line in found)
    return [*found, _Line(None, shipping, percents.pop() if len(percents) == 1 else None)]


def _refunded(session: Session, trade: Trade) -> dict[int | None, int]:
    rows = session.execute(
        select(RefundShare.line_id, func.sum(RefundShare.amount))
        .where(RefundShare.trade_id == trade.id)
        .group_by(RefundShare.line_id)
    )
    return {row[0]: int(row[1]) for row in rows}


def _vat(line: _Line, gross: int, goods: Sequence[Good]) -> int:
    """The VAT in what was refunded on a line so far; at the line's total it is the line's VAT."""
    if line.id is not None:
        return vat_in(gross, line.vat_percent)
    return share_until(vat_in_shipping(line.total, goods), gross, line.total)
