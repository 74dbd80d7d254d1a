"""Idempotency-Key: a POST that is repeated with the same key does nothing and gets the first answer again.

The row is written in the transaction of the deed, so two requests at the same moment wait for each other. What may go wrong: a process
dies between the deed and its answer; the key is then free again after a minute, and the deeds of the API are safe to repeat.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, cast

from flask import Response, request
from sqlalchemy import Table, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.extensions import db
from app.models import Idempotency
from app.web import answers
from app.web.api.caller import Stop, chosen_account, stop

P = ParamSpec("P")
_TABLE = cast("Table", Idempotency.__table__)
_LONGEST = 255
_ABANDONED_SECONDS = 60


def once(view: Callable[P, dict[str, Any]]) -> Callable[P, dict[str, Any] | Response]:
    """Makes a POST repeatable. The view answers plain JSON and commits, or not; this commits at the end."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> dict[str, Any] | Response:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            told = view(*args, **kwargs)
            db.session.commit()
            return told
        return _once(key, lambda: view(*args, **kwargs))

    return guarded


def _once(key: str, deed: Callable[[], dict[str, Any]]) -> dict[str, Any] | Response:
    if not 0 < len(key) <= _LONGEST or not key.isascii() or not key.isprintable():
        stop(
            400,
            "idempotency.key_invalid",
            "A key has 1 to 255 printable ASCII characters.",
            param="Idempotency-Key",
        )
    account_id = chosen_account()
    if account_id is None:
        stop(
            400,
            "account.missing",
            "With an Idempotency-Key an operator names the account: ?account=acc_1.",
            param="account",
        )
    row_id = _begin(account_id, key)
    if row_id is None:
        return _first_answer(account_id, key)
    try:
        told = deed()
        db.session.execute(update(_TABLE).where(_TABLE.c.id == row_id).values(status=200, answer=told))
        db.session.commit()
    except BaseException:
        # A refused request may be mended and sent again with the same key.
        db.session.rollback()
        db.session.execute(delete(_TABLE).where(_TABLE.c.id == row_id, _TABLE.c.status.is_(None)))
        db.session.commit()
        raise
    return told


def _begin(account_id: int, key: str) -> int | None:
    """The row of this key if it is ours to fill; waits for another request with the same key."""
    values = {"account_id": account_id, "key": key, "request_digest": _request_digest()}
    abandoned = (_TABLE.c.status.is_(None)) & (
        _TABLE.c.created_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, _ABANDONED_SECONDS)
    )
    statement = insert(_TABLE).values(values)
    return db.session.execute(
        statement.on_conflict_do_update(
            index_elements=["account_id", "key"],
            set_={"created_at": func.now(), "request_digest": statement.excluded.request_digest},
            where=abandoned,
        ).returning(_TABLE.c.id)
    ).scalar()


def _first_answer(account_id: int, key: str) -> Response:
    columns = _TABLE.c
    found = db.session.execute(
        select(columns.request_digest, columns.status, columns.answer).where(
            columns.account_id == account_id, columns.key == key
        )
    ).one_or_none()
    if found is None or found.status is None:
        raise Stop(
            answers.problem(
                409,
                "idempotency.in_progress",
                "The first request is still running.",
                headers={"Retry-After": "1"},
            )
        )
    if found.request_digest != _request_digest():
        stop(422, "idempotency.key_reused", "This key was used for another request.", param="Idempotency-Key")
    return answers.answer(found.status, found.answer, {"Idempotency-Replayed": "true"})


def _request_digest() -> str:
    """What makes a request the same: method, address with parameters, body."""
    told = json.dumps(
        [request.method, request.full_path, request.get_data(cache=True).decode("utf-8", "replace")]
    )
    return hashlib.sha256(told.encode()).hexdigest()
