"""Looking at what there is: connections, events, orders, offers, problems. Nothing is changed here, and no buyer is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import defer, selectinload

from app import obstacles, overview
from app.commands import finding, opening, showing
from app.commands.problems import Problem, stop
from app.extensions import db
from app.models import (
    Account,
    Attempt,
    Case,
    Command,
    Connection,
    Event,
    Offer,
    Order,
    OrderLine,
    Product,
    Shipment,
    Timeline,
)
from app.rules import reasons

connection_option = click.option("--connection", metavar="KEY", help="Only of this connection (key or name).")
EVENT_STATES = ("due", "leased", "done", "superseded", "refused", "dead")
OFFER_STATES = (
    "waiting",
    "on_sale",
    "off",
    "needs_product",
    "needs_variation",
    "refused",
    "changed_elsewhere",
)


def said(code: str | None, params: dict[str, Any] | None = None, locale: str = "en") -> str | None:
    """A code with its sentence; None when there is none. A word without a sentence is told as it is."""
    if code is None:
        return None
    if code not in reasons.table():
        return code.replace(".", " ").replace("_", " ")
    return reasons.sentence(code, params or {}, locale)


def _of(column: Any, word: str | None) -> list[ColumnElement[bool]]:
    """The filter for one connection, none when none is asked for."""
    return [] if word is None else [column == finding.connection(db.session(), word).id]


# --- connections -----------------------------------------------------------------------------------------


@click.command()
@click.option("--account", metavar="NAME", help="Only of this merchant.")
@showing.json_option
def connections(account: str | None, as_json: bool) -> None:
    """List shops and marketplaces with their state, and why it is so."""
    with opening.bridge():
        query = select(Connection).order_by(Connection.account_id, Connection.role.desc(), Connection.id)
        if account is not None:
            query = query.where(Connection.account_id == finding.account(db.session(), account).id)
        rows = [_connection(each) for each in db.session.scalars(query.options(defer(Connection.secrets)))]
        columns = {
            "key": "key", "account": "account", "name": "name", "role": "role", "state": "state", "sync": "sync", "reason": "why",
            "last_ok_at": "last worked", "last_event_at": "last event",
        }  # fmt: skip
        _show(
            rows,
            columns,
            as_json,
            empty="Nothing is connected yet. Begin with `shopbridge connect` or `shopbridge pair`.",
        )


def _connection(each: Connection) -> dict[str, Any]:
    return {
        "key": each.key,
        "account": each.account.name,
        "name": each.name,
        "provider": each.provider,
        "role": each.role,
        "state": each.state,
        "reason_code": each.reason_code,
        "reason": said(each.reason_code, each.reason_params),
        "sync": each.sync if each.role == "marketplace" else None,
        "holiday": each.holiday or each.account.holiday if each.role == "marketplace" else None,
        "base_url": each.base_url,
        "paused_until": each.paused_until,
        "last_event_at": each.last_event_at,
        "last_ok_at": each.last_ok_at,
        "last_error": said(each.last_error_code),
    }


def _show(rows: Sequence[dict[str, Any]], columns: dict[str, str], as_json: bool, *, empty: str) -> None:
    if as_json:
        showing.as_json_text(rows)
    else:
        showing.table(rows, columns, empty=empty)


# --- events ------------------------------------------------------------------------------------------------


@click.command()
@connection_option
@click.option("--state", type=click.Choice(EVENT_STATES), help="Only in this state.")
@click.option("--type", "kind", help="Only of this type, e.g. order.changed.")
@click.option("--subject", help="Only about this, e.g. order/1042.")
@click.option("--reason", metavar="CODE", help="Only with this reason.")
@click.option("--since", type=finding.Moment(), help="Received at or after: a time, or 30m, 2h, 14d ago.")
@click.option("--until", type=finding.Moment(), help="Received before.")
@showing.limit_option
@showing.json_option
def events(
    connection: str | None, state: str | None, kind: str | None, subject: str | None, reason: str | None, since: datetime | None,
    until: datetime | None, limit: int, as_json: bool,
) -> None:  # fmt: skip
    """List messages of shops, newest first."""
    with opening.bridge():
        asked = (
            (Event.state, state),
            (Event.type, kind),
            (Event.subject, subject),
            (Event.reason_code, reason),
        )
        where = [
            *_of(Event.connection_id, connection),
            *(column == value for column, value in asked if value is not None),
        ]
        if since is not None:
            where.append(Event.received_at >= since)
        if until is not None:
            where.append(Event.received_at < until)
        query = select(Event).where(*where).order_by(Event.id.desc()).limit(limit).options(defer(Event.body))
        named = finding.names(db.session())
        rows = [_event(each, named) for each in db.session.scalars(query)]
        columns = {
            "id": "id", "received_at": "received", "connection": "from", "type": "type", "subject": "about", "sequence": "sequence",
            "state": "state", "attempts": "tries", "reason": "why",
        }  # fmt: skip
        _show(rows, columns, as_json, empty="No events.")


def _event(each: Event, named: dict[int, Connection]) -> dict[str, Any]:
    return {
        "id": f"evt_{each.id}",
        "connection": named[each.connection_id].name,
        "connection_key": named[each.connection_id].key,
        "delivery_id": each.delivery_id,
        "type": each.type,
        "subject": each.subject,
        "sequence": each.sequence,
        "happened_at": each.happened_at,
        "received_at": each.received_at,
        "state": each.state,
        "attempts": each.attempts,
        "next_attempt_at": each.next_attempt_at if each.state == "due" else None,
        "done_at": each.done_at,
        "reason_code": each.reason_code,
        "reason": said(each.reason_code, each.reason_params),
    }


@click.command()
@click.argument("event_id", metavar="ID")
@click.option("--body", is_flag=True, help="Its content too. It may hold a buyer's address.")
@showing.json_option
def event(event_id: str, body: bool, as_json: bool) -> None:
    """Show one message of a shop: what became of it and, with --body, what it said."""
    with opening.bridge():
        query = select(Event).where(Event.id == finding.number(event_id)).options(defer(Event.body))
        found = db.session.scalar(query)
        if found is None:
            stop(f"There is no event {event_id}.")
        answer = _event(found, finding.names(db.session()))
        if found.reason_code:
            answer["what_to_do"] = reasons.next_step(found.reason_code, found.reason_params or {}, "en")
        if body:
            raw = found.body
            answer["body"] = (
                "(emptied: the replay window is over)" if raw is None else raw.decode("utf-8", "replace")
            )
        showing.answer(answer, as_json)


# --- orders ------------------------------------------------------------------------------------------------


@click.command()
@connection_option
@click.option("--account", metavar="NAME", help="Only of this merchant.")
@click.option(
    "--open/--closed", "is_open", default=None, help="Only those with something left to ship, or without."
)
@click.option("--since", type=finding.Moment(), help="Placed at or after: a time, or 30m, 2h, 14d ago.")
@showing.limit_option
@showing.json_option
def orders(
    connection: str | None,
    account: str | None,
    is_open: bool | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """List orders in one place, newest first: of all marketplaces, of suppliers, and what a shop sold itself of its suppliers' goods.

    The total of what a shop sold itself is what its suppliers cost; `shopbridge order ID` shows their parts.
    """
    with opening.bridge():
        where = _of(Order.connection_id, connection)
        if account is not None:
            where.append(Order.account_id == finding.account(db.session(), account).id)
        if is_open is not None:
            where.append(overview.is_open() if is_open else ~overview.is_open())
        if since is not None:
            where.append(Order.placed_at >= since)
        query = select(Order).where(*where).order_by(Order.id.desc()).limit(limit)
        named = finding.names(db.session())
        found = db.session.scalars(query.options(selectinload(Order.pieces), defer(Order.buyer))).all()
        standing = overview.of(db.session(), found)
        rows = [_order(each, standing[each.id], named) for each in found]
        columns = {
            "id": "id", "placed_at": "placed", "account": "account", "marketplace": "marketplace", "external_id": "number there",
            "state": "state", "pieces": "pieces", "total_text": "total", "suppliers": "suppliers", "shop_number": "in the shop",
            "shop_status": "shop status", "ship_by": "ship by",
        }  # fmt: skip
        if account is not None:
            del columns["account"]
        if not any(row["suppliers"] for row in rows):
            del columns["suppliers"]
        _show(rows, columns, as_json, empty="No orders.")


def _order(each: Order, standing: overview.Overview, named: dict[int, Connection]) -> dict[str, Any]:
    total = standing.total
    return {
        "id": f"ord_{each.id}",
        "account": named[each.connection_id].account.name,
        "marketplace": named[each.connection_id].name,
        "external_id": each.external_id,
        "state": str(standing.state),
        "pieces": standing.pieces,
        "total": total,
        "currency": standing.currency,
        "total_text": None if total is None else showing.money(total, standing.currency),
        "suppliers": ", ".join(f"{part.supplier}: {part.state}" for part in standing.parts) or None,
        "parts": [_part(part) for part in standing.parts],
        "placed_at": each.placed_at,
        "ship_by": each.ship_by,
        "wait_until": each.wait_until,
        "stopped": each.stopped,
        "shop": None if each.shop_id is None else named[each.shop_id].name,
        "shop_order_id": each.shop_order_id,
        "shop_number": each.shop_number,
        "shop_status": each.shop_status,
    }


def _part(part: overview.Part) -> dict[str, Any]:
    """One supplier's part as its retailer sees it."""
    return {
        "trade": f"trd_{part.trade_id}",
        "supplier": part.supplier,
        "state": part.state,
        "pieces": part.pieces,
        "total": part.total,
        "currency": part.currency,
        "total_text": showing.money(part.total, part.currency),
        "parcels": [
            {"tracking_number": each.number, "carrier": each.carrier, "at": each.at} for each in part.parcels
        ],
    }


