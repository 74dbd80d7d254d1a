import base64
import hmac
import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from app.shops import signing
from app.shops.signing import SignatureInvalid, new_secret, sign, verify

NOW = datetime(2026, 11, 21, 14, 2, 11, tzinfo=UTC)
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
OTHER = "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWY="
BODY = '{"type": "order.changed", "data": {"name": "Grüner Tee"}}'.encode()
ID = "evt_2KWPBgLlAfxdpx2AI54pPJ85f4W"


def signed(body: bytes = BODY, **changed: str) -> dict[str, str]:
    return sign([SECRET], ID, body, NOW) | {name.replace("_", "-"): value for name, value in changed.items()}


def test_a_right_signature_tells_the_id_the_time_and_the_secret() -> None:
    proven = verify([SECRET], signed(), BODY, NOW)
    assert (proven.id, proven.at, proven.secret) == (ID, NOW.replace(microsecond=0), 0)


def test_the_published_library_understands_ours_and_we_understand_it() -> None:
    now = datetime.now(UTC)
    Webhook(SECRET).verify(BODY, sign([SECRET], ID, BODY, now))
    theirs = Webhook(SECRET).sign(ID, now, BODY.decode())
    headers = {"webhook-id": ID, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": theirs}
    assert verify([SECRET], headers, BODY, now).id == ID


def test_the_vector_of_the_standard_webhooks_specification() -> None:
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    body = b'{"test": 2432232314}'
    at = datetime.fromtimestamp(1614265330, UTC)
    assert verify(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], headers, body, at).at == at


def test_header_names_in_any_case_and_order() -> None:
    shouted = {name.upper(): value for name, value in reversed(signed().items())}
    assert verify([SECRET], shouted, BODY, NOW)


def test_a_secret_in_rotation_is_accepted_as_long_as_it_is_in_the_list() -> None:
    old = sign([OTHER], ID, BODY, NOW)
    assert verify([SECRET, OTHER], old, BODY, NOW).secret == 1
    with pytest.raises(SignatureInvalid):
        verify([SECRET], old, BODY, NOW)


def test_a_sender_in_rotation_signs_with_both_and_either_receiver_is_content() -> None:
    both = sign([SECRET, OTHER], ID, BODY, NOW)
    assert len(both["webhook-signature"].split(" ")) == 2
    assert verify([SECRET], both, BODY, NOW).secret == 0
    assert verify([OTHER], both, BODY, NOW).secret == 0


@pytest.mark.parametrize("seconds", [-300, -1, 0, 1, 300])
def test_inside_of_the_window(seconds: int) -> None:
    assert verify([SECRET], signed(), BODY, NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-86_400, -301, 301, 600, 10**9])
def test_outside_of_the_window(seconds: int) -> None:
    with pytest.raises(SignatureInvalid, match="signature"):
        verify([SECRET], signed(), BODY, NOW + timedelta(seconds=seconds))


GOOD_SIGNATURE = signed()["webhook-signature"]
DIGEST = GOOD_SIGNATURE.removeprefix("v1,")

MALFORMED: list[dict[str, str]] = [
    *[
        {"webhook_signature": value}
        for value in (
            "",
            " ",
            "v1",
            "v1,",
            ",",
            "v1,,",
            DIGEST,
            "v2," + DIGEST,
            "v1a," + DIGEST,
            "V1," + DIGEST,
            "v1, " + DIGEST,
            "v1," + DIGEST[:-1],
            "v1," + DIGEST[:-4],
            "v1," + DIGEST + "=",
            "v1," + DIGEST + "AAAA",
            "v1," + DIGEST.replace("=", ""),
            "v1,ä",
            "v1,\udc80",
            "v1,٣٣٣٣",
            "v1,not base64!",
            "v1," + "A" * 43 + "=",
            "v1," + base64.b64encode(b"x" * 31).decode(),
            "v1," + base64.b64decode(DIGEST).hex(),
            f"v1,{base64.b64encode(b'y' * 32).decode()} v1",
            "\x00",
            "v1," + "A" * 100_000,
            " ".join(["v1," + DIGEST] * 17),
            "v1," + DIGEST[::-1],
        )
    ],
    *[
        {"webhook_timestamp": value}
        for value in (
            "",
            "now",
            "-1",
            "1.5e9",
            "1700000000.0",
            " 1700000000",
            "٢٠٢٦",
            "9" * 30,
            "1795269731\n",
            "0x1",
            "NaN",
        )
    ],
    *[
        {"webhook_id": value}
        for value in ("", "evt", "evt_ü", "evt_1.2", "evt_1 2", "x" * 65, "evt_1\n", ID + "x")
    ],
]


