import contextlib
import json
import random
import string
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import Invalid
from app.shops.envelope import MAX_BYTES, Envelope, parse, parse_object

GOOD: dict[str, Any] = {
    "type": "order.changed",
    "timestamp": "2026-11-21T14:02:11Z",
    "sequence": 4711,
    "subject": "order/1042",
    "data": {"id": 1042, "total": "15.80", "line_items": [{"id": 311, "quantity": 2, "price": 7.9}]},
}


def body(**changed: Any) -> bytes:
    return json.dumps(GOOD | changed).encode()


def raw_data(text: str) -> bytes:
    return body().replace(b'{"id": 1042,', b'{"odd": ' + text.encode() + b', "id": 1042,', 1)


def code_of(raw: bytes) -> str:
    with pytest.raises(Invalid) as caught:
        parse(raw)
    return caught.value.code


def field_of(raw: bytes) -> Any:
    with pytest.raises(Invalid) as caught:
        parse(raw)
    return caught.value.params.get("field")


def test_a_good_event_comes_out_field_by_field() -> None:
    assert parse(body()) == Envelope(
        type="order.changed",
        timestamp=datetime(2026, 11, 21, 14, 2, 11, tzinfo=UTC),
        sequence=4711,
        subject="order/1042",
        data=GOOD["data"],
    )


def test_an_unknown_type_is_accepted_so_that_a_newer_plugin_is_not_punished() -> None:
    assert parse(body(type="gift_card.redeemed")).type == "gift_card.redeemed"


@pytest.mark.parametrize(
    "subject", ["shop", "product/17", "order/WC-2026/17", "order/Ä 7", "order/" + "9" * 190]
)
def test_subjects_that_shops_have(subject: str) -> None:
    assert parse(body(subject=subject)).subject == subject


def test_real_escapes_and_emojis_pass() -> None:
    data = {"name": 'Lampe "Größe M" 💡', "path": "C:\\u0000\\ud800 is only text", "slash": "\\\\"}
    raw = json.dumps(GOOD | {"data": data}).encode()  # ensure_ascii writes the emoji as a surrogate pair
    assert b"\\ud83d\\udca1" in raw
    assert parse(raw).data == data


def test_exactly_32_levels_and_10000_keys_and_2_to_the_53_are_allowed() -> None:
    deep = "[" * 30 + "]" * 30  # the body and data are two more
    assert parse(raw_data(deep))
    assert code_of(raw_data("[" + deep + "]")) == "body.too_deep"
    many = json.dumps({str(number): 0 for number in range(10_000 - 12)})
    assert parse(raw_data(many).replace(b" ", b""))
    assert code_of(
        raw_data(json.dumps({str(number): 0 for number in range(10_001 - 12)})).replace(b" ", b"")
    ) == ("body.too_many_keys")
    assert parse(raw_data(str(2**53))).data["odd"] == 2**53
    assert parse(raw_data(str(-(2**53)))).data["odd"] == -(2**53)


