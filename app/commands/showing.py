"""How answers look: a table for people, JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

Command = TypeVar("Command", bound=Callable[..., Any])

_COLOURS = {
    "active": "green", "on_sale": "green", "done": "green", "shipped": "green", "ok": "green",
    "refused": "red", "dead": "red", "needs_attention": "red", "removed": "red", "wrong": "red",
    "warn": "yellow", "paused": "yellow", "pending": "yellow", "waiting": "yellow", "due": "yellow", "changed_elsewhere": "yellow",
}  # fmt: skip


def json_option(command: Command) -> Command:
    """--json, for scripts."""
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for scripts.")(command)


def limit_option(command: Command) -> Command:
    """--limit, for lists."""
    return click.option(
        "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many."
    )(command)


def as_json_text(answer: Any) -> None:
    """Print JSON on stdout: times in ISO 8601 with Z, nothing else around it."""
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return moment(value)
    return str(value)


def moment(value: datetime | None) -> str | None:
    """A time as people and scripts read it: UTC to the second."""
    return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, empty: str) -> None:
    """Rows under their titles; `columns`: name in the row -> title. `empty` is what to say when there is nothing."""
    if not rows:
        click.echo(empty)
        return
    made = Table(box=None, header_style="bold", pad_edge=False)
    for title in columns.values():
        made.add_column(title, overflow="fold")
    for row in rows:
        made.add_row(*(_cell(row.get(name)) for name in columns))
    console().print(made)


def _cell(value: Any) -> Text:
    if isinstance(value, datetime):
        value = value.astimezone(UTC).strftime("%d.%m. %H:%M:%S")
    if isinstance(value, bool):
        value = "yes" if value else "no"
    shown = "" if value is None else str(value)
    return Text(shown, style=_COLOURS.get(shown, ""))


def console() -> Console:
    """stdout, as wide as the terminal; 160 columns where there is none, so that nothing is cut in files."""
    made = Console(highlight=False, soft_wrap=False)
    return made if made.is_terminal else Console(highlight=False, width=160)


def answer(told: Mapping[str, Any], as_json: bool) -> None:
    """One thing: JSON, or a line for each value."""
    if as_json:
        as_json_text(told)
        return
    width = max((len(name) for name in told), default=0)
    for name, value in told.items():
        shown = moment(value) if isinstance(value, datetime) else value
        if isinstance(shown, bool):
            shown = "yes" if shown else "no"
        click.echo(f"{name.replace('_', ' '):<{width}}  {'' if shown is None else shown}".rstrip())


def money(minor: int, currency: str) -> str:
    """1790 EUR -> 17.90 EUR."""
    sign, whole, cents = "-" if minor < 0 else "", *divmod(abs(minor), 100)
    return f"{sign}{whole}.{cents:02d} {currency}"
