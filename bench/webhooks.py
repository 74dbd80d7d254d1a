"""(a) Durable webhooks a second, against the same endpoint that only checks the signature, and against the naive way.

The four servers run side by side and are measured turn by turn. What may go wrong: an answer without a row behind it; every turn therefore
counts the rows and compares them with the answers.
"""

from __future__ import annotations

import os
import signal
import statistics
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from redis import Redis

from bench import bodies, load
from bench.results import Line, spread
from bench.stage import Running, Shop, Stage, empty_events, free_port, number, plug_in_shop

AIM = 0.45


@dataclass(frozen=True)
class Size:
    """How long it takes: turns x connections x 4 servers x seconds."""

    rounds: int = 5
    seconds: float = 2.0
    connections: tuple[int, ...] = (16, 64)
    most_per_second: int = 10_000


FULL, QUICK = Size(), Size(rounds=2, seconds=0.7)
TINY = Size(rounds=1, seconds=0.3, connections=(4,), most_per_second=3000)


@dataclass
class Turn:
    """One measurement. `stored` is None where nothing is stored."""

    seen: load.Seen
    stored: int | None
    cpu_seconds: float


def measure(stage: Stage, size: Size) -> list[Line]:
    """The lines of the table."""
    with stage.bridge() as made, ExitStack() as stack:
        shop = plug_in_shop()
        known = {
            "BENCH_SECRET": shop.secret,
            "BENCH_ACCOUNT": str(shop.account_id),
            "BENCH_CONNECTION": str(shop.id),
        }
        servers = {"bridge": stack.enter_context(stage.web(made))}
        for name in ("limit", "flask", "naive"):
            arguments = ["bench.doors", name]
            servers[name] = stack.enter_context(
                stage.process(made, name, arguments, port=free_port(), **known)
            )
        stage.wait_for(*servers.values())
        for server in servers.values():
            _turn(stage, server, shop, min(size.connections), size, seconds=0.3)  # Warm up.
        lines = []
        for connections in size.connections:
            lines += _compare(stage, servers, shop, connections, size)
        return [*lines, *_without_bell(stage, servers["bridge"], shop, size)]


def _compare(
    stage: Stage, servers: dict[str, Running], shop: Shop, connections: int, size: Size
) -> list[Line]:
    turns: dict[str, list[Turn]] = {name: [] for name in servers}
    for round_ in range(size.rounds):
        # Each round begins with another server, so that none is always the first after a pause.
        names = sorted(servers)
        for name in names[round_ % 4 :] + names[: round_ % 4]:
            turns[name].append(_turn(stage, servers[name], shop, connections, size))
    limit = statistics.median(turn.seen.rate for turn in turns["limit"])
    limits = [turn.seen.rate for turn in turns["limit"]]
    facts = {name: _facts(turns[name], limits) for name in turns}
    for name in ("bridge", "naive"):
        facts[name]["cpu_ratio"] = round(facts["limit"]["cpu_us"] / max(facts[name]["cpu_us"], 1), 2)
    return [
        Line(
            bench="a",
            name={
                "limit": f"same endpoint, signature only, nothing stored, {connections} connections",
                "flask": f"bare Flask, signature only, nothing stored, {connections} connections",
                "bridge": f"bridge: stored before answered, {connections} connections",
                "naive": f"naive: ORM, commit, one job per event, {connections} connections",
            }[name],
            value=statistics.median(turn.seen.rate for turn in turns[name]),
            unit="events/s",
            ratio=statistics.median(turn.seen.rate for turn in turns[name]) / limit,
            ratio_of="same endpoint, signature only",
            aim=AIM if name == "bridge" else None,
            facts=facts[name],
        )
        for name in ("limit", "flask", "bridge", "naive")
    ]


def _facts(turns: list[Turn], limits: list[float]) -> dict[str, Any]:
    """`cpu_us` is processor time of the web processes, PostgreSQL and Valkey for one event: the figure that other work disturbs least."""
    of_limit = [turn.seen.rate / limit for turn, limit in zip(turns, limits, strict=True)]
    facts: dict[str, Any] = {
        "range": spread(turn.seen.rate for turn in turns),
        "ratio_range": f"{min(of_limit):.2f}-{max(of_limit):.2f}",
        "p50_ms": round(statistics.median(turn.seen.percentile(0.50) for turn in turns), 1),
        "p99_ms": round(statistics.median(turn.seen.percentile(0.99) for turn in turns), 1),
        "cpu_us": round(statistics.median(turn.cpu_seconds / max(turn.seen.good, 1) * 1e6 for turn in turns)),
        "not_2xx": sum(sum(turn.seen.statuses.values()) - turn.seen.good for turn in turns),
        "broken": sum(turn.seen.broken for turn in turns),
    }
    if turns[0].stored is not None:
        facts["acknowledged"] = sum(turn.seen.good for turn in turns)
        facts["stored"] = sum(turn.stored or 0 for turn in turns)
    return facts


_turns = 0


def _turn(
    stage: Stage,
    server: Running,
    shop: Shop,
    connections: int,
    size: Size,
    seconds: float | None = None,
) -> Turn:
    global _turns  # noqa: PLW0603 - delivery ids of two turns must differ.
    _turns += 1
    empty_events()
    with Redis.from_url(stage.redis_url) as store:
        store.flushdb()
    orders = _orders(server, shop, connections, size, seconds or size.seconds)
    before = stage.cpu_seconds(server)
    seen = load.run(orders)
    cpu = stage.cpu_seconds(server) - before
    return Turn(
        seen, None if server.name in {"limit", "flask"} else number("SELECT count(*) FROM event"), cpu
    )


def _orders(server: Running, shop: Shop, connections: int, size: Size, seconds: float) -> load.Orders:
    return load.Orders(
        port=server.port,
        path=f"/webhooks/{shop.key}",
        secret=shop.secret,
        body=bodies.order(521, 17952969537).decode(),
        connections=connections,
        seconds=seconds,
        most=max(int(size.most_per_second * seconds), connections),
        name=f"bench-{_turns}",
    )


def _without_bell(stage: Stage, server: Running, shop: Shop, size: Size) -> list[Line]:
    """How long answers take while Valkey hangs: it holds its connections open and says nothing."""
    if stage.valkey is None:
        return []
    empty_events()
    orders = _orders(server, shop, 16, size, max(size.seconds * 2, 3.0))
    orders.name = "bench-hang"
    os.kill(stage.valkey.pid, signal.SIGSTOP)
    try:
        seen = load.run(orders)
    finally:
        os.kill(stage.valkey.pid, signal.SIGCONT)
    facts = {
        "p50_ms": seen.percentile(0.5),
        "p99_ms": seen.percentile(0.99),
        "events_per_second": round(seen.rate),
        "acknowledged": seen.good,
        "stored": number("SELECT count(*) FROM event"),
    }
    return [
        Line(
            "a", "slowest answer while Valkey hangs, 16 connections", seen.percentile(1.0), "ms", facts=facts
        )
    ]
