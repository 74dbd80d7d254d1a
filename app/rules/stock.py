"""How much of a product a marketplace may show (I13), and which of two stock messages is the newer one.

What may go wrong: showing more than there is sells a parcel nobody has. Every doubt therefore ends at the smaller number.
"""


def published(
    on_hand: int | None,
    reserved: int,
    buffer: int,
    *,
    on: bool,
    holiday: bool,
    unmanaged: int,
    in_stock: bool,
    cap: int | None = None,
) -> int:
    """Pieces to show at a marketplace: never negative, never above `on_hand - reserved - buffer` (I13).

    `on_hand` None means that the shop does not count this product: then `unmanaged` pieces are shown while the shop calls
    it available. `in_stock` False wins over any count, because shops have a threshold below which they stop selling.
    `on` False (I5) and `holiday` (I7) mean 0. `cap` is the most this marketplace may show (I4); a negative `reserved`,
    `buffer` or `cap` counts as 0.
    """
    if not on or holiday or not in_stock:
        return 0
    free = unmanaged if on_hand is None else on_hand - max(0, reserved) - max(0, buffer)
    if cap is not None:
        free = min(free, cap)
    return max(0, free)


def is_newer(sequence: int, known: int | None) -> bool:
    """Whether a message of this sequence may overwrite what is known: an equal or lower sequence never does (I13)."""
    return known is None or sequence > known


def accounted(reservation_stock_sequence: int | None, product_stock_sequence: int | None) -> bool:
    """Whether the shop's stock value already contains the order behind a reservation, so that it is subtracted once only.

    The order's `stock_sequence` is drawn after the shop reduced its stock (docs/protocol.md 3.2); a stock value with this or
    a higher sequence contains the order. None on either side means that nobody has said so yet: the reservation stays.
    """
    if reservation_stock_sequence is None or product_stock_sequence is None:
        return False
    return product_stock_sequence >= reservation_stock_sequence


def oversold_by(on_hand: int | None, reserved: int) -> int:
    """Pieces that marketplaces have sold but the shop does not have; 0 when all is well or nobody counts."""
    if on_hand is None:
        return 0
    return max(0, max(0, reserved) - max(0, on_hand))
