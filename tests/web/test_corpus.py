"""Bad input at the webhook door (reliability T1-T6): nothing but 4xx, and not a single row.

The named cases are the corpus of reliability 3.3 and more of its kind; the random ones are made from a printed seed.
"""

import base64
import gzip
import io
import json
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest
import time_machine
from flask import Flask
from senders_of_tests import Shop, event, new_id, rows
from sqlalchemy.orm import Session

from app.shops import signing
from app.web import rate

SEED = int(os.environ.get("SHOPBRIDGE_SEED", "20261121"))
MALFORMED = 10_000


@pytest.fixture(autouse=True)
def unhurried(app: Flask) -> Any:
    """The rate limit is another test's matter: here every body must reach the parser."""
    kept = app.extensions["shopbridge.buckets"]
    app.extensions["shopbridge.buckets"] = rate.Buckets(rate=1e9, burst=1e9)
    yield
    app.extensions["shopbridge.buckets"] = kept


# --- T1: named malformed bodies ------------------------------------------------------------------------

GOOD = event().decode()


def with_data(text: str) -> bytes:
    """A good event whose data holds this JSON text."""
    return GOOD.replace('"status": "processing"', f'"x": {text}').encode()


def with_field(name: str, text: str) -> bytes:
    """A good event with this JSON text as the value of a field of the envelope."""
    values = {key: json.dumps(value) for key, value in json.loads(GOOD).items()}
    return (
        "{" + ", ".join(f'"{key}": {text if key == name else value}' for key, value in values.items()) + "}"
    ).encode()


