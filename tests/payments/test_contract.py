"""What every payment provider must be, whoever wrote it. Walks the folders; each brings tests/payments/<key>/contract.py.

contract.py says, for this test only: SETTINGS (valid), error(status) -> bytes (the provider's error body) and, where a deed first asks something,
ANSWERS (operation -> Answer).
"""

from __future__ import annotations

import ast
import importlib
import inspect
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from marshmallow import Schema

from app import messages as m
from app import registry
from app.errors import Unauthorised, Unavailable, Unknown
from tests.marketplaces.doors import StubbornDoor

FILES = {"__init__.py", "settings.py", "client.py", "translate.py"}
DEEDS = ["capture", "refund", "payout", "reverse"]
VERBS = ["check", *DEEDS, "find", "movements"]
IMPURE = {"flask", "flask_sqlalchemy", "sqlalchemy", "rq", "redis", "requests"}
NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
WANTED = m.PaymentWanted(1790, "EUR", "dropshipping:7f3a:1042", "acct_1", "pay_1")


def keys() -> list[str]:
    """Found without importing them, so that one broken provider does not hide the tests of the others."""
    package = importlib.import_module("app.payments")
    return sorted(
        each.parent.name for place in package.__path__ for each in Path(place).glob("*/__init__.py")
    )


def provider_of(key: str) -> registry.Provider:
    found: registry.Provider = importlib.import_module(f"app.payments.{key}").PROVIDER
    return found


def client(key: str, status: int) -> Any:
    """A client whose provider answers everything with one status."""
    double = importlib.import_module(f"tests.payments.{key}.contract")
    door = StubbornDoor(status, double.error, getattr(double, "ANSWERS", {}))
    return provider_of(key).client(door, provider_of(key).settings().load(double.SETTINGS))


def call(made: Any, verb: str) -> Any:
    arguments: dict[str, tuple[Any, ...]] = {"check": (), "find": ("our:key",), "movements": (NOW,)}
    result = getattr(made, verb)(*arguments.get(verb, ("our:key", WANTED)))
    return list(result) if verb == "movements" else result


every = pytest.mark.parametrize("key", keys())
remote = pytest.mark.parametrize("key", [key for key in keys() if key != "manual"])


def test_the_three_are_there() -> None:
    assert keys() == ["manual", "simulated", "stripe"]


@every
def test_it_has_the_four_files_and_each_says_what_it_is_for(key: str) -> None:
    folder = Path(inspect.getfile(importlib.import_module(f"app.payments.{key}"))).parent
    assert {each.name for each in folder.glob("*.py")} == FILES
    assert all(ast.get_docstring(ast.parse((folder / name).read_text("utf-8"))) for name in FILES)


@every
def test_it_is_named_as_its_folder_and_found_by_the_registry(key: str) -> None:
    found = registry.provider(key)
    assert (found.key, found.role) == (key, "payment")
    assert issubclass(found.settings, Schema)
    assert set(found.secret_settings) <= set(found.settings().fields)


@every
def test_every_setting_has_a_label_in_both_languages(key: str) -> None:
    shown = {
        name: each.metadata.get("label", {}) for name, each in provider_of(key).settings().fields.items()
    }
    assert {name for name, label in shown.items() if not (label.get("de") and label.get("en"))} == set()


@every
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_there_with_the_contracts_parameters(key: str, verb: str) -> None:
    wanted = inspect.signature(getattr(registry.PaymentClient, verb)).parameters
    given = inspect.signature(getattr(provider_of(key).client, verb)).parameters
    assert list(given)[: len(wanted)] == list(wanted)
    assert {name: each.default for name, each in given.items()} == {
        name: each.default for name, each in wanted.items()
    }


@every
def test_its_translator_is_pure(key: str) -> None:
    module = importlib.import_module(f"app.payments.{key}.translate")
    named = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Import):
            named.update(each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            named.add(node.module.partition(".")[0])
    assert not named & IMPURE


@every
def test_it_imports_no_other_provider(key: str) -> None:
    folder = Path(inspect.getfile(importlib.import_module(f"app.payments.{key}"))).parent
    others = [f"app.payments.{other}" for other in keys() if other != key]
    assert not [
        (path.name, other)
        for path in folder.glob("*.py")
        for other in others
        if other in path.read_text("utf-8")
    ]


@remote
def test_a_provider_with_webhooks_can_prove_them(key: str) -> None:
    found = registry.translator(key).notice
    wanted = list(inspect.signature(registry.PaymentTranslate.notice).parameters)[1:]
    assert list(inspect.signature(found).parameters) == wanted
    assert "webhook_secrets" in provider_of(key).secret_settings


@remote
@pytest.mark.parametrize("verb", VERBS[1:])
def test_wrong_credentials_stop_the_connection(key: str, verb: str) -> None:
    with pytest.raises(Unauthorised):
        call(client(key, 401), verb)


@remote
def test_the_check_says_in_a_reason_that_the_credentials_are_wrong(key: str) -> None:
    checked = call(client(key, 401), "check")
    assert not checked.ok
    assert checked.reason is not None


@remote
@pytest.mark.parametrize("verb", VERBS)
def test_too_many_calls_pause_the_connection(key: str, verb: str) -> None:
    with pytest.raises(Unavailable) as busy:
        call(client(key, 429), verb)
    assert busy.value.pauses


@remote
@pytest.mark.parametrize("verb", DEEDS)
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_deed_without_a_clear_answer_is_unknown(key: str, verb: str, status: int) -> None:
    with pytest.raises(Unknown):
        call(client(key, status), verb)


@remote
@pytest.mark.parametrize("verb", DEEDS)
def test_a_deed_whose_answer_cannot_be_read_is_unknown(key: str, verb: str) -> None:
    """A maintenance page with status 200: the money may have moved."""
    double = importlib.import_module(f"tests.payments.{key}.contract")
    door = StubbornDoor(200, lambda status: b"<html>", getattr(double, "ANSWERS", {}))
    made = provider_of(key).client(door, provider_of(key).settings().load(double.SETTINGS))
    with pytest.raises(Unknown):
        call(made, verb)


@remote
@pytest.mark.parametrize("verb", ["check", "find", "movements"])
def test_a_read_that_fails_is_only_not_now(key: str, verb: str) -> None:
    with pytest.raises(Unavailable):
        call(client(key, 500), verb)


@every
@pytest.mark.parametrize("verb", DEEDS)
def test_every_deed_is_called_as_one(key: str, verb: str) -> None:
    """Only a deed is Unknown when its answer is lost: the Door must be told."""
    if key == "manual":
        assert call(client(key, 500), verb).state is m.PaymentState.PENDING
        return
    made = client(key, 500)
    with pytest.raises(Unknown):
        call(made, verb)
    assert made._door.deeds == 1
