"""What a partner told us is asked for once, ends by itself, and is sealed where it lies."""

from __future__ import annotations

import threading
import uuid

import pytest
from redis import Redis

from app.errors import Unavailable
from app.kept import KeptInMemory, KeptOnRedis
from app.vault import Vault, generate_key


@pytest.fixture
def kept(redis_url: str) -> KeptOnRedis:
    return KeptOnRedis(Redis.from_url(redis_url), Vault([generate_key()]), uuid.uuid4().int % 10**9)


def test_it_is_asked_for_once(kept: KeptOnRedis) -> None:
    asked: list[int] = []

    def ask() -> tuple[str, float]:
        asked.append(1)
        return "a token", 60

    assert [kept.get("token", ask) for _ in range(3)] == ["a token"] * 3
    assert len(asked) == 1


def test_many_who_want_it_at_the_same_moment_ask_once(kept: KeptOnRedis) -> None:
    asked: list[int] = []
    found: list[object] = []

    def ask() -> tuple[str, float]:
        asked.append(1)
        return "a token", 60

    threads = [threading.Thread(target=lambda: found.append(kept.get("token", ask))) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert found == ["a token"] * 8
    assert len(asked) == 1


def test_nothing_is_kept_of_a_failure(kept: KeptOnRedis) -> None:
    def fail() -> tuple[str, float]:
        raise Unavailable("partner.unreachable")

    with pytest.raises(Unavailable):
        kept.get("token", fail)
    assert kept.get("token", lambda: ("a token", 60)) == "a token"


def test_none_is_a_value(kept: KeptOnRedis) -> None:
    assert kept.get("limit", lambda: (None, 60)) is None
    assert kept.get("limit", lambda: (1, 60)) is None


def test_what_was_wrong_is_forgotten(kept: KeptOnRedis) -> None:
    kept.get("token", lambda: ("an old one", 60))
    kept.forget("token")
    assert kept.get("token", lambda: ("a new one", 60)) == "a new one"


def test_two_connections_keep_different_things(redis_url: str) -> None:
    vault, redis, first = Vault([generate_key()]), Redis.from_url(redis_url), uuid.uuid4().int % 10**9
    KeptOnRedis(redis, vault, first).get("token", lambda: ("mine", 60))
    assert KeptOnRedis(redis, vault, first + 1).get("token", lambda: ("theirs", 60)) == "theirs"


def test_it_lies_sealed_in_the_store(kept: KeptOnRedis, redis_url: str) -> None:
    kept.get("token", lambda: ("very secret", 60))
    values = [Redis.from_url(redis_url).get(key) for key in Redis.from_url(redis_url).keys("kept:*:token")]
    assert values
    assert not any(b"very secret" in value for value in values)


def test_a_store_that_is_ill_only_makes_everybody_ask() -> None:
    ill = Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.1)
    kept = KeptOnRedis(ill, Vault([generate_key()]), 1)
    assert kept.get("token", lambda: ("a token", 60)) == "a token"
    kept.forget("token")


def test_it_ends_by_itself() -> None:
    now = [0.0]
    kept = KeptInMemory(lambda: now[0])
    assert kept.get("token", lambda: ("first", 60)) == "first"
    now[0] = 60.0
    assert kept.get("token", lambda: ("second", 60)) == "second"