NAMED: dict[str, tuple[bytes, int]] = {
    # what a naive receiver answered with 500
    "100,000 nested lists": (b"[" * 100_000, 422),
    "100,000 nested lists, closed": (b"[" * 100_000 + b"]" * 100_000, 422),
    "5,000 nested lists in an unknown field": (with_data("[" * 5000 + "]" * 5000), 422),
    "5,000 nested objects": (with_data('{"a":' * 5000 + "1" + "}" * 5000), 422),
    "33 levels": (with_data("[" * 31 + "]" * 31), 422),
    "integer 10^30": (with_field("sequence", "1" + "0" * 30), 422),
    "integer 2^63": (with_data(str(2**63)), 422),
    "integer 2^53 + 1": (with_data(str(2**53 + 1)), 422),
    "negative integer beyond 2^53": (with_data(str(-(2**53) - 1)), 422),
    "1e30 as sequence": (with_field("sequence", "1e30"), 422),
    "1e999999": (with_data("1e999999"), 422),
    "-1e999999": (with_data("-1e999999"), 422),
    "a number of 5,000 digits": (with_data("9" * 5000), 422),
    "a fraction of 5,000 digits": (with_data("0." + "9" * 5000), 422),
    "lone surrogate in a name": (with_data('"\\ud800"'), 400),
    "lone low surrogate": (with_data('"\\udc00x"'), 400),
    "surrogates the wrong way round": (with_data('"\\udc00\\ud800"'), 400),
    "lone surrogate in a key": (with_data('{"\\udfff": 1}'), 400),
    "lone surrogate in the subject": (with_field("subject", '"order/\\ud800"'), 400),
    "escaped backslash before a lone surrogate": (with_data('"\\\\\\ud800"'), 400),
    "year 1 with an offset": (with_field("timestamp", '"0001-01-01T00:00:00+14:00"'), 422),
    "year 9999": (with_field("timestamp", '"9999-12-31T23:59:59Z"'), 422),
    "NUL in a text": (with_data('"a\\u0000b"'), 400),
    "raw NUL": (GOOD.replace("processing", "proc\x00").encode(), 400),
    "NUL behind an escaped backslash": (with_data('"\\\\\\u0000"'), 400),
    "NUL in a key": (with_data('{"\\u0000": 1}'), 400),
    # what a naive receiver accepted
    "sequence 3.9": (with_field("sequence", "3.9"), 422),
    "sequence 3.0": (with_field("sequence", "3.0"), 422),
    'sequence " 7 "': (with_field("sequence", '" 7 "'), 422),
    'sequence "7"': (with_field("sequence", '"7"'), 422),
    'sequence "1_000"': (with_field("sequence", '"1_000"'), 422),
    "sequence 1_000": (with_field("sequence", "1_000"), 400),
    "Arabic digits": (with_field("sequence", '"٤٢"'), 422),
    "raw Arabic digits": (with_field("sequence", "٤٢"), 400),
    "sequence -5": (with_field("sequence", "-5"), 422),
    "sequence 0": (with_field("sequence", "0"), 422),
    "sequence -0": (with_field("sequence", "-0"), 422),
    "sequence true": (with_field("sequence", "true"), 422),
    "sequence null": (with_field("sequence", "null"), 422),
    "sequence []": (with_field("sequence", "[]"), 422),
    "sequence 007": (with_field("sequence", "007"), 400),
    "sequence +7": (with_field("sequence", "+7"), 400),
    "sequence 0x10": (with_field("sequence", "0x10"), 400),
    "duplicate keys": (GOOD.replace('"data"', '"sequence": 1, "data"').encode(), 400),
    "duplicate keys in data": (with_data('1, "x": 2'), 400),
    "duplicate keys, one escaped": (with_data('1, "\\u0078": 2'), 400),
    "utf-16 body": (GOOD.encode("utf-16"), 400),
    "utf-16 without a mark": (GOOD.encode("utf-16-le"), 400),
    "utf-32 body": (GOOD.encode("utf-32"), 400),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD.encode(), 400),
    "latin-1 bytes": (GOOD.replace("processing", "bezahlt für").encode("latin-1"), 400),
    "overlong UTF-8": (GOOD.encode().replace(b"processing", b"\xc0\xaf"), 400),
    "UTF-8 of a surrogate": (GOOD.encode().replace(b"processing", b"\xed\xa0\x80"), 400),
    "cut in a character": (GOOD.replace("processing", "ü").encode()[:-14], 400),
    "10,001 keys": (with_data("{" + ",".join(f'"k{n}":1' for n in range(10_001)) + "}"), 422),
    # not JSON, or another JSON
    "empty": (b"", 400),
    "blanks": (b"  \n ", 400),
    "null": (b"null", 422),
    "a list": (b"[]", 422),
    "a list of events": (b"[" + GOOD.encode() + b"]", 422),
    "a text": (b'"order"', 422),
    "a number": (b"42", 422),
    "true": (b"true", 422),
    "an empty object": (b"{}", 422),
    "truncated": (GOOD[:-1].encode(), 400),
    "truncated in the middle": (GOOD[:40].encode(), 400),
    "two documents": ((GOOD + GOOD).encode(), 400),
    "trailing garbage": ((GOOD + "x").encode(), 400),
    "trailing comma": (GOOD.replace("}}", "},}").encode(), 400),
    "single quotes": (GOOD.replace('"', "'").encode(), 400),
    "a comment": (GOOD.replace("{", "{/* hi */", 1).encode(), 400),
    "unquoted keys": (b"{type: 1}", 400),
    "NaN": (with_data("NaN"), 400),
    "Infinity": (with_data("Infinity"), 400),
    "-Infinity": (with_data("-Infinity"), 400),
    "nan": (with_data("nan"), 400),
    "a raw line end in a text": (with_data('"a\nb"'), 400),
    "a raw tab in a text": (with_data('"a\tb"'), 400),
    "a bad escape": (with_data('"\\x41"'), 400),
    "a short escape": (with_data('"\\u12"'), 400),
    "form data": (b"webhook_id=17", 400),
    "XML with a DOCTYPE": (b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>', 400),
    "PHP serialised": (b'a:1:{s:4:"type";s:1:"x";}', 400),
    "a pickle": (b"\x80\x04\x95\x0b\x00.", 400),
    "gzip bytes": (gzip.compress(GOOD.encode()), 400),
    "random bytes": (random.Random(7).randbytes(2000), 400),
    "256 KiB of opening quotes": (b'"' * (256 * 1024), 400),
    "256 KiB of backslashes": (b'"' + b"\\" * (256 * 1024 - 1), 400),
    # the envelope
    **{
        f"no {name}": (event(**{name: None}), 422)
        for name in ("type", "timestamp", "sequence", "subject", "data")
    },
    "type 5": (with_field("type", "5"), 422),
    "an empty type": (with_field("type", '""'), 422),
    "a type with a line end": (with_field("type", '"order.changed\\n"'), 422),
    "a type in capitals": (with_field("type", '"Order.Changed"'), 422),
    "a type of 65 characters": (with_field("type", f'"{"a" * 65}"'), 422),
    "a timestamp without zone": (with_field("timestamp", '"2026-11-21T14:02:11"'), 422),
    "a timestamp with an offset": (with_field("timestamp", '"2026-11-21T14:02:11+01:00"'), 422),
    "a timestamp as a number": (with_field("timestamp", "1700000000"), 422),
    "the 30th of February": (with_field("timestamp", '"2026-02-30T00:00:00Z"'), 422),
    "the hour 25": (with_field("timestamp", '"2026-02-03T25:00:00Z"'), 422),
    "a timestamp in Arabic digits": (with_field("timestamp", '"٢٠٢٦-11-21T14:02:11Z"'), 422),
    "an empty subject": (with_field("subject", '""'), 422),
    "a subject without id": (with_field("subject", '"order/"'), 422),
    "a subject of another kind": (with_field("subject", '"customer/1"'), 422),
    "a subject with a line end": (with_field("subject", '"order/1\\n2"'), 422),
    "a subject that turns the writing round": (with_field("subject", '"order/\\u202e1"'), 422),
    "a subject of 10,000 characters": (with_field("subject", f'"order/{"1" * 10_000}"'), 422),
    "subject null": (with_field("subject", "null"), 422),
    "data null": (with_field("data", "null"), 422),
    "data a list": (with_field("data", "[1]"), 422),
    "data a text": (with_field("data", '"x"'), 422),
}


