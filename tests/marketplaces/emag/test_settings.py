"""What a merchant may type in for eMAG, and what is said when it is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import ValidationError

from app.marketplaces.emag import PROVIDER
from app.marketplaces.emag.settings import EmagSettings
from tests.marketplaces.emag.conftest import PARCELS
from tests.marketplaces.emag.contract import SETTINGS


def load(**change: Any) -> dict[str, Any]:
    return dict(EmagSettings().load(SETTINGS | change))


def complaint(field: str, **change: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        load(**change)
    return str(refused.value.normalized_messages()[field])


def test_credentials_may_be_pasted_with_blanks() -> None:
    told = load(username=" anna\n", password="\u200b tee laden\t")
    assert (told["username"], told["password"]) == ("anna", "tee laden")


def test_a_platform_decides_address_and_currency() -> None:
    for platform, currency, host in (
        ("ro", "RON", "emag.ro"),
        ("bg", "EUR", "emag.bg"),
        ("hu", "HUF", "emag.hu"),
    ):
        told = load(platform=platform)
        assert PROVIDER.currency_of is not None
        assert PROVIDER.currency_of(told) == currency
        assert PROVIDER.address(told) == f"https://marketplace-api.{host}/api-3"
    assert "de" in complaint("platform", platform="de") or complaint("platform", platform="de")


def test_who_lets_emag_book_parcels_says_where_they_are_fetched() -> None:
    with pytest.raises(ValidationError) as refused:
        load(shipping_mode="emag")
    assert set(refused.value.normalized_messages()) == {
        "sender_name", "sender_phone", "sender_street", "sender_locality_id",
    }  # fmt: skip
    assert load(**PARCELS)["sender_phone"] == "+40700000001"


def test_a_phone_may_be_written_with_blanks_and_has_8_to_11_digits() -> None:
    assert load(sender_phone="+40 700-000 001")["sender_phone"] == "+40700000001"
    assert "8 to 11 digits" in complaint("sender_phone", sender_phone="12")


def test_booking_and_creating_are_what_the_settings_make_of_it() -> None:
    bare, full = PROVIDER.can(load()), PROVIDER.can(load(**PARCELS, categories={"*": 1315}))
    assert (bare.books_parcels, bare.creates_products) == (False, False)
    assert (full.books_parcels, full.creates_products) == (True, True)
    assert (bare.acceptance, bare.partial_shipment, bare.numbers_offers) == ("notice", False, True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_zone", "Transilvania/Cluj"),
        ("vat_rates", {"neunzehn": "21"}),
        ("vat_rates", {"19": "210"}),
        ("default_vat_percent", "x"),
        ("parcel_weight", "schwer"),
        ("parcel_weight", "0"),
        ("price_below_percent", 0),
        ("price_below_percent", 100),
        ("first_offer_id", 0),
        ("first_offer_id", 16_777_216),
        ("characteristics", {"Farbe": "attribute:Farbe"}),
        ("categories", {"Tee": 0}),
        ("source_language", "deutsch"),
        ("shipping_mode", "dhl"),
    ],
)
def test_what_makes_no_sense_is_named(field: str, value: object) -> None:
    assert complaint(field, **{field: value})


def test_empty_fields_of_the_form_are_none() -> None:
    told = load(sender_phone="", courier_account_id="", parcel_weight="", default_vat_percent="")
    assert [told[name] for name in ("sender_phone", "courier_account_id", "parcel_weight")] == [None] * 3
