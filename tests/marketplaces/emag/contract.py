"""What tests/marketplaces/test_contract.py needs to know of eMAG. Deeds first read the order or the return they change."""

import json

from app import messages as m
from app.outbound import Answer

SETTINGS = {"platform": "ro", "username": "anna", "password": "teeladen"}
PIECE = "3115229985/82407/1"
RETURN_PIECE = "289130/1057107/1"
OFFER = m.OfferWanted(
    sku="TEE-001",
    gtin="4006381333931",
    title="Assam",
    price=4990,
    currency="RON",
    stock=5,
    handling_days=1,
    on=True,
    vat_percent="21",
    number=7,
)

LINE = {
    "id": 82407,
    "product_id": 7,
    "part_number": "TEE-001",
    "quantity": 1,
    "sale_price": "41.2397",
    "currency": "RON",
    "status": 1,
    "vat": "0.2100",
}
ORDER = {
    "id": 3115229985,
    "status": 2,
    "is_complete": 1,
    "type": 3,
    "payment_mode_id": 1,
    "payment_status": 0,
    "date": "2026-11-21 12:16:47",
    "modified": "2026-11-21 12:17:32",
    "shipping_tax": "0.0000",
    "customer": {"shipping_contact": "Mia Muster", "shipping_street": "Strada 1", "shipping_city": "Cluj"},
    "products": [LINE],
}
RETURN = {
    "emag_id": 289130,
    "order_id": "3115229985",
    "request_status": 6,
    "products": [{"id": 1057107, "product_id": "7", "quantity": "1"}],
}


def _told(row: object) -> Answer:
    return Answer(200, {}, json.dumps({"isError": False, "messages": [], "results": [row]}).encode())


ANSWERS = {"order_before": _told(ORDER), "rma_before": _told(RETURN)}


def error(status: int) -> bytes:
    if status == 429:
        return b'{"message": "API rate limit exceeded"}'
    return json.dumps({"isError": True, "messages": ["no"], "results": []}).encode()
