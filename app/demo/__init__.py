"""The demo: a whole bridge, a simulated shop and a simulated Kaufland live through a busy day; then the shop sells on every marketplace that
can be simulated; then suppliers and retailers of the dropshipping network live through theirs. After each the books of all sides are compared.

`shopbridge demo` and `make demo` call `run`. The last line on stdout is one JSON object; the exit code is 0 only when both sides agree.
What may go wrong is what it is for: it is shown in the table, order by order.
"""

from __future__ import annotations

import argparse
import json
import signal
from collections.abc import Sequence
from typing import Any

import click
from sqlalchemy import text

from app.demo import marketplaces, network, network_books
from app.demo.books import Outcome, Stored, compare
from app.demo.day import STEPS, Day
from app.demo.machine import DemoFailed, Machine
from app.demo.people import Merchant
from app.demo.screen import Screen

__all__ = ["run"]

SHOWN = 25  # disagreements in the table


def run(*arguments: str) -> int:
    """Live through the day; 0 when everything agrees and nothing stays behind, 1 when not, 130 after Ctrl-C."""
    asked = _asked(arguments)
    screen = Screen(STEPS + marketplaces.STEPS + network.STEPS, plain=asked.plain)
    machine = Machine()
    outcome = Outcome()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with screen:
            outcome = _live(machine, screen, asked)
    except KeyboardInterrupt:
        screen.say("Stopped.")
        return 130
    except (DemoFailed, click.ClickException) as error:
        outcome.wrong.append(("the day", f"ended early: {error}"))
    finally:
        machine.stop()
        signal.signal(signal.SIGTERM, before)
        if outcome.ok and not asked.keep:
            machine.remove()
    outcome.wrong += [("a process", f"{process} stayed behind") for process in machine.left_behind()]
    if machine.folder.exists():
        screen.say(f"The logs are in {machine.folder / 'logs'}.")
    _tell(screen, outcome)
    return 0 if outcome.ok else 1


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="shopbridge demo",
        description="A busy day of a simulated shop on simulated marketplaces, and of a network of shops.",
    )
    parser.add_argument("--short", action="store_true", help="fewer orders, the same stories")
    parser.add_argument("--plain", action="store_true", help="plain lines on a terminal too")
    parser.add_argument("--keep", action="store_true", help="keep the data folder and its logs")
    parser.add_argument("--seed", type=int, default=7, help="another day with other orders (default 7)")
    return parser.parse_args(arguments)


def _live(machine: Machine, screen: Screen, asked: argparse.Namespace) -> Outcome:
    with screen.step(
        f"Starting PostgreSQL, Valkey, web, workers, clock and both simulators in {machine.folder}"
    ):
        machine.start()
    day = Day(machine, screen, short=asked.short, seed=asked.seed)
    changes = day.run()
    with screen.step("Comparing the books of both sides"):
        shop, kaufland = day.merchant.books(), day.kaufland.books()
        outcome = compare(shop, kaufland, stored(machine), changes)
        if asked.keep:
            told = {
                "shop": shop,
                "kaufland": kaufland,
                "changes": [[c.at.isoformat(), c.sku, c.stock] for c in changes],
                "ms": outcome.milliseconds,
            }
            (machine.folder / "books.json").write_text(json.dumps(told))
    _sell_everywhere(machine, screen, asked, outcome, day.merchant)
    _live_in_the_network(machine, screen, asked, outcome)
    with screen.step("Stopping everything"):
        machine.stop()
    return outcome


def _sell_everywhere(
    machine: Machine, screen: Screen, asked: argparse.Namespace, outcome: Outcome, merchant: Merchant
) -> None:
    """The same shop at every simulated marketplace; their figures and disagreements are added."""
    stalls = marketplaces.MarketDay(machine, screen, merchant, short=asked.short).run()
    with screen.step("Comparing the books of every marketplace with the shop"):
        states = {stall.name: stall.state() for stall in stalls}
        judged = marketplaces.compare(stalls, states, merchant.books(), marketplaces.believed(machine))
    if asked.keep:
        (machine.folder / "marketplaces.json").write_text(json.dumps(states))
    outcome.figures["marketplaces"] = judged.figures
    outcome.wrong += judged.wrong


def _live_in_the_network(
    machine: Machine, screen: Screen, asked: argparse.Namespace, outcome: Outcome
) -> None:
    """The second day; its figures and disagreements are added to those of the first."""
    machine.start_network()
    told = network.NetworkDay(machine, screen, short=asked.short, seed=asked.seed).run()
    with screen.step("Comparing the books of the shops, the payment provider and the ledger"):
        seen = network.look(machine, told)
        judged = network_books.compare(seen)
    if asked.keep:
        kept = {"suppliers": seen.suppliers, "retailers": seen.retailers, "payments": seen.payments}
        (machine.folder / "network.json").write_text(json.dumps(kept))
    outcome.figures["network"] = judged.figures
    outcome.wrong += judged.wrong


