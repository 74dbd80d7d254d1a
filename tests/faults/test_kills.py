"""`kill -9` under load: nothing that was acknowledged is lost, nothing is done twice; and two planted faults are seen by the same audit."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
from books import audit, doubled_deeds, lost_events, table
from load import Load, kill_at_random
from machine import Bridge

pytestmark = pytest.mark.long

Record = Callable[[str, object], None]
TARGETS = [
    "web master",
    "web process",
    "web process",
    "in-1",
    "in-2",
    "out-1",
    "out-1",
    "out-2",
    "out-2",
    "clock",
    "valkey",
]


def order_of_kills(seed: int, rounds: int) -> list[str]:
    """Every target in every round, in random order; looks die early, because a dead look rests for two minutes."""
    rng = random.Random(seed)
    kills: list[str] = []
    for number in range(rounds):
        some = [*TARGETS, "flush", "flush"] + (["poll"] if number == 0 else [])
        rng.shuffle(some)
        kills += some
    return kills


def survive(seed: int, rounds: int, record_property: Record) -> None:
    """Load, kills, quiet, audit."""
    with Bridge(seed) as bridge:
        load = Load(bridge)
        load.prepare()
        load.start()
        kill_at_random(bridge, order_of_kills(seed, rounds), pause=(0.8, 1.8))
        load.stop()
        still = bridge.wait_until_quiet(120)
        while not still and load.do_what_is_due(bridge.random):
            still = bridge.wait_until_quiet(120)
        shown = table(bridge, load)
        print(shown)
        record_property("table", shown)
        assert still == [], f"seed {seed}\n{bridge.logs()}"
        assert audit(bridge, load) == [], f"seed {seed}\n{shown}"
        assert sum(bridge.kills.values()) - bridge.kills["FLUSHALL"] >= 10 * rounds
        assert {"web process", "web master", "in", "out", "clock", "valkey"} <= set(bridge.kills)
        assert len(load.notes.orders) >= 10 * rounds
        assert len(load.notes.promises) >= 100 * rounds


@pytest.mark.timeout(600)  # one and a quarter minutes on a quiet machine
def test_a_bridge_that_is_killed_again_and_again_loses_and_doubles_nothing(
    seed: int | None, record_property: Record
) -> None:
    survive(20261121 if seed is None else seed, 2, record_property)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", range(10))
def test_three_hundred_kills_lose_and_double_nothing(number: int, record_property: Record) -> None:
    survive(7000 + number, 3, record_property)


# --- the audit sees what is wrong ------------------------------------------------------------------------------------


@pytest.mark.timeout(400)
def test_a_web_that_answers_before_the_commit_is_caught(seed: int | None, record_property: Record) -> None:
    with Bridge(
        1 if seed is None else seed, controls={"web": "early-web"}, lanes=("in-1", "out-1")
    ) as bridge:
        load = Load(bridge, clients=4, pause=0.01, orders=False)
        load.start()
        kill_at_random(bridge, ["web process", "web master"] * 3, pause=(0.8, 1.5))
        load.go_on_until(
            len(load.notes.promises) * 3 // 2
        )  # of these nothing is lost, whatever the kills took
        load.stop()
        bridge.wait_until_quiet(120)
        lost = lost_events(bridge, load.notes)
        record_property(
            "table", f"{len(lost)} of {len(load.notes.promises)} acknowledged events lost (planted)"
        )
        assert 3 <= len(lost) < len(load.notes.promises) * 3 / 4, table(bridge, load)


def kill_after_refunds(bridge: Bridge, times: int) -> None:
    """`kill -9` of the delivering worker as soon as Kaufland has done a refund: between the deed and its end."""
    seen, deadline = 0, time.monotonic() + 60
    while times and time.monotonic() < deadline:
        refunds = sum(1 for deed in bridge.kaufland.deeds if deed["deed"] == "refund")
        if refunds > seen:
            bridge.kill("out-1")
            times -= 1
        seen = refunds
        time.sleep(0.005)


def doubled_refunds(seed: int, controls: dict[str, str], record_property: Record) -> list[str]:
    """A run in which every refund is followed by a kill of its worker; answers what was done twice."""
    with Bridge(seed, controls=controls, lanes=("in-1", "out-1", "poll")) as bridge:
        load = Load(bridge, clients=0)
        load.prepare()
        load.only("ship_and_refund")
        load.start()
        kill_after_refunds(bridge, 3)
        load.stop()
        bridge.wait_until_quiet(120)
        doubled = doubled_deeds(bridge, load.notes)
        record_property("table", f"{len(doubled)} deeds doubled by {controls or 'ours'}: {doubled[:2]}")
        assert bridge.kills["out"] == 3
        return doubled


@pytest.mark.nightly
@pytest.mark.timeout(400)
def test_a_worker_that_forgets_its_doubt_is_caught(seed: int | None, record_property: Record) -> None:
    doubled = doubled_refunds(1 if seed is None else seed, {"out": "forgetful-out"}, record_property)
    assert any(sentence.startswith("refund") for sentence in doubled)


@pytest.mark.nightly
@pytest.mark.timeout(400)
def test_our_worker_killed_in_the_same_places_doubles_nothing(
    seed: int | None, record_property: Record
) -> None:
    assert doubled_refunds(1 if seed is None else seed, {}, record_property) == []
