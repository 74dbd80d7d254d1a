"""A second mind about money: a small, pure ledger written from the rules alone (mission K8-K11, reliability 4.1-4.3), never from app.ledger.

It keeps no accounts. It keeps what happened to each trade and says by arithmetic what must be where. When it disagrees with app.ledger, one
of the two is wrong; the stories in stories.journal, computed by hand, are the third opinion. The points that the rules leave open are decided
at the top of stories.journal.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

Evidence = Literal["carrier_scan", "delivered"]


# --- what can happen --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Terms:
    """One supplier's part of an order, in minor units: `lines` name -> (quantity, gross price of one)."""

    key: str
    supplier: str
    currency: str
    lines: Mapping[str, tuple[int, int]]
    shipping: int = 0
    fee_bp: int = 0
    vat_bp: int = 1900
    policy: Literal["tracking", "carrier_scan", "delivered"] = "tracking"
    days: int = 0
    recipient: str | None = None  # None = somebody whom no other trade knows

    @property
    def total(self) -> int:
        return sum(count * price for count, price in self.lines.values()) + self.shipping


@dataclass(frozen=True)
class CaptureSent:
    """The instruction to capture left for the provider; from now on the money may come."""

    trade: str


@dataclass(frozen=True)
class Captured:
    """The provider has the retailer's money."""

    trade: str


@dataclass(frozen=True)
class CaptureFailed:
    """The provider did not get it."""

    trade: str


@dataclass(frozen=True)
class Parcel:
    """The supplier shipped; `number` is what he typed, None = nothing."""

    trade: str
    parcel: str
    number: str | None
    units: Mapping[str, int]


@dataclass(frozen=True)
class MoreInParcel:
    """The supplier says that more is in a parcel whose number he told before; `units` is everything in it now."""

    trade: str
    parcel: str
    units: Mapping[str, int]


@dataclass(frozen=True)
class Seen:
    """The carrier scanned a parcel, or delivered it."""

    trade: str
    parcel: str
    kind: Evidence


@dataclass(frozen=True)
class LookAtDue:
    """The clock looks for parcels that were delivered long enough ago."""


@dataclass(frozen=True)
class Refund:
    """A refund object in the supplier's shop (K8)."""

    trade: str
    key: str
    amount: int


@dataclass(frozen=True)
class Cancel:
    """Status CANCELLED in the supplier's shop, a rejection, or the end of the time to accept (K9)."""

    trade: str
    key: str = "cancel"


@dataclass(frozen=True)
class Dispute:
    """A chargeback was opened over this amount."""

    trade: str
    key: str
    amount: int


@dataclass(frozen=True)
class DisputeOver:
    """It was decided; `won`: the money stays."""

    trade: str
    key: str
    won: bool


@dataclass(frozen=True)
class Payout:
    """What is payable now is sent to the supplier's bank."""

    supplier: str
    currency: str
    key: str


@dataclass(frozen=True)
class PayoutEnds:
    """The provider's word about a payout."""

    key: str
    done: bool


@dataclass(frozen=True)
class Status:
    """Some status word of a shop that is no event about money: REFUNDED, COMPLETED, processing ... (K8, K12)."""

    trade: str
    word: str


TradeEvent = (
    CaptureSent
    | Captured
    | CaptureFailed
    | Parcel
    | MoreInParcel
    | Seen
    | Refund
    | Cancel
    | Dispute
    | DisputeOver
    | Status
)
Event = TradeEvent | LookAtDue | Payout | PayoutEnds


# --- what must be where -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Balances:
    """One trade's money in minor units. `released` is gross: the supplier's part and our fee with its VAT."""

    captured: int = 0
    refunded: int = 0
    released: int = 0
    paid_out: int = 0
    escrow: int = 0
    payable: int = 0
    receivable: int = 0
    disputed: int = 0
    fees: int = 0
    fee_vat: int = 0


def half_up(amount: int, basis_points: int) -> int:
    """That many basis points of an amount that is not negative, rounded half up, in whole numbers."""
    return (amount * basis_points + 5000) // 10000


@dataclass
class Share:
    """A part of the captured money that goes back: so much out of escrow, so much (gross) out of what was released."""

    escrow: int = 0
    released: int = 0

    @property
    def amount(self) -> int:
        return self.escrow + self.released


@dataclass
class Sent:
    """One parcel with a number that counts, and what is known of it. `value` None = not released yet."""

    units: Mapping[str, int]
    shipped_at: datetime
    scanned: bool = False
    delivered_at: datetime | None = None
    value: int | None = None
    released_at: datetime | None = None


