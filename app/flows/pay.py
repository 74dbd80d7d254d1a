"""Instructions to the payment provider: delivered once, asked about until their word is final, and what the provider tells by itself.

What may go wrong: an answer gets lost after the money has moved. The instruction is therefore marked as sent before the call, in a commit of
its own; whoever finds it so asks the provider by our key before anything is repeated (K8, reliability 4.1). Money is booked only by what the
provider answers to us, never by what a webhook says.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from app import ledger, outbox, plan
from app import messages as m
from app.delivery import Delivered
from app.errors import Invalid, Refused, ShopbridgeError, Unavailable, Unknown
from app.models import Connection, LedgerAccount, Payment, Profile, Trade
from app.outbox import Claimed
from app.registry import PaymentClient, provider, providers
from app.story import open_case

OPEN = ("due", "unknown")
PAYOUT_HOUR = 3  # UTC; from then on the payouts of the day are made

log = structlog.get_logger(__name__)


# --- one instruction ---------------------------------------------------------------------------------------------------------


def deliver(session: Session, command: Claimed, connection: Connection, client: PaymentClient) -> Delivered:
    """Send one instruction and book the answer; PENDING leaves it open, and `ask_open` or a webhook goes on.

    Raises what the client raises; only Unknown leaves the payment marked as sent.
    """
    payment = _payment(session, command)
    if payment.state not in OPEN:
        return Delivered({"state": payment.state})
    wanted = _wanted(session, connection, payment)
    key, kind, written_at = payment.key, payment.kind, payment.created_at
    if not _mark_sent(session, payment.id):
        return Delivered({"state": "withdrawn"})
    answer = None
    if command.in_doubt:
        answer = client.find(key, kind=kind, payment=wanted, since=written_at)
    if answer is None:
        answer = _send(session, command, client, key, wanted)
    return _book(session, command, connection, answer)


def _mark_sent(session: Session, payment_id: int) -> bool:
    """Committed before the call: from now on nobody may withdraw it as never sent. False when somebody just has."""
    marked = session.execute(
        update(Payment)
        .where(Payment.id == payment_id, Payment.state.in_(OPEN))
        .values(state="unknown")
        .returning(Payment.id)
    ).scalar()
    session.commit()
    return marked is not None


def _send(
    session: Session, command: Claimed, client: PaymentClient, key: str, wanted: m.PaymentWanted
) -> m.PaymentAnswer:
    """The call. An error that says that nothing happened takes the mark back, so that it can still be withdrawn."""
    kind = str(session.scalar(select(Payment.kind).where(Payment.key == key)))
    session.commit()  # nothing is held while the provider thinks
    try:
        answer: m.PaymentAnswer = getattr(client, kind)(key, wanted)
    except Unknown:
        raise
    except Invalid as error:
        # It was taken; only what came back cannot be read.
        raise Unknown("outcome.unknown", operation=kind, why=error.code) from error
    except ShopbridgeError:
        session.rollback()
        if not command.in_doubt:
            _mark_unsent(session, key)
        raise
    return answer


def _mark_unsent(session: Session, key: str) -> None:
    never_answered = (Payment.key == key, Payment.state == "unknown", Payment.external_id.is_(None))
    session.execute(update(Payment).where(*never_answered).values(state="due"))
    session.commit()


def _book(session: Session, command: Claimed, connection: Connection, answer: m.PaymentAnswer) -> Delivered:
    """The provider's word in the ledger, in the transaction that ends the command. Another amount than ours is never booked."""
    payment = _payment(session, command)
    if (answer.kind, answer.amount, answer.currency) != (payment.kind, payment.amount, payment.currency):
        reason = m.Reason(
            "payment.amount_differs",
            {
                "key": payment.key,
                "ours": f"{payment.kind} {payment.amount} {payment.currency}",
                "theirs": f"{answer.kind} {answer.amount} {answer.currency}",
            },
        )
        open_case(
            session,
            account_id=connection.account_id,
            connection_id=connection.id,
            subject=outbox.case_subject(command.id, None),
            code=reason.code,
            params=reason.params,
        )
        return Delivered(refused=reason, in_doubt=True)
    ledger.settle(session, payment, answer)
    return Delivered({"state": str(answer.state), "external_id": answer.external_id})


def _payment(session: Session, command: Claimed) -> Payment:
    """Read anew: another worker may have booked something since."""
    return session.get_one(Payment, command.payload["payment"], populate_existing=True)


def _wanted(session: Session, connection: Connection, payment: Payment) -> m.PaymentWanted:
    """The instruction as a client takes it. Raises Unavailable while the payment it refers to is not at the provider yet."""
    of = None
    if payment.of_id is not None:
        of = session.get_one(Payment, payment.of_id).external_id
        if of is None:
            raise Unavailable("payment.of_missing", key=payment.key)
    trade = session.get(Trade, payment.trade_id) if payment.trade_id is not None else None
    return m.PaymentWanted(
        amount=payment.amount,
        currency=payment.currency,
        about=payment.key if trade is None else trade.key,
        account=_account(session, payment, trade),
        of=of,
    )


