"""Faults strike exactly what was ordered, as often as ordered."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from flask import Flask

from app.sandbox.faults import KINDS, Fault, Faults, install
from tests.marketplaces.kaufland.conftest import running


class Partner:
    """A partner with one list and one deed."""

    def __init__(self) -> None:
        self.done = 0
        self.faults = Faults()
        self.app = Flask("partner")
        install(self.app, self.faults, lambda status: {"error": status})
        self.app.add_url_rule(
            "/list", "list", lambda: {"data": [{"id": n, "status": "new"} for n in range(4)]}
        )
        self.app.add_url_rule("/one", "one", lambda: {"data": {"id": 1, "status": "new"}})
        self.app.add_url_rule("/deed", "deed", self._deed, methods=["POST"])

    def _deed(self) -> Any:
        self.done += 1
        return {}, 201


@pytest.fixture
def partner() -> Partner:
    return Partner()


@pytest.fixture
def url(partner: Partner) -> Iterator[str]:
    with running(partner.app) as found:
        yield found
        partner.faults.clear()


def test_without_an_order_nothing_goes_wrong(partner: Partner) -> None:
    client = partner.app.test_client()
    assert [client.get("/list").status_code, client.post("/deed").status_code] == [200, 201]


def test_a_fault_strikes_as_often_as_ordered(partner: Partner) -> None:
    partner.faults.add({"kind": "status", "status": 503, "path": "^/list$", "count": 2, "skip": 1})
    client = partner.app.test_client()
    assert [client.get("/list").status_code for _ in range(5)] == [200, 503, 503, 200, 200]
    assert client.get("/one").status_code == 200


def test_a_fault_for_one_body_leaves_other_calls_alone(partner: Partner) -> None:
    partner.faults.add({"kind": "status", "status": 503, "body": '"order\\.create"'})
    client = partner.app.test_client()
    sent = ["order.timeline", "order.create", "order.create"]
    assert [client.post("/deed", json={"type": each}).status_code for each in sent] == [201, 503, 201]


def test_a_fault_without_end_strikes_until_it_is_cleared(partner: Partner) -> None:
    partner.faults.add({"kind": "status", "status": 500, "count": -1, "method": "GET"})
    client = partner.app.test_client()
    assert [client.get("/list").status_code for _ in range(3)] == [500] * 3
    assert client.post("/deed").status_code == 201
    partner.faults.clear()
    assert client.get("/list").status_code == 200


@pytest.mark.parametrize(("effect", "done"), [(False, 0), (True, 1)])
def test_an_error_may_come_before_or_after_the_deed(partner: Partner, effect: bool, done: int) -> None:
    partner.faults.add({"kind": "status", "status": 500, "effect": effect})
    answer = partner.app.test_client().post("/deed")
    assert (answer.status_code, answer.json, partner.done) == (500, {"error": 500}, done)


@pytest.mark.parametrize(("retry_after", "header"), [(17, "17"), (None, None)])
def test_too_many_calls_with_and_without_a_time(
    partner: Partner, retry_after: int | None, header: str | None
) -> None:
    partner.faults.add({"kind": "status", "status": 429, "retry_after": retry_after})
    answer = partner.app.test_client().get("/list")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (429, header)


def test_the_same_seed_draws_the_same_faults() -> None:
    def draws(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.add(Fault("latency", probability=0.3, count=-1))
        return [bool(faults.draw("GET", "/")) for _ in range(200)]

    assert draws(7) == draws(7)
    assert draws(7) != draws(8)
    assert 30 < sum(draws(7)) < 90


def rows(partner: Partner, **fault: Any) -> Any:
    partner.faults.add(fault)
    return partner.app.test_client().get("/list").get_json()["data"]


def test_lists_are_bent_as_ordered(partner: Partner) -> None:
    assert [row["id"] for row in rows(partner, kind="duplicate_row")] == [0, 1, 2, 3, 0]
    assert [row["id"] for row in rows(partner, kind="half_page")] == [0, 1]
    assert {row["status"] for row in rows(partner, kind="unknown_enum")} == {"never_seen_before"}
    assert rows(partner, kind="schema_change", value="extra")[0] == {"id": 0, "extra": {"new": True}}


def test_one_object_is_bent_too(partner: Partner) -> None:
    partner.faults.add({"kind": "unknown_enum"})
    assert partner.app.test_client().get("/one").get_json()["data"]["status"] == "never_seen_before"


def test_a_maintenance_page_is_no_json(partner: Partner) -> None:
    partner.faults.add({"kind": "garbage"})
    answer = partner.app.test_client().get("/list")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")


@pytest.mark.parametrize(("effect", "done"), [(False, 0), (True, 1)])
def test_a_reset_cuts_the_line(partner: Partner, url: str, effect: bool, done: int) -> None:
    partner.faults.add({"kind": "reset", "effect": effect})
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{url}/deed", timeout=5)
    assert partner.done == done


def test_a_timeout_does_the_deed_and_says_nothing(partner: Partner, url: str) -> None:
    partner.faults.add({"kind": "timeout", "seconds": 30})
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{url}/deed", timeout=0.2)
    deadline = time.monotonic() + 20
    while not partner.done and time.monotonic() < deadline:
        time.sleep(0.005)  # the caller may be gone before a busy machine has come to it
    assert partner.done == 1


def test_clearing_lets_go_of_calls_that_hang(partner: Partner, url: str) -> None:
    partner.faults.add({"kind": "latency", "seconds": 30})
    started, answers = time.monotonic(), []
    waiting = threading.Thread(
        target=lambda: answers.append(requests.get(f"{url}/list", timeout=20).status_code)
    )
    waiting.start()
    while not partner.faults.calls:
        time.sleep(0.005)
    partner.faults.clear()
    waiting.join(10)
    assert answers == [200]
    assert time.monotonic() - started < 10


def test_faults_are_ordered_and_read_over_http(partner: Partner) -> None:
    client = partner.app.test_client()
    assert (
        client.post(
            "/_control/faults", json=[{"kind": "status", "status": 502}, {"kind": "latency"}]
        ).status_code
        == 201
    )
    assert client.get("/list").status_code == 502
    listed: Any = client.get("/_control/faults").json
    assert [(each["kind"], each["struck"]) for each in listed["faults"]] == [("status", 1), ("latency", 1)]
    assert set(listed["kinds"]) == set(KINDS)
    client.post("/_control/seed", json={"seed": 3})
    client.delete("/_control/faults")
    assert client.get("/_control/faults").json["faults"] == []  # type: ignore[index]


@pytest.mark.parametrize(
    "wrong", [{"kind": "earthquake"}, {"kind": "status", "colour": "green"}, {"status": 500}]
)
def test_a_fault_that_does_not_exist_is_refused(partner: Partner, wrong: dict[str, Any]) -> None:
    answer = partner.app.test_client().post("/_control/faults", json=wrong)
    assert answer.status_code == 400
    assert "kinds" in answer.json  # type: ignore[operator]


def test_every_call_is_noted_and_what_was_done_to_it(partner: Partner) -> None:
    client = partner.app.test_client()
    partner.faults.add({"kind": "status", "status": 500, "path": "/deed"})
    client.post("/deed?a=1", json={"b": 2})
    client.get("/list")
    calls: Any = client.get("/_control/calls").json
    told = [
        (each["method"], each["path"], each["query"], each["body"], each["status"], each["faults"])
        for each in calls["calls"]
    ]
    assert told == [("POST", "/deed", "a=1", {"b": 2}, 500, ["status"]), ("GET", "/list", "", None, 200, [])]
    client.delete("/_control/calls")
    assert partner.faults.calls == []


def test_a_test_client_has_no_line_to_cut(partner: Partner) -> None:
    partner.faults.add({"kind": "reset"})
    partner.app.testing = True
    with pytest.raises(TypeError, match="real server"):
        partner.app.test_client().get("/list")
