"""Every event about money in any order, with duplicates, crashes and jumps of the clock, on real PostgreSQL (reliability 4.3).

After every step the bridge's ledger must have no breach and must agree with the second ledger to the cent. `examine()` runs it and answers
how many steps really ran. What may go wrong: a rule that never does anything; `Ran.events` counts what each kind of event did.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

import time_machine
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from real_ledger import Cast, RealLedger
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
    SecondLedger,
    Seen,
    Status,
    Story,
    Terms,
    gs1_check,
)
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.orm import Session

from app import ledger

BEGIN = datetime(2026, 3, 27, 22, 0, tzinfo=UTC)  # two days before the clocks change in Europe

NUMBERS = (
    "00340434000000000017",
    "0034 0434 0000 0000 0024",  # as people copy it from a web page
    "RX123450014DE",
)
NO_NUMBERS = (None, "", "n/a", "12", "00340434000000000018", "RX123450015DE", "folgt")
WORDS = ("refunded", "completed", "processing", "on-hold", "failed", "refunded", "cancelled", "rejected")
OWN = "own"  # stands for a number that no other parcel has

CONDITIONS = (
    {"fee_bp": 0},
    {"fee_bp": 500},
    {"fee_bp": 333},
    {"fee_bp": 1500, "vat_bp": 700},
)
POLICIES: tuple[dict[str, Any], ...] = (
    {"policy": "tracking"},
    {"policy": "tracking"},
    {"policy": "carrier_scan"},
    {"policy": "delivered", "days": 2},
)


class Crash(Exception):
    """The process dies here."""


@dataclass
class Ran:
    """What really happened: steps in all, and for each kind of event how often it moved money."""

    steps: int = 0
    looks: int = 0  # at the rows, after steps that wrote something
    examples: int = 0
    events: Counter[str] = field(default_factory=Counter)
    moved: Counter[str] = field(default_factory=Counter)

    def __iadd__(self, other: Ran) -> Self:
        self.steps += other.steps
        self.looks += other.looks
        self.examples += other.examples
        self.events += other.events
        self.moved += other.moved
        return self

    def __str__(self) -> str:
        kinds = ", ".join(f"{name} {self.moved[name]}/{count}" for name, count in sorted(self.events.items()))
        return f"{self.steps} steps ({self.looks} wrote something) in {self.examples} histories; moved money / happened: {kinds}"


class Writes:
    """Counts statements that write, until somebody has looked."""

    def __init__(self) -> None:
        self.left = 0

    def __call__(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.lstrip().startswith(("SELECT", "SET CONSTRAINTS", "SAVEPOINT", "RELEASE")):
            self.left += 1


# --- what is drawn ------------------------------------------------------------------------------------------------------

trades = st.integers(0, 59)  # which of those that are there
parcels = st.sampled_from(["new", "new", "new", "p1", "p2"])
amounts = st.one_of(st.integers(1, 60), st.integers(1, 1500), st.sampled_from([0, 490, 999, 100000]))
keys = st.sampled_from(["r1", "r2", "r3", "r4", "r5", "r6"])
numbers = st.integers(0, 39).map(
    lambda i: (*NUMBERS, *NO_NUMBERS)[i] if i < len(NUMBERS) + len(NO_NUMBERS) else OWN
)
suppliers = st.sampled_from(["anna", "anna", "chai"])
currencies = st.sampled_from(["EUR", "EUR", "RON"])


@st.composite
def terms(draw: st.DrawFn) -> Terms:
    """One supplier's part of an order. Most trades are Anna's in euros, so that they meet in her payouts and debts."""
    lines = {
        name: (draw(st.integers(1, 3)), draw(st.sampled_from([1, 99, 333, 500, 1333])))
        for name in ("tea", "cup")[: draw(st.integers(1, 2))]
    }
    return Terms(
        key="",
        supplier=draw(suppliers),
        currency=draw(currencies),
        lines=lines,
        shipping=draw(st.sampled_from([0, 490, 495])),
        recipient=draw(st.sampled_from([None, None, "Aydin"])),
        **draw(st.sampled_from(CONDITIONS)),
        **draw(st.sampled_from(POLICIES)),
    )


class MoneyMachine(RuleBasedStateMachine):
    """Two ledgers and one history; hypothesis chooses what happens next."""

    session: ClassVar[Session]
    cast: ClassVar[Cast]
    ran: ClassVar[Ran]
    writes: ClassVar[Writes]
    before: ClassVar[Callable[[], None]] = staticmethod(lambda: None)

    @initialize(
        found=st.lists(terms(), min_size=2, max_size=2),
        reserve=st.sampled_from([0, 0, 1000]),
        paid=st.integers(0, 4),
    )
    def opens(self, found: list[Terms], reserve: int, paid: int) -> None:
        self.travel = time_machine.travel(BEGIN, tick=False)
        self.clock = self.travel.start()
        self.before()
        self.ran.examples += 1
        self.second = SecondLedger(BEGIN, reserve_bp=reserve)
        self.real = RealLedger(self.session, self.cast, reserve_bp=reserve)
        self.past: list[Event] = []
        self.dies_after: int | None = None
        self.found: dict[str, Balances] = {}  # by app.ledger
        self.known: dict[str, Balances] = {}  # by the second ledger
        for one in found:
            self.retailer_orders(one, paid)

    @rule(found=terms(), paid=st.integers(0, 4))
    def retailer_orders(self, found: Terms, paid: int) -> None:
        """Another supplier's part of an order; most are paid at once."""
        if len(self.second.stories) == 6:
            return
        named = replace(found, key=f"T{len(self.second.stories) + 1}")
        self.second.open(named)
        self.real.open(named)
        self.happens(Captured(named.key) if paid else Status(named.key, "on-hold"))

    def trade(self, number: int, fits: Callable[[Story], bool]) -> str:
        """One of the trades for which the event means something; every fifth time any trade."""
        found = [key for key, story in self.second.stories.items() if number % 5 and fits(story)]
        keys = found or list(self.second.stories)
        return keys[number % len(keys)]

    def teardown(self) -> None:
        if hasattr(self, "travel"):
            self.travel.stop()
            self.session.rollback()
            self.session.expunge_all()

    # --- one step ---------------------------------------------------------------------------------------------------

    def happens(self, event: Event) -> None:
        """The event happens in both ledgers, and both are compared."""
        before = self.known
        if self.dies_after is not None:
            self.crashes_in(event, self.dies_after)
            self.dies_after = None
        self.past.append(event)
        self.real.play(event)
        self.second.play(event)
        self.compare(event)
        name = type(event).__name__
        self.ran.steps += 1
        self.ran.events[name] += 1
        self.ran.moved[name] += any(money != before.get(key, Balances()) for key, money in self.known.items())

    def compare(self, event: object) -> None:
        """No breach, and the same money everywhere. Where nothing at all was written, the rows are those that were looked at before."""
        self.session.flush()
        if self.writes.left:
            self.real.settled()
            self.found = self.real.all_balances()
            breaches = ledger.breaches(self.session)
            assert breaches == [], f"after {event}"
            self.writes.left = 0
            self.ran.looks += 1
        self.known = {key: self.second.balances(key) for key in self.second.stories}
        assert self.found == self.known, f"after {event}: {_differences(self.found, self.known)}"

    # --- money comes ------------------------------------------------------------------------------------------------

    @rule(which=trades, word=st.sampled_from([Captured, Captured, Captured, CaptureSent, CaptureFailed]))
    def provider_tells_of_the_capture(self, which: int, word: type[Captured]) -> None:
        trade = self.trade(which, lambda story: not story.captured)
        self.happens(word(trade))

    # --- goods go -----------------------------------------------------------------------------------------------------

    @rule(which=trades, parcel=parcels, number=numbers, tea=st.integers(0, 2), cup=st.integers(0, 1))
    def supplier_ships(self, which: int, parcel: str, number: str | None, tea: int, cup: int) -> None:
        """Some of it, or more than was ordered."""
        trade = self.trade(which, _has_units_left)
        parcel = self.parcel(trade, parcel)
        wanted = {"tea": tea, "cup": cup}
        lines = self.second.stories[trade].terms.lines
        units = {name: count for name, count in wanted.items() if count and name in lines}
        if units:
            self.happens(Parcel(trade, parcel, _own(number, trade, parcel), units))

    @rule(which=trades, parcel=parcels, number=numbers)
    def supplier_ships_the_rest(self, which: int, parcel: str, number: str | None) -> None:
        trade = self.trade(which, _has_units_left)
        parcel = self.parcel(trade, parcel)
        if units := self._rest(trade):
            self.happens(Parcel(trade, parcel, _own(number, trade, parcel), units))

    @rule(which=trades, parcel=st.integers(0, 3), tea=st.integers(0, 2), cup=st.integers(0, 1))
    def supplier_adds_to_a_parcel(self, which: int, parcel: int, tea: int, cup: int) -> None:
        """More of the order is in a parcel that was told before; now and then more than there is, or in one that does not count."""
        trade = self.trade(which, lambda story: bool(story.parcels) and _has_units_left(story))
        known = [name for key, name in self.real.parcels if key == trade]
        counting = [name for name in known if which % 5 and name in self.second.stories[trade].parcels]
        if names := counting or known:
            self.adds(trade, names[parcel % len(names)], {"tea": tea, "cup": cup})

    @rule(which=trades, number=numbers, tea=st.integers(0, 2), cup=st.integers(0, 1))
    def supplier_remembers_more(self, which: int, number: str | None, tea: int, cup: int) -> None:
        """One unit is told, and a moment later what else is in the parcel."""
        trade = self.trade(which, lambda story: bool(story.captured) and _has_units_left(story))
        left = [name for name, count in self._rest(trade).items() if count]
        if left:
            parcel = self.parcel(trade, "new")
            self.happens(Parcel(trade, parcel, _own(number, trade, parcel), {left[0]: 1}))
            self.adds(trade, parcel, {"tea": tea, "cup": cup})

    def adds(self, trade: str, parcel: str, more: dict[str, int]) -> None:
        """So many units more are in a parcel than were told."""
        told, ordered = self.second.told(trade, parcel), self.second.stories[trade].terms.lines
        units = {name: told[name] + more[name] for name in ordered if told[name] + more[name]}
        if units:
            self.happens(MoreInParcel(trade, parcel, units))

    def _rest(self, trade: str) -> dict[str, int]:
        """What was not shipped yet."""
        story = self.second.stories[trade]
        return {
            name: left
            for name, (count, _) in story.terms.lines.items()
            if (left := count - sum(sent.units.get(name, 0) for sent in story.parcels.values()))
        }

    def parcel(self, trade: str, parcel: str) -> str:
        return parcel if parcel != "new" else f"p{sum(key == trade for key, _ in self.real.parcels) + 1}"

    @rule(number=trades, kind=st.sampled_from(["carrier_scan", "delivered"]))
    def carrier_tells(self, number: int, kind: Any) -> None:
        """Mostly of parcels that wait for it."""
        told = list(self.real.parcels)
        waiting = [(trade, parcel) for trade, parcel in told if number % 5 and self._waits(trade, parcel)]
        if found := waiting or told:
            self.happens(Seen(*found[number % len(found)], kind))

    def _waits(self, trade: str, parcel: str) -> bool:
        sent = self.second.stories[trade].parcels.get(parcel)
        return sent is not None and sent.value is None

    # --- money goes back ------------------------------------------------------------------------------------------------

    @rule(which=trades, key=keys, amount=amounts)
    def refund_object(self, which: int, key: str, amount: int) -> None:
        trade = self.trade(which, _has_money_left)
        self.happens(Refund(trade, key, amount))

    @rule(which=trades, key=keys, part=st.integers(1, 6))
    def refund_of_a_part_of_the_rest(self, which: int, key: str, part: int) -> None:
        trade = self.trade(which, _has_money_left)
        story = self.second.stories[trade]
        left = (story.captured - story.gone) // part
        self.happens(Refund(trade, key, left))

    @rule(which=trades, key=keys, part=st.integers(1, 3))
    def goods_come_back_after_the_payout(self, which: int, key: str, part: int) -> None:
        """The supplier owes it from now on, or other orders pay it."""
        trade = self.trade(which, lambda story: story.paid > 0 and _has_money_left(story))
        story = self.second.stories[trade]
        if story.paid:
            self.happens(Refund(trade, key, (story.captured - story.gone) // part))

    @rule(which=trades, word=st.sampled_from(WORDS))
    def shop_says_a_word(self, which: int, word: str) -> None:
        """Only two words are about money (K8, K9, K12)."""
        trade = self.trade(which, _has_money_left)
        self.happens(Cancel(trade, word) if word in {"cancelled", "rejected"} else Status(trade, word))

    @rule(which=trades, key=st.sampled_from(["d1", "d2"]), amount=amounts)
    def bank_disputes(self, which: int, key: str, amount: int) -> None:
        trade = self.trade(which, _has_money_left)
        if self.second.stories[trade].captured and amount:
            self.happens(Dispute(trade, key, amount))

    @rule(which=trades, part=st.integers(2, 4))
    def bank_disputes_on_the_day_of_the_payout(self, which: int, part: int) -> None:
        """Of something that is payable: only the rest of the supplier's orders may go out."""
        trade = self.trade(which, lambda story: story.claim > 1)
        story = self.second.stories[trade]
        if story.claim > 1:
            self.happens(Dispute(trade, "d1", story.claim // part))
            self.happens(Payout(story.terms.supplier, story.terms.currency, f"P{len(self.second.payouts)}"))

    @rule(data=st.data(), won=st.booleans())
    def dispute_ends(self, data: st.DataObject, won: bool) -> None:
        found = [(key, word) for key, story in self.second.stories.items() for word in story.disputes]
        if found:
            trade, key = data.draw(st.sampled_from(found))
            self.happens(DisputeOver(trade, key, won))

    # --- money goes out ---------------------------------------------------------------------------------------------------

    @rule(which=trades)
    def payout(self, which: int) -> None:
        """Of everything that is payable to somebody in one currency."""
        terms = self.second.stories[self.trade(which, lambda story: story.claim > 0)].terms
        self.happens(Payout(terms.supplier, terms.currency, f"P{len(self.second.payouts)}"))

    @rule(data=st.data(), done=st.booleans())
    def payout_ends(self, data: st.DataObject, done: bool) -> None:
        """The provider's word, also a second time; never another word than the first."""
        found = [(key, made[0]) for key, made in self.second.payouts.items() if made is not None]
        if found:
            key, state = data.draw(st.sampled_from(found))
            self.happens(PayoutEnds(key, done if state == "under way" else state == "done"))

    @rule(which=trades)
    def everything_goes_well(self, which: int) -> None:
        """Captured, shipped, delivered and paid out, one after another: so that much happens to money that is out already."""
        trade = self.trade(which, _has_units_left)
        terms = self.second.stories[trade].terms
        self.happens(Captured(trade))
        if units := self._rest(trade):
            parcel = self.parcel(trade, "new")
            self.happens(Parcel(trade, parcel, _own(OWN, trade, parcel), units))
            if terms.policy != "tracking":
                self.happens(Seen(trade, parcel, "delivered"))
        key = f"P{len(self.second.payouts)}"
        self.happens(Payout(terms.supplier, terms.currency, key))
        if self.second.payouts[key] is not None:
            self.happens(PayoutEnds(key, done=True))

    # --- what goes wrong ----------------------------------------------------------------------------------------------------

    @rule(data=st.data())
    def comes_again(self, data: st.DataObject) -> None:
        """Any earlier event, however old."""
        if self.past:
            self.happens(data.draw(st.sampled_from(self.past)))

    @rule(statements=st.integers(0, 30))
    def process_will_die(self, statements: int) -> None:
        """In the middle of the next event, or just before it is committed; then the event is worked off once more."""
        self.dies_after = statements

    def crashes_in(self, event: Event, statements: int) -> None:
        """Nothing of it is left."""
        kept = copy.deepcopy({name: getattr(self.real, name) for name in ("parcels", "numbers", "payouts")})
        savepoint = self.session.begin_nested()
        with dies_after(self.session, statements):
            try:
                self.real.play(event)
                self.session.flush()
                self.ran.moved["Crash"] += 1
            except Crash:
                self.ran.moved["Crash in the middle"] += 1
        savepoint.rollback()
        vars(self.real).update(kept)
        self.ran.steps += 1
        self.ran.events["Crash"] += 1
        self.compare(f"a crash in {event}")

    @rule(hours=st.sampled_from([-3, -1, 1, 5, 24, 47, 49, 24 * 31]))
    def clock_jumps(self, hours: int) -> None:
        """On, into another month, or back; then the clock looks what is due."""
        self.second.now += timedelta(hours=hours)
        self.clock.move_to(self.second.now)
        self.happens(LookAtDue())


def _differences(found: dict[str, Balances], told: dict[str, Balances]) -> str:
    """What app.ledger has, and what the second ledger has."""
    return "; ".join(
        f"{key} {name}: {value} and {getattr(told[key], name)}"
        for key in told
        for name, value in vars(found[key]).items()
        if value != getattr(told[key], name)
    )


def _has_units_left(story: Story) -> bool:
    ordered = sum(count for count, _ in story.terms.lines.values())
    return not story.cancelled and ordered > sum(sum(sent.units.values()) for sent in story.parcels.values())


def _has_money_left(story: Story) -> bool:
    return story.captured > story.gone


def _own(number: str | None, trade: str, parcel: str) -> str | None:
    """A valid NVE for this parcel alone."""
    if number != OWN:
        return number
    digits = f"003404345000000{trade[1:]:0>2}{parcel[1:]:0>2}"
    return digits + str(gs1_check(digits))


@contextmanager
def dies_after(session: Session, statements: int) -> Iterator[None]:
    """Raise Crash before the statement with this number."""
    engine = session.get_bind()
    left = statements

    def burn(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == -1:  # once: the rollback is statements too
            raise Crash

    sqlalchemy_event.listen(engine, "before_cursor_execute", burn)
    try:
        yield
    finally:
        sqlalchemy_event.remove(engine, "before_cursor_execute", burn)


def examine(
    session: Session,
    cast: Cast,
    histories: int,
    *,
    number: int = 1,
    steps: int = 60,
    shrink: bool = True,
    before: Callable[[], None] | None = None,
) -> Ran:
    """Run that many histories; another `number`, other histories. Raises AssertionError with the (shortest) one that went wrong.

    `before` is called at the beginning of each, inside its transaction.
    """

    @seed(number)
    class Machine(MoneyMachine):
        pass

    Machine.session, Machine.cast, Machine.ran, Machine.writes = session, cast, Ran(), Writes()
    if before is not None:
        Machine.before = staticmethod(before)
    how = settings(
        max_examples=histories,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    sqlalchemy_event.listen(session.get_bind(), "before_cursor_execute", Machine.writes)
    try:
        run_state_machine_as_test(Machine, settings=how)
    finally:
        sqlalchemy_event.remove(session.get_bind(), "before_cursor_execute", Machine.writes)
    return Machine.ran
