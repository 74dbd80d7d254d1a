"""Three other webhook doors to compare with, each on the same gunicorn as ours.

`limit` is our own endpoint with the storing taken out: it checks the signature and answers. `flask` is the least that Flask can do: one route, the
signature, an answer. `naive` is the usual way: it parses and pays for the ORM, a commit and one RQ job with every event. They live here and never
in the bridge, because two of them forget what they acknowledge.
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
    """Everything that our door does before it reads the body, and then the answer."""
    from app import create_app
    from app.web import webhooks

    webhooks._accept = lambda *_: _answer()  # type: ignore[assignment]
    return create_app(config.load())


def flask() -> Flask:
    """Flask, the signature, an answer: what nothing in Flask can be faster than. It knows the sender's secret beforehand."""
    made = Flask("flask", static_folder=None)

    @made.post("/webhooks/<key>")
    def receive(key: str) -> Response:
        proven_body()
        return _answer()

    return made


def _answer() -> Response:
    return Response('{"id":"evt_1","duplicate":false}', 202, mimetype="application/json")


def naive() -> Flask:
    """Parse, one ORM object, one commit, one job per event. It knows the sender's secret beforehand."""
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
        return {"limit": limit, "flask": flask, "naive": naive}[self.which]()


if __name__ == "__main__":
    Door(config.load(), sys.argv.pop()).run()
