"""The IBANs are the examples of the IBAN registry; each wrong one differs in one place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules import bank

GOOD = "DE89370400440532013000"


def wrong(iban: str = GOOD, bic: str = "", holder: str = "Anna") -> list[tuple[str, object]]:
    return [(each.code, each.params["field"]) for each in bank.mistakes(iban, bic, holder)]


@pytest.mark.parametrize(
    ("iban", "bic"),
    [
        (GOOD, ""),
        ("de89 3704 0044 0532 0130 00", "COBADEFFXXX"),
        ("AT611904300234573201", "cobadeff"),
        ("FR1420041010050500013M02606", ""),
        ("GB29NWBK60161331926819", ""),
    ],
)
def test_good_accounts_with_and_without_bic(iban: str, bic: str) -> None:
    assert wrong(iban, bic) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"iban": "DE89370400440532013001"}, ("bank.iban_check_digit_wrong", "bank.iban")),
        ({"iban": "DE8937040044053201300"}, ("bank.iban_check_digit_wrong", "bank.iban")),
        ({"iban": "Konto 12/3"}, ("bank.iban_form_wrong", "bank.iban")),
        ({"iban": " "}, ("profile.field_missing", "bank.iban")),
        ({"bic": "COBADEF"}, ("bank.bic_wrong", "bank.bic")),
        ({"bic": "COBADEFFÜ"}, ("bank.bic_wrong", "bank.bic")),
        ({"holder": " "}, ("profile.field_missing", "bank.holder")),
    ],
)
def test_each_mistake_names_its_field(changes: dict[str, str], expected: tuple[str, str]) -> None:
    assert wrong(**changes) == [expected]


@pytest.mark.parametrize("place", range(2, 22))
def test_one_wrong_digit_anywhere_is_found(place: int) -> None:
    digit = "7" if GOOD[place] != "7" else "3"
    assert wrong(GOOD[:place] + digit + GOOD[place + 1 :]) != []


def test_two_swapped_digits_are_found() -> None:
    assert wrong("DE89370400440532031000") != []


@given(st.text(max_size=40), st.text(max_size=15), st.text(max_size=10))
def test_no_text_breaks_it(iban: str, bic: str, holder: str) -> None:
    bank.mistakes(iban, bic, holder)


def test_an_iban_is_shown_without_its_middle() -> None:
    assert bank.shown(GOOD) == "DE** **** 3000"
    assert bank.shown("DE12") == "****"
