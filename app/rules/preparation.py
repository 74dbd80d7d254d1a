"""Handling time: the days between an order and its parcel, and the delivery modes an offer needs (I3, I10).

What may go wrong: a promise that is too short is broken, one above the marketplace's limit is refused.
"""

from collections.abc import Iterable

CDISCOUNT_CAP_DAYS = 5
NEEDED_MODES = ("tracked", "registered")  # I10: both are needed, standard is optional.


def handling_days(shop_days: int | None, default: int, added: int, cap: int | None) -> int:
    """Working days from order to hand-over: the product's own (else `default`) plus `added`, at most `cap`, never negative."""
    total = _total(shop_days, default, added)
    return total if cap is None else min(total, max(0, cap))


def is_capped(shop_days: int | None, default: int, added: int, cap: int | None) -> bool:
    """Whether `cap` shortens what the merchant set; the merchant is told, because the promise became stricter."""
    return cap is not None and _total(shop_days, default, added) > max(0, cap)


def missing_modes(modes: Iterable[str]) -> tuple[str, ...]:
    """Delivery modes a Cdiscount offer still lacks (I10)."""
    given = set(modes)
    return tuple(mode for mode in NEEDED_MODES if mode not in given)


def _total(shop_days: int | None, default: int, added: int) -> int:
    return max(0, (default if shop_days is None else shop_days) + added)
