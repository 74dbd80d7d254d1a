"""What tests/marketplaces/test_contract.py needs to know of OTTO Market. A connection with forwarders, because the contract's parcel has no number of
a return label.
"""

import json

from app import messages as m
from tests.marketplaces.doors import answer

SETTINGS = {
    "client_id": "client-of-anna",
    "client_secret": "secret-of-anna",
    "ship_from_city": "Dresden",
    "ship_from_zip": "01067",
    "delivery_type": "FORWARDER_CURBSIDE",
}
ORDER = "a24c37c0-768f-44e6-9f5c-1e4430d4ab32"
ITEM = "8a88e387-a03d-4cc9-99d9-3de6a5c038bd"
PIECE = f"{ORDER}/{ITEM}"
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
    external_ref="M00A1234BC",
)
SENT_ITEM = {
    "salesOrderId": ORDER,
    "positionItems": [
        {
            "positionItemId": ITEM,
            "fulfillmentStatus": "SENT",
            "itemValueGrossPrice": {"amount": 8, "currency": "EUR"},
        }
    ],
}
# A refund is preceded by two reads; the deed itself is what the contract is about.
ANSWERS = {
    "token": answer(200, {"access_token": "invented", "expires_in": 1800, "token_type": "bearer"}),
    "refund_item": answer(200, SENT_ITEM),
    "refund_so_far": answer(200, {"results": []}),
}


def error(status: int) -> bytes:
    return json.dumps({"errors": [{"path": "/v4/orders", "title": "no", "detail": "no"}]}).encode()
