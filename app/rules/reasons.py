"""Every reason has a code, a sentence in German and English, somebody who must act, and what to do next (reasons.json).

What may go wrong: a sentence is read at the worst moment, so nothing here raises: an unknown code or a missing value still
gives something readable. `python -m app.rules.reasons` prints docs/reasons.md.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from app.rules import tracking

Who = Literal["merchant", "operator", "marketplace", "nobody"]

LOCALES = ("de", "en")
_TABLE = Path(__file__).with_name("reasons.json")
_GAP = re.compile(r"\{(\w+)\}")
# A part in brackets is left out when one of its gaps cannot be filled.
_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_UNNAMED = {"de": "(nicht angegeben)", "en": "(not given)"}
# How a partner is called at the beginning of a sentence when nobody named it.
_SOMEBODY = {
    "partner": {"de": "Die Gegenstelle", "en": "The partner"},
    "marketplace": {"de": "Der Marktplatz", "en": "The marketplace"},
}
_UNKNOWN = {
    "de": "Etwas ist nicht gelungen (Kennung {code}).",
    "en": "Something did not work (code {code}).",
}
# The same thing under the names that different parts of the bridge give it.
_ALSO = {
    "message": ("said", "reason"),
    "partner": ("marketplace", "provider"),
    "marketplace": ("partner", "provider"),
    "expected": ("wanted", "shop_currency"),
}
_CARRIERS = ("carrier", "other")
_TIMES = ("until", "deadline")
_YES_NO = {"de": ("ja", "nein"), "en": ("yes", "no")}


@cache
def table() -> Mapping[str, Mapping[str, Any]]:
    """The whole table: code -> {"de", "en", "who", "next": {"de", "en"}}. What only one partner says lies in that partner's folder.

    Raises LookupError when two files explain the same code: one of them would never be read.
    """
    found: dict[str, Any] = json.loads(_TABLE.read_text(encoding="utf-8"))
    for file in sorted(_TABLE.parents[1].glob(f"*/*/{_TABLE.name}")):
        more: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if twice := sorted(found.keys() & more.keys()):
            raise LookupError(
                f"{file.parent.name} explains again what is explained already: {', '.join(twice)}"
            )
        found |= more
    return cast("Mapping[str, Mapping[str, Any]]", found)


def all_codes() -> tuple[str, ...]:
    """All codes in the order of the table."""
    return tuple(table())


def sentence(code: str, params: Mapping[str, Any] | None, locale: str | None) -> str:
    """What happened, in one or two plain sentences. `locale` such as "de", "de_DE", "en-GB"; any other reads English.

    Never raises. `params` fill the gaps; `amount` is minor units and shown with `currency`, times are shown in UTC.
    """
    language = _language(locale)
    row = _row(code)
    if row is None:
        return _UNKNOWN[language].replace("{code}", str(code))
    return _filled(row[language], params or {}, language)


def next_step(code: str, params: Mapping[str, Any] | None, locale: str | None) -> str:
    """What to do now, in one or two plain sentences; empty for an unknown code. Never raises."""
    row = _row(code)
    if row is None:
        return ""
    language = _language(locale)
    return _filled(row["next"][language], params or {}, language)


def who(code: str) -> Who:
    """Who must act. An unknown code is the operator's: somebody forgot its sentence."""
    row = _row(code)
    return cast("Who", row["who"]) if row else "operator"


def as_markdown() -> str:
    """docs/reasons.md."""
    return "\n".join(_markdown_lines()) + "\n"


def _row(code: str) -> Mapping[str, Any] | None:
    """A shop's refusal carries the shop's own dotted code: `shop.order.not_found` is the row `shop.order_not_found`."""
    part, _, rest = str(code).partition(".")
    return table().get(f"{part}.{rest.replace('.', '_')}")


def _language(locale: str | None) -> str:
    start = str(locale or "").lower()[:2]
    return start if start in LOCALES else "en"


def _filled(template: str, params: Mapping[str, Any], language: str) -> str:
    def kept(part: re.Match[str]) -> str:
        return "" if any(_is_empty(_value(gap, params)) for gap in _GAP.findall(part[1])) else part[1]

    template = _OPTIONAL.sub(kept, template)
    return _GAP.sub(lambda gap: _without_second_stop(_shown(gap[1], params, language), gap), template)


def _without_second_stop(value: str, gap: re.Match[str]) -> str:
    """“Chai e.K.” at the end of a sentence brings its full stop along."""
    return value[:-1] if value.endswith(".") and gap.string[gap.end() :].startswith(".") else value


def _shown(name: str, params: Mapping[str, Any], language: str) -> str:
    """One value as a person reads it."""
    value = _value(name, params)
    if name == "amount" and type(value) is int:
        return _money(value, params.get("currency"), language)
    if isinstance(value, bool):
        return _YES_NO[language][0 if value else 1]
    if isinstance(value, datetime):
        return _moment(value, language)
    if isinstance(value, list | tuple | set | frozenset):
        value = ", ".join(sorted(map(str, value)) if isinstance(value, set | frozenset) else map(str, value))
    return _SOMEBODY.get(name, _UNNAMED)[language] if _is_empty(value) else str(value)


def _value(name: str, params: Mapping[str, Any]) -> Any:
    """The value of a gap, under its own name or another part's name for it; carriers by name, not by key."""
    value = next(
        (params[each] for each in (name, *_ALSO.get(name, ())) if not _is_empty(params.get(each))), None
    )
    if name in _CARRIERS and isinstance(value, str) and (known := tracking.carriers().get(value)):
        return known.name
    if name in _TIMES and isinstance(value, str):
        return _parsed(value)
    return value


def _parsed(text: str) -> datetime | str:
    """A time that went through JSON, as a time again."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str | list | tuple | set | frozenset) and not value)


def _money(minor: int, currency: object, language: str) -> str:
    whole, cents = divmod(abs(minor), 100)
    point = "," if language == "de" else "."
    text = f"{'-' if minor < 0 else ''}{whole}{point}{cents:02d}"
    return f"{text} {currency}" if currency else text


def _moment(value: datetime, language: str) -> str:
    utc = value.astimezone(UTC) if value.tzinfo else value
    return f"{utc:%d.%m.%Y %H:%M} UTC" if language == "de" else f"{utc:%Y-%m-%d %H:%M} UTC"


def _markdown_lines() -> Iterable[str]:
    yield "# Reasons"
    yield ""
    yield "What a merchant may read in the plugin, on the pages of the bridge and in the API, and what to do then. Made from"
    yield "`app/rules/reasons.json` by `python -m app.rules.reasons > docs/reasons.md`; a test fails when this page is old."
    yield ""
    yield "Parts in square brackets are shown only when their values are known."
    yield ""
    yield "`who` must act: `merchant`, `operator` (who runs the bridge), `marketplace`, or `nobody` (the bridge goes on by itself)."
    part = None
    for code, row in table().items():
        if (here := code.split(".")[0]) != part:
            part = here
            yield from (
                "",
                f"## {part}",
                "",
                "| code | who | what happened | what to do |",
                "| --- | --- | --- | --- |",
            )
        yield f"| `{code}` | {row['who']} | {_both(row)} | {_both(row['next'])} |"


def _both(row: Mapping[str, Any]) -> str:
    return f"{row['de']}<br>*{row['en']}*"


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
