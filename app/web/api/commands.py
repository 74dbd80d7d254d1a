"""Commands, the calls made for them, and everything in both directions that waits for a person (C10)."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema
from sqlalchemy import ColumnElement, func, literal, select, tuple_, union_all

from app import outbox, queues
from app.extensions import db
from app.models import Attempt, Command, Event
from app.web import answers
from app.web.api import ids, pages, shapes, telling
from app.web.api.asking import text
from app.web.api.caller import mine, stop
from app.web.api.once import once
from app.web.api.pages import PageQuery
from app.web.api.routes import Blueprint

STATES = ("due", "leased", "done", "refused", "dead")


class CommandQuery(PageQuery):
    """Filters of the list."""

    connection = text(64)
    state = fields.String(validate=validate.OneOf(STATES))
    reason = text()
    kind = text(64)
    order = text(30)


class CommandReplay(Schema):
    """Which commands to deliver again: `ids`, or all of one `reason`."""

    ids = fields.List(fields.String(), validate=validate.Length(1, 1000))
    reason = text()
    connection = text(64)

    @validates_schema
    def one_way(self, data: dict[str, Any], **_: Any) -> None:
        """Not everything by accident."""
        if ("ids" in data) + ("reason" in data) != 1:
            raise ValidationError("give ids or a reason", "ids")


class AttemptQuery(PageQuery):
    """Filters of the list."""

    connection = text(64)
    command = text(30)
    outcome = text(30)


class DeadQuery(PageQuery):
    """Filters of the list."""

    connection = text(64)
    direction = fields.String(validate=validate.OneOf(("in", "out")))
    reason = text()


blueprint = Blueprint("commands", __name__, url_prefix="/api/v1", description="Deeds at partners")


@blueprint.get("/commands")
@blueprint.arguments(CommandQuery, location="query")
@blueprint.response(200, shapes.listed(shapes.CommandShown))
def list_commands(asked: dict[str, Any]) -> dict[str, Any]:
    """Deeds at partners, newest first."""
    query = select(Command).where(mine(Command.account_id), *_conditions(asked))
    if "state" in asked:
        query = query.where(Command.state == asked["state"])
    if "kind" in asked:
        query = query.where(Command.kind == asked["kind"])
    if "order" in asked:
        query = query.where(Command.order_id == ids.number("ord", asked["order"], param="order"))
    return pages.page(query, Command.id, "cmd", asked, shown)


def _conditions(asked: dict[str, Any]) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if "connection" in asked:
        where.append(Command.connection_id == telling.connection_id(asked["connection"]))
    if "reason" in asked:
        where.append(Command.reason_code == asked["reason"])
    return where


def shown(command: Command) -> dict[str, Any]:
    """A command without its payload, which may hold addresses; the order shows those."""
    return {
        "id": f"cmd_{command.id}",
        "connection": telling.key_of(command.connection_id),
        "kind": command.kind,
        "subject": command.subject,
        "order": ids.public("ord", command.order_id),
        "state": command.state,
        "attempts": command.attempts,
        "in_doubt": command.in_doubt,
        "next_attempt_at": answers.iso(command.next_attempt_at) if command.state == "due" else None,
        "created_at": answers.iso(command.created_at),
        "done_at": answers.iso(command.done_at),
        "reason": telling.reason(command.reason_code, command.reason_params),
    }


@blueprint.post("/commands/replay")
@blueprint.arguments(CommandReplay)
@blueprint.response(200, shapes.Replayed)
@once
def replay_commands(asked: dict[str, Any]) -> dict[str, Any]:
    """Deliver refused or dead commands again. What may have happened already is read back first."""
    where = [mine(Command.account_id), *_conditions(asked)]
    if "ids" in asked:
        where.append(Command.id.in_([ids.number("cmd", each, param="ids") for each in asked["ids"]]))
    stuck = (*where, Command.state.in_(("refused", "dead")))
    count = db.session.scalar(select(func.count()).select_from(Command).where(*stuck)) or 0
    for connection in outbox.replay(db.session(), *where):
        queues.ring("out", connection)
    return {"replayed": int(count)}


@blueprint.get("/attempts")
@blueprint.arguments(AttemptQuery, location="query")
@blueprint.response(200, shapes.listed(shapes.AttemptShown))
def list_attempts(asked: dict[str, Any]) -> dict[str, Any]:
    """Calls to partners, newest first: what did they really say?"""
    query = select(Attempt).where(mine(Attempt.account_id))
    if "connection" in asked:
        query = query.where(Attempt.connection_id == telling.connection_id(asked["connection"]))
    if "command" in asked:
        query = query.where(Attempt.command_id == ids.number("cmd", asked["command"], param="command"))
    if "outcome" in asked:
        query = query.where(Attempt.outcome == asked["outcome"])
    return pages.page(query, Attempt.id, "att", asked, _attempt)


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "id": f"att_{attempt.id}",
        "connection": telling.key_of(attempt.connection_id),
        "command": ids.public("cmd", attempt.command_id),
        "operation": attempt.operation,
        "method": attempt.method,
        "url": attempt.url,
        "started_at": answers.iso(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "outcome": attempt.outcome,
        "status": attempt.status,
        "excerpt": attempt.excerpt,
        "error": attempt.error,
    }


@blueprint.get("/dead")
@blueprint.arguments(DeadQuery, location="query")
@blueprint.response(200, shapes.listed(shapes.DeadShown))
def list_dead(asked: dict[str, Any]) -> dict[str, Any]:
    """Everything that waits for a person, both directions in one list, newest first."""
    stuck = union_all(*_stuck(asked)).subquery()
    query = (
        select(stuck)
        .order_by(stuck.c.at.desc(), stuck.c.direction.desc(), stuck.c.id.desc())
        .limit(asked["limit"] + 1)
    )
    if asked.get("cursor"):
        query = query.where(tuple_(stuck.c.at, stuck.c.direction, stuck.c.id) < _place(asked["cursor"]))
    rows = db.session.execute(query).all()
    data = [_dead(row) for row in rows[: asked["limit"]]]
    more = len(rows) > asked["limit"]
    return {"data": data, "has_more": more, "next": data[-1]["id"] if more else None}


def _stuck(asked: dict[str, Any]) -> list[Any]:
    parts: list[Any] = []
    for direction, table, kind, at in (
        ("in", Event, Event.type, Event.received_at),
        ("out", Command, Command.kind, Command.created_at),
    ):
        if asked.get("direction", direction) != direction:
            continue
        query = select(
            literal(direction).label("direction"),
            table.id.label("id"),
            table.connection_id.label("connection_id"),
            kind.label("type"),
            table.subject.label("subject"),
            table.state.label("state"),
            at.label("at"),
            table.reason_code.label("reason_code"),
            table.reason_params.label("reason_params"),
        ).where(mine(table.account_id), table.state.in_(("refused", "dead")))
        if "connection" in asked:
            query = query.where(table.connection_id == telling.connection_id(asked["connection"]))
        if "reason" in asked:
            query = query.where(table.reason_code == asked["reason"])
        parts.append(query)
    return parts


def _place(cursor: str) -> Any:
    """Where the page before ended. The row still knows its time, even when it was replayed since."""
    event, command = ids.read("evt", cursor), ids.read("cmd", cursor)
    direction, number = ("in", event) if event is not None else ("out", command)
    table: Any = Event if event is not None else Command
    at = Event.received_at if event is not None else Command.created_at
    when = db.session.scalar(select(at).where(table.id == number, mine(table.account_id)))
    if when is not None:
        return tuple_(literal(when), literal(direction), literal(number))
    return stop(400, "id.invalid", "This cursor does not exist.", param="cursor")


def _dead(row: Any) -> dict[str, Any]:
    return {
        "id": f"{'evt' if row.direction == 'in' else 'cmd'}_{row.id}",
        "direction": row.direction,
        "connection": telling.key_of(row.connection_id),
        "type": row.type,
        "subject": row.subject,
        "state": row.state,
        "at": answers.iso(row.at),
        "reason": telling.reason(row.reason_code, row.reason_params),
    }
