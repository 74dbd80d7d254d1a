"""Kaufland's JSON <-> our messages; pure. Every word of theirs is open on input (unknown ones become UNCLEAR and are kept) and strict on output.

What may go wrong: a required field is missing or of another type. Then Invalid names it, and the order or unit it belongs to.
What Kaufland offers, and which choices are ours: docs/marketplaces/kaufland.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

from app import messages as m
from app.errors import Invalid, Refused, ShopbridgeError, Unauthorised

Json = Mapping[str, Any]

# Section 1: one key pair for all storefronts. `es` and `nl` are in newer versions of the vendor's description only.
CURRENCY: Final = {
    "de": "EUR",
    "at": "EUR",
    "cz": "CZK",
    "sk": "EUR",
    "pl": "PLN",
    "fr": "EUR",
    "it": "EUR",
    "es": "EUR",
    "nl": "EUR",
}
LOCALE: Final = {
    "de": "de-DE",
    "at": "de-AT",
    "cz": "cs-CZ",
    "sk": "sk-SK",
    "pl": "pl-PL",
    "fr": "fr-FR",
    "it": "it-IT",
}

PIECE_STATES: Final = {
    "open": m.PieceState.ANNOUNCED,
    "need_to_be_sent": m.PieceState.TO_SHIP,
    "sent": m.PieceState.SHIPPED,
    "sent_and_autopaid": m.PieceState.SHIPPED,
    "received": m.PieceState.DELIVERED,
    "cancelled": m.PieceState.CANCELLED,
    "returned": m.PieceState.RETURNED,
    "returned_paid": m.PieceState.RETURNED,
}
# A return in repair or in clarification has arrived and still waits for the seller's last word.
RETURN_STATES: Final = {
    "need_to_be_returned": m.ReturnState.ANNOUNCED,
    "return_arrived": m.ReturnState.ARRIVED,
    "return_in_repair": m.ReturnState.ARRIVED,
    "return_in_clarification": m.ReturnState.ARRIVED,
    "return_accepted": m.ReturnState.ACCEPTED,
    "return_rejected": m.ReturnState.REJECTED,
    "return_closed": m.ReturnState.CLOSED,
}
# More than 1 % of cancellations with a cause at the seller cost a fee of 5-10 % of their value (section 4): so the buyer's wish is
# never told as the seller's fault, nor the other way round.
CANCEL_REASONS: Final = {
    "buyer_cancelled": "BuyerCancelled",
    "out_of_stock": "NoInventory",
    "address_undeliverable": "ShippingAddressUndeliverable",
    "wrong_price": "WrongPrice",
    "wrong_data": "WrongCatalogData",
    "other": "GeneralAdjustment",
}
# What the buyer reads in the ticket that a rejection opens (the vendor's schema): in German where German is spoken, else in English.
REJECTIONS: Final = {
    "damaged": (
        "Der Artikel ist beschädigt oder benutzt zurückgekommen.",
        "The item came back damaged or used.",
    ),
    "wrong_item": ("Zurückgekommen ist ein anderer Artikel.", "Another item came back."),
    "missing_item": ("Der Artikel war nicht im Paket.", "The item was not in the parcel."),
    "too_late": ("Die Rückgabefrist ist abgelaufen.", "The time limit for returns is over."),
    "hygiene_seal": ("Das Hygienesiegel ist beschädigt.", "The hygiene seal is broken."),
    "other": ("Die Rücksendung wird nicht angenommen.", "The return is not accepted."),
}
GERMAN: Final = frozenset({"de", "at"})
REFUND_REASONS: Final = {
    "return": "other_refund",
    "damaged": "delivery_damage",
    "delayed": "delivery_delay",
    "wrong_item": "incorrect_delivery",
    "incomplete": "incomplete_delivery",
    "postage": "refund_postage_fee",
    "other": "other_refund",
}
CONDITIONS: Final = {
    "new": "NEW",
    "used_as_new": "USED___AS_NEW",
    "used_very_good": "USED___VERY_GOOD",
    "used_good": "USED___GOOD",
    "used_acceptable": "USED___ACCEPTABLE",
    "refurbished_as_new": "REFURBISHED___AS_NEW",
    "refurbished_very_good": "REFURBISHED___VERY_GOOD",
    "refurbished_good": "REFURBISHED___GOOD",
    "refurbished_acceptable": "REFURBISHED___ACCEPTABLE",
}
# Tracking is mandatory unless the carrier is this one (section 4).
OTHER_CARRIER: Final = "Other"
MOST_HANDLING_DAYS: Final = 100

# What the sentences of our reasons call the partner.
NAME: Final = "Kaufland.de"

_PROBLEMS: Final = {
    "unauthorized": "credentials.refused",
    "invalid-credentials": "credentials.refused",
    "corrupted-signature": "signature.refused",
    "missing-or-invalid-request-header": "signature.header_missing",
    "inactive-account": "account.inactive",
    "forbidden": "account.not_allowed",
    "storefront-not-configured": "storefront.not_configured",
    "not-found": "partner.not_found",
    "duplicate-action": "deed.already_done",
    "action-not-allowed": "deed.not_allowed",
    "insufficient-funds": "refund.insufficient_funds",
    "order-units/cancel-error": "cancel.failed",
    "order-units/cancel-not-possible": "cancel.not_possible",
    "order-units/cancel-not-allowed": "cancel.not_allowed",
    "order-units/missing-payment": "order.unpaid",
    "order-units/shipping-rate-not-defined": "offer.shipping_rate_missing",
    "returns/unit-wrong-status": "return.wrong_status",
    "returns/return-address-not-set": "return.address_missing",
    "returns/return-address-unsupported-country": "return.address_unsupported",
    "already-exists": "offer.already_exists",
    "units/bulk-duplicate-units": "partner.batch_refused",
    "units/bulk-too-many-units": "partner.batch_refused",
    "units/bulk-too-many-butches": "partner.batch_refused",  # The vendor's own spelling.
    "units/bulk-invalid-operation": "partner.batch_refused",
    "validation-error": "partner.field_refused",
    "bad-request": "partner.field_refused",
}
_CREDENTIALS: Final = frozenset(
    {"credentials.refused", "signature.refused", "signature.header_missing", "account.inactive"}
)


# --- problems --------------------------------------------------------------------------------------------------------


def reason(status: int, body: object) -> m.Reason:
    """What an ErrorResponse means in our words. `params`: partner, status, problem (their type), message, field (where they name one)."""
    told: Json = body if isinstance(body, Mapping) else {}
    problem = str(told.get("type") or "about:blank").removeprefix("/problems/")
    errors = [each for each in _listed(told.get("errors")) if isinstance(each, Mapping)]
    params: dict[str, object] = {"partner": NAME, "marketplace": NAME, "status": status, "problem": problem}
    if told.get("message"):
        params["message"] = str(told["message"])[:200]
    if errors:
        params["field"] = ", ".join(str(each.get("field")) for each in errors)
        params["message"] = str(errors[0].get("message"))[:200]
    code = _PROBLEMS.get(problem) or {401: "credentials.refused", 404: "partner.not_found"}.get(
        status, "partner.refused"
    )
    return m.Reason("partner.refused" if code == "partner.field_refused" and not errors else code, params)


def refusal(status: int, body: object, operation: str) -> Refused:
    """The error to raise for a 4xx answer: Unauthorised where keys, signature or account are the cause, else Refused."""
    why = reason(status, body)
    kind = Unauthorised if status == 401 or why.code in _CREDENTIALS else Refused
    return kind(why.code, **why.params, operation=operation)


def told(error: ShopbridgeError) -> m.Reason:
    """An error as the reason beside an offer or a piece."""
    return m.Reason(error.code, dict(error.params))


# --- reading values ----------------------------------------------------------------------------------------------------


def rows(body: object) -> list[Json]:
    """The `data` of a list answer. Invalid when it is no list of objects."""
    data = body.get("data") if isinstance(body, Mapping) else None
    if not isinstance(data, list) or not all(isinstance(row, Mapping) for row in data):
        raise Invalid("data.invalid", field="data")
    return data


def row(body: object) -> Json:
    """The `data` of an answer about one thing. Invalid when it is no object."""
    data = body.get("data") if isinstance(body, Mapping) else None
    if not isinstance(data, Mapping):
        raise Invalid("data.invalid", field="data")
    return data


def words(body: object) -> list[str]:
    """The `data` of an answer that lists words. Invalid when it is none."""
    data = body.get("data") if isinstance(body, Mapping) else None
    if not isinstance(data, list):
        raise Invalid("data.invalid", field="data")
    return [str(each).lower() for each in data]


def objects(value: object) -> list[Json]:
    """The objects of a list inside an answer; what is none is left out."""
    return [each for each in _listed(value) if isinstance(each, Mapping)]


def total(body: object) -> int | None:
    """How many rows there are in all, None when the answer does not say."""
    paging = body.get("pagination") if isinstance(body, Mapping) else None
    count = paging.get("total") if isinstance(paging, Mapping) else None
    return count if isinstance(count, int) else None


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapped(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _text(data: Json, name: str) -> str:
    value = data.get(name)
    return str(value).strip() if value is not None else ""


def _required(data: Json, name: str, where: str) -> str:
    value = _text(data, name)
    if not value:
        raise Invalid("data.missing", field=f"{where}.{name}")
    return value


def _whole(data: Json, name: str, where: str) -> int:
    """Money comes as whole minor units (section 3): anything else is refused, not rounded."""
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Invalid("data.invalid", field=f"{where}.{name}")
    return value


def when(value: object) -> datetime | None:
    """ISO 8601 as aware UTC. The vendor's own samples contain malformed stamps, so those are None, not an error."""
    text = str(value or "").strip()
    text = re.sub(r"Z+$", "+00:00", text)
    try:
        parsed = datetime.fromisoformat(text)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def stamp(moment: datetime) -> str:
    """A moment as the filters want it: YYYY-MM-ddTHH:mm:ssZ."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ean(gtin: str) -> str:
    """A GTIN with the 13 or 14 digits Kaufland's EAN fields take; shorter ones are filled with leading zeros."""
    return gtin.strip().zfill(13)


