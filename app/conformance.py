"""Tells the developer of a supplier system what is wrong with what he sends, numbered, with how to mend it (D6).

Pure: stored messages go in, findings come out; and signed samples, right and wrong ones, to compare byte by byte. A finding never
repeats a value from an order, only its place. It may miss what no single connection can show, such as a change that was never sent.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from app.errors import Invalid
from app.messages import ProductSeen, ShopOrderSeen, ShopStatus, StockSeen
from app.registry import translator
from app.rules import gtin
from app.shops import schemas, signing
from app.shops.envelope import MAX_ID, Envelope, parse
from app.shops.reading import read

Level = Literal["wrong", "look"]

RETRIES_LAST = timedelta(hours=80)  # the retry plan takes 75 hours and a half
CLOCK_TOLERANCE = timedelta(seconds=signing.TOLERANCE)
EXAMPLES = 5


@dataclass(frozen=True)
class StoredEvent:
    """One message as it came in. `received_at` aware UTC."""

    delivery_id: str
    received_at: datetime
    body: bytes


@dataclass(frozen=True)
class Finding:
    """One thing to mend. `number` counts from 1; `times` is how often it was seen, `ids` the first few messages."""

    number: int
    level: Level
    code: str
    field: str | None
    says: str
    to_do: str
    times: int
    ids: tuple[str, ...]


@dataclass(frozen=True)
class _Fault:
    """One sighting, before they are counted."""

    code: str
    field: str | None = None
    detail: str = ""


# code -> (level, what it means, how to mend it). {field} and {detail} are filled in.
RULES: Mapping[str, tuple[Level, str, str]] = {
    "body": (
        "wrong",
        "The body cannot be read: {detail}.",
        "Send one JSON object in UTF-8, made by a JSON library.",
    ),
    "field.missing": ("wrong", "{field} is missing.", "Send it: {detail}"),
    "field.invalid": ("wrong", "{field} is not as agreed.", "Expected: {detail}."),
    "id.form": (
        "look",
        "webhook-id is not evt_ and at least 26 characters.",
        "Use evt_ and a UUID or ULID, so that two events never get the same id.",
    ),
    "id.reused": (
        "wrong",
        "One webhook-id was used for two different events; the second was not taken.",
        "Make a new id for every event, and keep it only in retries of that event.",
    ),
    "type.unknown": ("look", "The type {detail} is not known here.", "Use the types in docs/suppliers.md."),
    "subject.kind": (
        "wrong",
        "The subject does not fit the type {detail}.",
        "See the table of types in docs/suppliers.md.",
    ),
    "subject.other_id": (
        "wrong",
        "subject and data.id name two different things.",
        "Build the subject from data.id: order/<id> or product/<id>.",
    ),
    "sequence.repeated": (
        "wrong",
        "Two events carry the same sequence.",
        "Draw every number once from a sequence of your database.",
    ),
    "sequence.backwards": (
        "look",
        "An older sequence of the same subject came after a newer one; it was ignored.",
        "Fine after an outage. If it happens all the time, send the events of one subject one after the other.",
    ),
    "sequence.clock": (
        "look",
        "The sequence looks like a clock.",
        "Two servers or a clock set back would lose changes. Take the number from your database.",
    ),
    "timestamp.future": (
        "wrong",
        "The timestamp lies in the future.",
        "Send UTC, and let the server follow a time server.",
    ),
    "timestamp.old": (
        "look",
        "The event came more than 80 hours after it happened.",
        "Send events when they happen; send the state of today for what is older.",
    ),
    "gtin.missing": (
        "look",
        "A product that can be sold has no GTIN.",
        "Without it nothing is released or matched (K1, I9).",
    ),
    "gtin.check_digit": (
        "wrong",
        "The GTIN is none: wrong length, or its check digit does not fit.",
        "Copy it from the package. Keep it as text: spreadsheets cut leading zeros and round.",
    ),
    "gtin.twice": ("wrong", "Two products carry the same GTIN.", "Every variation needs its own (K2)."),
    "sku.missing": ("look", "A product that can be sold has no SKU.", "Send your article number."),
    "price.missing": ("look", "A product that can be sold has no price.", "Send price and currency."),
    "price.zero": ("wrong", "The price is 0.", "Send the gross price, or null when there is none."),
    "stock.negative": (
        "look",
        "The stock is below zero.",
        "Allowed; offers are then 0. Check that you send the absolute stock.",
    ),
    "parent.unknown": (
        "look",
        "A variation names a parent that was never sent.",
        "Send the parent too, with kind variable.",
    ),
    "image.insecure": (
        "look",
        "An image is not at an https address.",
        "Marketplaces do not fetch it. Use https.",
    ),
    "order.key_lost": (
        "wrong",
        "An order with our key has lines without it.",
        "Keep the key of each line of order.create and send it back.",
    ),
    "order.stock_sequence": (
        "look",
        "An order that is being handled has no stock_sequence.",
        "Set it when the order has reduced the stock; else pieces are counted twice (I13).",
    ),
    "order.total": (
        "wrong",
        "The lines are worth more than the total.",
        "Send gross amounts of whole lines, after discounts.",
    ),
    "order.no_tracking": (
        "look",
        "An order is completed without a tracking number.",
        "Send shipment.changed as soon as there is one: only then money is released (K11).",
    ),
    "refund.missing": (
        "wrong",
        "An order is refunded without a refund object.",
        "A status moves no money. Send the refund with its amount (K8).",
    ),
    "refund.too_much": (
        "wrong",
        "The refunds are higher than the total.",
        "Send every refund once, with its own id.",
    ),
    "manifest.missing": (
        "look",
        "Events of more than two days, and no manifest.daily.",
        "Send it once a day: only then a lost event is noticed (D7).",
    ),
}


def check_events(rows: Iterable[StoredEvent], provider: str = "standard") -> list[Finding]:
    """What is to be mended in these messages (in the order they arrived), the wrong before the look, the frequent first."""
    seen: dict[_Fault, list[str]] = {}
    memory = _Memory()
    for row in rows:
        for fault in _faults(row, memory, provider):
            seen.setdefault(fault, []).append(row.delivery_id)
    for fault in memory.at_the_end():
        seen.setdefault(fault, [])
    ranked = sorted(seen.items(), key=lambda item: (RULES[item[0].code][0] != "wrong", -len(item[1])))
    return [_finding(number, fault, ids) for number, (fault, ids) in enumerate(ranked, 1)]


def _finding(number: int, fault: _Fault, ids: Sequence[str]) -> Finding:
    level, says, to_do = RULES[fault.code]
    words = {"field": fault.field or "", "detail": fault.detail}
    return Finding(
        number=number,
        level=level,
        code=fault.code,
        field=fault.field,
        says=says.format(**words),
        to_do=to_do.format(**words),
        times=max(1, len(ids)),
        ids=tuple(ids[:EXAMPLES]),
    )


@dataclass
class _Memory:
    """What one message says about those before it."""

    ids: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    sequences: dict[int, str] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    gtins: dict[str, str] = field(default_factory=dict)
    products: set[str] = field(default_factory=set)
    parents: set[str] = field(default_factory=set)
    days: set[str] = field(default_factory=set)
    manifests: int = 0

    def at_the_end(self) -> Iterator[_Fault]:
        """What only shows when everything was read."""
        if self.parents - self.products:
            yield _Fault("parent.unknown", "data.parent_id")
        if len(self.days) > 2 and not self.manifests:
            yield _Fault("manifest.missing")


def _faults(row: StoredEvent, memory: _Memory, provider: str) -> Iterator[_Fault]:
    if not (row.delivery_id.startswith("evt_") and len(row.delivery_id) >= 30):
        yield _Fault("id.form", "webhook-id")
    try:
        event = parse(row.body)
    except Invalid as error:
        yield _broken(error)
        return
    yield from _of_envelope(row, event)
    yield from _of_history(row, event, memory)
    if event.type in schemas.EVENTS:
        yield from _of_data(event, memory, provider)


def _broken(error: Invalid) -> _Fault:
    """A refusal of the parser or a translator as a fault. Only places and expectations, never values."""
    if error.code in {"field.missing", "field.invalid"}:
        return _Fault(
            error.code, error.params.get("field"), str(error.params.get("expected", "see docs/suppliers.md"))
        )
    limit = f" (limit {error.params['limit']})" if "limit" in error.params else ""
    return _Fault("body", None, error.code.partition(".")[2].replace("_", " ") + limit)


def _of_envelope(row: StoredEvent, event: Envelope) -> Iterator[_Fault]:
    kind = event.subject.partition("/")[0]
    if event.type not in schemas.EVENTS:
        yield _Fault("type.unknown", "type", event.type)
    elif kind != schemas.SUBJECTS[event.type]:
        yield _Fault("subject.kind", "subject", event.type)
    if event.timestamp > row.received_at + CLOCK_TOLERANCE:
        yield _Fault("timestamp.future", "timestamp")
    elif event.timestamp < row.received_at - RETRIES_LAST:
        yield _Fault("timestamp.old", "timestamp")
    seconds = row.received_at.timestamp()
    # Seconds, milliseconds or microseconds of about now.
    if any(abs(event.sequence / unit - seconds) < 7 * 86_400 for unit in (1, 1_000, 1_000_000)):
        yield _Fault("sequence.clock", "sequence")


def _of_history(row: StoredEvent, event: Envelope, memory: _Memory) -> Iterator[_Fault]:
    """Against what came before. A repeat of the same event is a retry and no fault, even with a newer snapshot."""
    same = (event.type, event.sequence, event.subject)
    before = memory.ids.get(row.delivery_id)
    if before == same:
        return
    memory.ids.setdefault(row.delivery_id, same)
    if before is not None:
        yield _Fault("id.reused", "webhook-id")
    if memory.sequences.setdefault(event.sequence, row.delivery_id) != row.delivery_id:
        yield _Fault("sequence.repeated", "sequence")
    elif event.sequence < memory.newest.get(event.subject, 0):
        yield _Fault("sequence.backwards", "sequence")
    memory.newest[event.subject] = max(event.sequence, memory.newest.get(event.subject, 0))
    memory.days.add(row.received_at.date().isoformat())
    memory.manifests += event.type == "manifest.daily"


_READS: Mapping[str, str] = {
    "product.changed": "product",
    "stock.changed": "stock",
    "order.placed": "order",
    "order.changed": "order",
    "order.refunded": "order",
    "shipment.changed": "order",
}


def _of_data(event: Envelope, memory: _Memory, provider: str) -> Iterator[_Fault]:
    try:
        seen = _seen(event, provider)
    except Invalid as error:
        yield _broken(error)
        return
    _, _, subject_id = event.subject.partition("/")
    own_id = seen.get("id") if isinstance(seen, dict) else seen.external_id
    if subject_id and own_id is not None and own_id != subject_id:
        yield _Fault("subject.other_id", "data.id")
    if isinstance(seen, ProductSeen):
        yield from _of_product(seen, memory)
    elif isinstance(seen, ShopOrderSeen):
        yield from _of_order(seen)
    elif isinstance(seen, StockSeen) and (seen.stock or 0) < 0:
        yield _Fault("stock.negative", "data.stock")


def _seen(event: Envelope, provider: str) -> Any:
    """The data in our words, or as the schema of its type loads it. Raises Invalid."""
    name = _READS.get(event.type)
    if name is None:
        return read(schemas.EVENTS[event.type], event.data)
    call: Callable[[Mapping[str, Any]], Any] = getattr(translator(provider), name)
    return call(event.data)


def _of_product(seen: ProductSeen, memory: _Memory) -> Iterator[_Fault]:
    memory.products.add(seen.external_id)
    if seen.parent_external_id:
        memory.parents.add(seen.parent_external_id)
    if any(not image.startswith("https://") for image in seen.images):
        yield _Fault("image.insecure", "data.images")
    if seen.kind not in {"simple", "variation"} or not seen.published:
        return
    if seen.gtin is None:
        yield _Fault("gtin.missing", "data.gtin")
    elif not gtin.is_valid(seen.gtin):
        yield _Fault("gtin.check_digit", "data.gtin")
    elif memory.gtins.setdefault(seen.gtin, seen.external_id) != seen.external_id:
        yield _Fault("gtin.twice", "data.gtin")
    if seen.sku is None:
        yield _Fault("sku.missing", "data.sku")
    if seen.price is None:
        yield _Fault("price.missing", "data.price")
    elif seen.price == 0:
        yield _Fault("price.zero", "data.price")
    if (seen.stock or 0) < 0:
        yield _Fault("stock.negative", "data.stock")


def _of_order(seen: ShopOrderSeen) -> Iterator[_Fault]:
    if seen.key and any(line.key is None for line in seen.lines):
        yield _Fault("order.key_lost", "data.lines")
    if seen.status in {ShopStatus.PROCESSING, ShopStatus.COMPLETED} and seen.stock_sequence is None:
        yield _Fault("order.stock_sequence", "data.stock_sequence")
    if sum(line.total for line in seen.lines) > seen.total:
        yield _Fault("order.total", "data.total")
    if seen.status is ShopStatus.COMPLETED and not seen.tracking:
        yield _Fault("order.no_tracking", "data.tracking")
    refunded = sum(refund.amount for refund in seen.refunds)
    if seen.status is ShopStatus.REFUNDED and not seen.refunds:
        yield _Fault("refund.missing", "data.refunds")
    if refunded > seen.total:
        yield _Fault("refund.too_much", "data.refunds")


# --- the network: what was seen of a supplier ------------------------------------------------------------------------


@dataclass(frozen=True)
class NetworkSeen:
    """What the bridge has seen of a supplier's system, and how it answered three questions just now. Counts are of orders of the network, trials
    included; `reasons`: (code, field, products) of what is not released, the most frequent first; `parcels_wrong`: numbers that cannot count.
    """

    released: int = 0
    reasons: Sequence[tuple[str, str | None, int]] = ()
    orders: int = 0
    fetched: int = 0
    accepted: int = 0
    parcels: int = 0
    parcels_wrong: int = 0
    cancelled: int = 0
    refunds: int = 0
    refunds_refused: int = 0
    replayed: bool | None = None  # the second request with one Idempotency-Key was known as a repeat
    wrong_token: int | None = None  # HTTP status
    foreign_order: int | None = None


@dataclass(frozen=True)
class Check:
    """One thing a supplier of the network must be able to do. `state`: ok, wrong, or open (not seen yet)."""

    number: int
    code: str
    state: Literal["ok", "wrong", "open"]
    says: str
    to_do: str = ""


def check_network(seen: NetworkSeen) -> list[Check]:
    """The numbered checks, always all of them and in this order."""
    found = [
        _releasable(seen),
        *_handled(seen),
        _shipped(seen),
        _cancelled(seen),
        _refunded(seen),
        *_asked(seen),
    ]
    return [Check(number, *each) for number, each in enumerate(found, 1)]


_Judged = tuple[str, Literal["ok", "wrong", "open"], str, str]

_TRIAL = "Make a trial order with --trial and handle it like any other."


def _releasable(seen: NetworkSeen) -> _Judged:
    missing = ", ".join(f"{code} [{field or '-'}] {count}x" for code, field, count in seen.reasons)
    if seen.released:
        says = f"{seen.released} products are released." + (f" Not released: {missing}." if missing else "")
        return "product.releasable", "ok", says, ""
    if missing:
        return "product.releasable", "wrong", f"No product is released: {missing}.", "Mend the named fields."
    return "product.releasable", "open", "No product was sent.", "Send product.changed for every product."


def _handled(seen: NetworkSeen) -> Iterator[_Judged]:
    for code, word, count, to_do in (
        (
            "order.pulled",
            "fetched",
            seen.fetched,
            "GET /api/v1/supplier/orders?state=new, or answer order.create.",
        ),
        ("order.accepted", "accepted", seen.accepted, "POST .../accept, or answer order.create."),
    ):
        if count:
            yield code, "ok", f"{count} of {seen.orders} orders were {word}.", ""
        else:
            yield code, "open", f"No order was {word}.", to_do if seen.orders else _TRIAL


def _shipped(seen: NetworkSeen) -> _Judged:
    code = "order.shipped"
    if seen.parcels_wrong:
        says = f"{seen.parcels_wrong} of {seen.parcels} parcels have a number that cannot be right."
        return (
            code,
            "wrong",
            says,
            "Send the carrier's own number; without a valid one no money is released (K11).",
        )
    if seen.parcels:
        return code, "ok", f"{seen.parcels} parcels with a valid tracking number.", ""
    return (
        code,
        "open",
        "No parcel with a tracking number was reported.",
        "Report one: ship, or shipment.changed.",
    )


def _cancelled(seen: NetworkSeen) -> _Judged:
    if seen.cancelled:
        return "order.cancelled", "ok", f"{seen.cancelled} orders were cancelled.", ""
    return "order.cancelled", "open", "No order was cancelled.", _TRIAL


def _refunded(seen: NetworkSeen) -> _Judged:
    code = "refund.once"
    if seen.refunds_refused:
        says = f"{seen.refunds_refused} of {seen.refunds} refund objects were more than what was left, and moved nothing."
        return code, "wrong", says, "Send the amount that the retailer is to get back, gross, once."
    if seen.refunds:
        return code, "ok", f"{seen.refunds} refund objects; each counts once, by its id.", ""
    return code, "open", "No refund object was reported.", _TRIAL


def _asked(seen: NetworkSeen) -> Iterator[_Judged]:
    """What the bridge itself answered: these are its promises, and what a program may rely on."""
    for code, value, right, says in (
        ("request.replayed", seen.replayed, True, "The same Idempotency-Key again"),
        ("token.wrong", seen.wrong_token, 401, "A wrong token"),
        ("order.foreign", seen.foreign_order, 404, "An order of somebody else"),
    ):
        if value is None:
            yield code, "open", f"{says} was not tried.", "Let the command run beside the bridge."
        elif value == right:
            answered = "is known as a repeat and does nothing" if value is True else f"is answered {value}"
            yield code, "ok", f"{says} {answered}.", ""
        else:
            yield (
                code,
                "wrong",
                f"{says} is answered {value}.",
                "This is a defect of the bridge: tell its operator.",
            )


def report_network(found: Sequence[Check]) -> Iterator[str]:
    """The checks as a person reads them."""
    marks = {"ok": "ok", "wrong": "WRONG", "open": "not seen yet"}
    yield ""
    yield "As a supplier of the network:"
    for each in found:
        yield f"{each.number}. {marks[each.state]} {each.code}: {each.says}"
        if each.to_do:
            yield f"   -> {each.to_do}"


# --- the kit: signed samples to compare byte by byte -----------------------------------------------------------------

SAMPLE_SECRET = "whsec_" + base64.b64encode(b"01234567890123456789012345678901").decode()
SAMPLE_TIME = datetime(2026, 11, 21, 14, 2, 11, tzinfo=UTC)
SAMPLE_ID = "evt_01JD7Z9V8Q4T2M6K0R5X3B1CAW"
_SAMPLE: Mapping[str, Any] = {
    "type": "product.changed",
    "timestamp": "2026-11-21T14:02:11Z",
    "sequence": 4712,
    "subject": "product/A-17",
    "data": {
        "id": "A-17",
        "title": "Grüner Tee, 100 g",
        "sku": "TEE-001",
        "gtin": "4006381333931",
        "price": "7.90",
        "currency": "EUR",
        "stock": 5,
    },
}


@dataclass(frozen=True)
class Sample:
    """A request and how the bridge answers it at SAMPLE_TIME. `status` 202 is right, everything else shows a mistake."""

    name: str
    headers: Mapping[str, str]
    body: bytes
    status: int
    lesson: str


def samples(secret: str = SAMPLE_SECRET, now: datetime = SAMPLE_TIME) -> list[Sample]:
    """Right and wrong requests with everything a developer needs to compare his own with."""
    right = _body(_SAMPLE)
    return [
        _signed(
            "right",
            right,
            secret,
            now,
            202,
            "Compare your headers with these for the same id, time and body.",
        ),
        _signed(
            "right, blanks elsewhere",
            _body(_SAMPLE, blanks=True),
            secret,
            now,
            202,
            "The bytes that are sent are signed.",
        ),
        _signed(
            "right, while a secret is rotated",
            right,
            secret,
            now,
            202,
            "Two signatures; one right one is enough.",
            twice=True,
        ),
        _forged(
            "signed with the text of the secret",
            right,
            secret,
            now,
            "Decode what stands behind whsec_ from base64 first.",
        ),
        _changed("signature in hex", right, secret, now, _hex, "base64 of the 32 bytes, not hex."),
        _changed(
            "signature without v1,",
            right,
            secret,
            now,
            lambda text: text.removeprefix("v1,"),
            "The version belongs to it.",
        ),
        _signed(
            "an old timestamp",
            right,
            secret,
            now - timedelta(minutes=6),
            401,
            "A retry is signed again, with its own time.",
        ),
        _other_body("JSON made a second time", right, _body(_SAMPLE, blanks=True), secret, now),
        _signed(
            "a price as a number",
            _with("price", 7.9),
            secret,
            now,
            202,
            "Stored, then refused: amounts are text.",
        ),
        _signed(
            "a sequence as text",
            _body({**_SAMPLE, "sequence": "4712"}),
            secret,
            now,
            422,
            "sequence is a whole number.",
        ),
        _signed(
            "a subject without an id",
            _body({**_SAMPLE, "subject": "product"}),
            secret,
            now,
            422,
            "product/<id>.",
        ),
        _signed("Latin-1", right.decode().encode("latin-1"), secret, now, 400, "UTF-8, always."),
        _signed("a duplicate key", right[:-1] + b',"type":"x"}', secret, now, 400, "Every key once."),
    ]


def _body(event: Mapping[str, Any], *, blanks: bool = False) -> bytes:
    separators = (", ", ": ") if blanks else (",", ":")
    return json.dumps(event, ensure_ascii=False, separators=separators).encode()


def _with(name: str, value: Any) -> bytes:
    return _body({**_SAMPLE, "data": {**_SAMPLE["data"], name: value}})


def _signed(
    name: str, body: bytes, secret: str, now: datetime, status: int, lesson: str, *, twice: bool = False
) -> Sample:
    secrets = [SAMPLE_SECRET[:-8] + "AAAAAAA=", secret] if twice else [secret]
    return Sample(name, signing.sign(secrets, SAMPLE_ID, body, now), body, status, lesson)


def _forged(name: str, body: bytes, secret: str, now: datetime, lesson: str) -> Sample:
    """What comes out when the secret's text is taken for the key."""
    as_key = signing.PREFIX + base64.b64encode(secret.encode()).decode()
    return Sample(name, signing.sign([as_key], SAMPLE_ID, body, now), body, 401, lesson)


