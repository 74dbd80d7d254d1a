"""A merchant's money over a period and the data of a credit note, read from the ledger's entries.

What may go wrong: a statement that does not add up. Its closing balance is read for itself, and when the lines do not lead to it, none is given
out: that is a defect, and a merchant must never see a wrong one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from app.errors import Invalid
from app.models import (
    Account,
    LedgerAccount,
    LedgerEntry,
    LedgerTransaction,
    Order,
    Profile,
    RefundShare,
    Trade,
    TradeLine,
)
from app.papers.statement import Line, Role, Statement

# Whose accounts make up the balance, credits positive: what a supplier has to get; what is kept for a retailer.
BALANCE: Final[Mapping[str, tuple[str, ...]]] = {
    "supplier": ("payable", "receivable"),
    "retailer": ("escrow", "dispute_hold", "refund_in_transit"),
}
# The other side of a movement that the merchant has seen already.
SILENT: Final = {
    "supplier": ("capture", "refund_done", "payout_done", "recover_done"),
    "retailer": (
        "payout",
        "payout_done",
        "payout_failed",
        "recover",
        "recover_done",
        "recover_failed",
        "net",
    ),
}
NOTES: Final = ("refund", "dispute_lost")
AT_ONCE: Final = 1000


def statement(
    session: Session, account: Account, role: Role, start: datetime, end: datetime, currency: str = "EUR"
) -> Statement:
    """Everything that moved the merchant's money from `start` up to before `end` (aware), in one role and currency.

    Raises Invalid("field.invalid") for a period that ends before it begins, RuntimeError when the lines do not lead to the closing balance.
    """
    if start.tzinfo is None or end.tzinfo is None or start > end:
        raise Invalid(
            "field.invalid", field="period", expected="a beginning before its end, both with a zone"
        )
    opening = _balance(session, account, role, currency, start)
    lines = tuple(_lines(session, account, role, currency, start, end, opening))
    closing = _balance(session, account, role, currency, end)
    reached = lines[-1].balance if lines else opening
    if reached != closing:
        raise RuntimeError(
            f"the statement of account {account.id} leads to {reached}, the ledger says {closing}"
        )
    name, address = _who(session, account)
    return Statement(
        name, address, role, currency, start.astimezone(UTC), end.astimezone(UTC), opening, lines, closing
    )


def _who(session: Session, account: Account) -> tuple[str, tuple[str, ...]]:
    profile = session.get(Profile, account.id)
    told = dict(profile.address) if profile is not None else {}
    town = " ".join(part for part in (told.get("postcode"), told.get("city")) if part)
    person = " ".join(part for part in (told.get("first_name"), told.get("last_name")) if part)
    parts = [person, told.get("address_1"), told.get("address_2"), town, told.get("country")]
    if profile is not None and profile.vat_id:
        parts.append(profile.vat_id)
    return str(told.get("company") or account.name), tuple(str(part) for part in parts if part)


def _mine(account: Account, role: Role, currency: str) -> list[ColumnElement[bool]]:
    return [
        LedgerAccount.owner_id == account.id,
        LedgerAccount.kind.in_(BALANCE[role]),
        LedgerAccount.currency == currency,
    ]


def _balance(session: Session, account: Account, role: Role, currency: str, before: datetime) -> int:
    query = (
        select(func.coalesce(func.sum(LedgerEntry.amount), 0))
        .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .where(*_mine(account, role, currency), LedgerTransaction.at < before)
    )
    return -int(session.execute(query).scalar_one())


def _lines(
    session: Session,
    account: Account,
    role: Role,
    currency: str,
    start: datetime,
    end: datetime,
    opening: int,
) -> list[Line]:
    balance, lines = opening, []
    moves = _transactions(session, account, role, start, end)
    entries = _entries(session, [moved.id for moved, _, _ in moves], currency)
    for moved, trade, number in moves:
        sums, effect = _sums(entries.get(moved.id, ()), account, role)
        if not sums or (not effect and moved.kind in SILENT[role]):
            continue
        balance += effect
        lines.append(
            Line(
                at=moved.at.astimezone(UTC),
                kind=moved.kind,
                order=number or "",
                reference=trade.key if trade is not None else moved.key,
                gross=_gross(moved.kind, sums, effect),
                fee=-sums.get("fee", 0),
                fee_vat=-sums.get("fee_vat", 0),
                amount=effect,
                balance=balance,
            )
        )
    return lines


def _transactions(
    session: Session, account: Account, role: Role, start: datetime, end: datetime
) -> Sequence[tuple[LedgerTransaction, Trade | None, str | None]]:
    """With the merchant's own number of the order: a supplier knows his child order, a retailer his own."""
    theirs = Trade.order_id if role == "supplier" else Trade.retail_order_id
    whose = LedgerTransaction.supplier_id if role == "supplier" else Trade.retailer_id
    query = (
        select(
            LedgerTransaction,
            Trade,
            func.coalesce(Order.shop_number, Order.shop_order_id, Order.external_id),
        )
        .outerjoin(Trade, Trade.id == LedgerTransaction.trade_id)
        .outerjoin(Order, Order.id == theirs)
        .where(whose == account.id, LedgerTransaction.at >= start, LedgerTransaction.at < end)
        .order_by(LedgerTransaction.at, LedgerTransaction.id)
    )
    return [(row[0], row[1], row[2]) for row in session.execute(query)]