# --- orders ------------------------------------------------------------------------------------------------------------


def unit_id(unit: Json) -> str:
    return _required(unit, "id_order_unit", "order_unit")


def piece(unit: Json) -> m.PieceSeen:
    """One order unit. Pieces of one shop line share offer and price, there is no quantity (section 4)."""
    where = f"order_unit.{unit_id(unit)}"
    raw = _required(unit, "status", where)
    product = _mapped(unit.get("product"))
    price = _whole(unit, "price", where)
    offer = _text(unit, "id_offer") or None
    return m.PieceSeen(
        external_id=unit_id(unit),
        group=f"{offer or 'product ' + _text(product, 'id_product')}|{price}",
        sku=offer,
        gtin=_gtin(product),
        title=_text(product, "title") or offer or unit_id(unit),
        unit_price=price,
        shipping_price=0 if unit.get("shipping_rate") is None else _whole(unit, "shipping_rate", where),
        state=PIECE_STATES.get(raw, m.PieceState.UNCLEAR),
        raw_state=raw,
        vat_percent=_percent(unit.get("vat")),
        ship_by=when(unit.get("delivery_time_expires_iso")),
        updated_at=when(unit.get("ts_updated_iso")),
        reason=_text(unit, "cancel_reason") or None,
    )


def _gtin(product: Json) -> str | None:
    """The same number may be listed with 12 and with 13 digits: the one with most digits of the first is taken."""
    known = [str(each).strip() for each in _listed(product.get("eans")) if str(each).strip().isdigit()]
    same = [each for each in known if each.lstrip("0") == known[0].lstrip("0")]
    return max(same, key=len) if same else None


