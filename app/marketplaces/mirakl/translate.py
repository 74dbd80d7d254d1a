"""Mirakl's JSON and CSV <-> our messages; pure. Their words are open on input (unknown ones become UNCLEAR and are kept) and strict on output.

What may go wrong: a required field is missing, or an amount has more digits than its currency. Then Invalid names the field and the order.
Which choices are ours, and what nobody has tried: docs/marketplaces/mirakl.md. Numbers like OR11 are Mirakl's names of its operations.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import quote, unquote

from babel.core import get_global

from app import messages as m
from app.errors import Invalid, Refused, ShopbridgeError, Unauthorised
from app.rules.refund import in_proportion
from app.rules.tracking import carrier_key
from app.rules.vat import net_of, rate

Json = Mapping[str, Any]

# What the sentences of our reasons call the partner.
NAME: Final = "Mirakl"
MOST_PIECES: Final = 10_000  # of one line; more is a typing mistake, and each piece is a row of ours

TAX_INCLUDED: Final = "TAX_INCLUDED"
TAX_EXCLUDED: Final = "TAX_EXCLUDED"

WAITS: Final = "WAITING_ACCEPTANCE"
# Our reason -> what RT26 calls it; RT21 knows fewer (`rejection_body`).
REJECTIONS: Final = {
    "damaged": "DAMAGED_PRODUCT",
    "wrong_item": "WRONG_PRODUCT",
    "missing_item": "MISSING_ITEM",
    "too_late": "WINDOW_CLOSED",
    "other": "OTHER",
}
# States in which an order wants something of us; for the first look, which has no date to begin at.
OPEN_ORDERS: Final = ("WAITING_ACCEPTANCE", "WAITING_DEBIT", "WAITING_DEBIT_PAYMENT", "SHIPPING")

LINE_STATES: Final = {
    "STAGING": m.PieceState.ANNOUNCED,
    "WAITING_ACCEPTANCE": m.PieceState.ANNOUNCED,
    "WAITING_DEBIT": m.PieceState.ANNOUNCED,
    "WAITING_DEBIT_PAYMENT": m.PieceState.ANNOUNCED,
    "SHIPPING": m.PieceState.TO_SHIP,
    "SHIPPED": m.PieceState.SHIPPED,
    "TO_COLLECT": m.PieceState.SHIPPED,
    "RECEIVED": m.PieceState.DELIVERED,
    "CLOSED": m.PieceState.DELIVERED,
    "REFUSED": m.PieceState.CANCELLED,
    "CANCELED": m.PieceState.CANCELLED,
}
# These say what happened to the money, not where the goods are: the dates of the line tell that.
_INCIDENT: Final = "INCIDENT_OPEN"
_BY_DATES: Final = frozenset({_INCIDENT, "REFUNDED", "WAITING_REFUND", "WAITING_REFUND_PAYMENT"})
_BEFORE_THE_PARCEL: Final = (m.PieceState.ANNOUNCED, m.PieceState.TO_SHIP)
SHIPMENT_STATES: Final = {
    "SHIPPED": m.PieceState.SHIPPED,
    "TO_COLLECT": m.PieceState.SHIPPED,
    "RECEIVED": m.PieceState.DELIVERED,
    "CLOSED": m.PieceState.DELIVERED,
}
# Mirakl never pays by itself for a return: RECEIVED still waits for the seller's word, and for his refund (OR28).
RETURN_STATES: Final = {
    "WAITING_ACCEPTANCE": m.ReturnState.ANNOUNCED,
    "IN_PROGRESS": m.ReturnState.ANNOUNCED,
    "RECEIVED": m.ReturnState.ARRIVED,
    "NO_RECEPTION": m.ReturnState.CLOSED,
    "CLOSED": m.ReturnState.CLOSED,
    "CANCELED": m.ReturnState.CLOSED,
    "REFUSED": m.ReturnState.REJECTED,
}
# The codes of RE01 are each operator's own; these words are looked for in their labels (English, German, French, Italian, Spanish).
CANCEL_WORDS: Final = {
    "buyer_cancelled": ("client", "customer", "buyer", "kunde", "käufer", "acheteur", "cliente"),
    "out_of_stock": ("stock", "lager", "vergriffen", "rupture", "esaur", "agotado", "disponib"),
    "address_undeliverable": ("address", "adress", "indirizzo", "direcci", "undeliver", "zustell"),
    "wrong_price": ("price", "pricing", "preis", "prix", "prezzo", "precio"),
    "wrong_data": ("description", "catalog", "data", "beschreibung", "katalog", "descrizione", "descripci"),
    "other": ("other", "sonstig", "andere", "autre", "altr", "otro"),
}
REFUND_WORDS: Final = {
    "return": ("return", "withdraw", "retour", "widerruf", "rétract", "reso", "recesso", "devoluc"),
    "damaged": ("damage", "defect", "broken", "beschädigt", "defekt", "endommag", "danneggiat", "difett"),
    "delayed": ("late", "delay", "verspät", "retard", "ritardo", "retras"),
    "wrong_item": ("wrong", "incorrect", "falsch", "erreur", "sbagliat", "errat", "equivocad"),
    "incomplete": ("missing", "incomplete", "fehlt", "unvollständig", "manqu", "mancant", "incomplet"),
    "postage": ("shipping", "postage", "delivery cost", "versandkosten", "frais de port", "spedizione"),
    "other": ("other", "commercial", "goodwill", "sonstig", "kulanz", "autre", "geste", "altr", "otro"),
}
_REASON_KINDS: Final = {"CANCELATION": CANCEL_WORDS, "REFUND": REFUND_WORDS}

_PROBLEMS: Final = {
    "ORDER_INVALID_STATE": "deed.not_allowed",
    "ORDER_FULFILLED_UNAUTHORIZED": "deed.not_allowed",
    "ORDER_NOT_FOUND": "partner.not_found",
    "ORDER_LINE_NOT_FOUND": "partner.not_found",
    "ORDER_PARTIAL_ACCEPTANCE_DISABLED": "mirakl.partial_acceptance_disabled",
}
_STATUSES: Final = {401: "credentials.refused", 403: "account.not_allowed", 404: "partner.not_found"}

# ISO 4217 where it is not two digits.
_DIGITS: Final = dict.fromkeys(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ],
    0,
) | dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3)


# --- problems --------------------------------------------------------------------------------------------------------


def reason(status: int, body: object) -> m.Reason:
    """What a 4xx answer means in our words. The description names no schema for errors, so every known spelling is read."""
    told: Json = body if isinstance(body, Mapping) else {}
    errors = [told, *objects(told.get("errors"))]
    words = [text for each in errors if (text := _text(each, "error_code") or _text(each, "code"))]
    said = [text for each in errors if (text := _text(each, "message"))]
    params: dict[str, object] = {"partner": NAME, "marketplace": NAME, "status": status}
    if said:
        params["message"] = said[-1][:200]
    if words:
        params["problem"] = words[-1][:100]
    known = next((_PROBLEMS[word] for word in words if word in _PROBLEMS), None)
    return m.Reason(known or _STATUSES.get(status, "partner.refused"), params)


def refusal(status: int, body: object, operation: str) -> Refused:
    """The error to raise for a 4xx answer: Unauthorised for 401, else Refused."""
    why = reason(status, body)
    kind = Unauthorised if status == 401 else Refused
    return kind(why.code, **why.params, operation=operation)


def told(error: ShopbridgeError) -> m.Reason:
    """An error as the reason beside an offer or a piece."""
    return m.Reason(error.code, dict(error.params))


# --- reading values ----------------------------------------------------------------------------------------------------


def objects(value: object) -> list[Json]:
    """The objects of a list inside an answer; what is none is left out."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def rows(body: object, name: str) -> list[Json]:
    """A list of an answer. Invalid when it is none."""
    data = body.get(name) if isinstance(body, Mapping) else None
    if not isinstance(data, list):
        raise Invalid("data.invalid", field=name)
    return objects(data)


