"""The auditor: holds what was promised and done at both ends against what the bridge says. Answers sentences; no sentence = all is well."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from load import Load, Notes
from machine import Bridge


def lost_events(bridge: Bridge, notes: Notes) -> list[str]:
    """Events that were answered with 200 or 202 and that are not stored, or not worked off, or stored twice."""
    stored: dict[str, list[str]] = defaultdict(list)
    for row in bridge.rows("SELECT delivery_id, state FROM event"):
        stored[row["delivery_id"]].append(row["state"])
    wrong = []
    for promise in notes.promises:
        states = stored.get(promise.delivery_id, [])
        if len(states) != 1 or states[0] not in {"done", "superseded"}:
            wrong.append(f"event {promise.delivery_id} was acknowledged and is {states or 'lost'}")
    for entry in bridge.shop.outbox.listed():
        states = stored.get(entry["id"], [])
        if entry["state"] == "sent" and (len(states) != 1 or states[0] not in {"done", "superseded"}):
            wrong.append(
                f"event {entry['id']} ({entry['type']}) of the shop was acknowledged and is {states or 'lost'}"
            )
        if entry["state"] in {"dead", "parked"}:
            wrong.append(f"event {entry['id']} of the shop was given up: {entry['answers']}")
    return wrong


def old_stock(bridge: Bridge, notes: Notes) -> list[str]:
    """Products of the clients whose stock is not that of the highest acknowledged sequence (I13)."""
    newest: dict[int, tuple[int, int]] = {}
    for promise in notes.promises:
        newest[promise.product] = max(newest.get(promise.product, (0, 0)), (promise.sequence, promise.stock))
    known = {
        row["external_id"]: row["stock"] for row in bridge.rows("SELECT external_id, stock FROM product")
    }
    return [
        f"product {product} has stock {known.get(str(product))} instead of {stock}"
        for product, (_, stock) in newest.items()
        if known.get(str(product)) != stock
    ]


def wrong_orders(bridge: Bridge, notes: Notes) -> list[str]:
    """Marketplace orders that are missing in the shop, are there twice, or did not end as both sides wished."""
    in_shop: dict[str, list[Any]] = defaultdict(list)
    for order in bridge.shop.orders.values():
        if order.source:
            in_shop[order.source["order_id"]].append(order)
    wrong = []
    for buying in notes.orders:
        orders = in_shop[buying.id_order]
        early = buying.fate == "cancelled_by_buyer"
        if len(orders) > 1 or (not orders and not early):
            wrong.append(f"order {buying.id_order} is {len(orders)} times in the shop")
            continue
        wanted = ("sent", "completed") if buying.fate.startswith("ship") else ("cancelled", "cancelled")
        states = {bridge.kaufland.order_units[unit]["status"] for unit in buying.units}
        if states != {wanted[0]}:
            wrong.append(f"order {buying.id_order} ({buying.fate}) is {sorted(states)} at the marketplace")
        if orders and orders[0].status != wanted[1]:
            wrong.append(f"order {buying.id_order} ({buying.fate}) is {orders[0].status} in the shop")
        pieces = sum(line.quantity for line in orders[0].lines) if orders else len(buying.units)
        if pieces != len(buying.units):
            wrong.append(f"order {buying.id_order} has {pieces} pieces in the shop, not {len(buying.units)}")
    return wrong


def doubled_deeds(bridge: Bridge, notes: Notes) -> list[str]:
    """Deeds in Kaufland's books that were done twice to one piece."""
    done = Counter((deed["deed"], deed["id"]) for deed in bridge.kaufland.deeds)
    once = {"send", "cancel", "refund", "accept_return", "create_unit"}
    return [
        f"{deed} was done {count} times to {piece}"
        for (deed, piece), count in done.items()
        if deed in once and count > 1
    ]


def missing_refunds(bridge: Bridge, notes: Notes) -> list[str]:
    """Refunds of the shop that neither reached the marketplace nor became a case for a person."""
    refunds = sum(
        1 for order in bridge.shop.orders.values() for refund in order.refunds if not refund.by_bridge
    )
    done = sum(1 for deed in bridge.kaufland.deeds if deed["deed"] == "refund")
    cases = bridge.value("SELECT count(*) FROM case_ WHERE code = 'outcome.unknown_refund'")
    return (
        []
        if refunds <= done + cases
        else [f"{refunds} refunds in the shop, {done} at the marketplace, {cases} cases"]
    )


def wrong_stock(bridge: Bridge, notes: Notes) -> list[str]:
    """SKUs of which the marketplace does not show the shop's stock minus what open orders still hold."""
    wrong = []
    for product in bridge.shop.products.values():
        held = bridge.value(
            "SELECT count(*) FROM reservation r JOIN product p ON p.id = r.product_id WHERE p.sku = %(sku)s AND r.state = 'open'"
            " AND (r.stock_sequence IS NULL OR p.stock_sequence IS NULL OR p.stock_sequence < r.stock_sequence)",
            sku=product.sku,
        )
        unit = next(each for each in bridge.kaufland.units.values() if each["id_offer"] == product.sku)
        shown = bridge.kaufland.buyable(unit)
        if shown != max(0, product.stock - held):
            wrong.append(f"{product.sku}: {shown} on sale, {product.stock} in the shop, {held} held")
    return wrong


def stuck(bridge: Bridge, notes: Notes) -> list[str]:
    """Events and commands that ended badly; a refund nobody can read back may wait for a person."""
    events = bridge.rows(
        "SELECT id, type, state, reason_code FROM event WHERE state NOT IN ('done', 'superseded')"
    )
    commands = bridge.rows(
        "SELECT id, kind, state, reason_code FROM command WHERE state <> 'done'"
        " AND NOT (state = 'refused' AND reason_code = 'outcome.unknown_refund')"
    )
    return [f"event {tuple(row.values())}" for row in events] + [
        f"command {tuple(row.values())}" for row in commands
    ]


AUDITS = (lost_events, old_stock, wrong_orders, doubled_deeds, missing_refunds, wrong_stock, stuck)


def audit(bridge: Bridge, load: Load) -> list[str]:
    """Everything at once, with what went wrong in the load itself."""
    return load.notes.problems + [sentence for check in AUDITS for sentence in check(bridge, load.notes)]


def table(bridge: Bridge, load: Load) -> str:
    """Kills and counts, for people."""
    notes = load.notes
    deeds = Counter(deed["deed"] for deed in bridge.kaufland.deeds)
    lines = [
        f"{'kill -9 of ' + what if what != 'FLUSHALL' else what:<28}{count:>7}"
        for what, count in sorted(bridge.kills.items())
    ]
    facts = {
        "acknowledged events": len(notes.promises)
        + sum(e["state"] == "sent" for e in bridge.shop.outbox.listed()),
        "failed tries (repeated)": notes.failed_tries,
        "events stored": bridge.value("SELECT count(*) FROM event"),
        "marketplace orders": len(notes.orders),
        "orders in the shop": sum(1 for order in bridge.shop.orders.values() if order.source),
        "commands done": bridge.value("SELECT count(*) FROM command WHERE state = 'done'"),
        **{f"deeds at Kaufland: {deed}": count for deed, count in sorted(deeds.items())},
        "cases outcome.unknown_refund": bridge.value(
            "SELECT count(*) FROM case_ WHERE code = 'outcome.unknown_refund'"
        ),
        "deadlocks in PostgreSQL": bridge.value(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ),
    }
    return "\n".join([*lines, *(f"{name:<32}{count:>7}" for name, count in facts.items())])
