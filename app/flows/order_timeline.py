"""The shop shows an order's story in a box on its order page: what happened, and why it is not shipped yet (C8).

Like offers, a desired state and not a deed: whoever tells something marks the order, and the newest story is sent once, however much happened.
What may go wrong: the shop cannot be reached. Then the mark comes back and the story is sent with the next try; nothing else waits for it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app import obstacles, outbox
from app.errors import Refused, ShopbridgeError, Unauthorised
from app.models import Account, Connection, Order, Timeline
from app.registry import ShopClient
from app.rules import reasons

AT_ONCE = 20
LINES = 30

_CLAIM = text("""
    UPDATE orders SET story_due = NULL
    WHERE id IN (SELECT id FROM orders WHERE shop_id = :shop AND shop_order_id IS NOT NULL AND story_due <= now()
                 ORDER BY story_due LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING id
""")
_AGAIN = text(
    "UPDATE orders SET story_due = now() + interval '60 seconds' WHERE id = ANY(:ids) AND story_due IS NULL"
)


def push(session: Session, shop: Connection, client: ShopClient) -> int:
    """Send the stories of up to AT_ONCE orders. Answers how many; raises what the client raises, with the marks set again."""
    ids = sorted(session.execute(_CLAIM, {"shop": shop.id, "limit": AT_ONCE}).scalars())
    stories = [_story(session, session.get_one(Order, order_id)) for order_id in ids]
    session.commit()
    for place, (command_id, data) in enumerate(stories):
        try:
            client.send(command_id, "order.timeline", data)
        except ShopbridgeError as error:
            if isinstance(error, Refused) and not isinstance(error, Unauthorised):
                continue  # an order that is gone from the shop needs no story; whoever acts on it is told by the acting
            session.execute(_AGAIN, {"ids": ids[place:]})
            session.commit()
            raise
    return len(ids)


def _story(session: Session, order: Order) -> tuple[str, dict[str, Any]]:
    locale = session.get_one(Account, order.account_id).locale
    newest = session.scalars(
        select(Timeline).where(Timeline.order_id == order.id).order_by(Timeline.id.desc()).limit(LINES)
    ).all()
    found = obstacles.nearest(session, order)
    return outbox.message_id(), {
        "order_id": order.shop_order_id,
        "entries": [
            {
                "at": line.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "text": reasons.sentence(line.code, line.params, locale),
            }
            for line in reversed(newest)
        ],
        "next": reasons.sentence(found.code, found.params, locale) if found else "",
    }
