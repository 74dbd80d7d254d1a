"""Instructions to the payment provider, and its word about them: captures, and where every answer of the provider is booked.

What may go wrong: the provider's word comes twice, late or not at all. Money is therefore in transit until the word is there, a repeated word
changes nothing, and a word that contradicts what is booked is never booked but becomes a case.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from app import messages as m
from app.ledger.answers import Source
from app.models import Connection, Payment, Trade


def payment_connection(session: Session) -> Connection:
    """The operator's payment connection; the account "operator" with a connection of the provider "manual" is made when there is none."""
    raise NotImplementedError


def charge(session: Session, trade: Trade) -> Payment:
    """Instruct the capture of `trade.total` from the retailer, once; the trade is `payment_pending` from now on.

    Answers the Payment (kind capture, key "capture:<trade.key>"). A trade that costs nothing is held at once, without an instruction.
    """
    raise NotImplementedError


def settle(session: Session, payment: Payment, answer: m.PaymentAnswer) -> None:
    """Book the provider's word about one instruction; the same word again changes nothing.

    DONE: capture -> escrow is filled, trade `held`, parcels that waited are looked at, and a trade cancelled meanwhile gives everything back;
    refund, payout, reverse -> out of transit. FAILED: capture -> trade `payment_failed`; payout and reverse -> booked back; a refund stays in
    transit, because the retailer's claim stays (see `again`), with a case. PENDING: `unknown`. Raises Invalid("ledger.answer_differs") when
    the amount or currency is not ours.
    """
    raise NotImplementedError


def again(session: Session, payment: Payment, *, by: Source) -> Payment:
    """A new instruction in the place of a refund that failed; its money is still in transit. The same payment again answers the same one.

    Raises Refused("ledger.not_failed") for anything else.
    """
    raise NotImplementedError