def total(body: object) -> int | None:
    """How many rows there are in all, None when the answer does not say."""
    count = body.get("total_count") if isinstance(body, Mapping) else None
    return count if isinstance(count, int) and not isinstance(count, bool) else None


def next_page(body: object) -> str | None:
    """The token of the next page, None on the last one."""
    return _text(body, "next_page_token") or None if isinstance(body, Mapping) else None


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


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def when(value: object) -> datetime | None:
    """ISO 8601 as aware UTC, with and without milliseconds. What is none is None, not an error."""
    try:
        parsed = datetime.fromisoformat(str(value or "").strip())
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def stamp(moment: datetime) -> str:
    """A moment as the filters want it: YYYY-MM-ddTHH:mm:ssZ."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def minor(value: object, currency: str, where: str) -> int:
    """An amount in minor units. It comes as a number, in places as text; more digits than the currency has are refused, not rounded."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise Invalid("data.invalid", field=where)
    try:
        scaled = Decimal(str(value)).scaleb(_DIGITS.get(currency, 2))
    except InvalidOperation:
        raise Invalid("data.invalid", field=where) from None
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise Invalid("data.invalid", field=where)
    return int(scaled)


def major(amount: int, currency: str) -> Decimal:
    """Minor units as Mirakl writes amounts: 790 EUR -> 7.90."""
    return Decimal(amount).scaleb(-_DIGITS.get(currency, 2))


def alpha_2(country: str) -> str:
    """ISO 3166 alpha-3 -> alpha-2. What nobody knows stays as it came, so that a person sees it."""
    code = country.strip().upper()
    found: list[str] | None = get_global("territory_aliases").get(code) if len(code) == 3 else None
    return found[0] if found else code


# --- pieces ------------------------------------------------------------------------------------------------------------


def piece_id(order_id: str, line_id: str, number: int) -> str:
    """The id of the n-th unit of a line, from 1. The parts are quoted, because an operator's order ids may contain anything."""
    return f"{quote(order_id, safe=' ')}/{quote(line_id, safe=' ')}/{number}"


def piece_parts(identifier: str) -> tuple[str, str, int]:
    """(order id, line id, n) of a piece id. Refused when it is none of ours."""
    parts = identifier.split("/")
    if len(parts) != 3 or not all(parts) or not parts[2].isdecimal() or int(parts[2]) < 1:
        raise Refused("data.invalid", field="piece_id")
    return unquote(parts[0]), unquote(parts[1]), int(parts[2])


def by_line(piece_ids: Iterable[str]) -> dict[str, dict[str, list[int]]]:
    """Order id -> line id -> the numbers of its pieces, in ascending order."""
    found: dict[str, dict[str, list[int]]] = {}
    for each in piece_ids:
        order_id, line_id, number = piece_parts(each)
        found.setdefault(order_id, {}).setdefault(line_id, []).append(number)
    return {order: {line: sorted(set(ns)) for line, ns in lines.items()} for order, lines in found.items()}


def share(amount: int, quantity: int, number: int) -> int:
    """The part of a line's amount that falls on its n-th piece; the cents that cannot be divided fall on the first ones."""
    whole, rest = divmod(amount, quantity)
    return whole + (1 if number <= rest else 0)


@dataclass(frozen=True)
class Sent:
    """What ST11 shows of one line: pieces that a shipment names, and how many others have left without being named."""

    named: dict[int, m.PieceState] = field(default_factory=dict)
    others: list[m.PieceState] = field(default_factory=list)


def package_reference(numbers: Sequence[int]) -> str:
    """Which pieces of a line are in a parcel, kept in the one free field of a shipment's line, so that reading back is exact."""
    return "n" + "+".join(map(str, numbers))


def sent_pieces(shipments: Iterable[Json]) -> dict[str, Sent]:
    """Line id -> what has left of it, from the shipments of ST11; those that are only announced do not count."""
    found: dict[str, Sent] = defaultdict(Sent)
    for shipment in shipments:
        state = SHIPMENT_STATES.get(_text(shipment, "status"))
        if state is None:
            continue
        for line in objects(shipment.get("shipment_lines")):
            sent = found[_text(line, "order_line_id")]
            reference = _text(line, "package_reference")
            quantity = min(_count(line.get("quantity")) or 0, MOST_PIECES)
            numbers = [int(each) for each in re.findall(r"\d+", reference)]
            if re.fullmatch(r"n\d+(\+\d+)*", reference) and len(numbers) == quantity:
                sent.named.update(dict.fromkeys(numbers, state))
            else:
                sent.others.extend([state] * quantity)
    return dict(found)


def cancelled_units(line: Json) -> int:
    """How many pieces of a line its cancellations take away."""
    return sum(_count(each.get("quantity")) or 0 for each in objects(line.get("cancelations")))


def _states(line: Json, base: m.PieceState, sent: Sent, hint: Sequence[int]) -> dict[int, m.PieceState]:
    """The state of each piece of a line. Mirakl counts, it does not name pieces, so the choice is always the same: what left unnamed is the
    first ones, what was cancelled is what we asked for (`hint`) and then the last ones (contract of the pieces).
    """
    quantity = _count(line.get("quantity")) or 0
    states = dict.fromkeys(range(1, quantity + 1), base)
    if base in {m.PieceState.CANCELLED, m.PieceState.UNCLEAR}:
        return states
    gone = {number: state for number, state in sent.named.items() if number in states}
    if base is m.PieceState.TO_SHIP or base is m.PieceState.ANNOUNCED:
        free = [number for number in states if number not in gone]
        gone.update(zip(free, sent.others, strict=False))
        states.update(gone)
    wanted = [number for number in hint if number in states and number not in gone]
    left = [number for number in reversed(states) if number not in gone and number not in wanted]
    for number in [*wanted, *left, *reversed(list(gone))][: cancelled_units(line)]:
        states[number] = m.PieceState.CANCELLED
    return states


def _line_state(order: Json, line: Json) -> tuple[m.PieceState, str]:
    raw = _text(line, "order_line_state") or _text(order, "order_state")
    if raw in _BY_DATES:
        if line.get("received_date"):
            return m.PieceState.DELIVERED, raw
        if line.get("shipped_date"):
            return m.PieceState.SHIPPED, raw
        if raw != _INCIDENT:
            # All of the line was paid back before it left (refunds may exclude it from shipments, OR28): it must not leave any more.
            return m.PieceState.CANCELLED, raw
        # An incident ends (OR64), a cancellation does not: the order's own word says whether the goods still wait for their parcel.
        state = LINE_STATES.get(_text(order, "order_state"), m.PieceState.UNCLEAR)
        state = state if state in _BEFORE_THE_PARCEL else m.PieceState.UNCLEAR
    else:
        state = LINE_STATES.get(raw, m.PieceState.UNCLEAR)
    if state is m.PieceState.TO_SHIP and (_withheld(order) or order.get("can_shop_ship") is False):
        # Without an address, or where somebody else ships, there is nothing to do yet.
        state = m.PieceState.ANNOUNCED
    return state, raw


