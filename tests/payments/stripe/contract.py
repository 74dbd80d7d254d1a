"""What tests/payments/test_contract.py needs to know of Stripe."""

import json
from typing import Any

from app.outbound import Answer

SETTINGS: dict[str, Any] = {"secret_key": "sk_test_123456", "webhook_secrets": ["whsec_1"]}
CUSTOMER = {"id": "cus_1", "invoice_settings": {"default_payment_method": "pm_1"}}
ANSWERS = {"customer": Answer(200, {}, json.dumps(CUSTOMER).encode())}


def error(status: int) -> bytes:
    return json.dumps({"error": {"type": "invalid_request_error", "message": "no"}}).encode()
