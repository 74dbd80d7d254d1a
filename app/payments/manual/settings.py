"""What an operator says about payments by hand: whether he may collect other people's money, and from which account he pays.

What may go wrong: an operator without a licence lets the bridge write transfer files. Collecting retailers' money and forwarding it to
suppliers is a payment service (ZAG, section 1); the switch is therefore off, and says so.
"""

from __future__ import annotations

from typing import Any, Final

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validate, validates_schema
from stdnum import bic as bics
from stdnum import iban as ibans

LONGEST_NAME: Final = 70  # of a party in a SEPA transfer


def _said(german: str, english: str) -> dict[str, str]:
    return {"de": german, "en": english}


def _iban(value: str) -> None:
    if not ibans.is_valid(value):
        raise ValidationError("must be a valid IBAN")


def _bic(value: str) -> None:
    if not bics.is_valid(value):
        raise ValidationError("must be a valid BIC")


class ManualSettings(Schema):
    """Settings of payments by hand."""

    class Meta:
        unknown = EXCLUDE

    licensed_operator = fields.Boolean(
        load_default=False,
        metadata={
            "label": _said("Zugelassener Zahlungsdienst", "Licensed payment service"),
            "help": _said(
                "Nur einschalten, wenn der Betreiber eine Erlaubnis nach dem ZAG hat: Geld der Händler einzusammeln und an Lieferanten "
                "weiterzuleiten ist ein Zahlungsdienst.",
                "Switch on only when the operator holds a payment licence: collecting retailers' money and forwarding it to suppliers is a "
                "payment service.",
            ),
        },
    )
    name = fields.String(
        load_default="",
        validate=validate.Length(max=LONGEST_NAME),
        metadata={
            "label": _said("Kontoinhaber", "Account holder"),
            "help": _said("Für SEPA-Dateien.", "For SEPA files."),
        },
    )
    iban = fields.String(
        load_default=None,
        allow_none=True,
        validate=_iban,
        metadata={
            "label": _said("IBAN des Zahlungskontos", "IBAN of the paying account"),
            "help": _said("Für SEPA-Dateien.", "For SEPA files."),
            "secret": True,
        },
    )
    bic = fields.String(
        load_default=None,
        allow_none=True,
        validate=_bic,
        metadata={
            "label": _said("BIC", "BIC"),
            "help": _said("Nur wenn die Bank sie verlangt.", "Only when the bank asks for it."),
        },
    )

    @pre_load
    def compact(self, data: Any, **_: Any) -> Any:
        """IBANs are written in groups of four; an empty field is none."""
        if not isinstance(data, dict):
            return data
        clean = dict(data)
        for name in ("iban", "bic"):
            if isinstance(clean.get(name), str):
                clean[name] = "".join(clean[name].split()).upper() or None
        return clean

    @validates_schema
    def whole_account(self, data: dict[str, Any], **_: Any) -> None:
        """A licensed operator writes files, and these need an account to pay from."""
        if data["licensed_operator"] and not (data["name"].strip() and data["iban"]):
            raise ValidationError("is needed for SEPA files", "name" if data["iban"] else "iban")
