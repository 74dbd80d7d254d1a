"""What tests/payments/test_contract.py needs to know of the simulated provider."""

import json
from typing import Any

SETTINGS: dict[str, Any] = {"api_key": "sim_key", "webhook_secrets": ["sim_secret"]}


def error(status: int) -> bytes:
    return json.dumps({"error": "no"}).encode()
