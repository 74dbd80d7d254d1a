"""After a 429 nobody calls again before the rest is over, and a rest stops no more than it must: at every marketplace, through the real Door."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import responses

from app.errors import Unavailable
from app.kept import KeptInMemory
from app.outbound import Answer, Door, Limiter
from tests.marketplaces.test_contract import VERBS, call, keys

HOST = "https://partner.example"


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as found:
        yield found


def too_busy(double: Any, wire: responses.RequestsMock) -> list[str]:
    """Every call is answered 429, come again in 40 seconds; the calls, as they come."""
    called: list[str] = []

    def answer(request: Any) -> tuple[int, dict[str, str], bytes]:
        called.append(f"{request.method} {request.url.partition('?')[0]}")
        return 429, {"Retry-After": "40"}, double.error(429)

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        wire.add_callback(method, re.compile(".*"), callback=answer)
    return called


class AnsweringDoor(Door):
    """The real Door, except that what the client must know first is answered as the marketplace's contract.py says."""

    always: Mapping[str, Answer] = {}

    def call(self, operation: str, *args: Any, **how: Any) -> Answer:
        if operation in self.always:
            return self.always[operation]
        return super().call(operation, *args, **how)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "accept_return"])
@pytest.mark.parametrize("key", keys())
def test_a_429_is_followed_by_no_further_call_of_its_kind(
    key: str, verb: str, wire: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = importlib.import_module(f"app.marketplaces.{key}").PROVIDER
    double = importlib.import_module(f"tests.marketplaces.{key}.contract")
    settings = provider.settings().load(double.SETTINGS)
    door = AnsweringDoor(
        connection=7,
        base_url=f"{HOST}/x",
        egress="public_https",
        lanes=provider.lanes,
        hosts=dict.fromkeys(provider.hosts, HOST),
        limiter=Limiter.in_memory(patience=0.0),
        kept=KeptInMemory(),
    )
    door.always = getattr(double, "ANSWERS", {})
    called = too_busy(double, wire)
    monkeypatch.setattr("app.outbound.check_url", lambda *args, **how: None)
    client = provider.client(door, settings)
    with pytest.raises(Unavailable) as busy:
        call(client, verb, double)
    first = len(called)
    assert first >= 1
    if busy.value.pauses:
        assert busy.value.retry_after == 40  # the whole connection rests: the workers' business
        return
    with pytest.raises(Unavailable) as still:
        call(client, verb, double)
    assert len(called) == first
    assert 0 < (still.value.retry_after or 0) <= 40
