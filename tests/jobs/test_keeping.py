"""What a partner told us is asked for once, ends by itself, is sealed where it lies, and stays when Redis is emptied."""

from __future__ import annotations

import threading

import pytest
from flask import Flask
from sqlalchemy import text

from app import accounts
from app.errors import Unavailable
from app.extensions import db
from app.jobs.keeping import KeptInDatabase
from app.kept import KeptInMemory

SETTINGS = {"client_key": "a" * 32, "secret_key": "b" * 64}


@pytest.fixture
def connections(app: Flask) -> list[int]:
    account = accounts.create_account(db.session, "Anna's Teeladen")
    made = [
        accounts.connect_marketplace(db.session, account, "kaufland", SETTINGS, name=name) for name in "AB"
    ]
    db.session.commit()
    return [each.id for each in made]


@pytest.fixture
def kept(connections: list[int]) -> KeptInDatabase:
    return KeptInDatabase(db.engine, connections[0])


def test_it_is_asked_for_once(kept: KeptInDatabase) -> None:
    asked: list[int] = []

    def ask() -> tuple[str, float]:
        asked.append(1)
        return "a token", 60

    assert [kept.get("token", ask) for _ in range(3)] == ["a token"] * 3
    assert len(asked) == 1


def test_many_who_want_it_at_the_same_moment_ask_once(app: Flask, kept: KeptInDatabase) -> None:
    asked: list[int] = []
    found: list[object] = []
    all_there = threading.Barrier(4)

    def ask() -> tuple[str, float]:
        asked.append(1)
        return "a token", 60

    def want() -> None:
        with app.app_context():
            all_there.wait(20)
            found.append(kept.get("token", ask))

    threads = [threading.Thread(target=want) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(40)
    assert found == ["a token"] * 4
    assert len(asked) == 1


def test_nothing_is_kept_of_a_failure(kept: KeptInDatabase) -> None:
    def fail() -> tuple[str, float]:
        raise Unavailable("partner.unreachable")

    with pytest.raises(Unavailable):
        kept.get("token", fail)
    assert kept.get("token", lambda: ("a token", 60)) == "a token"


def test_none_is_a_value(kept: KeptInDatabase) -> None:
    assert kept.get("limit", lambda: (None, 60)) is None
    assert kept.get("limit", lambda: (1, 60)) is None
    assert kept.peek("limit") is None


def test_what_was_wrong_is_forgotten_and_what_is_kept_anew_counts(kept: KeptInDatabase) -> None:
    kept.keep("token", "an old one", 60)
    kept.keep("token", "a newer one", 60)
    assert kept.peek("token") == "a newer one"
    kept.forget("token")
    assert kept.peek("token") is None
    assert kept.get("token", lambda: ("a new one", 60)) == "a new one"


def test_two_connections_keep_different_things(connections: list[int]) -> None:
    first, second = (KeptInDatabase(db.engine, each) for each in connections)
    first.keep("token", "mine", 60)
    assert second.get("token", lambda: ("theirs", 60)) == "theirs"


def test_it_lies_sealed_and_ends(kept: KeptInDatabase) -> None:
    kept.keep("token", "very secret", 60)
    value = db.session.execute(text("SELECT value FROM kept")).scalar_one()
    assert b"very secret" not in bytes(value)
    db.session.execute(text("UPDATE kept SET until = now() - interval '1 second'"))
    db.session.commit()
    assert kept.peek("token") is None
    assert kept.get("token", lambda: ("another", 60)) == "another"


def test_what_is_true_for_no_time_is_not_kept(kept: KeptInDatabase) -> None:
    assert kept.get("hint", lambda: ([], 0.0)) == []
    assert kept.peek("hint") is None


def test_work_that_is_rolled_back_takes_no_note_along(kept: KeptInDatabase) -> None:
    db.session.execute(text("SELECT 1"))
    kept.keep("deed", 1, 60)
    db.session.rollback()
    assert kept.peek("deed") == 1


def test_in_memory_it_ends_by_itself() -> None:
    now = [0.0]
    kept = KeptInMemory(lambda: now[0])
    assert kept.get("token", lambda: ("first", 60)) == "first"
    now[0] = 60.0
    assert kept.peek("token") is None
    assert kept.get("token", lambda: ("second", 60)) == "second"


# --- shared by connections of one partner -----------------------------------------------------------------------------------------


@pytest.fixture
def brothers(connections: list[int]) -> list[KeptInDatabase]:
    return [KeptInDatabase(db.engine, each, shared=True) for each in connections]


def test_what_a_brother_was_told_is_not_asked_for_again(brothers: list[KeptInDatabase]) -> None:
    asked: list[int] = []

    def ask() -> tuple[str, float]:
        asked.append(1)
        return "a token", 60

    assert [each.get("token:1f", ask) for each in brothers] == ["a token"] * 2
    assert len(asked) == 1


def test_a_copy_ends_with_what_it_was_copied_from(brothers: list[KeptInDatabase]) -> None:
    first, second = brothers
    first.keep("token:1f", "a token", 60)
    second.get("token:1f", lambda: ("another", 6000))
    query = text("SELECT count(*) FROM kept WHERE until < now() + interval '61 seconds'")
    assert db.session.scalar(query) == 2


def test_what_a_brother_forgets_is_forgotten_by_all(brothers: list[KeptInDatabase]) -> None:
    first, second = brothers
    first.keep("token:1f", "a token", 60)
    second.get("token:1f", lambda: ("another", 60))
    second.forget("token:1f")
    assert first.peek("token:1f") is None


def test_another_partner_and_who_shares_nothing_are_no_brothers(
    connections: list[int], brothers: list[KeptInDatabase]
) -> None:
    brothers[0].keep("token:1f", "a token", 60)
    assert KeptInDatabase(db.engine, connections[1]).get("token:1f", lambda: ("mine", 60)) == "mine"
    db.session.execute(text("DELETE FROM kept WHERE connection_id = :id"), {"id": connections[1]})
    db.session.execute(text("UPDATE connection SET provider = 'otto' WHERE id = :id"), {"id": connections[1]})
    db.session.commit()
    assert brothers[1].get("token:1f", lambda: ("another", 60)) == "another"
    brothers[1].forget("token:1f")
    assert brothers[0].peek("token:1f") == "a token"
