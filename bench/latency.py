"""(d) How long from a stock event in the shop to the call at the marketplace: web server, workers and clock as real processes, 50 events a second.

A thread sends signed webhooks at a steady pace, however slow the answers are; the marketplace notes when which stock arrives. An update that
was overtaken by a newer one of the same SKU counts as arrived when the newer one arrives. What may go wrong: one never arrives; that is told.
"""

from __future__ import annotations

import http.client
import queue
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.shops import signing
from bench import bodies
from bench.offers import Scene, scene
from bench.results import Line
from bench.stage import Running, Stage, number, wait_until

AIM_MS = 1000.0
SENDERS = 8
START = 10_000_000


@dataclass(frozen=True)
class Size:
    """Steady events a second for so many seconds, over so many SKUs."""

    per_second: int = 50
    seconds: float = 25.0
    skus: int = 200


FULL, QUICK, TINY = Size(), Size(seconds=8.0), Size(per_second=10, seconds=1.0, skus=10)


@dataclass
class Sent:
    """One update: which SKU, which stock, when it was sent and answered."""

    number: int
    pieces: int
    due: float
    body: bytes
    at: float = 0.0
    answered: float = 0.0
    status: int = 0


def measure(stage: Stage, size: Size) -> list[Line]:
    """The lines of the table."""
    with scene(stage, size.skus) as found, ExitStack() as stack:
        web = stack.enter_context(stage.web(found.made))
        for lane in ("in", "out"):
            stack.enter_context(stage.process(found.made, f"worker-{lane}", ["app.cli", "worker", lane]))
        stack.enter_context(stage.process(found.made, "clock", ["app.cli", "clock"]))
        stage.wait_for(web)
        assert wait_until(
            lambda: number("SELECT count(*) FROM heartbeat WHERE name NOT IN ('clock', 'ledger')") == 2, 60
        ), "no workers"
        _send(found, web, _plan(Size(20, 0.5, size.skus), START), 0.2)  # Warm up.
        wait_until(lambda: not _waiting(), 30)
        found.begin()
        sent = _plan(size, 2 * START)
        _send(found, web, sent, 0.2)
        wait_until(lambda: not _waiting(), 60)
        return [_line(found, sent, size)]


def _plan(size: Size, start: int) -> list[Sent]:
    """One SKU after another; the stock is a number that only grows, so that it tells which update it was."""
    made = []
    for at in range(int(size.per_second * size.seconds)):
        goods, sequence = at % size.skus + 1, start + at
        pieces = at + 2 + start // START * 100_000
        made.append(Sent(goods, pieces, at / size.per_second, bodies.stock(goods, sequence, pieces)))
    return made


def _send(found: Scene, web: Running, sent: list[Sent], delay: float) -> None:
    """Everything at its time; several connections, so that a slow answer does not hold up the next event."""
    waiting: queue.SimpleQueue[Sent | None] = queue.SimpleQueue()
    started = time.time() + delay
    for each in [*sent, *[None] * SENDERS]:
        waiting.put(each)
    threads = [threading.Thread(target=_sender, args=(found, web, waiting, started)) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _sender(found: Scene, web: Running, waiting: Any, started: float) -> None:
    line = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
    while (each := waiting.get()) is not None:
        time.sleep(max(started + each.due - time.time(), 0))
        each.at = time.time()
        name = f"lat-{each.pieces}"
        headers = signing.sign([found.shop.secret], name, each.body, datetime.now(UTC))
        line.request(
            "POST", f"/webhooks/{found.shop.key}", each.body, {**headers, "Content-Type": "application/json"}
        )
        answer = line.getresponse()
        answer.read()
        each.status, each.answered = answer.status, time.time()
    line.close()


def _waiting() -> int:
    return number("""
        SELECT (SELECT count(*) FROM event WHERE state IN ('due', 'leased'))
             + (SELECT count(*) FROM offer WHERE stale OR confirmed_revision < revision)
    """)


def _line(found: Scene, sent: list[Sent], size: Size) -> Line:
    told = found.arrivals()
    delays = [_arrived(found, told["by_unit"], each) for each in sent]
    ms = sorted((delay or 0) * 1000 for delay in delays if delay is not None)
    answers = sorted((each.answered - each.at) * 1000 for each in sent)
    facts = {
        "p50_ms": _at(ms, 0.50),
        "p95_ms": _at(ms, 0.95),
        "p99_ms": _at(ms, 0.99),
        "slowest_ms": _at(ms, 1.0),
        "answer_p99_ms": _at(answers, 0.99),
        "sent": len(sent),
        "accepted": sum(each.status == 202 for each in sent),
        "never_arrived": sum(delay is None for delay in delays),
        "late_to_send_ms": round(
            max(each.at - each.due - (sent[0].at - sent[0].due) for each in sent) * 1000
        ),
        "calls": sum(told["calls"].values()),
    }
    name = f"stock event -> marketplace call, p95, {size.per_second} events/s"
    return Line("d", name, _at(ms, 0.95), "ms", aim=AIM_MS, must="<=", facts=facts)


def _arrived(found: Scene, by_unit: dict[str, list[list[float]]], each: Sent) -> float | None:
    """Seconds until the marketplace was told this stock or a newer one."""
    times = [
        at
        for at, amount in by_unit.get(str(found.units[bodies.sku(each.number)]), [])
        if amount >= each.pieces
    ]
    return min(times) - each.at if times else None


def _at(ordered: list[float], share: float) -> float:
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 1) if ordered else float("inf")