def _withheld(order: Json) -> bool:
    """Addresses are null before acceptance or debit, as the operator likes (FACTS, trap 5)."""
    return not any(_mapped(_mapped(order.get("customer")).get("shipping_address")).values())


@dataclass(frozen=True)
class Amounts:
    """The money of a line in minor units. `goods` and `shipping` as the order's tax mode says; taxes are (code, amount)."""

    currency: str
    mode: str
    goods: int
    shipping: int
    goods_taxes: tuple[tuple[str, int], ...]
    shipping_taxes: tuple[tuple[str, int], ...]

    @property
    def gross_goods(self) -> int:
        return self._gross(self.goods, self.goods_taxes)

    @property
    def gross_shipping(self) -> int:
        return self._gross(self.shipping, self.shipping_taxes)

    def _gross(self, amount: int, taxes: Iterable[tuple[str, int]]) -> int:
        return amount + sum(tax for _, tax in taxes) if self.mode == TAX_EXCLUDED else amount


def amounts(order: Json, line: Json, goods: str = "price", shipping: str = "shipping_price") -> Amounts:
    """The money of a line, or of one of its refunds and cancellations (`goods` "amount", `shipping` "shipping_amount")."""
    where = f"order.{_text(order, 'order_id')}.{_text(line, 'order_line_id') or goods}"
    currency = _required(order, "currency_iso_code", f"order.{_text(order, 'order_id')}")

    def money(name: str) -> int:
        return 0 if line.get(name) is None else minor(line[name], currency, f"{where}.{name}")

    def taxes(name: str) -> tuple[tuple[str, int], ...]:
        found = objects(line.get(name))
        return tuple(
            (_text(each, "code"), minor(each.get("amount", 0), currency, f"{where}.{name}")) for each in found
        )

    mode = _text(order, "order_tax_mode") or TAX_INCLUDED
    return Amounts(currency, mode, money(goods), money(shipping), taxes("taxes"), taxes("shipping_taxes"))


def line_pieces(order: Json, line: Json, sent: Sent, hint: Sequence[int] = ()) -> list[m.PieceSeen]:
    """One piece for each unit of the line. Prices are gross; a cent that cannot be divided falls on the first pieces, which then are a
    group of their own, because all pieces of a group have one price.
    """
    order_id = _required(order, "order_id", "order")
    line_id = _required(line, "order_line_id", f"order.{order_id}")
    where = f"order.{order_id}.{line_id}"
    quantity = _count(line.get("quantity"))
    if quantity is None or not 0 <= quantity <= MOST_PIECES:
        raise Invalid("data.invalid", field=f"{where}.quantity")
    if line.get("price") is None:
        raise Invalid("data.missing", field=f"{where}.price")
    money = amounts(order, line)
    base, raw = _line_state(order, line)
    even = quantity == 0 or money.gross_goods % quantity == 0
    made = []
    for number, state in _states(line, base, sent, hint).items():
        price = share(money.gross_goods, quantity, number)
        made.append(
            m.PieceSeen(
                external_id=piece_id(order_id, line_id, number),
                group=line_id if even else f"{line_id}|{price}",
                sku=_text(line, "offer_sku") or None,
                gtin=None,
                title=_text(line, "product_title") or _text(line, "offer_sku") or line_id,
                unit_price=price,
                shipping_price=share(money.gross_shipping, quantity, number),
                state=state,
                raw_state=raw if state is base else f"{raw} ({state})",
                vat_percent=_vat(line),
                ship_by=when(order.get("shipping_deadline")),
                updated_at=when(line.get("last_updated_date")),
                reason=_why_cancelled(line) if state is m.PieceState.CANCELLED else None,
            )
        )
    return made


def _vat(line: Json) -> str | None:
    """The one tax rate of the line as decimal text; None when there are several, or none is named."""
    rates = {str(each["rate"]) for each in objects(line.get("taxes")) if each.get("rate") is not None}
    if len(rates) != 1:
        return None
    try:
        return format(Decimal(rates.pop()).normalize(), "f")
    except InvalidOperation:
        return None


def _why_cancelled(line: Json) -> str | None:
    said = _text(line, "order_line_state_reason_label") or _text(line, "order_line_state_reason_code")
    codes = [_text(each, "reason_code") for each in objects(line.get("cancelations"))]
    return said or next((code for code in reversed(codes) if code), None)


# --- orders ------------------------------------------------------------------------------------------------------------


def order_id(data: Json) -> str:
    """The id of an order. Invalid when it has none."""
    return _required(data, "order_id", "order")


def order(
    data: Json, sent: Mapping[str, Sent] | None = None, hint: Callable[[str], Sequence[int]] | None = None
) -> m.OrderSeen:
    """One order of OR11. `sent`: what ST11 says of its lines; `hint`: the pieces of a line that we asked to cancel."""
    where = f"order.{order_id(data)}"
    lines = objects(data.get("order_lines"))
    placed = when(data.get("created_date"))
    if placed is None:
        raise Invalid("data.missing", field=f"{where}.created_date")
    if not lines:
        raise Invalid("data.missing", field=f"{where}.order_lines")
    pieces = [
        piece
        for line in lines
        for piece in line_pieces(
            data,
            line,
            (sent or {}).get(_text(line, "order_line_id"), Sent()),
            hint(_text(line, "order_line_id")) if hint is not None and _partly_cancelled(line) else (),
        )
    ]
    customer = _mapped(data.get("customer"))
    mail = _text(data, "customer_notification_email")
    return m.OrderSeen(
        external_id=order_id(data),
        placed_at=placed,
        currency=_required(data, "currency_iso_code", where),
        pieces=tuple(pieces),
        billing=_address(customer, "billing_address", mail),
        shipping=_address(customer, "shipping_address", mail, _pickup(data)),
        country=_text(_mapped(data.get("channel")), "code").lower() or None,
        number=_text(data, "commercial_id") or None,
        awaits_acceptance=waits(data),
    )


def waits(data: Json) -> bool:
    """Whether a line of the order wants the seller's decision (OR21)."""
    states = [_text(line, "order_line_state") for line in objects(data.get("order_lines"))]
    return WAITS in states or _text(data, "order_state") == WAITS


def partly_sent(data: Json) -> bool:
    """Whether a part of the order may have left already: OR11 shows only whole lines, so ST11 must be asked."""
    return _text(data, "order_state") == "SHIPPING"


def _partly_cancelled(line: Json) -> bool:
    return 0 < cancelled_units(line) < (_count(line.get("quantity")) or 0)


