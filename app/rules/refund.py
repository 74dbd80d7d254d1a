"""Turns a refund object of the shop (K8, C7) into deeds on pieces at the marketplace, to the cent.

What may go wrong: money that is sent twice or to the wrong piece does not come back. So no piece gets more than it has left, all
sums are exact, and what cannot be assigned beyond doubt is handed to a person.
"""

import re
import unicodedata
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from app.messages import PieceState, Reason, RefundSeen

Deed = Literal["cancel", "accept_return", "refund", "none"]

_UNSHIPPED = {PieceState.ANNOUNCED, PieceState.TO_SHIP}
_AT_REST = {PieceState.CANCELLED, PieceState.RETURNED}


@dataclass(frozen=True)
class PieceTruth:
    """One piece as we know it. Amounts in minor units, gross.

    `price`: what the buyer paid for it and can get back. `refunded`: what refund objects of the shop already cover, the
    merchant's and those the bridge wrote. `return_open`: the marketplace waits for our answer to a return of it. `goods`: the part
    of the price that is not shipping (None = all of it); who gets that back gets the piece's whole price back as far as the
    deed is concerned, because shops refund goods and shipping apart.
    """

    id: int
    state: PieceState
    price: int
    refunded: int
    return_open: bool
    goods: int | None = None

    @property
    def left(self) -> int:
        """Minor units that can still be refunded; none while nobody knows what the piece's status means."""
        return 0 if self.state is PieceState.UNCLEAR else max(0, self.price - self.refunded)

    @property
    def goods_left(self) -> int:
        """Minor units of the goods alone that can still be refunded."""
        goods = self.price if self.goods is None else min(self.goods, self.price)
        return min(self.left, max(0, goods - self.refunded))


@dataclass(frozen=True)
class LineTruth:
    """One line of the shop order with its pieces. `line_key` is ours (`ln_77`)."""

    shop_line_id: str
    line_key: str | None
    pieces: tuple[PieceTruth, ...]


@dataclass(frozen=True)
class Share:
    """The part of the refund that falls on one piece, and what to do at the marketplace. `full`: nothing is left of it then. `shipping`: the
    part of the amount that is beyond the goods.
    """

    piece_id: int
    amount: int
    full: bool
    deed: Deed
    shipping: int = 0


@dataclass(frozen=True)
class Allocation:
    """The whole refund: the amounts of all shares and `unassigned` add up to it. `reason` says why something is unassigned."""

    shares: tuple[Share, ...] = ()
    unassigned: int = 0
    reason: Reason | None = None

    @property
    def cancel(self) -> tuple[int, ...]:
        """Pieces to cancel: they have not left and are refunded in full."""
        return tuple(share.piece_id for share in self.shares if share.deed == "cancel")

    @property
    def accept_returns(self) -> tuple[int, ...]:
        """Pieces whose open return is to be accepted; the marketplace then refunds the buyer itself."""
        return tuple(share.piece_id for share in self.shares if share.deed == "accept_return")

    @property
    def refunds(self) -> tuple[Share, ...]:
        """Shares to be refunded by amount."""
        return tuple(share for share in self.shares if share.deed == "refund")

    @property
    def by_amount(self) -> tuple[Share, ...]:
        """Shares to be refunded by amount where accepting a return moves no money."""
        return tuple(share for share in self.shares if share.deed in {"refund", "accept_return"})

    def shipping_of(self, returned: Container[int]) -> int:
        """Minor units of shipping given back for pieces that are `returned`, or that this refund takes back: a marketplace that pays for returns
        does not say whether it pays that too (no FACTS tell).
        """
        return sum(
            share.shipping
            for share in self.shares
            if share.deed == "accept_return" or (share.deed == "none" and share.piece_id in returned)
        )

    @property
    def settled(self) -> int:
        """Minor units that the marketplace has refunded already (cancelled or returned pieces): only booked, nothing is sent."""
        return sum(share.amount for share in self.shares if share.deed == "none")


def allocate(refund: RefundSeen, lines: Sequence[LineTruth]) -> Allocation:
    """Which pieces a refund is about, and what to do with each.

    Lines of the refund first, in their order; what has no line is spread over the pieces that have left, in proportion to
    what each has left. A refund the bridge wrote itself asks for nothing. See FACTS of the marketplaces: before it has left, a
    piece can only be cancelled, not refunded in part.
    """
    if refund.by_bridge or refund.amount <= 0:
        return Allocation()
    return _Allocating(refund, lines).run()


