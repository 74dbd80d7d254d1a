from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from app.shops.reading import amount_text, exact_minor_units, minor_units


@given(st.integers(0, 10**11 - 1), st.sampled_from(["EUR", "JPY", "KWD", "RON"]))
def test_an_amount_survives_the_way_out_and_back(units: int, currency: str) -> None:
    assert exact_minor_units(Decimal(amount_text(units, currency)), currency, "total") == units


@pytest.mark.parametrize(
    ("units", "currency", "text"),
    [
        (1580, "EUR", "15.80"),
        (5, "EUR", "0.05"),
        (0, "EUR", "0.00"),
        (1580, "JPY", "1580"),
        (1, "KWD", "0.001"),
    ],
)
def test_amounts_as_the_protocol_writes_them(units: int, currency: str, text: str) -> None:
    assert amount_text(units, currency) == text


def test_rounding_is_half_up_and_never_to_even() -> None:
    assert [minor_units(Decimal(text), "EUR") for text in ("0.005", "0.015", "0.025", "0.0249999")] == [
        1,
        2,
        3,
        2,
    ]


def test_an_amount_finer_than_its_currency_is_refused_where_it_must_be_exact() -> None:
    with pytest.raises(Invalid) as caught:
        exact_minor_units(Decimal("7.905"), "EUR", "data.price")
    assert caught.value.params["field"] == "data.price"
