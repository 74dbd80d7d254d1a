"""Messages as a WooCommerce shop sends them: field names and shapes of the recorded ones, escapes as PHP writes them.

PHP's `json_encode` escapes every letter beyond ASCII and every slash; that makes bodies longer and parsing slower, so it belongs here.
"""

from __future__ import annotations

import json
from typing import Any

NOW = "2026-11-21T21:38:34Z"
ORDER_BYTES = 8192


def php(value: Any) -> bytes:
    """JSON as PHP writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).replace("/", "\\/").encode()


def event(kind: str, subject: str, sequence: int, data: dict[str, Any]) -> bytes:
    """The envelope around it (docs/protocol.md section 3)."""
    return php({"type": kind, "timestamp": NOW, "sequence": sequence, "subject": subject, "data": data})


def order(number: int, sequence: int) -> bytes:
    """`order.changed` of 8 KB: five lines, a German address, and a note that fills up what the lines leave."""
    data = _order(number, note="")
    short = ORDER_BYTES - len(event("order.changed", f"order/{number}", sequence, data))
    unit = "Bitte nicht klingeln, Schlüssel bei Müller/Höß. "
    data["customer_note"] = (unit * (max(short, 0) // len(php(unit)[1:-1]))).strip()
    return event("order.changed", f"order/{number}", sequence, data)


def _order(number: int, note: str) -> dict[str, Any]:
    address = {
        "first_name": "Jörg",
        "last_name": "Großmüller",
        "company": "",
        "address_1": "Königsstraße 3/4",
        "address_2": "",
        "city": "Köln",
        "state": "",
        "postcode": "50667",
        "country": "DE",
        "phone": "022112345",
    }
    return {
        "id": number,
        "parent_id": 0,
        "status": "processing",
        "currency": "EUR",
        "version": "10.9.1",
        "prices_include_tax": True,
        "date_created": "2026-11-21T22:38:34",
        "date_modified": "2026-11-21T22:38:34",
        "discount_total": "0.00",
        "discount_tax": "0.00",
        "shipping_total": "4.90",
        "shipping_tax": "0.00",
        "cart_tax": "0.00",
        "total": "104.40",
        "total_tax": "0.00",
        "customer_id": 0,
        "billing": {**address, "email": "joerg@example.test"},
        "shipping": address,
        "payment_method": "cod",
        "payment_method_title": "Nachnahme",
        "transaction_id": "",
        "created_via": "store-api",
        "customer_note": note,
        "date_completed": None,
        "date_paid": None,
        "number": str(number),
        "meta_data": [],
        "line_items": [_line(place) for place in range(1, 6)],
        "tax_lines": [],
        "shipping_lines": [
            {
                "id": 6,
                "method_title": "Standardversand",
                "method_id": "flat_rate",
                "instance_id": "1",
                "total": "4.90",
                "total_tax": "0.00",
                "taxes": [],
                "tax_status": "taxable",
                "meta_data": [],
            }
        ],
        "fee_lines": [],
        "coupon_lines": [],
        "refunds": [],
        "is_editable": False,
        "needs_payment": False,
        "needs_processing": True,
        "date_created_gmt": "2026-11-21T21:38:34",
        "date_modified_gmt": "2026-11-21T21:38:34",
        "currency_symbol": "€",
        "shopbridge": {
            "key": None,
            "transitions": [{"from": "pending", "to": "processing", "at": NOW}],
            "tracking": [],
            "return_tracking": [],
            "stock_sequence": 17952969537,
            "refunds": [],
        },
    }


def _line(place: int) -> dict[str, Any]:
    return {
        "id": place,
        "name": f"Früchtetee Waldbeere, {place}00 g",
        "product_id": 500 + place,
        "variation_id": 0,
        "quantity": 1,
        "tax_class": "",
        "subtotal": "19.90",
        "subtotal_tax": "0.00",
        "total": "19.90",
        "total_tax": "0.00",
        "taxes": [],
        "meta_data": [
            {
                "id": 53,
                "key": "_reduced_stock",
                "value": "1",
                "display_key": "_reduced_stock",
                "display_value": "1",
            }
        ],
        "sku": f"T-{place:03}",
        "global_unique_id": "4099999010011",
        "price": 19.9,
        "image": {"id": 11, "src": "https://tee.example/wp-content/uploads/2026/11/tee.jpg"},
        "parent_name": None,
    }


def product(number: int, sequence: int, *, stock: int = 10) -> bytes:
    """`product.changed` of a simple product with a price, a GTIN and a stock."""
    data = {
        "id": number,
        "name": f"Weißer Tee Pai Mu Tan Nr. {number}",
        "slug": f"tee-{number}",
        "permalink": f"https://tee.example/product/tee-{number}/",
        "date_created": "2026-11-21T22:08:23",
        "date_created_gmt": "2026-11-21T21:08:23",
        "date_modified": "2026-11-21T22:38:34",
        "date_modified_gmt": "2026-11-21T21:38:34",
        "type": "simple",
        "status": "publish",
        "featured": False,
        "catalog_visibility": "visible",
        "description": "<p>Grüner, süßlicher Aufguss.</p>" * 10,
        "short_description": "",
        "sku": sku(number),
        "price": "7.90",
        "regular_price": "7.90",
        "sale_price": "",
        "date_on_sale_from": None,
        "date_on_sale_to": None,
        "on_sale": False,
        "purchasable": True,
        "total_sales": 2,
        "virtual": False,
        "downloadable": False,
        "tax_status": "taxable",
        "tax_class": "",
        "manage_stock": True,
        "stock_quantity": stock,
        "backorders": "no",
        "weight": "0.1",
        "dimensions": {"length": "", "width": "", "height": ""},
        "shipping_required": True,
        "reviews_allowed": True,
        "average_rating": "0.00",
        "rating_count": 0,
        "parent_id": 0,
        "categories": [{"id": 15, "name": "Tee", "slug": "tee"}],
        "tags": [],
        "images": [
            {
                "id": 70 + place,
                "date_created": "2026-11-21T22:08:23",
                "src": f"https://tee.example/wp-content/uploads/2026/11/tee-{number}-{place}.jpg",
                "name": "tee",
                "alt": "",
            }
            for place in range(3)
        ],
        "attributes": [
            {
                "id": 0,
                "name": "Ernte",
                "slug": "Ernte",
                "position": 0,
                "visible": True,
                "options": ["Frühling"],
            }
        ],
        "variations": [],
        "menu_order": 0,
        "meta_data": [],
        "stock_status": "instock",
        "global_unique_id": gtin(number),
        "shopbridge": {"currency": "EUR", "prices_include_tax": True, "gtin": None, "handling_days": 1},
    }
    return event("product.changed", f"product/{number}", sequence, data)


def stock(number: int, sequence: int, pieces: int) -> bytes:
    """`stock.changed` to an absolute number."""
    data = {
        "id": number,
        "sku": sku(number),
        "manage_stock": True,
        "stock_quantity": pieces,
        "stock_status": "instock",
        "order_id": None,
    }
    return event("stock.changed", f"product/{number}", sequence, data)


def sku(number: int) -> str:
    return f"TEE-{number:05}"


def gtin(number: int) -> str:
    """A GTIN-13 with a right check digit."""
    digits = f"40{number:010}"
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return f"{digits}{-total % 10}"
