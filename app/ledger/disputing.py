"""A retailer's bank takes money back: the amount is held until the dispute is over, and the order's money stands still (invariant 17)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.ledger import shares
from app.ledger.answers import Money, Refunded, Source
from app.ledger.claims import changed
from app.ledger.posting import Book, Leg, find, lock_supplier, lock_trade, of_trade, post
from app.ledger.reading import money
from app.ledger.refunding import answer, earned_of, facts, give_all_back, take
from app.ledger.releasing import look_again
from app.messages import Reason
from app.models import LedgerTransaction, Trade
from app.rules import fees


def dispute(session: Session, trade: Trade, amount: int, *, key: str, by: Source) -> Refunded:
    """Hold `amount` from escrow, payable, receivable in this order, once per `key` (the dispute's id); the trade is frozen.

    More than captured - refunded - disputed is refused whole (Reason "ledger.dispute_exceeds"): nothing is held, but the trade is frozen all the
    same until `dispute_over`. Less than 1 minor unit is refused and freezes nothing.
    """
    lock_trade(session, trade)
    # A payout that is being made either sees the frozen trade or was there first.
    lock_supplier(session, trade.supplier_id, trade.currency)
    written = f"dispute:{trade.key}:{key}"
    if (posted := find(session, written)) is not None:
        return answer(posted)
    left = money(session, trade)
    trade.frozen = trade.frozen or amount > 0
    if not 1 <= amount <= left.refundable:
        params = {"amount": amount, "left": left.refundable, "currency": trade.currency}
        return Refunded(refused=Reason("ledger.dispute_exceeds", params))
    result, legs = take(session, trade, left, amount)
    legs.append(Leg(of_trade(trade, "dispute_hold"), -amount))
    post(session, Book(written, "dispute", by, trade.id, trade.supplier_id, facts=facts(result)), legs)
    session.flush()
    return result


def dispute_over(session: Session, trade: Trade, *, won: bool, key: str, by: Source) -> None:
    """The dispute `key` (the same key as in `dispute`) is over. Won: the money goes back to where it was; lost: the retailer has it.

    The trade thaws when no other dispute holds money: parcels that waited are looked at. A trade cancelled meanwhile gives back what this
    dispute set free, also while another one goes on. A repeat changes nothing; the end of a dispute that was refused, because more was asked
    for than was there, only thaws.
    """
    lock_trade(session, trade)
    opened = find(session, f"dispute:{trade.key}:{key}")
    left = money(session, trade)
    if opened is None:
        if trade.frozen and not left.disputed:
            trade.frozen = False
            _settle_debts(session, trade, f"thawed:{trade.key}:{key}", by)
            _thaw(session, trade, key, by)
        return
    written = f"dispute_over:{trade.key}:{key}"
    if find(session, written) is not None:
        return
    held = answer(opened)
    trade.frozen = left.disputed > held.amount
    if won:
        _won(session, trade, left, held, written, by)
    else:
        _lost(session, trade, opened, held, written, by)
    if not trade.frozen or trade.cancelled_at is not None:
        _thaw(session, trade, key, by)


def _won(session: Session, trade: Trade, left: Money, held: Refunded, key: str, by: Source) -> None:
    """Escrow gets its part back; the rest is earned again, with its fee."""
    earned, back = earned_of(left), held.amount - held.from_escrow
    fee = fees.change(earned, earned + back, trade.fee_bp, trade.fee_vat_bp)
    claims = changed(session, trade.supplier_id, trade.currency, {trade.id: back - fee.gross})
    legs = [
        Leg(of_trade(trade, "dispute_hold"), held.amount),
        Leg(of_trade(trade, "escrow"), -held.from_escrow),
        Leg(of_trade(trade, "fee"), -fee.fee),
        Leg(of_trade(trade, "fee_vat"), -fee.vat),
        *claims.legs,
    ]
    post(session, Book(key, "dispute_won", by, trade.id, trade.supplier_id, facts=facts(held)), legs)


def _lost(
    session: Session, trade: Trade, opened: LedgerTransaction, held: Refunded, key: str, by: Source
) -> None:
    """The bank keeps it: as good as a refund, with its VAT. What thaws pays open debts."""
    claims = changed(session, trade.supplier_id, trade.currency, {})
    legs = [
        Leg(of_trade(trade, "dispute_hold"), held.amount),
        Leg(of_trade(trade, "psp_clearing"), -held.amount),
        *claims.legs,
    ]
    told = {**facts(held), "dispute": opened.id}
    number = post(session, Book(key, "dispute_lost", by, trade.id, trade.supplier_id, facts=told), legs)
    shares.write(session, trade, number, held.amount, ())


def _settle_debts(session: Session, trade: Trade, key: str, by: Source) -> None:
    """What was frozen pays debts of other trades now."""
    claims = changed(session, trade.supplier_id, trade.currency, {})
    if claims.legs:
        post(session, Book(key, "net", by, trade.id, trade.supplier_id), claims.legs)


def _thaw(session: Session, trade: Trade, key: str, by: Source) -> None:
    session.flush()
    if trade.cancelled_at is not None:
        # A cancelled order ends with everything refunded that no other dispute holds (invariant 9).
        give_all_back(session, trade, f"cancel:{trade.key}:dispute:{key}", by)
    else:
        look_again(session, trade)