def _entries(
    session: Session, transactions: Sequence[int], currency: str
) -> dict[int, list[tuple[str, int | None, int]]]:
    """(kind of account, whose, sum) of the entries of many transactions, a thousand at a time."""
    found: dict[int, list[tuple[str, int | None, int]]] = {}
    for begin in range(0, len(transactions), AT_ONCE):
        query = (
            select(
                LedgerEntry.transaction_id,
                LedgerAccount.kind,
                LedgerAccount.owner_id,
                func.sum(LedgerEntry.amount),
            )
            .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
            .where(LedgerEntry.transaction_id.in_(transactions[begin : begin + AT_ONCE]))
            .where(LedgerEntry.currency == currency)
            .group_by(LedgerEntry.transaction_id, LedgerAccount.kind, LedgerAccount.owner_id)
        )
        for number, kind, owner, amount in session.execute(query):
            found.setdefault(number, []).append((kind, owner, int(amount)))
    return found


def _sums(
    entries: Sequence[tuple[str, int | None, int]], account: Account, role: Role
) -> tuple[dict[str, int], int]:
    """(sum of the entries by kind of account, effect on the merchant's balance) of one transaction."""
    sums: dict[str, int] = {}
    effect = 0
    for kind, owner, amount in entries:
        sums[kind] = sums.get(kind, 0) + amount
        if owner == account.id and kind in BALANCE[role]:
            effect -= amount
    return sums, effect


def _gross(kind: str, sums: Mapping[str, int], effect: int) -> int:
    """What the retailer paid (above zero) or got back (below zero) in this movement; of others, what they move."""
    if kind == "capture":
        return -sums.get("escrow", 0)
    if kind == "release":
        return sums.get("escrow", 0)
    if kind == "refund":
        return sums.get("refund_in_transit", 0)
    if kind in {"dispute", "dispute_won"}:
        return sums.get("dispute_hold", 0)
    return effect


# --- credit notes ------------------------------------------------------------------------------------------------------------


