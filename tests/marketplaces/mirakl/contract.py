"""What tests/marketplaces/test_contract.py needs to know of Mirakl."""

import json

from app import messages as m
from tests.marketplaces.doors import answer

SETTINGS = {"host": "https://seller.mirakl.net", "api_key": "k" * 36, "currency": "EUR"}
PIECE = "Order_1-A/Order_1-A-1/1"
RETURN_PIECE = "af1a537d-3f8a-4bb4-a69c-08df8395ece6/Order_1-A-1/1"
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
_LINE = {
    "order_line_id": "Order_1-A-1",
    "order_line_state": "SHIPPING",
    "offer_sku": "TEE-001",
    "product_title": "Assam",
    "quantity": 1,
    "price": 7.9,
    "shipping_price": 0,
    "cancelations": [],
    "refunds": [],
}
_ORDER = {
    "order_id": "Order_1-A",
    "order_state": "SHIPPING",
    "order_tax_mode": "TAX_INCLUDED",
    "currency_iso_code": "EUR",
    "created_date": "2026-11-21T10:00:00Z",
    "customer": {},
    "order_lines": [_LINE],
}
_REASONS = [
    {"code": kind[:1] + "1", "type": kind, "label": "Other", "is_shop_right": True}
    for kind in ("CANCELATION", "REFUND")
]
# What is read before a deed: without it no deed would reach the wire.
ANSWERS = {
    "deed_order": answer(200, {"orders": [_ORDER], "total_count": 1}),
    "deed_return": answer(
        200,
        {
            "data": [
                {"id": RETURN_PIECE.partition("/")[0], "order_id": "Order_1-A", "state": "WAITING_ACCEPTANCE"}
            ]
        },
    ),
    "carriers": answer(200, {"carriers": [{"code": "DHL", "label": "DHL"}]}),
    "reasons": answer(200, {"reasons": _REASONS}),
}


def error(status: int) -> bytes:
    return json.dumps({"status": status, "message": "no"}).encode()