def _percent(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str) or value == "":
        return None
    try:
        return format(Decimal(str(value)).normalize(), "f")
    except InvalidOperation:
        return None


def order(units: Sequence[Json], delivery: Json | None = None) -> m.OrderSeen:
    """The order these units belong to. `delivery` is the embed with the pickup location; without it a Packstation is not known."""
    head = units[0]
    where = f"order.{_required(head, 'id_order', 'order_unit')}"
    placed = [
        at for unit in units if (at := when(unit.get("ts_created_iso")) or when(unit.get("ts_updated_iso")))
    ]
    if not placed:
        raise Invalid("data.missing", field=f"{where}.ts_created_iso")
    mail = _text(_mapped(_first(units, "buyer")), "email")
    return m.OrderSeen(
        external_id=_text(head, "id_order"),
        placed_at=min(placed),
        currency=_text(head, "currency") or CURRENCY.get(_text(head, "storefront").lower(), "EUR"),
        pieces=tuple(piece(unit) for unit in units),
        billing=_address(_first(units, "billing_address"), mail),
        shipping=_address(_first(units, "shipping_address"), mail, _pickup(delivery)),
        country=_text(head, "storefront").lower() or None,
        invoice_by_marketplace=any(unit.get("is_marketplace_deemed_supplier") is True for unit in units),
    )


