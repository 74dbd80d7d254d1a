"""GTINs as people write them (I9, K1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.gtin import clean, is_valid


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("4006381333931", "4006381333931"),
        (" 4006381-333931 ", "4006381333931"),
        ("4006381\u00a0333931", "4006381333931"),
        (4006381333931, "4006381333931"),
        ("", None),
        (" - ", None),
        (None, None),
        ("n/a", "n/a"),
    ],
)
def test_blanks_and_dashes_do_not_count(written, number):
    assert clean(written) == number


@pytest.mark.parametrize(
    "number", ["4006381333931", "73513537", "036000291452", "00012345600012", "4006381 333931", 4006381333931]
)
def test_gtins_of_all_four_lengths_are_valid(number):
    assert is_valid(number)


@pytest.mark.parametrize(
    "number",
    [
        "4006381333932",  # check digit
        "406381333931",  # a digit is missing
        "4.00638E+12",  # a spreadsheet
        "0000000000000",
        "00000000",
        "123456789",
        "400638133393X",
        "٤٠٠٦٣٨١٣٣٣٩٣١",
        "n/a",
        "",
        None,
    ],
)
def test_everything_else_is_not(number):
    assert not is_valid(number)


@given(st.integers(1, 10**12 - 1), st.integers(0, 12), st.integers(1, 9))
def test_one_wrong_digit_is_always_found(stem, place, change):
    digits = [int(digit) for digit in f"{stem:012d}"]
    digits.append(-sum(digit * (3 if i % 2 else 1) for i, digit in enumerate(digits)) % 10)
    assert is_valid("".join(map(str, digits)))
    digits[place] = (digits[place] + change) % 10
    assert not is_valid("".join(map(str, digits)))


@given(st.one_of(st.none(), st.integers(), st.text()))
def test_nothing_breaks_it(value):
    assert is_valid(value) in {True, False}
