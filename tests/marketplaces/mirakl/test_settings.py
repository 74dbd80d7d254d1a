"""What a merchant may type in for a Mirakl operator, and what is said when it is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import ValidationError

from app.marketplaces.mirakl import PROVIDER, capabilities_of, polls_of
from app.marketplaces.mirakl.settings import PRESETS, MiraklSettings
from app.sandbox.mirakl import SIMULATOR

GOOD = {
    "host": "https://seller.mirakl.net",
    "api_key": "0f8c2a7e-1111-4222-8333-444455556666",
    "currency": "EUR",
}


def load(**change: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = MiraklSettings().load(GOOD | change)
    return loaded


@pytest.mark.parametrize(
    "typed",
    [
        "https://seller.mirakl.net",
        " https://Seller.Mirakl.net/ ",
        "seller.mirakl.net",
        "https://seller.mirakl.net/api/orders?max=10#top",
        "https://seller.mirakl.net/login",
    ],
)
def test_an_address_from_the_browser_is_made_right(typed: str) -> None:
    assert load(host=typed)["host"] == "https://seller.mirakl.net"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "http://seller.mirakl.net",
        "https://127.0.0.1",
        "https://localhost",
        "ftp://x.y",
        "https://u:p@seller.mirakl.net",
        "https://[",
    ],
)
def test_an_address_that_must_not_be_called_is_refused(typed: str) -> None:
    with pytest.raises(ValidationError) as refused:
        load(host=typed)
    assert "host" in refused.value.normalized_messages()


@pytest.mark.parametrize(
    "typed", [" 0f8c2a7e-1111-4222\n-8333-444455556666", "Bearer 0f8c2a7e-1111-4222-8333-444455556666"]
)
def test_a_key_is_freed_of_blanks_and_of_bearer(typed: str) -> None:
    assert load(api_key=typed)["api_key"] == GOOD["api_key"]


def test_a_preset_fills_in_what_all_its_sellers_share() -> None:
    given = {"operator": "eprice", "host": "https://eprice.mirakl.net", "api_key": GOOD["api_key"]}
    loaded = MiraklSettings().load(given)
    assert (loaded["currency"], loaded["locale"]) == ("EUR", "it_IT")
    assert MiraklSettings().load(given | {"locale": "en_GB"})["locale"] == "en_GB"
    assert "host" not in PRESETS["eprice"]  # nobody knows it


def test_without_a_preset_the_currency_is_needed() -> None:
    with pytest.raises(ValidationError) as refused:
        load(currency=None)
    assert "currency" in refused.value.normalized_messages()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("currency", "EURO"),
        ("locale", "italian"),
        ("operator", "amazon"),
        ("key_kind", "stolen"),
        ("shop_id", 0),
        ("shop_id", "2000"),
        ("handling_days", 101),
        ("cancel_reasons", {"bad_mood": "1"}),
        ("refund_reasons", {"return": ""}),
        ("api_key", "short"),
        ("categories", {"Tee": ""}),
        ("product_mapping", {"": "title"}),
    ],
)
def test_a_value_that_makes_no_sense_is_named(name: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        load(**{name: value})
    assert name in refused.value.normalized_messages()


def test_a_mapping_of_products_needs_categories() -> None:
    with pytest.raises(ValidationError) as refused:
        load(product_mapping={"marca": "brand"})
    assert "categories" in refused.value.normalized_messages()
    loaded = load(product_mapping={"marca": "brand"}, categories={"*": "TEE"})
    assert (loaded["product_mapping"], loaded["categories"]) == ({"marca": "brand"}, {"*": "TEE"})


def test_product_data_are_wanted_by_who_has_mapped_categories() -> None:
    assert not PROVIDER.can(load()).creates_products
    assert PROVIDER.can(load(categories={"*": "TEE"})).creates_products


def test_what_an_operator_has_switched_on_decides_what_flows_may_do() -> None:
    assert not capabilities_of(load()).partial_shipment
    assert capabilities_of(load(multi_shipment=True)).partial_shipment
    assert PROVIDER.can(load(multi_shipment=True)).acceptance == "pieces"


def test_a_partners_key_asks_every_quarter_of_an_hour_and_an_own_one_within_five_minutes() -> None:
    own = {each.kind: (each.every, each.floor) for each in polls_of(load())}
    partner = {each.kind: (each.every, each.floor) for each in polls_of(load(key_kind="partner"))}
    assert own["orders"] == (300, 60)
    assert partner["orders"] == (900, 900)
    # One list of orders for both kinds of look: two would break Mirakl's limit.
    assert "changes" not in own.keys() | partner.keys()


def test_the_address_and_the_currency_come_from_the_settings() -> None:
    assert PROVIDER.address(load()) == "https://seller.mirakl.net"
    assert PROVIDER.currency_of is not None
    assert PROVIDER.currency_of(load(currency="PLN")) == "PLN"


def test_the_simulator_takes_what_a_merchant_would_type_in() -> None:
    loaded = PROVIDER.settings().load(dict(SIMULATOR.settings))
    assert loaded["currency"] == "EUR"


@pytest.mark.parametrize(("typed", "kept"), [("22", "22"), (" 5,5 ", "5.5"), ("", None), (None, None)])
def test_the_rate_where_none_is_given_is_a_percentage_or_nothing(typed: str | None, kept: str | None) -> None:
    assert load(offer_prices="net", default_vat_percent=typed)["default_vat_percent"] == kept


@pytest.mark.parametrize("typed", ["much", "-1", "101", "NaN"])
def test_a_rate_that_is_none_is_refused(typed: str) -> None:
    with pytest.raises(ValidationError) as refused:
        load(default_vat_percent=typed)
    assert "default_vat_percent" in refused.value.normalized_messages()


def test_prices_without_tax_are_told_as_what_the_operator_wants() -> None:
    assert capabilities_of(load()).price_basis == "gross"
    assert capabilities_of(load(offer_prices="net")).price_basis == "net"
