"""What a merchant types in, and what is said about it."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import ValidationError

from app.marketplaces.kaufland.settings import KauflandSettings
from app.marketplaces.options import MarketplaceOptions

KEYS = {"client_key": "c" * 32, "secret_key": "5" * 64}


def load(**change: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = KauflandSettings().load(KEYS | change)
    return loaded


def refused(**change: Any) -> dict[str, Any]:
    with pytest.raises(ValidationError) as wrong:
        load(**change)
    messages: dict[str, Any] = wrong.value.normalized_messages()
    return messages


def test_two_keys_are_enough() -> None:
    ours = KauflandSettings().fields.keys() - MarketplaceOptions().fields.keys()
    assert {name: value for name, value in load().items() if name in {*ours, "handling_days"}} == {
        **KEYS,
        "storefronts": ["de"],
        "shipping_groups": {},
        "handling_days": 1,
        "locale": "de-DE",
    }


@pytest.mark.parametrize("around", [" {} ", "\n{}\r\n", "\u00a0{}", "\u200b{}\ufeff", "\t{}"])
def test_what_was_copied_along_is_taken_off(around: str) -> None:
    pasted = {name: around.format(value) for name, value in KEYS.items()}
    loaded = load(**pasted)
    assert {name: loaded[name] for name in KEYS} == KEYS


def test_a_key_that_was_cut_off_is_counted() -> None:
    assert refused(client_key="c" * 31) == {
        "client_key": ["must be 32 letters and digits, these are 31 characters"]
    }


def test_swapped_keys_are_recognised() -> None:
    messages = refused(client_key=KEYS["secret_key"], secret_key=KEYS["client_key"])
    assert messages == {"client_key": ["client key and secret key are swapped"]}


def test_one_offer_has_one_currency() -> None:
    assert load(storefronts=["de", "at"])["storefronts"] == ["de", "at"]
    assert "several currencies: CZK, EUR" in refused(storefronts=["de", "cz"])["storefronts"][0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"storefronts": []},
        {"storefronts": ["uk"]},
        {"handling_days": 101},
        {"handling_days": -1},
        {"handling_days": "1.5"},
        {"shipping_groups": {"de": 0}},
        {"shipping_groups": {"uk": 1}},
        {"locale": "en-GB"},
        {"client_key": None},
        {"client_key": 7},
        {"secret_key": "ö" * 63},
    ],
)
def test_wrong_settings_are_refused_at_their_field(wrong: dict[str, Any]) -> None:
    assert set(refused(**wrong)) == set(wrong)


def test_settings_of_a_newer_version_do_not_stop_an_older_one() -> None:
    assert "colour" not in load(colour="green")


@pytest.mark.parametrize("rule", [{}, {"kind": "same", "value": "0"}, {"kind": "plus", "value": "1,50"}])
def test_a_price_rule_is_kept_as_it_was_meant(rule: dict[str, str]) -> None:
    assert load(price_rule=rule)["price_rule"] == rule


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"": ""}, "must be like"),
        ({"percent": "10"}, "must be like"),
        ({"value": "10"}, "must be like"),
        ({"kind": "plus", "value": "1", "of": "x"}, "must be like"),
        ({"kind": "double"}, 'kind "double" cannot be used; must be like'),
        ({"kind": "minus_percent", "value": "100"}, 'value "100" cannot be used; must be like'),
    ],
)
def test_a_price_rule_that_nobody_understands_is_refused_with_a_sentence(
    rule: dict[str, str], said: str
) -> None:
    ((message,),) = refused(price_rule=rule).values()
    assert message.startswith(said)
    assert "kinds: same, fixed, plus" in message
