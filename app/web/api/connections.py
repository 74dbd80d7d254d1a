"""Connections: the list, sync on or off (I6), holiday mode that counts confirmations (I7), and completeness by day (D7)."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields
from sqlalchemy import Integer, cast, func, select, update

from app import queues
from app.extensions import db
from app.flows import holiday
from app.models import Account, Connection, Event, Manifest, Offer
from app.web import answers
from app.web.api import pages, shapes, telling
from app.web.api.asking import Flag, text
from app.web.api.caller import mine, not_found, one_account, stop
from app.web.api.once import once
from app.web.api.pages import PageQuery
from app.web.api.routes import Blueprint


class ConnectionQuery(PageQuery):
    """Filters of the list."""

    role = text(20)


class Switch(Schema):
    """On or off."""

    on = Flag(required=True)


class HolidaySwitch(Switch):
    """For the whole account, or for one marketplace."""

    connection = text(64)


class AccountQuery(Schema):
    """`account` is for operators."""

    account = fields.String(metadata={"description": "Operators only: one account, e.g. acc_1."})


class DayQuery(PageQuery):
    """Filters of the list."""

    connection = text(64)
    day = text(10, metadata={"description": "One day, e.g. 2026-11-21."})


blueprint = Blueprint("connections", __name__, url_prefix="/api/v1", description="Shops and marketplaces")


@blueprint.get("/connections")
@blueprint.arguments(ConnectionQuery, location="query")
@blueprint.response(200, shapes.listed(shapes.ConnectionShown))
def list_connections(asked: dict[str, Any]) -> dict[str, Any]:
    """Shops and marketplaces, newest first."""
    query = select(Connection).where(mine(Connection.account_id))
    if "role" in asked:
        query = query.where(Connection.role == asked["role"])
    if "cursor" in asked:
        before = telling.connection_id(asked["cursor"], param="cursor")
        query = query.where(Connection.id < before)
    rows = db.session.scalars(query.order_by(Connection.id.desc()).limit(asked["limit"] + 1)).all()
    data = [shown(row) for row in rows[: asked["limit"]]]
    more = len(rows) > asked["limit"]
    return {"data": data, "has_more": more, "next": data[-1]["id"] if more else None}


def shown(connection: Connection) -> dict[str, Any]:
    """A connection without anything secret."""
    return {
        "id": connection.key,
        "account": f"acc_{connection.account_id}",
        "provider": connection.provider,
        "role": connection.role,
        "name": connection.name,
        "state": connection.state,
        "reason": telling.reason(connection.reason_code, connection.reason_params),
        "settings": connection.settings,
        "shop": telling.key_of(connection.shop_id),
        "sync": connection.sync,
        "holiday": connection.holiday,
        "last_event_at": answers.iso(connection.last_event_at),
        "last_ok_at": answers.iso(connection.last_ok_at),
        "last_error": telling.reason(connection.last_error_code),
    }


@blueprint.post("/connections/<key>/sync")
@blueprint.arguments(Switch)
@blueprint.response(200, shapes.SyncAnswer)
@once
def switch_sync(asked: dict[str, Any], key: str) -> dict[str, Any]:
    """Send offers to this marketplace, or leave them as last sent; the answer warns how many stay on sale (I6)."""
    connection = _marketplace(key)
    connection.sync = asked["on"]
    on_sale = _count(Offer.connection_id == connection.id, Offer.state == "on_sale")
    if asked["on"]:
        _mark(connection.id)
    connection_id = connection.id
    db.session.commit()
    queues.ring("out", connection_id)
    warning = None if asked["on"] or not on_sale else _stay_on_sale(on_sale)
    return {"sync": asked["on"], "offers_on_sale": on_sale, "warning": warning}


def _stay_on_sale(count: int) -> str:
    if telling.language().startswith("de"):
        return f"{_grouped(count)} Angebote bleiben im Verkauf, so wie sie zuletzt gesendet wurden."
    return f"{_grouped(count)} offers stay on sale, as they were last sent."


def _marketplace(key: str) -> Connection:
    """The caller's own marketplace connection, locked."""
    query = select(Connection).where(Connection.key == key, mine(Connection.account_id)).with_for_update()
    connection = db.session.scalar(query) if key.isprintable() and len(key) <= 64 else None
    if connection is None:
        not_found()
    if connection.role != "marketplace":
        stop(422, "connection.not_a_marketplace", "Only marketplaces have offers.", param="connection")
    return connection


def _mark(connection_id: int) -> None:
    """Everything this marketplace shows is looked at again."""
    db.session.execute(
        update(Offer)
        .where(Offer.connection_id == connection_id)
        .values(stale=True, next_attempt_at=func.now())
    )


def _count(*where: Any) -> int:
    return int(db.session.scalar(select(func.count()).select_from(Offer).where(*where)) or 0)


