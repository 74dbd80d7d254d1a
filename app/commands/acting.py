"""What an operator or merchant decides: replay what is stuck, holiday mode, sending on or off. Each tells what it did, in figures."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from sqlalchemy import func, select, update

from app import inbox, outbox, queues
from app.commands import finding, opening, showing
from app.commands.problems import stop
from app.extensions import db
from app.flows import holiday as holidays
from app.flows import order_accepted, return_rejected, trade_shop_gone
from app.models import Account, Command, Connection, Event, Offer, Order, Payment
from app.story import close_case

STUCK = ("refused", "dead")

# --- replay --------------------------------------------------------------------------------------------------


@click.group(invoke_without_command=True)
@click.option(
    "--reason", metavar="CODE", help="Everything that is stuck for this reason, in both directions."
)
@click.option("--since", type=finding.Moment(), help="From this time on: a time, or 30m, 2h, 14d ago.")
@click.option("--until", type=finding.Moment(), help="Before this time.")
@click.option("--connection", metavar="KEY", help="Only of this connection (key or name); a range needs one.")
@click.option("--done-too", is_flag=True, help="With a range: also events that were worked off already.")
@showing.json_option
@click.pass_context
def replay(
    ctx: click.Context,
    reason: str | None,
    since: datetime | None,
    until: datetime | None,
    connection: str | None,
    done_too: bool,
    as_json: bool,
) -> None:
    """Work stuck events and commands off again: one, a range, or all with one reason.

    \b
    shopbridge replay event evt_12
    shopbridge replay command cmd_9
    shopbridge replay --reason product.unknown_gtin
    shopbridge replay --since 2h --connection "Anna's Teeladen"

    Nothing happens twice: what is done already is known by its key, and a deed in doubt is read back before it is repeated.
    """
    if ctx.invoked_subcommand is not None:
        return
    in_range = since is not None or until is not None
    if (reason is not None) == in_range:
        stop(
            "Say what to replay: `event ID`, `command ID`, --reason CODE, or --since/--until with --connection."
        )
    if in_range and connection is None:
        stop(
            "A range needs --connection: replaying everything of everybody by accident must not be possible."
        )
    with opening.bridge():
        found = None if connection is None else finding.connection(db.session(), connection)
        events = _conditions(Event, Event.received_at, found, reason, since, until)
        if not done_too or reason is not None:
            events.append(Event.state.in_(STUCK))
        commands = _conditions(Command, Command.created_at, found, reason, since, until)
        _tell({"events": _events(events), "commands": _commands(commands)}, as_json)


def _conditions(
    table: Any,
    column: Any,
    found: Connection | None,
    reason: str | None,
    since: datetime | None,
    until: datetime | None,
) -> list[Any]:
    where = [] if found is None else [table.connection_id == found.id]
    if reason is not None:
        where.append(table.reason_code == reason)
    if since is not None:
        where.append(column >= since)
    if until is not None:
        where.append(column < until)
    return where


@replay.command("event")
@click.argument("event_ids", metavar="ID...", nargs=-1, required=True)
@showing.json_option
def replay_event(event_ids: tuple[str, ...], as_json: bool) -> None:
    """Work events off again, whatever became of them."""
    with opening.bridge():
        count = _events([Event.id.in_([finding.number(each) for each in event_ids])])
        if not count:
            stop(
                "Nothing to replay: there is no such event, it is still due, or its body was emptied after the replay window."
            )
        _tell({"events": count, "commands": 0}, as_json)


@replay.command("command")
@click.argument("command_ids", metavar="ID...", nargs=-1, required=True)
@click.option(
    "--it-did-not-happen",
    is_flag=True,
    help="You looked at the partner: the deed in doubt did not happen. Only then is a refund in doubt repeated.",
)
@showing.json_option
def replay_command(command_ids: tuple[str, ...], it_did_not_happen: bool, as_json: bool) -> None:
    """Deliver refused or dead commands again."""
    with opening.bridge():
        ids = [finding.number(each) for each in command_ids]
        count = _commands([Command.id.in_(ids)], it_did_not_happen=it_did_not_happen)
        if not count:
            stop("Nothing to replay: there is no such command, or it is neither refused nor dead.")
        _tell({"events": 0, "commands": count}, as_json)


def _events(where: list[Any]) -> int:
    open_again = (*where, Event.body.is_not(None), Event.state.in_((*STUCK, "done", "superseded")))
    count = int(db.session.scalar(select(func.count()).select_from(Event).where(*open_again)) or 0)
    for connection_id in inbox.replay(db.session(), *where):
        queues.ring("in", connection_id)
    return count


def _commands(where: list[Any], *, it_did_not_happen: bool = False) -> int:
    count = int(
        db.session.scalar(select(func.count()).select_from(Command).where(*where, Command.state.in_(STUCK)))
        or 0
    )
    for connection_id in outbox.replay(db.session(), *where, it_did_not_happen=it_did_not_happen):
        queues.ring("out", connection_id)
    return count


def _tell(counted: dict[str, int], as_json: bool) -> None:
    if as_json:
        showing.as_json_text({"replayed": counted})
    else:
        click.echo(f"{counted['events']} events and {counted['commands']} commands are due again.")


# --- holiday -------------------------------------------------------------------------------------------------


@click.command()
@click.argument("wish", type=click.Choice(["on", "off", "status"]))
@finding.account_option
@click.option("--connection", metavar="KEY", help="Only this marketplace (key or name).")
@showing.json_option
def holiday(wish: str, account: str, connection: str | None, as_json: bool) -> None:
    """Put every offer to stock 0 (on) and back (off), and count what the marketplaces have confirmed (status)."""
    with opening.bridge():
        owner = finding.account(db.session(), account)
        marketplace = (
            None if connection is None else finding.connection(db.session(), connection, role="marketplace")
        )
        if marketplace is not None and marketplace.account_id != owner.id:
            stop(f"“{marketplace.name}” belongs to another account.")
        if wish != "status":
            holidays.switch(db.session(), owner, wish == "on", marketplace)
            touched = _marketplaces(owner, marketplace)
            db.session.commit()
            for connection_id in touched:
                queues.ring("out", connection_id)
        _tell_holiday(owner, marketplace, as_json)


def _marketplaces(owner: Account, one: Connection | None) -> list[int]:
    if one is not None:
        return [one.id]
    query = select(Connection.id).where(
        Connection.account_id == owner.id, Connection.role == "marketplace", Connection.state != "removed"
    )
    return list(db.session.scalars(query))


def _tell_holiday(owner: Account, marketplace: Connection | None, as_json: bool) -> None:
    on = owner.holiday or (marketplace is not None and marketplace.holiday)
    progress = holidays.progress(db.session(), owner, marketplace)
    silent = _without_sync(owner, marketplace)
    answer = {
        "on": on,
        "offers": progress.offers,
        "confirmed_at_zero": progress.confirmed,
        "last_confirmed_at": progress.at,
        "sync_off": silent,
    }
    if as_json:
        showing.as_json_text(answer)
        return
    when = f", {progress.at:%d.%m. %H:%M} UTC" if progress.at else ""
    click.echo(
        f"Holiday is {'on' if on else 'off'}: {progress.confirmed:,} of {progress.offers:,} offers confirmed at 0{when}."
    )
    for name in silent if on else ():
        click.echo(f"Sending to {name} is off, so its offers stay as last sent: shopbridge sync on “{name}”.")


def _without_sync(owner: Account, one: Connection | None) -> list[str]:
    where = [
        Connection.account_id == owner.id,
        Connection.role == "marketplace",
        Connection.sync.is_(False),
        Connection.state != "removed",
    ]
    if one is not None:
        where.append(Connection.id == one.id)
    return list(db.session.scalars(select(Connection.name).where(*where).order_by(Connection.id)))


# --- sync -------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("wish", type=click.Choice(["on", "off"]))
@click.argument("connection")
@showing.json_option
def sync(wish: str, connection: str, as_json: bool) -> None:
    """Send offers to the marketplace CONNECTION (on), or leave them as last sent (off). Off warns how many stay on sale."""
    with opening.bridge():
        found = finding.connection(db.session(), connection, role="marketplace")
        found.sync = wish == "on"
        counted = (
            select(func.count())
            .select_from(Offer)
            .where(Offer.connection_id == found.id, Offer.state == "on_sale")
        )
        on_sale = int(db.session.scalar(counted) or 0)
        if found.sync:
            db.session.execute(
                update(Offer)
                .where(Offer.connection_id == found.id)
                .values(stale=True, next_attempt_at=func.now())
            )
        db.session.commit()
        queues.ring("out", found.id)
        if as_json:
            showing.as_json_text({"connection": found.key, "sync": found.sync, "offers_on_sale": on_sale})
        elif found.sync:
            click.echo(f"Offers are sent to {found.name} again.")
        else:
            click.echo(
                f"Nothing is sent to {found.name} any more. {on_sale:,} offers stay on sale, as they were last sent."
            )


# --- remove --------------------------------------------------------------------------------------------------


@click.command()
@click.argument("order_id", metavar="ID")
@click.option("--refuse", is_flag=True, help="Refuse what waits instead of accepting it.")
@showing.json_option
def accept(order_id: str, refuse: bool, as_json: bool) -> None:
    """Accept, or refuse, an order that waits for the seller's answer at its marketplace. ID as for `shopbridge order`."""
    from app.commands.looking import find_order

    with opening.bridge():
        found = find_order(order_id)
        order = db.session.scalars(select(Order).where(Order.id == found.id).with_for_update()).one()
        if not order_accepted.by_hand(db.session(), order, accept=not refuse):
            stop(f"Nothing of order {order.external_id} waits for an answer, or it was answered already.")
        connection_id = order.connection_id
        db.session.commit()
        queues.ring("out", connection_id)
        word = "refused" if refuse else "accepted"
        if as_json:
            showing.as_json_text({"order": f"ord_{found.id}", "answer": word})
        else:
            click.echo(
                f"Order {found.external_id} is being {word}; `shopbridge order ord_{found.id}` shows when it is."
            )


