"""Own orders are subtracted exactly once (I13): every interleaving of orders, shop stock, cancellations, duplicates and delays is tried.

A model of one product: the shop counts and draws sequences as docs/protocol.md 3.2 says, the bridge keeps what its rules keep (`rules.stock`,
and the comparison of `reservations.held`). What is shown may never exceed what can really be sold, and in the end must be equal to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from app.rules import stock as rules


@dataclass
class Piece:
    """One ordered piece, as reality has it (`in_shop`, `restocked`) and as the bridge has it (`reserved`, `contained_from`)."""

    in_shop: bool = False
    cancelled: bool = False
    restocked: bool = False
    reserved: bool = False
    contained_from: int | None = None


@dataclass
class Shop:
    """What is on the shelf, and the messages under way: (sequence, shelf, own sales), as it is when they are *sent*.

    `sold`: pieces that the shop sold over its own counter; nobody can know of them before a message tells.
    """

    shelf: int = 0
    sequence: int = 0
    sold: int = 0
    unsent: list[int] = field(default_factory=list)
    under_way: list[tuple[int, int, int]] = field(default_factory=list)
    arrived: list[tuple[int, int, int]] = field(default_factory=list)
    told: list[tuple[Piece, int]] = field(default_factory=list)

    def draw(self) -> int:
        self.sequence += 1
        return self.sequence

    def report(self) -> None:
        self.unsent.append(self.draw())

    def write(self, piece: Piece) -> None:
        """The stock is reduced, then the order's sequence is drawn, then the stock is reported."""
        piece.in_shop = True
        self.shelf -= 1
        self.told.append((piece, self.draw()))
        self.report()

    def put_back(self, piece: Piece) -> None:
        piece.restocked = True
        self.shelf += 1
        self.report()


class Bridge:
    """The rules, one product: stock with its sequence, and one reservation for each piece."""

    def __init__(self) -> None:
        self.stock: int | None = None
        self.sequence: int | None = None
        self.sold = 0  # for the model only: which of the shop's own sales the stock contains

    def is_newer(self, sequence: int) -> bool:
        return rules.is_newer(sequence, self.sequence)

    def takes_in(self, sequence: int, quantity: int, sold: int) -> None:
        if self.is_newer(sequence):
            self.stock, self.sequence, self.sold = quantity, sequence, sold

    def counts(self, piece: Piece) -> bool:
        return piece.reserved and not rules.accounted(piece.contained_from, self.sequence)

    def shown(self, pieces: list[Piece]) -> int:
        if self.stock is None:
            return 0
        reserved = sum(self.counts(piece) for piece in pieces)
        return rules.published(self.stock, reserved, 0, on=True, holiday=False, unmanaged=0, in_stock=True)


