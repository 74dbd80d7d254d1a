"""VAT identification numbers: form and check digit, by python-stdnum. Whether it was issued and is valid today only the tax office knows (VIES).

What may go wrong: spaces and dots in it, a number of another country, a typing mistake. The bridge asks nobody outside; the operator does.
"""

from __future__ import annotations

import re

from stdnum import get_cc_module
from stdnum.eu import vat
from stdnum.exceptions import InvalidChecksum, InvalidComponent, ValidationError

from app.messages import Reason

_BETWEEN = re.compile(r"[\s.\-/]+")
# Outside the Union, each with its own rule in the library.
_OTHERS = frozenset({"GB", "CH", "NO", "LI"})
# Liechtenstein uses the Swiss numbers; Norway writes its country in front only on invoices abroad.
_RULES_OF = {"LI": "CH"}
_PREFIXES = {"CHE": "CH"}


def clean(value: str) -> str:
    """Capital letters without blanks, dots and dashes."""
    return _BETWEEN.sub("", value).upper()


def mistake(value: str, field: str = "vat_id") -> Reason | None:
    """What is wrong with the number, None when form and check digit are right. It must begin with its country, like DE136695976."""
    number = clean(value)
    if not (number.isascii() and number.isalnum() and 4 <= len(number) <= 20):
        return Reason("vat_id.form_wrong", {"field": field})
    try:
        _check(number)
    except InvalidChecksum:
        return Reason("vat_id.check_digit_wrong", {"field": field})
    except InvalidComponent:
        known = _country(number) is not None
        return Reason("vat_id.form_wrong" if known else "vat_id.country_unknown", {"field": field})
    except ValidationError:
        return Reason("vat_id.form_wrong", {"field": field})
    return None


def _check(number: str) -> None:
    """Raises the library's ValidationError."""
    country = _country(number)
    if country is None:
        raise InvalidComponent
    if country not in _OTHERS:
        vat.validate(number)
        return
    rules = get_cc_module(_RULES_OF.get(country, country).lower(), "vat")
    if rules is None:  # a release of the library that has forgotten it
        raise InvalidComponent
    rules.validate(number if number.startswith("CHE") else number[2:])


def _country(number: str) -> str | None:
    """The country of a number, None when its first letters name none of which we know the rule."""
    prefix = _PREFIXES.get(number[:3], number[:2])
    if prefix in _OTHERS or prefix in {"EL", "XI"}:
        return prefix
    return prefix if prefix.lower() in vat.MEMBER_STATES else None