def in_one_go(given: Mapping[int, int], lines: Iterable[Sequence[PieceTruth]]) -> list[list[int]]:
    """The pieces that are one deed where a marketplace pays lines back as a whole: all of a line of which nothing was given back before and
    everything is now; of any other line each piece alone. `given`: piece -> minor units now.
    """
    deeds: list[list[int]] = []
    for pieces in lines:
        mine = [piece.id for piece in pieces if piece.id in given]
        whole = all(
            piece.id in given and not piece.refunded and given[piece.id] >= piece.goods_left
            for piece in pieces
        )
        deeds += [mine] if whole and mine else [[piece] for piece in mine]
    return deeds


class _Allocating:
    """One run of allocate: `given` collects minor units per piece, `lost` the reasons for what fits nowhere."""

    def __init__(self, refund: RefundSeen, lines: Sequence[LineTruth]) -> None:
        self.refund = refund
        self.lines = {line.shop_line_id: line for line in lines}
        self.pieces = {piece.id: piece for line in lines for piece in line.pieces}
        self.given: dict[int, int] = {}
        self.lost: list[str] = []

    def run(self) -> Allocation:
        rest = self.refund.amount
        for line_id, quantity, amount in self.refund.lines:
            share = min(max(0, amount), rest)
            if share:
                rest -= share
                self._line(line_id, quantity, share)
        if rest:
            self._spread(rest, self.pieces.values())
        self._take_back_parts_of_unshipped()
        return self._result()

    def _left(self, piece: PieceTruth) -> int:
        return piece.left - self.given.get(piece.id, 0)

    def _goods_left(self, piece: PieceTruth) -> int:
        return max(0, piece.goods_left - self.given.get(piece.id, 0))

    def _line(self, line_id: str, quantity: int, amount: int) -> None:
        line = self.lines.get(line_id)
        if line is None:
            self.lost.append("refund.not_assignable")
        elif quantity <= 0:
            self._spread(amount, line.pieces)
        else:
            self._give(amount, self._choose(line, quantity, amount))

    def _choose(self, line: LineTruth, quantity: int, amount: int) -> list[PieceTruth]:
        """The pieces a line's quantity means. Whole pieces: those not yet sent are meant first; parts: those that have left."""
        open_pieces = [piece for piece in line.pieces if self._left(piece) > 0]
        whole = self._likely(open_pieces, unshipped_first=True)[:quantity]
        if amount >= sum(map(self._goods_left, whole)):
            return whole
        return self._likely(open_pieces, unshipped_first=False)[:quantity]

    def _likely(self, pieces: list[PieceTruth], *, unshipped_first: bool) -> list[PieceTruth]:
        """The likeliest first; a piece whose goods are paid back, of which only the shipping is left, comes after all others.

        Of pieces that have not left the last comes first: parcels take the first ones, so the two never mean the same.
        """
        return sorted(
            pieces,
            key=lambda piece: (
                not self._goods_left(piece),
                _rank(piece, unshipped_first=unshipped_first),
                -piece.id if piece.state in _UNSHIPPED else 0,
            ),
        )

    def _spread(self, amount: int, pieces: Iterable[PieceTruth]) -> None:
        """An amount without a quantity: everything when it is everything, else over the pieces that have left."""
        open_pieces = [piece for piece in pieces if self._left(piece) > 0]
        if amount < sum(map(self._left, open_pieces)):
            open_pieces = [piece for piece in open_pieces if piece.state not in _UNSHIPPED]
            if amount > sum(map(self._left, open_pieces)):
                self.lost.append("refund.before_shipping")
        self._give(amount, open_pieces)

    def _give(self, amount: int, pieces: list[PieceTruth]) -> None:
        """The goods of all pieces first, then their shipping, each in proportion; more than that is lost."""
        for room_of in (self._goods_left, self._left):
            room = [room_of(piece) for piece in pieces]
            now = min(amount, sum(room))
            for piece, part in zip(pieces, in_proportion(now, room), strict=True):
                self.given[piece.id] = self.given.get(piece.id, 0) + part
            amount -= now
        if amount:
            unclear = any(piece.state is PieceState.UNCLEAR for piece in self.pieces.values())
            self.lost.append("order.piece_unclear" if unclear else "refund.more_than_paid")

    def _take_back_parts_of_unshipped(self) -> None:
        for piece in self.pieces.values():
            part = self.given.get(piece.id, 0)
            if part and piece.state in _UNSHIPPED and part < piece.goods_left:
                del self.given[piece.id]
                self.lost.append("refund.before_shipping")

    def _result(self) -> Allocation:
        shares = tuple(
            Share(
                piece.id,
                part,
                part == piece.left,
                _deed(piece, whole=part >= piece.goods_left),
                max(0, part - piece.goods_left),
            )
            for piece in self.pieces.values()
            if (part := self.given.get(piece.id, 0))
        )
        unassigned = self.refund.amount - sum(share.amount for share in shares)
        if not unassigned:
            return Allocation(shares)
        params: dict[str, object] = {"amount": unassigned, "currency": self.refund.currency}
        return Allocation(shares, unassigned, Reason(self.lost[0], params))