def _account(session: Session, payment: Payment, trade: Trade | None) -> str | None:
    """Who pays (a capture: the retailer) or is paid (a payout: the supplier), as the provider knows him. The client says when it needs one."""
    if payment.kind == "capture" and trade is not None:
        return session.scalar(select(Profile.payer_account).where(Profile.account_id == trade.retailer_id))
    if payment.kind == "payout":
        return session.scalar(select(Profile.payout_account).where(Profile.account_id == payment.supplier_id))
    return None


# --- asking again -------------------------------------------------------------------------------------------------------------


def deliver_ask(
    session: Session, command: Claimed, connection: Connection, client: PaymentClient
) -> Delivered:
    """Ask what became of one payment, and book it. None of the provider's business yet: it stays open, and the daily comparison tells."""
    payment = _payment(session, command)
    key, kind, written_at = payment.key, payment.kind, payment.created_at
    wanted = _wanted(session, connection, payment)
    session.commit()
    answer = client.find(key, kind=kind, payment=wanted, since=written_at)
    if answer is None:
        return Delivered({"state": "not there"})
    return _book(session, command, connection, answer)


def ask(session: Session, payment: Payment, why: str) -> int | None:
    """Write the question about one payment, once for each `why`; None when it is written already."""
    connection = session.get_one(Connection, payment.connection_id)
    return outbox.write(
        session,
        account_id=connection.account_id,
        connection_id=connection.id,
        kind="pay.ask",
        subject=f"payment/{payment.id}",
        key=f"pay.ask:{payment.id}:{why}",
        payload={"payment": payment.id},
    )


# A direct debit takes days to be final, a card seconds: 5 minutes, 15 minutes, 1 hour, 4 hours, then once a day for ever.
_WAITING = text("""
    SELECT id, step FROM (
        SELECT p.id, p.connection_id,
               CASE WHEN age < interval '5 minutes' THEN 0 WHEN age < interval '15 minutes' THEN 1 WHEN age < interval '1 hour' THEN 2
                    WHEN age < interval '4 hours' THEN 3 WHEN age < interval '1 day' THEN 4
                    ELSE 5 + extract(epoch FROM age)::bigint / 86400 END AS step
        FROM payment p JOIN connection c ON c.id = p.connection_id, LATERAL (SELECT CAST(:now AS timestamptz) - p.created_at AS age) AS a
        WHERE p.state = 'unknown' AND c.state = 'active' AND c.provider <> ALL(:by_hand)) AS waiting
    WHERE step > 0
      AND NOT EXISTS (SELECT 1 FROM command k WHERE k.connection_id = waiting.connection_id AND k.subject = 'payment/' || waiting.id
                      AND (k.state IN ('due', 'leased') OR k.key = 'pay.ask:' || waiting.id || ':' || step))
    ORDER BY id LIMIT 200
""")


def ask_open(session: Session, now: datetime) -> int:
    """Questions about payments whose word is not final, rarer and rarer with their age. Nobody is asked about payments by hand. Commits."""
    found = session.execute(_WAITING, {"now": now, "by_hand": _by_hand()}).all()
    for row in found:
        ask(session, session.get_one(Payment, row.id), str(row.step))
    session.commit()
    return len(found)


def _by_hand() -> list[str]:
    return [each.key for each in providers().values() if each.by_hand]


# --- what the provider tells by itself ------------------------------------------------------------------------------------------


def told(session: Session, connection: Connection, event_id: int, data: Mapping[str, Any]) -> None:
    """A signed message of the provider (app.web.payments): a hint to ask about a payment, or a dispute.

    What belongs to no payment of ours means nothing: the operator may use his account for other things too.
    """
    payment = _told_about(session, connection, data)
    if data["kind"] != "payment":
        _disputed(session, connection, event_id, payment, data)
    elif payment is not None:
        ask(session, payment, str(data["delivery_id"]))


def _told_about(session: Session, connection: Connection, data: Mapping[str, Any]) -> Payment | None:
    """By our key, else by the provider's id; only among the payments of this very connection."""
    for column, value in ((Payment.key, data.get("key")), (Payment.external_id, data.get("external_id"))):
        if value is None:
            continue
        mine = (Payment.connection_id == connection.id, column == value)
        found = session.scalar(select(Payment).where(*mine).order_by(Payment.id).limit(1))
        if found is not None:
            return found
    return None


def _disputed(
    session: Session, connection: Connection, event_id: int, payment: Payment | None, data: Mapping[str, Any]
) -> None:
    """Messages come in any order and more than once: whatever comes first opens the dispute."""
    subject = str(data["subject_id"])
    if payment is None or payment.kind != "capture" or payment.trade_id is None:
        open_case(
            session,
            account_id=connection.account_id,
            connection_id=connection.id,
            subject=f"dispute/{subject}",
            code="payment.dispute_unknown",
            params={"subject": subject},
        )
        return
    trade = session.get_one(Trade, payment.trade_id)
    by = ledger.Source(f"{connection.provider} {connection.key}", f"event {event_id}", str(data["kind"]))
    open_dispute(session, trade, int(data["amount"]), key=subject, by=by)
    if data["kind"] != "dispute":
        ledger.dispute_over(session, trade, won=data["kind"] == "dispute_won", key=subject, by=by)


