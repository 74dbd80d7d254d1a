"""Seeded histories at every marketplace that can be simulated; a failing one is repeated with `--seed N`. No marketplace is named."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from market_history import Crashes, MarketHistory
from market_world import Market, market

from app import registry, reservations
from app.flows import order_accepted, order_cancelled, order_placed
from app.jobs import DELIVERIES
from app.models import Order
from app.sandbox import simulators

pytestmark = pytest.mark.long

IN_EVERY_RUN = 100
NIGHTLY = 2000
IN_ONE_WORLD = 20  # a world is dearer than a history
AT_ONCE, AT_ONCE_NIGHTLY = 20, 1  # so many are played before everything comes to rest and is audited
STEPS = 6


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each marketplace and world of seeds, or only the world with the seed that was asked for."""
    if "key" in metafunc.fixturenames:
        metafunc.parametrize("key", sorted(simulators()))
    if "first" not in metafunc.fixturenames:
        return
    asked = metafunc.config.getoption("--seed", default=None)
    nightly = metafunc.function.__name__.startswith("test_two_thousand")
    begin, many = (1001, NIGHTLY) if nightly else (1, IN_EVERY_RUN)
    firsts = range(begin, begin + many, IN_ONE_WORLD)
    if asked is not None:
        firsts = [asked - (asked - 1) % IN_ONE_WORLD]
    metafunc.parametrize("first", firsts)


@contextlib.contextmanager
def crashes() -> Iterator[list[str]]:
    """What jobs ended with that nobody had expected."""
    handler = Crashes()
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield handler.seen
    finally:
        root.removeHandler(handler)


def stock_up(at: Market) -> None:
    """More than twenty histories sell, so that most buyers find something."""
    for product in list(at.shop.products.values()):
        at.shop.change_product(product.id, {"stock": 100})
    at.work(rounds=2)


def play(app: Flask, key: str, first: int, at_once: int) -> None:
    """A world of histories. What goes wrong depends on what was before it in this world, so all of it is told."""
    told: list[str] = []
    with market(app, simulators()[key]) as at, crashes() as crashed:
        stock_up(at)
        for seed in range(first, first + IN_ONE_WORLD):
            with pytest.MonkeyPatch.context() as patch:
                history = MarketHistory(at, seed, patch)
                history.run(STEPS)
            told += [f"{seed} {step}" for step in history.told]
            if (seed - first + 1) % at_once:
                continue
            history.settle()
            problems = history.problems() + crashed
            assert problems == [], (
                "\n".join(told)
                + f"\nRepeat it with: pytest tests/faults/test_every_marketplace.py -k {key} --seed {seed}\n"
                + "\n".join(problems)
            )
            told.append("everything came to rest")


def test_every_history_ends_with_books_that_agree(app: Flask, key: str, first: int) -> None:
    play(app, key, first, AT_ONCE)


@pytest.mark.nightly
def test_two_thousand_histories_end_with_books_that_agree(app: Flask, key: str, first: int) -> None:
    play(app, key, first, AT_ONCE_NIGHTLY)


# --- planted: the audit sees what is wrong -----------------------------------------------------------------------------


def nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Own orders are not subtracted before the shop has counted them."""
    monkeypatch.setattr(reservations, "held", lambda *_: {})


def cancellations_are_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shop never hears that the buyer has cancelled."""
    monkeypatch.setattr(order_cancelled, "from_marketplace", lambda *_: None)


def what_is_cancelled_stays_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reservations are never released."""
    monkeypatch.setattr(reservations, "release", lambda *_: None)


def an_order_has_a_new_key_with_every_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of an order changes with every try, so a lost answer makes a second order in the shop."""
    deliver = order_placed.deliver_create

    def again(session: Any, command: Any, *rest: Any) -> Any:
        order = session.get_one(Order, command.order_id)
        order.key = f"{order.key}+"
        return deliver(session, command, *rest)

    monkeypatch.setitem(DELIVERIES, "order.create", again)


def orders_are_never_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The marketplace waits for an answer until it cancels the order."""
    monkeypatch.setattr(order_accepted, "want", lambda *_: None)


def a_piece_of_every_order_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there and wanted is refused."""
    monkeypatch.setattr(order_accepted, "_to_refuse", lambda _, __, pieces, *___: pieces[-1:])


PLANTED = [
    (nothing_is_held, {}),
    (cancellations_are_not_passed_on, {"cancel_there": 20}),
    (what_is_cancelled_stays_held, {"cancel_there": 20}),
    (an_order_has_a_new_key_with_every_try, {"fault_of_shop": 20, "work_out_shop": 30}),
    (orders_are_never_accepted, {}),
    (a_piece_of_every_order_is_refused, {}),
]


def _asking() -> list[str]:
    """Marketplaces whose orders want the seller's decision."""
    found = {key: registry.provider(key).can(each.settings) for key, each in simulators().items()}
    return [key for key, can in found.items() if can.acceptance in {"order", "pieces"}]


@pytest.mark.parametrize(("plant", "favour"), PLANTED)
def test_a_planted_mistake_is_found_within_thirty_histories(
    app: Flask,
    plant: Callable[[pytest.MonkeyPatch], None],
    favour: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What makes it show is favoured, so that few histories are enough."""
    asking = plant in {orders_are_never_accepted, a_piece_of_every_order_is_refused}
    key = min(_asking() if asking else simulators(), key=lambda each: simulators()[each].port)
    with market(app, simulators()[key]) as at:
        stock_up(at)
        plant(monkeypatch)
        for seed in range(1, 31):
            with pytest.MonkeyPatch.context() as patch:
                history = MarketHistory(at, seed, patch, favour=favour)
                history.run(STEPS)
            if seed % 5 == 0:
                history.settle()
                if history.problems():
                    return
    raise AssertionError(f"nobody saw it at {key}: {plant.__doc__}")
