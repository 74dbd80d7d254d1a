"""Bank accounts that are paid out to: IBAN, BIC and holder, by python-stdnum.

What may go wrong: one digit is wrong. The check digits find that before money leaves; whether the account is the holder's only the bank knows.
"""

from __future__ import annotations

from stdnum import bic, iban
from stdnum.exceptions import InvalidChecksum, ValidationError

from app.messages import Reason


def clean(value: str) -> str:
    """Capital letters without blanks, the way banks exchange it."""
    return "".join(value.split()).upper()


def shown(value: str) -> str:
    """An IBAN for eyes that need not see all of it: country and the last four digits."""
    return f"{value[:2]}** **** {value[-4:]}" if len(value) > 8 else "****"


def mistakes(number: str, code: str, holder: str, field: str = "bank") -> list[Reason]:
    """What is wrong, each with `field` like "bank.iban". The BIC may be empty: within SEPA nobody needs it."""
    found = [_iban(number, f"{field}.iban"), _bic(code, f"{field}.bic")]
    if not holder.strip():
        found.append(Reason("profile.field_missing", {"field": f"{field}.holder"}))
    return [each for each in found if each is not None]


def _iban(value: str, field: str) -> Reason | None:
    number = clean(value)
    if not number:
        return Reason("profile.field_missing", {"field": field})
    if not (number.isascii() and number.isalnum()):
        return Reason("bank.iban_form_wrong", {"field": field})
    try:
        iban.validate(number)
    except InvalidChecksum:
        return Reason("bank.iban_check_digit_wrong", {"field": field})
    except ValidationError:
        return Reason("bank.iban_form_wrong", {"field": field})
    return None


def _bic(value: str, field: str) -> Reason | None:
    code = clean(value)
    if not code or (code.isascii() and bic.is_valid(code)):
        return None
    return Reason("bank.bic_wrong", {"field": field})