@click.command()
@click.argument("order_id", metavar="ID")
@showing.json_option
def order(order_id: str, as_json: bool) -> None:
    """Show one order: its goods, its story in the merchant's language, and why it is not shipped yet.

    ID is ours (ord_12), the marketplace's number, or the number in the shop.
    """
    with opening.bridge():
        found = find_order(order_id)
        told = _story(found)
        if as_json:
            showing.as_json_text(told)
        else:
            _print_story(told)


def find_order(word: str) -> Order:
    """One order by our id, the marketplace's number or the shop's; stops with a sentence when there is none or several."""
    wanted = [Order.external_id == word, Order.shop_number == word]
    if word.startswith("ord_") or (word.isascii() and word.isdigit() and len(word) < 12):
        wanted.insert(0, Order.id == finding.number(word))
    for where in wanted:
        query = (
            select(Order)
            .where(where)
            .options(selectinload(Order.pieces), selectinload(Order.lines), defer(Order.buyer))
        )
        found = db.session.scalars(query.limit(2)).all()
        if len(found) > 1:
            stop(
                f"Several orders have the number {word}: use the id, {' or '.join(f'ord_{each.id}' for each in found)}."
            )
        if found:
            return found[0]
    raise Problem(f"There is no order {word}. `shopbridge orders` lists them.")


