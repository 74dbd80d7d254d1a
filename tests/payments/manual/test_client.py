"""By hand: everything waits for a person; and the licence that SEPA files need."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from marshmallow import ValidationError

from app import messages as m
from app.payments.manual.client import ManualClient
from app.payments.manual.settings import ManualSettings

WANTED = m.PaymentWanted(1790, "EUR", "dropshipping:7f3a:1042")
IBAN = "DE89370400440532013000"


def client() -> ManualClient:
    return ManualClient(None, {})  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["capture", "refund", "payout", "reverse"])
def test_every_instruction_waits_for_a_person(kind: str) -> None:
    said = getattr(client(), kind)("our:key", WANTED)
    assert said == m.PaymentAnswer(
        "our:key", kind, m.PaymentState.PENDING, 1790, "EUR", "our:key", None, None
    )


def test_nobody_knows_more_than_the_bridge() -> None:
    assert client().find("our:key") is None
    assert client().find("our:key", kind="capture", payment=WANTED) == client().capture("our:key", WANTED)
    assert list(client().movements(datetime.now(UTC))) == []


def load(**given: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = ManualSettings().load(given)
    return loaded


def test_nothing_is_needed_and_nobody_is_licensed_by_default() -> None:
    assert load() == {"licensed_operator": False, "name": "", "iban": None, "bic": None}


def test_an_iban_may_be_written_in_groups() -> None:
    loaded = load(licensed_operator=True, name="Netz GmbH", iban="de89 3704 0044 0532 0130 00")
    assert loaded["iban"] == IBAN


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"iban": "DE00370400440532013000"}, "iban"),
        ({"iban": IBAN, "bic": "COBA"}, "bic"),
        ({"licensed_operator": True}, "iban"),
        ({"licensed_operator": True, "iban": IBAN}, "name"),
        ({"name": "x" * 71}, "name"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        load(**given)
    assert list(wrong.value.normalized_messages()) == [field]