@click.command("reject-return")
@click.argument("order_id", metavar="ID")
@click.option(
    "--reason",
    required=True,
    metavar="WORD",
    help="damaged, wrong_item, missing_item, too_late, hygiene_seal, third_party, exchange or other, as far as the marketplace knows it.",
)
@click.option("--note", default="", metavar="TEXT", help="What the marketplace, or the buyer, reads besides.")
@click.option(
    "--only", multiple=True, metavar="WORD", help="Only this SKU, return or returned piece; may be repeated."
)
@click.option("--all", "every", is_flag=True, help="All returns of the order that have come back.")
@showing.json_option
def reject_return(
    order_id: str, reason: str, note: str, only: tuple[str, ...], every: bool, as_json: bool
) -> None:
    """Reject what came back of an order: nothing is refunded. ID as for `shopbridge order`.

    Where the marketplace waits for you to say that the goods have come (eMAG, Mirakl), rejecting says so. Whoever refunds in the shop
    afterwards has changed his mind; that is sent to the marketplace as ever.
    """
    from app.commands.looking import find_order

    with opening.bridge():
        found = find_order(order_id)
        connection_id = found.connection_id
        pieces = return_rejected.by_hand(db.session(), found, reason, note, only, every=every)
        db.session.commit()
        queues.ring("out", connection_id)
        if as_json:
            showing.as_json_text({"order": f"ord_{found.id}", "pieces": pieces})
        else:
            click.echo(
                f"The return of {pieces} pieces is being rejected; `shopbridge order ord_{found.id}` shows when it is."
            )


