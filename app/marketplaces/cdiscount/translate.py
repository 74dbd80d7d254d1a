"""Octopia's JSON <-> our messages; pure. Every word of theirs is open on input (unknown ones become UNCLEAR and are kept) and strict on output.

What may go wrong: a required field is missing or of another type. Then Invalid names it, and the order or line it belongs to. Numbers of sections
are those of FACTS; what Octopia leaves open, and which choices are ours: docs/marketplaces/cdiscount.md.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from app import messages as m
from app.errors import Invalid, Refused, ShopbridgeError, Unauthorised, Unavailable
from app.rules.preparation import CDISCOUNT_CAP_DAYS, missing_modes
from app.rules.product_text import plain

Json = Mapping[str, Any]

NAME: Final = "Cdiscount"  # what the sentences of our reasons call the partner
CHANNEL: Final = "CDISFR"
CURRENCY: Final = "EUR"
CENT: Final = Decimal("0.01")
WAITING, ACCEPTED, IN_PREPARATION = "WaitingAcceptance", "Accepted", "InPreparation"
OPEN: Final = (WAITING, ACCEPTED, IN_PREPARATION)
SELLER: Final = "Seller"
CONDITIONS: Final = {"new": "New"}  # the JSON words of the other conditions are not known (section 7)
LONGEST_SKU: Final = 50
LONGEST_TITLE: Final = 132
MOST_DAYS: Final = CDISCOUNT_CAP_DAYS
VAT_RATES: Final = ("20", "10", "5.5", "2.1", "0")  # of France, where these goods are sold

_LINE_STATES: Final = {
    "Processing": m.PieceState.ANNOUNCED,
    WAITING: m.PieceState.ANNOUNCED,
    ACCEPTED: m.PieceState.ANNOUNCED,
    IN_PREPARATION: m.PieceState.TO_SHIP,
    "Shipped": m.PieceState.SHIPPED,
    "Delivered": m.PieceState.DELIVERED,
    "Cancelled": m.PieceState.CANCELLED,
    "Refused": m.PieceState.CANCELLED,
    "Rejected": m.PieceState.CANCELLED,
    "CancelRequest": m.PieceState.ANNOUNCED,  # it may end either way: nothing leaves meanwhile
}
_OVER: Final = frozenset({"Cancelled", "Refused", "Rejected"})
_BEFORE: Final = frozenset({"Processing", WAITING, ACCEPTED})
_LEFT: Final = frozenset({"Shipped", "Delivered"})

# Codes of delivery modes: the documentation's new ones and the old ones that a live account reported (trap 7).
MODES: Final = {
    "TRK": "tracked",
    "THD": "tracked",
    "REG": "registered",
    "SHD": "registered",
    "STD": "standard",
    "NTHD": "standard",
}

# Reasons are read from Octopia, by status (section 2); these words tell which of them means what. Text is compared without accents and case.
REASON_WORDS: Final[Mapping[str, Sequence[str]]] = {
    "buyer_cancelled": ("customer", "client", "buyer", "acheteur"),
    "out_of_stock": ("stock", "rupture", "unavailable", "indisponible"),
    "address_undeliverable": ("address", "adresse", "undeliver", "livr"),
    "wrong_price": ("price", "prix", "tarif"),
    "wrong_data": ("catalog", "description", "content", "contenu"),
    "return": ("return", "retour", "retract"),
    "damaged": ("damag", "endommag", "abim", "defect"),
    "delayed": ("delay", "retard", "late"),
    "wrong_item": ("wrong", "erreur", "mauvais"),
    "incomplete": ("missing", "manquant", "incomplet"),
    "other": ("other", "autre"),
}
CANCEL_REASONS: Final = (
    "buyer_cancelled",
    "out_of_stock",
    "address_undeliverable",
    "wrong_price",
    "wrong_data",
    "other",
)
# What the buyer's goodwill is called in `reasonDetails`; the buyer reads French.
GESTURES: Final = {
    "return": "Retour du produit",
    "damaged": "Produit endommagé",
    "delayed": "Retard de livraison",
    "wrong_item": "Produit non conforme",
    "incomplete": "Livraison incomplète",
    "postage": "Frais de port",
    "other": "Geste commercial",
}

_REFUSED_REQUEST: Final = ("refus", "reject", "declin", "abort", "fail", "error", "invalid")
_ACCEPTED_REQUEST: Final = (
    "accept",
    "approv",
    "valid",
    "done",
    "complet",
    "success",
    "paid",
    "refunded",
    "closed",
)


# --- problems --------------------------------------------------------------------------------------------------------


def reason(status: int, body: object) -> m.Reason:
    """What an error means in our words. `params`: partner, marketplace, status, message, field (where they name one)."""
    told: Json = body if isinstance(body, Mapping) else {}
    params: dict[str, object] = {"partner": NAME, "marketplace": NAME, "status": status}
    errors = told.get("errors")
    if isinstance(errors, Mapping) and errors:
        params["field"] = ", ".join(str(name) for name in errors)
        first = next(iter(errors.values()))
        params["message"] = str(first[0] if isinstance(first, list) and first else first)[:200]
    elif message := _text(told, "detail") or _text(told, "title") or _text(told, "error_description"):
        params["message"] = message[:200]
    code = {401: "credentials.refused", 403: "cdiscount.not_authorised", 404: "partner.not_found"}.get(status)
    return m.Reason(code or ("partner.field_refused" if "field" in params else "partner.refused"), params)


def refusal(status: int, body: object, operation: str) -> Refused:
    """The error to raise for a 4xx answer. 403 means that the seller has not let our client in (section 1): nothing works then."""
    why = reason(status, body)
    kind = Unauthorised if status in {401, 403} else Refused
    return kind(why.code, **why.params, operation=operation)


# What OAuth calls a client that will not get a token however often it asks (RFC 6749, section 5.2).
_TOKEN_NEVER: Final = frozenset({"invalid_client", "invalid_grant", "invalid_scope", "unauthorized_client"})


def token_refusal(status: int, body: object) -> Unauthorised | Unavailable:
    """Why there is no token. Only a 401, or a 400 that names the client as the culprit, says that client id or secret are wrong: any other
    answer (the 403 or 404 page of a gateway) is trouble over there, and is tried again.
    """
    told: Json = body if isinstance(body, Mapping) else {}
    if status == 401 or (status == 400 and _text(told, "error") in _TOKEN_NEVER):
        params = {**reason(401, body).params, "operation": "token", "field": "client_id"}
        return Unauthorised("credentials.refused", **params)
    return Unavailable("partner.unreachable", operation="token", status=status, partner=NAME)


def told(error: ShopbridgeError) -> m.Reason:
    """An error as the reason beside an offer or a piece."""
    return m.Reason(error.code, dict(error.params))


# --- reading values ----------------------------------------------------------------------------------------------------


def objects(value: object) -> list[Json]:
    """The objects of a list inside an answer; what is none is left out."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def rows(body: object) -> list[Json]:
    """The rows of a list: of the envelope `items`, or of a bare list. Invalid when there are none of either."""
    data = body.get("items") if isinstance(body, Mapping) else body
    if not isinstance(data, list) or not all(isinstance(row, Mapping) for row in data):
        raise Invalid("data.invalid", field="items")
    return data


