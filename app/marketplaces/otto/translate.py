"""OTTO Market's JSON <-> our messages; pure. Their words are open on input (unknown ones become UNCLEAR and are kept) and strict on output.

What may go wrong: a required field is missing or of another type. Then Invalid names it, and the order or item it belongs to.
What OTTO offers, and which choices are ours: docs/marketplaces/otto.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from app import messages as m
from app.errors import Invalid, Refused, ShopbridgeError, Unauthorised, Unavailable
from app.rules import gtin as gtins
from app.rules.product_text import shortened

Json = Mapping[str, Any]

# What the sentences of our reasons call the partner.
NAME: Final = "OTTO Market"
CURRENCY: Final = "EUR"  # The only one (FACTS 3).
_GERMANY: Final = ZoneInfo("Europe/Berlin")
_SATURDAY: Final = 5  # of datetime.weekday

PIECE_STATES: Final = {
    "ANNOUNCED": m.PieceState.ANNOUNCED,
    "PROCESSABLE": m.PieceState.TO_SHIP,
    "SENT": m.PieceState.SHIPPED,
    "RETURNED": m.PieceState.RETURNED,
    "CANCELLED_BY_PARTNER": m.PieceState.CANCELLED,
    "CANCELLED_BY_MARKETPLACE": m.PieceState.CANCELLED,
}
# A misdirected item lies in a warehouse of OTTO's and is on its way to the seller: for him it is still to come.
RETURN_STATES: Final = {
    "ANNOUNCED": m.ReturnState.ANNOUNCED,
    "MISDIRECTED": m.ReturnState.ANNOUNCED,
    "ACCEPTED": m.ReturnState.ACCEPTED,
    "REJECTED": m.ReturnState.REJECTED,
}
CANCEL_REASONS: Final = (
    "buyer_cancelled", "out_of_stock", "address_undeliverable", "wrong_price", "wrong_data", "other",
)  # fmt: skip
# Our reason of a refund -> why the seller accepts the whole item back (FACTS 6).
ACCEPT_REASONS: Final = {
    "return": "RETURN_RECEIVED",
    "damaged": "COMPLAINT",
    "delayed": "CANCEL_REQUEST_BY_CUSTOMER",
    "wrong_item": "COMPLAINT",
    "incomplete": "COMPLAINT",
    "postage": "COMPLAINT",
    "other": "COMPLAINT",
}
REJECTIONS: Final = {
    "damaged": "ITEM_DAMAGED",
    "wrong_item": "WRONG_ITEM",
    "third_party": "THIRD_PARTY_ITEM",
    "missing_item": "ITEM_NOT_IN_THE_PARCEL",
    "too_late": "RETURN_PERIOD_EXCEEDED",
    "hygiene_seal": "DAMAGE_TO_THE_HYGIENE_SEAL",
    "exchange": "EXCHANGE",
}
# Of what is rejected the reason says more than the connection's usual condition (FACTS 6).
CONDITION_OF: Final = {
    "ITEM_DAMAGED": "D",
    "WRONG_ITEM": "E",
    "THIRD_PARTY_ITEM": "E",
    "ITEM_NOT_IN_THE_PARCEL": "E",
}
CONDITIONS: Final = ("A", "B", "C", "D", "E")
RETURN_CARRIERS: Final = ("DHL", "GLS", "HERMES")
# Our names of those who carry parcels; all others that OTTO knows are forwarders, whose goods need no return label (FACTS 5).
PARCEL_CARRIERS: Final = frozenset({"dhl", "dhl_express", "dpd", "gls", "hermes", "ups"})
VAT: Final = {"19": "FULL", "7": "REDUCED", "0": "FREE"}
VAT_WORDS: Final = ("FULL", "REDUCED", "FREE", "NONE")

MOST_DELIVERY_DAYS: Final = 72  # Processing and transport together; more is shown as sold out (FACTS 7.8).
MOST_PROCESSING: Final = 99
MOST_SKU: Final = 50
MOST_DESCRIPTION: Final = 1999

# ISO 3166-1 alpha-3, which OTTO speaks, for the countries its buyers and sellers live in (FACTS 3).
COUNTRIES: Final = {
    "DEU": "DE", "AUT": "AT", "CHE": "CH", "LIE": "LI", "LUX": "LU", "NLD": "NL", "BEL": "BE", "FRA": "FR", "ITA": "IT",
    "ESP": "ES", "PRT": "PT", "GBR": "GB", "IRL": "IE", "DNK": "DK", "SWE": "SE", "NOR": "NO", "FIN": "FI", "ISL": "IS",
    "POL": "PL", "CZE": "CZ", "SVK": "SK", "HUN": "HU", "SVN": "SI", "HRV": "HR", "ROU": "RO", "BGR": "BG", "GRC": "GR",
    "CYP": "CY", "MLT": "MT", "EST": "EE", "LVA": "LV", "LTU": "LT", "SRB": "RS", "BIH": "BA", "MNE": "ME", "MKD": "MK",
    "ALB": "AL", "MDA": "MD", "UKR": "UA", "TUR": "TR", "MCO": "MC", "AND": "AD", "SMR": "SM", "CHN": "CN", "USA": "US",
}  # fmt: skip
_ALPHA3: Final = {short: long for long, short in COUNTRIES.items()}

_TITLES: Final = {
    "INSUFFICIENT_PERMISSION": "account.not_allowed",
    "PROPERTY_IS_MANDATORY": "partner.field_refused",
    "INVALID_REQUEST_PARAMETER": "partner.field_refused",
    "DUPLICATE_TRACKING_KEY": "ship.tracking_used",
    "POSITION_ITEM_INCLUDED_IN_OTHER_SHIPMENT": "deed.already_done",
}
_STATUS: Final = {401: "credentials.refused", 404: "partner.not_found", 409: "deed.not_allowed"}
# OAuth errors that no waiting mends (RFC 6749, 5.2).
_FINAL: Final = frozenset({"invalid_client", "invalid_grant", "invalid_scope", "unauthorized_client"})
SCOPES: Final = (
    "orders",
    "products",
    "shipments",
    "returns",
    "price-reduction",
    "availability",
    "shipping-profiles",
)
_SCOPE_OF: Final = {
    "/v4/orders": "orders",
    "/v5/products": "products",
    "/v1/shipments": "shipments",
    "/v1/multiparcel-shipments": "shipments",
    "/v1/return-shipments": "shipments",
    "/v3/returns": "returns",
    "/v1/price-reductions": "price-reduction",
    "/v1/availability": "availability",
    "/v1/shipping-profiles": "shipping-profiles",
}


# --- problems --------------------------------------------------------------------------------------------------------


def errors(body: object) -> list[Json]:
    """The errors of an answer in any of the three shapes (FACTS 3), each with `title`, `detail` and the like.

    `{"errors": [...]}`, where the vendor's own description also knows one object or a nested `errors`; `{"title", "validationErrors": [...]}`;
    and the gateway's `{"message"}`.
    """
    if not isinstance(body, Mapping):
        return []
    found = body.get("errors")
    if isinstance(found, Mapping):
        return errors(found) if "errors" in found else [found]
    if isinstance(found, list):
        return objects(found)
    if detailed := objects(body.get("validationErrors")):
        return [{"title": body.get("title"), **each} for each in detailed]
    told = (
        text(body, "message") or text(body, "error_description") or text(body, "title") or text(body, "error")
    )
    return [{"title": "", "detail": told}] if told else []


def reason(status: int, body: object, path: str = "") -> m.Reason:
    """What a refusal means in our words. `params`: partner, marketplace, status, problem (their title), message, field, logref."""
    told = errors(body)
    first: Json = told[0] if told else {}
    title = text(first, "title")
    params: dict[str, object] = {"partner": NAME, "marketplace": NAME, "status": status, "problem": title}
    if said := "; ".join(dict.fromkeys(filter(None, map(said_in, told))))[:200]:
        params["message"] = said
    if field := text(first, "jsonPath") or text(first, "jsonpath"):
        params["field"] = field
    if logref := text(first, "logref"):
        params["logref"] = logref
    if status == 403 and title not in _TITLES:
        scope = next((scope for start, scope in _SCOPE_OF.items() if path.startswith(start)), "")
        return m.Reason("otto.scope_missing", params | {"scope": scope})
    if title == "PROPERTY_IS_MANDATORY" and "returnTrackingKey" in field:
        return m.Reason("ship.return_tracking_required", params)
    return m.Reason(_TITLES.get(title) or _STATUS.get(status, "partner.refused"), params)


def refusal(status: int, body: object, path: str) -> Refused:
    """The error to raise for a 4xx answer: Unauthorised where the credentials are the cause, else Refused."""
    why = reason(status, body, path)
    return (Unauthorised if status == 401 else Refused)(why.code, **why.params)


def token_refusal(status: int, body: object, kind: str) -> Unauthorised | Unavailable:
    """Why there is no access token, from an OAuth error. Nothing works without one, so the connection stops, but only where OTTO says that the
    credentials are the cause: at night a gateway answers for it with 403 or 404, and that ends by itself (FACTS 11).
    """
    told: Json = body if isinstance(body, Mapping) else {}
    if status != 401 and not (status == 400 and text(told, "error") in _FINAL):
        return Unavailable("partner.unavailable", partner=NAME, operation="token", status=status)
    params: dict[str, object] = {"partner": NAME, "status": status, "kind": kind}
    if said := text(told, "error_description") or text(told, "error"):
        params["message"] = said[:200]
    if text(told, "error") == "invalid_scope":
        return Unauthorised("otto.scope_missing", **params, scope=" ".join(SCOPES))
    return Unauthorised("credentials.refused", **params)


def problem(error: Refused) -> str:
    """Their title of a refusal, e.g. DUPLICATE_TRACKING_KEY."""
    return str(error.params.get("problem", ""))


def said_in(error: Json) -> str:
    """One error as a person reads it."""
    parts = [text(error, "code"), text(error, "detail") or text(error, "title")]
    return " ".join(part for part in parts if part)


def told(error: ShopbridgeError) -> m.Reason:
    """An error as the reason beside an offer or a piece."""
    return m.Reason(error.code, dict(error.params))


# --- reading and writing values ---------------------------------------------------------------------------------------


def objects(value: object) -> list[Json]:
    """The objects of a list; what is none is left out."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def rows(body: object, name: str) -> list[Json]:
    """The list `name` of an answer ("resources.variations" is one inside another). Invalid when it is no list of objects."""
    found: object = body
    for step in name.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
        raise Invalid("data.invalid", field=name)
    return found


