"""Money and order events in any order, with duplicates and crashes: the invariants hold and two ledgers agree after every step."""

from __future__ import annotations

import logging
from itertools import count

import pytest
from money_machine import Ran, examine
from real_ledger import Cast
from sqlalchemy.orm import Session

pytestmark = pytest.mark.long

log = logging.getLogger(__name__)

KINDS = {
    "CaptureSent",
    "Captured",
    "CaptureFailed",
    "Parcel",
    "MoreInParcel",
    "Seen",
    "LookAtDue",
    "Refund",
    "Cancel",
    "Dispute",
    "DisputeOver",
    "Status",
    "Payout",
    "PayoutEnds",
    "Crash",
}
WORDS = {"CaptureSent", "CaptureFailed", "Status"}
"""They move no money."""


# Two classes, so that two test processes share the work; together they are the 20,000 steps.


@pytest.mark.timeout(900)
class TestTenThousandSteps:
    def test_of_any_kind(self, books: tuple[Session, Cast], record_property: pytest.RecordProperty) -> None:
        check(run(books, 10_000, first=1), 10_000, record_property)


@pytest.mark.timeout(900)
class TestTenThousandMore:
    def test_of_any_kind(self, books: tuple[Session, Cast], record_property: pytest.RecordProperty) -> None:
        check(run(books, 10_000, first=1_000), 10_000, record_property)


# And four together are the million of `make nightly`.


@pytest.mark.nightly
@pytest.mark.timeout(8 * 3600)
class TestFirstQuarterMillion:
    def test_of_any_kind(self, books: tuple[Session, Cast], record_property: pytest.RecordProperty) -> None:
        check(run(books, 250_000, first=1_000_000), 250_000, record_property)


@pytest.mark.nightly
@pytest.mark.timeout(8 * 3600)
class TestSecondQuarterMillion:
    def test_of_any_kind(self, books: tuple[Session, Cast], record_property: pytest.RecordProperty) -> None:
        check(run(books, 250_000, first=2_000_000), 250_000, record_property)


@pytest.mark.nightly
@pytest.mark.timeout(8 * 3600)
class TestThirdQuarterMillion:
    def test_of_any_kind(self, books: tuple[Session, Cast], record_property: pytest.RecordProperty) -> None:
        check(run(books, 250_000, first=3_000_000), 250_000, record_property)


@pytest.mark.nightly
@pytest.mark.timeout(8 * 3600)
class TestFourthQuarterMillion:
    def test_of_any_kind(self, books: tuple[Session, Cast], record_property: pytest.RecordProperty) -> None:
        check(run(books, 250_000, first=4_000_000), 250_000, record_property)


def run(books: tuple[Session, Cast], steps: int, *, first: int) -> Ran:
    """Histories by twenty-five, until so many steps were really run."""
    done = Ran()
    for number in count(first):
        done += examine(*books, histories=25, number=number)
        log.info("%s steps so far", done.steps)
        if done.steps >= steps:
            return done
    raise AssertionError("there are always more numbers")


def check(ran: Ran, steps: int, record_property: pytest.RecordProperty) -> None:
    """So many steps were really run, every kind of event happened, and every kind that can move money did."""
    record_property("table", str(ran))
    assert ran.steps >= steps, str(ran)
    assert set(ran.events) == KINDS
    assert {name for name in KINDS if ran.moved[name]} == KINDS - WORDS
    assert ran.moved["Crash in the middle"] > 0