def open_dispute(
    session: Session, trade: Trade, amount: int, *, key: str, by: ledger.Source
) -> m.Reason | None:
    """Hold the money of a dispute, once by `key`. More than is there is refused by the ledger and becomes a case; the trade is frozen anyway."""
    held = ledger.dispute(session, trade, amount, key=key, by=by)
    if held.refused is not None:
        open_case(
            session,
            account_id=ledger.payment_connection(session).account_id,
            subject=f"trade/{trade.id}/dispute/{key}",
            code=held.refused.code,
            params={"trade": trade.key, "dispute": key, **held.refused.params},
        )
    return held.refused


# --- the payouts of a day -------------------------------------------------------------------------------------------------------


def write_daily(session: Session, now: datetime) -> None:
    """The command for today's payouts at the operator's connection, once a day from PAYOUT_HOUR on; nothing before the first trade. Commits."""
    day = now.astimezone(UTC)
    if day.hour >= PAYOUT_HOUR and session.scalar(select(LedgerAccount.id).limit(1)) is not None:
        write_once(session, ledger.payment_connection(session), "pay.payouts", f"{day:%Y-%m-%d}")
    session.commit()


def write_once(session: Session, connection: Connection, kind: str, part: str) -> int | None:
    """A piece of daily work at the provider's connection; None when it is written already."""
    key = f"{kind}:{part}"
    written = text("SELECT 1 FROM command WHERE connection_id = :connection AND key = :key")
    if session.execute(written, {"connection": connection.id, "key": key}).first() is not None:
        return None
    return outbox.write(
        session,
        account_id=connection.account_id,
        connection_id=connection.id,
        kind=kind,
        subject=kind,
        key=key,
    )


def deliver_payouts(
    session: Session, command: Claimed, connection: Connection, client: PaymentClient
) -> Delivered:
    """Today's payouts: instructions only; the commands that follow from them move the money."""
    by = ledger.Source("clock", f"command {command.id}", "payout.daily")
    made = run_payouts(session, datetime.now(UTC), by)
    return Delivered({"payouts": len(made), "amount_minor": sum(amount for _, amount in made)})


def run_payouts(session: Session, now: datetime, by: ledger.Source) -> list[tuple[int, int]]:
    """Instruct the payout of every supplier who has something payable: (payment id, amount). Each is a transaction of its own; commits.

    May be run as often as one likes: what was instructed is not payable any more.
    """
    made: list[tuple[int, int]] = []
    for supplier_id, currency in _payable(session):
        try:
            payment = ledger.payout(session, supplier_id, currency, now, by)
            if payment is not None:
                made.append((payment.id, payment.amount))
            session.commit()
        except Exception:
            # One supplier's trouble must not keep the others from their money (C10).
            session.rollback()
            log.exception("payout.failed", supplier=supplier_id, currency=currency)
            _tell_failed_payout(session, supplier_id, currency)
    return made


def _payable(session: Session) -> list[tuple[int, str]]:
    query = (
        select(LedgerAccount.owner_id, LedgerAccount.currency)
        .where(
            LedgerAccount.kind == "payable", LedgerAccount.balance > 0, LedgerAccount.owner_id.is_not(None)
        )
        .distinct()
        .order_by(LedgerAccount.owner_id, LedgerAccount.currency)
    )
    found = [(int(owner), currency) for owner, currency in session.execute(query) if owner is not None]
    session.commit()
    return found


def _tell_failed_payout(session: Session, supplier_id: int, currency: str) -> None:
    open_case(
        session,
        account_id=ledger.payment_connection(session).account_id,
        subject=f"payout/{supplier_id}/{currency}",
        code="job.crashed",
        params=plan.jsonable({"supplier": supplier_id, "currency": currency}),
    )
    session.commit()


# --- by hand --------------------------------------------------------------------------------------------------------------------


def tick_off(session: Session, payment: Payment, *, happened: bool, now: datetime, why: str = "") -> None:
    """A person says what became of a payment by hand. Raises Refused for a payment that a provider confirms.

    An instruction that is still in the queue counts as told: the command finds the payment final and does nothing.
    """
    connection = session.get_one(Connection, payment.connection_id)
    if not provider(connection.provider).by_hand:
        raise Refused("payment.not_by_hand", key=payment.key)
    state = m.PaymentState.DONE if happened else m.PaymentState.FAILED
    reason = None if happened else m.Reason("payment.declined", {"message": why or None})
    answer = m.PaymentAnswer(
        payment.key, payment.kind, state, payment.amount, payment.currency,
        payment.external_id or payment.key, reason, now,
    )  # fmt: skip
    ledger.settle(session, payment, answer)
