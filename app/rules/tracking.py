"""Tracking numbers and the carriers behind them: names, formats, check digits, links, and each marketplace's word (C4).

What may go wrong: carriers share formats (14 digits are Hermes, DHL or DPD), so a number alone is a proposal with a reason and
never overrides what the shop said. The facts are in carriers.json, each row with its source.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import dropwhile
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from app.messages import Reason

Certainty = Literal["high", "medium", "low"]

_TABLE = Path(__file__).with_name("carriers.json")
_CERTAINTIES: tuple[Certainty, ...] = ("high", "medium", "low")
_PLAUSIBLE = re.compile(r"(?=[0-9A-Z]*[0-9])[0-9A-Z]{4,40}")
# Words people write before the carrier's name.
_BEFORE = {
    "versand",
    "mit",
    "per",
    "via",
    "by",
    "standard",
    "paketversand",
    "shipping",
    "with",
    "lieferung",
    "durch",
}
_SEPARATORS = re.compile(r"[\s\-./_\u00ad\u200b-\u200d\u2010-\u2015\ufeff]+")


@dataclass(frozen=True)
class Format:
    """One way a carrier writes its numbers. `serial` and `check` are named groups of `pattern` where there is a check digit."""

    name: str
    pattern: re.Pattern[str]
    certainty: Certainty
    checksum: str | None
    weights: tuple[int, ...]
    countries: tuple[str, ...]  # recognised for these destinations only; empty = everywhere
    prefix: str | None  # whatever begins like this must fit the pattern, so a typing mistake is found
    source: str


@dataclass(frozen=True)
class Carrier:
    """One row of carriers.json. `codes` maps a marketplace's key to its own word for this carrier."""

    key: str
    name: str
    aliases: tuple[str, ...]
    countries: tuple[str, ...]  # where it collects parcels; empty = worldwide
    formats: tuple[Format, ...]
    link: str | None
    codes: Mapping[str, str]
    source: str


@dataclass(frozen=True)
class Proposal:
    """A carrier a number may belong to, and why (C4). Never overrides a carrier the shop named."""

    carrier: str
    reason: Reason
    certainty: Certainty


@cache
def carriers() -> Mapping[str, Carrier]:
    """All carriers by key, in the order of the file."""
    rows = json.loads(_TABLE.read_text(encoding="utf-8"))["carriers"]
    return {key: _carrier(key, row) for key, row in rows.items()}


def carrier_key(name: str | None) -> str | None:
    """Our key for a carrier as a shop, a plugin or a marketplace calls it; None when nobody knows it.

    Case, spaces, dots and accents do not matter, nor do words after the name ("DHL Paket (1-2 Tage)"): the longest known
    name at the beginning wins.
    """
    told = _folded(name or "")
    if not told:
        return None
    known = _names()
    if (key := known.get(told)) is not None:
        return key
    words = list(dropwhile(_BEFORE.__contains__, told.split()))
    for length in range(len(words), 0, -1):
        if (key := known.get(" ".join(words[:length]))) is not None:
            return key
    return None


def recognise(number: str, country: str | None) -> list[Proposal]:
    """Carriers this number may belong to, the most certain first; empty when no format fits.

    `country` is the destination (ISO 3166 alpha-2), None when unknown. A format whose check digit is wrong is no proposal.
    """
    compact = normalise(number)
    found: list[Proposal] = []
    for carrier in carriers().values():
        fits = [
            (certainty, form)
            for form in carrier.formats
            if (certainty := _fits(form, carrier, compact, country))
        ]
        if fits:
            certainty, form = min(fits, key=lambda fit: _CERTAINTIES.index(fit[0]))
            found.append(Proposal(carrier.key, _why(carrier, form, compact), certainty))
    return sorted(found, key=lambda proposal: _CERTAINTIES.index(proposal.certainty))


def normalise(number: str) -> str:
    """The number as carriers store it: capitals, without spaces, dashes and dots."""
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", number)).upper()


def check(number: str, carrier: str | None) -> Reason | None:
    """What is wrong with this number, None when nothing is known to be.

    A number is wrong when no carrier writes such numbers, or when it looks like one of this carrier's formats but breaks it
    (check digit, length). Carriers have more formats than we know, so a number that looks like none of them is not judged.
    """
    compact = normalise(number)
    known = carriers().get(carrier or "")
    told: dict[str, object] = {"number": number.strip()[:60], "carrier": known.name if known else None}
    if not _PLAUSIBLE.fullmatch(compact):
        return Reason("ship.tracking_malformed", told)
    forms = known.formats if known else ()
    if any(_is_right(form, compact) for form in forms) or not any(
        _looks_like(form, compact) for form in forms
    ):
        return None
    return Reason("ship.tracking_malformed", told)


def doubt(number: str, carrier: str | None) -> Reason | None:
    """Whether the number surely belongs to another carrier than the shop says. Only shown; the shop's word counts (C4)."""
    found = recognise(number, None)
    if carrier is None or any(proposal.carrier == carrier for proposal in found):
        return None
    sure = [proposal for proposal in found if proposal.certainty == "high"]
    if not sure or _same_house(carrier, sure[0].carrier):
        return None
    names = {"carrier": _name(carrier), "other": _name(sure[0].carrier)}
    return Reason("ship.carrier_doubtful", {"number": normalise(number), **names})


def marketplace_code(marketplace: str, carrier_key: str | None) -> str | None:
    """The marketplace's own word for a carrier, None when it has none (then the provider's own fallback counts)."""
    carrier = carriers().get(carrier_key or "")
    return carrier.codes.get(marketplace) if carrier else None