@click.command()
@click.argument("connection")
@showing.json_option
def remove(connection: str, as_json: bool) -> None:
    """Unplug CONNECTION: nothing is sent there or taken from it any more. Its orders and events stay readable; offers stay as last sent.

    A payment provider with open payments is not unplugged: what becomes of them could not be heard any more.
    """
    with opening.bridge():
        found = finding.connection(db.session(), connection)
        name = found.name
        _nothing_to_pay(found)
        counted = (
            select(func.count())
            .select_from(Offer)
            .where(Offer.connection_id == found.id, Offer.state == "on_sale")
        )
        on_sale = int(db.session.scalar(counted) or 0)
        found.state, found.reason_code, found.reason_params = "removed", None, {}
        found.name = f"{name} (removed {found.id})"  # the name is free for another connection
        close_case(db.session(), account_id=found.account_id, subject=f"connection/{found.id}")
        trades = trade_shop_gone.gone(db.session(), found) if found.role == "shop" else 0
        db.session.commit()
        if as_json:
            answer = {"connection": found.key, "state": "removed", "offers_on_sale": on_sale}
            showing.as_json_text({**answer, "open_trades": trades})
        elif found.role == "payment":
            click.echo(f"{name} is unplugged. New payments go to another provider, or are made by hand.")
        else:
            click.echo(f"{name} is unplugged. {on_sale:,} offers stay on sale there, as they were last sent.")
            if trades:
                click.echo(
                    f"{trades:,} orders of the network are open in it; both sides of each have a case."
                )


def _nothing_to_pay(found: Connection) -> None:
    """Open payments are finished where they began. Locked, so that none is instructed meanwhile."""
    db.session.execute(select(Connection.id).where(Connection.id == found.id).with_for_update())
    waiting = select(func.count()).where(
        Payment.connection_id == found.id, Payment.state.in_(("due", "unknown"))
    )
    if many := int(db.session.scalar(waiting) or 0):
        one = many == 1
        stop(
            f"{many} payment{'' if one else 's'} through {found.name} {'is' if one else 'are'} open. Let {'it' if one else 'them'} be finished, or tick "
            f"{'it' if one else 'them'} off (shopbridge money list, shopbridge money done), then remove it."
        )