def credit_note(session: Session, transaction_id: int) -> dict[str, Any]:
    """The data of the credit note that the supplier owes the retailer for one refund; amounts in minor units (invariant 18).

    The bridge writes no invoices: whoever does (the supplier's own system) finds here what belongs on it. Raises Invalid("field.invalid") for a
    transaction that gave nothing back, RuntimeError when the lines do not add up to the refund.
    """
    moved = session.get(LedgerTransaction, transaction_id)
    if moved is None or moved.kind not in NOTES or moved.trade_id is None:
        raise Invalid("field.invalid", field="refund", expected="the number of a refund")
    trade = session.get_one(Trade, moved.trade_id)
    lines = [_note_line(share, line) for share, line in _shares(session, moved.id)]
    total = _given_back(session, moved)
    if sum(line["gross"] for line in lines) != total:
        raise RuntimeError(f"the lines of refund {moved.id} do not add up to {total}")
    return {
        "number": f"GS-{moved.id}",
        "refund": moved.key,
        "reason": moved.reason,
        "date": moved.at.astimezone(UTC).date().isoformat(),
        "currency": trade.currency,
        "trade": trade.key,
        "supplier": _party(session, trade.supplier_id, trade.order_id),
        "retailer": _party(session, trade.retailer_id, trade.retail_order_id),
        "lines": lines,
        "vat": _by_percent(lines),
        "net": sum(line["net"] for line in lines),
        "vat_total": sum(line["vat"] for line in lines),
        "gross": total,
    }


def refunds(session: Session, trade: Trade) -> list[int]:
    """The transactions of one trade that a credit note belongs to, oldest first."""
    query = select(LedgerTransaction.id).where(
        LedgerTransaction.trade_id == trade.id, LedgerTransaction.kind.in_(NOTES)
    )
    return list(session.scalars(query.order_by(LedgerTransaction.id)))


def _shares(session: Session, transaction_id: int) -> Sequence[tuple[RefundShare, TradeLine | None]]:
    query = (
        select(RefundShare, TradeLine)
        .outerjoin(TradeLine, TradeLine.id == RefundShare.line_id)
        .where(RefundShare.transaction_id == transaction_id)
        .order_by(RefundShare.id)
    )
    return [(row[0], row[1]) for row in session.execute(query)]


def _note_line(share: RefundShare, line: TradeLine | None) -> dict[str, Any]:
    """`line` None is shipping. `quantity` 0: money back without goods back, a reduction of the price."""
    return {
        "title": line.title if line is not None else None,
        "sku": line.sku if line is not None else None,
        "gtin": line.gtin if line is not None else None,
        "shipping": line is None,
        "quantity": share.quantity,
        "gross": share.amount,
        "vat_percent": share.vat_percent,
        "vat": share.vat,
        "net": share.amount - share.vat,
    }


def _by_percent(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row for each rate, as a credit note shows them; lines whose rate nobody knows come last."""
    found: dict[str | None, dict[str, Any]] = {}
    for line in lines:
        row = found.setdefault(
            line["vat_percent"], {"percent": line["vat_percent"], "net": 0, "vat": 0, "gross": 0}
        )
        for name in ("net", "vat", "gross"):
            row[name] += line[name]
    return sorted(found.values(), key=lambda row: (row["percent"] is None, Decimal(row["percent"] or 0)))


def _given_back(session: Session, moved: LedgerTransaction) -> int:
    """What the retailer got in this transaction, read from its entries: out in transit, or by his bank."""
    kind, sign = ("refund_in_transit", -1) if moved.kind == "refund" else ("dispute_hold", 1)
    query = (
        select(func.coalesce(func.sum(LedgerEntry.amount), 0))
        .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
        .where(LedgerEntry.transaction_id == moved.id, LedgerAccount.kind == kind)
    )
    return sign * int(session.execute(query).scalar_one())


def _party(session: Session, account_id: int, order_id: int | None) -> dict[str, Any]:
    account = session.get_one(Account, account_id)
    profile = session.get(Profile, account_id)
    order = session.get(Order, order_id) if order_id is not None else None
    name, _ = _who(session, account)
    return {
        "name": name,
        "vat_id": profile.vat_id if profile is not None else None,
        "address": dict(profile.address) if profile is not None else {},
        "order": (order.shop_number or order.shop_order_id or order.external_id) if order else None,
    }
