"""The categories of the dropshipping network, by which retailers look for products (K1); the list is network_categories.json.

A key is written into products and never changes or goes. What may go wrong: a shop sends a key that is not on the list; then the product is not
released, and says so. `python -m app.rules.network_categories` prints docs/network-categories.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import cast

_TABLE = Path(__file__).with_name("network_categories.json")


@cache
def table() -> Mapping[str, Mapping[str, str]]:
    """The whole list: key -> {"de", "en"}."""
    return cast("Mapping[str, Mapping[str, str]]", json.loads(_TABLE.read_text(encoding="utf-8")))


def is_known(key: str | None) -> bool:
    """Whether this is a key of the list."""
    return key in table()


def name(key: str, locale: str | None) -> str:
    """What people call it; `locale` such as "de", "de_DE", any other reads English. An unknown key is its own name."""
    row = table().get(key)
    return row["de" if str(locale or "").lower().startswith("de") else "en"] if row else key


def choices(locale: str | None) -> list[dict[str, str]]:
    """[{"key", "name"}] in the order of the list, as a plugin's form shows them."""
    return [{"key": key, "name": name(key, locale)} for key in table()]


def as_markdown() -> str:
    """docs/network-categories.md."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterable[str]:
    yield "# Categories of the dropshipping network"
    yield ""
    yield "A product needs one of these keys in `network_category` to be released to retailers (K1). In the WooCommerce plugin the merchant maps his own"
    yield "categories to them once. Keys never change. Made from `app/rules/network_categories.json` by"
    yield "`python -m app.rules.network_categories > docs/network-categories.md`; a test fails when this page is old."
    yield ""
    yield "| key | Deutsch | English |"
    yield "| --- | --- | --- |"
    for key, names in table().items():
        yield f"| `{key}` | {names['de']} | {names['en']} |"


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
