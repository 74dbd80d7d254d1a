"""Standard Webhooks signatures for both directions (docs/protocol.md section 1): events in, commands out.

Whatever is wrong with a signature ends in one SignatureInvalid, so that a caller answers the same 401 to everybody and
nobody can make a 500. What exactly was wrong is only for our log.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets as randomness
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from standardwebhooks.webhooks import hmac_data

from app.errors import Refused

TOLERANCE = 300  # seconds either way
MAX_SIGNATURES = 16  # in one header: more is no rotation but an attack on our processor
SECRET_BYTES = 32
PREFIX = "whsec_"

_ID = re.compile(r"[A-Za-z0-9_-]{4,64}")
_SECONDS = re.compile(r"[0-9]{1,11}")


class SignatureInvalid(Refused):
    """The message is not proven to come from whom it says. `problem` is for our log, never for the answer (T4)."""

    def __init__(self, problem: str) -> None:
        super().__init__("signature.invalid")
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Signed:
    """What a right signature proves: the id, when this try was signed, and which secret did it (0 = the newest)."""

    id: str
    at: datetime
    secret: int


def new_secret() -> str:
    """A secret for one direction of one connection: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(randomness.token_bytes(SECRET_BYTES)).decode()


def sign(secret_list: Sequence[str], message_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """The three headers for this body, with one signature for every secret (newest first) while one is being rotated.

    Raises ValueError for an id that a receiver would not accept, or when there is no secret: that is a defect of ours.
    """
    if not _ID.fullmatch(message_id) or not secret_list:
        raise ValueError("an id of 4 to 64 characters A-Z a-z 0-9 _ - and at least one secret are needed")
    seconds = str(int(now.timestamp()))
    message = _message(message_id, seconds, body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(
            f"v1,{_base64(hmac_data(_key(secret), message))}" for secret in secret_list
        ),
    }


def verify(secret_list: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime) -> Signed:
    """Checks the signature of the raw body against every valid secret (newest first), in constant time.

    Raises SignatureInvalid for whatever is missing, malformed, old or wrong (T2); nothing else for any header or body.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id = _matching(given, "webhook-id", _ID)
    seconds = _matching(given, "webhook-timestamp", _SECONDS)
    if abs(now.timestamp() - int(seconds)) > TOLERANCE:
        raise SignatureInvalid("the timestamp is outside of the window")
    signatures = _signatures(given.get("webhook-signature", ""))
    which = _which(secret_list, _message(message_id, seconds, body), signatures)
    return Signed(id=message_id, at=datetime.fromtimestamp(int(seconds), UTC), secret=which)


def _matching(headers: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str:
    value = headers.get(name, "")
    if not pattern.fullmatch(value):
        raise SignatureInvalid(f"{name} is missing or malformed")
    return value


def _signatures(header: str) -> list[bytes]:
    """The 32-byte digests of version 1 in the header. One malformed entry beside a good one does no harm."""
    entries = header.split(" ")
    if len(entries) > MAX_SIGNATURES:
        raise SignatureInvalid("too many signatures")
    found = [digest for entry in entries if len(digest := _digest(entry)) == 32]
    if not found:
        raise SignatureInvalid("no readable v1 signature")
    return found


def _digest(entry: str) -> bytes:
    version, _, text = entry.partition(",")
    if version != "v1" or not text.isascii():
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _which(secret_list: Sequence[str], message: bytes, signatures: Sequence[bytes]) -> int:
    """The place of the first secret that made one of the signatures. All pairs are compared: the time says nothing."""
    found = -1
    for place, secret in enumerate(secret_list):
        expected = hmac_data(_key(secret), message)
        for signature in signatures:
            if hmac.compare_digest(expected, signature) and found < 0:
                found = place
    if found < 0:
        raise SignatureInvalid("no signature matches")
    return found


def _message(message_id: str, seconds: str, body: bytes) -> bytes:
    """What is signed. The library's sign() wants text; a body that is no UTF-8 must still be told from a forged one."""
    return f"{message_id}.{seconds}.".encode() + body


def _key(secret: str) -> bytes:
    """The HMAC key in a secret. ValueError when it is none: a stored secret that is broken is a defect of ours."""
    key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    if len(key) < 24:  # Standard Webhooks: 24 to 64 bytes
        raise ValueError("a webhook secret is too short")
    return key


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
