"""Prices with and without VAT. Inside the bridge every price is gross, in minor units; some marketplaces reckon without tax (eMAG, operators of Mirakl).

What may go wrong: a rate that nobody knows. It is None here, never nothing: who needs one then says so instead of selling without tax.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

_MINOR_UNIT = Decimal(1)


def rate(value: object) -> Decimal | None:
    """A VAT rate as a fraction of one: "0.2400", 0.24, "24" and "24 %" are the same, so 1 is all of it. None for what is no rate."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        found = Decimal(str(value).strip().rstrip(" %"))
    except InvalidOperation:
        return None
    if not found.is_finite() or not 0 <= found <= 100:
        return None
    return found / 100 if found > 1 else found


def percent(fraction: Decimal) -> str:
    """0.2400 -> "24"."""
    return format((fraction * 100).normalize(), "f")


def gross(net: Decimal, fraction: Decimal) -> int:
    """Major units without VAT -> minor units with it, half a cent upwards. Turns back exactly what `net_of` made with four decimals."""
    return int((net * (1 + fraction) * 100).quantize(_MINOR_UNIT, ROUND_HALF_UP))


def net_of(minor: int, fraction: Decimal, decimals: int, digits: int = 2) -> Decimal:
    """Minor units with VAT -> major units without it. `digits` are the currency's, `decimals` those of the answer: with no more of them than
    the currency has, the buyer's price may differ by one minor unit from ours.
    """
    return (Decimal(minor).scaleb(-digits) / (1 + fraction)).quantize(
        Decimal(1).scaleb(-decimals), ROUND_HALF_UP
    )