@pytest.mark.parametrize("name", NAMED)
def test_named_bodies_are_refused_with_the_right_code(name: str, shop: Shop, session: Session) -> None:
    body, status = NAMED[name]
    answer = shop.post(body)
    assert answer.status_code == status, answer.get_data(as_text=True)
    error = answer.get_json()["error"]
    assert error["code"].startswith(("body.", "field."))
    assert error["message"]
    assert rows(session) == 0


def test_the_named_corpus_is_as_large_as_promised() -> None:
    assert len(NAMED) >= 60


@pytest.mark.parametrize(
    "text",
    [
        '"\\ud83d\\ude00"',
        '"\\\\u0000"',
        '"\\\\ud800"',
        '"ü"',
        "9007199254740992",
        "-9007199254740992",
        "1.5e10",
        "[" * 29 + "]" * 29,
    ],
    ids=lambda text: text[:20],
)
def test_odd_but_good_bodies_are_accepted(text: str, shop: Shop) -> None:
    assert shop.post(with_data(text)).status_code == 202


# --- T1: mutated bodies --------------------------------------------------------------------------------

ODD = [None, True, -1, 0, 3.9, 10**30, "", "x", [], {}, [[]], "\x00", "order/\n", "٤٢", "9" * 400, -(2**60)]
SNIPPETS = [
    b"\x00",
    b"\xff",
    b"\xc3",
    b"\\",
    b'"',
    b"{",
    b"[",
    b"}",
    b",",
    b"NaN",
    b"\\ud800",
    b"1e999",
    b"\xed\xa0\x80",
]


def cut(rng: random.Random, body: bytes) -> bytes:
    return body[: rng.randrange(len(body))]


def flip(rng: random.Random, body: bytes) -> bytes:
    changed = bytearray(body)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def insert(rng: random.Random, body: bytes) -> bytes:
    place = rng.randrange(len(body))
    return body[:place] + rng.choice(SNIPPETS) * rng.randint(1, 60) + body[place:]


def delete(rng: random.Random, body: bytes) -> bytes:
    start = rng.randrange(len(body))
    return body[:start] + body[start + rng.randint(1, 30) :]


