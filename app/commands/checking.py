"""Checking: the doctor for the bridge, the conformance kit for supplier systems, and the demo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from app.commands import opening, showing
from app.commands.problems import stop

_MARKS = {"ok": ("ok", "green"), "warn": ("look", "yellow"), "wrong": ("WRONG", "red")}


@click.command()
@showing.json_option
def doctor(as_json: bool) -> None:
    """Say what is wrong with the bridge and what to do; exit code 1 when something is wrong."""
    from app import doctor as the_doctor

    try:
        with opening.bridge():
            found = the_doctor.examine()
    except (opening.NotRunning, RuntimeError) as error:
        found = [
            the_doctor.Finding(
                "bridge",
                "wrong",
                str(error),
                "Start it with `shopbridge up`, or set DATABASE_URL and REDIS_URL.",
            )
        ]
    wrong = sum(each.level == "wrong" for each in found)
    if as_json:
        showing.as_json_text({"healthy": not wrong, "findings": [vars(each) for each in found]})
    else:
        _print(found)
        look = sum(each.level == "warn" for each in found)
        click.echo(
            f"\n{'Everything is in its place.' if not wrong else f'{wrong} wrong.'}{f' {look} to look at.' if look else ''}"
        )
    if wrong:
        raise click.exceptions.Exit(1)


def _print(found: list[Any]) -> None:
    for each in found:
        mark, colour = _MARKS[each.level]
        click.echo(f"{click.style(f'{mark:<6}', fg=colour)}{each.about:<13} {each.says}")
        if each.to_do:
            click.echo(f"{'':<19} -> {each.to_do}")


@click.command()
@click.option(
    "--connection", metavar="KEY", help="The connection of the system that is tested (key or name)."
)
@click.option(
    "--kit", is_flag=True, help="Print signed samples, right and wrong ones, to compare byte by byte."
)
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=5000,
    show_default=True,
    help="At most so many of the newest events.",
)
@click.option(
    "--trial",
    is_flag=True,
    help="Make a trial order for a supplier of the network first: it belongs to no retailer and moves no money.",
)
@showing.json_option
def conformance(connection: str | None, kit: bool, limit: int, trial: bool, as_json: bool) -> None:
    """Tell the developer of a supplier system what is wrong with what he sends, and how to mend it (docs/suppliers.md).

    Exit code 1 when something is wrong.
    """
    from app import conformance as the_conformance

    if (connection is None) == (not kit):
        stop(
            "Say what to do: --connection KEY reads what a system sent, --kit prints samples for its developers."
        )
    if kit:
        for line in the_conformance.kit():
            click.echo(line)
        return
    with opening.bridge(web=True) as app:
        from app.commands import evidence, finding
        from app.extensions import db

        found = finding.connection(db.session(), str(connection), role="shop")
        if trial:
            click.echo(f"Trial order {evidence.trial(found)}: handle it like any other.", err=as_json)
        code = the_conformance.run(
            _newest(found.id, limit),
            provider=found.provider,
            as_json=as_json,
            network=evidence.gather(app, found),
            write=click.echo,
        )
    if code:
        raise click.exceptions.Exit(code)


def _newest(connection_id: int, limit: int) -> Iterator[Any]:
    """What a system sent, oldest first, as far as the replay window keeps it."""
    from sqlalchemy import select

    from app.conformance import StoredEvent
    from app.extensions import db
    from app.models import Event

    # What the supplier API has written was not sent by anybody.
    own = Event.delivery_id.like("api\\_%")
    where = (Event.connection_id == connection_id, Event.body.is_not(None), ~own)
    ids = db.session.scalars(select(Event.id).where(*where).order_by(Event.id.desc()).limit(limit)).all()
    for event_id in reversed(ids):
        event = db.session.get_one(Event, event_id)
        yield StoredEvent(event.delivery_id, event.received_at, bytes(event.body or b""))
        db.session.expunge(event)


# --help is the demo's own: only it knows its options.
@click.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def demo(arguments: tuple[str, ...]) -> None:
    """Show the main job with simulated partners: an offer goes out, an order comes in, a parcel is reported, nothing is lost."""
    from app.demo import run

    if code := run(*arguments):
        raise click.exceptions.Exit(code)