def _address(customer: Json, name: str, mail: str, extra: dict[str, str] | None = None) -> m.Address | None:
    """None while the operator withholds it."""
    data = _mapped(customer.get(name))
    if not any(data.values()):
        return None
    companies = [_text(data, "company"), _text(data, "company_2")]
    more = {"additional_info": _text(data, "additional_info")} | (extra or {})
    return m.Address(
        first_name=_text(data, "firstname") or _text(customer, "firstname"),
        last_name=_text(data, "lastname") or _text(customer, "lastname"),
        company=", ".join(each for each in companies if each),
        address_1=_text(data, "street_1"),
        address_2=_text(data, "street_2"),
        postcode=_text(data, "zip_code"),
        city=_text(data, "city"),
        state=_text(data, "state"),
        country=alpha_2(_text(data, "country_iso_code")),
        phone=_text(data, "phone") or _text(data, "phone_secondary"),
        email=mail,
        extra={key: value for key, value in more.items() if value},
    )


def _pickup(data: Json) -> dict[str, str]:
    """A pick-up point: without its id the parcel does not reach it, so it must come to the label."""
    place = _text(data, "shipping_pudo_id")
    return {"pickup_location_id": place, "pickup_type": _text(data, "shipping_type_code")} if place else {}


# --- deeds -------------------------------------------------------------------------------------------------------------


def acceptance_body(accepted: Iterable[str], refused: Iterable[str]) -> dict[str, object]:
    """All waiting lines in one call (OR21). A line is taken as a whole, so one refused piece refuses its line."""
    no = {piece_parts(each)[1] for each in refused}
    lines = dict.fromkeys(piece_parts(each)[1] for each in [*accepted, *refused])
    return {"order_lines": [{"id": line, "accepted": line not in no} for line in lines]}


@dataclass(frozen=True)
class Carrier:
    """How a parcel's carrier is named to an operator: by his own code (SH21), else by name with a link."""

    code: str | None
    name: str
    url: str | None


def carrier(known: Sequence[Json], key: str | None, name: str | None, url: str | None) -> Carrier:
    """The operator's code for our carrier `key`, found by the label and the codes of SH21. Else our name of it, and `url`."""
    for each in known:
        words = [_text(each, word) for word in ("label", "standard_code", "code")]
        same_name = name is not None and name.casefold() in {word.casefold() for word in words if word}
        if same_name or (key is not None and key in {carrier_key(word) for word in words if word}):
            return Carrier(_text(each, "code"), _text(each, "label"), None)
    return Carrier(None, name or key or "Other", url)


def tracking_body(by: Carrier, number: str | None, link: str) -> dict[str, str]:
    """The tracking of OR23 (`link` "carrier_url") and of ST01 ("tracking_url"). A registered carrier's link is Mirakl's own matter."""
    body = {"tracking_number": number} if number else {}
    if by.code:
        return body | {"carrier_code": by.code}
    return body | {"carrier_name": by.name} | ({link: by.url} if by.url else {})


def shipments_body(lines: Mapping[str, Mapping[str, Sequence[int]]], tracking: Json) -> dict[str, object]:
    """One parcel (ST01): a shipment for each order in it, shipped at once."""
    return {
        "shipments": [
            {
                "order_id": order,
                "shipped": True,
                "shipment_lines": [
                    {
                        "order_line_id": line,
                        "quantity": len(numbers),
                        "package_reference": package_reference(numbers),
                    }
                    for line, numbers in wanted.items()
                ],
                **({"tracking": dict(tracking)} if tracking else {}),
            }
            for order, wanted in lines.items()
        ]
    }


def reason_code(known: Sequence[Json], kind: str, ours: str, chosen: Mapping[str, str]) -> str:
    """The operator's code for our reason: what the merchant chose, else by the label, else "other", else the first that sellers may use.

    `kind` is CANCELATION or REFUND (RE01). Refused when the reason is none of ours or the operator offers sellers none at all.
    """
    words = _REASON_KINDS[kind]
    if ours not in words:
        code = "cancel.reason_unknown" if kind == "CANCELATION" else "refund.reason_unknown"
        raise Refused(code, reason=ours)
    allowed = [each for each in known if _text(each, "type") == kind and each.get("is_shop_right") is True]
    codes = [_text(each, "code") for each in allowed]
    if chosen.get(ours) in codes:
        return chosen[ours]
    for wanted in (ours, "other"):
        for each in allowed:
            if any(word in _text(each, "label").casefold() for word in words[wanted]):
                return _text(each, "code")
    if not codes:
        raise Refused("mirakl.no_reasons", kind=kind)
    return codes[0]


def find_line(data: Json, line_id: str) -> Json:
    """A line of an order. Refused when it has none of this id."""
    for line in objects(data.get("order_lines")):
        if _text(line, "order_line_id") == line_id:
            return line
    raise Refused("partner.not_found", partner=NAME, message=line_id)


def cancel_body(data: Json, wanted: Mapping[str, Sequence[int]], code: str) -> dict[str, object]:
    """OR30 for pieces of one order: of each line the money that falls on them, in the tax mode of the order."""
    entries = []
    for line_id, numbers in wanted.items():
        line = find_line(data, line_id)
        money, quantity = amounts(data, line), _count(line.get("quantity")) or 1

        def of(amount: int, numbers: Sequence[int] = numbers, quantity: int = quantity) -> int:
            return sum(share(amount, quantity, number) for number in numbers)

        entry: dict[str, object] = {
            "order_line_id": line_id,
            "quantity": len(numbers),
            "amount": major(of(money.goods), money.currency),
            "shipping_amount": major(of(money.shipping), money.currency),
            "reason_code": code,
            "currency_iso_code": money.currency,
        }
        for name, taxes in (("taxes", money.goods_taxes), ("shipping_taxes", money.shipping_taxes)):
            if taxes:
                entry[name] = [
                    {"code": tax, "amount": major(of(amount), money.currency)} for tax, amount in taxes
                ]
        entries.append(entry)
    return {"cancelations": entries, "order_tax_mode": _text(data, "order_tax_mode") or TAX_INCLUDED}


def given_back(data: Json, line: Json, *kinds: str) -> tuple[int, int]:
    """(goods, shipping) of a line that its refunds or cancellations have given back, gross minor units."""
    goods = shipping = 0
    for kind in kinds:
        for each in objects(line.get(kind)):
            part = amounts(data, each, "amount", "shipping_amount")
            goods, shipping = goods + part.gross_goods, shipping + part.gross_shipping
    return goods, shipping


def refund_body(data: Json, line: Json, amount: int, our_reason: str, code: str) -> dict[str, object]:
    """OR28 for one line: `amount` gross minor units, of the goods first and then of their shipping; for "postage" the other way round.

    Refused for less than one, and for more than is left of the line.
    """
    if isinstance(amount, bool) or amount < 1:
        raise Refused("refund.amount_invalid", amount=amount)
    money = amounts(data, line)
    goods_gone, shipping_gone = given_back(data, line, "refunds", "cancelations")
    room = max(0, money.gross_goods - goods_gone), max(0, money.gross_shipping - shipping_gone)
    if amount > sum(room):
        too_much = amount - sum(room)
        raise Refused("refund.more_than_paid", amount=too_much, currency=money.currency)
    shipping = min(amount, room[1]) if our_reason == "postage" else max(0, amount - room[0])
    goods_part, goods_taxes = _split(money.mode, amount - shipping, money.goods, money.goods_taxes)
    shipping_part, shipping_taxes = _split(money.mode, shipping, money.shipping, money.shipping_taxes)
    entry: dict[str, object] = {
        "order_line_id": _text(line, "order_line_id"),
        "amount": major(goods_part, money.currency),
        "shipping_amount": major(shipping_part, money.currency),
        "quantity": 0,  # "Informative only" (OR28): the amounts count.
        "reason_code": code,
        "currency_iso_code": money.currency,
    }
    for name, taxes in (("taxes", goods_taxes), ("shipping_taxes", shipping_taxes)):
        if taxes:
            entry[name] = [{"code": tax, "amount": major(part, money.currency)} for tax, part in taxes]
    return {"refunds": [entry], "order_tax_mode": money.mode}


