"""The marketplace of the benches: the sandbox's Kaufland with goods on sale, an answer time, and a note of when which stock arrived.

`python -m bench.market --port 8099 --goods 2000 --latency 0.05`. It checks signatures, pace and bodies as the sandbox does. What may go wrong:
it is one process in Python, so at a few hundred calls a second it would itself be the limit; the benches stay far below.
"""

from __future__ import annotations

import argparse
import threading
import time
from typing import Any

from flask import Flask, request
from werkzeug.serving import WSGIRequestHandler, make_server

from app.sandbox.kaufland import create_app
from app.sandbox.kaufland.world import DEMO_CLIENT_KEY, World
from bench import bodies


class Arrivals:
    """Updates by unit: [(when, amount)], and every call by method, path and status. Times are time.time()."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.by_unit: dict[int, list[tuple[float, int]]] = {}
        self.calls: dict[str, int] = {}
        self.statuses: dict[str, int] = {}

    def note(self) -> None:
        """Called first thing, before the answer time begins."""
        now, path = time.time(), request.path
        rows: list[tuple[int, Any]] = []
        if path == "/v2/units/bulk":
            rows = [(row["id_unit"], row["unit_data"]) for row in request.get_json()]
        elif path.startswith("/v2/units/") and request.method == "PATCH":
            rows, path = [(int(path.rpartition("/")[2]), request.get_json())], "/v2/units/<id>"
        with self.lock:
            name = f"{request.method} {path}"
            self.calls[name] = self.calls.get(name, 0) + 1
            for unit_id, data in rows:
                if "amount" in data:
                    self.by_unit.setdefault(unit_id, []).append((now, data["amount"]))

    def told(self) -> dict[str, Any]:
        with self.lock:
            return {"by_unit": self.by_unit, "calls": self.calls, "statuses": self.statuses}

    def forget(self) -> None:
        with self.lock:
            self.by_unit, self.calls, self.statuses = {}, {}, {}


def market(goods: int, latency: float) -> Flask:
    """The simulator with `goods` units on sale; its answers take `latency` seconds."""
    world = World.demo()
    seller = world.sellers[DEMO_CLIENT_KEY]
    units: dict[str, int] = {}
    for number in range(1, goods + 1):
        world.add_product(bodies.gtin(number))
        wanted = {
            "id_offer": bodies.sku(number),
            "ean": bodies.gtin(number),
            "listing_price": 790,
            "handling_time": 1,
            "amount": 0,
        }
        units[bodies.sku(number)] = world.add_unit(seller, "de", wanted)["id_unit"]
    made = create_app(world)
    arrivals = Arrivals()
    waits = {"seconds": 0.0}

    def before() -> None:
        if request.path.startswith("/v2/"):
            arrivals.note()
            time.sleep(waits["seconds"])

    made.before_request_funcs.setdefault(None, []).insert(0, before)

    def after(response: Any) -> Any:
        with arrivals.lock:
            status = str(response.status_code)
            arrivals.statuses[status] = arrivals.statuses.get(status, 0) + 1
        return response

    made.after_request(after)
    made.add_url_rule("/bench/units", "bench_units", lambda: units)
    made.add_url_rule("/bench/arrivals", "bench_arrivals", arrivals.told)

    def begin() -> dict[str, Any]:
        arrivals.forget()
        waits["seconds"] = latency
        return {}

    made.add_url_rule("/bench/begin", "bench_begin", begin, methods=["GET"])
    return made


class _KeepAlive(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any, **__: Any) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--goods", type=int, required=True)
    parser.add_argument("--latency", type=float, required=True)
    asked = parser.parse_args()
    made = market(asked.goods, asked.latency)
    make_server("127.0.0.1", asked.port, made, threaded=True, request_handler=_KeepAlive).serve_forever()


if __name__ == "__main__":
    main()