def _changed(
    name: str, body: bytes, secret: str, now: datetime, change: Callable[[str], str], lesson: str
) -> Sample:
    headers = signing.sign([secret], SAMPLE_ID, body, now)
    headers["webhook-signature"] = change(headers["webhook-signature"])
    return Sample(name, headers, body, 401, lesson)


def _hex(signature: str) -> str:
    return "v1," + base64.b64decode(signature.removeprefix("v1,")).hex()


def _other_body(name: str, signed: bytes, sent: bytes, secret: str, now: datetime) -> Sample:
    headers = signing.sign([secret], SAMPLE_ID, signed, now)
    return Sample(name, headers, sent, 401, "Sign the very bytes that you send.")


# --- for the command line --------------------------------------------------------------------------------------------


def run(
    rows: Iterable[StoredEvent],
    *,
    provider: str = "standard",
    as_json: bool = False,
    network: NetworkSeen | None = None,
    write: Callable[[str], Any],
) -> int:
    """Writes the findings line by line; the exit code is 1 when something is wrong, 0 when there is at most something to look at.

    `network`: of a supplier of the network; his numbered checks stand below.
    """
    kept = list(rows)
    found = check_events(kept, provider)
    checks = check_network(network) if network is not None else []
    if as_json:
        told: dict[str, Any] = {"events": len(kept), "findings": [asdict(each) for each in found]}
        write(json.dumps(told | ({"network": [asdict(each) for each in checks]} if checks else {}), indent=2))
    else:
        for line in (*report(found, len(kept)), *(report_network(checks) if checks else ())):
            write(line)
    return int(any(each.level == "wrong" for each in found) or any(each.state == "wrong" for each in checks))


