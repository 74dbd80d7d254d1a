"""eMAG's JSON <-> our messages; pure. Their prices are net with four decimals, ours are gross in minor units; their lines have quantities, ours are
pieces. Every word of theirs is open on input (unknown ones become UNCLEAR and are kept) and strict on output.

What may go wrong: a required field is missing or of another type. Then Invalid names it, and the order it belongs to.
What eMAG offers, and which choices are ours: docs/marketplaces/emag.md.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from app import messages as m
from app.errors import Invalid, Refused, ShopbridgeError, Unauthorised
from app.rules.vat import gross, net_of, percent, rate

Json = Mapping[str, Any]

NAME: Final = "eMAG"


@dataclass(frozen=True)
class Platform:
    """One shop of the group: its API, the currency of its prices (FACTS 1) and the country it sells in."""

    base_url: str
    currency: str
    country: str


PLATFORMS: Final = {
    "ro": Platform("https://marketplace-api.emag.ro/api-3", "RON", "ro"),
    # Bulgaria pays in EUR since 2026-01-01; the document of 2025 still says BGN.
    "bg": Platform("https://marketplace-api.emag.bg/api-3", "EUR", "bg"),
    "hu": Platform("https://marketplace-api.emag.hu/api-3", "HUF", "hu"),
    "fd_ro": Platform("https://marketplace-ro-api.fashiondays.com/api-3", "RON", "ro"),
    "fd_bg": Platform("https://marketplace-bg-api.fashiondays.com/api-3", "EUR", "bg"),
}

CANCELLED, NEW, IN_PROGRESS, PREPARED, FINALIZED, RETURNED = 0, 1, 2, 3, 4, 5
"""Status of an order (FACTS 5)."""
OPEN: Final = frozenset({NEW, IN_PROGRESS, PREPARED})
NOT_LEFT: Final = OPEN | {CANCELLED}  # what is missing in one of these was taken out, it did not come back

PIECE_STATES: Final = {
    CANCELLED: m.PieceState.CANCELLED,
    NEW: m.PieceState.ANNOUNCED,
    IN_PROGRESS: m.PieceState.TO_SHIP,
    PREPARED: m.PieceState.TO_SHIP,
    FINALIZED: m.PieceState.SHIPPED,
    RETURNED: m.PieceState.RETURNED,
}
# 1 incomplete, 2 new, 3 acknowledged, 4 refused, 5 cancelled, 6 received, 7 finalized (FACTS 7).
RETURN_STATES: Final = {
    1: m.ReturnState.ANNOUNCED,
    2: m.ReturnState.ANNOUNCED,
    3: m.ReturnState.ANNOUNCED,
    4: m.ReturnState.REJECTED,
    5: m.ReturnState.CLOSED,
    6: m.ReturnState.ARRIVED,
    7: m.ReturnState.ACCEPTED,
}
# The only way from each status to "finalized", step by step (rma_status_matrix).
RETURN_STEPS: Final = {2: 3, 3: 6, 6: 7}
RETURN_DONE: Final = 7
RETURN_RECEIVED, RETURN_REFUSED = 6, 4
# eMAG wants a number as `reject_reason`, and the list of them is in no public document: it is left as it was (unverified).
REJECTIONS: Final = dict.fromkeys(("damaged", "wrong_item", "missing_item", "too_late", "other"), "")
EXCHANGES: Final = frozenset(
    {1, 2}
)  # return_type: the same or another product instead of the money (FACTS 7)
VOUCHER: Final = 5

CANCEL_REASONS: Final = {
    "buyer_cancelled": "2",  # Cancelled by the client
    "out_of_stock": "1",  # Out of stock
    "address_undeliverable": "25",  # Failed delivery
    "wrong_price": "31",  # The eMAG Marketplace partner requested the order cancellation
    "wrong_data": "31",
    "other": "21",  # Others
}
CARD: Final = 3
PREPAID: Final = frozenset({2, CARD})  # bank transfer and card: COD stays unpaid until eMAG has the cash
SELLER_SHIPS: Final = 3  # type 2 is fulfilled by eMAG and none of our business
MOST_PIECES: Final = 10_000  # of one line; more is a typing mistake, and each piece is a row of ours
WAREHOUSE: Final = 1  # whoever has one warehouse has this one
LARGEST_OFFER_ID: Final = 16_777_215
LARGEST_STOCK: Final = 65_535
LONGEST_PART_NUMBER: Final = 25

_CENT, _NET = Decimal(1), Decimal("0.0001")
_NET_DECIMALS = 4  # FACTS 0.4
_TOO_MUCH = Decimal(10) ** 12  # no amount is, and rounding one of a hundred digits would fail

# Their words for what keeps a saved offer from buyers (examples/offer_validation_status.json). None: it may be sold.
_DOCUMENTATION: Final = {
    0: "Draft",
    1: "In MKTP validation",
    2: "Awaiting brand validation",
    3: None,
    4: "New documentation validation pending",
    5: "Rejected brand",
    6: "Invalid product - EAN rejected",
    8: "Documentation rejected",
    9: None,
    10: "Blocked",
    11: None,
    12: None,
}
_REJECTED: Final = frozenset({5, 6, 8, 10})
_TRANSLATION: Final = _DOCUMENTATION | {
    13: "Waiting for saleable offer",
    14: "Unsuccessful translation",
    15: "Translation in progress",
    16: "Translation pending",
    17: None,
}


# --- envelopes and problems --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """An answer's envelope. `failed` is their isError: true does not always mean that nothing happened (FACTS 0.2)."""

    failed: bool
    messages: tuple[str, ...]
    results: Any

    @property
    def text(self) -> str:
        return "; ".join(self.messages)[:300]


def envelope(body: object) -> Told | None:
    """What an answer says; None when it is none of eMAG's (no isError in it)."""
    if not isinstance(body, Mapping) or not isinstance(body.get("isError"), bool):
        return None
    return Told(body["isError"], tuple(_sentences(body.get("messages"))), body.get("results"))


def said(body: object) -> str:
    """The sentences of an error body, whichever of the two forms it has."""
    if not isinstance(body, Mapping):
        return ""
    inner = [each for error in objects(body.get("errors")) for each in _sentences(error.get("message"))]
    return "; ".join([*_sentences(body.get("messages")), *(inner or _sentences(body.get("message")))])[:300]


