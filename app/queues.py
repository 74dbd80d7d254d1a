"""The one door to RQ. RQ is only a bell: a ring says "this connection has work"; what the work is stands in the database.

What may go wrong: Redis is down, flushed or loses the job. Nothing is lost then: the clock rings again within seconds. Whoever can write to
Redis can forge a job: only the functions below run, and only with a whole number as argument.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Literal

import redis
import structlog
from flask import Flask, current_app
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

Lane = Literal["in", "out", "poll"]
LANES: tuple[Lane, ...] = ("in", "out", "poll")
FUNCTIONS = {"in": "app.jobs.drain_inbox", "out": "app.jobs.drain_outbox", "poll": "app.jobs.ask_marketplace"}

BELL_SECONDS = 15
FRESH_BELL_SECONDS = 2  # until its job is queued: a ringer that dies or gives up in between must not silence the others for long
PAUSE_SECONDS = (
    0.02  # between two rounds of a Ringer: what comes meanwhile is one ring; the first one never waits
)
# A marketplace with many thousand orders or offers takes a while to be read, and a look that is cut short begins at its start again.
JOB_SECONDS: dict[Lane, int] = {"in": 120, "out": 120, "poll": 1800}

log = structlog.get_logger(__name__)


class ForbiddenJob(ValueError):
    """Somebody put a job into Redis that is not ours."""


class BridgeJob(Job):
    """A job that can only be one of our three functions with one connection id (reliability R21, R22)."""

    @property
    def func(self) -> Any:
        if self.func_name not in FUNCTIONS.values() or self.kwargs or self.instance is not None:
            raise ForbiddenJob(f"job {self.func_name!r} is not on the list")
        if len(self.args) != 1 or type(self.args[0]) is not int:
            raise ForbiddenJob("a job takes one connection id")
        return super().func


def connect(url: str | None = None) -> redis.Redis:
    """The Redis of this process; short time-outs, because a bell must never hold up a webhook."""
    store: dict[str, redis.Redis] = current_app.extensions.setdefault("shopbridge.redis", {})
    address = url or current_app.config["REDIS_URL"]
    if address not in store:
        store[address] = redis.Redis.from_url(
            address, socket_timeout=2, socket_connect_timeout=1, health_check_interval=30
        )
    return store[address]


def ring(lane: Lane, connection_id: int) -> bool:
    """Say that a connection has work in a lane. Many rings are one job: the bell stays up until the job lowers it.

    Never raises: the row in the database is the truth and the clock rings again. Answers whether a job was queued.
    """
    try:
        return _ring(connect(), lane, connection_id)
    except (redis.RedisError, OSError) as error:
        log.warning("bell.not_rung", lane=lane, connection=connection_id, error=type(error).__name__)
        return False


def _ring(store: redis.Redis, lane: Lane, connection_id: int) -> bool:
    bell = f"bell:{lane}:{connection_id}"
    if not store.set(bell, 1, nx=True, ex=FRESH_BELL_SECONDS):
        return False
    queue(lane, store).enqueue(
        FUNCTIONS[lane],
        connection_id,
        job_timeout=JOB_SECONDS[lane],
        result_ttl=0,
        failure_ttl=604800,
        description=lane,
    )
    store.expire(bell, BELL_SECONDS)
    return True


class Ringer:
    """Rings from a thread of its own, so that no webhook waits for Redis and many events of a moment are one ring.

    What is asked for is rung after it was asked for, so after the commit of whoever asked. What may go wrong: the process dies in between; then
    the clock rings.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._asked: set[tuple[Lane, int]] = set()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def ask(self, lane: Lane, connection_id: int) -> None:
        """Soon, and only once for all who ask until then."""
        with self._lock:
            self._asked.add((lane, connection_id))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)
                self._thread.start()
        self._wake.set()

    def stop(self) -> None:
        """Ring what was asked for, then end."""
        self._stopped.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(5)

    def _run(self) -> None:
        with self._app.app_context():
            while True:
                self._wake.wait()
                self._wake.clear()
                with self._lock:
                    asked, self._asked = self._asked, set()
                for lane, connection_id in sorted(asked):
                    ring(lane, connection_id)
                if self._stopped.wait(PAUSE_SECONDS) and not self._asked:
                    return


def ring_soon(lane: Lane, connection_id: int) -> None:
    """Like `ring`, but where a Ringer is at work (in the web server) nobody waits for it."""
    ringer: Ringer | None = current_app.extensions.get("shopbridge.ringer")
    if ringer is None:
        ring(lane, connection_id)
    else:
        ringer.ask(lane, connection_id)


def lower(lane: Lane, connection_id: int) -> None:
    """The job has started: from now on a new ring queues a new job. Must come before the job reads its rows."""
    try:
        connect().delete(f"bell:{lane}:{connection_id}")
    except (redis.RedisError, OSError) as error:
        log.warning("bell.not_lowered", lane=lane, connection=connection_id, error=type(error).__name__)


def queue(lane: Lane, store: redis.Redis | None = None) -> Queue:
    """The RQ queue of a lane."""
    return Queue(lane, connection=store or connect(), serializer=JSONSerializer, job_class=BridgeJob)


class LaneWorker(SimpleWorker):
    """Runs jobs in its own process: no fork for every bell, connections to partners stay open (docs/decisions/0001)."""

    job_class = BridgeJob


def work(lane: Lane, *, burst: bool = False) -> None:
    """Run a worker of exactly one queue (two queues in one worker can lose a job, reliability R1) until it is told to stop."""
    store = redis.Redis.from_url(current_app.config["REDIS_URL"], health_check_interval=30)
    worker = LaneWorker(
        [queue(lane, store)],
        connection=store,
        serializer=JSONSerializer,
        job_class=BridgeJob,
        worker_ttl=60,
        maintenance_interval=60,
        log_job_description=False,
        name=f"{lane}-{os.getpid()}-{os.urandom(4).hex()}",
    )
    worker.work(burst=burst, with_scheduler=False, logging_level="WARNING")


def depth() -> dict[str, int]:
    """Jobs waiting in each lane; for the doctor. Raises redis.RedisError."""
    store = connect()
    return {lane: int(store.llen(f"rq:queue:{lane}")) for lane in LANES}


__all__ = [
    "FUNCTIONS",
    "LANES",
    "BridgeJob",
    "ForbiddenJob",
    "Lane",
    "Ringer",
    "connect",
    "depth",
    "lower",
    "queue",
    "ring",
    "ring_soon",
    "work",
]