def stored(machine: Machine) -> Stored:
    """The bridge's own books."""
    with machine.database() as session:
        events = session.execute(text("SELECT delivery_id, state FROM event")).all()
        manifest = session.execute(
            text("SELECT count, arrived FROM manifest ORDER BY received_at DESC LIMIT 1")
        ).one_or_none()
        stuck = session.execute(
            text("""
                SELECT k.kind || coalesce(' for ' || o.external_id, '') || ' is ' || k.state || coalesce(': ' || k.reason_code, '')
                FROM command k LEFT JOIN orders o ON o.id = k.order_id WHERE k.state <> 'done' ORDER BY k.id
            """)
        ).scalars()
        late = session.execute(text(_LATE)).scalar_one()
        cases = session.execute(text("SELECT code FROM case_ WHERE state = 'open' ORDER BY id")).scalars()
        arrived = None if manifest is None else (manifest.count, manifest.arrived)
        states = {row.delivery_id: row.state for row in events}
        return Stored(states, arrived, list(stuck), late, list(cases))


_LATE = """
    SELECT count(*) FROM (
        SELECT sequence, max(sequence) OVER (
            PARTITION BY connection_id, subject ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS newest_before FROM event
    ) seen WHERE sequence < newest_before
"""


def _tell(screen: Screen, outcome: Outcome) -> None:
    """The table, what does not agree, and the one line for machines."""
    if outcome.figures:
        screen.table(_rows(outcome.figures))
    for what, sentence in outcome.wrong[:SHOWN]:
        screen.say(f"  DISAGREES  {what}: {sentence}")
    if len(outcome.wrong) > SHOWN:
        screen.say(f"  ... and {len(outcome.wrong) - SHOWN} more")
    screen.say(
        f"Both sides agree after {screen.seconds:.0f} s."
        if outcome.ok
        else f"Not everything is as it should be: {len(outcome.wrong)} found."
    )
    line = {
        **outcome.figures,
        "disagreements": len(outcome.wrong),
        "elapsed_s": round(screen.seconds, 1),
        "ok": outcome.ok,
    }
    click.echo(json.dumps(line))


def _rows(figures: dict[str, Any]) -> list[tuple[str, Any, str]]:
    f = figures
    return [
        (
            "Events the shop sent",
            f["events_sent"],
            f"{f['events_delivered_twice']} of them twice, {f['events_out_of_order']} in the wrong order",
        ),
        ("Events stored", f["events_stored"], f"manifest: {f['manifest']}"),
        ("Orders at the marketplace", f["orders_at_marketplace"], f"{f['pieces_at_marketplace']} pieces"),
        ("Orders in the shop", f["orders_in_shop"], f"{f['duplicate_orders']} twice, {f['lost']} lost"),
        (
            "Pieces shipped",
            f["shipped_at_marketplace"],
            f"{f['shipped_without_tracking']} without a tracking number",
        ),
        ("Pieces cancelled on both sides", f["cancelled_both"], ""),
        (
            "Orders refunded on both sides",
            f["refunded_both"],
            f"{f['refunded_both_cents'] / 100:.2f} EUR, equal to the cent",
        ),
        (
            "Products on sale",
            f["products_on_sale"],
            "stock equal on both sides" if f["stock_agrees"] else "stock differs",
        ),
        (
            "Stock change to marketplace",
            f"{f['stock_to_marketplace_p95_ms']} ms",
            f"p95 of {f['stock_changes_measured']}; median {f['stock_to_marketplace_p50_ms']} ms",
        ),
        *_market_rows(f.get("marketplaces") or {}),
        *_network_rows(f.get("network") or {}),
    ]


def _market_rows(found: dict[str, dict[str, int]]) -> list[tuple[str, Any, str]]:
    return [
        (
            f"Orders at {name}",
            f"{each['orders_in_shop']} of {each['orders_at_marketplace']}",
            f"{each['shipped']} pieces shipped, {each['cancelled']} cancelled, {_euros(each['refunded'])} refunded; "
            f"{each['duplicates']} twice, {each['lost']} lost",
        )
        for name, each in found.items()
    ]


def _network_rows(n: dict[str, Any]) -> list[tuple[str, Any, str]]:
    if not n:
        return []
    return [
        (
            "Products of the suppliers",
            n["products"],
            f"{n['not_released']} not released, each with its reason in the shop",
        ),
        ("Orders in the network", n["orders"], f"{n['trades']} parts in their suppliers' shops"),
        ("Cancellations mirrored", n["mirrored_cancellations"], ""),
        (
            "Refunded to retailers",
            _euros(n["refunded_minor"]),
            f"{_euros(n['receivable_minor'])} of it owed by suppliers",
        ),
        (
            "Released to suppliers",
            _euros(n["released_minor"]),
            f"{n['released_without_tracking']} without tracking; {_euros(n['paid_out_minor'])} paid out",
        ),
        ("Held", _euros(n["held_minor"]), f"all books together: {n['ledger_sum']}"),
        ("Supplier seen by a customer", n["leaks_of_supplier_identity"], "labels, orders and products"),
    ]


def _euros(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d} EUR"
