"""What a person reads when the sandbox is connected, and the numbers of its parcels."""

from __future__ import annotations

from typing import Any

import pytest

from app.commands.playground import _tell, parcel_number

TOLD: dict[str, Any] = {
    "account": "My shop",
    "products": 9,
    "offers_on_sale": 9,
    "marketplaces": {},
    "buy": "curl -X POST http://127.0.0.1:8093/_control/buy",
}


@pytest.mark.parametrize(
    ("first", "buy", "ship"),
    [
        ("kaufland", "sandbox buy\n", "sandbox ship\n"),
        ("otto", "sandbox buy --marketplace otto\n", "sandbox ship --return-label\n"),
        ("emag", "sandbox buy --marketplace emag\n", "sandbox ship\n"),
    ],
)
def test_the_next_steps_are_those_of_the_marketplace_that_was_connected(
    capsys: pytest.CaptureFixture[str], first: str, buy: str, ship: str
) -> None:
    _tell({**TOLD, "first": first})
    said = capsys.readouterr().out
    assert buy in said
    assert ship in said


def test_a_parcel_and_its_return_label_have_different_numbers() -> None:
    assert {len(parcel_number(7)), len(parcel_number(7, 34043417))} == {20}
    assert parcel_number(7) != parcel_number(7, 34043417)
