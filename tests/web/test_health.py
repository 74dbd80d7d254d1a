import pytest
from flask import Flask
from senders_of_tests import Shop, event
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.web import health


def healthz(app: Flask) -> tuple[int, dict]:
    answer = app.test_client().get("/healthz")
    return answer.status_code, answer.get_json()


def metrics(app: Flask, address: str = "127.0.0.1", **headers: str) -> tuple[int, str]:
    answer = app.test_client().get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": address})
    return answer.status_code, answer.get_data(as_text=True)


def test_all_is_well(app: Flask, session: Session) -> None:
    session.execute(text("INSERT INTO heartbeat (name, at, facts) VALUES ('clock', now(), '{}')"))
    session.commit()
    status, told = healthz(app)
    assert (status, told["status"], told["database"], told["redis"]) == (200, "ok", True, True)
    assert told["oldest_due_event_seconds"] is None
    assert told["processes"]["clock"] < 5


def test_a_silent_process_is_degraded_but_takes_events(app: Flask, session: Session) -> None:
    session.execute(
        text("INSERT INTO heartbeat (name, at, facts) VALUES ('clock', now() - interval '5 minutes', '{}')")
    )
    session.commit()
    status, told = healthz(app)
    assert (status, told["status"]) == (200, "degraded")
    assert told["processes"]["clock"] > 290


def test_late_events_are_degraded(app: Flask, session: Session, shop: Shop) -> None:
    shop.post(event())
    session.execute(text("UPDATE event SET next_attempt_at = now() - interval '10 minutes'"))
    session.commit()
    status, told = healthz(app)
    assert (status, told["status"]) == (200, "degraded")
    assert told["oldest_due_event_seconds"] > 590


def test_redis_away_is_degraded_because_events_are_still_taken(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "REDIS_URL", "redis://127.0.0.1:1/0")
    status, told = healthz(app)
    assert (status, told["status"], told["redis"]) == (200, "degraded", False)


def test_database_away_is_503(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> float:
        raise OperationalError("SELECT", {"secret": "canary"}, Exception("away"))

    monkeypatch.setattr(health, "_oldest_due", gone)
    status, told = healthz(app)
    assert (status, told) == (503, {"status": "down", "database": False, "redis": True})


def test_metrics_count_what_is_there(app: Flask, session: Session, shop: Shop) -> None:
    for _ in range(3):
        shop.post(event())
    session.execute(text("UPDATE event SET state = 'dead' WHERE id = 1"))
    session.commit()
    status, told = metrics(app)
    assert status == 200
    for line in (
        'shopbridge_events{state="dead"} 1.0',
        'shopbridge_events{state="due"} 2.0',
        "shopbridge_dead_letters 1.0",
        "shopbridge_offers_stale 0.0",
        "shopbridge_open_cases 0.0",
        'shopbridge_webhook_seconds_count{status="202"}',
    ):
        assert line in told
    assert "oldest_due_event_seconds" in told


def test_metrics_are_for_this_machine_only(app: Flask) -> None:
    assert metrics(app, "::1")[0] == 200
    assert metrics(app, "192.0.2.1")[0] == 401
    assert metrics(app, "")[0] == 401
    assert metrics(app, **{"X-Forwarded-For": "192.0.2.1"})[0] == 401, (
        "a reverse proxy makes everybody look local"
    )


def test_metrics_with_a_token_need_it_from_everywhere(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "SHOPBRIDGE_METRICS_TOKEN", "canary-token")
    assert metrics(app)[0] == 401
    assert metrics(app, Authorization="Bearer wrong")[0] == 401
    assert metrics(app, Authorization="Bearer ä")[0] == 401
    status, told = metrics(app, "192.0.2.1", Authorization="Bearer canary-token")
    assert status == 200
    assert "canary" not in told
