"""T14: thirty canaries are driven through every way into the log, at every level, and none may come out."""

import io
import json
import logging
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from app.logs import REDACTED, configure, is_personal_name, is_secret_name, on_every_line, redact, redact_text

# field name -> value; each value is known by its form or by the name it travels under.
CANARIES = {
    "event_secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    "Authorization": "Bearer k4nar1e.n-v0gel",
    "Proxy-Authorization": "Basic YW5uYTpnZWhlaW0=",
    "Shop-Signature": "da0b65f3c9e1kanarie",
    "secret_key": "kaufland-kanarie-1",
    "secretKey": "kaufland-kanarie-2",
    "api_key": "AKIAKANARIE3",
    "X-Api-Key": "mirakl-kanarie-4",
    "client_secret": "otto-kanarie-5",
    "access_token": "otto-kanarie-6",
    "refresh_token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJrYW5hcmllIn0.c2lnbmF0dXI",
    "consumer_key": "ck_0123456789abcdef0123456789abcdef01234567",
    "consumer_secret": "cs_89abcdef0123456789abcdef0123456789abcdef",
    "password": "kanarie-7!",
    "db_passwd": "kanarie-8",
    "master_keys": "kanarie-9-c3VwZXJnZWhlaW0=",
    "stripe": "sk_live_51Kanarie10",
    "Set-Cookie": "session-kanarie-11",
    "credentials": "kanarie-12",
    "database": "postgresql://anna:kanarie13@db.example/x",
    "iban": "DE89370400440532013000",
    "iban_printed": "AT61 1904 3002 3457 3201",
    "email": "chai.kanarie@gmbh.example",
    "reply_to": "boldt+kanarie@buecher.example",
    "phone": "+49 151 23456789",
    "call": "0151 98765432",
    "street": "Teegasse 7b",
    "ship_to": "Lange Kanarienstraße 12",
    "last_name": "Kanarienvogel",
}
# Known only by the name they travel under; bare in a sentence nobody could tell them from an order number.
NAMED_ONLY = {
    "Shop-Signature", "secret_key", "secretKey", "api_key", "X-Api-Key", "client_secret", "access_token", "password",
    "db_passwd", "master_keys", "Set-Cookie", "credentials", "last_name",
}  # fmt: skip
LEVELS = ("debug", "info", "warning", "error", "critical")


@pytest.fixture(params=[True, False], ids=["json", "console"])
def out(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("debug", json=request.param, stream=stream)
    yield stream
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def needle(value: str) -> str:
    """The part of a canary that must not be readable; a URL may keep its host."""
    return "kanarie13" if "kanarie13" in value else value.removeprefix("Bearer ").removeprefix("Basic ")


def hits(text: str) -> list[str]:
    return [name for name, value in CANARIES.items() if needle(value) in text]


def test_there_are_thirty_canaries() -> None:
    assert len(CANARIES) == 30


@pytest.mark.parametrize("level", LEVELS)
def test_no_canary_comes_out_at_any_level(out: io.StringIO, level: str) -> None:
    log, plain = structlog.get_logger("bridge"), logging.getLogger("library")
    for name, value in CANARIES.items():
        getattr(log, level)("in a field", **{name: value})
        getattr(log, level)(
            "deep", data={"a": [{"b": {name: value}}], "c": (value if name not in NAMED_ONLY else 1,)}
        )
        getattr(log, level)(f"in the message {name}={value}")
        getattr(log, level)(f"as json {json.dumps({name: value, 'id': 4})}")
        getattr(log, level)(f"as repr { ({name: value, 'id': 4})!r}")
        getattr(log, level)("an argument %s", {name: value})
        getattr(log, level)(
            "an object", thing=type("Thing", (), {"__repr__": lambda self, n=name, v=value: f"<{n}={v!r}>"})()
        )
        getattr(plain, level)("%s: %s", name, value)
        getattr(plain, level)("header %s", [name, value] if name not in NAMED_ONLY else {name: value})
        getattr(plain, level)("extra", extra={name: value})
        if name not in NAMED_ONLY:
            getattr(log, level)(f"bare {value} in a sentence")
            getattr(log, level)("as a key", data={value: 1})
            getattr(log, level)("bytes", raw=value.encode())
    assert out.getvalue().count("\n") >= 30 * 10
    assert hits(out.getvalue()) == []


@pytest.mark.parametrize("level", ["debug", "error"])
def test_no_canary_comes_out_in_a_traceback(out: io.StringIO, level: str) -> None:
    log, plain = structlog.get_logger("bridge"), logging.getLogger("library")
    for name, value in CANARIES.items():
        local = {name: value}
        try:
            try:
                raise KeyError(f"{name}={value}")
            except KeyError as cause:
                raise RuntimeError(f"the partner said {json.dumps(local)}") from cause
        except RuntimeError as error:
            error.add_note(f"{name}: {value}")
            getattr(log, level)("failed", exc_info=True)
            getattr(plain, level)("failed", exc_info=True)
            getattr(log, level)("failed", error=error)
            getattr(plain, level)("failed: %s", error)
    text = out.getvalue()
    assert "RuntimeError" in text
    assert "Traceback" in text
    assert hits(text) == []


def test_no_canary_comes_out_of_the_context_or_of_a_warning(out: io.StringIO) -> None:
    for name, value in CANARIES.items():
        with on_every_line(**{name: value}):
            logging.getLogger("library").info("in the context")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(f"{name}={value}", stacklevel=1)
    assert "in the context" in out.getvalue()
    assert "UserWarning" in out.getvalue()
    assert hits(out.getvalue()) == []


def test_a_json_line_says_when_who_what_and_for_whom() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure("info", json=True, stream=stream)
        with on_every_line(event="evt_1", connection=7):
            structlog.get_logger("app.jobs").info("event %s", "done", pieces=3)
            logging.getLogger("rq.worker").debug("not shown")
            logging.getLogger("rq.worker").warning("slow")
        structlog.get_logger("app.jobs").info("alone")
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    first, second, third = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["event"], first["level"], first["logger"], first["pieces"], first["connection"]) == (
        "event done", "info", "app.jobs", 3, 7,
    )  # fmt: skip
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["connection"], second["logger"]) == ("slow", 7, "rq.worker")
    assert "connection" not in third


