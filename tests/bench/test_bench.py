"""Every bench runs, on few events: what it counts must be right; how long it takes is nobody's business here."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import draining, growth, latency, offers, results, webhooks
from bench.stage import Stage, stage

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def small_stage(
    database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("bench")
    with stage(
        folder, database_url=database_url, redis_url=redis_url, web_processes=1, web_threads=4
    ) as made:
        yield made


def by_name(lines: list[results.Line], word: str) -> results.Line:
    (found,) = [line for line in lines if line.name.startswith(word)]
    return found


def test_every_acknowledged_webhook_of_the_rate_bench_is_stored(small_stage: Stage) -> None:
    lines = webhooks.measure(small_stage, webhooks.TINY)
    for door in ("bridge", "naive"):
        facts = by_name(lines, door).facts
        assert facts["acknowledged"] == facts["stored"] > 0
        assert facts["not_2xx"] == facts["broken"] == 0
    limit = by_name(lines, "same endpoint")
    assert limit.ratio == 1
    assert "stored" not in limit.facts


def test_both_ways_of_the_drain_bench_work_off_every_event(small_stage: Stage) -> None:
    lines = draining.measure(small_stage, draining.TINY)  # it raises when an event is left
    assert len(lines) == 8
    assert all(line.value > 0 for line in lines)


def test_offer_bench_makes_exactly_as_many_calls_as_batches(small_stage: Stage) -> None:
    calls, seconds = offers.measure(small_stage, offers.TINY)
    assert calls.value == calls.facts["needed"] == 1
    assert calls.facts["wrong"] == 0
    assert seconds.ratio is not None


def test_no_update_of_the_latency_bench_gets_lost(small_stage: Stage) -> None:
    (line,) = latency.measure(small_stage, latency.TINY)
    assert line.facts["accepted"] == line.facts["sent"] == 10
    assert line.facts["never_arrived"] == 0


def test_growth_bench_compares_an_empty_with_a_full_table(small_stage: Stage) -> None:
    empty, full = growth.measure(small_stage, growth.TINY)
    assert full.ratio == full.value / empty.value


@pytest.mark.parametrize(
    ("line", "reached"),
    [
        (results.Line("a", "rate", 900, "events/s", ratio=0.45, aim=0.45), True),
        (results.Line("a", "rate", 900, "events/s", ratio=0.44, aim=0.45), False),
        (results.Line("c", "calls", 14, "calls", aim=14, must="=="), True),
        (results.Line("c", "calls", 13, "calls", aim=14, must="=="), False),
        (results.Line("d", "p95", 1000, "ms", aim=1000, must="<="), True),
        (results.Line("d", "p95", 1001, "ms", aim=1000, must="<="), False),
        (results.Line("c", "seconds", 15, "s"), None),
    ],
)
def test_table_says_whether_an_aim_was_reached(line: results.Line, reached: bool | None) -> None:
    assert line.reached is reached
    assert results.table([line]).splitlines()[1].endswith({True: "yes", False: "no", None: " s"}[reached])


def test_written_results_name_no_machine(tmp_path: Path) -> None:
    file = tmp_path / "results" / "latest.json"
    results.write([results.Line("a", "rate", 1.23456, "events/s")], seconds=3.2, file=file)
    told: dict[str, Any] = json.loads(file.read_text())
    assert told["lines"][0]["value"] == 1.235
    assert set(told["machine"]) == {
        "system",
        "processor",
        "cores",
        "python",
        "load_average_at_the_end",
    }