def _story(found: Order) -> dict[str, Any]:
    """Everything that a person may want to know about one order, buyers left out."""
    named = finding.names(db.session())
    locale = str(db.session.scalar(select(Account.locale).where(Account.id == found.account_id)) or "de")
    theirs = overview.units(db.session(), found)
    return {
        **_order(found, overview.of(db.session(), [found])[found.id], named),
        "why_not_shipped": _why(found, locale),
        "lines": [_line(line, theirs.get(line.shop_line_id or "", [])) for line in found.lines],
        "shipments": [
            {
                "tracking_number": each.tracking_number,
                "carrier": each.carrier_name or each.carrier,
                "confirmed_at": each.confirmed_at,
            }
            for each in db.session.scalars(
                select(Shipment).where(Shipment.order_id == found.id).order_by(Shipment.id)
            )
        ],
        "cases": [
            _case(each, named, locale)
            for each in db.session.scalars(
                select(Case).where(Case.order_id == found.id, Case.state == "open")
            )
        ],
        "timeline": [
            {"at": line.at, "code": line.code, "says": said(line.code, dict(line.params), locale)}
            for line in db.session.scalars(
                select(Timeline).where(Timeline.order_id == found.id).order_by(Timeline.id)
            )
        ],
    }


def _line(line: OrderLine, theirs: list[str]) -> dict[str, Any]:
    """`theirs`: states of the units that suppliers have, where the line has no pieces of its own."""
    states = [piece.state for piece in line.pieces] or theirs
    return {
        "sku": line.sku,
        "title": line.title,
        "pieces": len(states),
        "unit_price": line.unit_price,
        "states": states,
        "refunded": sum(piece.refunded for piece in line.pieces),
    }


