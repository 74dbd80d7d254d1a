"""Finds what a person named on the command line: an account, a connection by key or name, a row by its id.

What may go wrong: nothing has that name, or two connections of different accounts have it; the sentence then names what there is.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.commands.problems import Problem, stop
from app.models import Account, Connection

_ID = re.compile(r"(?:[a-z]{2,4}_)?([1-9][0-9]{0,17})")
_AGO = re.compile(r"([0-9]{1,6})\s*(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def account(session: Session, name: str) -> Account:
    """The account of this name."""
    found = session.scalar(select(Account).where(Account.name == name.strip()))
    if found is not None:
        return found
    names = session.scalars(select(Account.name).order_by(Account.name).limit(20)).all()
    there = (
        f"There are: {', '.join(names)}."
        if names
        else "There is none yet: `shopbridge connect` and `shopbridge pair` make one."
    )
    raise Problem(f"There is no account “{name}”. {there}")


def account_or_new(session: Session, name: str, *, quiet: bool = False) -> Account:
    """The account of this name; made when there is none."""
    from app import accounts

    found = session.scalar(select(Account).where(Account.name == name.strip()))
    if found is None:
        found = accounts.create_account(session, name)
        if not quiet:
            click.echo(f"New account “{found.name}”.", err=True)
    return found


def connection(session: Session, word: str, *, role: str | None = None) -> Connection:
    """The connection with this key or name, of this role."""
    query = select(Connection).where(
        (Connection.key == word) | (func.lower(Connection.name) == word.lower().strip())
    )
    found = session.scalars(query.order_by(Connection.id)).all()
    if len(found) > 1:
        found = [each for each in found if each.state != "removed"] or found
    if len(found) > 1:
        keys = ", ".join(f"{each.key} ({each.account.name})" for each in found)
        stop(f"Several connections are called “{word}”. Use the key of one: {keys}.")
    if not found:
        stop(f"There is no connection “{word}”. `shopbridge connections` lists them.")
    if role is not None and found[0].role != role:
        stop(f"“{found[0].name}” is no {role}: it is a {found[0].role}.")
    return found[0]


def number(text: str) -> int:
    """The number in an id like evt_12 or 12."""
    found = _ID.fullmatch(text.strip())
    if found is None:
        stop(f"“{text}” is no id. Ids look like evt_12, cmd_12 or ord_12; the number alone is enough.")
    return int(found[1])


class Moment(click.ParamType[datetime]):
    """A time: ISO 8601 (UTC when it names no zone), or so long ago: 90s, 30m, 2h, 14d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Called by click."""
        if isinstance(value, datetime):
            return value
        ago = _AGO.fullmatch(str(value).strip().lower())
        if ago:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(
                f"{value!r} is no time. Write 2026-11-21T14:00, or 30m, 2h, 14d for so long ago.", param, ctx
            )
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def names(session: Session) -> dict[int, Connection]:
    """All connections by id, to name them in lists."""
    return {each.id: each for each in session.scalars(select(Connection))}


account_option = click.option("--account", required=True, metavar="NAME", help="The merchant.")