def _split(
    mode: str, gross: int, amount: int, taxes: tuple[tuple[str, int], ...]
) -> tuple[int, list[tuple[str, int]]]:
    """A gross refund as Mirakl wants it: the amount in the order's tax mode, and of each tax what falls on it, to the cent."""
    inside = sum(tax for _, tax in taxes) if mode != TAX_EXCLUDED else 0
    parts = in_proportion(gross, [amount - inside, *(tax for _, tax in taxes)])
    split = [(code, part) for (code, _), part in zip(taxes, parts[1:], strict=True)]
    return (parts[0] if mode == TAX_EXCLUDED else gross), split


def failed_ids(body: object, name: str) -> dict[str, str]:
    """Of a multi-status answer: id (order or return) -> the message of each entry in `name`. HTTP says 200 either way."""
    found = body.get(name) if isinstance(body, Mapping) else None
    return {_text(each, "order_id") or _text(each, "id"): _text(each, "message") for each in objects(found)}


# --- returns -----------------------------------------------------------------------------------------------------------


def return_order(data: Json) -> str:
    return _required(data, "order_id", "return")


def return_lines(data: Json) -> list[tuple[str, int]]:
    """(line id, quantity) of a return."""
    where = f"return.{_required(data, 'id', 'return')}"
    return [
        (_required(line, "order_line_id", where), min(_count(line.get("quantity")) or 0, MOST_PIECES))
        for line in objects(data.get("return_lines"))
    ]


def compliance_body(back: Json) -> dict[str, object]:
    """RT26: every line of the return is as it should be. All of them must be named in one call."""
    lines = dict.fromkeys(line_id for line_id, _ in return_lines(back))
    told = [{"order_line_id": line_id, "compliant": True} for line_id in lines]
    return {"returns": [{"id": _text(back, "id"), "return_lines": told}]}


def is_judged_wrong(back: Json) -> bool:
    """Whether RT26 has said before that no line of the return is as it should be."""
    lines = objects(back.get("return_lines"))
    return bool(lines) and all(
        any(told.get("compliant") is False for told in objects(line.get("compliance"))) for line in lines
    )


def rejection_body(back: Json, why: str) -> dict[str, object]:
    """RT21 of a return whose goods have not left the buyer. Of our reasons only the time limit has a word of its own there."""
    code = why if why == "WINDOW_CLOSED" else "NOT_ELIGIBLE"
    told = {"id": _text(back, "id"), "accepted": False, "rejection_reason_code": f"RETURN_REJECTION_{code}"}
    return {"returns": [told]}


def non_compliance_body(back: Json, why: str, note: str) -> dict[str, object]:
    """RT26 of a return whose goods have come: no line of it is as it should be."""
    lines = dict.fromkeys(line_id for line_id, _ in return_lines(back))
    wrong: dict[str, object] = {
        "compliant": False,
        "non_compliance_reason_code": f"RETURN_NON_COMPLIANT_{why}",
        **({"non_compliance_additional_info": note} if note else {}),
    }
    told = [{"order_line_id": line_id, **wrong} for line_id in lines]
    return {"returns": [{"id": _text(back, "id"), "return_lines": told}]}


def numbers_of(back: Sequence[Json], quantities: Mapping[str, int]) -> dict[tuple[str, str], list[int]]:
    """(return id, line id) -> which pieces of the line it is about. Mirakl only counts: returns take pieces in the order in which they were
    made, the first ones first; when none is left, a return that came to nothing has freed its pieces again.

    `back`: all returns of the lines; `quantities`: of lines that have several returns.
    """
    found: dict[tuple[str, str], list[int]] = {}
    taken: dict[str, int] = defaultdict(int)
    for each in sorted(back, key=lambda row: (_text(row, "date_created"), _text(row, "id"))):
        for line_id, quantity in return_lines(each):
            size = quantities.get(line_id)
            numbers = [taken[line_id] + place for place in range(1, quantity + 1)]
            found[(_text(each, "id"), line_id)] = [
                (number - 1) % size + 1 if size else number for number in numbers
            ]
            taken[line_id] += quantity
    return found


def return_seen(data: Json, numbers: Mapping[tuple[str, str], Sequence[int]]) -> m.ReturnSeen:
    """A return of RT11, one piece for each unit. A piece of a return is `<return id>/<line id>/<n>`."""
    raw = _required(data, "state", f"return.{_required(data, 'id', 'return')}")
    pieces = [
        m.ReturnPieceSeen(
            external_id=piece_id(_text(data, "id"), line_id, number),
            piece_external_id=piece_id(return_order(data), line_id, number),
            state=RETURN_STATES.get(raw, m.ReturnState.UNCLEAR),
            raw_state=raw,
            reason=_return_reason(data, line_id),
            note=_text(data, "description") or None,
        )
        for line_id, _ in return_lines(data)
        for number in numbers[(_text(data, "id"), line_id)]
    ]
    tracking = _mapped(data.get("tracking"))
    return m.ReturnSeen(
        external_id=_text(data, "id"),
        pieces=tuple(pieces),
        tracking_number=_text(tracking, "tracking_number") or None,
        carrier=_text(tracking, "carrier_name") or _text(tracking, "carrier_code") or None,
    )


def _return_reason(data: Json, line_id: str) -> str | None:
    of_line = [
        _text(line, "reason_code")
        for line in objects(data.get("return_lines"))
        if _text(line, "order_line_id") == line_id
    ]
    return (of_line and of_line[0]) or _text(data, "reason_code") or None


# --- offers ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Terms:
    """What the merchant's settings say about every offer of one connection."""

    currency: str
    gtin_type: str = "EAN"
    states: Mapping[str, str] = field(default_factory=lambda: {"new": "11"})  # our condition -> OF61
    logistic_class: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)  # the operator's own fields (AF01)
    net: bool = False  # the operator wants prices without tax
    vat_percent: str | None = None  # where the shop names no rate; only for net prices

    def rate_of(self, offer: m.OfferWanted) -> Decimal | None:
        """The VAT rate of an offer as a fraction, None where nobody knows it."""
        return rate(offer.vat_percent if offer.vat_percent is not None else self.vat_percent)

    def price_of(self, offer: m.OfferWanted) -> Decimal:
        """What the operator calls the price, in major units of the currency."""
        if not self.net:
            return major(offer.price, self.currency)
        digits = _DIGITS.get(self.currency, 2)
        return net_of(offer.price, self.rate_of(offer) or Decimal(0), digits, digits)


