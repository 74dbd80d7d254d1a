"""Wrong ways on purpose, to prove that the kill test sees what goes wrong. Never imported by the bridge; run as a program.

`early-web` answers an event before it is durable. `forgetful-out` does a deed, writes it down in a second commit a moment later, and
remembers no doubt. Both look right as long as nobody is killed.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from dataclasses import replace
from typing import Any

from flask import Flask

from app import inbox, outbox, queues
from app.commands import opening
from app.commands.webserver import WebServer
from app.extensions import db

LATER = 0.15  # seconds between the answer and the row, and between the deed and its end
FOLLOWED_UP = ("refund",)


class EarlyWeb(WebServer):
    """Answers 202 at once; a thread stores the event a moment later."""

    def load(self) -> Flask:
        """Called by gunicorn in each web process."""
        made = super().load()
        with made.app_context():
            engine = db.engine.execution_options(isolation_level="AUTOCOMMIT")
        waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        store = inbox.accept

        def accept(_: Any, **event: Any) -> int:
            waiting.put(event)
            return 1

        def store_later() -> None:
            while True:
                batch = [waiting.get()]
                time.sleep(LATER)
                while not waiting.empty():
                    batch.append(waiting.get())
                with engine.connect() as connection:
                    for event in batch:
                        store(connection, **event)

        inbox.accept = accept  # type: ignore[assignment]
        threading.Thread(target=store_later, daemon=True).start()
        return made


def forgetful_out() -> None:
    """A worker of the lane "out" whose deed and done-mark are two commits and that believes every claim to be the first."""
    claim, finish = outbox.claim, outbox.finish

    def forgetful(*args: Any, **more: Any) -> list[outbox.Claimed]:
        return [replace(command, in_doubt=False, attempts=1) for command in claim(*args, **more)]

    def in_two_commits(session: Any, command: outbox.Claimed, result: dict[str, Any]) -> None:
        session.commit()
        if command.kind in FOLLOWED_UP:
            time.sleep(LATER)
        finish(session, command, result)

    outbox.claim, outbox.finish = forgetful, in_two_commits  # type: ignore[assignment]
    with opening.application().app_context():
        queues.work("out")


if __name__ == "__main__":
    {"early-web": lambda: EarlyWeb(opening.settings()).run(), "forgetful-out": forgetful_out}[sys.argv[1]]()