def swap(rng: random.Random, body: bytes) -> bytes:
    first, second = sorted(rng.sample(range(len(body)), 2))
    return body[second:] + body[first:second] + body[:first]


def noise(rng: random.Random, body: bytes) -> bytes:
    return rng.randbytes(rng.randint(1, 400))


def drop_field(rng: random.Random, body: bytes) -> bytes:
    value = json.loads(body)
    del value[rng.choice(list(value))]
    return json.dumps(value).encode()


def odd_value(rng: random.Random, body: bytes) -> bytes:
    value = json.loads(body)
    value[rng.choice(list(value))] = rng.choice(ODD)
    return json.dumps(value).encode()


def double_field(rng: random.Random, body: bytes) -> bytes:
    name = rng.choice(["type", "timestamp", "sequence", "subject", "data"])
    return body.rstrip()[:-1] + f', "{name}": {json.dumps(rng.choice(ODD))}'.encode() + b"}"


def deepen(rng: random.Random, body: bytes) -> bytes:
    depth = rng.randint(33, 3000)
    opening, closing = rng.choice([(b"[", b"]"), (b'{"a":', b"}")])
    return body.replace(b'"processing"', opening * depth + b"1" + closing * rng.choice([depth, 0]))


def other_encoding(rng: random.Random, body: bytes) -> bytes:
    return (
        body.decode()
        .replace("processing", "bezahlt für Mäx")
        .encode(rng.choice(["utf-16", "latin-1", "utf-32", "cp1252"]))
    )


MUTATORS: list[Callable[[random.Random, bytes], bytes]] = [
    cut, flip, insert, delete, swap, noise, drop_field, odd_value, double_field, deepen, other_encoding,
]  # fmt: skip


def is_still_good(body: bytes) -> bool:
    """An independent, slow reading of the rules: a mutated body that is a whole event by chance proves nothing."""
    try:
        value = json.loads(body.decode())
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and {"type", "timestamp", "sequence", "subject", "data"} <= value.keys()


def malformed(rng: random.Random, how_many: int) -> list[bytes]:
    """Bodies that are not an event: byte-level ones that break the JSON, and JSON-level ones that break the envelope."""
    found: list[bytes] = []
    breaks_the_envelope = {drop_field, odd_value, double_field, deepen, other_encoding}
    while len(found) < how_many:
        mutator = rng.choice(MUTATORS)
        body = mutator(rng, event(sequence=rng.randint(1, 10**6), subject=f"order/{rng.randint(1, 10**6)}"))
        if mutator in breaks_the_envelope or not is_still_good(body):
            found.append(body)
    return found


