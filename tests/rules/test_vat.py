"""Taking VAT off a price and putting it on again: to the cent, with the rates of the European Union."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.vat import gross, net_of, percent, rate

RATES = [
    Decimal(each) / 100
    for each in ("0", "3", "5", "5.5", "8.1", "9", "11", "18", "19", "20", "21", "22", "24", "25", "27")
]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        *[(each, "24") for each in ("24", "24%", "24 %", " 24 ", "0.2400", 24, Decimal("0.24"))],
        (0, "0"),
        ("0.055", "5.5"),
        (19, "19"),
    ],
)
def test_a_rate_is_read_however_it_is_written(text: object, told: str) -> None:
    found = rate(text)
    assert found is not None
    assert percent(found) == told


@pytest.mark.parametrize("text", ["", "x", "-1", "101", "NaN", "Infinity", "2,5", None, True, 0.24, [], {}])
def test_what_is_no_rate_is_none_and_never_nothing(text: object) -> None:
    assert rate(text) is None


@given(st.integers(min_value=1, max_value=10**9), st.sampled_from(RATES))
def test_four_decimals_bring_every_price_back_to_the_cent(cents: int, fraction: Decimal) -> None:
    net = net_of(cents, fraction, 4)
    assert net.as_tuple().exponent == -4
    assert gross(net, fraction) == cents


@pytest.mark.parametrize("told", ["5.5", "19", "22", "27"])
def test_two_decimals_are_off_by_a_cent_at_most(told: str) -> None:
    fraction = rate(told)
    assert fraction is not None
    off = {abs(gross(net_of(each, fraction, 2), fraction) - each) for each in range(1, 5_000)}
    assert off == {0, 1}


def test_currencies_without_cents_stay_whole() -> None:
    assert net_of(1_000, Decimal("0.27"), 0, 0) == Decimal(787)
