"""Whether nothing moves any more: in the shop, in the bridge, and at the marketplaces since somebody looked.

What may go wrong: two sides are compared too early, and a stock that is still on its way looks like a mistake.
"""

from __future__ import annotations

from sqlalchemy import text

from app.demo.books import Row
from app.demo.machine import Machine
from app.demo.people import Merchant


class Quiet:
    """Asked again and again by who waits."""

    def __init__(self, machine: Machine, merchant: Merchant) -> None:
        self._machine, self._merchant = machine, merchant
        self._since: Row | None = None

    def reached(self) -> bool:
        """Nothing is due, nothing is in hand, and a whole round of looks at the marketplaces brought nothing new."""
        now = self.work()
        if now["open"] or now["looks_since"] is None:
            self._since = None
            return False
        if self._since is None or self._since["total"] != now["total"]:
            self._since = now
            return False
        return bool(now["looks_since"] > self._since["now"])

    def work(self) -> Row:
        """What is open. The shop is asked first: what has left it then is in the database already."""
        waiting = sum(event["state"] in {"waiting", "sending"} for event in self._merchant.books()["events"])
        with self._machine.database() as session:
            row = session.execute(_WORK).mappings().one()
        by_kind = {name: row[name] for name in ("events", "commands", "offers", "waits")} | {
            "in_the_shop": waiting
        }
        return {**row, **by_kind, "open": sum(by_kind.values())}


# Products that a marketplace does not know are tried again with every look at its offers; that is no movement.
_WORK = text("""
    SELECT (SELECT count(*) FROM event WHERE state IN ('due', 'leased')) AS events,
           (SELECT count(*) FROM command WHERE state IN ('due', 'leased')) AS commands,
           (SELECT count(*) FROM offer
            WHERE (external_ref IS NOT NULL OR sent_revision = 0)
              AND (stale OR sent_revision < revision OR lease_until > now() OR task_due_at IS NOT NULL)) AS offers,
           (SELECT count(*) FROM orders WHERE wait_until < now() + interval '1 minute') AS waits,
           (SELECT count(*) FROM event) + (SELECT count(*) FROM command) AS total,
           (SELECT min(last_ok_at) FROM schedule) AS looks_since,
           now() AS now
""")
