"""What every marketplace must be, whoever wrote it. Walks the registry; each marketplace brings tests/marketplaces/<key>/contract.py.

contract.py says, for this test only: SETTINGS (what a merchant would type in, valid), PIECE and RETURN_PIECE (ids of the partner's form),
OFFER (an OfferWanted that reaches the wire), error(status) -> bytes (the partner's error body), and, where the client first needs
something else such as a token, ANSWERS (operation -> Answer).
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from marshmallow import Schema, ValidationError

from app import messages as m
from app import registry
from app.errors import Unauthorised, Unavailable, Unknown
from tests.marketplaces.doors import StubbornDoor

FILES = {"__init__.py", "settings.py", "client.py", "translate.py"}
VERBS = [
    name
    for name, value in vars(registry.MarketplaceClient).items()
    if inspect.isfunction(value) and name[0] != "_"
]
RETURN_REJECTIONS = {
    "damaged", "wrong_item", "missing_item", "too_late", "hygiene_seal", "third_party", "exchange", "other",
}  # fmt: skip
CANCEL_REASONS = {
    "buyer_cancelled",
    "out_of_stock",
    "address_undeliverable",
    "wrong_price",
    "wrong_data",
    "other",
}
IMPURE = {"flask", "flask_sqlalchemy", "sqlalchemy", "rq", "redis", "requests"}
NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)


def keys() -> list[str]:
    """Found without importing them, so that one broken marketplace does not hide the tests of the others."""
    package = importlib.import_module("app.marketplaces")
    folders = [Path(place) for place in package.__path__]
    return sorted(each.parent.name for folder in folders for each in folder.glob("*/__init__.py"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "key" in metafunc.fixturenames:
        metafunc.parametrize("key", keys())


@pytest.fixture
def provider(key: str) -> registry.Provider:
    found: registry.Provider = importlib.import_module(f"app.marketplaces.{key}").PROVIDER
    return found


@pytest.fixture
def double(key: str) -> Any:
    return importlib.import_module(f"tests.marketplaces.{key}.contract")


@pytest.fixture
def client(provider: registry.Provider, double: Any) -> Callable[[int], Any]:
    """A client whose partner answers everything with one status."""

    def made(status: int) -> Any:
        settings = provider.settings().load(double.SETTINGS)
        door = StubbornDoor(status, double.error, getattr(double, "ANSWERS", {}))
        return provider.client(door, settings)

    return made


def call(client: Any, verb: str, double: Any) -> Any:
    """The verb with arguments that reach the wire; iterables are read to their end."""
    arguments: dict[str, tuple[Any, ...]] = {
        "orders_to_ship": (None,),
        "orders_changed": (NOW,),
        "returns_changed": (NOW,),
        "read_pieces": ([double.PIECE],),
        "ship": (m.ShipmentWanted((double.PIECE,), "00340434161094015902", "dhl", "DHL"),),
        "cancel": ([double.PIECE], "buyer_cancelled"),
        "refund": (double.PIECE, 100, "other"),
        "accept_return": (double.RETURN_PIECE,),
        "push_offers": ([double.OFFER],),
        "read_offers": ([double.OFFER.sku],),
    }
    result = getattr(client, verb)(*arguments.get(verb, ()))
    return list(result) if not isinstance(result, m.PieceAnswer | m.ConnectionCheck) else result


def deeds(provider: registry.Provider) -> list[str]:
    can = provider.capabilities
    return [
        "ship",
        "cancel",
        *(["refund"] if can.refund_amounts else []),
        *(["accept_return"] if can.returns else []),
    ]


# --- the shape ---------------------------------------------------------------------------------------------------------


def test_it_has_the_four_files_and_no_others(key: str, provider: registry.Provider) -> None:
    folder = Path(inspect.getfile(importlib.import_module(f"app.marketplaces.{key}"))).parent
    assert {each.name for each in folder.glob("*.py")} == FILES


def test_each_file_says_what_it_is_for(key: str, provider: registry.Provider) -> None:
    folder = Path(inspect.getfile(importlib.import_module(f"app.marketplaces.{key}"))).parent
    silent = [
        name for name in sorted(FILES) if not ast.get_docstring(ast.parse((folder / name).read_text("utf-8")))
    ]
    assert silent == []


def test_it_is_named_as_its_folder(key: str, provider: registry.Provider) -> None:
    assert provider.key == key
    assert provider.role == "marketplace"
    assert provider.name.strip()


def test_its_currencies_and_countries_are_codes(key: str, provider: registry.Provider) -> None:
    assert provider.currencies
    assert all(len(each) == 3 and each.isupper() for each in provider.currencies)
    assert all(len(each) == 2 for each in provider.countries)


def test_it_is_called_over_public_https(key: str, provider: registry.Provider) -> None:
    if provider.egress == "public_https" and provider.base_url is not None:
        assert provider.base_url.startswith("https://")
        assert not provider.base_url.endswith("/")


def test_every_verb_is_there_with_the_contracts_parameters(key: str, provider: registry.Provider) -> None:
    wrong = []
    for verb in VERBS:
        wanted = list(inspect.signature(getattr(registry.MarketplaceClient, verb)).parameters)
        given = getattr(provider.client, verb, None)
        if given is None or list(inspect.signature(given).parameters)[: len(wanted)] != wanted:
            wrong.append(verb)
    assert wrong == []


def test_extra_parameters_of_a_verb_are_optional(key: str, provider: registry.Provider) -> None:
    for verb in ["__init__", *VERBS]:
        wanted = inspect.signature(getattr(registry.MarketplaceClient, verb)).parameters
        given = inspect.signature(getattr(provider.client, verb)).parameters
        extra = [each for name, each in given.items() if name not in wanted]
        assert all(each.default is not inspect.Parameter.empty for each in extra), verb


def test_its_translator_is_pure(key: str, provider: registry.Provider) -> None:
    module = importlib.import_module(f"app.marketplaces.{key}.translate")
    named = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Import):
            named.update(each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            named.add(node.module.partition(".")[0])
    assert not named & IMPURE


# --- settings -----------------------------------------------------------------------------------------------------------


def test_its_settings_can_be_loaded(key: str, provider: registry.Provider, double: Any) -> None:
    assert issubclass(provider.settings, Schema)
    assert provider.settings().load(double.SETTINGS)


def test_empty_settings_are_refused_with_a_field_named(key: str, provider: registry.Provider) -> None:
    with pytest.raises(ValidationError) as refused:
        provider.settings().load({})
    assert refused.value.normalized_messages()


def test_every_setting_has_a_label_in_both_languages(key: str, provider: registry.Provider) -> None:
    shown = {name: each.metadata.get("label", {}) for name, each in provider.settings().fields.items()}
    assert {name for name, label in shown.items() if not (label.get("de") and label.get("en"))} == set()


def test_its_secrets_are_settings(key: str, provider: registry.Provider) -> None:
    assert provider.secret_settings
    assert set(provider.secret_settings) <= set(provider.settings().fields)


# --- capabilities ---------------------------------------------------------------------------------------------------------


def test_its_capabilities_are_consistent(key: str, provider: registry.Provider) -> None:
    can = provider.capabilities
    assert can.offer_batch >= 1
    assert set(can.cancel_reasons) <= CANCEL_REASONS
    assert set(can.return_rejections) <= RETURN_REJECTIONS
    assert can.ship_without_tracking in {"never", "special_carrier", "yes"}
    assert can.holiday in {"stock_zero", "on_hold", "closed_dates"}
    assert can.price_basis in {"gross", "net"}


def test_new_orders_are_asked_for_within_five_minutes(key: str, provider: registry.Provider) -> None:
    orders = [each for each in provider.polls if each.kind == "orders"]
    assert len(orders) == 1
    assert orders[0].every <= 300  # C1
    assert all(0 < each.floor <= each.every for each in provider.polls)


# --- errors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in {"check", "accept_return"}])
def test_wrong_credentials_stop_the_connection(
    key: str, verb: str, client: Callable[[int], Any], double: Any
) -> None:
    with pytest.raises(Unauthorised):
        call(client(401), verb, double)


def test_the_check_says_in_a_reason_that_the_credentials_are_wrong(
    key: str, client: Callable[[int], Any], double: Any
) -> None:
    checked = call(client(401), "check", double)
    assert not checked.ok
    assert checked.reason is not None


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "accept_return"])
def test_too_many_calls_pause_the_connection(
    key: str, verb: str, client: Callable[[int], Any], double: Any
) -> None:
    with pytest.raises(Unavailable) as busy:
        call(client(429), verb, double)
    assert busy.value.pauses
    assert busy.value.retry_after == 7


@pytest.mark.parametrize("verb", ["ship", "cancel", "refund", "accept_return"])
def test_a_deed_without_a_clear_answer_is_unknown(
    key: str, verb: str, provider: registry.Provider, client: Callable[[int], Any], double: Any
) -> None:
    if verb in deeds(provider):
        with pytest.raises(Unknown):
            call(client(500), verb, double)


@pytest.mark.parametrize("verb", ["orders_to_ship", "orders_changed", "read_pieces", "read_offers", "check"])
def test_a_read_that_fails_is_only_not_now(
    key: str, verb: str, client: Callable[[int], Any], double: Any
) -> None:
    with pytest.raises(Unavailable):
        call(client(500), verb, double)
