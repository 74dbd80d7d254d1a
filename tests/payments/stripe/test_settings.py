"""What an operator types in for Stripe, and what is said about it."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import ValidationError

from app.payments.stripe.settings import StripeSettings


def load(**given: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = StripeSettings().load(given)
    return loaded


def test_a_secret_key_is_enough() -> None:
    assert load(secret_key=" sk_test_123456\n") == {"secret_key": "sk_test_123456", "webhook_secrets": []}


def test_a_restricted_key_will_do() -> None:
    assert load(secret_key="rk_live_123456")["secret_key"] == "rk_live_123456"


def test_one_signing_secret_needs_no_list() -> None:
    assert load(secret_key="sk_test_123456", webhook_secrets="whsec_1")["webhook_secrets"] == ["whsec_1"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "secret_key"),
        ({"secret_key": "pk_test_123456"}, "secret_key"),
        ({"secret_key": "sk_"}, "secret_key"),
        ({"secret_key": "sk_test_123456", "webhook_secrets": ["we_123"]}, "webhook_secrets"),
    ],
)
def test_what_is_no_secret_is_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        load(**given)
    assert list(wrong.value.normalized_messages()) == [field]
