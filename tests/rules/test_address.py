"""K7: a parcel must find its way back. The countries' rules are the library's; what is tested here is what we make of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages import Address
from app.rules import address

ANNA = {
    "company": "Anna's Teeladen",
    "address_1": "Teeweg 1",
    "postcode": "20095",
    "city": "Hamburg",
    "country": "DE",
}


def wrong(field: str = "address", **changes: str) -> list[tuple[str, object]]:
    found = address.mistakes(Address(**{**ANNA, **changes}), field)
    return [(each.code, each.params["field"]) for each in found]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"country": "de"},
        {"country": "AT", "postcode": "1010", "city": "Wien"},
        {"country": "PL", "postcode": "00-001", "city": "Warszawa"},
        {"country": "GR", "postcode": "104 31", "city": "Athen"},
        {"country": "IE", "postcode": "D02 AF30", "city": "Dublin", "state": "D"},
        {"country": "IT", "postcode": "00144", "city": "Roma", "state": "RM"},
        {"country": "ES", "postcode": "28039", "city": "Madrid", "state": "M"},
        {"country": "TR", "postcode": "34000", "city": "Istanbul", "state": "TR34"},
    ],
)
def test_good_addresses_of_many_countries(changes: dict[str, str]) -> None:
    assert wrong(**changes) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"company": " "}, ("profile.field_missing", "address.company")),
        ({"address_1": ""}, ("profile.field_missing", "address.address_1")),
        ({"city": ""}, ("profile.field_missing", "address.city")),
        ({"country": ""}, ("profile.field_missing", "address.country")),
        ({"postcode": ""}, ("profile.field_missing", "address.postcode")),
        ({"postcode": "2009"}, ("postal.postcode_invalid", "address.postcode")),
        ({"country": "XX"}, ("postal.country_unknown", "address.country")),
        ({"country": "IT", "postcode": "00144"}, ("profile.field_missing", "address.state")),
        ({"country": "IT", "postcode": "00144", "state": "ZZ"}, ("postal.state_invalid", "address.state")),
    ],
)
def test_each_mistake_names_its_field(changes: dict[str, str], expected: tuple[str, str]) -> None:
    assert wrong(**changes) == [expected]


def test_all_missing_fields_are_named_at_once_under_the_forms_own_name() -> None:
    found = wrong("return_address", company="", city="")
    assert found == [
        ("profile.field_missing", "return_address.company"),
        ("profile.field_missing", "return_address.city"),
    ]


def test_a_wrong_postcode_comes_with_an_example() -> None:
    (mistake,) = address.mistakes(Address(**{**ANNA, "postcode": "ABC"}))
    assert mistake.params["example"] == "26133"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["Anna's Teeladen", "Teeweg 1", "20095 Hamburg"]),
        (
            {"first_name": "Mia", "last_name": "M", "address_2": "Hof"},
            ["Anna's Teeladen", "Mia M", "Teeweg 1", "Hof", "20095 Hamburg"],
        ),
        (
            {"country": "GB", "postcode": "EC1Y 8SY", "city": "London"},
            ["Anna's Teeladen", "Teeweg 1", "London", "EC1Y 8SY", "Vereinigtes Königreich"],
        ),
        (
            {"country": "IT", "postcode": "00144", "city": "Roma", "state": "RM"},
            ["Anna's Teeladen", "Teeweg 1", "00144 Roma RM", "Italien"],
        ),
        ({"country": "XX"}, ["Anna's Teeladen", "Teeweg 1", "20095 Hamburg", "XX"]),
    ],
)
def test_lines_are_written_as_the_country_does(changes: dict[str, str], expected: list[str]) -> None:
    assert address.lines(Address(**{**ANNA, **changes}), language="de", home="DE") == expected


@given(st.builds(Address, **{name: st.text(max_size=20) for name in address.TEXTS}), st.text(max_size=5))
def test_no_address_breaks_anything(given_address: Address, language: str) -> None:
    address.mistakes(given_address)
    address.lines(given_address, language=language)
    address.cleaned(given_address)


def test_what_looks_like_a_placeholder_is_only_text() -> None:
    assert address.lines(Address(**{**ANNA, "city": "%A %n"}), home="DE")[-1] == "20095 %A %n"


def test_cleaned_takes_blanks_away_and_writes_the_country_large() -> None:
    told = address.cleaned(Address(company="  Anna's \n Teeladen ", country=" de "))
    assert (told.company, told.country) == ("Anna's Teeladen", "DE")


def test_a_country_is_called_by_its_name_in_both_languages() -> None:
    assert [address.country_name("at", language) for language in ("de", "en", "fr")] == [
        "Österreich",
        "Austria",
        "Austria",
    ]
