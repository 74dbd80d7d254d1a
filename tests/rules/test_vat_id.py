"""Numbers are the examples that python-stdnum's own documentation and the tax offices publish; each wrong one differs in one place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules import vat_id


@pytest.mark.parametrize(
    "number",
    ["DE136695976", "de 136 695 976", "ATU13585627", "AT U13585627", "FR40303265045", "EL094259216", "GR094259216", "ES B-58378431",
     "XI432525179", "GB980780684", "CHE-107.787.577 IVA", "NO995525828MVA", "IT00743110157", "PL8567346215"],
)  # fmt: skip
def test_good_numbers_in_the_ways_people_write_them(number: str) -> None:
    assert vat_id.mistake(number) is None


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("DE136695977", "vat_id.check_digit_wrong"),
        ("GB980780685", "vat_id.check_digit_wrong"),
        ("NO995525829MVA", "vat_id.check_digit_wrong"),
        ("DE13669597", "vat_id.form_wrong"),
        ("DE13669597X", "vat_id.form_wrong"),
        ("", "vat_id.form_wrong"),
        ("D", "vat_id.form_wrong"),
        ("DE" + "1" * 40, "vat_id.form_wrong"),
        ("136695976", "vat_id.country_unknown"),
        ("US123456789", "vat_id.country_unknown"),
        ("XX1234567", "vat_id.country_unknown"),
    ],
)
def test_each_mistake_says_what_is_wrong(number: str, code: str) -> None:
    found = vat_id.mistake(number, "vat_id")
    assert found is not None
    assert (found.code, found.params) == (code, {"field": "vat_id"})


@pytest.mark.parametrize("place", range(2, 11))
def test_one_wrong_digit_anywhere_is_found(place: int) -> None:
    good = "DE136695976"
    others = [good[:place] + digit + good[place + 1 :] for digit in "0123456789" if digit != good[place]]
    assert [number for number in others if vat_id.mistake(number) is None] == []


@given(st.text(max_size=30))
def test_no_text_breaks_it(text: str) -> None:
    vat_id.mistake(text)
    vat_id.mistake(f"DE{text}")


def test_clean_leaves_what_counts() -> None:
    assert vat_id.clean(" de 136.695-976 ") == "DE136695976"
