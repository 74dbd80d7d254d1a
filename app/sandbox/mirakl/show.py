"""How the simulated operator writes what it remembers: orders, shipments, returns, offers and reference data, as the description has them.

What may go wrong: a field that is required there and forgotten here; the tests hold every answer against the description.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from app.sandbox.mirakl.wire import money
from app.sandbox.mirakl.world import CARRIERS, REASONS, Conduct, Row, World, stamp

TAX_CODE: Final = "IVA"
# The fields of PC01 and A01 with invented values; what matters is set by `Conduct`.
_FIXED: Final[Row] = json.loads(Path(__file__).with_name("fixed.json").read_text(encoding="utf-8"))


def _copy(name: str) -> Any:
    return json.loads(json.dumps(_FIXED[name]))


def _when(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)


# --- reference data -------------------------------------------------------------------------------------------------------


def platform(conduct: Conduct) -> Row:
    found: Row = _copy("platform")
    features = found["features"]
    features["disable_seller_alternative_carrier"] = not conduct.other_carriers
    features["order_tax_mode"] = conduct.tax_mode
    features["order_workflows"]["order_acceptance"] = (
        "NOT_AUTOMATIC" if conduct.acceptance else "AUTOMATIC_FOR_ALL"
    )
    features["order_workflows"]["shipping_and_billing_details_before_acceptance"] = conduct.address_early
    features["shipment"]["multi_shipment"] = conduct.multi_shipment
    return found


def account(world: World) -> Row:
    found: Row = _copy("account")
    return found | {
        "shop_id": world.shop["shop_id"],
        "shop_name": world.shop["shop_name"],
        "currency_iso_code": world.shop["currency"],
        "closed_from": world.closed[0],
        "closed_to": world.closed[1],
        "offers_count": len(world.offers),
        "orders_count": len(world.orders),
    }


def updated_account(world: World) -> Row:
    return {"closed_from": world.closed[0], "closed_to": world.closed[1]}


def additional_fields(conduct: Conduct) -> Row:
    rows = [
        {
            "code": code,
            "label": code,
            "entity": "OFFER",
            "editable": True,
            "required": code in conduct.required_fields,
            "type": "STRING",
        }
        for code in dict.fromkeys([*conduct.required_fields, "gift-wrap"])
    ]
    return {"additional_fields": rows, "total_count": len(rows)}


def carriers() -> Row:
    rows = [
        {
            "code": code,
            "label": label,
            "standard_code": code,
            "tracking_url": f"https://track.example/{code.lower()}/{{trackingId}}",
        }
        for code, label, _ in CARRIERS
    ]
    return {"carriers": rows, "total_count": len(rows)}


def reasons() -> Row:
    rows = [
        {"code": code, "type": kind, "is_shop_right": seller, "label": label}
        for code, kind, seller, label in REASONS
    ]
    return {"reasons": rows, "total_count": len(rows)}


def product(known: Row) -> Row:
    return {
        "category_code": "TEE",
        "category_label": "Tè",
        "product_id": known["gtin"],
        "product_id_type": "EAN",
        "product_sku": known["sku"],
        "product_title": known["title"],
    }


# --- orders -----------------------------------------------------------------------------------------------------------------


def order(world: World, known: Row) -> Row:
    lines = list(known["lines"].values())
    goods, shipping = sum(each["goods"] for each in lines), sum(each["shipping"] for each in lines)
    told = world.conduct.address_early or known["state"] not in {"WAITING_ACCEPTANCE", "WAITING_DEBIT"}
    address = known["address"] if told else None
    tracking = known["tracking"]
    carrier = {code: label for code, label, _ in CARRIERS}.get(tracking.get("carrier_code", ""))
    return {
        "order_id": known["id"],
        "commercial_id": known["id"].rpartition("-")[0],
        "order_state": known["state"],
        "order_state_reason_code": None,
        "order_state_reason_label": None,
        "order_tax_mode": world.conduct.tax_mode,
        "order_additional_fields": [],
        "created_date": stamp(known["at"]),
        "last_updated_date": stamp(known["updated_at"]),
        "acceptance_decision_date": None,
        "shipping_deadline": stamp(known["at"] + timedelta(days=3)),
        "leadtime_to_ship": 2,
        "currency_iso_code": world.shop["currency"],
        "price": money(goods),
        "shipping_price": money(shipping),
        "total_price": money(goods + shipping),
        "total_commission": money(goods // 10),
        "can_cancel": known["state"] == "SHIPPING",
        "can_shop_ship": known["state"] == "SHIPPING",
        "fully_refunded": False,
        "has_incident": False,
        "has_customer_message": False,
        "has_invoice": False,
        "channel": None,
        "customer": {
            "customer_id": "Customer_1",
            "civility": None,
            "firstname": known["address"]["firstname"],
            "lastname": known["address"]["lastname"],
            "locale": "it_IT",
            "billing_address": address,
            "shipping_address": address,
        },
        "customer_notification_email": "notification+4f@notification.mirakl.example",
        "customer_debited_date": None,
        "fulfillment": {"center": {"code": "DEFAULT"}},
        "payment_type": "CARD",
        "paymentType": "CARD",
        "payment_workflow": "PAY_ON_ACCEPTANCE",
        "shipping_carrier_code": tracking.get("carrier_code"),
        "shipping_company": carrier or tracking.get("carrier_name"),
        "shipping_tracking": tracking.get("tracking_number"),
        "shipping_tracking_url": tracking.get("carrier_url"),
        "shipping_pudo_id": known["pudo"],
        "shipping_type_code": "PUDO" if known["pudo"] else "STD",
        "shipping_type_label": "Standard",
        "shipping_zone_code": "IT",
        "shipping_zone_label": "Italia",
        "order_lines": [_line(world, known, each) for each in lines],
    }


def _line(world: World, known: Row, line: Row) -> Row:
    state = line["state"] or known["state"]
    return {
        "order_line_id": line["id"],
        "order_line_index": line["place"],
        "order_line_state": state,
        "order_line_state_reason_code": line["reason"] if state == "CANCELED" else None,
        "order_line_state_reason_label": None,
        "order_line_additional_fields": [],
        "offer_id": line["offer_id"],
        "offer_sku": line["sku"],
        "offer_state_code": "11",
        "product_sku": line["product_sku"],
        "product_title": line["title"],
        "product_medias": [],
        "category_code": "TEE",
        "category_label": "Tè",
        "description": None,
        "quantity": line["pieces"],
        "price_unit": money(line["unit"]),
        "price": money(line["goods"]),
        "shipping_price": money(line["shipping"]),
        "total_price": money(line["goods"] + line["shipping"]),
        "taxes": _taxes(world, line["tax"], rate=True),
        "shipping_taxes": _taxes(world, line["shipping_tax"], rate=True),
        "commission_fee": money(line["goods"] // 10),
        "commission_rate_vat": money(2200),
        "commission_vat": money(0),
        "total_commission": money(line["goods"] // 10),
        "can_refund": state in {"SHIPPING", "SHIPPED", "RECEIVED"},
        "cancelations": [_given_back(world, each) for each in line["cancelations"]],
        "refunds": [_given_back(world, each) | _refund_state(each) for each in line["refunds"]],
        "created_date": stamp(known["at"]),
        "last_updated_date": stamp(known["updated_at"]),
        "shipped_date": _when(line["shipped_at"]),
        "received_date": _when(line["received_at"]),
    }


def _taxes(world: World, amount: int, *, rate: bool = False) -> list[Row]:
    if not amount:
        return []
    more: Row = {"rate": world.conduct.tax_percent} if rate else {}
    rule = "PROPORTIONAL_TO_AMOUNT"
    return [{"code": TAX_CODE, "amount": money(amount), "tax_calculation_rule": rule, **more}]


def _given_back(world: World, each: Row) -> Row:
    return {
        "id": each["id"],
        "amount": money(each["amount"]),
        "shipping_amount": money(each["shipping_amount"]),
        "quantity": each["quantity"],
        "reason_code": each["reason_code"],
        "taxes": _taxes(world, each["tax"]),
        "shipping_taxes": _taxes(world, each["shipping_tax"]),
        "commission_amount": money(0),
        "commission_taxes": [],
        "commission_total_amount": money(0),
        "created_date": stamp(each["at"]),
    }


def _refund_state(each: Row) -> Row:
    return {
        "state": "WAITING_REFUND_PAYMENT",
        "refund_state": "WAITING_REFUND_PAYMENT",
        "order_refund_id": each["group"],
        "commission_tax_amount": money(0),
    }


def cancelation(each: Row) -> Row:
    """An entry of the answer of OR30."""
    return {
        "cancelation_id": each["id"],
        "order_line_id": each["order_line_id"],
        "amount": money(each["amount"]),
        "shipping_amount": money(each["shipping_amount"]),
        "quantity": each["quantity"],
        "reason_code": each["reason_code"],
        "currency_iso_code": each["currency_iso_code"],
    }


def refund(each: Row) -> Row:
    """An entry of the answer of OR28."""
    entry = cancelation(each)
    return {name: value for name, value in entry.items() if name != "cancelation_id"} | {
        "refund_id": each["id"],
        "order_refund_id": each["group"],
    }


def shipment(known: Row) -> Row:
    """A shipment of ST01 and ST11."""
    return {
        "id": known["id"],
        "order_id": known["order"],
        "created_date": stamp(known["at"]),
        "last_updated_date": stamp(known["at"]),
        "shipped_date": stamp(known["at"]),
        "status": "SHIPPED",
        "status_customer_debit": "NO_DEBIT",
        "shipment_lines": [dict(each) for each in known["lines"]],
        "tracking": dict(known["tracking"]),
    }


def shipment_state(world: World, known: Row) -> str:
    return "RECEIVED" if world.orders[known["order"]]["state"] == "RECEIVED" else "SHIPPED"


def returned(known: Row) -> Row:
    """A return of RT11."""
    return {
        "id": known["id"],
        "order_id": known["order"],
        "order_commercial_id": known["order"].rpartition("-")[0],
        "date_created": stamp(known["at"]),
        "last_updated": stamp(known["updated_at"]),
        "state": known["state"],
        "reason_code": "RETURN_CHANGED_MIND",
        "method_code": "RETURN_METHOD_BY_MAIL",
        "description": "Non mi piace",
        "return_address": {
            "street1": "Teeweg 1", "city": "Berlin", "zip_code": "10115", "country_iso_code": "DEU",
        },
        "return_lines": [
            {"order_line_id": line, "quantity": pieces, "reason_code": "RETURN_CHANGED_MIND"}
            | ({"compliance": [{"compliant": known["compliant"][line]}]} if "compliant" in known else {})
            for line, pieces in known["lines"].items()
        ],
        "tracking": {"carrier_code": "BRT", "carrier_name": "Bartolini", "tracking_number": "BRT1"},
    }  # fmt: skip


# --- offers -----------------------------------------------------------------------------------------------------------------


def title(world: World, known: Row) -> str:
    return str(world.products.get(known["gtin"], {}).get("title", ""))


def inactive(world: World, known: Row) -> list[str]:
    """Why an offer is not to be seen; nothing when it is."""
    words = [] if known["gtin"] in world.products else ["PRODUCT_STATUS_NEW"]
    words += [] if world.is_open() else ["SHOP_NOT_OPEN"]
    return words + ([] if known["stock"] else ["ZERO_QUANTITY"])


def offer(world: World, known: Row) -> Row:
    """An offer of OF21."""
    words = inactive(world, known)
    price = money(known["price"])
    return {
        "offer_id": known["offer_id"],
        "description": None,
        "shop_sku": known["sku"],
        "product_sku": world.products.get(known["gtin"], {}).get("sku", ""),
        "product_title": title(world, known),
        "product_references": [{"reference": known["gtin"], "reference_type": "EAN"}],
        "category_code": "TEE",
        "category_label": "Tè",
        "channels": [],
        "active": not words,
        "inactivity_reasons": words,
        "price": price,
        "total_price": price,
        "all_prices": [
            {
                "channel_code": None,
                "price": price,
                "unit_origin_price": price,
                "unit_discount_price": None,
                "discount_start_date": None,
                "discount_end_date": None,
                "volume_prices": [
                    {
                        "price": price,
                        "quantity_threshold": 1,
                        "unit_origin_price": price,
                        "unit_discount_price": None,
                    }
                ],
            }
        ],
        "applicable_pricing": {"price": price, "unit_origin_price": price, "volume_prices": []},
        "currency_iso_code": world.shop["currency"],
        "quantity": known["stock"],
        "leadtime_to_ship": known["handling_days"],
        "logistic_class": {"code": known["logistic_class"], "label": known["logistic_class"]},
        "state_code": known["state_code"],
        "fulfillment": {"center": {"code": "DEFAULT"}},
        "max_order_quantity": 0,
        "min_order_quantity": 1,
        "min_quantity_alert": 0,
        "package_quantity": 1,
        "min_shipping_price": money(0),
        "min_shipping_price_additional": money(0),
        "min_shipping_type": "STD",
        "min_shipping_zone": "IT",
        "shipping_deadline": stamp(world.now() + timedelta(days=3)),
        "offer_additional_fields": [],
    }


def _import(known: Row) -> Row:
    failed = bool(known["failed"])
    return {
        "date_created": stamp(known["made_at"]),
        "has_error_report": bool(known["errors"]),
        "lines_in_error": len(known["errors"]),
        "lines_in_success": known["inserted"] + known["updated"],
        "status": ("FAILED" if failed else "COMPLETE") if known["done"] else "WAITING",
    }


def offer_import(known: Row) -> Row:
    """OF02."""
    status = _import(known)
    if known["done"] and known["pending"] and known["pending"] == len(known["rows"]):
        status["status"] = "WAITING_SYNCHRONIZATION_PRODUCT"
    return status | {
        "import_id": int(known["id"]),
        "lines_in_pending": known["pending"],
        "lines_read": len(known["rows"]) if known["done"] else 0,
        "mode": "NORMAL",
        "type": "MIRAKL",
        "offer_deleted": 0,
        "offer_inserted": known["inserted"],
        "offer_updated": known["updated"],
        "reason_status": known["failed"] or None,
    }


def product_import(world: World, known: Row) -> Row:
    """P42. What the reports are is only told at the end."""
    status = world.conduct.product_status or ("COMPLETE" if known["done"] else "WAITING")
    failed = status in {"FAILED", "TRANSFORMATION_FAILED", "CANCELLED"}
    told, complete = known["done"] and status in {"SENT", "COMPLETE"}, known["done"] and status == "COMPLETE"
    rows, wrong = len(known["rows"]), len(known["first_errors"])
    return {
        "date_created": stamp(known["made_at"]),
        "has_error_report": complete and bool(known["errors"]),
        "has_new_product_report": complete and bool(known["inserted"]),
        "has_transformation_error_report": told and bool(wrong),
        "has_transformed_file": told,
        "import_id": int(known["id"]),
        "import_status": status,
        "reason_status": "The file cannot be read" if failed else None,
        "shop_id": world.shop["shop_id"],
        "transform_lines_in_error": wrong if told else 0,
        "transform_lines_in_success": rows - wrong if told else 0,
        "transform_lines_read": rows if told else 0,
        "transform_lines_with_warning": 0,
    }


def attribute(known: Row) -> Row:
    """A row of PM11."""
    roles = [known["role"]] if known.get("role") else []
    return {
        "code": known["code"],
        "label": known["label"],
        "label_translations": [{"locale": "it_IT", "value": known["label"]}],
        "description": known["label"],
        "description_translations": [{"locale": "it_IT", "value": known["label"]}],
        "example": None,
        "hierarchy_code": known.get("category") or "",
        "required": known["required"],
        "requirement_level": "REQUIRED" if known["required"] else "OPTIONAL",
        "roles": [{"type": each, "parameters": _words(known)} for each in roles],
        "type": "TEXT",
        "type_parameter": None,
        "variant": False,
    }


def _words(known: Row) -> list[Row]:
    return [{"name": "REFERENCE", "value": known["word"]}] if known.get("word") else []


def stock_import(known: Row, shop_id: int) -> Row:
    """STO02."""
    return _import(known) | {"import_id": known["id"], "shop_id": shop_id}


def price_import(known: Row, shop_id: int) -> Row:
    """A row of PRI02."""
    return _import(known) | {
        "import_id": known["id"],
        "shop_id": shop_id,
        "offers_in_error": len(known["errors"]),
        "offers_updated": known["updated"],
        "origin": "API",
        "reason_status": known["failed"] or None,
    }
