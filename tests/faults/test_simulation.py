"""Many short histories of everything that can happen, in any order, with crashes; a failing one is repeated with `--seed N`."""

from __future__ import annotations

import pytest
from history import History
from world import World

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


@pytest.mark.nightly
def test_two_thousand_histories_end_with_books_that_agree(
    world: World, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(world, number, monkeypatch)