def objection(offer: m.OfferWanted, terms: Terms) -> m.Reason | None:
    """Why an operator would refuse this offer anyway: told before a call is spent."""
    if offer.price < 1:
        return m.Reason("offer.price_missing", {"sku": offer.sku})
    if offer.currency != terms.currency:
        return m.Reason(
            "offer.currency", {"sku": offer.sku, "currency": offer.currency, "expected": terms.currency}
        )
    if offer.condition not in terms.states:
        return m.Reason("offer.condition_unknown", {"sku": offer.sku, "condition": offer.condition})
    if not offer.gtin:
        return m.Reason("product.gtin_missing", {"sku": offer.sku, "title": offer.title})
    if terms.net and terms.rate_of(offer) is None:
        return m.Reason("mirakl.vat_missing", {"sku": offer.sku, "percent": offer.vat_percent})
    return None


def is_new(offer: m.OfferWanted) -> bool:
    """Whether the operator has never had this offer, so that its product may be unknown there."""
    return offer.external_ref is None and (offer.was is None or offer.was.price is None)


def stock(offer: m.OfferWanted) -> int:
    """Off is stock 0 (FACTS 3): an operator has no other switch that sellers may use."""
    return max(offer.stock, 0) if offer.on else 0


def way(offer: m.OfferWanted) -> str:
    """The import that carries all that differs from what is confirmed, and nothing more: STO01, PRI01 or the whole row (OF01)."""
    was = offer.was
    if was is None or was.price is None or offer.external_ref is None:
        return "OF01"
    if was.handling_days not in {None, offer.handling_days}:
        return "OF01"
    if was.shipping_group not in {None, offer.shipping_group}:
        return "OF01"
    price, pieces = was.price != offer.price, was.stock != stock(offer)
    return {(True, False): "PRI01", (False, True): "STO01"}.get((price, pieces), "OF01")


def stock_file(offers: Iterable[m.OfferWanted]) -> bytes:
    """STO01: one row for each offer, one stock for all warehouses."""
    return _csv(("offer-sku", "quantity"), ((each.sku, str(stock(each))) for each in offers))


def price_file(offers: Iterable[m.OfferWanted], terms: Terms) -> bytes:
    """PRI01. It replaces all prices of an offer: a discount that was made by hand ends with it (FACTS 3)."""
    return _csv(("offer-sku", "price"), ((each.sku, str(terms.price_of(each))) for each in offers))


def offer_file(offers: Iterable[m.OfferWanted], terms: Terms) -> bytes:
    """OF01, whole rows: what a row leaves out would fall back to its default (FACTS, trap 1)."""
    own = tuple(terms.fields)
    head = (
        "sku", "product-id", "product-id-type", "price", "quantity", "state", "logistic-class",
        "leadtime-to-ship", "update-delete", *own,
    )  # fmt: skip
    return _csv(
        head,
        (
            (
                each.sku,
                each.gtin or "",
                terms.gtin_type,
                str(terms.price_of(each)),
                str(stock(each)),
                terms.states[each.condition],
                each.shipping_group or terms.logistic_class or "",
                str(each.handling_days),
                "update",
                *(terms.fields[name] for name in own),
            )
            for each in offers
        ),
    )