def _first(units: Sequence[Json], name: str) -> object:
    return next((unit[name] for unit in units if unit.get(name)), None)


def _address(data: object, mail: str, extra: dict[str, str] | None = None) -> m.Address | None:
    """None while Kaufland withholds it, about 15 minutes after the order (section 4)."""
    if not isinstance(data, Mapping) or not any(data.values()):
        return None
    return m.Address(
        first_name=_text(data, "first_name"),
        last_name=_text(data, "last_name"),
        company=_text(data, "company_name"),
        address_1=f"{_text(data, 'street')} {_text(data, 'house_number')}".strip(),
        address_2=_text(data, "additional_field"),
        postcode=_text(data, "postcode"),
        city=_text(data, "city"),
        country=_text(data, "country").upper(),
        phone=_text(data, "phone"),
        email=mail,
        extra=extra or {},
    )


def _pickup(delivery: Json | None) -> dict[str, str]:
    """Packstation or locker: without these the parcel does not reach it, so they must come to the label (section 4)."""
    place = _mapped(_mapped(delivery).get("pickup_location"))
    names = ("pickup_location_id", "provider", "carrier", "services", "dhl_post_number")
    known = {name: _text(place, name) for name in names if _text(place, name)}
    return {
        name if name.startswith(("pickup", "dhl")) else f"pickup_{name}": value
        for name, value in known.items()
    }


# --- returns -----------------------------------------------------------------------------------------------------------


def return_seen(data: Json) -> m.ReturnSeen:
    """A return with its units (embedded `return_units`)."""
    return m.ReturnSeen(
        external_id=_required(data, "id_return", "return"),
        pieces=tuple(return_piece(unit) for unit in objects(data.get("return_units"))),
        tracking_number=_text(data, "tracking_code") or None,
        carrier=_text(data, "tracking_provider") or None,
    )


def return_piece(unit: Json) -> m.ReturnPieceSeen:
    raw = _required(unit, "status", "return_unit")
    return m.ReturnPieceSeen(
        external_id=_required(unit, "id_return_unit", "return_unit"),
        piece_external_id=_required(unit, "id_order_unit", "return_unit"),
        state=RETURN_STATES.get(raw, m.ReturnState.UNCLEAR),
        raw_state=raw,
        reason=_text(unit, "reason") or None,
        note=_text(unit, "note") or None,
    )


# --- deeds -------------------------------------------------------------------------------------------------------------


def send_body(tracking_number: str | None, carrier_code: str | None) -> dict[str, str]:
    """`tracking_numbers` is text, not a list. Without a number only the carrier `Other` is taken, and no number is written then."""
    if not tracking_number:
        return {"tracking_numbers": "", "carrier_code": OTHER_CARRIER}
    return {"tracking_numbers": tracking_number, "carrier_code": carrier_code or OTHER_CARRIER}