@dataclass
class Story:
    """Everything that happened to one trade."""

    terms: Terms
    captured: int = 0
    sent: bool = False  # the instruction to capture
    withdrawn: bool = False  # before it was sent
    failed: bool = False
    cancelled: bool = False
    frozen: bool = False  # from any dispute on, until one is over and none holds money
    parcels: dict[str, Sent] = field(default_factory=dict)
    returned: dict[str, Share] = field(default_factory=dict)  # refunds, cancellations and lost disputes
    disputes: dict[str, Share] = field(default_factory=dict)  # the open ones
    closed: set[str] = field(default_factory=set)
    paid: int = 0
    under_way: int = 0
    netted: int = 0  # what this trade gave to (minus: got from) other trades of the same supplier

    @property
    def released(self) -> int:
        return sum(parcel.value or 0 for parcel in self.parcels.values())

    @property
    def gone(self) -> int:
        """What cannot be asked back again: refunded or held by a dispute."""
        return sum(share.amount for share in self._shares())

    @property
    def escrow(self) -> int:
        return self.captured - self.released - sum(share.escrow for share in self._shares())

    @property
    def earned(self) -> int:
        """What the supplier was released, gross, and did not have to give back: the basis of the fee."""
        return self.released - sum(share.released for share in self._shares())

    @property
    def fee(self) -> int:
        return half_up(self.earned, self.terms.fee_bp)

    @property
    def vat(self) -> int:
        return half_up(self.fee, self.terms.vat_bp)

    @property
    def claim(self) -> int:
        """What the supplier has to get for this trade; below zero he owes it."""
        return self.earned - self.fee - self.vat - self.paid - self.under_way - self.netted

    def _shares(self) -> Iterable[Share]:
        yield from self.returned.values()
        yield from self.disputes.values()

    def balances(self) -> Balances:
        return Balances(
            captured=self.captured,
            refunded=sum(share.amount for share in self.returned.values()),
            released=self.released,
            paid_out=self.paid,
            escrow=self.escrow,
            payable=max(self.claim, 0),
            receivable=max(-self.claim, 0),
            disputed=sum(share.amount for share in self.disputes.values()),
            fees=self.fee,
            fee_vat=self.vat,
        )


# --- the ledger -----------------------------------------------------------------------------------------------------------