class StockMachine(RuleBasedStateMachine):
    """Reality, the messages and the bridge; hypothesis chooses what happens next."""

    bridge_class: ClassVar[type[Bridge]] = Bridge

    @initialize(shelf=st.integers(0, 6), arrived=st.booleans())
    def opens(self, shelf: int, arrived: bool) -> None:
        self.shop, self.bridge = Shop(shelf=shelf), self.bridge_class()
        self.pieces: list[Piece] = []
        self.shop.report()
        if arrived:
            self.bridge.takes_in(self.shop.unsent.pop(), shelf, 0)

    # --- reality ----------------------------------------------------------------------------------------------------

    def sellable(self) -> int:
        """What is on the shelf and nobody has been promised. A cancelled piece that is not back yet will be: its command is written."""
        promised = sum(1 for p in self.pieces if not p.in_shop and not p.cancelled)
        returning = sum(1 for p in self.pieces if p.in_shop and p.cancelled and not p.restocked)
        return self.shop.shelf - promised + returning

    def draw_piece(self, data: st.DataObject, fits: Callable[[Piece], bool]) -> Piece | None:
        found = [piece for piece in self.pieces if fits(piece)]
        return data.draw(st.sampled_from(found)) if found else None

    @rule()
    def buyer_orders(self) -> None:
        """A look at the marketplace finds a new piece: it holds stock from this moment on."""
        self.pieces.append(Piece(reserved=True))

    @rule(data=st.data())
    def shop_writes_order(self, data: st.DataObject) -> None:
        """Also when it was cancelled meanwhile: the command was on its way."""
        piece = self.draw_piece(data, lambda p: not p.in_shop)
        if piece is not None:
            self.shop.write(piece)

    @rule(data=st.data())
    def bridge_learns_the_sequence(self, data: st.DataObject) -> None:
        """By the answer to order.create or by an event of the order, whichever comes first, again and again; the earliest word counts."""
        if self.shop.told:
            piece, sequence = data.draw(st.sampled_from(self.shop.told))
            if piece.contained_from is None or piece.contained_from > sequence:
                piece.contained_from = sequence

    @rule(data=st.data())
    def marketplace_cancels(self, data: st.DataObject) -> None:
        """The look sees it: the reservation is gone, the shop will be told."""
        piece = self.draw_piece(data, lambda p: not p.cancelled)
        if piece is not None:
            piece.cancelled, piece.reserved = True, False

    @rule(data=st.data())
    def shop_obeys_the_cancellation(self, data: st.DataObject) -> None:
        """The piece goes back on the shelf."""
        piece = self.draw_piece(data, lambda p: p.cancelled and p.in_shop and not p.restocked)
        if piece is not None:
            self.shop.put_back(piece)

    @rule(data=st.data())
    def shop_cancels(self, data: st.DataObject) -> None:
        """The piece is back at once; the reservation stays until the marketplace has confirmed."""
        piece = self.draw_piece(data, lambda p: p.in_shop and not p.cancelled)
        if piece is not None:
            piece.cancelled = True
            self.shop.put_back(piece)

    @rule()
    def shop_sells_over_the_counter(self) -> None:
        """What is really free there."""
        if self.shop.shelf > 0:
            self.shop.shelf -= 1
            self.shop.sold += 1
            self.shop.report()

    @rule(quantity=st.integers(1, 3))
    def delivery_or_return_arrives(self, quantity: int) -> None:
        """More on the shelf: a supplier's delivery, or a buyer's return that was put back."""
        self.shop.shelf += quantity
        self.shop.report()

    # --- messages ---------------------------------------------------------------------------------------------------

    @rule(data=st.data())
    def event_is_sent(self, data: st.DataObject) -> None:
        """With the shelf as it is now: it contains at least everything up to its sequence."""
        if self.shop.unsent:
            sequence = data.draw(st.sampled_from(self.shop.unsent))
            self.shop.unsent.remove(sequence)
            self.shop.under_way.append((sequence, self.shop.shelf, self.shop.sold))

    @rule(data=st.data())
    def event_arrives(self, data: st.DataObject) -> None:
        """In any order."""
        if self.shop.under_way:
            message = data.draw(st.sampled_from(self.shop.under_way))
            self.shop.under_way.remove(message)
            self.shop.arrived.append(message)
            self.bridge.takes_in(*message)

    @rule(data=st.data())
    def event_arrives_again(self, data: st.DataObject) -> None:
        """A duplicate, however old."""
        if self.shop.arrived:
            self.bridge.takes_in(*data.draw(st.sampled_from(self.shop.arrived)))

    # --- what must hold ---------------------------------------------------------------------------------------------

    @invariant()
    def never_shows_more_than_can_be_sold(self) -> None:
        if hasattr(self, "shop"):
            untold = self.shop.sold - self.bridge.sold
            assert self.bridge.shown(self.pieces) <= max(0, self.sellable() + untold)

    def teardown(self) -> None:
        """Everything arrives at last, the newest first: then both numbers are equal."""
        if not hasattr(self, "shop"):
            return
        for piece in self.pieces:
            if not piece.in_shop and not piece.cancelled:
                self.shop.write(piece)
            elif piece.cancelled and piece.in_shop and not piece.restocked:
                self.shop.put_back(piece)
            piece.reserved = piece.reserved and not piece.cancelled
        for piece, sequence in self.shop.told:
            piece.contained_from = sequence
        for sequence in sorted(self.shop.unsent, reverse=True):
            self.bridge.takes_in(sequence, self.shop.shelf, self.shop.sold)
        for message in self.shop.under_way:
            self.bridge.takes_in(*message)
        assert self.bridge.shown(self.pieces) == max(0, self.sellable())


# --- the machine itself, and whether it sees ------------------------------------------------------------------------------------


class EveryMessageIsNews(Bridge):
    """Planted: an old message overwrites a newer one."""

    def is_newer(self, sequence: int) -> bool:
        return True


class OneTooEarly(Bridge):
    """Planted: the last stock before the order is taken to contain it."""

    def counts(self, piece: Piece) -> bool:
        before = None if piece.contained_from is None else piece.contained_from - 1
        return piece.reserved and not rules.accounted(before, self.sequence)


class ClosedByTheAnswer(Bridge):
    """Planted: the reservation ends when the shop has written the order, whatever its stock says."""

    def counts(self, piece: Piece) -> bool:
        return piece.reserved and piece.contained_from is None


class NeverClosed(Bridge):
    """Planted: an order is subtracted by the shop and by us, for ever."""

    def counts(self, piece: Piece) -> bool:
        return piece.reserved


def examine(bridge: type[Bridge], examples: int, steps: int = 30, *, shrink: bool = True) -> None:
    """Run the machine with this bridge. Raises AssertionError with the (shortest) story it found."""

    class Machine(StockMachine):
        bridge_class = bridge

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=True,
            database=None,
            deadline=None,
            print_blob=False,
            phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_what_is_shown_can_always_be_sold_and_is_all_that_can_be_sold() -> None:
    examine(Bridge, 300)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_ten_thousand_interleavings() -> None:
    examine(Bridge, 10_000, steps=50)


@pytest.mark.parametrize("bridge", [EveryMessageIsNews, OneTooEarly, ClosedByTheAnswer, NeverClosed])
def test_the_machine_finds_a_planted_bug(bridge: type[Bridge]) -> None:
    with pytest.raises(AssertionError):
        examine(bridge, 300, shrink=False)