def further_parcel_body(piece_id: str, tracking_number: str, carrier_code: str | None) -> dict[str, object]:
    if not piece_id.isdigit():
        raise Refused("data.invalid", field="piece_id")
    return {
        "id_order_unit": int(piece_id),
        "shipment_information": {
            "tracking_number": tracking_number,
            "carrier_code": carrier_code or OTHER_CARRIER,
        },
    }


def cancel_body(our_reason: str) -> dict[str, str]:
    """Refused for a reason that is none of ours: guessing here costs the merchant a fee."""
    if our_reason not in CANCEL_REASONS:
        raise Refused("cancel.reason_unknown", reason=our_reason)
    return {"reason": CANCEL_REASONS[our_reason]}


def refund_body(amount: int, our_reason: str) -> dict[str, object]:
    """`amount` in minor units, at least one."""
    if isinstance(amount, bool) or amount < 1:
        raise Refused("refund.amount_invalid", amount=amount)
    if our_reason not in REFUND_REASONS:
        raise Refused("refund.reason_unknown", reason=our_reason)
    return {"amount": amount, "reason": REFUND_REASONS[our_reason]}


# --- offers ------------------------------------------------------------------------------------------------------------


def refs(text: str | None, storefronts: Sequence[str]) -> dict[str, int]:
    """`de:385112233,at:385112290` -> {"de": 385112233, "at": 385112290}. A bare number belongs to the first storefront."""
    found: dict[str, int] = {}
    for each in (text or "").split(","):
        country, _, number = each.strip().rpartition(":")
        if number.isdigit():
            found[country or storefronts[0]] = int(number)
    return found


def ref(ids: Mapping[str, int]) -> str | None:
    text = ",".join(f"{country}:{number}" for country, number in ids.items())
    return text or None


def objection(offer: m.OfferWanted, storefronts: Sequence[str]) -> m.Reason | None:
    """Why Kaufland would refuse this offer anyway: told before a call is spent."""
    currencies = {CURRENCY[each] for each in storefronts}
    if offer.price < 1:
        return m.Reason("offer.price_missing", {"sku": offer.sku})
    if currencies != {offer.currency}:
        return m.Reason(
            "offer.currency",
            {"sku": offer.sku, "currency": offer.currency, "expected": "/".join(sorted(currencies))},
        )
    if not 0 <= offer.handling_days <= MOST_HANDLING_DAYS:
        return m.Reason(
            "offer.handling_days", {"sku": offer.sku, "days": offer.handling_days, "most": MOST_HANDLING_DAYS}
        )
    if offer.condition not in CONDITIONS:
        return m.Reason("offer.condition_unknown", {"sku": offer.sku, "condition": offer.condition})
    return None


def create_body(offer: m.OfferWanted, shipping_group: int | None) -> dict[str, object]:
    """A new unit. The amount is always given: without it Kaufland would put one piece on sale (section 6)."""
    body: dict[str, object] = {
        "ean": ean(offer.gtin or ""),
        "id_offer": offer.sku,
        "condition": CONDITIONS[offer.condition],
        "listing_price": offer.price,
        "amount": max(offer.stock, 0) if offer.on else 0,
        "handling_time": offer.handling_days,
    }
    return body | _group(shipping_group)


def patch_body(offer: m.OfferWanted, shipping_group: int | None, *, with_stock: bool) -> dict[str, object]:
    """What may be changed of a unit. `with_stock` only for one storefront of a SKU: Kaufland keeps the amount of the others in step.

    Off is ONHOLD and leaves the amount alone: that is shared, so 0 here would also empty storefronts that stay on sale (section 6).
    """
    body: dict[str, object] = {
        "status": "AVAILABLE" if offer.on else "ONHOLD",
        "listing_price": offer.price,
        "handling_time": offer.handling_days,
    }
    if with_stock and offer.on:
        body["amount"] = max(offer.stock, 0)
    return body | _group(shipping_group)


def _group(shipping_group: int | None) -> dict[str, object]:
    return {} if shipping_group is None else {"id_shipping_group": shipping_group}


