"""What tests/marketplaces/test_contract.py needs to know of Cdiscount. Every deed first reads its order, so those reads are answered here."""

import json

from app import messages as m
from tests.marketplaces.doors import answer

SETTINGS = {
    "client_id": "client-of-anna",
    "client_secret": "secret-of-anna",
    "seller_id": "98979",
    "delivery_modes": ["TRK", "REG"],
    "delivery_costs": {"TRK": "4.90", "REG": "6.90"},
}
ORDER = "26090212345ABCDE"
PIECE = f"{ORDER}/L1/1"
RETURN_PIECE = PIECE
OFFER = m.OfferWanted(
    sku="TEE-001",
    gtin="4006381333931",
    title="Assam",
    price=790,
    currency="EUR",
    stock=5,
    handling_days=1,
    on=True,
    external_ref="TEE-001",
)


def order(status: str) -> dict[str, object]:
    """An order of one line of two pieces."""
    line = {
        "orderLineId": "L1",
        "status": status,
        "quantity": 2,
        "sellingPrice": {"unitSalesPrice": 8, "shippingCost": 0, "taxes": []},
        "offer": {"id": "OF1", "sellerProductId": "TEE-001", "supplyMode": "Seller"},
        "shippingAddress": {"addressLine1": "12 rue des Lilas", "city": "Lyon", "countryCode": "FR"},
        "parcels": [],
    }
    return {
        "orderId": ORDER,
        "status": status,
        "purchasedAt": "2026-11-21T10:00:00+00:00",
        "lines": [line],
    }


ONE = order("InPreparation")
ONE["lines"] = [{**line, "quantity": 1} for line in ONE["lines"]]  # type: ignore[attr-defined]
ANSWERS = {
    "token": answer(200, {"access_token": "invented", "expires_in": 7200, "token_type": "Bearer"}),
    "order_to_ship": answer(200, ONE),
    "order_to_cancel": answer(200, ONE),
    "order_to_accept": answer(200, order("WaitingAcceptance")),
    "order_to_refund": answer(200, order("Shipped")),
    "cancellation_requests": answer(200, {"items": []}),
    "carriers": answer(200, [{"code": "dhldp", "label": "DHL"}]),
    "reasons": answer(200, [{"code": "CUSTOMER", "label": "Demande du client"}]),
    "gesture_limit": answer(200, {"allowableAmount": 8}),
}


def error(status: int) -> bytes:
    return json.dumps({"title": "no", "detail": "no", "errors": {}}).encode()
