"""Cases: problems somebody must look at. They close themselves when the problem is gone (C10)."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate
from sqlalchemy import select

from app.models import Case
from app.rules import reasons
from app.web import answers
from app.web.api import ids, pages, shapes, telling
from app.web.api.asking import text
from app.web.api.caller import mine
from app.web.api.pages import PageQuery
from app.web.api.routes import Blueprint


class CaseQuery(PageQuery):
    """Filters of the list."""

    state = fields.String(load_default="open", validate=validate.OneOf(("open", "closed")))
    code = text()
    connection = text(64)


blueprint = Blueprint("cases", __name__, url_prefix="/api/v1", description="Problems somebody must look at")


@blueprint.get("/cases")
@blueprint.arguments(CaseQuery, location="query")
@blueprint.response(200, shapes.listed(shapes.CaseShown))
def list_cases(asked: dict[str, Any]) -> dict[str, Any]:
    """Open problems, newest first."""
    query = select(Case).where(mine(Case.account_id), Case.state == asked["state"])
    if "code" in asked:
        query = query.where(Case.code == asked["code"])
    if "connection" in asked:
        query = query.where(Case.connection_id == telling.connection_id(asked["connection"]))
    return pages.page(query, Case.id, "cs", asked, shown)


def shown(case: Case) -> dict[str, Any]:
    """A case with its sentence and what to do."""
    return {
        "id": f"cs_{case.id}",
        "account": f"acc_{case.account_id}",
        "code": case.code,
        "message": telling.sentence(case.code, case.params),
        "next_step": reasons.next_step(case.code, case.params, telling.language()),
        "who": reasons.who(case.code),
        "subject": case.subject,
        "order": ids.public("ord", case.order_id),
        "connection": telling.key_of(case.connection_id),
        "state": case.state,
        "opened_at": answers.iso(case.opened_at),
        "closed_at": answers.iso(case.closed_at),
    }
