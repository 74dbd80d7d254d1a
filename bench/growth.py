"""(e) Inserts a second by the door's own statement: into an empty table, and into one that holds a million events.

Two databases side by side, measured turn by turn. The stored events are done and their bodies emptied, as they are after two weeks; the indexes
are what an insert must keep up. What may go wrong: the index is larger than memory; a million rows do not show that.
"""

from __future__ import annotations

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from sqlalchemy import Engine, text

from app import inbox
from app.extensions import db
from bench import bodies
from bench.results import Line, spread
from bench.stage import Shop, Stage, number, plug_in_shop

AIM = 0.85
THREADS = 8


@dataclass(frozen=True)
class Size:
    """Rows that are there before, and inserts of one turn."""

    rounds: int = 5
    rows: int = 1_000_000
    inserts: int = 3_000


FULL = Size()
QUICK = Size(rounds=3, inserts=1_500)
TINY = Size(rounds=1, rows=2_000, inserts=80)


def measure(stage: Stage, size: Size) -> list[Line]:
    """The lines of the table."""
    with stage.bridge() as empty, stage.bridge() as full:
        places = {"empty": _Place(empty), "full": _Place(full)}
        _fill(places["full"], size.rows)
        rates: dict[str, list[float]] = {name: [] for name in places}
        for place in places.values():
            place.insert(THREADS * 8)
        for round_ in range(size.rounds):
            # The first of a round pays for what the last left behind, so they take turns.
            for name in sorted(places, reverse=bool(round_ % 2)):
                rates[name].append(places[name].turn(size.inserts))
    before, after = statistics.median(rates["empty"]), statistics.median(rates["full"])
    facts = {"range": spread(rates["full"])}
    return [
        Line("e", "inserts into an empty table", before, "events/s", facts={"range": spread(rates["empty"])}),
        Line(
            "e",
            f"inserts beside {size.rows:,} events",
            after,
            "events/s",
            after / before,
            "empty",
            AIM,
            facts=facts,
        ),
    ]


class _Place:
    """One database with a shop, and threads that insert into it."""

    def __init__(self, made: Flask) -> None:
        self.made = made
        with made.app_context():
            self.shop: Shop = plug_in_shop()
            engine = db.engine
        self.engine: Engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self.body = bodies.order(521, 1)
        self.count = 0
        self.lock = threading.Lock()

    def turn(self, inserts: int) -> float:
        """Inserts a second; what was inserted is taken out again, so that every turn finds the same table."""
        seconds = self.insert(inserts)
        self._run("DELETE FROM event WHERE state = 'due'")
        self._run("VACUUM event")
        return inserts / seconds

    def insert(self, inserts: int) -> float:
        with ThreadPoolExecutor(THREADS) as pool:
            started = time.perf_counter()
            shares = [pool.submit(self._share, inserts // THREADS) for _ in range(THREADS)]
            for share in shares:
                share.result()
            return time.perf_counter() - started

    def _share(self, inserts: int) -> None:
        for _ in range(inserts):
            with self.lock:
                self.count += 1
                at = self.count
            with self.engine.connect() as connection:
                stored = inbox.accept(
                    connection,
                    account_id=self.shop.account_id,
                    connection_id=self.shop.id,
                    delivery_id=f"evt_{at:032x}",
                    kind="order.changed",
                    subject="order/521",
                    sequence=at,
                    happened_at=datetime.now(UTC),
                    body=self.body,
                )
            assert stored is not None

    def _run(self, statement: str, **parameters: Any) -> None:
        with self.engine.connect() as connection:
            connection.execute(text(statement), parameters)


def _fill(place: _Place, rows: int) -> None:
    """A million events that were done long ago; ids in no order, as shops invent them."""
    place._run(
        """
        INSERT INTO event (account_id, connection_id, delivery_id, type, subject, sequence, happened_at, state, done_at)
        SELECT :account, :connection, 'old_' || md5(at::text), 'order.changed', 'order/' || at, at, now(), 'done', now()
        FROM generate_series(1, :rows) AS at
        """,
        account=place.shop.account_id,
        connection=place.shop.id,
        rows=rows,
    )
    place._run("VACUUM ANALYZE event")
    with place.made.app_context():
        assert number("SELECT count(*) FROM event") == rows