class SecondLedger:
    """Plays events and knows the balances. `now` is the only clock."""

    def __init__(self, now: datetime, *, reserve_bp: int = 0) -> None:
        self.now = now
        self.reserve_bp = reserve_bp
        self.stories: dict[str, Story] = {}
        self.numbers: dict[tuple[str, str], tuple[Terms, datetime]] = {}  # supplier, number -> first use
        self.payouts: dict[str, tuple[str, dict[str, int]] | None] = {}
        self.blocked: set[str] = set()

    def open(self, terms: Terms) -> None:
        self.stories[terms.key] = Story(terms)

    def balances(self, trade: str) -> Balances:
        return self.stories[trade].balances()

    def told(self, trade: str, parcel: str) -> Counter[str]:
        """Everything that is in a parcel that counts, as far as it was told."""
        found: Counter[str] = Counter()
        for sent in self._of_parcel(self.stories[trade], parcel):
            found.update(sent.units)
        return found

    def play(self, event: Event) -> None:
        """Let one event happen; the same event again changes nothing."""
        if isinstance(event, Payout):
            self._pay(event.supplier, event.currency, event.key)
        elif isinstance(event, PayoutEnds):
            self._end_payout(event.key, done=event.done)
        elif isinstance(event, LookAtDue):
            for story in self.stories.values():
                for sent in story.parcels.values():
                    self._release(story, sent, due=True)
        else:
            self._play_trade(self.stories[event.trade], event)
        self._net()

    def _play_trade(self, story: Story, event: TradeEvent) -> None:
        match event:
            case Captured():
                self._capture(story)
            case CaptureSent():
                story.sent = True
            case CaptureFailed():
                # What was withdrawn has nothing left to fail.
                story.failed = story.failed or not (story.captured or story.withdrawn)
            case Parcel(_, parcel, number, units):
                self._ship(story, parcel, number, units)
            case MoreInParcel(_, parcel, units):
                self._add(story, parcel, units)
            case Seen(_, parcel, kind):
                self._see(story, parcel, kind)
            case Refund(_, key, amount):
                self._refund(story, key, amount)
            case Cancel(_, key):
                self._cancel(story, key)
            case Dispute(_, key, amount):
                self._dispute(story, key, amount)
            case DisputeOver(_, key, won):
                self._decide(story, key, won=won)
            case Status():
                pass  # A word moves no money (K8).

    # --- in and to the supplier ---

    def _capture(self, story: Story) -> None:
        if story.captured or story.failed:
            return
        story.captured = story.terms.total
        if story.cancelled:
            # The money came although nobody wanted it any more: it goes back at once (K9).
            story.returned["cancel"] = Share(escrow=story.captured)

    def _ship(self, story: Story, parcel: str, number: str | None, units: Mapping[str, int]) -> None:
        if parcel in story.parcels or story.cancelled or not story.captured:
            return
        if not self._counts(story, number) or not self._fits(story, units):
            return
        sent = story.parcels[parcel] = Sent(dict(units), self.now)
        self.numbers.setdefault((story.terms.supplier, compact(number or "")), (story.terms, self.now))
        self._release(story, sent)

    def _counts(self, story: Story, number: str | None) -> bool:
        """Whether it may be a tracking number, and nobody used it before but for the same recipient within 48 hours."""
        if number is None or not is_tracking_number(number):
            return False
        if (used := self.numbers.get((story.terms.supplier, compact(number)))) is None:
            return True
        terms, at = used
        mates = terms.key != story.terms.key and terms.recipient == story.terms.recipient is not None
        return mates and abs(self.now - at) <= timedelta(hours=48)

    @staticmethod
    def _fits(story: Story, units: Mapping[str, int]) -> bool:
        """Never more than was ordered."""
        return all(
            sum(sent.units.get(name, 0) for sent in story.parcels.values()) + count
            <= story.terms.lines[name][0]
            for name, count in units.items()
        )

    def _add(self, story: Story, parcel: str, units: Mapping[str, int]) -> None:
        """The rest of a known parcel, as if it were one of its own: with the same scan, and delivered at the earliest now."""
        known, told = self._of_parcel(story, parcel), self.told(story.terms.key, parcel)
        new = {name: count - told[name] for name, count in units.items() if count > told[name]}
        if not known or not new or story.cancelled or not self._fits(story, new):
            return
        delivered_at = known[0].delivered_at
        sent = story.parcels[f"{parcel}+{len(known)}"] = Sent(
            new, known[0].shipped_at, known[0].scanned, delivered_at and max(delivered_at, self.now)
        )
        self._release(story, sent)

    @staticmethod
    def _of_parcel(story: Story, parcel: str) -> list[Sent]:
        """What was told of it first, and what was told later."""
        return [sent for name, sent in story.parcels.items() if name.partition("+")[0] == parcel]

    def _see(self, story: Story, parcel: str, kind: Evidence) -> None:
        for sent in self._of_parcel(story, parcel):
            sent.scanned = True  # Who delivered it has scanned it.
            if kind == "delivered" and sent.delivered_at is None:
                sent.delivered_at = self.now
            self._release(story, sent)

    def _release(self, story: Story, sent: Sent, *, due: bool = False) -> None:
        """What the policy lets go (K11). Time alone releases only when the clock looks (`due`)."""
        if sent.value is not None or story.cancelled or story.frozen:
            return
        policy, days = story.terms.policy, timedelta(days=story.terms.days)
        if policy == "carrier_scan" and not sent.scanned:
            return
        if policy == "delivered" and (
            sent.delivered_at is None or (days and not (due and sent.delivered_at + days <= self.now))
        ):
            return
        goods = sum(count * story.terms.lines[name][1] for name, count in sent.units.items())
        first = all(other.value is None for other in story.parcels.values())
        sent.value = min(goods + (story.terms.shipping if first else 0), story.escrow)
        # Never before it was shipped, even when the clock was turned back meanwhile.
        sent.released_at = max(self.now, sent.delivered_at or sent.shipped_at)

    # --- back to the retailer ---

    def _split(self, story: Story, amount: int) -> Share:
        """First what nobody was given yet, then what the supplier was given."""
        escrow = min(amount, story.escrow)
        return Share(escrow, amount - escrow)

    def _refund(self, story: Story, key: str, amount: int) -> None:
        if key not in story.returned and 0 < amount <= story.captured - story.gone:
            story.returned[key] = self._split(story, amount)

    def _cancel(self, story: Story, key: str) -> None:
        if story.cancelled:
            return
        story.cancelled = True
        story.withdrawn = not (story.sent or story.captured or story.failed)
        if left := story.captured - story.gone:
            story.returned[f"cancel {key}"] = self._split(story, left)

    def _dispute(self, story: Story, key: str, amount: int) -> None:
        held = story.disputes.get(key)
        if key in story.closed or amount <= 0 or (held is not None and held.amount):
            return
        # A bank that wants more than there is holds nothing, and its dispute freezes the order all the same.
        story.frozen = True
        fits = amount <= story.captured - story.gone
        story.disputes[key] = self._split(story, amount) if fits else Share()

    def _decide(self, story: Story, key: str, *, won: bool) -> None:
        share = story.disputes.pop(key, None)
        if share is None:
            return
        story.frozen = story.frozen and any(other.amount for other in story.disputes.values())
        if not share.amount:
            self._thaw(story)
            return  # It was refused; the bank may tell of it anew.
        story.closed.add(key)
        if not won:
            story.returned[f"dispute {key}"] = share
        elif story.cancelled:
            # A cancelled order ends with everything refunded (invariant 9). What was won is the supplier's for a moment, and pays his debts.
            self._net()
            story.returned[f"dispute {key}"] = self._split(story, share.amount)
        self._thaw(story)

    def _thaw(self, story: Story) -> None:
        for sent in story.parcels.values():
            self._release(story, sent)

    # --- out to the supplier ---

    def _pay(self, supplier: str, currency: str, key: str) -> None:
        if key in self.payouts:
            return
        self.payouts[key] = None
        if supplier in self.blocked:
            return
        mine = [story for story in self._of(supplier, currency) if not story.frozen]
        owed = sum(-story.claim for story in self._of(supplier, currency) if story.claim < 0)
        amount = sum(story.claim for story in mine if story.claim > 0) - owed
        amount -= self._reserve(supplier, currency)
        parts: dict[str, int] = {}
        for story in mine:
            part = min(story.claim, amount)
            if part > 0:
                parts[story.terms.key] = part
                story.under_way += part
                amount -= part
        if parts:
            self.payouts[key] = ("under way", parts)

    def _reserve(self, supplier: str, currency: str) -> int:
        """A percentage of what the trades with a release in the last 30 days earned. A parcel for which nothing was left releases nothing."""
        since = self.now - timedelta(days=30)
        earned = sum(
            story.earned
            for story in self._of(supplier, currency)
            if any(
                sent.value and sent.released_at is not None and sent.released_at >= since
                for sent in story.parcels.values()
            )
        )
        return half_up(earned, self.reserve_bp)

    def _end_payout(self, key: str, *, done: bool) -> None:
        payout = self.payouts.get(key)
        if payout is None or payout[0] != "under way":
            return
        for trade, part in payout[1].items():
            self.stories[trade].under_way -= part
            if done:
                self.stories[trade].paid += part
        self.payouts[key] = ("done" if done else "failed", payout[1])

    def _of(self, supplier: str, currency: str) -> list[Story]:
        return [
            story
            for story in self.stories.values()
            if (story.terms.supplier, story.terms.currency) == (supplier, currency)
        ]

    def _net(self) -> None:
        """What a supplier owes is taken from what he is to get, the oldest first; never from a frozen trade."""
        for debtor in [story for story in self.stories.values() if story.claim < 0]:
            for giver in self._of(debtor.terms.supplier, debtor.terms.currency):
                part = min(-debtor.claim, giver.claim)
                if part > 0 and not giver.frozen:
                    giver.netted += part
                    debtor.netted -= part