NAMED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "body.not_json"),
    "only blanks": (b"  \n ", "body.not_json"),
    "truncated": (body()[:-3], "body.not_json"),
    "two objects": (body() + body(), "body.not_json"),
    "trailing comma": (body()[:-1] + b",}", "body.not_json"),
    "single quotes": (b"{'type': 1}", "body.not_json"),
    "form body of WooCommerce's ping": (b"webhook_id=5", "body.not_json"),
    "gzip": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "body.forbidden_character"),
    "xml": (b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "body.not_json"),
    "latin-1": (body(type="x").replace(b"x", "ä".encode("latin-1")), "body.not_utf8"),
    "utf-16": (body().decode().encode("utf-16"), "body.byte_order_mark"),
    "utf-16 without a mark": (body().decode().encode("utf-16-le"), "body.forbidden_character"),
    "byte order mark": (b"\xef\xbb\xbf" + body(), "body.byte_order_mark"),
    "surrogate in utf-8": (raw_data('"x"').replace(b'"x"', b'"\xed\xa0\x80"'), "body.not_utf8"),
    "overlong utf-8": (raw_data('"x"').replace(b'"x"', b'"\xc0\x80"'), "body.not_utf8"),
    "null": (b"null", "body.not_an_object"),
    "list": (b"[]", "body.not_an_object"),
    "text": (b'"order.changed"', "body.not_an_object"),
    "number": (b"4711", "body.not_an_object"),
    "NaN": (raw_data("NaN"), "body.not_a_number"),
    "Infinity": (raw_data("Infinity"), "body.not_a_number"),
    "-Infinity": (raw_data("-Infinity"), "body.not_a_number"),
    "1e999999": (raw_data("1e999999"), "body.number_too_large"),
    "1e400": (raw_data("1e400"), "body.number_too_large"),
    "1e-999999": (raw_data("1e-999999"), "body.number_too_large"),
    "a float of 5000 digits": (raw_data("0." + "1" * 5000), "body.number_too_large"),
    "2^53 + 1": (raw_data(str(2**53 + 1)), "body.number_too_large"),
    "10^30": (raw_data(str(10**30)), "body.number_too_large"),
    "5000 digits": (raw_data("9" * 5000), "body.number_too_large"),
    "minus 5000 digits": (raw_data("-" + "9" * 5000), "body.number_too_large"),
    "leading zero": (raw_data("007"), "body.not_json"),
    "underscore": (raw_data("1_000"), "body.not_json"),
    "arabic digits": (raw_data("٣"), "body.not_json"),
    "hex": (raw_data("0x10"), "body.not_json"),
    "NUL escape": (raw_data('"a\\u0000b"'), "body.forbidden_character"),
    "NUL escape behind a backslash": (raw_data('"\\\\\\u0000"'), "body.forbidden_character"),
    "NUL byte": (raw_data('"a\x00b"'), "body.forbidden_character"),
    "tab in a text": (raw_data('"a\tb"'), "body.not_json"),
    "lone high surrogate": (raw_data('"\\ud800"'), "body.forbidden_character"),
    "lone low surrogate": (raw_data('"\\udca1"'), "body.forbidden_character"),
    "two high surrogates": (raw_data('"\\ud83d\\ud83d"'), "body.forbidden_character"),
    "surrogates the wrong way round": (raw_data('"\\udca1\\ud83d"'), "body.forbidden_character"),
    "low surrogate behind text that looks like a high one": (
        raw_data('"\\\\ud83d\\udca1"'),
        "body.forbidden_character",
    ),
    "lone surrogate in a key": (raw_data('{"\\ud800": 1}'), "body.forbidden_character"),
    "duplicate key": (raw_data('{"a": 1, "a": 2}'), "body.duplicate_key"),
    "duplicate key by escape": (raw_data('{"a": 1, "\\u0061": 2}'), "body.duplicate_key"),
    "duplicate type": (body()[:-1] + b', "type": "x"}', "body.duplicate_key"),
    "5000 lists": (raw_data("[" * 5000 + "]" * 5000), "body.too_deep"),
    "100000 lists": (raw_data("[" * 100_000 + "]" * 100_000), "body.too_deep"),
    "100000 open lists": (raw_data("[" * 100_000), "body.too_deep"),
    "100000 closed lists": (raw_data("]" * 100_000), "body.not_json"),
    "40000 objects": (raw_data('{"a":' * 40_000 + "1" + "}" * 40_000), "body.too_many_keys"),
    "brackets behind an odd quote": (b'{"a": "' + b"[" * 5000, "body.not_json"),
    "too large": (raw_data('"' + "x" * MAX_BYTES + '"'), "body.too_large"),
}


@pytest.mark.parametrize("name", NAMED)
def test_named_bad_bodies_are_refused_with_their_code(name: str) -> None:
    raw, code = NAMED[name]
    assert code_of(raw) == code


@pytest.mark.parametrize("name", ["type", "timestamp", "sequence", "subject", "data"])
def test_a_missing_field_is_named(name: str) -> None:
    raw = json.dumps({key: value for key, value in GOOD.items() if key != name}).encode()
    assert code_of(raw) == "field.missing"
    assert field_of(raw) == name


MISTYPED: list[tuple[str, Any]] = [
    *[
        ("type", value)
        for value in (None, 1, True, [], {}, "", "Order.Changed", "x y", "x" * 65, "ä", "order/1\n")
    ],
    *[("sequence", value) for value in (None, 0, -1, True, False, 1.0, 3.9, "1", " 7 ", "1_000", [], {})],
    *[
        ("subject", value)
        for value in (None, 1, "", "order", "order/", "order/ 1", "customer/1", "Order/1", "shop/1")
    ],
    *[
        ("subject", value)
        for value in ("order/1\n", "order/\u202e1", "product/" + "9" * 191, "order//1", " shop")
    ],
    *[("data", value) for value in (None, [], "x", 1, True)],
    *[
        ("timestamp", value)
        for value in (None, 1_700_000_000, "", "2026-11-21", "2026-11-21T14:02:11", "now")
    ],
    *[
        ("timestamp", value)
        for value in ("2026-11-21T14:02:11+01:00", "2026-11-21 14:02:11Z", "20261121T140211Z")
    ],
    *[
        ("timestamp", value)
        for value in ("2026-02-30T00:00:00Z", "2026-11-21T25:00:00Z", "2026-11-21T23:59:60Z")
    ],
    *[
        ("timestamp", value)
        for value in ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
    ],
    *[
        ("timestamp", value)
        for value in ("٢٠٢٦-11-21T14:02:11Z", "+12026-11-21T14:02:11Z", "2026-11-21T14:02:11Z\n")
    ],
]


