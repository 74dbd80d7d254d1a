"""The operator's fee on what a supplier earned, the VAT on it, and the reserve: whole minor units, rounded half up (K11, reliability 4.3).

What may go wrong: rounding every parcel by itself loses or makes cents. So a fee is always computed of everything that was earned so far, and
what is booked is the difference to before; then parts add up to the whole, and a refund returns the fee pro rata.
"""

from dataclasses import dataclass

WHOLE = 10_000  # basis points


@dataclass(frozen=True)
class Fee:
    """Fee and the VAT on it, in minor units; differences may be negative."""

    fee: int
    vat: int

    @property
    def gross(self) -> int:
        """Both together: what the supplier does not get."""
        return self.fee + self.vat

    def __sub__(self, other: "Fee") -> "Fee":
        return Fee(self.fee - other.fee, self.vat - other.vat)


def half_up(amount: int, basis_points: int) -> int:
    """So many basis points of an amount (both not negative), rounded half up. Raises ValueError below zero."""
    if amount < 0 or basis_points < 0:
        raise ValueError(f"{basis_points} basis points of {amount}")
    return (amount * basis_points + WHOLE // 2) // WHOLE


def fee_on(earned: int, fee_bp: int, vat_bp: int) -> Fee:
    """The fee on everything a supplier earned with one trade, gross minor units: released and not given back."""
    fee = half_up(earned, fee_bp)
    return Fee(fee, half_up(fee, vat_bp))


def change(before: int, after: int, fee_bp: int, vat_bp: int) -> Fee:
    """What the fee changes by when the earned amount changes: positive = more fee, negative = the supplier gets some back."""
    return fee_on(after, fee_bp, vat_bp) - fee_on(before, fee_bp, vat_bp)