def harmless(body: bytes) -> bool:
    """An odd value may happen to be a right one for its field: {} as data, an empty list never."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return (isinstance(value, dict) and value.get("data") == {}) or (
        isinstance(value, dict) and value.get("type") == "x"
    )


def test_ten_thousand_malformed_bodies_store_nothing(shop: Shop, app: Flask, session: Session) -> None:
    bodies = [body for body in malformed(random.Random(SEED), MALFORMED * 11 // 10) if not harmless(body)][
        :MALFORMED
    ]
    assert len(bodies) == MALFORMED
    client, url = app.test_client(), f"/webhooks/{shop.key}"
    for body in bodies[:200]:  # so that what is allocated once does not count as growth
        client.post(url, data=body, headers=shop.headers(body))
    process = psutil.Process()
    before, statuses, seconds = process.memory_info().rss, Counter[int](), []
    for body in bodies:
        headers = shop.headers(body)
        started = time.perf_counter()
        answer = client.post(url, data=body, headers=headers)
        seconds.append(time.perf_counter() - started)
        statuses[answer.status_code] += 1
        assert 400 <= answer.status_code < 500, (SEED, answer.status_code, body[:300])
    growth = (process.memory_info().rss - before) / 2**20
    seconds.sort()
    p99 = seconds[int(len(seconds) * 0.99)] * 1000
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    told = f"seed {SEED}: {dict(statuses)}, p99 {p99:.2f} ms, max {seconds[-1] * 1000:.1f} ms, RSS +{growth:.1f} MiB (peak {peak} MiB)"
    sys.stderr.write(f"\n{told}\n")  # shown with -s, and beside a failure
    assert set(statuses) <= {400, 413, 422}, "every body was rightly signed, so each reached the parser"
    assert statuses[400] > 1000
    assert statuses[422] > 1000
    assert rows(session) == 0
    assert p99 < 200
    assert growth < 50


# --- T2: signatures ------------------------------------------------------------------------------------


def b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def signature_cases(shop: Shop, other: str, body: bytes) -> dict[str, tuple[dict[str, str], bytes, int]]:
    """Name -> (headers, body, expected status)."""
    good = shop.headers(body)
    signature = good["webhook-signature"]
    digest = signature.removeprefix("v1,")

    def changed(**headers: str) -> dict[str, str]:
        return {**good, **{f"webhook-{name}": value for name, value in headers.items()}}

    def without(name: str) -> dict[str, str]:
        return {key: value for key, value in good.items() if key != name}

    def at(seconds: float) -> dict[str, str]:
        return shop.headers(body, late=seconds)

    wrong = shop.headers(body, secret=other)["webhook-signature"]
    return {
        "right": (good, body, 202),
        "another shop's secret": (shop.headers(body, secret=other), body, 401),
        "a new secret": (shop.headers(body, secret=signing.new_secret()), body, 401),
        "no headers": ({"Content-Type": "application/json"}, body, 401),
        "no id": (without("webhook-id"), body, 401),
        "no timestamp": (without("webhook-timestamp"), body, 401),
        "no signature": (without("webhook-signature"), body, 401),
        "empty signature": (changed(signature=""), body, 401),
        "blank signature": (changed(signature="   "), body, 401),
        "only v1": (changed(signature="v1"), body, 401),
        "v1 and a comma": (changed(signature="v1,"), body, 401),
        "without version": (changed(signature=digest), body, 401),
        "truncated": (changed(signature=signature[:-5]), body, 401),
        "one character less": (changed(signature=signature[:-1]), body, 401),
        "doubled": (changed(signature=f"v1,{digest}{digest}"), body, 401),
        "v2": (changed(signature=f"v2,{digest}"), body, 401),
        "v1a": (changed(signature=f"v1a,{digest}"), body, 401),
        "V1": (changed(signature=f"V1,{digest}"), body, 401),
        "sha256=": (changed(signature=f"sha256={digest}"), body, 401),
        "in hex": (changed(signature=f"v1,{base64.b64decode(digest).hex()}"), body, 401),
        "URL alphabet": (
            changed(signature="v1," + base64.urlsafe_b64encode(b"\xfb\xff" * 16).decode()),
            body,
            401,
        ),
        "non-ASCII": (changed(signature="v1,äöü"), body, 401),
        "non-ASCII digest of the right length": (changed(signature="v1," + "ä" * 44), body, 401),
        "zeros": (changed(signature=f"v1,{b64(bytes(32))}"), body, 401),
        "20 bytes (SHA-1)": (changed(signature=f"v1,{b64(bytes(20))}"), body, 401),
        "two, the second right": (changed(signature=f"{wrong} {signature}"), body, 202),
        "two, the first right": (changed(signature=f"{signature} {wrong}"), body, 202),
        "two wrong": (changed(signature=f"{wrong} {wrong}"), body, 401),
        "a broken one beside a right one": (changed(signature=f"v1,??? {signature}"), body, 202),
        "unknown version beside a right one": (changed(signature=f"v9,abc {signature}"), body, 202),
        "a thousand signatures": (changed(signature=" ".join([wrong] * 1000)), body, 401),
        "separated by a comma": (changed(signature=f"{wrong},{signature}"), body, 401),
        "one byte more": (good, body + b" ", 401),
        "one byte less": (good, body[:-1], 401),
        "written again": (good, json.dumps(json.loads(body), indent=1).encode(), 401),
        "another order of keys": (good, json.dumps(dict(reversed(json.loads(body).items()))).encode(), 401),
        "another id": (changed(id=new_id()), body, 401),
        "another timestamp": (changed(timestamp=str(int(good["webhook-timestamp"]) - 1)), body, 401),
        "300 seconds old": (at(300), body, 202),
        "301 seconds old": (at(301), body, 401),
        "300 seconds ahead": (at(-300), body, 202),
        "301 seconds ahead": (at(-301), body, 401),
        "a day old": (at(86_400), body, 401),
        "timestamp 0": (changed(timestamp="0"), body, 401),
        "negative timestamp": (changed(timestamp="-1"), body, 401),
        "timestamp with a fraction": (changed(timestamp=good["webhook-timestamp"] + ".0"), body, 401),
        "timestamp with a plus": (changed(timestamp="+" + good["webhook-timestamp"]), body, 401),
        "timestamp with an underscore": (changed(timestamp="1_700_000_000"), body, 401),
        "timestamp in milliseconds": (changed(timestamp=good["webhook-timestamp"] + "000"), body, 401),
        "timestamp of 400 digits": (changed(timestamp="9" * 400), body, 401),
        "timestamp nan": (changed(timestamp="nan"), body, 401),
        "timestamp in superscript digits": (changed(timestamp="1²³"), body, 401),
        "timestamp as a date": (changed(timestamp=datetime.now(UTC).isoformat()), body, 401),
        "id of 65 characters": (changed(id="a" * 65), body, 400),
        "id of three": (changed(id="abc"), body, 400),
        "empty id": (changed(id=""), body, 400),
        "id with a dot": (changed(id="evt_1.2"), body, 400),
        "id with a blank": (changed(id="evt 1234"), body, 400),
        "id with non-ASCII": (changed(id="evt_ä123"), body, 400),
        "id with a quote": (changed(id="evt_1';--"), body, 400),
    }


def test_named_signature_cases_get_the_right_verdict(shop: Shop, other_shop: Shop, session: Session) -> None:
    """The clock stands still at a whole second, so that the window ends exactly where it ends."""
    with time_machine.travel(int(time.time()), tick=False):
        _right_verdicts(shop, other_shop, session)


def _right_verdicts(shop: Shop, other_shop: Shop, session: Session) -> None:
    cases = signature_cases(shop, other_shop.secret, event())
    wrong = {}
    for name, (headers, body, expected) in cases.items():
        before = rows(session)
        answer = shop.post(body, headers)
        stored = rows(session) - before
        # The same body under the same id is a duplicate of an earlier right case.
        seen = 202 if answer.status_code == 200 else answer.status_code
        if seen != expected or stored != (answer.status_code == 202):
            wrong[name] = (answer.status_code, expected, stored)
    assert not wrong
    assert len(cases) >= 40


def test_a_thousand_random_signatures_prove_nothing(shop: Shop, session: Session) -> None:
    rng, body = random.Random(SEED), event()
    alphabet = "".join(map(chr, range(32, 256)))
    for _ in range(1000):
        headers = shop.headers(body)
        digest = bytearray(base64.b64decode(headers["webhook-signature"].removeprefix("v1,")))
        kind = rng.randrange(4)
        if kind == 0:
            digest[rng.randrange(32)] ^= 1 << rng.randrange(8)
            headers["webhook-signature"] = f"v1,{b64(bytes(digest))}"
        elif kind == 1:
            headers["webhook-signature"] = f"v1,{b64(rng.randbytes(rng.randint(0, 64)))}"
        elif kind == 2:
            headers["webhook-signature"] = "".join(rng.choices(alphabet, k=rng.randint(0, 200)))
        else:
            headers["webhook-timestamp"] = str(
                int(headers["webhook-timestamp"]) + rng.choice([-1, 1]) * rng.randint(1, 10**6)
            )
        assert shop.post(body, headers).status_code == 401, (SEED, headers)
    assert rows(session) == 0


def test_unknown_address_and_wrong_signature_are_answered_alike(shop: Shop) -> None:
    body = event()
    bad = {**shop.headers(body), "webhook-signature": f"v1,{b64(bytes(32))}"}
    known = shop.post(body, bad)
    keys = [
        "cn_00000000000000000000",
        "x",
        "cn_" + "é",
        "cn_%00",
        "' OR 1=1",
        "a" * 3000,
        shop.key.upper(),
        shop.key + "0",
    ]
    for key in keys:
        unknown = shop.post(body, bad, key=key)
        assert unknown.status_code == known.status_code == 401
        assert dict(unknown.headers) == dict(known.headers)
        told, also = unknown.get_json()["error"], known.get_json()["error"]
        assert abs(told.pop("server_time") - also["server_time"]) <= 2
        assert told == {name: value for name, value in also.items() if name != "server_time"}


def test_a_rightly_signed_event_to_another_shop_is_refused(
    shop: Shop, other_shop: Shop, session: Session
) -> None:
    body = event()
    assert shop.post(body, other_shop.headers(body)).status_code == 401
    assert rows(session) == 0


# --- T3: replays ---------------------------------------------------------------------------------------


def test_two_thousand_replays_have_one_effect_each(shop: Shop, other_shop: Shop, session: Session) -> None:
    rng, sent, replays = random.Random(SEED), 0, 0
    while replays < 2000:
        body, delivery, times = event(sequence=sent + 1), new_id(), rng.randint(1, 50)
        verdicts = Counter[int]()
        for _ in range(times):
            late = rng.choice([0, 0, 100, -100, 280])
            verdicts[shop.post(body, shop.headers(body, delivery, late=late)).status_code] += 1
        outside = rng.choice([-600, 600, 400])
        assert shop.post(body, shop.headers(body, delivery, late=outside)).status_code == 401
        assert verdicts == Counter({202: 1, 200: times - 1}) - Counter({200: 0})
        replays, sent = replays + times, sent + 1
    assert rows(session) == sent
    body = event()
    assert other_shop.post(body, other_shop.headers(body, delivery)).status_code == 202, (
        "ids of two shops are independent"
    )


# --- T5: size and time ---------------------------------------------------------------------------------


def raw_post(shop: Shop, stream: Any, headers: dict[str, str], **environ: Any) -> Any:
    """A request as the web server hands it over, without what the test client mends."""
    return shop.app.test_client().post(
        f"/webhooks/{shop.key}", headers=headers, environ_overrides={"wsgi.input": stream, **environ}
    )


CHUNKED = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}


class Watched(io.RawIOBase):
    """An endless body that counts how much of it was read."""

    def __init__(self) -> None:
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.taken += len(buffer)
        buffer[:] = b"[" * len(buffer)
        return len(buffer)


@pytest.mark.parametrize("size", [256 * 1024 + 1, 50 * 2**20])
def test_too_large_is_refused_before_reading(size: int, shop: Shop, session: Session) -> None:
    stream = Watched()
    answer = raw_post(shop, stream, shop.headers(b""), CONTENT_LENGTH=str(size))
    assert answer.status_code == 413
    assert answer.get_json()["error"]["code"] == "body.too_large"
    assert stream.taken == 0
    assert rows(session) == 0


def test_an_endless_chunked_body_is_cut_off(shop: Shop) -> None:
    stream = Watched()
    assert raw_post(shop, stream, shop.headers(b""), **CHUNKED).status_code == 413
    assert stream.taken <= 2 * 256 * 1024


def test_a_chunked_body_within_the_limit_is_accepted(shop: Shop) -> None:
    body = event()
    assert raw_post(shop, io.BytesIO(body), shop.headers(body), **CHUNKED).status_code == 202


def test_exactly_256_kib_are_accepted(shop: Shop) -> None:
    body = event(data={"x": ""})
    body = body.replace(b'"x": ""', b'"x": "' + b"a" * (256 * 1024 - len(body)) + b'"')
    assert len(body) == 256 * 1024
    assert shop.post(body).status_code == 202
    assert shop.post(body + b" ").status_code == 413


@pytest.mark.parametrize("length", ["-1", "abc", "1e5", "9" * 40, "０"])
def test_a_nonsense_length_makes_no_500(length: str, shop: Shop, session: Session) -> None:
    body = event()
    answer = raw_post(shop, io.BytesIO(body), shop.headers(body), CONTENT_LENGTH=length)
    assert 400 <= answer.status_code < 500
    assert rows(session) == 0


def test_a_shorter_body_than_promised_is_not_accepted(shop: Shop, session: Session) -> None:
    body = event()
    answer = raw_post(shop, io.BytesIO(body), shop.headers(body), CONTENT_LENGTH=str(len(body) + 100))
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "body.incomplete")
    assert rows(session) == 0


BOMBS = {
    "many small keys": with_data("{" + ",".join(f'"{n}":1' for n in range(25_000)) + "}"),
    "many lists": with_data("[" + ",".join(["[]"] * 60_000) + "]"),
    "deep and wide": with_data("[" + ",".join(["[[[[[[[[[[1]]]]]]]]]]"] * 8000) + "]"),
    "one integer of 200,000 digits": with_data("1" * 200_000),
    "many integers of 4,000 digits": with_data("[" + ",".join(["1" * 4000] * 50) + "]"),
    "many fractions": with_data("[" + ",".join(["0.1e-300"] * 20_000) + "]"),
    "one text of escapes": with_data('"' + "\\u00e9" * 40_000 + '"'),
    "open brackets in a text": with_data('"' + "[" * 200_000 + '"'),
    "many surrogate pairs": with_data('"' + "\\ud83d\\ude00" * 20_000 + '"'),
    "many backslashes": with_data('"' + "\\\\" * 120_000 + '"'),
    "open objects": b'{"a":' * 50_000,
    "alternating brackets": b"[{" * 100_000,
    "colons": b":" * 250_000,
    "keys that collide in nothing": with_data(
        "{" + ",".join(f'"{"k" * 200}{n}":{n}' for n in range(1000)) + "}"
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_body_takes_long(name: str, shop: Shop) -> None:
    body = BOMBS[name]
    assert len(body) <= 256 * 1024
    headers = shop.headers(body)
    started = time.process_time()
    answer = shop.post(body, headers)
    spent = time.process_time() - started
    assert answer.status_code in {202, 400, 422}
    # A sixth of a second at most on an idle machine; beside a large heap the collector of garbage takes as long again.
    assert spent < 2, f"{spent:.2f} s of processor time"


# --- T6: content types ---------------------------------------------------------------------------------

WRONG_TYPES = [
    "text/plain",
    "text/json",
    "text/html",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "text/xml",
    "application/json; charset=utf-16",
    "application/json; charset=iso-8859-1",
    "application/json; charset=bogus",
    "application/json; charset=utf-7",
    "application/jsonp",
    "application/json5",
    "application/x-ndjson",
    "application/vnd.api+json",
    "application/octet-stream",
    "application/json, text/plain",
    "json",
    "",
    "\xe4\xf6",
    "application/json\x00",
]


@pytest.mark.parametrize("content_type", WRONG_TYPES)
def test_other_content_types_are_415(content_type: str, shop: Shop, session: Session) -> None:
    body = event()
    answer = shop.post(body, {**shop.headers(body), "Content-Type": content_type})
    assert answer.status_code == 415
    assert rows(session) == 0


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "Application/JSON",
    ],
)
def test_json_in_utf_8_is_accepted(content_type: str, shop: Shop) -> None:
    body = event()
    assert shop.post(body, {**shop.headers(body), "Content-Type": content_type}).status_code == 202


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP", "x"])
def test_compressed_bodies_are_415(encoding: str, shop: Shop, session: Session) -> None:
    body = gzip.compress(b"0" * 100_000_000 if encoding == "gzip" else event(), 9)
    assert len(body) < 256 * 1024
    answer = shop.post(body, {**shop.headers(body), "Content-Encoding": encoding})
    assert answer.status_code == 415
    assert rows(session) == 0


def test_identity_encoding_is_no_encoding(shop: Shop) -> None:
    body = event()
    assert shop.post(body, {**shop.headers(body), "Content-Encoding": "identity"}).status_code == 202
