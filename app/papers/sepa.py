"""A file with SEPA credit transfers (pain.001) for a bank, made by sepaxml and checked against the schema that it ships. Pure.

Only a licensed payment service may hand such a file in for money that it collected for others; who calls this has checked that. What may go
wrong: a name with letters that SEPA does not know (they are spelled out), or an IBAN that is none (the file is refused whole).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from xml.etree import ElementTree as ET

from sepaxml import SepaTransfer
from sepaxml.validation import ValidationError

from app.errors import Refused

SCHEMA: Final = "pain.001.001.09"  # what German banks take since November 2025
LONGEST_NAME: Final = 70
LONGEST_TEXT: Final = 140
LONGEST_ID: Final = 35
_ID: Final = re.compile(r"[A-Za-z0-9/\-?:().,'+ ]{1,35}")


@dataclass(frozen=True)
class Payer:
    """The operator's account. `bic` only where the bank wants it."""

    name: str
    iban: str
    bic: str | None = None


@dataclass(frozen=True)
class Transfer:
    """One transfer. `amount` in cents; `reference` comes back on the statement (at most 35 letters and digits); `text` is for people."""

    name: str
    iban: str
    amount: int
    reference: str
    text: str
    bic: str | None = None


def credit_transfers(
    payer: Payer, transfers: Sequence[Transfer], *, message_id: str, day: date, made_at: datetime
) -> bytes:
    """The file, in EUR; the same arguments make the same bytes. `day`: when the bank carries it out; `made_at` aware.

    Raises ValueError without transfers or with an id that SEPA does not allow, Refused("payment.file_invalid") for what the schema refuses.
    """
    if not transfers:
        raise ValueError("a file needs at least one transfer")
    for each in (message_id, *(transfer.reference for transfer in transfers)):
        if not _ID.fullmatch(each):
            raise ValueError(f"{each!r} is no id of SEPA")
    config = {"name": payer.name, "IBAN": payer.iban, "currency": "EUR", "batch": True}
    if payer.bic:
        config["BIC"] = payer.bic
    made = _Numbered(config, message_id, made_at)
    for transfer in transfers:
        made.add_payment(_payment(transfer, day))
    try:
        return bytes(made.export(validate=True))
    except ValidationError as error:
        raise Refused("payment.file_invalid", why=str(error.__cause__ or error)[:300]) from error


def _payment(transfer: Transfer, day: date) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": _line(transfer.name),
        "IBAN": transfer.iban,
        "amount": transfer.amount,
        "execution_date": day,
        "description": _line(transfer.text)[:LONGEST_TEXT],
        "endtoend_id": transfer.reference,
    }
    return {**found, "BIC": transfer.bic} if transfer.bic else found


def _line(text: str) -> str:
    """Without tabs, line breaks and other control characters, of which XML does not know all."""
    return "".join(" " if unicodedata.category(each) == "Cc" else each for each in text).strip()


class _Numbered(SepaTransfer):
    """sepaxml draws ids and takes the time by itself; a file that is made again must be the same file (invariant 19)."""

    def __init__(self, config: dict[str, Any], message_id: str, made_at: datetime) -> None:
        self._our_id, self._our_time = message_id, made_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        super().__init__(config, schema=SCHEMA, clean=True)

    def _create_header(self) -> None:
        self.msg_id = self._our_id
        super()._create_header()
        self._set("CreDtTm", self._our_time)

    def _finalize_batch(self) -> None:
        super()._finalize_batch()
        self._set("PmtInfId", hashlib.sha256(self._our_id.encode()).hexdigest()[:LONGEST_ID])

    def _set(self, name: str, value: str) -> None:
        root: ET.Element = self._xml
        for found in root.iter(name):
            found.text = value
