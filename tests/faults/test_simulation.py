"""Many short histories of everything that can happen, in any order, with crashes; a failing one is repeated with `--seed N`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from history import History
from world import World

from app import reservations
from app.flows import order_cancelled, order_returned
from app.jobs import DELIVERIES

pytestmark = pytest.mark.long

IN_EVERY_RUN = 30
NIGHTLY = 2000
STEPS = 60


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each seed, or only the one that was asked for."""
    if "number" not in metafunc.fixturenames:
        return
    asked = metafunc.config.getoption("--seed", default=None)
    nightly = metafunc.function.__name__.startswith("test_two_thousand")
    seeds = range(1000, 1000 + NIGHTLY) if nightly else range(1, 1 + IN_EVERY_RUN)
    metafunc.parametrize("number", [asked] if asked is not None else seeds)


def play(world: World, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(world, seed, monkeypatch)
    history.run(STEPS)
    history.settle()
    problems = history.problems()
    told = "\n".join(f"{place:3} {step}" for place, step in enumerate(history.told))
    assert problems == [], (
        f"{told}\nRepeat it with: pytest tests/faults/test_simulation.py --seed {seed}\n"
        + "\n".join(problems)
    )


def test_every_history_ends_with_books_that_agree(
    world: World, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(world, number, monkeypatch)


# --- planted: the audit sees what is wrong -----------------------------------------------------------------------------


def nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Own orders are not subtracted before the shop has counted them."""
    monkeypatch.setattr(reservations, "held", lambda *_: {})


def cancellations_are_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shop never hears that the buyer has cancelled."""
    monkeypatch.setattr(order_cancelled, "from_marketplace", lambda *_: None)


def doubt_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refund whose answer was lost is sent again."""
    deliver = order_returned.deliver_refund
    monkeypatch.setitem(
        DELIVERIES,
        "refund",
        lambda session, command, *rest: deliver(session, replace(command, in_doubt=False), *rest),
    )


def reservations_are_never_released(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was cancelled stays held."""
    monkeypatch.setattr(reservations, "release", lambda *_: None)


PLANTED = [
    nothing_is_held,
    cancellations_are_not_passed_on,
    reservations_are_never_released,
    # Needs half a minute of histories; in every run a killed worker shows it (test_kills.py).
    pytest.param(doubt_is_forgotten, marks=pytest.mark.nightly),
]


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_bug_is_found_within_sixteen_histories(
    world: World, plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    for number in range(1, 17):
        history = History(world, number, monkeypatch)
        history.run(STEPS)
        history.settle()
        if history.problems():
            return
    raise AssertionError(f"nobody saw it: {plant.__doc__}")


@pytest.mark.nightly
def test_two_thousand_histories_end_with_books_that_agree(
    world: World, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(world, number, monkeypatch)
