"""Ten mistakes in the ledger, planted one by one: the machine of tests/money finds each, or this fails.

A planted mistake is caught by an invariant, by the second ledger or by the database itself. The flows' own two are in test_planted_flows.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import pytest
from money_machine import Ran, examine
from real_ledger import Cast
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.ledger import answers, claims, parcels, paying, refunding, releasing
from app.rules import fees
from app.rules.release_policy import TrackingGiven

pytestmark = pytest.mark.long

CAUGHT = (AssertionError, DBAPIError, ValueError)
HUNTS = 20
HISTORIES = 6  # in each hunt

Plant = Callable[[pytest.MonkeyPatch, Session], None]


def release_before_tracking(patch: pytest.MonkeyPatch, _: Session) -> None:
    """Shipped without a number, or with something that is none, is as good as a number (K11)."""
    asked = releasing.objection

    def objection(*given: Any) -> Any:
        why = asked(*given)
        known = {"ledger.tracking_missing", "ship.tracking_malformed"}
        return None if why is not None and why.code in known else why

    patch.setattr(releasing, "objection", objection)


def duplicate_tracking_accepted(patch: pytest.MonkeyPatch, _: Session) -> None:
    """Nobody looks whether another order had the number (4.4, L2)."""
    patch.setattr(parcels, "_used", lambda *_: None)


def unshipped_units_released(patch: pytest.MonkeyPatch, _: Session) -> None:
    """Whatever the parcel says was in it is paid for (invariant 5)."""
    for where in (parcels, releasing):
        patch.setattr(where, "too_many", lambda *_: None)


def added_units_counted_again(patch: pytest.MonkeyPatch, _: Session) -> None:
    """Whoever adds a line to a parcel is paid for all of it once more (K11, invariant 5)."""
    patch.setattr(releasing, "_added", lambda _, units: dict(units))


def policy_forgotten(patch: pytest.MonkeyPatch, _: Session) -> None:
    """A number is enough, whatever was agreed (K11)."""
    patch.setattr(releasing, "policy_of", lambda _: TrackingGiven())


def refund_twice(patch: pytest.MonkeyPatch, _: Session) -> None:
    """The same refund object is posted under a new key each time (K8)."""
    written, numbers = refunding.give_back, count()

    def give_back(session: Session, trade: Any, left: Any, amount: int, key: str, *more: Any) -> Any:
        return written(session, trade, left, amount, f"{key}#{next(numbers)}", *more)

    patch.setattr(refunding, "find", lambda *_: None)
    patch.setattr(refunding, "give_back", give_back)


def limit_of_refunds_dropped(patch: pytest.MonkeyPatch, _: Session) -> None:
    """What was refunded before is not counted (invariant 3)."""
    patch.setattr(answers.Money, "refundable", property(lambda self: self.captured))


def balance_guard_dropped(patch: pytest.MonkeyPatch, session: Session) -> None:
    """The database lets a balance fall below zero (invariant 14)."""
    session.execute(text("ALTER TABLE ledger_account DROP CONSTRAINT ck_ledger_account_balance"))


def fee_wrong_by_a_cent(patch: pytest.MonkeyPatch, _: Session) -> None:
    """Rounded down instead of half up."""
    patch.setattr(fees, "half_up", lambda amount, basis_points: amount * basis_points // 10_000)


def payout_while_frozen(patch: pytest.MonkeyPatch, _: Session) -> None:
    """A disputed order is paid out with the others (invariant 7)."""

    def payable_now(self: claims.Claims) -> Any:
        return [(key, part) for key, part in sorted(self.payable.items()) if part]

    patch.setattr(claims.Claims, "payable_now", payable_now)


def escrow_left_by_cancel(patch: pytest.MonkeyPatch, _: Session) -> None:
    """The order is cancelled and the money stays where it was (K9)."""
    patch.setattr(refunding, "give_all_back", lambda *_: answers.Refunded())


def receivable_forgotten(patch: pytest.MonkeyPatch, _: Session) -> None:
    """Whoever owes something is paid in full all the same (4.2)."""
    patch.setattr(claims.Claims, "net", lambda _: None)
    patch.setattr(claims.Claims, "owed", lambda _: 0)


def reserve_forgotten(patch: pytest.MonkeyPatch, _: Session) -> None:
    """Everything is paid out at once."""
    patch.setattr(paying, "_earned_lately", lambda *_: 0)


PLANTED: Mapping[str, Plant] = {
    plant.__name__: plant
    for plant in (
        release_before_tracking,
        duplicate_tracking_accepted,
        unshipped_units_released,
        added_units_counted_again,
        policy_forgotten,
        refund_twice,
        limit_of_refunds_dropped,
        balance_guard_dropped,
        fee_wrong_by_a_cent,
        payout_while_frozen,
        escrow_left_by_cancel,
        receivable_forgotten,
        reserve_forgotten,
    )
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_machine_finds_it(
    name: str, books: tuple[Session, Cast], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = books
    with pytest.raises(CAUGHT):
        hunt(books, HUNTS, lambda: PLANTED[name](monkeypatch, session))
    session.rollback()


def test_without_a_mistake_it_finds_nothing(books: tuple[Session, Cast]) -> None:
    """The same first histories: what was found above was the mistake."""
    assert hunt(books, 4, lambda: None).steps > 500


def hunt(books: tuple[Session, Cast], hunts: int, before: Callable[[], None]) -> Ran:
    """A few histories from many beginnings: within one beginning hypothesis tends to stay with what it has."""
    done = Ran()
    for number in range(1, hunts + 1):
        done += examine(*books, histories=HISTORIES, number=number, shrink=False, before=before)
    return done
