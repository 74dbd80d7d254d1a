"""The golden stories: computed by hand, by a second ledger and by the bridge's own, all three to the cent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest
import time_machine
from real_ledger import Cast, RealLedger
from second_ledger import SecondLedger
from sqlalchemy.orm import Session
from stories import Golden, posted, read

from app import ledger

STORIES = read()


def test_at_least_forty_stories_are_told() -> None:
    assert len(STORIES) >= 40
    assert [story.number for story in STORIES] == list(range(1, len(STORIES) + 1))
    assert all(set(story.ends) == {terms.key for terms in story.trades} for story in STORIES)


def test_a_line_that_nobody_understands_is_no_comment() -> None:
    with pytest.raises(ValueError, match=r"stories\.journal:2"):
        read("; == 1. A title\n2026-03-02 * T1 | captured by magic\n")


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_every_transaction_adds_up_to_nothing_in_each_currency(story: Golden) -> None:
    for transaction in story.transactions:
        sums: dict[str, int] = defaultdict(int)
        for _, amount, currency in transaction.postings:
            sums[currency] += amount
        assert not any(sums.values()), f"line {transaction.line}: {dict(sums)}"


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_the_postings_lead_to_the_balances_at_the_end(story: Golden) -> None:
    assert posted(story) == story.ends


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_the_second_ledger_comes_to_the_same_end(story: Golden) -> None:
    assert played(story) == story.ends


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_nothing_of_a_story_counts_twice(story: Golden) -> None:
    """Each event comes twice in a row."""
    assert played(story, times=2) == story.ends


def played(story: Golden, times: int = 1) -> dict[str, object]:
    """The story's end as the second ledger has it."""
    ledger = SecondLedger(story.transactions[0].at, reserve_bp=story.reserve_bp)
    for terms in story.trades:
        ledger.open(terms)
    for transaction in story.transactions:
        ledger.now = transaction.at
        for _ in range(times):
            ledger.play(transaction.event)
    return {terms.key: ledger.balances(terms.key) for terms in story.trades}


# --- the bridge's own ledger ------------------------------------------------------------------------------------------


@pytest.fixture
def played_for_real(books: tuple[Session, Cast]) -> Iterator[Callable[..., RealLedger]]:
    """Plays a story in a transaction that is rolled back."""
    session, cast = books

    def play(story: Golden, times: int = 1) -> RealLedger:
        real = RealLedger(session, cast, reserve_bp=story.reserve_bp)
        with time_machine.travel(story.transactions[0].at, tick=False) as clock:
            for terms in story.trades:
                real.open(terms)
            for transaction in story.transactions:
                clock.move_to(transaction.at)
                for _ in range(times):
                    real.play(transaction.event)
                real.settled()
                assert ledger.breaches(session) == [], f"after line {transaction.line}"
        return real

    yield play
    session.rollback()
    session.expunge_all()


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("story", STORIES, ids=str)
def test_the_bridge_comes_to_the_same_end(
    story: Golden, times: int, played_for_real: Callable[..., RealLedger]
) -> None:
    """Once, and with every event twice in a row."""
    real = played_for_real(story, times)
    assert {terms.key: real.balances(terms.key) for terms in story.trades} == story.ends