@pytest.mark.parametrize(("name", "value"), MISTYPED)
def test_a_mistyped_field_is_named(name: str, value: Any) -> None:
    assert code_of(body(**{name: value})) == "field.invalid"
    assert field_of(body(**{name: value})) == name


def test_fractions_of_a_second_and_a_zero_offset_are_utc_too() -> None:
    assert parse(body(timestamp="2026-11-21T14:02:11.123456789+00:00")).timestamp == datetime(
        2026, 11, 21, 14, 2, 11, 123456, tzinfo=UTC
    )


def _flip(draw: random.Random, raw: bytes) -> bytes:
    place = draw.randrange(len(raw))
    return raw[:place] + bytes([draw.randrange(256)]) + raw[place + 1 :]


def _cut(draw: random.Random, raw: bytes) -> bytes:
    return raw[: draw.randrange(len(raw))]


def _double(draw: random.Random, raw: bytes) -> bytes:
    start = draw.randrange(len(raw))
    end = min(len(raw), start + draw.randrange(1, 60))
    return raw[:end] + raw[start:end] * draw.randrange(1, 50) + raw[end:]


def _insert(draw: random.Random, raw: bytes) -> bytes:
    odd = [
        b"[" * 40,
        b'{"a":' * 40,
        b"\\u0000",
        b"\\ud83d",
        b"\x00",
        b"1e999",
        b"9" * 20,
        b'"',
        b"\\",
        b"NaN",
        b"\xff",
    ]
    place = draw.randrange(len(raw))
    return raw[:place] + draw.choice(odd) + raw[place:]


def _value(draw: random.Random, raw: bytes) -> bytes:
    odd: list[Any] = [None, True, -1, 2**60, 1.5, "", "x" * 300, [], {}, "\x00", "\ud800", float("inf"), "٣"]
    changed = dict(GOOD)
    changed[draw.choice(list(GOOD))] = draw.choice(odd)
    return json.dumps(changed).encode()


MUTATORS: list[Callable[[random.Random, bytes], bytes]] = [_flip, _cut, _double, _insert, _value]


def test_10000_mutated_bodies_never_raise_anything_but_invalid_and_never_take_long() -> None:
    draw = random.Random(20261121)
    refused, slowest = 0, 0.0
    for _ in range(10_000):
        raw = body()
        for _ in range(draw.randrange(1, 4)):
            raw = draw.choice(MUTATORS)(draw, raw or b" ")
        started = time.thread_time()  # a busy machine does not count
        try:
            event = parse(raw)
        except Invalid:
            refused += 1
        else:
            json.dumps(event.data, ensure_ascii=False, allow_nan=False).encode()
        slowest = max(slowest, time.thread_time() - started)
    assert 5_000 < refused < 10_000
    assert slowest < 2


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_refused_and_nothing_else(raw: bytes) -> None:
    with pytest.raises(Invalid):
        parse(raw)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(string.printable, max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(string.ascii_letters, max_size=8), JSON_VALUES, max_size=5), st.booleans())
def test_every_harmless_object_comes_out_as_it_went_in(data: dict[str, Any], ascii_only: bool) -> None:
    raw = json.dumps(data, ensure_ascii=ascii_only).encode()
    assert parse_object(raw) == data


def test_the_worst_bodies_of_256_kib_are_refused_or_read_at_once() -> None:
    size = MAX_BYTES - 400
    worst = [
        "[" + "0," * (size // 2 - 2) + "0]",
        "[" * (size // 2) + "]" * (size // 2),
        "[[]," * (size // 4),
        '"' + "\\\\" * (size // 2 - 2) + '"',
        '"' + "\\u00e4" * (size // 6 - 2) + '"',
        "{" + ",".join('"a":1' for _ in range(size // 6 - 2)) + "}",
        '"' * size,
        "\\" * size,
        "9" * size,
        "0." + "9" * (size - 4),
        "{" * size,
        '"' + "\\ud83d\\udca1" * (size // 12 - 2) + '"',
    ]
    for text in worst:
        started = time.thread_time()
        with contextlib.suppress(Invalid):
            parse(raw_data(text))
        assert time.thread_time() - started < 2, text[:20]


def test_an_order_of_8_kb_is_read_fast_enough_for_the_web_request() -> None:
    line = {
        "id": 311,
        "product_id": 17,
        "quantity": 2,
        "sku": "TEE-001",
        "name": "Assam 💡",
        "total": "15.80",
        "price": 7.9,
    }
    raw = json.dumps(GOOD | {"data": {"id": 1, "line_items": [line] * 65}}).encode()
    assert 7_500 < len(raw) < 9_000
    best = min(_seconds(raw) for _ in range(200))
    # About 100 microseconds on an idle machine; the bound leaves room for a busy one.
    assert best < 0.0006


def _seconds(raw: bytes) -> float:
    started = time.perf_counter()
    parse(raw)
    return time.perf_counter() - started
