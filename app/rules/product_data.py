"""What a marketplace may be told of a product it does not know yet (O5): one flat table, from the product and, for a variation, from its parent.

What may go wrong: a variation has hardly anything of its own. Whatever it lacks it has from its parent, but never what the variations differ in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.messages import ProductData


@dataclass(frozen=True)
class Facts:
    """One product of the shop, or the parent of a variation. `extra` and `texts` as the product row keeps them."""

    title: str = ""
    sku: str | None = None
    gtin: str | None = None
    brand: str | None = None
    network_category: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


def product_data(own: Facts, parent: Facts | None, group: str | None) -> ProductData:
    """`group`: what the variations of one product have in common, None for a product without any."""
    above = parent or Facts()
    short = own.texts.get("short_description") or above.texts.get("short_description")
    categories = _categories(own) or _categories(above)
    known = {
        "sku": own.sku,
        "gtin": own.gtin,
        "title": own.title,
        "brand": own.brand or above.brand,
        "description": own.texts.get("description") or above.texts.get("description") or short,
        "short_description": short,
        "category": next(iter(categories), None),
        "weight": own.extra.get("weight") or above.extra.get("weight"),
        **_attributes(above),
        **_attributes(own),
    }
    images = own.extra.get("images") or above.extra.get("images") or ()
    fields = {name: str(value) for name, value in known.items() if value}
    return ProductData(fields, tuple(images), group, categories)


def _categories(facts: Facts) -> tuple[str, ...]:
    """The shop's own names, then the network's key, which a merchant of the network may have mapped before."""
    named = [*facts.extra.get("categories", ()), facts.network_category]
    return tuple(dict.fromkeys(each for each in named if each))


def _attributes(facts: Facts) -> dict[str, str]:
    return {f"attribute:{name}": str(value) for name, value in facts.extra.get("attributes", {}).items()}