def report(found: Sequence[Finding], events: int) -> Iterator[str]:
    """The findings as a person reads them."""
    yield f"{events} events read."
    if not events:
        yield "Nothing has arrived yet: send one product.changed, or try the samples of --kit."
    for each in found:
        place = f" [{each.field}]" if each.field else ""
        yield ""
        yield f"{each.number}. {'WRONG' if each.level == 'wrong' else 'look'}{place} {each.says} ({each.times}x)"
        yield f"   -> {each.to_do}"
        if each.ids:
            yield f"   e.g. {', '.join(each.ids)}"
    wrong = sum(each.level == "wrong" for each in found)
    yield ""
    yield f"{wrong} to mend, {len(found) - wrong} to look at." if found else "Everything is as agreed."


def kit(secret: str = SAMPLE_SECRET, now: datetime = SAMPLE_TIME) -> Iterator[str]:
    """The samples as text: headers and body of each, byte by byte, and what the bridge answers."""
    yield f"Secret: {secret}"
    yield f"Key (hex): {base64.b64decode(secret.removeprefix(signing.PREFIX)).hex()}"
    yield f"The bridge's clock: {int(now.timestamp())}. Longest id of a product or order: {MAX_ID} characters."
    for number, sample in enumerate(samples(secret, now), 1):
        yield ""
        yield f"{number}. {sample.name} -> {sample.status}. {sample.lesson}"
        yield from (f"   {name}: {value}" for name, value in sample.headers.items())
        yield f"   {len(sample.body)} bytes: {sample.body.decode('utf-8', 'backslashreplace')}"
