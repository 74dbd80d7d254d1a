"""Events: what shops told us, what became of it, and how to work it off again (one, a range, or all blocked by one reason)."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import defer

from app import inbox, queues
from app.extensions import db
from app.models import Event
from app.web import answers
from app.web.api import ids, pages, shapes, telling
from app.web.api.asking import Flag, Moment, text
from app.web.api.caller import may_see_buyers, mine, not_found
from app.web.api.once import once
from app.web.api.pages import PageQuery
from app.web.api.routes import Blueprint

STATES = ("due", "leased", "done", "superseded", "refused", "dead")


class EventQuery(PageQuery):
    """Filters of the list."""

    connection = text(64)
    state = fields.String(validate=validate.OneOf(STATES))
    reason = text()
    type = text(64)
    subject = text()
    since = Moment(metadata={"description": "received at or after"})
    until = Moment(metadata={"description": "received before"})


class EventReplay(Schema):
    """Which events to work off again: `ids`, or a `reason`, or a range of one connection."""

    ids = fields.List(fields.String(), validate=validate.Length(1, 1000))
    connection = text(64)
    reason = text()
    since = Moment()
    until = Moment()
    done_too = Flag(
        load_default=False,
        metadata={"description": "Also events that are done or superseded; only with a range or ids."},
    )

    @validates_schema
    def one_way(self, data: dict[str, Any], **_: Any) -> None:
        """Replaying everything by accident must not be possible."""
        ways = ("ids" in data) + ("reason" in data) + ("since" in data or "until" in data)
        if ways != 1:
            raise ValidationError("give ids, or a reason, or since/until", "ids")
        if "ids" not in data and "reason" not in data and "connection" not in data:
            raise ValidationError("a range needs a connection", "connection")


blueprint = Blueprint("events", __name__, url_prefix="/api/v1", description="Messages of shops")


@blueprint.get("/events")
@blueprint.arguments(EventQuery, location="query")
@blueprint.response(200, shapes.listed(shapes.EventShown))
def list_events(asked: dict[str, Any]) -> dict[str, Any]:
    """Messages of shops, newest first."""
    query = select(Event).where(mine(Event.account_id), *_conditions(asked))
    if "state" in asked:
        query = query.where(Event.state == asked["state"])
    for name, column in (("type", Event.type), ("subject", Event.subject)):
        if name in asked:
            query = query.where(column == asked[name])
    return pages.page(query.options(_without_body()), Event.id, "evt", asked, shown)


def _without_body() -> Any:
    return defer(Event.body)


def _conditions(asked: dict[str, Any]) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if "connection" in asked:
        where.append(Event.connection_id == telling.connection_id(asked["connection"]))
    if "reason" in asked:
        where.append(Event.reason_code == asked["reason"])
    since: datetime | None = asked.get("since")
    until: datetime | None = asked.get("until")
    if since is not None:
        where.append(Event.received_at >= since)
    if until is not None:
        where.append(Event.received_at < until)
    return where


def shown(event: Event) -> dict[str, Any]:
    """An event without its body."""
    return {
        "id": f"evt_{event.id}",
        "connection": telling.key_of(event.connection_id),
        "delivery_id": event.delivery_id,
        "type": event.type,
        "subject": event.subject,
        "sequence": event.sequence,
        "happened_at": answers.iso(event.happened_at),
        "received_at": answers.iso(event.received_at),
        "state": event.state,
        "attempts": event.attempts,
        "next_attempt_at": answers.iso(event.next_attempt_at) if event.state == "due" else None,
        "done_at": answers.iso(event.done_at),
        "reason": telling.reason(event.reason_code, event.reason_params),
    }


@blueprint.get("/events/<event_id>")
@blueprint.response(200, shapes.EventWithBody)
def one_event(event_id: str) -> dict[str, Any]:
    """One message with what the shop sent."""
    query = select(Event).where(Event.id == ids.number("evt", event_id), mine(Event.account_id))
    event = db.session.scalar(query.options(_without_body()))
    if event is None:
        not_found()
    # The body is opened only for whom it belongs to: an operator's request does not even decrypt it.
    body = event.body if may_see_buyers() else None
    return {**shown(event), "body": None if body is None else json.loads(body)}


@blueprint.post("/events/replay")
@blueprint.arguments(EventReplay)
@blueprint.response(200, shapes.Replayed)
@once
def replay_events(asked: dict[str, Any]) -> dict[str, Any]:
    """Work events off again. Nothing happens twice: what is done already is known by its key."""
    where = [mine(Event.account_id), *_conditions(asked)]
    if "ids" in asked:
        where.append(Event.id.in_([ids.number("evt", each, param="ids") for each in asked["ids"]]))
    elif not asked["done_too"] or "reason" in asked:
        where.append(Event.state.in_(("refused", "dead")))
    open_again = (*where, Event.body.is_not(None), Event.state.in_(("refused", "dead", "done", "superseded")))
    count = db.session.scalar(select(func.count()).select_from(Event).where(*open_again)) or 0
    for connection in inbox.replay(db.session(), *where):
        queues.ring("in", connection)
    return {"replayed": int(count)}
