"""Once a day: hold the ledger's payments against what the provider has booked, key by key (invariant 13); one case for each difference.

A difference is never repaired by booking something: it is shown, asked about where only the provider's last word is missing, and its case closes
itself when both sides agree. What may go wrong: a payment that is older than the look. Whatever has an open case is therefore looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app import messages as m
from app import outbox
from app.delivery import Delivered
from app.models import Case, Command, Connection, Payment
from app.outbox import Claimed
from app.registry import PaymentClient, provider
from app.story import close_case, open_case

HOUR = 4  # UTC; after the payouts of the day
LOOK_BACK: Final = timedelta(days=35)  # a direct debit is final after a good two weeks
PATIENCE: Final = timedelta(days=1)  # how long the provider's last word may be missing here

_WORDS: Final = {
    "done": m.PaymentState.DONE,
    "failed": m.PaymentState.FAILED,
    "withdrawn": m.PaymentState.FAILED,
    "unknown": m.PaymentState.PENDING,
    "due": m.PaymentState.PENDING,
}


@dataclass(frozen=True)
class Ours:
    """One payment as the ledger has it. `sent`: the provider has answered to it, so it must be there."""

    id: int
    key: str
    kind: str
    amount: int
    currency: str
    state: str
    created_at: datetime
    sent: bool


@dataclass(frozen=True)
class Difference:
    """What is not the same on both sides, for one key."""

    key: str
    code: str
    params: Mapping[str, Any]


def write_daily(session: Session, now: datetime) -> None:
    """One comparison a day for each connection whose provider can be read. Commits."""
    day = now.astimezone(UTC)
    if day.hour >= HOUR:
        active = (Connection.role == "payment", Connection.state == "active")
        for connection in session.scalars(select(Connection).where(*active).order_by(Connection.id)):
            if not provider(connection.provider).by_hand:
                write(session, connection, f"{day:%Y-%m-%d}")
    session.commit()


def write(session: Session, connection: Connection, part: str) -> int | None:
    """The command for one comparison, once for each `part`; None when it is written already."""
    key = f"pay.compare:{part}"
    if session.scalar(select(Command.id).where(Command.connection_id == connection.id, Command.key == key)):
        return None
    return outbox.write(
        session,
        account_id=connection.account_id,
        connection_id=connection.id,
        kind="pay.compare",
        subject="pay.compare",
        key=key,
    )


def deliver(session: Session, command: Claimed, connection: Connection, client: PaymentClient) -> Delivered:
    """Read the provider's books and write down every difference. Answers what was compared, in figures."""
    now = datetime.now(UTC)
    since = _since(session, connection, now)
    session.commit()  # nothing is held while pages come
    booked = list(client.movements(since))
    return Delivered(compare(session, connection, booked, since, now))


def compare(
    session: Session,
    connection: Connection,
    booked: Sequence[m.PaymentAnswer],
    since: datetime,
    now: datetime,
) -> dict[str, Any]:
    """Hold `booked`, everything the provider has since then, against our rows; cases are opened and closed in the caller's transaction."""
    theirs: dict[str, list[m.PaymentAnswer]] = {}
    for answer in booked:
        theirs.setdefault(answer.key, []).append(answer)
    ours = _ours(session, connection, since, theirs)
    found = list(differences(ours, theirs, now))
    _show(session, connection, found)
    for row in ours.values():
        if any(_is_news(row, answer) for answer in theirs.get(row.key, [])):
            _ask(session, connection, row, now)
    return {
        "payments": len(ours),
        "booked": len(theirs),
        "differences": len(found),
        "ours_minor": _sums((row.kind, row.amount) for row in ours.values() if row.state == "done"),
        "theirs_minor": _sums(
            (answer.kind, answer.amount) for answer in booked if answer.state is m.PaymentState.DONE
        ),
    }


