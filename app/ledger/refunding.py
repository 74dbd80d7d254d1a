"""The retailer's money goes back: escrow first, then the supplier's payable, then the supplier owes it (K8, K9; reliability 4.2).

What may go wrong: the supplier has been paid already. The retailer gets his money all the same; the debt is netted against later releases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.ledger import shares
from app.ledger.answers import Money, Refunded, RefundLine, Source
from app.ledger.claims import changed
from app.ledger.orders import instruct, payment_by_key, withdraw
from app.ledger.posting import Book, Leg, find, lock_trade, now, of_trade, post
from app.ledger.reading import money
from app.messages import Reason
from app.models import LedgerTransaction, Payment, Trade, TradeParcel
from app.rules import fees
from app.rules.trade import after


def refund(
    session: Session,
    trade: Trade,
    amount: int,
    *,
    key: str,
    by: Source,
    lines: Sequence[RefundLine] = (),
) -> Refunded:
    """Give the retailer exactly `amount` minor units back, once per `key` (unique within the trade; K8).

    More than captured - refunded - disputed is refused whole (Reason "ledger.refund_exceeds"), as is less than 1 minor unit
    ("ledger.refund_empty"); a refusal is not remembered, so the same key may succeed later. `lines` say which lines the money belongs to (VAT,
    credit note); what they leave open falls on the rest proportionally. Writes the instruction "refund:<trade.key>:<key>".
    """
    lock_trade(session, trade)
    written = f"refund:{trade.key}:{key}"
    if (posted := find(session, written)) is not None:
        return answer(posted)
    if amount < 1:
        return Refunded(refused=Reason("ledger.refund_empty", {"amount": amount}))
    left = money(session, trade)
    if amount > left.refundable:
        params = {"amount": amount, "left": left.refundable, "currency": trade.currency}
        return Refunded(refused=Reason("ledger.refund_exceeds", params))
    return give_back(session, trade, left, amount, written, by, lines)


def cancel(session: Session, trade: Trade, *, key: str, by: Source) -> Refunded:
    """Give back everything that is left of what was captured, and let no parcel of this trade release money any more (K9).

    Before the capture: an instruction that was not sent is withdrawn; one that may have been sent gives everything back when its money comes.
    The trade becomes `cancelled` (a `rejected` one stays so). Nothing left = Refunded() with amount 0.
    """
    lock_trade(session, trade)
    written = f"cancel:{trade.key}:{key}"
    if (posted := find(session, written)) is not None:
        return answer(posted)
    end(session, trade)
    if (capture := payment_by_key(session, f"capture:{trade.key}")) is not None and capture.state == "due":
        withdraw(session, capture)
    return give_all_back(session, trade, written, by)


def end(session: Session, trade: Trade) -> None:
    """The trade is over: nothing of it is released any more (invariant 9)."""
    trade.state = after(trade.state, "cancelled")
    trade.cancelled_at = trade.cancelled_at or now()
    session.execute(
        update(TradeParcel)
        .where(TradeParcel.trade_id == trade.id, TradeParcel.state == "waiting")
        .values(state="refused", reason_code="ledger.trade_over", due_at=None)
    )


def give_all_back(session: Session, trade: Trade, key: str, by: Source) -> Refunded:
    """Refund what is left; nothing is posted when nothing is. The trade is locked."""
    left = money(session, trade)
    if left.refundable == 0:
        return Refunded()
    return give_back(session, trade, left, left.refundable, key, by)


def give_back(
    session: Session,
    trade: Trade,
    left: Money,
    amount: int,
    key: str,
    by: Source,
    lines: Sequence[RefundLine] = (),
) -> Refunded:
    """Post a refund and write its instruction. The trade is locked and `amount` is left."""
    result, legs = take(session, trade, left, amount)
    payment = _instruct_refund(session, trade, amount, key)
    legs.append(Leg(of_trade(trade, "refund_in_transit"), -amount))
    number = post(
        session,
        Book(key, "refund", by, trade.id, trade.supplier_id, payment.id, facts=facts(result)),
        legs,
    )
    shares.write(session, trade, number, amount, lines)
    return result


def take(session: Session, trade: Trade, left: Money, amount: int) -> tuple[Refunded, list[Leg]]:
    """Where an amount comes from, and the debits for it: escrow as far as it reaches, then what was earned, with its fee."""
    from_escrow = min(amount, left.escrow)
    legs = [Leg(of_trade(trade, "escrow"), from_escrow)]
    released = amount - from_escrow
    if not released:
        return Refunded(from_escrow=from_escrow), legs
    earned = earned_of(left)
    fee = fees.change(earned, earned - released, trade.fee_bp, trade.fee_vat_bp)
    owed_before = left.receivable
    claims = changed(session, trade.supplier_id, trade.currency, {trade.id: -(released + fee.fee + fee.vat)})
    owed = claims.receivable.get(trade.id, 0) - owed_before
    net = released + fee.fee + fee.vat
    legs += [Leg(of_trade(trade, "fee"), -fee.fee), Leg(of_trade(trade, "fee_vat"), -fee.vat), *claims.legs]
    return Refunded(from_escrow, net - owed, owed, -fee.fee, -fee.vat), legs


def earned_of(left: Money) -> int:
    """What the supplier was released with this trade, gross, and did not have to give back: the basis of the fee."""
    return left.captured - left.refunded - left.disputed - left.escrow


def facts(result: Refunded) -> dict[str, int]:
    """A result as it is kept with its transaction."""
    kept = asdict(replace(result, refused=None))
    del kept["refused"]
    return kept


def answer(posted: LedgerTransaction) -> Refunded:
    """What the first call with this key answered."""
    return Refunded(**posted.facts)


def _instruct_refund(session: Session, trade: Trade, amount: int, key: str) -> Payment:
    """The provider pays it back out of the capture."""
    capture = session.scalars(select(Payment).where(Payment.key == f"capture:{trade.key}")).one()
    return instruct(
        session,
        Payment(
            key=key,
            connection_id=capture.connection_id,
            kind="refund",
            trade_id=trade.id,
            supplier_id=trade.supplier_id,
            amount=amount,
            currency=trade.currency,
            of_id=capture.id,
        ),
    )