# What merchants write into the reason of a refund, in the order of trust; word beginnings in German and English.
_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "damaged",
        (
            "beschädig",
            "beschaedig",
            "defekt",
            "kaputt",
            "bruch",
            "transportschad",
            "transportbruch",
            "glasbruch",
            "zerbroch",
            "damag",
            "defect",
            "broken",
            "faulty",
        ),
    ),
    ("wrong_item", ("falsch", "verwechsel", "wrong")),
    ("incomplete", ("fehlt", "fehlend", "unvollst", "missing", "incomplete")),
    ("delayed", ("verspät", "verspaet", "zu spät", "zu spaet", "verzöger", "verzoeger", "late", "delay")),
    ("postage", ("porto", "versandkost", "rücksendekost", "postage", "shipping cost", "shipping fee")),
    (
        "return",
        (
            "retour",
            "rücksend",
            "ruecksend",
            "widerruf",
            "rückgabe",
            "zurück",
            "return",
            "withdraw",
            "revocation",
        ),
    ),
)


def reason_word(text: str) -> str:
    """Our word for what a person wrote as the reason of a refund: return, damaged, delayed, wrong_item, incomplete, postage or other."""
    told = unicodedata.normalize("NFC", text).casefold()
    for word, beginnings in _WORDS:
        if any(re.search(rf"(?<!\w){re.escape(beginning)}", told) for beginning in beginnings):
            return word
    return "other"


# The same for a refund of what has not left, which is a cancellation. Only what is plain: a reason at the seller's fault lowers his rating.
_WHY_CANCELLED: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "out_of_stock",
        (
            "ausverkauft",
            "vergriffen",
            "nicht auf lager",
            "nicht vorrätig",
            "nicht vorraetig",
            "nicht lieferbar",
            "nicht mehr lieferbar",
            "out of stock",
            "sold out",
            "not in stock",
        ),
    ),
    (
        "buyer_cancelled",
        (
            "kunde storniert",
            "kundin storniert",
            "kunde hat storniert",
            "kundin hat storniert",
            "käufer storniert",
            "käufer hat storniert",
            "kundenwunsch",
            "customer cancel",
            "buyer cancel",
            "cancelled by customer",
            "cancelled by buyer",
            "customer request",
        ),
    ),
)


def cancel_word(text: str) -> str:
    """Our word for why something was refunded before it left: out_of_stock, buyer_cancelled, or other where a person wrote nothing plain."""
    told = unicodedata.normalize("NFC", text).casefold()
    found = {word for word, phrases in _WHY_CANCELLED if any(phrase in told for phrase in phrases)}
    return found.pop() if len(found) == 1 else "other"


def in_proportion(amount: int, weights: Sequence[int]) -> list[int]:
    """`amount` split by `weights` with the largest remainder, exactly; no part above its weight while `amount` <= their sum."""
    total = sum(weights)
    if total == 0:
        return [0] * len(weights)
    parts = [amount * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: -(amount * weights[i] % total))
    for i in by_remainder[: amount - sum(parts)]:
        parts[i] += 1
    return parts


def _rank(piece: PieceTruth, *, unshipped_first: bool) -> int:
    """Which piece of a line a refund is most likely about: lower comes first."""
    if piece.return_open:
        return 0
    if piece.state in _AT_REST:
        return 1
    return 2 if (piece.state in _UNSHIPPED) == unshipped_first else 3


def _deed(piece: PieceTruth, *, whole: bool) -> Deed:
    if piece.state in _AT_REST:
        return "none"
    if piece.state in _UNSHIPPED:
        return "cancel"
    return "accept_return" if piece.return_open and whole else "refund"
