"""`/healthz` for load balancers and `/metrics` for Prometheus: figures, never secrets or names of merchants.

What may go wrong: a node that can still take events in must not be taken out of service. So 503 means only that the database is away;
Redis away, late events or silent workers are "degraded" and still 200, because the rows wait in the database.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
from collections.abc import Iterator
from datetime import UTC, datetime

import prometheus_client
import redis
import structlog
from flask import Blueprint, Response, current_app, request
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app import queues
from app.extensions import db
from app.web import answers

blueprint = Blueprint("health", __name__)
log = structlog.get_logger(__name__)

LATE_SECONDS = 60  # events that wait longer are late
SILENT_SECONDS = 90  # a process that is silent for longer is gone

_WEBHOOK = prometheus_client.Histogram(
    "shopbridge_webhook_seconds",
    "Time from the first look at an event to its answer, in this web process",
    ["status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    registry=None,
)


def webhook_answered(status: int, seconds: float) -> None:
    """Count one answer of the webhook door."""
    _WEBHOOK.labels(str(status)).observe(seconds)


@blueprint.get("/healthz", provide_automatic_options=False)
def healthz() -> Response:
    """{"status": ok | degraded | down, "database", "redis", "oldest_due_event_seconds", "processes": {name: seconds silent}}."""
    try:
        oldest, processes = _oldest_due(), _silent_for()
    except SQLAlchemyError as error:
        log.warning("health.database_away", error=type(error).__name__)
        return answers.answer(503, {"status": "down", "database": False, "redis": _redis_answers()})
    store = _redis_answers()
    well = (
        store and (oldest or 0) <= LATE_SECONDS and all(age <= SILENT_SECONDS for age in processes.values())
    )
    body = {
        "status": "ok" if well else "degraded",
        "database": True,
        "redis": store,
        "oldest_due_event_seconds": oldest,
        "processes": processes,
    }
    return answers.answer(200, body)


def _oldest_due() -> float | None:
    """Seconds that the longest waiting due event has waited beyond its time; None when nothing waits."""
    query = text("""
        SELECT extract(epoch FROM now() - min(next_attempt_at)) FROM event
        WHERE state IN ('due', 'leased') AND next_attempt_at <= now()
    """)
    age = db.session.execute(query).scalar()
    return None if age is None else round(float(age), 1)


def _silent_for() -> dict[str, float]:
    """Seconds since the last sign of life, by process. Those of a former start (a day ago) are history."""
    query = text("""
        SELECT name, extract(epoch FROM now() - at) AS age FROM heartbeat
        WHERE at > now() - interval '1 day' AND name <> 'ledger' ORDER BY name LIMIT 200
    """)
    return {row.name: round(float(row.age), 1) for row in db.session.execute(query)}


def _redis_answers() -> bool:
    try:
        return bool(queues.connect().ping())
    except (redis.RedisError, OSError, ValueError):
        return False


@blueprint.get("/metrics", provide_automatic_options=False)
def metrics() -> Response:
    """The figures in Prometheus' text format, for this machine or for who knows SHOPBRIDGE_METRICS_TOKEN."""
    if not _may_read():
        return answers.problem(401, "token.invalid")
    registry = prometheus_client.CollectorRegistry(auto_describe=False)
    registry.register(_WEBHOOK)
    registry.register(Figures())
    return Response(
        prometheus_client.generate_latest(registry),
        mimetype="text/plain",
        content_type=prometheus_client.CONTENT_TYPE_LATEST,
    )


def _may_read() -> bool:
    token = current_app.config["SHOPBRIDGE_METRICS_TOKEN"]
    if token:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())
    # A reverse proxy on this machine would make everybody look local.
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


class Figures(Collector):
    """Counts read from the database when somebody asks."""

    def collect(self) -> Iterator[Metric]:
        """One query per figure."""
        yield _gauge("shopbridge_events", "Events by state", "state", _EVENTS)
        yield _gauge("shopbridge_commands", "Commands by state", "state", _COMMANDS)
        yield _gauge(
            "shopbridge_attempts_last_hour",
            "Calls to partners in the last hour by outcome",
            "outcome",
            _ATTEMPTS,
        )
        yield _gauge("shopbridge_offers", "Offers by state", "state", _OFFERS)
        yield GaugeMetricFamily(
            "shopbridge_offers_stale", "Offers that wait to be sent", value=_number(_STALE)
        )
        yield GaugeMetricFamily(
            "shopbridge_dead_letters", "Events and commands whose retries are used up", value=_number(_DEAD)
        )
        yield GaugeMetricFamily(
            "shopbridge_open_cases", "Problems somebody must look at", value=_number(_CASES)
        )
        yield GaugeMetricFamily(
            "shopbridge_oldest_due_event_seconds",
            "How long the oldest due event waits",
            value=_oldest_due() or 0.0,
        )
        yield GaugeMetricFamily(
            "shopbridge_scraped_process", "The web process that answers", value=float(os.getpid())
        )
        yield GaugeMetricFamily("shopbridge_time", "Server time", value=datetime.now(UTC).timestamp())


_EVENTS = "SELECT state, count(*) FROM event GROUP BY state"
_COMMANDS = "SELECT state, count(*) FROM command GROUP BY state"
_ATTEMPTS = (
    "SELECT outcome, count(*) FROM attempt WHERE started_at > now() - interval '1 hour' GROUP BY outcome"
)
_OFFERS = "SELECT state, count(*) FROM offer GROUP BY state"
_STALE = "SELECT count(*) FROM offer WHERE stale OR sent_revision < revision"
_DEAD = "SELECT (SELECT count(*) FROM event WHERE state = 'dead') + (SELECT count(*) FROM command WHERE state = 'dead')"
_CASES = "SELECT count(*) FROM case_ WHERE state = 'open'"


def _gauge(name: str, meaning: str, label: str, query: str) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for value, count in db.session.execute(text(query)):
        family.add_metric([value], float(count))
    return family


def _number(query: str) -> float:
    return float(db.session.execute(text(query)).scalar() or 0)
