"""A whole small world in one process: simulated Kaufland, simulated shop and the bridge, each a real HTTP server on loopback.

The workers are called by hand (`world.work()`), so a test decides what happens when. No sleeping, no threads of ours.
"""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text, update
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from app import accounts, jobs, outbox
from app.extensions import db
from app.models import Account, Connection, Schedule
from app.sandbox import kaufland, shop
from app.sandbox.kaufland.world import DEMO_CLIENT_KEY, DEMO_SECRET_KEY


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, as partners keep them

    def log(self, *_: Any, **__: Any) -> None:
        """Say nothing."""


def serve(application: Flask) -> tuple[BaseWSGIServer, str]:
    """Run an application on a free port of this machine."""
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}"


def call(method: str, url: str, body: Any = None) -> Any:
    """One call to a control endpoint."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


@dataclass
class World:
    """Everything a story needs. `shop` and `kaufland` are the simulators' states, `*_url` their addresses."""

    bridge: Flask
    bridge_url: str
    shop_app: Flask
    shop_url: str
    kaufland_app: Flask
    kaufland_url: str
    account: Account
    servers: list[BaseWSGIServer] = field(default_factory=list)
    shop_connection: int = 0
    kaufland_connection: int = 0

    @property
    def shop(self) -> Any:
        return self.shop_app.extensions["shop"]

    @property
    def kaufland(self) -> Any:
        return self.kaufland_app.extensions["kaufland"]

    @property
    def session(self) -> Any:
        return db.session

    def plug_in(self) -> None:
        """Connect both, with three products that Kaufland knows."""
        code = accounts.make_pairing(db.session, self.account, "woocommerce")
        db.session.commit()
        answer = call("POST", f"{self.shop_url}/_control/pair", {"bridge": self.bridge_url, "code": code})
        assert answer["status"] == 201, answer
        key = answer["answer"]["connection_key"]
        self.shop_connection = db.session.scalars(select(Connection.id).where(Connection.key == key)).one()
        settings = {"client_key": DEMO_CLIENT_KEY, "secret_key": DEMO_SECRET_KEY}
        made = accounts.connect_marketplace(
            db.session,
            self.account,
            "kaufland",
            settings,
            base_url=f"{self.kaufland_url}/v2",
            allow_loopback=True,
        )
        db.session.commit()
        self.kaufland_connection = made.id
        self.kaufland.conduct.withhold_seconds = 0
        self.work()

    def product(
        self, sku: str, gtin: str, stock: int = 10, price: str = "7.90", *, known: bool = True
    ) -> dict[str, Any]:
        """A product in the shop, and at Kaufland's catalogue when `known`."""
        if known:
            self.kaufland.add_product(gtin)
        asked = {"name": f"Tee {sku}", "sku": sku, "gtin": gtin, "price": price, "stock": stock}
        made = call("POST", f"{self.shop_url}/_control/products", asked)
        return dict(made["products"][0])

    def order(self, *lines: tuple[str, int, int], **more: Any) -> dict[str, Any]:
        """A buyer at Kaufland orders: (SKU, pieces, price in cents)."""
        wanted = {
            "lines": [{"id_offer": sku, "pieces": pieces, "price": price} for sku, pieces, price in lines],
            **more,
        }
        return dict(call("POST", f"{self.kaufland_url}/_control/orders", wanted))

    def in_shop(self, deed: str, order: int, /, **asked: Any) -> Any:
        """The merchant does something with an order."""
        return call("POST", f"{self.shop_url}/_control/orders/{order}/{deed}", asked)

    def send_events(self) -> None:
        """The shop's outbox delivers what is due."""
        self.shop.outbox.deliver_due()

    def work(self, *, poll: bool = True, rounds: int = 6) -> None:
        """Events in, commands and offers out, marketplaces asked, until nothing moves any more."""
        for turn in range(rounds):
            self.send_events()
            if poll and turn == 0:
                self.ask()
            for connection_id in (self.shop_connection, self.kaufland_connection):
                if connection_id:
                    jobs.drain_inbox(connection_id)
                    jobs.drain_outbox(connection_id)
            db.session.rollback()
            if not self._moving():
                return

    def _moving(self) -> bool:
        """Something waits or is in hand, due already or not."""
        here = (
            "SELECT EXISTS (SELECT 1 FROM event WHERE state IN ('due', 'leased'))"
            " OR EXISTS (SELECT 1 FROM command WHERE state IN ('due', 'leased'))"
            " OR EXISTS (SELECT 1 FROM offer WHERE stale OR sent_revision < revision OR task_due_at IS NOT NULL)"
        )
        states = self.shop.outbox.counts()
        found = db.session.scalar(text(here)) or outbox.waiting_connections(db.session())
        db.session.rollback()
        return bool(found or states.get("waiting") or states.get("sending"))

    def ask(self) -> None:
        """Every look is due now."""
        if self.kaufland_connection:
            db.session.execute(
                update(Schedule).values(due_at=text("now() - interval '1 second'"), lease_until=None)
            )
            db.session.commit()
            jobs.ask_marketplace(self.kaufland_connection)

    def hurry(self) -> None:
        """Everything that waits for its next try is due now, and no connection rests."""
        for table in ("event", "command", "offer"):
            db.session.execute(text(f"UPDATE {table} SET next_attempt_at = now() - interval '1 second'"))
        db.session.execute(text("UPDATE connection SET paused_until = NULL"))
        db.session.execute(
            text("UPDATE command SET lease_until = now() - interval '1 second' WHERE state = 'leased'")
        )
        db.session.execute(
            text("UPDATE event SET lease_until = now() - interval '1 second' WHERE state = 'leased'")
        )
        db.session.commit()

    def kaufland_books(self) -> dict[str, Any]:
        return dict(call("GET", f"{self.kaufland_url}/_control/books"))

    def shop_books(self) -> dict[str, Any]:
        return dict(call("GET", f"{self.shop_url}/_control/books"))

    def cases(self) -> list[str]:
        """Codes of the open cases."""
        return list(
            db.session.execute(text("SELECT code FROM case_ WHERE state = 'open' ORDER BY id")).scalars()
        )


@pytest.fixture
def world(app: Flask) -> Iterator[World]:
    """A connected world with nothing in it yet."""
    app.config["SHOPBRIDGE_RETRY_SCALE"] = 0.001
    kaufland_app = kaufland.create_app()
    shop_app = shop.create_app(deliver=False)
    made = [serve(app), serve(shop_app), serve(kaufland_app)]
    account = accounts.create_account(db.session, "Anna's Teeladen")
    db.session.commit()
    (_, bridge_url), (_, shop_url), (_, kaufland_url) = made
    app.config["SHOPBRIDGE_PUBLIC_URL"] = bridge_url
    built = World(
        app,
        bridge_url,
        shop_app,
        shop_url,
        kaufland_app,
        kaufland_url,
        account,
        [server for server, _ in made],
    )
    built.plug_in()
    yield built
    for server, _ in made:
        server.shutdown()
        server.server_close()