@blueprint.post("/holiday")
@blueprint.arguments(HolidaySwitch)
@blueprint.response(200, shapes.HolidayAnswer)
@once
def switch_holiday(asked: dict[str, Any]) -> dict[str, Any]:
    """Everything to stock 0 and back, for the account or one marketplace (I7). GET /holiday counts the confirmations."""
    account = one_account()
    if "connection" in asked:
        target = _marketplace(asked["connection"])
        if target.account_id != account.id:
            not_found()
        holiday.switch(db.session(), account, asked["on"], target)
    else:
        holiday.switch(db.session(), account, asked["on"])
    touched = [connection.id for connection in _marketplaces(account)]
    db.session.commit()
    for connection_id in touched:
        queues.ring("out", connection_id)
    return _holiday(one_account())


@blueprint.get("/holiday")
@blueprint.arguments(AccountQuery, location="query")
@blueprint.response(200, shapes.HolidayAnswer)
def holiday_status(asked: dict[str, Any]) -> dict[str, Any]:
    """How many offers the marketplaces have confirmed at stock 0."""
    _ = asked  # `account` is read where the account is chosen.
    return _holiday(one_account())


def _marketplaces(account: Account) -> list[Connection]:
    query = select(Connection).where(
        Connection.account_id == account.id, Connection.role == "marketplace", Connection.state != "removed"
    )
    return list(db.session.scalars(query.order_by(Connection.id)))


def _holiday(account: Account) -> dict[str, Any]:
    counted = _confirmations(account.id)
    parts = [
        _holiday_of(account, connection, counted.get(connection.id)) for connection in _marketplaces(account)
    ]
    offers = sum(part["offers"] for part in parts)
    confirmed = sum(part["confirmed_at_zero"] for part in parts)
    return {
        "on": account.holiday,
        "offers": offers,
        "confirmed_at_zero": confirmed,
        "message": _proof(confirmed, offers),
        "connections": parts,
    }


def _confirmations(account_id: int) -> dict[int, Any]:
    """By connection: offers the marketplace knows, how many of them it confirmed at 0 and nothing is on its way, and when last."""
    at_zero = (
        (cast(Offer.confirmed["stock"].astext, Integer) == 0)
        & (Offer.confirmed_revision == Offer.revision)
        & Offer.stale.is_(False)
    )
    query = (
        select(
            Offer.connection_id,
            func.count().label("offers"),
            func.count().filter(at_zero).label("confirmed"),
            func.max(Offer.confirmed_at).filter(at_zero).label("last"),
        )
        .where(Offer.account_id == account_id, Offer.sent_revision > 0)
        .group_by(Offer.connection_id)
    )
    return {row.connection_id: row for row in db.session.execute(query)}


def _holiday_of(account: Account, connection: Connection, counted: Any) -> dict[str, Any]:
    offers, confirmed = (counted.offers, counted.confirmed) if counted else (0, 0)
    return {
        "connection": connection.key,
        "name": connection.name,
        "on": account.holiday or connection.holiday,
        "sync": connection.sync,
        "offers": offers,
        "confirmed_at_zero": confirmed,
        "last_confirmed_at": answers.iso(counted.last) if counted else None,
        "message": _proof(confirmed, offers),
    }


def _proof(confirmed: int, offers: int) -> str:
    if telling.language().startswith("de"):
        return f"{_grouped(confirmed)} von {_grouped(offers)} Angeboten bei 0 bestätigt"
    return f"{_grouped(confirmed)} of {_grouped(offers)} offers confirmed at 0"


def _grouped(number: int) -> str:
    text_ = f"{number:,}"
    return text_.replace(",", ".") if telling.language().startswith("de") else text_


@blueprint.get("/completeness")
@blueprint.arguments(DayQuery, location="query")
@blueprint.response(200, shapes.listed(shapes.DayShown))
def completeness(asked: dict[str, Any]) -> dict[str, Any]:
    """What each shop says it sent on each day, and what arrived: "1,284 of 1,284" (D7)."""
    query = select(Manifest).where(mine(Manifest.account_id))
    if "connection" in asked:
        query = query.where(Manifest.connection_id == telling.connection_id(asked["connection"]))
    if "day" in asked:
        query = query.where(Manifest.day == asked["day"])
    return pages.page(query, Manifest.id, "day", asked, _day)


def _arrived(manifest: Manifest) -> int:
    """Counted now: what was missing when the manifest came may have been sent again since."""
    query = (
        select(func.count())
        .select_from(Event)
        .where(
            Event.connection_id == manifest.connection_id,
            Event.sequence.between(manifest.first_sequence, manifest.last_sequence),
            Event.type != "manifest.daily",
        )
    )
    return int(db.session.scalar(query) or 0)


def _day(manifest: Manifest) -> dict[str, Any]:
    arrived = _arrived(manifest)
    of = "von" if telling.language().startswith("de") else "of"
    return {
        "id": f"day_{manifest.id}",
        "connection": telling.key_of(manifest.connection_id),
        "name": telling.name_of(manifest.connection_id),
        "day": manifest.day,
        "sent": manifest.count,
        "arrived": arrived,
        "waiting_in_shop": manifest.waiting,
        "dead_in_shop": manifest.dead,
        "complete": arrived >= manifest.count,
        "message": f"{_grouped(arrived)} {of} {_grouped(manifest.count)}",
    }