@pytest.mark.parametrize("changed", MALFORMED)
def test_malformed_headers_end_in_the_one_clean_failure(changed: dict[str, str]) -> None:
    with pytest.raises(SignatureInvalid) as caught:
        verify([SECRET, OTHER], signed(**changed), BODY, NOW)
    assert caught.value.code == "signature.invalid"
    assert dict(caught.value.params) == {}  # nothing that could be told to a stranger


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header(missing: str) -> None:
    headers = {name: value for name, value in signed().items() if name != missing}
    with pytest.raises(SignatureInvalid):
        verify([SECRET], headers, BODY, NOW)


def test_a_malformed_entry_beside_a_right_one_does_no_harm() -> None:
    for odd in ("v1", "v1,ä", "v2,x", "", "v1," + base64.b64encode(b"x" * 32).decode()):
        assert verify([SECRET], signed(webhook_signature=f"{odd} {GOOD_SIGNATURE}"), BODY, NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        BODY + b" ",
        BODY[:-1],
        BODY.replace(b"G", b"g"),
        json.dumps(json.loads(BODY)).encode(),
        BODY.decode().encode("utf-16"),
    ],
)
def test_another_body_is_refused(body: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        verify([SECRET], signed(), body, NOW)


def test_a_signed_body_that_is_no_utf8_is_a_bad_body_and_no_bad_signature() -> None:
    latin = "Grüner Tee".encode("latin-1")
    assert verify([SECRET], sign([SECRET], ID, latin, NOW), latin, NOW)


def test_without_secrets_nothing_is_accepted() -> None:
    with pytest.raises(SignatureInvalid):
        verify([], signed(), BODY, NOW)


def test_1000_random_forgeries_fail_and_1000_right_ones_pass() -> None:
    draw = random.Random(7)
    for _ in range(1_000):
        secret, body = new_secret(), draw.randbytes(draw.randrange(200))
        headers = sign([secret], ID, body, NOW)
        assert verify([OTHER, secret], headers, body, NOW).secret == 1
        with pytest.raises(SignatureInvalid):
            verify([OTHER, SECRET], headers, body, NOW)


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.sampled_from(list(signed())), st.text(max_size=60)), st.binary(max_size=50))
def test_any_headers_and_any_body_raise_nothing_else(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        verify([SECRET], signed() | headers | {"webhook-id": "evt_never_signed_like_this"}, body, NOW)


def test_digests_are_compared_in_constant_time_and_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []

    def watched(left: bytes, right: bytes) -> bool:
        compared.append((len(left), len(right)))
        return real(left, right)

    real = hmac.compare_digest
    monkeypatch.setattr(signing.hmac, "compare_digest", watched)
    verify([SECRET, OTHER], signed(webhook_signature=f"{GOOD_SIGNATURE} {GOOD_SIGNATURE}"), BODY, NOW)
    assert compared == [(32, 32)] * 4  # two secrets, two signatures, no early way out


def test_an_id_or_a_secret_that_no_receiver_would_take_is_our_own_defect() -> None:
    for secrets, message_id in (
        ([], ID),
        ([SECRET], "no"),
        ([SECRET], "a.b.c.d"),
        (["whsec_AAAA"], ID),
        (["whsec_!"], ID),
    ):
        with pytest.raises(ValueError, match=r"secret|64 characters|base64|padded|characters"):
            sign(secrets, message_id, BODY, NOW)


def test_new_secrets_are_32_random_bytes() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(len(base64.b64decode(each.removeprefix("whsec_"))) == 32 for each in made)


def test_the_library_alone_would_have_made_a_500() -> None:
    """Why this module exists: when this fails, the library has been mended."""
    with pytest.raises(ValueError, match="unpack"):
        Webhook(SECRET).verify(
            BODY, sign([SECRET], ID, BODY, datetime.now(UTC)) | {"webhook-signature": "v1"}
        )
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY, signed())