def _why(found: Order, locale: str) -> dict[str, Any] | None:
    """The nearest obstacle (C8), the same answer as the JSON API gives."""
    reason = obstacles.nearest(db.session(), found)
    if reason is None:
        return None
    return {
        "code": reason.code,
        "says": said(reason.code, dict(reason.params), locale),
        "what_to_do": reasons.next_step(reason.code, dict(reason.params), locale) or None,
    }


def _print_story(told: dict[str, Any]) -> None:
    heading = (
        told["id"],
        f"{told['marketplace']} {told['external_id']}",
        told["state"],
        told["total_text"] or "",
    )
    click.echo("  ".join(heading).rstrip())
    in_shop = (
        f"{told['shop']}: {told['shop_number']} ({told['shop_status']})"
        if told["shop_order_id"]
        else "not in the shop yet"
    )
    click.echo(
        f"placed {showing.moment(told['placed_at'])}, ship by {showing.moment(told['ship_by']) or 'unknown'}, {in_shop}"
    )
    for line in told["lines"]:
        # Of the retailer's own goods in an order of his shop no pieces are known.
        many = f"{line['pieces']} x " if line["pieces"] else ""
        states = ", ".join(sorted(set(line["states"]))) or "his own goods"
        click.echo(f"  {many}{line['sku']} {line['title']}  {states}")
    for part in told["parts"]:
        parcels = ", ".join(
            " ".join(
                word for word in (each["carrier"], each["tracking_number"] or "without a number") if word
            )
            for each in part["parcels"]
        )
        click.echo(
            f"  {part['supplier']} ({part['trade']}): {part['pieces']} pieces, {part['state']}, {part['total_text']}"
            + (f", parcel {parcels}" if parcels else "")
        )
    for each in told["shipments"]:
        number = each["tracking_number"] or "without a number"
        click.echo(
            f"  parcel {each['carrier'] or ''} {number}{' (confirmed)' if each['confirmed_at'] else ''}"
        )
    click.echo("")
    for line in told["timeline"]:
        click.echo(f"{line['at']:%d.%m. %H:%M:%S}  {line['says']}")
    for each in told["cases"]:
        click.echo(f"\n! {each['says']} {each['what_to_do']}".rstrip())
    if told["why_not_shipped"]:
        why = told["why_not_shipped"]
        click.echo(f"\nWhy is it not shipped yet? {why['says']} {why['what_to_do'] or ''}".rstrip())


# --- offers --------------------------------------------------------------------------------------------------


@click.command()
@connection_option
@click.option("--state", type=click.Choice(OFFER_STATES), help="Only in this state.")
@click.option("--sku", help="Only of this product.")
@showing.limit_option
@showing.json_option
def offers(connection: str | None, state: str | None, sku: str | None, limit: int, as_json: bool) -> None:
    """List what marketplaces show: state, reason, and whether the newest wish is confirmed there."""
    with opening.bridge():
        where = _of(Offer.connection_id, connection)
        where += [
            column == value
            for column, value in ((Offer.state, state), (Product.sku, sku))
            if value is not None
        ]
        query = select(Offer, Product).join(Product, Product.id == Offer.product_id).where(*where)
        named = finding.names(db.session())
        rows = [
            _offer(offer, product, named)
            for offer, product in db.session.execute(query.order_by(Product.sku, Offer.id).limit(limit))
        ]
        columns = {
            "id": "id", "marketplace": "marketplace", "sku": "sku", "gtin": "gtin", "state": "state", "stock": "stock", "price_text": "price",
            "confirmed": "confirmed", "reason": "why",
        }  # fmt: skip
        _show(rows, columns, as_json, empty="No offers.")


def _price(wanted: Mapping[str, Any]) -> str | None:
    if wanted.get("price") is None or wanted.get("currency") is None:
        return None
    return showing.money(wanted["price"], wanted["currency"])


def _offer(offer: Offer, product: Product, named: dict[int, Connection]) -> dict[str, Any]:
    wanted = offer.desired or {}
    return {
        "id": f"off_{offer.id}",
        "marketplace": named[offer.connection_id].name,
        "sku": product.sku,
        "gtin": product.gtin,
        "state": offer.state,
        "on": offer.on,
        "stock": wanted.get("stock"),
        "price": wanted.get("price"),
        "currency": wanted.get("currency"),
        "price_text": _price(wanted),
        "confirmed": not offer.stale and offer.revision > 0 and offer.confirmed_revision == offer.revision,
        "confirmed_at": offer.confirmed_at,
        "reason_code": offer.reason_code,
        "reason": said(offer.reason_code, offer.reason_params),
        "what_to_do": reasons.next_step(offer.reason_code, offer.reason_params, "en")
        if offer.reason_code
        else None,
    }