def _sentences(value: object) -> list[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        return [each for part in value for each in _sentences(part)]
    return [str(value).strip()] if value not in {None, ""} else []


def refusal(status: int, message: str, operation: str, addresses: Sequence[str] = ()) -> Refused:
    """The error for an answer of 4xx. 403 stops the connection: every call of an address that is not listed gets it (FACTS 0.1).

    `addresses`: where our calls come from, as far as the operator has said it.
    """
    params: dict[str, Any] = {
        "partner": NAME,
        "marketplace": NAME,
        "status": status,
        "message": message or None,
    }
    if status == 401:
        return Unauthorised("credentials.refused", operation=operation, **params)
    if status == 403:
        if addresses:
            params["addresses"] = ", ".join(addresses)
        code = "emag.address_to_list" if addresses else "emag.address_not_listed"
        return Unauthorised(code, operation=operation, **params)
    return Refused("partner.not_found" if status == 404 else "partner.refused", operation=operation, **params)


def told(error: ShopbridgeError) -> m.Reason:
    """An error as the reason beside an offer or a piece."""
    return m.Reason(error.code, dict(error.params))


def deed_refused(code: str, message: str) -> m.Reason:
    return m.Reason(code, {"partner": NAME, "marketplace": NAME, "message": message or None})


def body(value: object) -> bytes:
    """JSON as it is sent. A Decimal becomes a JSON number with exactly its digits, which json.dumps alone cannot write."""
    mark = secrets.token_hex(8)

    def marked(number: object) -> str:
        if isinstance(number, Decimal):
            return f"{mark}{number:f}"
        raise TypeError(f"{type(number).__name__} is no JSON")

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=marked)
    return re.sub(rf'"{mark}(-?[0-9.]+)"', r"\1", text).encode()


# --- reading values ----------------------------------------------------------------------------------------------------


def objects(value: object) -> list[Json]:
    """The objects of a list inside an answer; what is none is left out. eMAG is written in PHP: a list may come as a map."""
    if isinstance(value, Mapping):
        value = list(value.values())
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def rows(results: object) -> list[Json]:
    """The rows of a list answer. Invalid when it is no list of objects."""
    found = objects(results)
    if not isinstance(results, list | Mapping) or len(found) != len(results):
        raise Invalid("data.invalid", field="results")
    return found