def test_configuring_twice_does_not_double_the_lines(out: io.StringIO) -> None:
    configure("debug", json=True, stream=out)
    logging.getLogger("library").info("once")
    assert out.getvalue().count("once") == 1


@pytest.mark.parametrize(
    "text",
    [
        "event evt_01HZX done in 12.5 ms, 3 of 3 pieces",
        "order 4711 (ord_88) shipped with 00340434161094015902 by DHL",
        "tracking JJD000390007812345678 1Z999AA10123456784 LX123456789DE CJ123456785DE 01234567890123",
        "SKU TEE-001 GTIN 4006381333931 price 7.90 EUR",
        "2026-11-21T14:02:11.123456Z 2026-11-21 14:02:11,123 127.0.0.1:8001 [::1]:443",
        "code=partner.refused status=422 operation=order.ship key=ord_88",
        "https://sellerapi.kaufland.com/v2/units?page=2&limit=100",
        "capacity: 5, velocity=3, publicity: x, compass: north",
        'File "app/outbound.py", line 312, in _exchange',
        "Traceback (most recent call last):",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "",
        "ok",
    ],
)
def test_ordinary_lines_stay_readable(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("password=geheim&page=2", f"password={REDACTED}&page=2"),
        ('{"api_key": "a\\"b", "id": 3}', f'{{"api_key": {REDACTED}, "id": 3}}'),
        ('{\\"token\\": \\"abc\\", \\"id\\": 3}', f'{{\\"token\\": {REDACTED}, \\"id\\": 3}}'),
        ("{'secret': 'x y', 'n': 1}", f"{{'secret': {REDACTED}, 'n': 1}}"),
        (
            '{"a": {"b": {"token": null, "street": "Weg',
            f'{{"a": {{"b": {{"token": null, "street": {REDACTED}',
        ),
        ("redis://:geheim@h:6379/0", f"redis://{REDACTED}@h:6379/0"),
        ("Authorization: Bearer abc.def next", f"Authorization: {REDACTED} next"),
        ("mail anna@tee.example now", f"mail {REDACTED} now"),
        ('"phones": ["+4915112345678", "1"]', f'"phones": {REDACTED}'),
    ],
)
def test_only_the_value_is_taken_out(text: str, clean: str) -> None:
    assert redact_text(text) == clean


@pytest.mark.parametrize(
    "name", ["Shop-Signature", "shopSignature", "x_api_key", "PASSWORD", "consumer_key", "pwd", "Set-Cookie"]
)
def test_secret_names_are_known_in_every_spelling(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["id", "sku", "key", "status", "page", "code", "shop", "compass", "author", "tracking_number", "title"],
)
def test_ordinary_names_are_neither_secret_nor_personal(name: str) -> None:
    assert not is_secret_name(name)
    assert not is_personal_name(name)


@pytest.mark.parametrize(
    "name", ["firstName", "first_name", "street", "billing_street", "houseNumber", "zipCode", "city", "phone_1", "email", "IBAN", "address_1", "address1"]
)  # fmt: skip
def test_personal_names_are_known_in_every_spelling(name: str) -> None:
    assert is_personal_name(name)


def test_shape_and_harmless_values_stay() -> None:
    data = {
        "units": [{"id": 1, "price": 7.5, "email": None, "phone": "", "token": True, "ok": False}],
        "n": None,
    }
    assert redact(data) == data


def test_redacting_changes_nothing_in_place() -> None:
    data: dict[str, Any] = {"a": [{"password": "geheim"}]}
    assert redact(data) == {"a": [{"password": REDACTED}]}
    assert data == {"a": [{"password": "geheim"}]}


@given(st.text(max_size=300))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@pytest.mark.parametrize(
    "part",
    [
        "a",
        "a-",
        "+49 1",
        "AB12",
        "AB12 ",
        "secret",
        "1.",
        "a.b%40",
        "Ab ",
        'email="',
        "://a",
        "a:",
        "a=\\",
        "0123 ",
        "eyJ.",
        "{[",
    ],
)
def test_a_hostile_text_does_not_hold_the_log(part: str) -> None:
    text = part * (20_000 // len(part))
    started = time.thread_time()  # a busy machine does not count
    redact_text(text)
    assert time.thread_time() - started < 0.5
