"""What a merchant types in for OTTO Market, and what is said when it is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import ValidationError

from app.marketplaces.otto import PROVIDER
from app.marketplaces.otto.settings import OttoSettings

GOOD = {"client_id": "abc", "client_secret": "def", "ship_from_city": "Dresden", "ship_from_zip": "01067"}


def load(**change: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = OttoSettings().load(GOOD | change)
    return loaded


def wrong(**change: Any) -> set[str]:
    with pytest.raises(ValidationError) as refused:
        load(**change)
    return set(refused.value.normalized_messages())


def test_blanks_and_invisible_signs_around_pasted_keys_are_forgiven() -> None:
    loaded = load(client_id=" a\u200bb c\n", client_secret="\tdef ", shipping_group="  ")
    assert (loaded["client_id"], loaded["client_secret"], loaded["shipping_group"]) == ("abc", "def", None)


def test_a_password_keeps_its_blanks_inside() -> None:
    assert load(kind="legacy", username="anna", password=" a b& \n")["password"] == "a b&"


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"client_secret": ""}, {"client_secret"}),
        ({"kind": "legacy"}, {"username", "password"}),
        ({"kind": "other"}, {"kind"}),
        ({"ship_from_zip": ""}, {"ship_from_zip"}),
        ({"ship_from_country": "XX"}, {"ship_from_country"}),
        ({"return_carrier": "DPD"}, {"return_carrier"}),
        ({"return_address_carrier_id": "7"}, {"return_address_carrier_id"}),
        ({"shipping_group": "Paket"}, {"shipping_group"}),
        ({"delivery_type": "LETTER"}, {"delivery_type"}),
        ({"return_condition": "F"}, {"return_condition"}),
        ({"handling_days": 73}, {"handling_days"}),
        ({"golive_ticks": ["live"]}, {"golive_ticks"}),
        ({"product_mapping": {"titel": "title"}}, {"product_mapping"}),
        ({"product_mapping": {"attribute:": "title"}}, {"product_mapping"}),
        ({"live": "yes"}, {"live"}),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], fields: set[str]) -> None:
    assert wrong(**change) == fields


def test_credentials_of_the_other_kind_are_not_asked_for() -> None:
    assert (
        load(kind="legacy", username="anna", password="pass", client_id="", client_secret="")["kind"]
        == "legacy"
    )


def test_parcels_want_a_return_label_and_forwarders_do_not() -> None:
    assert PROVIDER.can(load()).return_tracking
    assert not PROVIDER.can(load(delivery_type="FORWARDER_CURBSIDE")).return_tracking


def test_nothing_is_ever_shipped_without_tracking() -> None:
    assert PROVIDER.can(load(delivery_type="FORWARDER_CURBSIDE")).ship_without_tracking == "never"


def test_the_sandbox_has_an_address_of_its_own() -> None:
    assert PROVIDER.address(load()) == "https://api.otto.market"
    assert PROVIDER.address(load(environment="sandbox")) == "https://sandbox.api.otto.market"
