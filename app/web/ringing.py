"""The end of a request that changed something which shops must hear of: commit, then ring. A bell that is lost is rung by the clock."""

from __future__ import annotations

from app import outbox, queues
from app.extensions import db


def commit_and_ring() -> None:
    """Commit, then ring the out lanes that have work now, whoever's they are."""
    db.session.commit()
    for connection_id in sorted(outbox.given_work(db.session())):
        queues.ring("out", connection_id)