def _sums(amounts: Iterable[tuple[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for kind, amount in amounts:
        total[kind] = total.get(kind, 0) + amount
    return total


def differences(
    ours: Mapping[str, Ours], theirs: Mapping[str, Sequence[m.PaymentAnswer]], now: datetime
) -> Iterable[Difference]:
    """Every difference, at most one for each key: the gravest."""
    for key in sorted({*ours, *theirs}):
        row, answers = ours.get(key), theirs.get(key, ())
        found = _alone(row, now) if not answers else _both(row, answers, now)
        if found is not None:
            yield found


def _alone(row: Ours | None, now: datetime) -> Difference | None:
    """Only we know it. What was refused, withdrawn or not sent yet has no place there."""
    if row is None or row.state in {"failed", "withdrawn", "due"}:
        return None
    if row.state == "unknown" and (not row.sent or now - row.created_at < PATIENCE):
        return None
    told = {"key": row.key, "amount": row.amount, "currency": row.currency}
    return Difference(row.key, "payment.missing_at_provider", told)


def _both(row: Ours | None, answers: Sequence[m.PaymentAnswer], now: datetime) -> Difference | None:
    """A payment that failed there first and went through later shows twice; two that went through are one too many."""
    done = {answer.external_id for answer in answers if answer.state is m.PaymentState.DONE}
    answer = _best(answers)
    if len(done) > 1:
        ids = ", ".join(sorted(str(each) for each in done))
        return Difference(answer.key, "payment.paid_twice", {"key": answer.key, "ids": ids, **_money(answer)})
    if row is None:
        if answer.state is m.PaymentState.FAILED:
            return None
        return Difference(answer.key, "payment.missing_in_ledger", {"key": answer.key, **_money(answer)})
    if row.kind != answer.kind:
        return _differs(row, "payment.kind_differs", row.kind, answer.kind)
    if (row.amount, row.currency) != (answer.amount, answer.currency):
        ours, theirs = f"{row.amount} {row.currency}", f"{answer.amount} {answer.currency}"
        return _differs(row, "payment.amount_differs", ours, theirs)
    if _WORDS[row.state] is answer.state:
        return None
    if _is_news(row, answer) and now - row.created_at < PATIENCE:
        return None
    return _differs(row, "payment.state_differs", row.state, str(answer.state))


def _best(answers: Sequence[m.PaymentAnswer]) -> m.PaymentAnswer:
    order = [m.PaymentState.DONE, m.PaymentState.PENDING, m.PaymentState.FAILED]
    return min(answers, key=lambda answer: order.index(answer.state))


def _differs(row: Ours, code: str, ours: str, theirs: str) -> Difference:
    return Difference(row.key, code, {"key": row.key, "ours": ours, "theirs": theirs})


def _money(answer: m.PaymentAnswer) -> dict[str, Any]:
    return {"amount": answer.amount, "currency": answer.currency}


def _is_news(row: Ours, answer: m.PaymentAnswer) -> bool:
    """The provider has its last word, and it did not reach us yet."""
    return row.state in {"due", "unknown"} and answer.state is not m.PaymentState.PENDING


# --- rows ------------------------------------------------------------------------------------------------------------------


def _prefix(connection: Connection) -> str:
    return f"money/{connection.id}/"


def _open_cases(session: Session, connection: Connection) -> Sequence[Case]:
    mine = (Case.account_id == connection.account_id, Case.state == "open")
    query = select(Case).where(*mine, Case.subject.startswith(_prefix(connection), autoescape=True))
    return session.scalars(query).all()


def _since(session: Session, connection: Connection, now: datetime) -> datetime:
    """Far enough back for every difference that is still open."""
    opened = [case.opened_at for case in _open_cases(session, connection)]
    return min([now, *opened]) - LOOK_BACK


def _ours(
    session: Session, connection: Connection, since: datetime, theirs: Mapping[str, Any]
) -> dict[str, Ours]:
    """Our payments of that time, and older ones that the provider has moved since."""
    sent = (
        select(Command.id)
        .where(Command.connection_id == connection.id, Command.key == Payment.key, Command.state == "done")
        .exists()
    )
    query = select(Payment, sent).where(
        Payment.connection_id == connection.id,
        or_(Payment.created_at >= since, Payment.key.in_(list(theirs))),
    )
    return {
        row.key: Ours(row.id, row.key, row.kind, row.amount, row.currency, row.state, row.created_at, told)
        for row, told in session.execute(query)
    }


def _show(session: Session, connection: Connection, found: Sequence[Difference]) -> None:
    """One case for each difference; those that are gone are closed."""
    now_open = {(f"{_prefix(connection)}{each.key}", each.code) for each in found}
    for case in _open_cases(session, connection):
        if (case.subject, case.code) not in now_open:
            close_case(session, account_id=connection.account_id, subject=case.subject, code=case.code)
    for each in found:
        open_case(
            session,
            account_id=connection.account_id,
            connection_id=connection.id,
            subject=f"{_prefix(connection)}{each.key}",
            code=each.code,
            params=each.params,
        )


def _ask(session: Session, connection: Connection, row: Ours, now: datetime) -> None:
    """The question that brings the provider's last word into the ledger, by the way that all answers take."""
    outbox.write(
        session,
        account_id=connection.account_id,
        connection_id=connection.id,
        kind="pay.ask",
        subject=f"payment/{row.id}",
        key=f"pay.ask:{row.id}:compared {now:%Y-%m-%d %H:%M}",
        payload={"payment": row.id},
    )
