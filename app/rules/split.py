"""Splits of money that add up to the cent: by weights, parcel by parcel, a refund over the lines of an order, and the VAT in it.

What may go wrong: three thirds of ten cents. Every function here answers parts whose sum is exactly the whole (invariants 11 and 18).
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """`total` (not negative) by weights (not negative); the parts that lost most by rounding down get the missing units, the first first.

    Without any weight the first part gets all. Raises ValueError for negative numbers or nothing to split over.
    """
    if total < 0 or not weights or min(weights) < 0:
        raise ValueError(f"cannot split {total} by {list(weights)}")
    whole = sum(weights)
    if whole == 0:
        return [total, *[0] * (len(weights) - 1)]
    parts = [total * weight // whole for weight in weights]
    by_loss = sorted(range(len(weights)), key=lambda place: -(total * weights[place] % whole))
    for place in by_loss[: total - sum(parts)]:
        parts[place] += 1
    return parts


def share_until(total: int, part: int, whole: int) -> int:
    """What of `total` is due when `part` of `whole` is there: rounded down, so the rest comes with the last part (reliability 4.2).

    Raises ValueError when part is not between 0 and whole.
    """
    if not 0 <= part <= whole:
        raise ValueError(f"{part} of {whole}")
    return total if part == whole else total * part // whole


def vat_in(gross: int, percent: str | None) -> int:
    """The VAT in a gross amount, rounded half up; `percent` is decimal text such as "19" or "7.5", None = no VAT.

    Raises ValueError when it is no number or negative.
    """
    if percent is None:
        return 0
    try:
        rate = Decimal(percent)
        above, below = rate.as_integer_ratio()
    except (InvalidOperation, ValueError, OverflowError):
        raise ValueError(f"no VAT percentage: {percent!r}") from None
    if above < 0:
        raise ValueError(f"no VAT percentage: {percent!r}")
    part, whole = gross * above, 100 * below + above
    return (2 * part + whole) // (2 * whole)


@dataclass(frozen=True)
class Good:
    """One line of a trade as it is refunded: its gross total and its VAT."""

    total: int
    vat_percent: str | None


def vat_in_shipping(amount: int, goods: Sequence[Good]) -> int:
    """Shipping carries the VAT of the goods it moves, in the proportion of their totals."""
    if not goods or amount == 0:
        return 0
    parts = largest_remainder(amount, [good.total for good in goods])
    return sum(vat_in(part, good.vat_percent) for part, good in zip(parts, goods, strict=True))


def fill(amount: int, room: Mapping[K, int], asked: Iterable[tuple[K, int]]) -> dict[K, int]:
    """Spread `amount` over places that hold no more than `room` says: first what is asked for, the rest by the room that is left.

    Asked parts are cut to their room and to the amount. Raises ValueError when all the room together is too little.
    """
    if amount < 0 or amount > sum(room.values()):
        raise ValueError(f"{amount} into {sum(room.values())}")
    found = dict.fromkeys(room, 0)
    for place, part in asked:
        if place in room:
            found[place] += max(0, min(part, room[place] - found[place], amount - sum(found.values())))
    left = [room[place] - found[place] for place in room]
    # A part by weight never exceeds its weight here, because the rest is not more than all the room that is left.
    for place, part in zip(room, largest_remainder(amount - sum(found.values()), left or [0]), strict=False):
        found[place] += part
    return found
