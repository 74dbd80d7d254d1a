"""Captures, and the provider's word about every instruction: where each answer is booked.

What may go wrong: the provider's word comes twice, late or not at all. Money is therefore in transit until the word is there, a repeated word
changes nothing, and a word that contradicts what is booked is never booked but becomes a case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import messages as m
from app.errors import Invalid, Refused
from app.ledger.answers import Source
from app.ledger.claims import changed
from app.ledger.orders import instruct, payment_by_key, payment_connection
from app.ledger.posting import (
    ACCOUNTS,
    ENTRIES,
    TRANSACTIONS,
    Book,
    Leg,
    lock_supplier,
    lock_trade,
    now,
    of_supplier,
    of_trade,
    post,
)
from app.ledger.refunding import give_all_back
from app.models import Connection, Payment, Trade
from app.rules.trade import OVER, after
from app.story import close_case, open_case


def charge(session: Session, trade: Trade) -> Payment:
    """Instruct the capture of `trade.total` from the retailer, once; the trade is `payment_pending` from now on.

    Answers the Payment (kind capture, key "capture:<trade.key>"). A trade that costs nothing is held at once, its payment done without a
    command. Raises Refused("ledger.trade_over") for a trade that was cancelled before.
    """
    lock_trade(session, trade)
    key = f"capture:{trade.key}"
    if (written := payment_by_key(session, key)) is not None:
        return written
    if trade.state in OVER or trade.cancelled_at is not None:
        raise Refused("ledger.trade_over", trade=trade.key)
    payment = Payment(
        key=key,
        connection_id=payment_connection(session).id,
        kind="capture",
        trade_id=trade.id,
        supplier_id=trade.supplier_id,
        amount=trade.total,
        currency=trade.currency,
    )
    if trade.total:
        trade.state = after(trade.state, "payment_pending")
        return instruct(session, payment)
    payment.state, payment.done_at = "done", now()
    trade.state = after(trade.state, "held")
    session.add(payment)
    session.flush()
    return payment


def settle(session: Session, payment: Payment, answer: m.PaymentAnswer) -> None:
    """Book the provider's word about one instruction; the same word again changes nothing.

    DONE: capture -> escrow is filled, the trade is `held`, and one that was cancelled meanwhile gives everything back; refund, payout, reverse ->
    out of transit. FAILED: capture -> trade `payment_failed`; payout and reverse -> booked back, with a case; a refund stays in transit, because
    the retailer's claim stays (see `again`), with a case. PENDING: `unknown`. A word that contradicts an earlier one is a case
    ("ledger.word_changed"). Raises Invalid("ledger.answer_differs") when the amount or currency done is not ours.
    """
    _lock(session, payment)
    if answer.state is m.PaymentState.PENDING:
        if payment.state in {"due", "unknown"}:
            payment.state, payment.external_id = "unknown", answer.external_id or payment.external_id
        return
    if payment.state == answer.state.value or (payment.state, answer.state) == (
        "withdrawn",
        m.PaymentState.FAILED,
    ):
        payment.external_id = payment.external_id or answer.external_id
        return
    if payment.state in {"done", "failed"}:
        _tell(session, payment, "ledger.word_changed", said=answer.state.value, before=payment.state)
        return
    if answer.state is m.PaymentState.DONE:
        _must_agree(payment, answer)
    _close(payment, answer)
    session.flush()
    by = Source(f"payment connection {payment.connection_id}", f"payment {payment.key}", _reason(answer))
    book = _DONE if answer.state is m.PaymentState.DONE else _FAILED
    book[payment.kind](session, payment, by)


def again(session: Session, payment: Payment, *, by: Source) -> Payment:
    """A new instruction in the place of a refund that failed; its money is still in transit. The same payment again answers the same one.

    `by` is told in the case's history only: nothing is booked. Raises Refused("ledger.not_failed") for anything else.
    """
    _lock(session, payment)
    if payment.kind != "refund" or payment.state != "failed":
        raise Refused("ledger.not_failed", payment=payment.key)
    key = f"{payment.key}:again"
    if (written := payment_by_key(session, key)) is not None:
        return written
    connection = session.get_one(Connection, payment.connection_id)
    close_case(session, account_id=connection.account_id, subject=f"payment/{payment.id}")
    return instruct(
        session,
        Payment(
            key=key,
            connection_id=payment.connection_id,
            kind="refund",
            trade_id=payment.trade_id,
            supplier_id=payment.supplier_id,
            amount=payment.amount,
            currency=payment.currency,
            of_id=payment.of_id,
            reason_params={"again": payment.id, "actor": by.actor, "event": by.event},
        ),
    )


# --- what is done -----------------------------------------------------------------------------------------------------------


def _captured(session: Session, payment: Payment, by: Source) -> None:
    trade = _trade(session, payment)
    post(
        session,
        Book(f"captured:{trade.key}", "capture", by, trade.id, trade.supplier_id, payment.id),
        [
            Leg(of_trade(trade, "psp_clearing"), payment.amount),
            Leg(of_trade(trade, "escrow"), -payment.amount),
        ],
    )
    if trade.cancelled_at is not None or trade.state in OVER:
        # Nobody wanted the money any more when it came (K9).
        give_all_back(session, trade, f"refund:{trade.key}:late", by)
    trade.state = after(trade.state, "held")


def _refunded(session: Session, payment: Payment, by: Source) -> None:
    trade = _trade(session, payment)
    post(
        session,
        Book(f"done:{payment.key}", "refund_done", by, trade.id, trade.supplier_id, payment.id),
        [
            Leg(of_trade(trade, "refund_in_transit"), payment.amount),
            Leg(of_trade(trade, "psp_clearing"), -payment.amount),
        ],
    )


def _paid_out(session: Session, payment: Payment, by: Source) -> None:
    _post_supplier(session, payment, "payout_done", by, "payout_in_transit", "psp_clearing")


def _recovered(session: Session, payment: Payment, by: Source) -> None:
    _post_supplier(session, payment, "recover_done", by, "psp_clearing", "recovery_in_transit")


def _post_supplier(
    session: Session, payment: Payment, kind: str, by: Source, debit: str, credit: str
) -> None:
    supplier_id = _supplier(payment)
    lock_supplier(session, supplier_id, payment.currency)
    post(
        session,
        Book(f"done:{payment.key}", kind, by, None, supplier_id, payment.id),
        [
            Leg(of_supplier(supplier_id, payment.currency, debit), payment.amount),
            Leg(of_supplier(supplier_id, payment.currency, credit), -payment.amount),
        ],
    )


# --- what failed ------------------------------------------------------------------------------------------------------------


def _capture_failed(session: Session, payment: Payment, _by: Source) -> None:
    trade = _trade(session, payment)
    trade.state = after(trade.state, "payment_failed")


def _refund_failed(session: Session, payment: Payment, _by: Source) -> None:
    _tell(session, payment, "ledger.refund_failed")


def _payout_failed(session: Session, payment: Payment, by: Source) -> None:
    _book_back(session, payment, "payout_failed", by, "payout_in_transit", sign=1)
    _tell(session, payment, "ledger.payout_failed")


def _recovery_failed(session: Session, payment: Payment, by: Source) -> None:
    _book_back(session, payment, "recover_failed", by, "recovery_in_transit", sign=-1)
    _tell(session, payment, "ledger.payout_failed")


def _book_back(session: Session, payment: Payment, kind: str, by: Source, transit: str, *, sign: int) -> None:
    """Every trade gets its claim (sign 1) or its debt (sign -1) back."""
    supplier_id = _supplier(payment)
    parts = {trade_id: sign * part for trade_id, part in _parts(session, payment).items()}
    claims = changed(session, supplier_id, payment.currency, parts)
    post(
        session,
        Book(f"failed:{payment.key}", kind, by, None, supplier_id, payment.id),
        [Leg(of_supplier(supplier_id, payment.currency, transit), sign * payment.amount), *claims.legs],
    )


def _parts(session: Session, payment: Payment) -> dict[int, int]:
    """Trade -> what of it was in a payout or a recovery."""
    rows = session.execute(
        select(ACCOUNTS.c.trade_id, ENTRIES.c.amount)
        .join_from(ENTRIES, ACCOUNTS, ACCOUNTS.c.id == ENTRIES.c.account_id)
        .join(TRANSACTIONS, TRANSACTIONS.c.id == ENTRIES.c.transaction_id)
        .where(TRANSACTIONS.c.key == payment.key, ACCOUNTS.c.trade_id.is_not(None))
    )
    return {row[0]: abs(int(row[1])) for row in rows}


_DONE: Mapping[str, Callable[[Session, Payment, Source], None]] = {
    "capture": _captured,
    "refund": _refunded,
    "payout": _paid_out,
    "reverse": _recovered,
}
_FAILED: Mapping[str, Callable[[Session, Payment, Source], None]] = {
    "capture": _capture_failed,
    "refund": _refund_failed,
    "payout": _payout_failed,
    "reverse": _recovery_failed,
}


# --- parts ------------------------------------------------------------------------------------------------------------------


def _lock(session: Session, payment: Payment) -> None:
    """The trade or the supplier first, then the payment."""
    if payment.trade_id is not None:
        lock_trade(session, _trade(session, payment))
    elif payment.supplier_id is not None:
        lock_supplier(session, payment.supplier_id, payment.currency)
    session.flush()
    session.refresh(payment, with_for_update={"key_share": True})


def _trade(session: Session, payment: Payment) -> Trade:
    return session.get_one(Trade, payment.trade_id)


def _supplier(payment: Payment) -> int:
    if payment.supplier_id is None:
        raise LookupError(f"payment {payment.key!r} is nobody's")
    return payment.supplier_id


def _must_agree(payment: Payment, answer: m.PaymentAnswer) -> None:
    if (payment.amount, payment.currency) != (answer.amount, answer.currency):
        raise Invalid(
            "ledger.answer_differs",
            field="amount",
            payment=payment.key,
            wanted=payment.amount,
            found=answer.amount,
            currency=answer.currency,
        )


def _close(payment: Payment, answer: m.PaymentAnswer) -> None:
    payment.state = answer.state.value
    payment.external_id = answer.external_id or payment.external_id
    payment.done_at = answer.at or now()
    if answer.reason is not None:
        payment.reason_code, payment.reason_params = answer.reason.code, dict(answer.reason.params)


def _reason(answer: m.PaymentAnswer) -> str:
    return f"payment.{answer.state.value}"


def _tell(session: Session, payment: Payment, code: str, **more: str) -> None:
    """A case for the operator: money stands somewhere where it should not stay."""
    connection = session.get_one(Connection, payment.connection_id)
    open_case(
        session,
        account_id=connection.account_id,
        subject=f"payment/{payment.id}",
        code=code,
        params={"payment": payment.key, "amount": payment.amount, "currency": payment.currency, **more},
        connection_id=connection.id,
    )
