"""`GET /hints/<connection key>/<secret>`: where a marketplace knocks when it has something new. A knock is a hint to ask, never data (D3).

What may go wrong: such knocks carry no signature, so the address itself is the secret; whoever knows it can make us ask earlier than planned, and
nothing else. Marketplaces repeat a knock until the order is fetched, so it is answered fast and forgotten.
"""

from __future__ import annotations

import hmac
import re

import structlog
from flask import Blueprint, Response, request
from sqlalchemy import Connection as DbConnection
from sqlalchemy import select, text, update

from app import queues
from app.models import Connection, Schedule
from app.models.columns import table_of
from app.web import answers, intake, rate

blueprint = Blueprint("hints", __name__)
log = structlog.get_logger(__name__)

_KEY = re.compile(r"cn_[A-Za-z0-9_-]{1,61}")
_CONNECTION, _SCHEDULE = table_of(Connection).c, table_of(Schedule)


@blueprint.route("/hints/<key>/<secret>", methods=["GET", "POST"], provide_automatic_options=False)
def knock(key: str, secret: str) -> Response:
    """200 heard, 404 for a wrong address, 429/503 later. Nothing in the query is read: what is new is asked for by the poll."""
    try:
        connection_id = _known(key, secret)
    except answers.DATABASE_AWAY as error:
        log.warning("hint.database_away", error=type(error).__name__)
        return answers.later()
    if connection_id is None:
        return answers.problem(404, "not_found")
    wait = rate.buckets().take(connection_id)
    if wait:
        return answers.later("events.too_many", wait, status=429)
    intake.do(lambda connection: _due(connection, connection_id))
    queues.ring("poll", connection_id)
    log.info(
        "hint.heard", connection=connection_id, query=request.query_string[:200].decode("ascii", "replace")
    )
    return answers.answer(200, {"heard": True})


def _known(key: str, secret: str) -> int | None:
    """The active marketplace of this address. A wrong secret and an unknown key look the same, and take as long."""
    if not _KEY.fullmatch(key):
        return None
    query = select(_CONNECTION.id, _CONNECTION.secrets).where(
        _CONNECTION.key == key, _CONNECTION.role == "marketplace", _CONNECTION.state == "active"
    )
    row = intake.do(lambda connection: connection.execute(query).one_or_none())
    wanted = str((row.secrets or {}).get("hint") or "") if row is not None else ""
    right = hmac.compare_digest(wanted.encode(), secret.encode())
    return int(row.id) if row is not None and wanted and right else None


def _due(connection: DbConnection, connection_id: int) -> None:
    """The next look at orders is due now; one that is being made at this moment is not disturbed."""
    connection.execute(
        update(_SCHEDULE)
        .where(
            _SCHEDULE.c.connection_id == connection_id, _SCHEDULE.c.kind.in_(("orders", "changes", "returns"))
        )
        .values(due_at=text("least(due_at, now())"))
    )