def shown(unit: Json, storefront: str) -> m.OfferShown:
    """A unit as Kaufland shows it. The price is the one we wrote (`listing_price`); smart pricing may sell below it.

    The stock is what can be bought here: 0 while ONHOLD, whatever amount its sisters on other storefronts share.
    """
    raw = _required(unit, "status", "unit")
    stock = 0 if raw == "ONHOLD" else unit.get("amount")
    return m.OfferShown(
        sku=_text(unit, "id_offer"),
        external_ref=ref({storefront: _whole(unit, "id_unit", "unit")}),
        price=_count(unit.get("listing_price")),
        stock=_count(stock),
        handling_days=_count(unit.get("handling_time")),
        on={"AVAILABLE": True, "INCOMPLETE": True, "ONHOLD": False}.get(raw),
        shipping_group=_text(unit, "id_shipping_group") or None,
        raw_state=raw,
        state=_offer_state(raw, stock),
        reason=m.Reason("product.data_incomplete") if raw == "INCOMPLETE" else None,
        gtin=_gtin(_mapped(unit.get("product"))),
    )


# The worst news of several storefronts is the news of the offer.
_WORST: Final = (
    m.OfferState.REFUSED,
    m.OfferState.NEEDS_PRODUCT,
    m.OfferState.WAITING,
    m.OfferState.OFF,
    m.OfferState.ON_SALE,
)


def as_one(wanted: m.OfferWanted, reference: str | None, seen: Sequence[m.OfferShown]) -> m.OfferShown | None:
    """What several storefronts show, as one answer: where one differs from what is wanted, that one is told.

    The stock is the first one's, where it was written; Kaufland brings the others in step a little later.
    """
    if not seen:
        return m.OfferShown(wanted.sku, reference) if reference else None
    states = [each.state for each in seen]
    return replace(
        seen[0],
        external_ref=reference,
        price=_differing(wanted.price, [each.price for each in seen]),
        handling_days=_differing(wanted.handling_days, [each.handling_days for each in seen]),
        on=_differing(wanted.on, [each.on for each in seen]),
        state=next((state for state in _WORST if state in states), None),
    )


Value = TypeVar("Value")


def _differing(wanted: Value, values: Sequence[Value | None]) -> Value | None:
    return next((value for value in values if value != wanted), values[0])


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _offer_state(raw: str, stock: object) -> m.OfferState:
    if raw == "INCOMPLETE":
        return m.OfferState.NEEDS_PRODUCT
    if stock == 0 and raw in {"ONHOLD", "AVAILABLE"}:
        return m.OfferState.OFF
    return m.OfferState.ON_SALE if raw == "AVAILABLE" else m.OfferState.WAITING


def product_reason(gtin: str, status: Json | None) -> m.Reason:
    """Why there is no product to sell under this EAN, from the status of our product data (None: Kaufland has none)."""
    if status is None:
        return m.Reason("product.unknown_gtin", {"gtin": gtin})
    why = _text(status, "product_not_ready_reason")
    missing = [str(each) for each in _listed(status.get("missing_attributes"))]
    one_of = [str(each) for each in _listed(status.get("min_one_missing_attributes"))]
    params: dict[str, object] = {
        "gtin": gtin,
        "marketplace_reason": why or _text(status, "update_fail_reason"),
    }
    if missing or one_of:
        return m.Reason(
            "product.data_missing", params | {"fields": ", ".join(missing), "one_of": ", ".join(one_of)}
        )
    if why in {"BLACKLISTED", "PORN_FORBIDDEN"}:
        return m.Reason("product.forbidden", params)
    if why == "PROCESSING_FAILED" or _text(status, "update_status") in {"FAIL", "ABORTED"}:
        return m.Reason("product.data_refused", params)
    return m.Reason("product.data_processing", params)


def bulk_answers(body: object) -> Iterable[tuple[int, int, Json]]:
    """(id_unit, status code, entry) of each entry of a 207 answer; the status code comes as 200 or 200.0."""
    for entry in rows(body):
        code = entry.get("status_code")
        if isinstance(code, bool) or not isinstance(code, int | float | Decimal):
            raise Invalid("data.invalid", field="data.status_code")
        yield _whole(entry, "id_unit", "bulk"), int(code), entry
