"""Two other webhook doors to compare with, each on the same gunicorn as ours: `limit` only checks the signature, `naive` is the usual way.

They live here and never in the bridge: `limit` forgets what it answers, `naive` pays for the ORM, a commit and one RQ job with every event.
Both know the sender's secret beforehand, so they do less than our door, which looks the sender up.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, request
from rq import Queue

from app import config, queues
from app.commands.webserver import WebServer
from app.shops import signing

NAIVE_QUEUE = "bench-naive"


def proven_body() -> bytes:
    """The raw body when its signature is right."""
    raw = request.get_data(cache=False)
    headers = {
        name: request.headers.get(name, "")
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    }
    signing.verify([os.environ["BENCH_SECRET"]], headers, raw, datetime.now(UTC))
    return raw


def limit() -> Flask:
    """Flask, the signature, an answer: what no durable door can be faster than."""
    made = Flask("limit", static_folder=None)

    @made.post("/webhooks/<key>")
    def receive(key: str) -> Response:
        proven_body()
        return Response('{"id":"evt_1","duplicate":false}', 202, mimetype="application/json")

    return made


def naive() -> Flask:
    """Parse, one ORM object, one commit, one job per event."""
    from app import create_app
    from app.extensions import db
    from app.models import Event

    made = create_app(config.load(), web=False)

    @made.post("/webhooks/<key>")
    def receive(key: str) -> Any:
        raw = proven_body()
        body = json.loads(raw)
        event = Event(
            account_id=int(os.environ["BENCH_ACCOUNT"]),
            connection_id=int(os.environ["BENCH_CONNECTION"]),
            delivery_id=request.headers["webhook-id"],
            type=body["type"],
            subject=body["subject"],
            sequence=body["sequence"],
            happened_at=datetime.fromisoformat(body["timestamp"]),
            body=raw,
        )
        db.session.add(event)
        db.session.commit()
        Queue(NAIVE_QUEUE, connection=queues.connect()).enqueue("bench.draining.naive_job", event.id)
        return {"id": f"evt_{event.id}", "duplicate": False}, 202

    return made


class Door(WebServer):
    """Our web server with another application in it."""

    def __init__(self, settings: dict[str, Any], which: str) -> None:
        self.which = which
        super().__init__(settings)

    def load(self) -> Flask:
        """Called by gunicorn in each web process."""
        return {"limit": limit, "naive": naive}[self.which]()


if __name__ == "__main__":
    Door(config.load(), sys.argv.pop()).run()