# --- tracking numbers -------------------------------------------------------------------------------------------------------


def compact(number: str) -> str:
    """Capitals without separators: two ways to write a number are one number."""
    return re.sub(r"[\s.\-_/]+", "", number).upper()


def is_tracking_number(number: str) -> bool:
    """Whether it may be one: 4 to 40 letters and digits with a digit among them; DHL's NVE and the post's S10 with their check digits."""
    bare = compact(number)
    if not re.fullmatch(r"(?=.*\d)[0-9A-Z]{4,40}", bare):
        return False
    if bare.startswith("0034043"):
        return len(bare) == 20 and bare.isdigit() and gs1_check(bare[:-1]) == int(bare[-1])
    if re.fullmatch(r"[CLRUV][A-Z]\d{9}DE", bare):
        return _s10(bare[2:10]) == int(bare[10])
    return True


def gs1_check(digits: str) -> int:
    """GS1's check digit of an NVE: 3 and 1 by turns from the right."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return -total % 10


def _s10(digits: str) -> int:
    """UPU S10: weights 8 6 4 2 3 5 9 7, modulo 11."""
    rest = 11 - sum(int(d) * w for d, w in zip(digits, (8, 6, 4, 2, 3, 5, 9, 7), strict=True)) % 11
    return {10: 0, 11: 5}.get(rest, rest)
