"""What tests/marketplaces/test_contract.py needs to know of Kaufland."""

import json

from app import messages as m

SETTINGS = {"client_key": "a" * 32, "secret_key": "b" * 64}
PIECE = "314567896580917"
RETURN_PIECE = "45456767"
OFFER = m.OfferWanted(
    sku="TEE-001",
    gtin="4006381333931",
    title="Assam",
    price=790,
    currency="EUR",
    stock=5,
    handling_days=1,
    on=True,
)


def error(status: int) -> bytes:
    kind = {401: "/problems/invalid-credentials"}.get(status, "about:blank")
    return json.dumps({"type": kind, "message": "no", "errors": []}).encode()