def tracking_url(carrier: str | None, number: str) -> str | None:
    """The carrier's page about this parcel, None when we know no link."""
    known = carriers().get(carrier or "")
    if known is None or known.link is None:
        return None
    return known.link.replace("{number}", quote(normalise(number), safe=""))


# --- formats ---------------------------------------------------------------------------------------------------------


def _is_right(form: Format, compact: str) -> bool:
    """Whether the number has this format and, where there is one, the right check digit."""
    match = form.pattern.fullmatch(compact)
    if match is None:
        return False
    if form.checksum is None:
        return True
    return _CHECKSUMS[form.checksum](match["serial"], form.weights) == match["check"]


def _looks_like(form: Format, compact: str) -> bool:
    """Whether somebody meant this format: the unmistakable beginning, or everything but the check digit."""
    if form.prefix is not None and compact.startswith(form.prefix):
        return True
    # Digits without any sign of their own (12 or 14 of them) are shared by carriers: a wrong check digit proves nothing.
    return (
        form.certainty == "high" and form.checksum is not None and form.pattern.fullmatch(compact) is not None
    )


def _same_house(one: str, other: str) -> bool:
    """DHL and DHL Express, DPD and DPD France: shops often name the house only."""
    return one.split("_", maxsplit=1)[0] == other.split("_", maxsplit=1)[0]


def _fits(form: Format, carrier: Carrier, compact: str, country: str | None) -> Certainty | None:
    """How certain this format is for a parcel to `country`, None when it does not fit.

    A doubtful format of a carrier that does not work in the destination's country is less likely; an unmistakable one stays,
    because parcels are handed over at the border.
    """
    if form.countries and country is not None and country.upper() not in form.countries:
        return None
    if not _is_right(form, compact):
        return None
    abroad = country is not None and carrier.countries and country.upper() not in carrier.countries
    return "low" if abroad and form.certainty != "high" else form.certainty


def _why(carrier: Carrier, form: Format, compact: str) -> Reason:
    return Reason("ship.carrier_guessed", {"carrier": carrier.name, "number": compact, "format": form.name})


def _mod10(odd: int, even: int) -> Callable[[str, tuple[int, ...]], str]:
    """Modulo 10 with one weight for each position by turns, from the left; letters count as (code - 3) mod 10 (UPS)."""

    def digit(serial: str, _weights: tuple[int, ...]) -> str:
        values = [int(c) if c.isdigit() else (ord(c) - 3) % 10 for c in serial]
        total = sum(value * (even if i % 2 else odd) for i, value in enumerate(values))
        return str(-total % 10)

    return digit


def _mod7(serial: str, _weights: tuple[int, ...]) -> str:
    return str(int(serial) % 7)


def _s10(serial: str, _weights: tuple[int, ...]) -> str:
    """UPU S10: weights 8 6 4 2 3 5 9 7, modulo 11, where 10 becomes 0 and 11 becomes 5."""
    total = sum(int(c) * w for c, w in zip(serial, (8, 6, 4, 2, 3, 5, 9, 7), strict=True))
    return str({10: 0, 11: 5}.get(11 - total % 11, 11 - total % 11))


def _mod37_36(serial: str, _weights: tuple[int, ...]) -> str:
    """ISO 7064 mod 37,36 (DPD): digits and letters, the check sign is one of both."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    rest = 36
    for c in serial:
        rest = ((rest + alphabet.index(c)) % 36 or 36) * 2 % 37
    return alphabet[(37 - rest) % 36]


def _weighted_mod11_mod10(serial: str, weights: tuple[int, ...]) -> str:
    return str(sum(int(c) * w for c, w in zip(serial, weights, strict=True)) % 11 % 10)


_CHECKSUMS: Mapping[str, Callable[[str, tuple[int, ...]], str]] = {
    "mod7": _mod7,
    "mod10_1_2": _mod10(1, 2),
    "mod10_1_3": _mod10(1, 3),
    "mod10_3_1": _mod10(3, 1),
    "mod10_4_9": _mod10(4, 9),
    "s10": _s10,
    "mod37_36": _mod37_36,
    "weighted_mod11_mod10": _weighted_mod11_mod10,
}


# --- names and rows ------------------------------------------------------------------------------------------------------


def _folded(name: str) -> str:
    """A name as it is compared: small letters without accents, words separated by one space."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(re.findall(r"[a-z0-9]+", plain))


@cache
def _names() -> Mapping[str, str]:
    """Every folded name, alias and marketplace word -> our key; with and without its spaces."""
    known: dict[str, str] = {}
    for carrier in carriers().values():
        for name in (carrier.key, carrier.name, *carrier.aliases, *carrier.codes.values()):
            for folded in (_folded(name), _folded(name).replace(" ", "")):
                known.setdefault(folded, carrier.key)
    return known


def _name(key: str | None) -> str | None:
    carrier = carriers().get(key or "")
    return carrier.name if carrier else key


def _carrier(key: str, row: Mapping[str, Any]) -> Carrier:
    return Carrier(
        key=key,
        name=row["name"],
        aliases=tuple(row.get("aliases", ())),
        countries=tuple(row.get("countries", ())),
        formats=tuple(_format(form) for form in row.get("formats", ())),
        link=row.get("link"),
        codes=row.get("codes", {}),
        source=row["source"],
    )


def _format(row: Mapping[str, Any]) -> Format:
    weights: Sequence[int] = row.get("weights", ())
    return Format(
        name=row["name"],
        pattern=re.compile(row["pattern"]),
        certainty=row["certainty"],
        checksum=row.get("checksum"),
        weights=tuple(weights),
        countries=tuple(row.get("countries", ())),
        prefix=row.get("prefix"),
        source=row["source"],
    )