def row(body: object) -> Json:
    """An answer about one thing. Invalid when it is no object."""
    if not isinstance(body, Mapping):
        raise Invalid("data.invalid", field="body")
    return body


def _mapped(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _text(data: Json, *names: str) -> str:
    """The first of these fields that says something."""
    found = (data.get(name) for name in names)
    return next((str(each).strip() for each in found if each is not None and str(each).strip()), "")


def _required(data: Json, name: str, where: str) -> str:
    value = _text(data, name)
    if not value:
        raise Invalid("data.missing", field=f"{where}.{name}")
    return value


def minor(value: object, where: str) -> int:
    """An amount as cents, exactly: one with more digits than the currency has is refused, not rounded."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise Invalid("data.invalid", field=where)
    try:
        cents = Decimal(value) / CENT
    except InvalidOperation:
        raise Invalid("data.invalid", field=where) from None
    if not cents.is_finite() or cents != cents.to_integral_value():
        raise Invalid("data.invalid", field=where)
    return int(cents)


def money(amount: int) -> Decimal:
    """Cents as Octopia writes amounts."""
    return Decimal(amount) * CENT


def encoded(body: object) -> bytes:
    """JSON in UTF-8, with Decimal as numbers: the json module can only write floats, and those do not come near money."""

    def marked(value: object) -> str:
        if not isinstance(value, Decimal):
            raise TypeError(f"not JSON: {value!r}")
        return f"\ue000{value:f}\ue000"

    raw = json.dumps(body, default=marked, ensure_ascii=False, separators=(",", ":"))
    return _NUMBER.sub(r"\1", raw).encode()


_NUMBER: Final = re.compile('"\ue000(-?[0-9]+(?:[.][0-9]+)?)\ue000"')


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def percent(value: object) -> str | None:
    """A rate as decimal text without needless zeros, "5.5"; None when it is none."""
    try:
        number = Decimal(str(value).strip().replace(",", "."))
    except InvalidOperation:
        return None
    return format(number.normalize(), "f") if number.is_finite() and 0 <= number <= 100 else None


def when(value: object) -> datetime | None:
    """ISO 8601 as aware UTC; what is none is None."""
    try:
        parsed = datetime.fromisoformat(str(value or "").strip())
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def stamp(moment: datetime) -> str:
    """A moment as Octopia writes them: 2026-09-02T09:15:00+00:00."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def folded(text: str) -> str:
    """Lower case without accents, for comparing words."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return plain.lower()


# --- orders ------------------------------------------------------------------------------------------------------------


def piece_id(order_id: str, line_id: str, number: int) -> str:
    """Order, line and number from 1: every deed names the first two."""
    return f"{order_id}/{line_id}/{number}"


def ids(piece: str) -> tuple[str, str, int]:
    """What piece_id put together. Refused when it is none of ours."""
    parts = piece.split("/")
    if len(parts) != 3 or not all(parts) or not parts[2].isdigit():
        raise Refused("data.invalid", field="piece_id", piece=piece)
    return parts[0], parts[1], int(parts[2])


def by_order(pieces: Iterable[str]) -> dict[str, list[str]]:
    """Piece ids grouped by order, in their order."""
    found: dict[str, list[str]] = {}
    for piece in pieces:
        found.setdefault(ids(piece)[0], []).append(piece)
    return found


def seller_lines(data: Json) -> list[Json]:
    """The lines that the seller ships himself; Fulfillment and Xdock are Octopia's work (section 2)."""
    return [
        line
        for line in objects(data.get("lines"))
        if _text(_mapped(line.get("offer")), "supplyMode") in {"", SELLER}
    ]


def order_id(data: Json) -> str:
    return _required(data, "orderId", "order")


def status_of(data: Json) -> str:
    return _text(data, "status")


def line_id(line: Json) -> str:
    return _required(line, "orderLineId", "line")


def quantity(line: Json) -> int:
    number = _count(line.get("quantity"))
    if number is None or not 1 <= number <= 10_000:
        raise Invalid("data.invalid", field=f"line.{line_id(line)}.quantity")
    return number


def has_left(line: Json) -> bool:
    """Whether the goods of this line have left: it has a parcel, or its history says so."""
    events = {_text(each, "status", "name", "code") for each in objects(line.get("statusEvents"))}
    return bool(objects(line.get("parcels"))) or bool(events & _LEFT) or _text(line, "status") in _LEFT


def line_state(data: Json, line: Json) -> m.PieceState:
    """The state of all pieces of a line; Octopia knows no part of one.

    Cancelled after it had left means that the buyer got his money back: RETURNED. Without an address nothing may be shipped.
    """
    whole, raw = status_of(data), _text(line, "status") or status_of(data)
    if whole in _OVER and raw not in _LEFT:
        raw = "Cancelled"
    state = _LINE_STATES.get(raw, m.PieceState.UNCLEAR)
    if state is m.PieceState.CANCELLED and has_left(line):
        return m.PieceState.RETURNED
    if raw == "CancelRequest" and has_left(line):
        return m.PieceState.SHIPPED
    if state is m.PieceState.TO_SHIP and (whole in _BEFORE or not _addresses(data)):
        return m.PieceState.ANNOUNCED
    return state


def share(amount: int, pieces: int, number: int) -> int:
    """The part of `amount` that falls on piece `number` (from 1); the first ones bear the odd cents."""
    return amount // pieces + (1 if number <= amount % pieces else 0)


def line_amounts(line: Json) -> tuple[int, int]:
    """Price of one unit and shipping of the whole line, as the buyer paid them, VAT included (section 2)."""
    where = f"line.{line_id(line)}.sellingPrice"
    paid = _mapped(line.get("sellingPrice"))
    shipping = paid.get("shippingCost")
    return (
        minor(paid.get("unitSalesPrice"), f"{where}.unitSalesPrice"),
        0 if shipping is None else minor(shipping, f"{where}.shippingCost"),
    )


def line_total(line: Json) -> int:
    """All that the buyer paid for a line, shipping included."""
    unit, shipping = line_amounts(line)
    return unit * quantity(line) + shipping


def pieces_of(data: Json, line: Json) -> list[m.PieceSeen]:
    """One line as its pieces."""
    offer = _mapped(line.get("offer"))
    unit, shipping = line_amounts(line)
    count, state = quantity(line), line_state(data, line)
    identity = line_id(line)
    return [
        m.PieceSeen(
            external_id=piece_id(order_id(data), identity, number),
            group=identity,
            sku=_text(offer, "sellerProductId") or None,
            gtin=_text(offer, "productGtin") or None,
            title=_text(offer, "productTitle") or _text(offer, "sellerProductId") or identity,
            unit_price=unit,
            shipping_price=share(shipping, count, number),
            state=state,
            raw_state=_text(line, "status") or status_of(data),
            vat_percent=_vat(line),
            ship_by=when(_mapped(line.get("delivery")).get("shippedAtMax")) or when(data.get("shippedAtMax")),
            updated_at=when(data.get("updatedAt")),
            cancel_asked=_text(line, "status") == "CancelRequest" and state is m.PieceState.ANNOUNCED,
        )
        for number in range(1, count + 1)
    ]


def _vat(line: Json) -> str | None:
    taxes = objects(_mapped(line.get("offerPrice")).get("taxes"))
    return next((percent(each.get("rate")) for each in taxes if _text(each, "code") == "VAT"), None)


def order(data: Json) -> m.OrderSeen | None:
    """An order with the pieces that the seller ships; None when there are none. Invalid names what is missing."""
    identity = order_id(data)
    lines = seller_lines(data)
    placed = when(data.get("purchasedAt")) or when(data.get("createdAt"))
    if placed is None:
        raise Invalid("data.missing", field=f"order.{identity}.purchasedAt")
    if not lines:
        return None
    _required(data, "status", f"order.{identity}")
    mail = next((_text(each, "email") for each in _addresses(data)), "")
    return m.OrderSeen(
        external_id=identity,
        placed_at=placed,
        currency=_text(data, "currencyCode") or CURRENCY,
        pieces=tuple(piece for line in lines for piece in pieces_of(data, line)),
        billing=_address(_mapped(data.get("billingAddress")), mail),
        shipping=next((_address(each, mail) for each in _addresses(data)), None),
        country=_text(_mapped(data.get("salesChannel")), "id") or None,
        awaits_acceptance=status_of(data) == WAITING,
    )


def _addresses(data: Json) -> list[Json]:
    """Delivery addresses stand on the lines, and only from InPreparation on (section 2)."""
    found = [_mapped(line.get("shippingAddress")) for line in seller_lines(data)]
    return [each for each in found if _text(each, "addressLine1", "pickupId") and _text(each, "city")]


def _address(data: Json, mail: str) -> m.Address | None:
    if not any(value for value in data.values()):
        return None
    extra = {
        "pickup_location_id": _text(data, "pickupId"),
        "pickup_name": _text(data, "pickupName"),
        "vat_number": _text(data, "companyVatNumber"),
    }
    return m.Address(
        first_name=_text(data, "firstName"),
        last_name=_text(data, "lastName"),
        company=_text(data, "companyName"),
        address_1=_text(data, "addressLine1"),
        address_2=", ".join(
            each for each in (_text(data, "addressLine2"), _text(data, "addressLine3")) if each
        ),
        postcode=_text(data, "postalCode"),
        city=_text(data, "city"),
        state=_text(data, "stateOrRegion"),
        country=_text(data, "countryCode").upper(),
        phone=_text(data, "phone"),
        email=mail,
        extra={name: value for name, value in extra.items() if value},
    )


def given_back(data: Json) -> list[m.ReturnSeen]:
    """Lines that were cancelled after they had left: the buyer has his money back. There is no other sign of a return (section 2)."""
    found = []
    for line in seller_lines(data):
        if line_state(data, line) is m.PieceState.RETURNED:
            raw = _text(line, "status")
            pieces = tuple(
                m.ReturnPieceSeen(piece.external_id, piece.external_id, m.ReturnState.ACCEPTED, raw)
                for piece in pieces_of(data, line)
            )
            found.append(m.ReturnSeen(f"{order_id(data)}/{line_id(line)}", pieces))
    return found


# --- deeds -------------------------------------------------------------------------------------------------------------


def shipment_body(number: str, carrier: str, url: str | None) -> list[dict[str, object]]:
    """One parcel for the whole order: Cdiscount knows no other (trap 8)."""
    return [{"parcelNumber": number, "carrierName": carrier, **({"trackingUrl": url} if url else {})}]


def labels(body: object) -> list[str]:
    """The names of carriers that may be told."""
    return [label for each in rows(body) if (label := _text(each, "label"))]


def carrier_label(wanted: str | None, shop_name: str | None, known: Sequence[str]) -> str | None:
    """The label to tell: our carrier's, else one that is called as the shop says, else `autre`. None when even that is missing."""
    by_name = {folded(each): each for each in known}
    for each in (wanted, shop_name, "autre"):
        if each and folded(each) in by_name:
            return by_name[folded(each)]
    return None


def reason_codes(body: object) -> dict[str, str]:
    """Code -> label of the cancellation reasons that are allowed now."""
    data = body.get("items") if isinstance(body, Mapping) else body
    found: dict[str, str] = {}
    for each in data if isinstance(data, list) else []:
        if isinstance(each, str):
            found[each] = each
        elif isinstance(each, Mapping) and (code := _text(each, "code", "reason", "id")):
            found[code] = _text(each, "label", "name", "description") or code
    return found


def reason_code(ours: str, codes: Mapping[str, str], chosen: Mapping[str, str]) -> str | None:
    """Their code for our reason: the merchant's choice, else by its words, else "other"; None when nothing fits.

    Guessing further is not done: a reason at the seller's fault lowers his rating.
    """
    if chosen.get(ours) in codes:
        return chosen[ours]
    for name in (ours, "other"):
        for word in REASON_WORDS.get(name, ()):
            for code, label in codes.items():
                if word in folded(f"{code} {label}"):
                    return code
    return None


def requested_lines(body: object) -> set[str]:
    """Lines that a cancellation is asked for and not refused; "*" is the whole order. The rows are not documented: read with care."""
    found: set[str] = set()
    for each in rows(body):
        state = folded(_text(each, "status", "state"))
        if any(word in state for word in _REFUSED_REQUEST):
            continue
        named = {_text(line, "lineId", "orderLineId") for line in objects(each.get("lines"))}
        found |= named - {""} or {"*"}
    return found


def gestures(body: object, order_id_wanted: str) -> tuple[int, int]:
    """Cents of the commercial gestures for this order: accepted, and neither accepted nor refused so far. Their words are not documented; a
    gesture without any counts as accepted.
    """
    done = waits = 0
    for each in rows(body):
        state = folded(_text(each, "status", "state"))
        mine = _text(each, "orderId", "orderSellerId") in {"", order_id_wanted}
        if mine and not any(word in state for word in _REFUSED_REQUEST):
            amount = minor(each.get("amount"), "gesture.amount")
            if not state or any(word in state for word in _ACCEPTED_REQUEST):
                done += amount
            else:
                waits += amount
    return done, waits


def gesture_body(order: str, amount: int, our_reason: str) -> dict[str, object]:
    """Their words for the reason are not documented except Other, which wants an explanation (section 2)."""
    return {
        "orderId": order,
        "reason": "Other",
        "reasonDetails": GESTURES[our_reason],
        "amount": money(amount),
    }


def cancel_body(data: Json, code: str, *, shipping: bool = True) -> dict[str, object]:
    """The whole order."""
    return {"orderSellerId": order_id(data), "reason": code, "shippingCostRefund": shipping}


def cancel_lines_body(
    data: Json, lines: Iterable[Json], code: str, *, shipping: bool = True
) -> dict[str, object]:
    """Whole lines."""
    return {
        "orderSellerId": order_id(data),
        "lines": [
            {
                "lineId": line_id(line),
                "offerId": _text(_mapped(line.get("offer")), "id"),
                "reason": code,
                "shippingCostRefund": shipping,
            }
            for line in lines
        ],
    }


# --- offers ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Terms:
    """What is true for all offers of one connection. `modes`: code -> (cost, cost of each further piece) in cents, as they are sent."""

    modes: Mapping[str, tuple[int, int]]
    cap: int = MOST_DAYS
    rates: Mapping[str, str] = field(default_factory=dict)
    default_rate: str | None = None
    ecotax: int = 0
    ecotax_field: str | None = None


def delivery_modes(body: object) -> list[str]:
    """Codes of the delivery modes that the account lists."""
    return [code for each in rows(body) if (code := _text(each, "code"))]


def mode_trouble(listed: Sequence[str], costs: Mapping[str, tuple[int, int]]) -> m.Reason | None:
    """Why offers cannot be sent with these modes (I10): Tracked is always needed, Registered where the account has it."""
    if "tracked" in missing_modes(MODES.get(each, "") for each in listed):
        params: dict[str, object] = {"marketplace": NAME, "mode": "TRK", "available": ", ".join(listed)}
        return m.Reason("cdiscount.mode_missing", params)
    needed = [each for each in listed if MODES.get(each) in {"tracked", "registered"}]
    without = [each for each in needed if each not in costs]
    if without:
        return m.Reason("cdiscount.mode_cost_missing", {"marketplace": NAME, "mode": ", ".join(without)})
    return None


def priced_modes(
    listed: Sequence[str], costs: Mapping[str, str], additional: Mapping[str, str]
) -> dict[str, tuple[int, int]]:
    """The modes that the account lists and the merchant has given a price; a price for TRK counts for THD too, and so on."""
    found: dict[str, tuple[int, int]] = {}
    for code in listed:
        cost = _of_mode(costs, code)
        if cost is not None:
            found[code] = minor(cost, code), minor(_of_mode(additional, code) or "0", code)
    return found


def _of_mode(prices: Mapping[str, str], code: str) -> str | None:
    if code in prices:
        return prices[code]
    kind = MODES.get(code)
    return next((price for name, price in prices.items() if kind and MODES.get(name) == kind), None)


def ean(gtin: str) -> str | None:
    """A GTIN with the 13 digits that Cdiscount takes (section 3); None for one that has more of its own."""
    digits = gtin.strip().lstrip("0").zfill(13)
    return digits if digits.isdigit() and len(digits) == 13 else None


def vat(offer: m.OfferWanted, terms: Terms) -> str | None:
    """The French VAT rate: the merchant's choice for the shop's rate, else the shop's own where France has it, else the default."""
    if offer.vat_percent is None:
        return terms.default_rate
    shops = percent(offer.vat_percent)
    if shops is None:
        return None
    return terms.rates.get(shops) or (shops if shops in VAT_RATES else None)


def ecotax(offer: m.OfferWanted, terms: Terms) -> int | None:
    """The eco-participation in cents; 0 is legal to send (trap 6). None when the product's value is no amount."""
    told = offer.product.fields.get(terms.ecotax_field) if offer.product and terms.ecotax_field else None
    if told is None:
        return terms.ecotax
    try:
        return minor(told.strip().replace(",", "."), "ecotax")
    except Invalid:
        return None


def objection(offer: m.OfferWanted, terms: Terms) -> m.Reason | None:
    """Why Cdiscount would refuse this offer anyway: told before a call is spent."""
    base: dict[str, object] = {"sku": offer.sku, "marketplace": NAME}
    if not 1 <= len(offer.sku) <= LONGEST_SKU:
        return m.Reason("cdiscount.sku_length", base | {"most": LONGEST_SKU})
    if offer.price < 1:
        return m.Reason("offer.price_missing", base)
    if offer.currency != CURRENCY:
        return m.Reason("offer.currency", base | {"currency": offer.currency, "expected": CURRENCY})
    if offer.condition not in CONDITIONS:
        return m.Reason("offer.condition_unknown", base | {"condition": offer.condition})
    if not 0 <= offer.handling_days <= terms.cap:
        return m.Reason("offer.handling_days", base | {"days": offer.handling_days, "most": terms.cap})
    if not offer.gtin:
        return m.Reason("product.gtin_missing", base | {"title": offer.title})
    if ean(offer.gtin) is None:
        return m.Reason("product.gtin_invalid", base | {"gtin": offer.gtin, "title": offer.title})
    if vat(offer, terms) is None:
        return m.Reason("cdiscount.vat_unknown", base | {"percent": offer.vat_percent})
    if ecotax(offer, terms) is None:
        return m.Reason("cdiscount.ecotax_wrong", base | {"field": terms.ecotax_field})
    return None


def stock_of(offer: m.OfferWanted) -> int:
    """Off is 0 pieces: the offer stays and cannot be bought (section 3)."""
    return max(offer.stock, 0) if offer.on else 0


def upsert_body(offer: m.OfferWanted, terms: Terms) -> dict[str, object]:
    """The whole offer: what an upsert does not say is lost (trap 3)."""
    taxes = [
        {"code": "VAT", "value": Decimal(vat(offer, terms) or "0")},
        {"code": "Ecotax", "value": money(ecotax(offer, terms) or 0)},
    ]
    return {
        "sellerExternalReference": offer.sku,
        "product": {"gtin": ean(offer.gtin or "")},
        "condition": CONDITIONS[offer.condition],
        "price": {"price": money(offer.price), "taxes": taxes},
        "deliveryModes": [
            {"code": code, "cost": money(cost), "additionalCost": money(more)}
            for code, (cost, more) in terms.modes.items()
        ],
        "preparationTime": offer.handling_days,
        "quantity": stock_of(offer),
    }


def standing(offer: m.OfferWanted, terms: Terms) -> str:
    """A short mark of everything in an upsert but price and stock: while it stays the same, an update is enough."""
    body = upsert_body(offer, terms)
    del body["quantity"]
    price = body["price"]
    body["price"] = price["taxes"] if isinstance(price, dict) else price
    return hashlib.sha256(encoded(body)).hexdigest()[:16]


def update_body(offer: m.OfferWanted) -> dict[str, object] | None:
    """Only price and stock, as far as they differ from what is confirmed; None when nothing is confirmed, or neither differs."""
    was = offer.was
    if was is None:
        return None
    body: dict[str, object] = {"sellerExternalReference": offer.sku}
    if was.price != offer.price:
        body["price"] = {"price": money(offer.price)}
    if was.stock != stock_of(offer) or was.on != offer.on:
        body["quantity"] = stock_of(offer)
    return body if len(body) > 1 else None


def shown_as_sent(offer: m.OfferWanted) -> dict[str, object]:
    """What a package says of an offer, kept until the package is decided."""
    return {
        "price": offer.price,
        "stock": stock_of(offer),
        "handling_days": offer.handling_days,
        "on": offer.on,
        "shipping_group": offer.shipping_group,
    }


def shown(data: Json) -> m.OfferShown | None:
    """An offer as Cdiscount shows it; None for one without our reference. Of the row only few fields are known (section 3)."""
    sku = _text(data, "sellerExternalReference")
    if not sku:
        return None
    raw = _text(data, "offerState")
    stock = next((c for name in ("quantity", "stock") if (c := _count(data.get(name))) is not None), None)
    visible = raw == "Active"
    price = _mapped(data.get("facialPrice")).get("price", _mapped(data.get("price")).get("price"))
    return m.OfferShown(
        sku=sku,
        external_ref=sku,
        price=None if price is None else minor(price, f"offer.{sku}.price"),
        stock=stock,
        handling_days=_count(data.get("preparationTime")),
        # What is not visible was mostly not switched off by anybody: the reason says more.
        on=True if visible else None,
        raw_state=raw or None,
        state=_offer_state(visible, stock),
        reason=None if visible or stock == 0 else feedback(data),
        gtin=_text(_mapped(data.get("product")), "gtin") or None,
    )


def _offer_state(visible: bool, stock: int | None) -> m.OfferState:
    if stock == 0:
        return m.OfferState.OFF
    return m.OfferState.ON_SALE if visible else m.OfferState.WAITING


def feedback(data: Json) -> m.Reason:
    """What the sales channel says of an offer that is integrated and not visible ("green but invisible")."""
    said = data.get("salesChannelFeedback")
    messages = []
    for each in objects(said) or objects([said]):
        messages += [_text(each, "message", "label", "description")]
        for name in ("errors", "messages", "results", "details"):
            messages += [_text(inner, "message", "label", "description") for inner in objects(each.get(name))]
    text = "; ".join(dict.fromkeys(each for each in messages if each))[:200]
    return m.Reason("cdiscount.not_visible", {"marketplace": NAME, **({"message": text} if text else {})})


# Results of a package: the first digits of a code are those of the old reports ("8000": 80, offer created).
_NEEDS_PRODUCT: Final = frozenset({"13", "30"})
_NEEDS_VARIATION: Final = frozenset({"27"})
_RESULTS: Final = {
    "25": "product.sku_duplicate",
    "24": "product.sku_duplicate",
    "35": "offer.handling_days",
    "40": "cdiscount.mode_missing",
    "15": "cdiscount.not_allowed_to_sell",
    "34": "cdiscount.not_allowed_to_sell",
    "43": "cdiscount.not_allowed_to_sell",
}


def results(found: Iterable[Json]) -> dict[str, tuple[bool, str, str]]:
    """SKU -> (integrated, result code, message). A rejection wins when a reference comes twice (section 3)."""
    verdicts: dict[str, tuple[bool, str, str]] = {}
    for each in found:
        sku = _text(each, "sellerExternalReference")
        status = _text(each, "integrationStatus")
        first = next(iter(objects(each.get("results"))), {})
        code, message = _text(first, "resultCode"), _text(first, "message")
        if not sku or (sku in verdicts and not verdicts[sku][0]):
            continue
        verdicts[sku] = (
            status == "Integrated",
            code if status != "Duplicated" else "2500",
            message or status,
        )
    return verdicts


def rejection(sku: str, code: str, message: str) -> m.OfferAnswer:
    """A rejected offer, and what the merchant can do about it."""
    kind = code[:2] if code.isdigit() else ""
    params: dict[str, object] = {"sku": sku, "marketplace": NAME, "code": code, "message": message[:200]}
    if kind in _NEEDS_PRODUCT:
        return m.OfferAnswer(
            sku, False, m.OfferState.NEEDS_PRODUCT, reason=m.Reason("product.unknown_gtin", params)
        )
    if kind in _NEEDS_VARIATION:
        return m.OfferAnswer(
            sku, False, m.OfferState.NEEDS_VARIATION, reason=m.Reason("cdiscount.needs_variation", params)
        )
    return m.OfferAnswer(
        sku, False, m.OfferState.REFUSED, reason=m.Reason(_RESULTS.get(kind, "offer.refused"), params)
    )


# --- product sheets ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SheetMap:
    """Which field of the shop's product becomes which of theirs."""

    categories: Mapping[str, str]
    texts: Mapping[str, str]
    properties: Mapping[str, str]


DEFAULT_TEXTS: Final = {"title": "title", "description": "description", "brand": "brand"}


def sheet(offer: m.OfferWanted, mapping: SheetMap) -> dict[str, object] | m.Reason:
    """The product sheet of an unknown GTIN, or what is missing for it (section 4)."""
    product = offer.product or m.ProductData({})
    known = {"title": offer.title, **product.fields}
    texts = {name: known.get(source, "").strip() for name, source in mapping.texts.items()}
    category = product.mapped_category(mapping.categories)
    lacking = [name for name in ("title", "description", "brand") if not texts.get(name)]
    lacking += [] if category else ["category"]
    lacking += [] if product.images else ["images"]
    if lacking:
        params: dict[str, object] = {
            "sku": offer.sku,
            "gtin": offer.gtin,
            "fields": ", ".join(lacking),
            "marketplace": NAME,
        }
        return m.Reason("product.data_missing", params)
    body: dict[str, object] = {
        "gtin": ean(offer.gtin or ""),
        "sellerProductReference": offer.sku,
        "title": texts["title"][:LONGEST_TITLE],
        "description": plain(texts["description"]),
        "brand": texts["brand"],
        "categoryCode": category,
        "sellerPictureUrls": [{"index": i, "url": url} for i, url in enumerate(product.images, start=1)],
        "attributes": [
            {"propertyReference": reference, "values": known[source].split("|")}
            for reference, source in mapping.properties.items()
            if known.get(source)
        ],
    }
    if texts.get("richMarketingDescription"):
        body["richMarketingDescription"] = texts["richMarketingDescription"][:5000]
    if product.parent:
        body["variantGroupReference"] = product.parent
    return body


def sheet_answer(body: object, package: str, sku: str) -> m.OfferAnswer | None:
    """What the report says of a sheet; None while it says nothing. An integrated one lets the offer be pushed again."""
    mine = [each for each in rows(body) if _text(each, "sellerProductReference") in {"", sku}]
    if not mine or not _text(mine[0], "status") or _text(mine[0], "status") not in {"Integrated", "Refused"}:
        return None
    if _text(mine[0], "status") == "Integrated":
        why = m.Reason("product.data_processing", {"sku": sku, "marketplace": NAME})
        return m.OfferAnswer(sku, True, m.OfferState.WAITING, reason=why, retry=True)
    return _refused_sheet(sku, package, objects(mine[0].get("errors")))


def _refused_sheet(sku: str, package: str, errors: list[Json]) -> m.OfferAnswer:
    codes = [_text(each, "code") for each in errors]
    params: dict[str, object] = {"sku": sku, "marketplace": NAME, "package": package}
    if "QuotaExceeded" in codes:
        why = m.Reason("cdiscount.product_quota", params)
        return m.OfferAnswer(sku, False, m.OfferState.WAITING, reason=why, retry=True)
    if any("variantGroupReference" in _text(each, "field") for each in errors):
        why = m.Reason("cdiscount.needs_variation", params)
        return m.OfferAnswer(sku, False, m.OfferState.NEEDS_VARIATION, reason=why)
    missing = [_text(each, "field") for each in errors if _text(each, "code") == "ER400-6067"]
    said = "; ".join(_text(each, "message") or _text(each, "code") for each in errors)[:200]
    if missing:
        why = m.Reason("product.data_missing", params | {"fields": ", ".join(missing)})
    elif "CategorizationError" in codes:
        why = m.Reason("cdiscount.categorization", params)
    else:
        why = m.Reason("product.data_refused", params | {"marketplace_reason": said})
    return m.OfferAnswer(sku, False, m.OfferState.NEEDS_PRODUCT, reason=why)
