"""What tests/payments/test_contract.py needs to know of payments by hand: nobody is called."""

from typing import Any

SETTINGS: dict[str, Any] = {}


def error(status: int) -> bytes:
    return b""
