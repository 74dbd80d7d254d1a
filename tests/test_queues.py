"""The bell: many rings are one job, and nobody waits for a store that hangs."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from bridge import rings
from flask import Flask

from app import queues
from app.machine.servers import Valkey
from app.queues import Ringer


@pytest.fixture
def ringer(app: Flask) -> Iterator[Ringer]:
    made = Ringer(app)
    app.extensions["shopbridge.ringer"] = made
    yield made
    del app.extensions["shopbridge.ringer"]
    made.stop()


def test_who_asks_a_ringer_is_rung_for_once(ringer: Ringer, redis_url: str) -> None:
    for _ in range(100):
        queues.ring_soon("in", 7)
    queues.ring_soon("out", 7)
    ringer.stop()
    assert (rings(redis_url, "in"), rings(redis_url, "out")) == (1, 1)


def test_without_a_ringer_the_bell_has_rung_when_the_call_returns(app: Flask, redis_url: str) -> None:
    queues.ring_soon("in", 7)
    assert rings(redis_url, "in") == 1


def test_nobody_waits_for_a_valkey_that_hangs(ringer: Ringer, valkey: Valkey | None, redis_url: str) -> None:
    if valkey is None:
        pytest.skip("needs the embedded Valkey")
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        for number in range(50):
            queues.ring_soon("in", number)
        assert time.monotonic() - started < 20, "each of the fifty rings would wait for two seconds"
    finally:
        os.kill(valkey.pid, signal.SIGCONT)


def test_a_ring_during_a_ring_is_not_lost(
    ringer: Ringer, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job may have read its rows before: the later event needs a ring of its own."""
    inside, go_on = threading.Event(), threading.Event()
    rung: list[int] = []

    def slow(lane: str, connection_id: int) -> bool:
        rung.append(connection_id)
        inside.set()
        return go_on.wait(30)

    monkeypatch.setattr(queues, "ring", slow)
    ringer.ask("in", 7)
    assert inside.wait(30)
    ringer.ask("in", 7)
    go_on.set()
    ringer.stop()
    assert rung == [7, 7]


def test_a_bell_whose_job_was_never_queued_falls_soon(
    app: Flask, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise redis.ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr("rq.Queue.enqueue", away)
        assert not queues.ring("in", 7)
    left = queues.connect().ttl("bell:in:7")
    assert 0 < left <= queues.FRESH_BELL_SECONDS
    queues.connect().delete("bell:in:7")
    assert queues.ring("in", 7)
    assert queues.connect().ttl("bell:in:7") > queues.FRESH_BELL_SECONDS
