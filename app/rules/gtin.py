"""GTINs (EAN, UPC): the number by which marketplaces recognise a product (I9, K1).

What may go wrong: people paste them with spaces, spreadsheets turn them into 4.00638E+12, and a wrong digit matches
somebody else's product.
"""

import re

from stdnum import ean

_LENGTHS = {8, 12, 13, 14}
_BETWEEN = re.compile(r"[\s\-\u00a0\u2010-\u2015]+")


def clean(value: str | int | None) -> str | None:
    """The number without spaces and dashes, None when nothing is left. Whether it is a GTIN is another question: is_valid."""
    return _BETWEEN.sub("", str(value)) or None if value is not None else None


def is_valid(value: str | int | None) -> bool:
    """Whether it is a GTIN of 8, 12, 13 or 14 digits with a right check digit. All zeros are a placeholder, not a GTIN."""
    number = clean(value)
    if number is None or len(number) not in _LENGTHS or not (number.isascii() and number.isdigit()):
        return False
    return number.strip("0") != "" and ean.is_valid(number)