def _mapped(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _text(data: Json, name: str) -> str:
    value = data.get(name)
    return str(value).strip() if value is not None and not isinstance(value, Mapping | list) else ""


def _required(data: Json, name: str, where: str) -> str:
    value = _text(data, name)
    if not value:
        raise Invalid("data.missing", field=f"{where}.{name}")
    return value


def number(value: object) -> int | None:
    """A whole number; PHP writes it as 3, "3" or true alike. None for anything else."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    text = str(value).strip() if isinstance(value, str) else ""
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None


def _whole(data: Json, name: str, where: str) -> int:
    value = number(data.get(name))
    if value is None:
        raise Invalid("data.invalid" if name in data else "data.missing", field=f"{where}.{name}")
    return value


def decimal(value: object) -> Decimal | None:
    """An exact amount; None for what is none. Never a float: Answer.json() gives Decimals."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return found if found.is_finite() and abs(found) < _TOO_MUCH else None


def _amount(data: Json, name: str, where: str) -> Decimal:
    value = decimal(data.get(name))
    if value is None:
        raise Invalid("data.invalid" if name in data else "data.missing", field=f"{where}.{name}")
    return value


def when(value: object, zone: tzinfo) -> datetime | None:
    """`YYYY-mm-dd HH:ii:ss` without a zone (FACTS 2) as aware UTC; None for what is no time."""
    try:
        parsed = datetime.fromisoformat(str(value or "").strip())
        return (parsed.replace(tzinfo=zone) if parsed.tzinfo is None else parsed).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def stamp(moment: datetime, zone: tzinfo) -> str:
    """A moment as the filters want it, in the platform's own time."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


# --- money -------------------------------------------------------------------------------------------------------------


def minor(major: Decimal) -> int:
    """Minor units of a gross amount. Invalid when it has parts of a cent."""
    cents = major * 100
    if cents != cents.to_integral_value():
        raise Invalid("data.invalid", field="amount")
    return int(cents)


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in parts by weight that add up exactly; what is left over goes to the first ones, one cent each."""
    whole = sum(weights)
    if not weights or whole <= 0:
        return [0] * len(weights)
    sign = -1 if total < 0 else 1
    parts = [abs(total) * weight // whole for weight in weights]
    for place in range(abs(total) - sum(parts)):
        parts[place % len(parts)] += 1
    return [sign * part for part in parts]


def _voucher(data: Json) -> int:
    """Minor units of one voucher with its VAT, negative. Order and line name the two amounts differently."""
    amounts = [decimal(data.get(name)) for name in ("sale_price", "value")]
    net = next((each for each in amounts if each is not None), Decimal(0))
    taxes = [decimal(data.get(name)) for name in ("sale_price_vat", "vat_value")]
    tax = next((each for each in taxes if each is not None), None)
    if number(data.get("status")) == 0:
        return 0
    if tax is None:
        return gross(net, rate(data.get("vat")) or Decimal(0))
    return int(((net + tax) * 100).quantize(_CENT, ROUND_HALF_UP))


# --- orders ------------------------------------------------------------------------------------------------------------


def piece_id(order_id: object, line_id: object, place: int) -> str:
    return f"{order_id}/{line_id}/{place}"


def parts(piece: str) -> tuple[str, str, int]:
    """(order id, line id, n) of a piece id. Invalid for anything that this module did not make."""
    found = re.fullmatch(r"([0-9]{1,18})/([0-9]{1,18})/([1-9][0-9]{0,5})", piece)
    if found is None:
        raise Invalid("data.invalid", field="piece_id")
    return found[1], found[2], int(found[3])


def hint(query: Mapping[str, str]) -> str | None:
    """The order that an unsigned callback names (FACTS 2); None for anything but digits. A hint to read, never data."""
    named = str(query.get("order_id", ""))
    return named if re.fullmatch(r"[0-9]{1,18}", named, re.ASCII) else None


def status_of(data: Json) -> int | None:
    return number(data.get("status"))


def ours(data: Json) -> bool:
    """Whether this order is complete and shipped by the seller; all others wait or are none of our business (FACTS 5)."""
    return number(data.get("is_complete")) != 0 and number(data.get("type")) in {None, SELLER_SHIPS}


def lines(data: Json) -> list[Json]:
    return objects(data.get("products"))


def quantity(line: Json) -> int:
    """How many are left of a line; 0 where the line was removed."""
    if number(line.get("status")) == 0:
        return 0
    return max(0, number(line.get("quantity")) or 0)


def first_quantity(line: Json) -> int:
    """How many were ordered at first, as far as the line tells: `initial_qty` is in newer answers only."""
    return max(number(line.get("initial_qty")) or 0, number(line.get("quantity")) or 0)


def unpaid(data: Json) -> bool:
    return number(data.get("payment_mode_id")) in PREPAID and number(data.get("payment_status")) == 0


def order(
    data: Json,
    platform: Platform,
    zone: tzinfo,
    first_id: int = 1,
    taken: Mapping[str, Taken] | None = None,
) -> m.OrderSeen:
    """One order. `first_id` is eMAG's id of our offer number 1; `taken`: line id -> what is known of the line's units."""
    order_id = _required(data, "id", "order")
    where = f"order.{order_id}"
    placed = when(data.get("date"), zone) or when(data.get("created"), zone)
    if placed is None:
        raise Invalid("data.missing", field=f"{where}.date")
    status = _whole(data, "status", where)
    if not lines(data) and status not in {CANCELLED, RETURNED}:
        raise Invalid("data.missing", field=f"{where}.products")
    return m.OrderSeen(
        external_id=order_id,
        placed_at=placed,
        currency=_currency(data, platform),
        pieces=tuple(_pieces(data, where, zone, first_id, taken or {})),
        billing=_address(data, "billing"),
        shipping=_address(data, "shipping"),
        country=platform.country,
        number=order_id,
        awaits_acceptance=status == NEW and ours(data),
    )


def _currency(data: Json, platform: Platform) -> str:
    named = [
        word for line in lines(data) if re.fullmatch(r"[A-Z]{3}", word := _text(line, "currency").upper())
    ]
    return named[0] if named else platform.currency


def _pieces(
    data: Json, where: str, zone: tzinfo, first_id: int, taken: Mapping[str, Taken]
) -> Iterable[m.PieceSeen]:
    """One piece for each unit that is left; of a line that is gone, all. Which units of a part are gone only the client knows (`taken`): as long
    as the order has not left they are shown as cancelled, with those of a line that is not there any more.
    """
    prices = unit_prices(data, where)
    shipping = shipping_price(data)
    for line in lines(data):
        each = _line_piece(data, line, where, zone, first_id)
        left = quantity(line)
        out: Sequence[int] = ()
        places: Sequence[int] = range(1, (left or first_quantity(line)) + 1)
        if known := taken.get(each.group):
            places, out = _units(data, known, left)
        for at, place in enumerate(places):
            line_prices = prices[each.group]
            price = line_prices[at] if at < len(line_prices) else each.unit_price
            yield replace(
                each,
                external_id=piece_id(data["id"], each.group, place),
                group=f"{each.group}|{price}",
                unit_price=price,
                shipping_price=shipping,
                state=each.state if left else gone(data),
            )
            shipping = 0
        for place in out:
            yield replace(
                each,
                external_id=piece_id(data["id"], each.group, place),
                group=f"{each.group}|{each.unit_price}",
                state=gone(data),
            )
    for line_id, known in taken.items():
        if status_of(data) in NOT_LEFT and line_of(data, line_id) is None:
            for place in range(1, known.of + 1):
                yield _not_shown(data, piece_id(data["id"], line_id, place))


def _units(data: Json, known: Taken, left: int) -> tuple[Sequence[int], Sequence[int]]:
    """The units of a line that are there (where none is left, those that came back), and those that are shown as taken out beside them."""
    not_left = status_of(data) in NOT_LEFT
    away = known.gone(left) if left or not_left else [*known.out[: known.shown]]
    return [place for place in range(1, known.of + 1) if place not in away], sorted(away) if not_left else ()


def _not_shown(data: Json, wanted: str) -> m.PieceSeen:
    """A piece of a line that the order does not show any more."""
    line_id = parts(wanted)[1]
    return m.PieceSeen(wanted, line_id, None, None, line_id, 0, 0, gone(data), _text(data, "status"))


def _line_piece(data: Json, line: Json, where: str, zone: tzinfo, first_id: int) -> m.PieceSeen:
    """What all units of a line share; external_id, group and prices are filled in by `_pieces`."""
    line_id = _required(line, "id", f"{where}.product")
    inside = f"{where}.product.{line_id}"
    fraction = rate(line.get("vat"))
    if fraction is None:
        raise Invalid("data.missing", field=f"{inside}.vat")
    if number(line.get("quantity")) is None:
        raise Invalid("data.missing", field=f"{inside}.quantity")
    sku = _text(line, "ext_part_number") or _text(line, "part_number") or None
    offer = number(line.get("product_id"))
    return m.PieceSeen(
        external_id="",
        group=line_id,
        sku=sku,
        gtin=None,
        title=_text(line, "name") or _text(line, "product_name") or sku or line_id,
        unit_price=gross(_amount(line, "sale_price", inside), fraction),
        shipping_price=0,
        state=state(data),
        raw_state=_raw_state(data, line),
        vat_percent=percent(fraction),
        ship_by=when(data.get("maximum_date_for_shipment"), zone),
        updated_at=when(line.get("modified"), zone) or when(data.get("modified"), zone),
        reason=_cancellation(data),
        offer_number=offer - first_id + 1 if offer is not None and offer >= first_id else None,
    )


def _raw_state(data: Json, line: Json) -> str:
    raw = _text(data, "status")
    return f"{raw} (line {_text(line, 'status')})" if number(line.get("status")) == 0 else raw


def _cancellation(data: Json) -> str | None:
    why = data.get("reason_cancellation")
    if isinstance(why, Mapping):
        return _text(why, "name") or _text(why, "id") or None
    return str(why) if why and not isinstance(why, list) and status_of(data) == CANCELLED else None


def state(data: Json) -> m.PieceState:
    """The state of what is left of an order. Nobody may ship without an address, or what was to be paid before and is not."""
    status = status_of(data)
    found = m.PieceState.UNCLEAR if status is None else PIECE_STATES.get(status, m.PieceState.UNCLEAR)
    if found is m.PieceState.TO_SHIP and (unpaid(data) or _address(data, "shipping") is None):
        return m.PieceState.ANNOUNCED
    return found


def gone(data: Json) -> m.PieceState:
    """The state of what is no longer in an order: taken out before it left, sent back after that."""
    return m.PieceState.RETURNED if status_of(data) in {FINALIZED, RETURNED} else m.PieceState.CANCELLED


def unit_prices(data: Json, where: str = "order") -> dict[str, list[int]]:
    """Line id -> minor units of each unit, with VAT and less its share of the vouchers, which are negative (FACTS 5).

    Vouchers that name a line fall on that line; what the order names beyond them falls on all lines by their value.
    """
    found: dict[str, list[int]] = {}
    less: dict[str, int] = {}
    for line in lines(data):
        line_id = _required(line, "id", f"{where}.product")
        inside = f"{where}.product.{line_id}"
        if first_quantity(line) > MOST_PIECES:
            raise Invalid("data.invalid", field=f"{inside}.quantity")
        price = gross(_amount(line, "sale_price", inside), rate(line.get("vat")) or Decimal(0))
        found[line_id] = [price] * quantity(line)
        less[line_id] = sum(_voucher(each) for each in objects(line.get("product_voucher_split")))
    rest = _order_voucher(data, sum(less.values()))
    for line_id, share in zip(found, shares(rest, [sum(each) for each in found.values()]), strict=True):
        off = max(less[line_id] + share, -sum(found[line_id]))
        cut = shares(off, found[line_id])
        found[line_id] = [price + part for price, part in zip(found[line_id], cut, strict=True)]
    return found


def _order_voucher(data: Json, split: int) -> int:
    """Minor units of vouchers that no line and no shipping names; never positive."""
    whole = sum(_voucher(each) for each in objects(data.get("vouchers")))
    split += sum(_voucher(each) for each in objects(data.get("shipping_tax_voucher_split")))
    return min(0, whole - split)


def shipping_price(data: Json) -> int:
    """What the buyer pays for shipping, minor units; it lies on the first piece of the order. `shipping_tax` has its VAT in it (unverified)."""
    paid = decimal(data.get("shipping_tax")) or Decimal(0)
    cents = int((paid * 100).quantize(_CENT, ROUND_HALF_UP))
    return max(0, cents + sum(_voucher(each) for each in objects(data.get("shipping_tax_voucher_split"))))


def total(data: Json) -> int:
    """What the buyer pays in all, minor units."""
    return sum(sum(each) for each in unit_prices(data).values()) + shipping_price(data)


def _address(data: Json, kind: str) -> m.Address | None:
    """The address of this kind, None while there is none. Lockers stand beside it (FACTS 5)."""
    buyer = _mapped(data.get("customer"))
    street, city = _text(buyer, f"{kind}_street"), _text(buyer, f"{kind}_city")
    if not street or not city:
        return None
    who = _text(buyer, f"{kind}_contact") or _text(buyer, f"{kind}_name") or _text(buyer, "name")
    first, _, last = who.rpartition(" ")
    details = _mapped(data.get("details"))
    known = {
        "locker_id": _text(details, "locker_id") if kind == "shipping" else "",
        "locker_name": _text(details, "locker_name") if kind == "shipping" else "",
        "vat_id": _text(buyer, "code") if number(buyer.get("legal_entity")) == 1 else "",
    }
    return m.Address(
        first_name=first,
        last_name=last,
        company=_text(buyer, "company") if number(buyer.get("legal_entity")) == 1 else "",
        address_1=street,
        address_2=known["locker_name"],
        postcode=_text(buyer, f"{kind}_postal_code"),
        city=city,
        state=_text(buyer, f"{kind}_suburb"),
        country=_text(buyer, f"{kind}_country").upper(),
        phone=_text(buyer, f"{kind}_phone") or _text(buyer, "phone_1"),
        email=_text(buyer, "email"),
        extra={name: value for name, value in known.items() if value},
    )


# --- which pieces of a line are gone -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Taken:
    """What is known of the units of a line: of `of` pieces the ones in `out` go first, in this order. eMAG counts, it does not know which.

    The first `shown` of them were shown as gone by a look, so they never come back; the others we asked to take out.
    """

    of: int
    out: tuple[int, ...] = ()
    shown: int = 0

    def gone(self, left: int) -> list[int]:
        """The pieces that are gone while `left` are there: ours first, as asked; what others took is the highest that remain."""
        count = max(0, self.of - left)
        others = [place for place in range(self.of, 0, -1) if place not in self.out]
        return [*self.out, *others][:count]

    def after(self, left: int) -> Taken:
        """The same after a look that found `left`. Where there are more again than could be, the surplus is new pieces (C6)."""
        now = replace(self, of=max(self.of, left + self.shown))
        away = now.gone(left)
        asked = [place for place in self.out if place not in away]
        return Taken(now.of, (*away, *asked), len(away))

    def surprises(self, before: Taken) -> bool:
        """Whether a look found more than `before` allows, or something gone that nobody here asked for."""
        return self.of > before.of or not {*self.out[: self.shown]} <= {*before.out}


def after_look(data: Json, known: Mapping[str, Taken]) -> dict[str, Taken]:
    """Line id -> what is known of its units after this look at an order that has not left, also of lines that it does not show any more."""
    found = {_text(line, "id"): line for line in lines(data)}
    if strange := [each for each, line in found.items() if first_quantity(line) > MOST_PIECES]:
        raise Invalid("data.invalid", field=f"order.{_text(data, 'id')}.product.{strange[0]}.quantity")
    left = {each: quantity(line) for each, line in found.items()}
    new = {each: Taken(left[each] or first_quantity(line)) for each, line in found.items()}
    return {each: was.after(left.get(each, 0)) for each, was in (new | dict(known)).items()}


def line_of(data: Json, line_id: str) -> Json | None:
    return next((line for line in lines(data) if _text(line, "id") == line_id), None)


def piece(data: Json, wanted: str, seen: m.OrderSeen, taken: Taken | None) -> m.PieceSeen:
    """One piece as the order shows it now, also one that the order does not show any more."""
    _, line_id, place = parts(wanted)
    line = line_of(data, line_id)
    left = quantity(line) if line is not None else 0
    missing = place in taken.gone(left) or place > taken.of if taken else place > left
    shown = [each for each in seen.pieces if each.external_id.split("/")[1] == line_id]
    if not shown:
        return _not_shown(data, wanted)
    like = next((each for each in shown if each.external_id == wanted), replace(shown[-1], shipping_price=0))
    if taken and place in taken.out[: taken.shown]:
        return replace(like, external_id=wanted, state=m.PieceState.CANCELLED)
    if left and (status_of(data) in {CANCELLED, FINALIZED, RETURNED} or not missing):
        # Which unit of a finalized line went back is not told, so none of them is called returned before all are.
        return replace(like, external_id=wanted, state=state(data))
    return replace(like, external_id=wanted, state=gone(data))


# --- order/save: everything that was read goes back (FACTS 0.8) ----------------------------------------------------------


def saved(data: Json, **change: object) -> list[Json]:
    """The whole order with these fields changed, as the list that order/save takes."""
    return [{**data, **change}]


def cancel_reason(our_reason: str) -> int:
    """Refused for a reason that is none of ours: eMAG counts cancellations by reason."""
    if our_reason not in CANCEL_REASONS:
        raise Refused("cancel.reason_unknown", reason=our_reason)
    return int(CANCEL_REASONS[our_reason])


def reduced(data: Json, left: Mapping[str, int], **change: object) -> list[Json]:
    """The order with these quantities by line id; a line without any left is switched off, or stays with 0 in a storno."""
    changed = []
    for line in lines(data):
        wanted = left.get(_text(line, "id"))
        if wanted is None:
            changed.append(line)
        elif wanted == 0 and not change.get("is_storno"):
            changed.append({**line, "status": 0})
        else:
            changed.append({**line, "quantity": wanted})
    return saved(data, products=changed, **change)


def refunded(data: Json, line: Json) -> int:
    """Minor units of a line that went back, with VAT and before vouchers; counted from an unknown start where `initial_qty` is missing.

    A returned order has nothing left, and its shipping went back with it.
    """
    whole = status_of(data) in {CANCELLED, RETURNED}
    price = gross(_amount(line, "sale_price", "product"), rate(line.get("vat")) or Decimal(0))
    back = ((number(line.get("initial_qty")) or 0) - (0 if whole else quantity(line))) * price
    return back + (shipping_price(data) if whole else 0)


# --- parcels -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sender:
    """Where the courier fetches parcels, as the merchant filled it in."""

    name: str
    contact: str
    phone: str
    street: str
    locality_id: int
    postcode: str = ""


def parcel_body(data: Json, sender: Sender, account: int | None, weight: Decimal | None) -> dict[str, object]:
    """An AWB for one parcel of this order (FACTS 6). Refused naming what the order does not tell."""
    wanted: dict[str, object] = {
        "order_id": _whole(data, "id", "order"),
        "sender": {
            "name": sender.name,
            "contact": sender.contact,
            "phone1": _phone(sender.phone),
            "legal_entity": 1,
            "locality_id": sender.locality_id,
            "street": sender.street,
            "zipcode": sender.postcode,
        },
        "receiver": _receiver(data),
        "is_oversize": 0,
        "insured_value": 0,
        "envelope_number": 0,
        "parcel_number": 1,
        # The courier collects what is not paid yet; everything else is 0.
        "cod": Decimal(total(data)) / 100 if number(data.get("payment_mode_id")) == 1 else 0,
    }
    if locker := _text(_mapped(data.get("details")), "locker_id"):
        wanted["locker_id"] = locker
    if account is not None:
        wanted["courier_account_id"] = account
    if weight is not None:
        wanted["weight"] = weight
    return wanted


def _receiver(data: Json) -> dict[str, object]:
    buyer = _mapped(data.get("customer"))
    company = _text(buyer, "company") if number(buyer.get("legal_entity")) == 1 else ""
    contact = _text(buyer, "shipping_contact") or _text(buyer, "name")
    receiver: dict[str, object] = {
        "name": company or contact,
        "contact": contact,
        "phone1": _phone(_text(buyer, "shipping_phone") or _text(buyer, "phone_1")),
        "legal_entity": number(buyer.get("legal_entity")) or 0,
        "locality_id": number(buyer.get("shipping_locality_id")),
        "street": _text(buyer, "shipping_street"),
        "zipcode": _text(buyer, "shipping_postal_code"),
    }
    for name in ("name", "contact", "phone1", "locality_id", "street"):
        if not receiver[name]:
            raise Refused("emag.parcel_data_missing", marketplace=NAME, field=name)
    return receiver


def _phone(text: str) -> str:
    """Digits only, with a plus in front where it was: what eMAG's couriers take."""
    return re.sub(r"(?!^\+)[^0-9]", "", text)


def courier_account(data: Json, ours_is: int | None) -> int | None:
    """The courier account for this order. Refused when eMAG lets none issue its parcel (enforced_vendor_courier_accounts)."""
    enforced = data.get("enforced_vendor_courier_accounts")
    if enforced is None:
        return ours_is
    allowed = (
        [each for each in map(number, enforced) if each is not None] if isinstance(enforced, list) else []
    )
    if not allowed:
        raise Refused("emag.parcel_not_allowed", marketplace=NAME)
    return ours_is if ours_is in allowed else allowed[0]


def tracking_number(results: object, order_id: str) -> str | None:
    """The number of the first parcel of this order that awb/read shows; None while there is none. A parcel of another order is never taken."""
    found = objects([results] if isinstance(results, Mapping) and "awb" in results else results)
    mine = [each for each in found if _text(each, "order_id") in {"", order_id}]
    numbers = [_text(awb, "awb_number") for each in mine for awb in objects(each.get("awb"))]
    return next((each for each in numbers if each), None)


# --- returns -----------------------------------------------------------------------------------------------------------


def rma_units(rma: Json) -> Iterable[tuple[str, int, int]]:
    """(line id, offer id, n) of each unit in a return."""
    for line in objects(rma.get("products")):
        for place in range(1, min(MOST_PIECES, max(1, number(line.get("quantity")) or 1)) + 1):
            yield _required(line, "id", "rma.product"), number(line.get("product_id")) or 0, place


def rma_id(rma: Json) -> str:
    return _required(rma, "emag_id", "rma")


def rma_order(rma: Json) -> str:
    """The order of a return; Invalid when it names none that could be one."""
    order_id = _required(rma, "order_id", f"rma.{rma_id(rma)}")
    if number(order_id) is None:
        raise Invalid("data.invalid", field=f"rma.{rma_id(rma)}.order_id")
    return order_id


def pays_back(rma: Json) -> bool:
    """Whether the buyer gets his money when this return is finalized: not for an exchange or a voucher (FACTS 7)."""
    return number(rma.get("return_type")) not in EXCHANGES | {VOUCHER}


def _return_state(rma: Json, status: int) -> m.ReturnState:
    """A finalized exchange is over and moved no money. What a voucher costs the seller is not documented, so a person must look."""
    if status == RETURN_DONE and not pays_back(rma):
        return m.ReturnState.UNCLEAR if number(rma.get("return_type")) == VOUCHER else m.ReturnState.CLOSED
    return RETURN_STATES.get(status, m.ReturnState.UNCLEAR)


def return_seen(rma: Json, places: Mapping[str, str]) -> m.ReturnSeen:
    """A return; `places` says which piece of the order each of its units is. Units of orders that nobody knows are left out."""
    raw = _required(rma, "request_status", f"rma.{rma_id(rma)}")
    pieces = []
    for line_id, _, place in rma_units(rma):
        external = piece_id(rma_id(rma), line_id, place)
        if external in places:
            pieces.append(
                m.ReturnPieceSeen(
                    external_id=external,
                    piece_external_id=places[external],
                    state=_return_state(rma, number(raw) or 0),
                    raw_state=raw,
                    reason=_return_reason(rma, line_id),
                    note=_text(rma, "observations") or None,
                )
            )
    return m.ReturnSeen(external_id=rma_id(rma), pieces=tuple(pieces))


def _return_reason(rma: Json, line_id: str) -> str | None:
    of_line = [
        _text(each, "return_reason") for each in objects(rma.get("products")) if _text(each, "id") == line_id
    ]
    return next((each for each in of_line if each), None) or _text(rma, "return_reason") or None


def return_places(
    order_data: Json, returns: Sequence[Json], taken: Mapping[str, Taken] | None = None
) -> dict[str, str]:
    """Piece of a return -> piece of the order, for all returns of one order: the first return of a line has the first pieces that are still
    there, the next one the next. A cancelled return keeps its place, so that no piece ever changes; whoever returns more than was sold begins
    anew. `taken`: line id -> what we took out of the line.
    """
    found: dict[str, str] = {}
    used: dict[str, int] = {}
    unique = {rma_id(each): each for each in returns}
    for rma in sorted(unique.values(), key=lambda each: number(each.get("emag_id")) or 0):
        for line_id, offer_id, place in rma_units(rma):
            line = next(
                (each for each in lines(order_data) if number(each.get("product_id")) == offer_id), None
            )
            if line is None:
                continue
            sold = _text(line, "id")
            here = _still_there(line, (taken or {}).get(sold))
            at = here[used.get(sold, 0) % len(here)]
            used[sold] = used.get(sold, 0) + 1
            found[piece_id(rma_id(rma), line_id, place)] = piece_id(order_data["id"], sold, at)
    return found


def _still_there(line: Json, taken: Taken | None) -> list[int]:
    """The units of a line that can come back; never empty."""
    of = taken.of if taken else max(1, first_quantity(line))
    gone = taken.gone(quantity(line)) if taken else []
    return [place for place in range(1, of + 1) if place not in gone] or [*range(1, of + 1)]


# --- offers ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Terms:
    """What the merchant set and the platform offers, as far as offers need it.

    `vat`: percent as text -> vat_id. `handling`: allowed days, ascending. `spans`: percent below and above the price. `rates`: the shop's percent
    -> eMAG's. `follow`: the bounds move with the price.
    """

    currency: str
    vat: Mapping[str, int]
    handling: Sequence[int]
    spans: tuple[int, int] = (50, 100)
    rates: Mapping[str, str] | None = None
    default_rate: str | None = None
    follow: bool = True
    first_id: int = 1
    categories: Mapping[str, int] | None = None
    characteristics: Mapping[str, str] | None = None
    language: str | None = None

    def rate_of(self, offer: m.OfferWanted) -> str | None:
        """The VAT rate of an offer at eMAG, percent as text: the shop's, replaced where the merchant says so."""
        own = rate(offer.vat_percent)
        told_rate = percent(own) if own is not None else None
        mapped = {
            percent(key): value
            for each, value in (self.rates or {}).items()
            if (key := rate(each)) is not None
        }
        wanted = rate(mapped.get(told_rate, told_rate) if told_rate is not None else self.default_rate)
        return percent(wanted) if wanted is not None else None

    def offer_id(self, offer: m.OfferWanted) -> int:
        return self.first_id - 1 + (offer.number or 0)


def vat_ids(results: object) -> dict[str, int]:
    """Percent as text -> vat_id, of vat/read. The names of its fields are not in the document at hand, so several are taken."""
    found: dict[str, int] = {}
    for row in rows(results):
        key = next((n for name in ("vat_id", "id") if (n := number(row.get(name))) is not None), None)
        value = next(
            (r for name in ("vat_rate", "rate", "value", "vat") if (r := rate(row.get(name))) is not None),
            None,
        )
        if key is not None and value is not None:
            found[percent(value)] = key
    return found


def handling_days(results: object) -> list[int]:
    """The days that handling_time/read allows, ascending."""
    values = (
        results.values() if isinstance(results, Mapping) else results if isinstance(results, list) else []
    )
    days = set()
    for each in values:
        row = each if isinstance(each, Mapping) else {"value": each}
        day = next(
            (n for name in ("value", "handling_time", "id") if (n := number(row.get(name))) is not None), None
        )
        if day is not None:
            days.add(day)
    return sorted(days)


def next_handling(days: int, allowed: Sequence[int]) -> int | None:
    """The allowed preparation time that keeps the promise: the same days or the next more; None when none is long enough."""
    return next((each for each in allowed if each >= days), None)


def certain_handling(days: int | None, allowed: Sequence[int]) -> int | None:
    """What was wanted when these days are shown; None where a gap below leaves several answers."""
    if days is None or days == 0 or days - 1 in allowed or not allowed:
        return days
    return None


def objection(offer: m.OfferWanted, terms: Terms) -> m.Reason | None:
    """Why eMAG would refuse this offer anyway: told before a call is spent."""
    if offer.price < 1:
        return m.Reason("offer.price_missing", {"sku": offer.sku})
    if offer.currency != terms.currency:
        return m.Reason(
            "offer.currency", {"sku": offer.sku, "currency": offer.currency, "expected": terms.currency}
        )
    if offer.number is None or not 1 <= terms.offer_id(offer) <= LARGEST_OFFER_ID:
        return m.Reason(
            "emag.number_range", {"sku": offer.sku, "number": terms.offer_id(offer), "most": LARGEST_OFFER_ID}
        )
    wanted = terms.rate_of(offer)
    if wanted not in terms.vat:
        known = ", ".join(sorted(terms.vat, key=Decimal))
        return m.Reason(
            "emag.vat_unknown", {"sku": offer.sku, "marketplace": NAME, "percent": wanted, "available": known}
        )
    if next_handling(offer.handling_days, terms.handling) is None:
        most = max(terms.handling, default=0)
        return m.Reason("offer.handling_days", {"sku": offer.sku, "days": offer.handling_days, "most": most})
    return None


def stock_of(offer: m.OfferWanted) -> int:
    return min(max(offer.stock, 0), LARGEST_STOCK) if offer.on else 0


def _stock(offer: m.OfferWanted) -> list[Json]:
    return [{"warehouse_id": WAREHOUSE, "value": stock_of(offer)}]


def _handling(offer: m.OfferWanted, terms: Terms) -> list[Json]:
    return [{"warehouse_id": WAREHOUSE, "value": next_handling(offer.handling_days, terms.handling)}]


def _price(offer: m.OfferWanted, terms: Terms, *, bounds: bool) -> dict[str, object]:
    """sale_price and, where asked for, the bounds it must lie within (FACTS 0.4)."""
    fraction = rate(terms.rate_of(offer)) or Decimal(0)
    net = net_of(offer.price, fraction, _NET_DECIMALS)
    told_price: dict[str, object] = {"sale_price": net}
    if bounds:
        below, above = terms.spans
        told_price["min_sale_price"] = (net * (100 - below) / 100).quantize(_NET, ROUND_HALF_UP)
        told_price["max_sale_price"] = (net * (100 + above) / 100).quantize(_NET, ROUND_HALF_UP)
    return told_price


def changes(offer: m.OfferWanted, terms: Terms) -> dict[str, object]:
    """The body of offer/save: what differs from what eMAG has confirmed, everything when nothing is known."""
    was = offer.was or m.OfferShown(offer.sku, None)
    change: dict[str, object] = {}
    if was.price != offer.price:
        change |= _price(offer, terms, bounds=terms.follow) | {
            "vat_id": terms.vat[terms.rate_of(offer) or ""]
        }
    if was.stock != stock_of(offer):
        change["stock"] = _stock(offer)
    if was.handling_days != offer.handling_days:
        change["handling_time"] = _handling(offer, terms)
    if was.on != offer.on:
        change["status"] = int(offer.on)
    return {"id": terms.offer_id(offer), **change}


def only_stock(change: Json) -> bool:
    return set(change) == {"id", "stock"}


def part_number(sku: str) -> str:
    """What eMAG makes of our SKU: blanks, commas and semicolons are stripped (FACTS 4.1)."""
    return re.sub(r"[\s,;]", "", sku)


def attach_body(offer: m.OfferWanted, terms: Terms, key: str | None) -> dict[str, object]:
    """A first offer of a product that eMAG has: by its EAN, or by its key where several products share the EAN."""
    named: dict[str, object] = (
        {"part_number_key": key} if key else {"name": offer.title[:255], "ean": [offer.gtin or ""]}
    )
    if len(part_number(offer.sku)) <= LONGEST_PART_NUMBER:
        named["part_number"] = part_number(offer.sku)
    return {"id": terms.offer_id(offer), **named, **_first_terms(offer, terms)}


def _first_terms(offer: m.OfferWanted, terms: Terms) -> dict[str, object]:
    return {
        "status": int(offer.on),
        **_price(offer, terms, bounds=True),
        "vat_id": terms.vat[terms.rate_of(offer) or ""],
        "stock": _stock(offer),
        "handling_time": _handling(offer, terms),
    }


def product_body(offer: m.OfferWanted, terms: Terms) -> dict[str, object] | m.Reason:
    """A product that eMAG does not know, with its first offer; or the reason that names what is missing (FACTS 4.1)."""
    data = offer.product
    known: Mapping[str, str] = data.fields if data is not None else {}
    categories = terms.categories or {}
    category = data.mapped_category(categories) if data is not None else None
    if data is None or not categories:
        return m.Reason("product.unknown_gtin", {"gtin": offer.gtin})
    characteristics = [
        {"id": int(target), "value": known[source].replace("|", ", ")}
        for target, source in (terms.characteristics or {}).items()
        if known.get(source)
    ]
    if missing := _missing(offer, data, category, terms):
        return m.Reason("product.data_missing", {"gtin": offer.gtin, "fields": ", ".join(missing)})
    images = [{"display_type": int(place == 0), "url": url} for place, url in enumerate(data.images)]
    documentation: dict[str, object] = {
        "category_id": category,
        "name": known["title"][:255],
        "part_number": part_number(offer.sku),
        "brand": known["brand"],
        "ean": [offer.gtin or ""],
        "images": images,
    }
    if known.get("description"):
        documentation["description"] = known["description"]
    if characteristics:
        documentation["characteristics"] = characteristics
    if terms.language:
        documentation["source_language"] = terms.language
    return {"id": terms.offer_id(offer), **documentation, **_first_terms(offer, terms)}


def _missing(offer: m.OfferWanted, data: m.ProductData, category: int | None, terms: Terms) -> list[str]:
    """What eMAG wants of a new product and the shop does not tell."""
    missing = [name for name in ("title", "brand") if not data.fields.get(name)]
    missing += ["category"] if category is None else []
    missing += [] if data.images else ["images"]
    missing += [name for name in (terms.characteristics or {}).values() if not data.fields.get(name)]
    if not 1 <= len(part_number(offer.sku)) <= LONGEST_PART_NUMBER:
        missing.append(f"sku (1-{LONGEST_PART_NUMBER})")
    return list(dict.fromkeys(missing))


@dataclass(frozen=True)
class Found:
    """What eMAG knows of an EAN. `key` only where several products share it."""

    known: bool = False
    allowed: bool = False
    offered: bool = False
    key: str | None = None


def found_products(results: object) -> dict[str, Found]:
    """EAN -> what find_by_eans says. The document spells one field in two ways; both are taken (FACTS 4.1)."""
    answer: dict[str, Found] = {}
    for ean, entry in _mapped(results).items():
        products = objects(_mapped(entry).get("products"))
        free = [each for each in products if _allowed(each)]
        chosen = next(iter(free or products), None)
        answer[str(ean)] = Found(
            known=bool(products),
            allowed=bool(free),
            offered=any(each.get("vendor_has_offer") is True for each in products),
            key=_text(chosen, "part_number_key") if chosen is not None and len(products) > 1 else None,
        )
    return answer


def _allowed(product: Json) -> bool:
    return product.get("allowed_to_add_offer", product.get("allow_to_add_offer", True)) is True


def ean(gtin: str) -> str:
    """A GTIN as eMAG lists it: without the leading zero that makes twelve digits thirteen it would not be found."""
    return gtin.strip().zfill(13) if len(gtin.strip()) in {12, 13} else gtin.strip()


def save_results(answer: Told) -> dict[int, tuple[bool, str]]:
    """Offer id -> (failed, message) of a save. The whole may be called a success although single offers failed (FACTS 0.2)."""
    found: dict[int, tuple[bool, str]] = {}
    for key, entry in _mapped(answer.results).items():
        if (offer_id := number(key)) is not None and isinstance(entry, Mapping):
            found[offer_id] = entry.get("isError") is True, "; ".join(_sentences(entry.get("messages")))[:300]
    return found


def about(messages: Sequence[str], offer_id: int) -> str:
    """The sentences that name this offer; all of them where none does."""
    own = [each for each in messages if re.search(rf"(?<![0-9]){offer_id}(?![0-9])", each)]
    return "; ".join(own or messages)[:300]


def offer_reason(message: str, sku: str) -> tuple[m.Reason, bool]:
    """Why an offer was not taken, and whether that ends by itself (FACTS 4.2: "stock in site" campaigns refuse changes)."""
    params: dict[str, object] = {"sku": sku, "marketplace": NAME, "message": message or None}
    text = message.lower()
    if "campaign" in text:
        return m.Reason("emag.campaign", params), True
    if (
        "min_sale_price" in text
        or "max_sale_price" in text
        or "minimum sale price" in text
        or "maximum sale price" in text
    ):
        return m.Reason("emag.price_bounds", params), False
    return m.Reason("offer.refused", params), False


def vanished(message: str) -> bool:
    """Whether a refusal says that the offer is not there (any more)."""
    text = message.lower()
    return "does not exist" in text or "doesn't exist" in text or "not found" in text


def _value(data: Json, name: str) -> int | None:
    """A validation status comes as a number, as an object with `value`, or as a list of such objects."""
    found = data.get(name)
    if isinstance(found, list):
        found = found[0] if found else None
    return number(found.get("value") if isinstance(found, Mapping) else found)


def _in_warehouse(value: object) -> int | None:
    """The value of warehouse 1; of the first one where it is not named."""
    listed = objects(value)
    named = [each for each in listed if number(each.get("warehouse_id")) == WAREHOUSE]
    return number((named or listed)[0].get("value")) if listed else number(value)


def shown(data: Json, terms: Terms) -> m.OfferShown:
    """An offer as product_offer/read shows it."""
    offer_id = _whole(data, "id", "offer")
    vat = {key: value for value, key in terms.vat.items()}.get(number(data.get("vat_id")) or -1)
    net, fraction = decimal(data.get("sale_price")), rate(vat)
    stock = _in_warehouse(data.get("stock"))
    stock = number(data.get("general_stock")) if stock is None else stock
    status = _value(data, "status")
    raw = "/".join(
        "-" if value is None else str(value)
        for value in (
            status,
            _value(data, "offer_validation_status"),
            _value(data, "validation_status"),
            _value(data, "translation_validation_status"),
        )
    )
    found, why = offer_state(raw, stock)
    return m.OfferShown(
        sku=_text(data, "part_number"),
        external_ref=str(offer_id),
        price=gross(net, fraction) if net is not None and fraction is not None else None,
        stock=stock if status in {1, None} else 0,
        handling_days=certain_handling(_in_warehouse(data.get("handling_time")), terms.handling),
        on=None if status is None else status == 1,
        raw_state=raw,
        state=found,
        reason=why,
        gtin=_first_ean(data),
    )


def _first_ean(data: Json) -> str | None:
    listed = data.get("ean")
    codes = [str(each).strip() for each in listed] if isinstance(listed, list) else [_text(data, "ean")]
    return next((each for each in codes if each.isdigit()), None)


def offer_state(raw: str, stock: int | None) -> tuple[m.OfferState, m.Reason | None]:
    """What a merchant reads beside an offer, from `status/offer validation/documentation/translation` (FACTS 4.2).

    It sells when every part allows it; "synced but invisible" is told with their word for the part that does not.
    """
    status, priced, documented, translated = [number(each) for each in (*raw.split("/"), "-", "-", "-", "-")][
        :4
    ]
    if status == 2:
        return m.OfferState.OFF, m.Reason("emag.end_of_life", {"marketplace": NAME})
    if priced == 2:
        return m.OfferState.REFUSED, m.Reason("emag.price_blocked", {"marketplace": NAME})
    hidden = _hidden(documented, _DOCUMENTATION)
    if hidden is not None:
        rejected = documented in _REJECTED
        code = "emag.rejected" if rejected else "emag.in_validation"
        state_now = m.OfferState.REFUSED if rejected else m.OfferState.WAITING
        return state_now, m.Reason(code, {"marketplace": NAME, "status": hidden})
    if (hidden := _hidden(translated, _TRANSLATION)) is not None:
        return m.OfferState.WAITING, m.Reason("emag.in_translation", {"marketplace": NAME, "status": hidden})
    if status == 0 or stock == 0:
        return m.OfferState.OFF, None
    return m.OfferState.ON_SALE, None


def _hidden(value: int | None, words: Mapping[int, str | None]) -> str | None:
    """Their word for what hides the offer; None where nothing does or nothing was said."""
    return None if value is None else words.get(value, f"status {value}")


def done(offer: m.OfferWanted, offer_id: int) -> m.OfferShown:
    """What is shown after a save that was taken: what was sent, and the validation as it was known."""
    raw = offer.was.raw_state if offer.was is not None else None
    later = "/".join([str(int(offer.on)), *(raw or "-/-/-/-").split("/")[1:]])
    found, why = offer_state(later, stock_of(offer))
    return m.OfferShown(
        sku=offer.sku,
        external_ref=str(offer_id),
        price=offer.price,
        stock=stock_of(offer),
        handling_days=offer.handling_days,
        on=offer.on,
        raw_state=later,
        state=found,
        reason=why,
    )


def renamed(shown_offer: m.OfferShown, sku: str) -> m.OfferShown:
    return replace(shown_offer, sku=sku)


def unknown(offer: m.OfferWanted) -> m.OfferWanted:
    """The same offer with nothing confirmed: everything is sent."""
    return replace(offer, was=None)


def same_product(data: Json, offer: m.OfferWanted) -> bool:
    """Whether an offer that bears our number is ours: it has our SKU or our EAN."""
    theirs = _first_ean(data)
    same_ean = theirs is not None and theirs.lstrip("0") == (offer.gtin or "").lstrip("0")
    return same_ean or _text(data, "part_number") == part_number(offer.sku)
