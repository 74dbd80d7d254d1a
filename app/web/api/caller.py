"""Who calls the JSON API: a bearer token of one account, or of the operator, who sees all accounts but no buyers.

Every query goes through `mine`, so that another account's rows do not exist for the caller (T9): they are 404, never 403.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from flask import Response, g, request
from sqlalchemy import ColumnElement, func, or_, select, true, update

from app import accounts
from app.extensions import db
from app.models import Account, ApiToken
from app.web import answers
from app.web.api import ids


@dataclass(frozen=True, slots=True)
class Caller:
    """`account_id` None = the operator."""

    token_id: int
    account_id: int | None

    @property
    def is_operator(self) -> bool:
        return self.account_id is None


def caller() -> Caller:
    """The caller of this request."""
    found: Caller = g.caller
    return found


def authenticate() -> Response | None:
    """Before every request of the API, and before anything of it is read: 401 without a valid token."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    found = _find(token.strip()) if kind.lower() == "bearer" and 20 <= len(token) <= 200 else None
    if found is None:
        return answers.problem(401, "token.invalid", headers={"WWW-Authenticate": "Bearer"})
    g.caller = found
    return None


def _find(token: str) -> Caller | None:
    # Looked up by digest: how long it takes says nothing about the token.
    query = select(ApiToken.id, ApiToken.account_id).where(
        ApiToken.digest == accounts.digest(token.encode("utf-8", "replace").decode())
    )
    row = db.session.execute(query).one_or_none()
    if row is None:
        return None
    minute_ago = func.now() - func.make_interval(0, 0, 0, 0, 0, 1)
    stale = or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at < minute_ago)
    db.session.execute(update(ApiToken).where(ApiToken.id == row.id, stale).values(last_used_at=func.now()))
    db.session.commit()
    return Caller(row.id, row.account_id)


def mine(account_column: Any) -> ColumnElement[bool]:
    """The condition that keeps a query inside the caller's account; the operator may narrow it with ?account=acc_1."""
    account_id = chosen_account()
    return true() if account_id is None else account_column == account_id


def chosen_account() -> int | None:
    """The account of the request: the token's, or the one the operator asks for; None = all (operators only)."""
    who = caller()
    if not who.is_operator:
        return who.account_id
    asked = request.args.get("account")
    return None if asked is None else ids.number("acc", asked, param="account")


def one_account() -> Account:
    """The account of a request that changes an account as a whole. An operator must name it."""
    account_id = chosen_account()
    if account_id is None:
        stop(400, "account.missing", "Name the account: ?account=acc_1.", param="account")
    account = db.session.get(Account, account_id)
    return account if account is not None else not_found()


def may_see_buyers() -> bool:
    """Bodies, addresses and payloads are for the merchant, not for the operator."""
    return not caller().is_operator


def locale() -> str:
    """The language of sentences: the account's, or English for the operator."""
    who = caller()
    if who.account_id is None:
        return "en"
    return str(db.session.scalar(select(Account.locale).where(Account.id == who.account_id)) or "de")


class Stop(Exception):
    """Ends a request with an answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def stop(status: int, code: str, message: str | None = None, *, param: str | None = None) -> NoReturn:
    """End the request with the one error object."""
    raise Stop(answers.problem(status, code, message, param=param))


def not_found() -> NoReturn:
    """The same for what is not there and for what belongs to somebody else."""
    stop(404, "not_found", "There is nothing with this id.")
