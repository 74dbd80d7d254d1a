"""Reads stories.journal: titles, trades, events with their postings, and the balances at the end.

What may go wrong: a line that nobody understands. It raises with its number, so that no part of a story is silently left out.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from second_ledger import (
    Balances,
    Cancel,
    Captured,
    CaptureFailed,
    CaptureSent,
    Dispute,
    DisputeOver,
    Event,
    LookAtDue,
    MoreInParcel,
    Parcel,
    Payout,
    PayoutEnds,
    Refund,
    Seen,
    Status,
    Terms,
)

JOURNAL = Path(__file__).with_name("stories.journal")

_STORY = re.compile(r"; == (\d+)\. (.+)")
_HEAD = re.compile(r"(\d{4}-\d{2}-\d{2}) \* (\w+) \| (.+)")
_POSTING = re.compile(r"    ([a-z_]+(?::[\w:]+)?) +(-?\d+\.\d{2}) ([A-Z]{3})")
_FLOWS = {"captured", "refunded", "released", "paid_out"}


@dataclass
class Transaction:
    """One event and what it posts: (account, minor units, currency)."""

    line: int
    at: datetime
    event: Event
    postings: list[tuple[str, int, str]] = field(default_factory=list)

    @property
    def releases(self) -> bool:
        """Whether money goes from escrow to a supplier here; then what leaves escrow was released."""
        return any(account.startswith("payable:") and amount < 0 for account, amount, _ in self.postings)


@dataclass
class Golden:
    """One story. `ends`: trade -> its balances when the story is over."""

    number: int
    title: str
    reserve_bp: int = 0
    trades: list[Terms] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    ends: dict[str, Balances] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.number}. {self.title}"


def read(text: str | None = None) -> list[Golden]:
    """All stories of the journal. Raises ValueError with the number of a line that is not understood."""
    stories: list[Golden] = []
    for number, line in enumerate((text or JOURNAL.read_text(encoding="utf-8")).splitlines(), 1):
        try:
            _take(stories, number, line)
        except (ValueError, KeyError, IndexError) as error:
            raise ValueError(f"{JOURNAL.name}:{number}: {line!r}: {error}") from error
    return stories


def _take(stories: list[Golden], number: int, line: str) -> None:
    if found := _STORY.fullmatch(line):
        stories.append(Golden(int(found[1]), found[2]))
    elif not line.strip() or not stories:
        if line.strip() and not line.startswith(";"):
            raise ValueError("outside every story")
    elif line.startswith("; trade "):
        stories[-1].trades.append(_terms(line.split()[2:]))
    elif line.startswith("; reserve "):
        stories[-1].reserve_bp = int(Decimal(line.split()[2]) * 100)
    elif line.startswith("; end "):
        trade, *said = line.split()[2:]
        stories[-1].ends[trade] = Balances(**{name: _cents(value) for name, value in _pairs(said).items()})
    elif found := _HEAD.fullmatch(line):
        at = datetime.fromisoformat(found[1]).replace(hour=12, tzinfo=UTC)
        stories[-1].transactions.append(Transaction(number, at, _event(found[2], found[3].split())))
    elif found := _POSTING.fullmatch(line):
        stories[-1].transactions[-1].postings.append((found[1], _cents(found[2]), found[3]))
    elif not line.startswith("; "):
        raise ValueError("not understood")


def _pairs(words: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _cents(amount: str) -> int:
    return int(Decimal(amount) * 100)


def _units(words: str) -> dict[str, int]:
    return {name: int(count) for name, _, count in (word.partition(":") for word in words.split(","))}


def _terms(words: list[str]) -> Terms:
    said = _pairs(words[1:])
    policy, _, days = said.get("policy", "tracking").partition("+")
    kinds: Mapping[str, Any] = {"tracking": "tracking", "scan": "carrier_scan", "delivered": "delivered"}
    lines = {}
    for word in said["lines"].split(","):
        name, _, rest = word.partition(":")
        count, _, price = rest.partition("x")
        lines[name] = (int(count), _cents(price))
    return Terms(
        key=words[0],
        supplier=said["supplier"],
        currency=said["currency"],
        lines=lines,
        shipping=_cents(said.get("shipping", "0")),
        fee_bp=_cents(said.get("fee", "0")),
        vat_bp=_cents(said.get("vat", "19")),
        policy=kinds[policy],
        days=int(days or 0),
        recipient=said.get("recipient"),
    )


_WORDS: Mapping[str, Callable[[str], Event]] = {
    "captured": Captured,
    "capture sent": CaptureSent,
    "capture failed": CaptureFailed,
    "look": lambda _: LookAtDue(),
    "cancelled": lambda trade: Cancel(trade, "cancelled"),
    "rejected": lambda trade: Cancel(trade, "rejected"),
}


def _event(trade: str, words: list[str]) -> Event:
    if known := _WORDS.get(" ".join(words)):
        return known(trade)
    match words:
        case ["parcel", parcel, number, units]:
            return Parcel(trade, parcel, None if number == "none" else number, _units(units))
        case ["more", parcel, units]:
            return MoreInParcel(trade, parcel, _units(units))
        case ["scan", parcel]:
            return Seen(trade, parcel, "carrier_scan")
        case ["delivered", parcel]:
            return Seen(trade, parcel, "delivered")
        case ["refund", key, amount]:
            return Refund(trade, key, _cents(amount))
        case ["dispute", key, "won" | "lost" as end]:
            return DisputeOver(trade, key, won=end == "won")
        case ["dispute", key, amount]:
            return Dispute(trade, key, _cents(amount))
        case ["payout", key, "done" | "failed" as end]:
            return PayoutEnds(key, done=end == "done")
        case ["payout", key, supplier, currency]:
            return Payout(supplier, currency, key)
        case ["status", word]:
            return Status(trade, word)
    raise ValueError("no such event")


# --- what the postings say ------------------------------------------------------------------------------------------


def posted(story: Golden) -> dict[str, Balances]:
    """The balances at the end as the postings alone have them, for each trade."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for transaction in story.transactions:
        for account, amount, _ in transaction.postings:
            for trade, name, part in _meaning(transaction, account, amount):
                sums[trade, name] += part
    names = [found.name for found in fields(Balances)]
    return {terms.key: Balances(**{name: sums[terms.key, name] for name in names}) for terms in story.trades}


_HELD = {
    "escrow": "escrow",
    "payable": "payable",
    "dispute_hold": "disputed",
    "fee": "fees",
    "fee_vat": "fee_vat",
}


def _meaning(transaction: Transaction, account: str, amount: int) -> Iterator[tuple[str, str, int]]:
    """Which figures of which trade a posting changes."""
    kind, _, rest = account.partition(":")
    event = transaction.event
    if kind == "psp":
        # Money at the provider belongs to the trade that the event names; a payout is counted where it leaves in_transit.
        if not isinstance(event, PayoutEnds | Payout):
            assert not isinstance(event, LookAtDue)
            yield event.trade, "captured" if amount > 0 else "refunded", abs(amount)
        return
    trade = rest.rpartition(":")[2]
    if kind in _HELD:
        yield trade, _HELD[kind], -amount
    elif kind == "receivable":
        yield trade, "receivable", amount
    elif kind == "in_transit":
        if isinstance(event, PayoutEnds) and event.done:
            yield trade, "paid_out", amount
    else:
        raise ValueError(f"{account} is no account of these stories")
    if kind == "escrow" and transaction.releases:
        yield trade, "released", max(amount, 0)