def row(body: object) -> Json:
    """An answer about one thing. Invalid when it is no object."""
    if not isinstance(body, Mapping):
        raise Invalid("data.invalid", field="body")
    return body


def next_query(body: object) -> list[tuple[str, str]] | None:
    """The query of the link `rel=next`; None at the end. Lists of delivery information have one link that is no list (FACTS 3)."""
    links = body.get("links") if isinstance(body, Mapping) else None
    for link in [links] if isinstance(links, Mapping) else objects(links):
        if link.get("rel") == "next" and (query := urlsplit(text(link, "href")).query):
            return parse_qsl(query, keep_blank_values=True)
    return None


def text(data: Json, name: str) -> str:
    value = data.get(name)
    return str(value).strip() if value is not None and not isinstance(value, Mapping | list) else ""


def _mapped(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _required(data: Json, name: str, where: str) -> str:
    value = text(data, name)
    if not value:
        raise Invalid("data.missing", field=f"{where}.{name}")
    return value


def when(value: object) -> datetime | None:
    """ISO 8601 as aware UTC; OTTO mixes `+0000`, `+02:00` and `Z` (FACTS 3). None when there is none to be read."""
    try:
        parsed = datetime.fromisoformat(str(value or "").strip())
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def stamp(moment: datetime) -> str:
    """A moment as OTTO reads it, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def minor(value: object, where: str) -> int:
    """`{"amount": 19.95, "currency": "EUR"}` in cents, exactly. Invalid for more digits, another currency, or no amount."""
    data = _mapped(value)
    amount, currency = data.get("amount"), data.get("currency", CURRENCY)
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal) or currency != CURRENCY:
        raise Invalid("data.invalid", field=where)
    cents = Decimal(amount) * 100
    if not cents.is_finite() or cents != cents.to_integral_value():
        raise Invalid("data.invalid", field=where)
    return int(cents)


def money(cents: int) -> dict[str, object]:
    """Cents as OTTO writes amounts; `encoded` makes the Decimal a JSON number."""
    return {"amount": Decimal(cents).scaleb(-2), "currency": CURRENCY}


_NUMBER: Final = re.compile('"\ue000(-?[0-9]+[.][0-9]{2})\ue000"')


def encoded(body: object) -> bytes:
    """JSON in UTF-8, with Decimal as numbers: the json module can only write floats, and those do not come near money."""

    def marked(value: object) -> str:
        if not isinstance(value, Decimal):
            raise TypeError(f"not JSON: {value!r}")
        return f"\ue000{value:.2f}\ue000"

    raw = json.dumps(body, default=marked, ensure_ascii=False, separators=(",", ":"))
    return _NUMBER.sub(r"\1", raw).encode()


def country(alpha3: str) -> str:
    """Alpha-2 of an alpha-3 code; one that we do not know stays as it is, for a person to read."""
    return COUNTRIES.get(alpha3.upper(), alpha3.upper())


# --- orders ------------------------------------------------------------------------------------------------------------


def piece_id(order_id: str, item_id: str) -> str:
    """Both ids, because every deed names both."""
    return f"{order_id}/{item_id}"


def ids(piece: str) -> tuple[str, str]:
    """(salesOrderId, positionItemId) of a piece id. Refused when it is none of ours."""
    order_id, slash, item_id = piece.partition("/")
    if not slash or not order_id or not item_id or "/" in item_id:
        raise Refused("data.invalid", field="piece_id")
    return order_id, item_id


def by_order(pieces: Iterable[str]) -> dict[str, list[str]]:
    """Piece ids by the order they belong to."""
    found: dict[str, list[str]] = {}
    for each in dict.fromkeys(pieces):
        found.setdefault(ids(each)[0], []).append(each)
    return found


def order(data: Json, transport_days: int = 0) -> m.OrderSeen:
    """One sales order (FACTS 4). `transport_days`: how long parcels travel; the promised day minus this is the day to ship by."""
    order_id = _required(data, "salesOrderId", "order")
    where = f"order.{order_id}"
    placed = when(data.get("orderDate"))
    if placed is None:
        raise Invalid("data.missing", field=f"{where}.orderDate")
    items = rows(data, "positionItems")
    mail = text(_mapped(data.get("invoiceAddress")), "email")
    shipping = _address(data.get("deliveryAddress"), mail)
    fees = _fees(data, items, where)
    return m.OrderSeen(
        external_id=order_id,
        number=text(data, "orderNumber") or None,
        placed_at=placed,
        currency=CURRENCY,
        pieces=tuple(_piece(order_id, item, fees, shipping is not None, transport_days) for item in items),
        billing=_address(data.get("invoiceAddress"), mail),
        shipping=shipping,
        country="de",
        # OTTO writes the customer's receipts: the shop must not send an invoice of its own (FACTS 6).
        invoice_by_marketplace=True,
    )


def _piece(
    order_id: str, item: Json, fees: Mapping[str, int], addressed: bool, transport_days: int
) -> m.PieceSeen:
    """One position item: OTTO knows no quantities (FACTS 4)."""
    item_id = _required(item, "positionItemId", f"order.{order_id}.positionItems")
    where = f"order.{order_id}.{item_id}"
    raw = _required(item, "fulfillmentStatus", where)
    product = _mapped(item.get("product"))
    price = paid(item, where)
    sku = text(product, "sku") or None
    state = PIECE_STATES.get(raw, m.PieceState.UNCLEAR)
    if state is m.PieceState.TO_SHIP and not addressed:
        state = m.PieceState.ANNOUNCED  # Nobody can ship to nowhere; the address comes with a later look.
    promised = when(item.get("expectedDeliveryDate"))
    dates = ("cancellationDate", "returnedDate", "sentDate", "processableDate")
    return m.PieceSeen(
        external_id=piece_id(order_id, item_id),
        group=f"{sku or text(product, 'articleNumber')}|{price}",
        sku=sku,
        gtin=text(product, "ean") or None,
        title=text(product, "productTitle") or sku or item_id,
        unit_price=price,
        shipping_price=fees.get(item_id, 0),
        state=state,
        raw_state=raw,
        vat_percent=_percent(product.get("vatRate")),
        ship_by=_working_days_before(promised, transport_days),
        updated_at=next((at for name in dates if (at := when(item.get(name)))), None),
        reason=text(item, "cancellationReason") or None,
    )


def _working_days_before(promised: datetime | None, days: int) -> datetime | None:
    """The last working day on which a parcel that travels so many working days still arrives by the promised day, at the same time of day.

    Monday to Friday, in Germany; public holidays nobody here knows, so a week with one is told a day too late.
    """
    if promised is None:
        return None
    try:
        day, left = promised.astimezone(_GERMANY), days
        while day.weekday() >= _SATURDAY or left:
            left -= day.weekday() < _SATURDAY
            day -= timedelta(days=1)
        return day.astimezone(UTC)
    except OverflowError:
        return None  # a date at the end of the calendar is none


def paid(item: Json, where: str = "positionItem") -> int:
    """What the buyer pays for one item: the reduced price where there is one."""
    reduced = item.get("itemValueReducedGrossPrice")
    name = "itemValueGrossPrice" if reduced is None else "itemValueReducedGrossPrice"
    return minor(item.get(name), f"{where}.{name}")


def _fees(data: Json, items: Sequence[Json], where: str) -> dict[str, int]:
    """A delivery fee belongs to several items and stands with the first one it names that is not cancelled: the buyer pays it for what comes."""
    cancelled = {
        text(each, "positionItemId")
        for each in items
        if PIECE_STATES.get(text(each, "fulfillmentStatus")) is m.PieceState.CANCELLED
    }
    found: dict[str, int] = {}
    for fee in objects(data.get("initialDeliveryFees")):
        named = [str(each) for each in fee.get("positionItemIds") or []]
        bearer = next((each for each in named if each not in cancelled), named[0] if named else None)
        if bearer is not None:
            amount = minor(fee.get("deliveryFeeAmount"), f"{where}.initialDeliveryFees")
            found[bearer] = found.get(bearer, 0) + amount
    return found


def fee_of(data: Json, piece: str) -> int:
    """Cents of the delivery fees that stand with this piece of the order."""
    order_id, item_id = ids(piece)
    return _fees(data, objects(data.get("positionItems")), f"order.{order_id}").get(item_id, 0)


def _percent(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return format(Decimal(value).normalize(), "f")


def _address(data: object, mail: str) -> m.Address | None:
    """None while OTTO withholds it (FACTS 4). The e-mail is the buyer's pseudonym except for forwarder goods."""
    if not isinstance(data, Mapping) or not any(data.values()):
        return None
    names = [text(data, "title"), text(data, "firstName"), text(data, "lastName")]
    is_company = text(data, "salutation") == "COMPANY"
    return m.Address(
        first_name="" if is_company else names[1],
        last_name="" if is_company else names[2],
        company=" ".join(filter(None, names)) if is_company else "",
        address_1=f"{text(data, 'street')} {text(data, 'houseNumber')}".strip(),
        address_2=text(data, "addition"),
        postcode=text(data, "zipCode"),
        city=text(data, "city"),
        country=country(text(data, "countryCode")),
        phone=text(data, "phoneNumber"),
        email=text(data, "email") or mail,
    )


# --- returns -----------------------------------------------------------------------------------------------------------


def returned(item: Json) -> m.ReturnSeen:
    """One item of GET /v3/returns. A return is of one item, so both have its id; `details` differ by status (FACTS 6)."""
    identity = piece_id(
        _required(item, "salesOrderId", "return"), _required(item, "positionItemId", "return")
    )
    raw = _required(item, "status", f"return.{identity}")
    details = _mapped(item.get("details"))
    key = _mapped(details.get("returnTrackingKey"))
    told = key.get("trackingNumbers")
    numbers = [str(each) for each in told] if isinstance(told, list) else []
    warehouse = text(details, "ottoWarehouseID")
    piece = m.ReturnPieceSeen(
        external_id=identity,
        piece_external_id=identity,
        state=RETURN_STATES.get(raw, m.ReturnState.UNCLEAR),
        raw_state=raw,
        reason=text(details, "reason") or None,
        note=f"OTTO {warehouse}" if warehouse else text(details, "condition") or None,
    )
    return m.ReturnSeen(
        identity,
        (piece,),
        tracking_number=numbers[0] if numbers else None,
        carrier=text(key, "carrier") or None,
    )


def arrived(shipment: Json) -> list[m.ReturnSeen]:
    """The items of a parcel of GET /v1/return-shipments when it has arrived; [] while it travels. Acceptance is another matter."""
    states = {text(each, "state") for each in objects(shipment.get("states"))}
    if "DELIVERED" not in states:
        return []
    key = _mapped(shipment.get("trackingKey"))
    found = []
    for item in objects(shipment.get("returnPositionItems")):
        where = "return_shipment"
        identity = piece_id(
            _required(item, "salesOrderId", where), _required(item, "salesOrderPositionItemId", where)
        )
        piece = m.ReturnPieceSeen(identity, identity, m.ReturnState.ARRIVED, "DELIVERED")
        found.append(
            m.ReturnSeen(
                identity, (piece,), text(key, "trackingNumber") or None, text(key, "carrier") or None
            )
        )
    return found


def changed_at(item: Json) -> datetime | None:
    return when(item.get("occurredTime"))


# --- deeds -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parcel:
    """What OTTO wants to know of every parcel besides its contents (FACTS 5). `return_key` may be missing for forwarders only."""

    carrier: str
    number: str
    shipped_at: datetime
    city: str
    postcode: str
    country: str  # alpha-2
    return_key: tuple[str, str] | None  # carrier, number
    return_address: str | None  # returnAddressCarrierId


def shipment_body(parcel: Parcel, pieces: Sequence[str]) -> dict[str, object]:
    """`POST /v1/shipments`, and one element of `POST /v1/multiparcel-shipments`."""
    return {
        "trackingKey": {"carrier": parcel.carrier, "trackingNumber": parcel.number},
        "shipDate": stamp(parcel.shipped_at),
        "shipFromAddress": {
            "city": parcel.city[:60],
            "countryCode": _ALPHA3.get(parcel.country.upper(), parcel.country.upper()),
            "zipCode": parcel.postcode[:10],
        },
        "positionItems": contents(parcel, pieces),
    }


def contents(parcel: Parcel, pieces: Sequence[str]) -> list[dict[str, object]]:
    """The items of a parcel; also the body of the call that adds forgotten ones."""
    more: dict[str, object] = {}
    if parcel.return_key is not None:
        more["returnTrackingKey"] = {"carrier": parcel.return_key[0], "trackingNumber": parcel.return_key[1]}
    if parcel.return_address:
        more["returnAddressCarrierId"] = parcel.return_address
    return [_item(piece) | more for piece in pieces]


def _item(piece: str) -> dict[str, object]:
    order_id, item_id = ids(piece)
    return {"positionItemId": item_id, "salesOrderId": order_id}


def reduction_body(piece: str, amount: int) -> dict[str, object]:
    return _item(piece) | {"priceReduction": money(amount)}


def acceptance_body(piece: str, why: str, condition: str | None) -> dict[str, object]:
    """`condition` is of what came back; a parcel that was lost has none."""
    return {
        "positionItems": [_item(piece) | ({"condition": condition} if condition else {}) | {"reason": why}]
    }


def reduced(body: object, *but: str) -> int:
    """Cents that were taken off one item's price, left out what was rejected or is in the states `but` (GET /v1/price-reductions?positionItemId=)."""
    found = 0
    for result in objects(_mapped(body).get("results")):
        for each in objects(result.get("priceReductions")):
            if text(each, "status") not in {"REJECTED", *but}:
                found += minor(each.get("priceReduction"), "priceReductions.priceReduction")
    return found


# --- what is wanted of offers ---------------------------------------------------------------------------------------------


def objection(offer: m.OfferWanted, transport_days: int) -> m.Reason | None:
    """Why OTTO would refuse this offer or hide it: told before a call is spent."""
    if offer.price < 1:
        return m.Reason("offer.price_missing", {"sku": offer.sku})
    if offer.currency != CURRENCY:
        return m.Reason(
            "offer.currency", {"sku": offer.sku, "currency": offer.currency, "expected": CURRENCY}
        )
    if len(offer.sku) > MOST_SKU:
        return m.Reason("otto.sku_too_long", {"sku": offer.sku, "most": MOST_SKU})
    most = min(MOST_PROCESSING, MOST_DELIVERY_DAYS - transport_days)
    if not 0 <= offer.handling_days < most:
        days = {
            "sku": offer.sku,
            "days": offer.handling_days,
            "transport": transport_days,
            "most": max(0, most - 1),
        }
        return m.Reason("otto.delivery_time", days)
    return None


def quantity_row(offer: m.OfferWanted) -> dict[str, object]:
    return {"sku": offer.sku, "quantity": max(offer.stock, 0) if offer.on else 0}


def price_row(offer: m.OfferWanted) -> dict[str, object]:
    return {"sku": offer.sku, "standardPrice": money(offer.price)}


def delivery_row(offer: m.OfferWanted, profile: str) -> dict[str, object]:
    """OTTO counts the day of the order: its 1 is our 0 (FACTS 7.8)."""
    return {"sku": offer.sku, "shippingProfileId": profile, "processingTime": str(offer.handling_days + 1)}


# --- product data (O5) ---------------------------------------------------------------------------------------------------

ATTRIBUTE: Final = "attribute:"
# What a merchant may map beside attributes; the value names a field of the shop, or is "=constant". `vat` (FULL, REDUCED, FREE, NONE) and `image`
# (an address) count where the shop tells nothing itself; `delivery_type` and `safety_*` count before the setting of the same name.
MAPPABLE: Final = (
    "category",
    "brand",
    "brand_id",
    "description",
    "product_line",
    "bullet_points",
    "mpn",
    "reference",
    "vat",
    "image",
    "delivery_type",
    "safety_name",
    "safety_address",
    "safety_email",
    "safety_url",
    "safety_region",
)
DELIVERY_TYPES: Final = ("PARCEL", "FORWARDER_PREFERREDLOCATION", "FORWARDER_CURBSIDE", "FORWARDER_HEAVYDUTY")
DEFAULT_MAPPING: Final = {"category": "category", "brand": "brand", "description": "description"}


def mapped(
    mapping: Mapping[str, str], categories: Mapping[str, str], product: m.ProductData | None, title: str
) -> dict[str, str]:
    """OTTO's field names with the shop's values; what the shop does not know is left out. `categories`: the shop's -> OTTO's."""
    fields = {"title": title} | (product.fields if product else {})
    picked = {
        name: source[1:].strip() if source.startswith("=") else fields.get(source, "").strip()
        for name, source in mapping.items()
    }
    if chosen := (product or m.ProductData({})).mapped_category(categories):
        picked["category"] = chosen.strip()
    return {name: value for name, value in picked.items() if value}


@dataclass(frozen=True)
class Category:
    """What OTTO demands of products in a category: attributes with the relevance LEGAL are mandatory (FACTS 7.1)."""

    name: str
    mandatory: tuple[str, ...]


def category(body: object, name: str) -> Category | None:
    """The category of GET /v5/products/categories?category=<name>; None when OTTO has none of this name."""
    for group in rows(body, "categoryGroups"):
        if name in [str(each) for each in group.get("categories") or []]:
            wanted = [text(each, "name") for each in objects(group.get("attributes")) if _is_mandatory(each)]
            return Category(name, tuple(filter(None, wanted)))
    return None


def _is_mandatory(attribute: Json) -> bool:
    return "LEGAL" in [str(each) for each in attribute.get("featureRelevance") or []]


def brands(body: object) -> dict[str, str]:
    """Usable brands by folded name -> id."""
    found = [each for each in rows(body, "brands") if each.get("usable") is True]
    return {text(each, "name").casefold(): text(each, "id") for each in found if text(each, "id")}


@dataclass(frozen=True)
class Contact:
    """Who answers for a product's safety in the EU (GPSR): at least one distributor is mandatory (FACTS 7.2)."""

    name: str
    address: str
    region: str
    email: str
    url: str


def contact(values: Mapping[str, str], settings: Mapping[str, Any]) -> Contact:
    """Who answers for this product: what the product says, else the account's setting.

    A product that names somebody of its own brings his address and how to reach him along: they are never mixed with the account's.
    """
    own = "safety_name" in values
    told = {
        name: values.get(f"safety_{name}") or ("" if own else str(settings.get(f"safety_{name}") or ""))
        for name in ("name", "address", "email", "url")
    }
    region = values.get("safety_region") or str(settings.get("safety_region") or "")
    return Contact(told["name"], told["address"], region.upper(), told["email"], told["url"])


def missing(
    offer: m.OfferWanted,
    values: Mapping[str, str],
    known: Category | None,
    brand_id: str | None,
    contact: Contact,
) -> list[str]:
    """Everything that OTTO would miss in this product's data, by the names a merchant reads in the mapping."""
    product = offer.product
    checks = {
        "gtin": bool(offer.gtin),
        "vat": vat_word(offer, values) is not None,
        "category": "category" in values,
        "brand": brand_id is not None,
        "images": bool(_images(product, values)),
        "safety_name": bool(contact.name),
        "safety_address": bool(contact.address),
        "safety_email": bool(contact.email or contact.url),
        "safety_region": re.fullmatch("[A-Z]{2}", contact.region) is not None,
    }
    lacking = [name for name, there in checks.items() if not there]
    attributes = known.mandatory if known else ()
    return lacking + [ATTRIBUTE + name for name in attributes if ATTRIBUTE + name not in values]


def product_objection(offer: m.OfferWanted, values: Mapping[str, str]) -> m.Reason | None:
    """What OTTO never takes, whatever is filled in."""
    if (
        offer.gtin
        and offer.gtin.strip().zfill(13).lstrip("0").startswith("2")
        and len(offer.gtin.strip()) == 13
    ):
        return m.Reason("otto.ean_internal", {"sku": offer.sku, "gtin": offer.gtin})
    if offer.gtin and not gtins.is_valid(offer.gtin):
        return m.Reason("product.gtin_invalid", {"sku": offer.sku, "gtin": offer.gtin, "title": offer.title})
    return None


def vat_word(offer: m.OfferWanted, values: Mapping[str, str]) -> str | None:
    """OTTO's word for the German VAT rate of a product; None where nobody knows it."""
    plain = (offer.vat_percent or "").strip()
    word = VAT.get(plain.rstrip("0").rstrip(".") if "." in plain else plain) or values.get("vat")
    return word if word in VAT_WORDS else None


def _images(product: m.ProductData | None, values: Mapping[str, str]) -> tuple[str, ...]:
    images = product.images if product else ()
    return images or ((values["image"],) if "image" in values else ())


def product_body(
    offer: m.OfferWanted, values: Mapping[str, str], brand_id: str, contact: Contact
) -> dict[str, object]:
    """One variation of POST /v5/products. OTTO makes the title itself; a delivery time here would be refused (FACTS 7.2, 11)."""
    product = offer.product or m.ProductData({})
    body: dict[str, object] = {
        "productReference": (values.get("reference") or product.parent or offer.sku)[:MOST_SKU],
        "sku": offer.sku,
        "ean": (offer.gtin or "").strip().zfill(13),
        "productDescription": _description(values, brand_id),
        "mediaAssets": [{"type": "IMAGE", "location": each} for each in _images(product, values)],
        "pricing": {"standardPrice": money(offer.price), "vat": vat_word(offer, values)},
        "compliance": {"productSafety": {"addresses": [_contact(contact)]}},
    }
    return body | ({"mpn": values["mpn"]} if "mpn" in values else {})


def _description(values: Mapping[str, str], brand_id: str) -> dict[str, object]:
    body: dict[str, object] = {"category": values["category"], "brandId": brand_id}
    if "product_line" in values:
        body["productLine"] = values["product_line"]
    if "description" in values:
        body["description"] = shortened(values["description"], MOST_DESCRIPTION)
    if points := [
        each.strip() for each in re.split(r"[;\n]", values.get("bullet_points", "")) if each.strip()
    ]:
        body["bulletPoints"] = points
    body["attributes"] = [
        {"name": name.removeprefix(ATTRIBUTE), "values": _several(value), "additional": False}
        for name, value in values.items()
        if name.startswith(ATTRIBUTE)
    ]
    return body


def _several(value: str) -> list[str]:
    return [each.strip() for each in value.split("|") if each.strip()]


def _contact(contact: Contact) -> dict[str, object]:
    body: dict[str, object] = {
        "name": contact.name[:100],
        "address": contact.address[:200],
        "regionCode": contact.region,
        "roles": ["DISTRIBUTOR"],
    }
    return (
        body
        | ({"email": contact.email} if contact.email else {})
        | ({"url": contact.url} if contact.url else {})
    )


# --- what became of it ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Process:
    """How far OTTO has come with a delivery of products, prices or switches (FACTS 7.3)."""

    id: str
    done: bool
    ping_after: datetime | None


def process(body: object) -> Process:
    """A process object; its id stands in the link `self` only. Invalid without one."""
    data = row(body)
    for link in objects(data.get("links")):
        if link.get("rel") == "self" and (
            found := urlsplit(text(link, "href")).path.rstrip("/").rpartition("/")[2]
        ):
            return Process(found, text(data, "state") == "done", when(data.get("pingAfter")))
    raise Invalid("data.missing", field="links.self")


def variations(body: object) -> dict[str, m.Reason | None]:
    """SKUs of /failed, /succeeded or /unchanged, with why where they have errors."""
    return {sku: _failure(each) for each in rows(body, "results") if (sku := text(each, "variation"))}


def _failure(result: Json) -> m.Reason | None:
    wrong = objects(result.get("errors"))
    if not wrong:
        return None
    params: dict[str, object] = {"partner": NAME, "marketplace_reason": _listed(wrong)}
    if field := ", ".join(filter(None, (text(each, "jsonPath") for each in wrong))):
        params["field"] = field
    # The SKU was last written through another version of the products interface (FACTS 11).
    switched = any(text(each, "code") == "100096" for each in wrong)
    return m.Reason("otto.api_version" if switched else "product.data_refused", params)


def _listed(wrong: Iterable[Json]) -> str:
    return "; ".join(f"{text(each, 'code')} {text(each, 'title')}".strip() for each in wrong)[:300]


@dataclass(frozen=True)
class Status:
    """marketplace-status of one SKU: OTTO's second validation, and the only trace of the account's release (FACTS 7.4, 8)."""

    sku: str
    raw: str
    moin: str | None
    errors: str
    link: str | None


def statuses(body: object) -> list[Status]:
    return [status(each) for each in rows(body, "marketPlaceStatus") if text(each, "sku")]


def status(data: Json) -> Status:
    shop = next(
        (text(link, "href") for link in objects(data.get("links")) if link.get("rel") == "shop"), None
    )
    return Status(
        text(data, "sku"),
        text(data, "status"),
        text(data, "moin") or None,
        _listed(objects(data.get("errors"))),
        shop,
    )


def verdict(found: Status, stock: int | None, *, live: bool) -> tuple[m.OfferState, m.Reason | None]:
    """What a merchant reads beside an offer (I9, O3). `live`: the account is released, says the merchant."""
    told: dict[str, object] = {"sku": found.sku, "partner": NAME, "marketplace_reason": found.errors}
    if found.raw == "ONLINE":
        return (m.OfferState.OFF if stock == 0 else m.OfferState.ON_SALE), None
    if found.raw == "PENDING":
        return m.OfferState.WAITING, m.Reason("product.data_processing", told)
    if found.raw == "REJECTED" or (found.raw == "RESTRICTED" and found.errors):
        return m.OfferState.REFUSED, m.Reason("product.data_refused", told)
    if found.raw == "RESTRICTED":
        return m.OfferState.WAITING, m.Reason("otto.restricted_live" if live else "otto.restricted", told)
    if found.raw == "INACTIVE":
        return m.OfferState.OFF, m.Reason("otto.inactive", told)
    return m.OfferState.WAITING, m.Reason("otto.status_unknown", told | {"raw_state": found.raw})


def is_on(found: Status, stock: int | None, *, live: bool) -> bool | None:
    """False = a switch at OTTO keeps it from being sold, so that it is set anew (O4). Whether 0 pieces are "off" OTTO cannot say."""
    if found.raw == "INACTIVE" or (found.raw == "RESTRICTED" and live and not found.errors):
        return False
    return None if stock == 0 or found.raw not in {"ONLINE", "RESTRICTED", "PENDING"} else True


def shown(
    found: Status,
    stock: int | None,
    price: int | None,
    delivery: tuple[str, int | None] | None,
    *,
    live: bool,
) -> m.OfferShown:
    """One SKU as OTTO shows it, put together from four lists. `delivery`: shipping profile, preparation days."""
    state, why = verdict(found, stock, live=live)
    return m.OfferShown(
        sku=found.sku,
        external_ref=found.moin,
        price=price,
        stock=stock,
        handling_days=delivery[1] if delivery else None,
        on=is_on(found, stock, live=live),
        shipping_group=delivery[0] if delivery else None,
        raw_state=found.raw,
        state=state,
        reason=why,
    )


def quantities(body: object) -> dict[str, int]:
    found = {}
    for each in rows(body, "resources.variations"):
        count = each.get("quantity")
        if isinstance(count, int) and not isinstance(count, bool):
            found[text(each, "sku")] = count
    return found


def prices(body: object) -> dict[str, int]:
    """The standard prices; a sale that the merchant made at OTTO is his own matter."""
    return {
        text(each, "sku"): minor(each.get("standardPrice"), "variationPrices.standardPrice")
        for each in rows(body, "variationPrices")
    }


def deliveries(body: object) -> dict[str, tuple[str, int | None]]:
    """SKU -> (shipping profile, preparation days); None days where the profile's own time counts ("DEFAULT")."""
    found = {}
    for each in rows(body, "results"):
        days = text(each, "processingTime")
        found[text(each, "sku")] = text(each, "shippingProfileId"), int(days) - 1 if days.isdigit() else None
    return found


# --- the account (O2-O4) -------------------------------------------------------------------------------------------------

STEPS: Final = {
    "registered": {
        "de": "Bei OTTO Market registriert, Zugangsdaten eingetragen",
        "en": "Registered at OTTO Market, credentials entered",
    },
    "test_customer": {
        "de": "Kundenkonto bei otto.de für die Testbestellung angelegt",
        "en": "Customer account at otto.de for the test order made",
    },
    "product": {
        "de": "Ein Artikel mit Bestand ist bei OTTO angelegt",
        "en": "A product with stock exists at OTTO",
    },
    "test_order": {
        "de": "Testbestellung über den direkten Link des Artikels aufgegeben",
        "en": "Test order placed through the product's own link",
    },
    "process_understood": {
        "de": "Dem OTTO-Support bestätigt, dass der Bestellprozess verstanden ist",
        "en": "Confirmed to OTTO's support that the order process is understood",
    },
    "live": {
        "de": "OTTO hat die Beschränkung aufgehoben, die Artikel sind sichtbar",
        "en": "OTTO has removed the restriction, the products are visible",
    },
}
TICKS: Final = ("test_customer", "test_order", "process_understood")


@dataclass(frozen=True)
class Evidence:
    """What the interface shows of an account. `by_status`: how many SKUs have each status."""

    by_status: Mapping[str, int]
    with_errors: int
    moins: int
    in_stock: int
    orders: int
    links: tuple[str, ...]


def evidence(found: Sequence[Status], in_stock: int, orders: int) -> Evidence:
    counts: dict[str, int] = {}
    for each in found:
        counts[each.raw] = counts.get(each.raw, 0) + 1
    return Evidence(
        counts,
        sum(bool(each.errors) for each in found),
        sum(each.moin is not None for each in found),
        in_stock,
        orders,
        tuple(each.link for each in found if each.link)[:3],
    )


def not_released(seen: Evidence) -> bool:
    """Nothing is online, something is restricted and no product is to blame: then it is the account (FACTS 8)."""
    return (
        seen.by_status.get("ONLINE", 0) == 0
        and seen.by_status.get("RESTRICTED", 0) > 0
        and seen.with_errors == 0
    )


def checklist(seen: Evidence, ticks: Sequence[str], *, live: bool) -> list[dict[str, object]]:
    """The way to go-live, step by step (O2): `done`, `by` ("evidence", "merchant" or None) and what the interface shows of it."""
    online, total = seen.by_status.get("ONLINE", 0), sum(seen.by_status.values())
    restricted = seen.by_status.get("RESTRICTED", 0)
    shown_of: dict[str, tuple[bool, str]] = {
        "registered": (True, ""),
        "product": (seen.moins > 0 and seen.in_stock > 0, f"{seen.moins} SKU, {seen.in_stock} > 0"),
        "test_order": (seen.orders > 0, " ".join(seen.links)),
        "live": (online > 0, f"ONLINE {online}/{total}, RESTRICTED {restricted}/{total}"),
    }
    steps: list[dict[str, object]] = []
    for step, words in STEPS.items():
        proven, told = shown_of.get(step, (False, ""))
        ticked = live if step == "live" else step in ticks
        by = "evidence" if proven else "merchant" if ticked else None
        steps.append({"step": step, "what": words, "done": proven or ticked, "by": by, "evidence": told})
    return steps


def support_text(seller: str, order_number: str | None) -> str:
    """What the merchant sends to OTTO's support, filled in (O2). In German, as the support reads."""
    test = f" (Bestellnummer {order_number})" if order_number else ""
    return (
        "Guten Tag,\n\n"
        f"wir haben die Testbestellung{test} über die Schnittstelle abgerufen, mit Sendungs- und Retourennummer versendet und damit den "
        "Bestellprozess von OTTO Market verstanden: Bestellungen werden nach Freigabe versendet, jedes Paket wird mit Sendungsnummer und "
        "Retourensendungsnummer gemeldet, Stornierungen und Retouren werden über die Schnittstelle beantwortet.\n\n"
        f"Bitte schalten Sie unser Sortiment für {seller} live.\n\n"
        "Mit freundlichen Grüßen\n"
        f"{seller}\n"
    )