def _csv(head: Sequence[str], lines: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(lines)
    return text.getvalue().encode()


def report(raw: bytes) -> dict[str, str]:
    """SKU -> what was wrong, of an error report (OF03, STO03, PRI03): the rows of our file with two columns more.

    Their names are not published, so a column counts by what its name contains; without any name the second column is the reason, as the
    description says for STO03 and PRI03.
    """
    table = _table(raw)
    if not table:
        return {}
    head = [name.strip().casefold() for name in table[0]]
    sku = next((place for place, name in enumerate(head) if name in _SKU_COLUMNS), None)
    why = next((place for place, name in enumerate(head) if "error" in name and "line" not in name), 1)
    if sku is None:
        return {}
    found: dict[str, str] = {}
    for row in table[1:]:
        if len(row) > max(sku, why):
            found.setdefault(row[sku].strip(), row[why].strip()[:300])
    return found


def _table(raw: bytes) -> list[list[str]]:
    text = raw.decode("utf-8-sig", "replace")
    first = text.partition("\n")[0]
    try:
        return list(csv.reader(io.StringIO(text), delimiter=max(";,\t", key=first.count)))
    except csv.Error:
        return []  # an operator's own format


_SKU_COLUMNS: Final = frozenset({"sku", "offer-sku", "shop-sku", "shop_sku", "offer_sku"})


@dataclass(frozen=True)
class Import:
    """How far an import is (OF02, STO02, PRI02). `pending`: rows whose product the operator does not know yet."""

    status: str
    pending: int = 0
    has_report: bool = False
    why: str = ""

    @property
    def over(self) -> bool:
        """WAITING_SYNCHRONIZATION_PRODUCT can last for days; nothing more comes of asking, so it counts as an answer."""
        return self.status in {"COMPLETE", "FAILED", "WAITING_SYNCHRONIZATION_PRODUCT"}


def import_seen(body: object) -> Import | None:
    """The state of an import; a word that nobody knows counts as not over. None for an empty list (PRI02 of an unknown import)."""
    data = _mapped(body)
    if "data" in data:
        found = rows(data, "data")
        if not found:
            return None
        data = found[0]
    return Import(
        status=_required(data, "status", "import"),
        pending=_count(data.get("lines_in_pending")) or 0,
        has_report=data.get("has_error_report") is True,
        why=_text(data, "reason_status"),
    )


def import_id(body: object) -> str:
    """The id of a new import (OF01, STO01, PRI01)."""
    return _required(_mapped(body), "import_id", "import")


_NO_STOCK: Final = "ZERO_QUANTITY"
# What keeps an offer from being seen although it is there (OF21). Any other word keeps it waiting; all are told as they are.
_INACTIVE: Final = {
    "PRODUCT_STATUS_NEW": m.OfferState.NEEDS_PRODUCT,
    "PRODUCT_STATUS_PENDING": m.OfferState.NEEDS_PRODUCT,
    "PRODUCT_STATUS_INVALID": m.OfferState.NEEDS_PRODUCT,
    "PRODUCT_STATUS_SYNCHRO_ERROR": m.OfferState.NEEDS_PRODUCT,
    "PRODUCT_STATUS_REJECTED": m.OfferState.REFUSED,
    "PRODUCT_STATUS_UNAUTHORIZED_TO_SELL": m.OfferState.REFUSED,
    "PRODUCT_DISABLED": m.OfferState.REFUSED,
    "CATEGORY_UNAUTHORIZED_TO_SELL": m.OfferState.REFUSED,
    "BRAND_UNAUTHORIZED_TO_SELL": m.OfferState.REFUSED,
}


def shown(data: Json, terms: Terms) -> m.OfferShown:
    """An offer of OF21. The price is the one we wrote, without any discount; whether it is off is in its stock (`on` stays open).

    A price without tax is not told: the tax rate of the offer, which would make it one of ours, is not in OF21.
    """
    sku = _required(data, "shop_sku", "offer")
    why = data.get("inactivity_reasons")
    words = [str(each) for each in why] if isinstance(why, list) else []
    active = data.get("active") is True
    pieces = _count(data.get("quantity"))
    price = None if terms.net else _written_price(data)
    group = _text(_mapped(data.get("logistic_class")), "code") or None
    return m.OfferShown(
        sku=sku,
        external_ref=sku,
        price=None if price is None else minor(price, terms.currency, f"offer.{sku}.price"),
        stock=pieces,
        handling_days=_count(data.get("leadtime_to_ship")),
        shipping_group=None if group == terms.logistic_class or not terms.logistic_class else group,
        raw_state="ACTIVE" if active else ", ".join(words) or "INACTIVE",
        state=_offer_state(words, active=active, pieces=pieces),
        reason=_inactive_reason(sku, words, active=active, pieces=pieces),
        gtin=_reference(data, terms.gtin_type),
    )


def _written_price(data: Json) -> object:
    """`price` is what buyers pay now; the price before a discount is among the prices without a channel."""
    for each in objects(data.get("all_prices")):
        if each.get("channel_code") is None and not each.get("context"):
            return each.get("unit_origin_price", data.get("price"))
    return data.get("price")


def _offer_state(words: Sequence[str], *, active: bool, pieces: int | None) -> m.OfferState:
    if pieces == 0 and set(words) <= {_NO_STOCK}:
        return m.OfferState.OFF
    if active:
        return m.OfferState.ON_SALE
    return next((_INACTIVE[word] for word in words if word in _INACTIVE), m.OfferState.WAITING)


def _inactive_reason(sku: str, words: Sequence[str], *, active: bool, pieces: int | None) -> m.Reason | None:
    if active or _offer_state(words, active=active, pieces=pieces) is m.OfferState.OFF:
        return None
    others = [word for word in words if word != _NO_STOCK]
    return m.Reason("mirakl.offer_inactive", {"sku": sku, "reasons": ", ".join(others) or "INACTIVE"})


def _reference(data: Json, gtin_type: str) -> str | None:
    for each in objects(data.get("product_references")):
        if _text(each, "reference_type").casefold() == gtin_type.casefold():
            return _text(each, "reference") or None
    return None


def known_gtins(body: object, gtin_type: str) -> set[str]:
    """The numbers of this kind that the operator has products for (P31)."""
    return {
        _text(each, "product_id").lstrip("0")
        for each in rows(body, "products")
        if _text(each, "product_id_type").casefold() == gtin_type.casefold()
    }


def kept_offer(offer: m.OfferWanted) -> list[Any]:
    """What an import was told about an offer, as JSON, to be held against its result later."""
    return [
        offer.sku,
        offer.gtin,
        offer.price,
        stock(offer),
        offer.handling_days,
        offer.on,
        offer.shipping_group,
    ]


def as_told(row: Sequence[Any]) -> m.OfferShown:
    """The offer of `kept_offer` as it stands after an import that went well."""
    sku, gtin, price, pieces, days, on, group = row
    state = m.OfferState.ON_SALE if pieces else m.OfferState.OFF
    return m.OfferShown(sku, sku, price, pieces, days, on, group, "COMPLETE", state, None, gtin)


# --- products that the operator does not know yet (P41) ------------------------------------------------------------------

# What a merchant's mapping may name beside the fields of the product (messages.ProductData); "=text" is a constant.
CATEGORY_CODE: Final = "category_code"
# Roles of attributes (PM11) that we fill in ourselves where the mapping says nothing. The description shows roles without naming them, so these
# words are unverified, as are the columns that are taken when no attribute has such a role (those of Mirakl's own connector for a shop system).
_OWN_ROLES: Final = {
    "CATEGORY": CATEGORY_CODE,
    "SHOP_SKU": "sku",
    "UNIQUE_IDENTIFIER": "gtin",
    "TITLE": "title",
    "VARIANT_GROUP_CODE": "parent",
}
_OWN_COLUMNS: Final = {CATEGORY_CODE: "category", "sku": "shop_sku"}


@dataclass(frozen=True)
class Attribute:
    """What the operator wants to know of products in a category (PM11). `words`: parameters of its role."""

    code: str
    label: str
    required: bool
    role: str = ""
    words: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What a merchant finds at the operator: the label, and the code that the mapping needs."""
        return self.code if self.label in {"", self.code} else f"{self.label} ({self.code})"


def attributes(body: object, locale: str | None) -> list[list[Any]]:
    """The attributes of PM11 as JSON, to be kept; those that are switched off are left out. `as_attributes` reads them again.

    Raises Invalid when none of them can be read.
    """
    every = rows(body, "attributes")
    found = [each for each in every if _text(each, "code")]
    if every and not found:
        raise Invalid("data.missing", field="attribute.code")
    return [_attribute(each, locale) for each in found if _level(each) != "DISABLED"]


def _attribute(data: Json, locale: str | None) -> list[Any]:
    role = next(iter(objects(data.get("roles"))), {})
    words = [_text(each, "value") for each in objects(role.get("parameters"))]
    return [
        _text(data, "code"),
        _label(data, locale),
        _level(data) == "REQUIRED",
        _text(role, "type").upper(),
        words,
    ]


def _label(data: Json, locale: str | None) -> str:
    """In the merchant's language, where the operator has it. Locales are "it" or "it_IT"."""
    for each in objects(data.get("label_translations")):
        if locale and _text(each, "locale")[:2] == locale[:2]:
            return _text(each, "value")
    return _text(data, "label")


def _level(data: Json) -> str:
    """`required` is the older word for it."""
    return _text(data, "requirement_level").upper() or ("REQUIRED" if data.get("required") is True else "")


def as_attributes(kept: Iterable[Sequence[Any]]) -> list[Attribute]:
    return [
        Attribute(code, label, required, role, tuple(words)) for code, label, required, role, words in kept
    ]


def category_of(offer: m.OfferWanted, categories: Mapping[str, str]) -> str | None:
    """The operator's category for a product: that of its own category, else that of "*"."""
    return offer.product.mapped_category(categories) if offer.product else categories.get("*")


def sheet(
    offer: m.OfferWanted,
    mapping: Mapping[str, str],
    category: str,
    known: Sequence[Attribute],
    gtin_type: str,
) -> dict[str, str] | m.Reason:
    """Column -> value of one product for P41, or what is missing for it, by the names that the operator uses.

    Columns of the mapping that this category does not have are left out, because one mapping serves all categories.
    """
    sources = dict(mapping)
    for role, source in _OWN_ROLES.items():
        column = _column(known, role, gtin_type)
        if column is None and source not in mapping.values():
            column = _OWN_COLUMNS.get(source)
        if column is not None:
            sources.setdefault(column, source)
    told = _told(offer, category)
    picked = {
        column: source[1:].strip() if source.startswith("=") else told.get(source, "").strip()
        for column, source in sources.items()
        if _belongs(column, source, known)
    }
    values = {column: value for column, value in picked.items() if value}
    lacking = [each.name for each in known if each.required and each.code not in values]
    if told["gtin"] not in values.values():
        lacking.append(gtin_type)  # without it nobody would ever find the product again
    if not lacking:
        return values
    params: dict[str, object] = {"sku": offer.sku, "gtin": offer.gtin, "marketplace": NAME}
    return m.Reason("product.data_missing", params | {"fields": ", ".join(dict.fromkeys(lacking))})


def _told(offer: m.OfferWanted, category: str) -> dict[str, str]:
    """Everything that a mapping can name, of one product."""
    product = offer.product or m.ProductData({})
    images = {f"image:{place}": url for place, url in enumerate(product.images, start=1)}
    own = {
        "sku": offer.sku,
        "gtin": offer.gtin or "",
        CATEGORY_CODE: category,
        "parent": product.parent or "",
    }
    return {"title": offer.title, **product.fields, **images, "image": images.get("image:1", ""), **own}


def _column(known: Sequence[Attribute], role: str, gtin_type: str) -> str | None:
    """The attribute with this role. Of several identifiers (EAN, UPC) it is the one that is called like the EAN."""
    found = [each for each in known if each.role == role]
    if len(found) > 1 and role == "UNIQUE_IDENTIFIER":
        name = gtin_type.casefold()
        found = [each for each in found if name in {word.casefold() for word in (each.code, *each.words)}]
    return found[0].code if found else None


def _belongs(column: str, source: str, known: Sequence[Attribute]) -> bool:
    return not known or source in _OWN_ROLES.values() or column in {each.code for each in known}


def mark(offer: m.OfferWanted, values: Mapping[str, str]) -> str:
    """A short mark of what is uploaded of a product: the same data are not uploaded twice."""
    told = json.dumps([offer.sku, offer.gtin, sorted(values.items())])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def product_file(sheets: Sequence[Mapping[str, str]]) -> bytes:
    """P41: the head are the operator's attribute codes; a product of another category leaves a column empty. UTF-8 with semicolons."""
    head = list(dict.fromkeys(column for each in sheets for column in each))
    return _csv(head, ([each.get(column, "") for column in head] for each in sheets))


_PRODUCT_OPEN_FOR: Final = timedelta(hours=1)
_PRODUCT_FAILED: Final = frozenset({"TRANSFORMATION_FAILED", "FAILED", "CANCELLED"})


@dataclass(frozen=True)
class ProductImport:
    """How far an upload of products is (P42). `wrong_lines`: lines that the operator could not even read as products."""

    status: str
    has_report: bool = False
    has_first_report: bool = False
    wrong_lines: int = 0
    why: str = ""
    made_at: datetime | None = None

    @property
    def failed(self) -> bool:
        return self.status in _PRODUCT_FAILED

    @property
    def complete(self) -> bool:
        return self.status == "COMPLETE"

    def is_open(self, now: datetime) -> bool:
        """Whether asking again in a minute is worth it. SENT may last for days, and so may a word that nobody knows: after an hour both are an
        answer, and the hourly look goes on asking.
        """
        if self.failed or self.complete or self.status == "SENT":
            return False
        return self.made_at is not None and now - self.made_at < _PRODUCT_OPEN_FOR


def product_import(body: object) -> ProductImport:
    """P42."""
    data = _mapped(body)
    return ProductImport(
        status=_text(data, "import_status"),
        has_report=data.get("has_error_report") is True,
        has_first_report=data.get("has_transformation_error_report") is True,
        wrong_lines=_count(data.get("transform_lines_in_error")) or 0,
        why=_text(data, "reason_status"),
        made_at=when(data.get("date_created")),
    )


def product_errors(raw: bytes, told: Iterable[Sequence[Any]]) -> dict[str, str]:
    """SKU -> what was wrong, of a report about products (P44, P47), for `told` [SKU, EAN, ...].

    The rows are those of our file with columns more, and operators may have a form of their own (P44). So a row is ours when it holds our EAN
    or, in a column that is called so, our SKU; the reason stands in the column called "errors". Rows with warnings only are no errors.
    """
    table = _table(raw)
    head = [name.strip().casefold() for name in table[0]] if table else []
    why = next((place for place, name in enumerate(head) if _tells_error(name)), None)
    if why is None:
        return {}
    found: dict[str, list[str]] = {}
    known = [(str(row[0]), str(row[1])) for row in told]
    for row in table[1:]:
        message = row[why].strip() if len(row) > why else ""
        if message and (sku := _product_of(row, head, known)) is not None:
            found.setdefault(sku, []).append(message)
    return {sku: "; ".join(messages)[:300] for sku, messages in found.items()}


def _tells_error(name: str) -> bool:
    return "error" in name and not any(word in name for word in ("line", "code", "column"))


def _product_of(row: Sequence[str], head: Sequence[str], known: Iterable[tuple[str, str]]) -> str | None:
    cells = {cell.strip() for cell in row}
    named = {cell.strip() for name, cell in zip(head, row, strict=False) if "sku" in name}
    of_gtin = [sku for sku, gtin in known if gtin in cells]
    both = [sku for sku in of_gtin if sku in cells]
    return next(iter([*both, *of_gtin, *(sku for sku, _ in known if sku in named)]), None)


def product_answer(sku: str, gtin: str | None, verdict: str, said: str) -> m.OfferAnswer:
    """The answer for an offer whose product was uploaded. `verdict`: refused, failed (the whole file), unread (errors that cannot be told
    apart), or in review, which is no failure: the hourly look finds the product when the operator has it.
    """
    told: dict[str, object] = {"sku": sku, "gtin": gtin, "marketplace": NAME}
    state = m.OfferState.NEEDS_PRODUCT
    if verdict == "refused":
        why = m.Reason("product.data_refused", told | {"marketplace_reason": said})
    elif verdict == "failed":
        why = m.Reason("mirakl.product_file_failed", told | {"message": said or None})
    elif verdict == "unread":
        why = m.Reason("mirakl.product_report", told)
    else:
        why = m.Reason("mirakl.product_in_review", told)
        return m.OfferAnswer(sku, True, state, m.OfferShown(sku, None), why)
    return m.OfferAnswer(sku, False, state, None, why)


# --- the shop and its operator --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Platform:
    """What an operator has switched on (PC01), as far as it changes what we do."""

    name: str
    multi_shipment: bool
    acceptance: str
    tax_mode: str
    other_carriers: bool

    def facts(self) -> dict[str, object]:
        return {
            "platform": self.name,
            "multi_shipment": self.multi_shipment,
            "order_acceptance": self.acceptance,
            "order_tax_mode": self.tax_mode,
            "other_carriers": self.other_carriers,
        }


def platform(body: object) -> Platform:
    """PC01; what it does not say counts as switched off."""
    data = _mapped(body)
    features = _mapped(data.get("features"))
    return Platform(
        name=_text(data, "platform_name") or _text(data, "tenant_name"),
        multi_shipment=_mapped(features.get("shipment")).get("multi_shipment") is True,
        acceptance=_text(_mapped(features.get("order_workflows")), "order_acceptance"),
        tax_mode=_text(features, "order_tax_mode") or TAX_INCLUDED,
        other_carriers=features.get("disable_seller_alternative_carrier") is not True,
    )


def shop_facts(body: object) -> dict[str, object]:
    """What a merchant wants to see of A01."""
    data = _mapped(body)
    names = ("shop_name", "shop_id", "shop_state", "currency_iso_code", "closed_from", "closed_to")
    return {name: data[name] for name in names if data.get(name) is not None}


def required_fields(body: object) -> list[str]:
    """The operator's own fields that every offer must have (AF01)."""
    return [
        _text(each, "code")
        for each in rows(body, "additional_fields")
        if _text(each, "entity") == "OFFER" and each.get("required") is True
    ]


def closed_answer(body: object) -> m.Reason | None:
    """A02 answers 200 also when the operator has locked a field: then nothing is updated and `errors` says why (FACTS 4)."""
    data = _mapped(body)
    errors = objects(data.get("errors"))
    if data.get("updated") or not errors:
        return None
    return m.Reason("mirakl.closed_dates_locked", {"message": _text(errors[0], "message")[:200]})
