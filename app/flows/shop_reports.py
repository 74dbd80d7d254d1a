"""What a shop says about itself: that the plugin was installed or removed, its settings, and the daily manifest (D7)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import outbox
from app.delivery import Delivered
from app.errors import Refused
from app.models import Connection, Event, Manifest
from app.registry import ShopClient
from app.story import close_case, open_case

KEPT = ("currency", "country", "locale", "timezone", "plugin_version", "platform", "platform_version")
GAPS_IN_ONE_COMMAND = 200


def settings(session: Session, shop: Connection, data: dict[str, Any]) -> None:
    """Facts about the shop that translations and sentences need."""
    told = {name: str(data[name])[:100] for name in KEPT if data.get(name) is not None}
    shop.settings = {**shop.settings, **told}
    if told.get("locale"):
        shop.account.locale = "de" if told["locale"].lower().startswith("de") else "en"


def removed(session: Session, shop: Connection) -> None:
    """The plugin was uninstalled: from now on the webhook answers 410 and nothing is sent there."""
    shop.state, shop.reason_code = "removed", "plugin.removed"
    open_case(
        session,
        account_id=shop.account_id,
        connection_id=shop.id,
        subject=f"connection/{shop.id}",
        code="plugin.removed",
        params={"name": shop.name},
    )


def manifest(session: Session, shop: Connection, data: dict[str, Any]) -> None:
    """Compare what the shop says it sent with what arrived, and ask for what is missing."""
    first, last = (
        int(data["first_sequence"] or 0),
        int(data["last_sequence"] or 0),
    )  # null on a day without events
    arrived = session.scalar(
        select(func.count())
        .select_from(Event)
        .where(
            Event.connection_id == shop.id,
            Event.sequence.between(first, last),
            Event.type != "manifest.daily",
        )
    )
    values = {
        "first_sequence": first,
        "last_sequence": last,
        "count": int(data["count"]),
        "arrived": arrived or 0,
        "waiting": int(data.get("waiting", 0)),
        "dead": int(data.get("dead", 0)),
    }
    stmt = insert(Manifest).values(
        account_id=shop.account_id, connection_id=shop.id, day=str(data["day"])[:10], **values
    )
    session.execute(stmt.on_conflict_do_update(index_elements=["connection_id", "day"], set_=values))
    subject = f"manifest/{shop.id}/{str(data['day'])[:10]}"
    missing = values["count"] - values["arrived"]
    if missing <= 0:
        close_case(session, account_id=shop.account_id, subject=subject)
        return
    open_case(
        session,
        account_id=shop.account_id,
        connection_id=shop.id,
        subject=subject,
        code="manifest.gap",
        params={"day": data["day"], "missing": missing, "count": values["count"]},
    )
    outbox.write(
        session,
        account_id=shop.account_id,
        connection_id=shop.id,
        kind="events.resend",
        subject="shop",
        key=f"events.resend:{str(data['day'])[:10]}:{values['arrived']}",
        payload={"ranges": _gaps(session, shop, first, last), "all_products": False},
    )


def _gaps(session: Session, shop: Connection, first: int, last: int) -> list[list[int]]:
    """Ranges of sequences between first and last that never arrived."""
    seen = session.scalars(
        select(Event.sequence)
        .where(Event.connection_id == shop.id, Event.sequence.between(first, last))
        .distinct()
        .order_by(Event.sequence)
    )
    gaps, expected = [], first
    for sequence in [*seen, last + 1]:
        if sequence > expected:
            gaps.append([expected, sequence - 1])
        expected = sequence + 1
    return gaps[:GAPS_IN_ONE_COMMAND]


def deliver_resend(
    session: Session, command: outbox.Claimed, shop: Connection, client: ShopClient
) -> Delivered:
    """Ask the shop to send again what never arrived. A system that cannot (docs/suppliers.md: it may) is not asked twice, and nobody is bothered:
    what is missing is a case of its own.
    """
    session.commit()
    try:
        return Delivered(dict(client.send(command.public_id, "events.resend", command.payload)))
    except Refused as error:
        if error.code not in {"shop.command_unknown", "shop.no_command_url"}:
            raise
        return Delivered({"skipped": error.code})


def deliver_rotate(
    session: Session, command: outbox.Claimed, shop: Connection, client: ShopClient
) -> Delivered:
    """Hand the newest pair of signing secrets to the shop. They are read now, never kept in the command."""
    newest = {f"{way}_secret": shop.secrets[way][0]["secret"] for way in ("event", "command")}
    session.commit()
    client.send(command.public_id, "secret.rotate", newest)
    return Delivered()


def deliver_ping(
    session: Session, command: outbox.Claimed, shop: Connection, client: ShopClient
) -> Delivered:
    """The shop answers a signed ping: the connection is active from now on."""
    session.commit()
    answer = client.ping(command.public_id)
    shop = session.get_one(Connection, shop.id)
    if shop.state == "pending":
        _ask_for_all_products(session, shop, command)
    if shop.state in {"pending", "needs_attention"}:
        shop.state, shop.reason_code, shop.reason_params = "active", None, {}
    shop.facts = {
        **shop.facts,
        **{
            name: answer[name]
            for name in ("plugin_version", "platform", "platform_version")
            if name in answer
        },
    }
    return Delivered()


def _ask_for_all_products(session: Session, shop: Connection, command: outbox.Claimed) -> None:
    """A shop that was just connected has products that nobody has touched since."""
    outbox.write(
        session,
        account_id=shop.account_id,
        connection_id=shop.id,
        kind="events.resend",
        subject="shop",
        key=f"events.resend:all:{command.id}",
        payload={"ranges": [], "all_products": True},
    )