# --- problems --------------------------------------------------------------------------------------------------


@click.command()
@click.option("--account", metavar="NAME", help="Only of this merchant.")
@click.option("--code", help="Only with this reason.")
@click.option("--closed", is_flag=True, help="Those that are gone.")
@showing.limit_option
@showing.json_option
def cases(account: str | None, code: str | None, closed: bool, limit: int, as_json: bool) -> None:
    """List problems somebody must look at; they close themselves when the problem is gone."""
    with opening.bridge():
        where = [Case.state == ("closed" if closed else "open")]
        if account is not None:
            where.append(Case.account_id == finding.account(db.session(), account).id)
        if code is not None:
            where.append(Case.code == code)
        named = finding.names(db.session())
        query = select(Case).where(*where).order_by(Case.id.desc()).limit(limit)
        rows = [_case(each, named) for each in db.session.scalars(query)]
        columns = {
            "id": "id",
            "opened_at": "since",
            "account": "account",
            "connection": "connection",
            "subject": "about",
            "who": "who",
            "says": "what",
            "what_to_do": "what to do",
        }
        _show(rows, columns, as_json, empty="No open problems.")


def _case(each: Case, named: dict[int, Connection], locale: str = "en") -> dict[str, Any]:
    return {
        "id": f"cs_{each.id}",
        "code": each.code,
        "says": said(each.code, dict(each.params), locale),
        "what_to_do": reasons.next_step(each.code, dict(each.params), locale),
        "who": reasons.who(each.code),
        "account": db.session.get_one(Account, each.account_id).name,
        "subject": each.subject,
        "order": None if each.order_id is None else f"ord_{each.order_id}",
        "connection": None if each.connection_id is None else named[each.connection_id].name,
        "state": each.state,
        "opened_at": each.opened_at,
        "closed_at": each.closed_at,
    }


@click.command()
@connection_option
@click.option("--reason", metavar="CODE", help="Only with this reason.")
@showing.limit_option
@showing.json_option
def dead(connection: str | None, reason: str | None, limit: int, as_json: bool) -> None:
    """List what is stuck, in both directions: refused (a person must act) or dead (tried for 75 hours)."""
    with opening.bridge():
        named = finding.names(db.session())
        rows: list[dict[str, Any]] = []
        for kind, prefix in ((Event, "evt"), (Command, "cmd")):
            where = [kind.state.in_(("refused", "dead")), *_of(kind.connection_id, connection)]
            if reason is not None:
                where.append(kind.reason_code == reason)
            query = select(kind).where(*where).order_by(kind.id.desc()).limit(limit)
            if kind is Event:
                query = query.options(defer(Event.body))
            rows += [_stuck(each, prefix, named) for each in db.session.scalars(query)]
        columns = {
            "id": "id", "direction": "way", "connection": "connection", "kind": "kind", "subject": "about", "state": "state",
            "attempts": "tries", "reason_code": "code", "reason": "why", "what_to_do": "what to do",
        }  # fmt: skip
        _show(rows[:limit], columns, as_json, empty="Nothing is stuck.")


def _stuck(each: Any, prefix: str, named: dict[int, Connection]) -> dict[str, Any]:
    return {
        "id": f"{prefix}_{each.id}",
        "direction": "in" if prefix == "evt" else "out",
        "connection": named[each.connection_id].name,
        "kind": each.type if prefix == "evt" else each.kind,
        "subject": each.subject,
        "state": each.state,
        "attempts": each.attempts,
        "reason_code": each.reason_code,
        "reason": said(each.reason_code, each.reason_params),
        "what_to_do": reasons.next_step(each.reason_code, each.reason_params or {}, "en")
        if each.reason_code
        else None,
        "last_answer": _last_answer(each.id) if prefix == "cmd" else None,
    }


def _last_answer(command_id: int) -> str | None:
    """What the partner said last, secrets and personal data removed."""
    query = select(Attempt).where(Attempt.command_id == command_id).order_by(Attempt.id.desc()).limit(1)
    last = db.session.scalar(query)
    return None if last is None else f"{last.status or last.outcome}: {last.excerpt[:300]}"
