"""A simulated shop with the plugin's protocol over real HTTP: Anna's Teeladen, without WordPress (design section 8).

It reports by its outbox and obeys every command of docs/protocol.md exactly once. `/_control/...` is the hand of the merchant, the
customer and the test; nothing here is meant for a real network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, jsonify, request

from app.sandbox import faults as fault_orders
from app.sandbox.shop_commands import obey
from app.sandbox.shop_outbox import now
from app.sandbox.shop_state import COMMAND_PATH, NotObeyed, Shop, plugin_facts


def create_app(
    *, name: str = "Anna's Teeladen", seed: int = 0, time_scale: float = 1.0, deliver: bool = True
) -> Flask:
    """The shop as a WSGI application; `app.extensions["shop"]` is its state. `deliver` False: tests call deliver_due."""
    app = Flask("shopbridge-sandbox-shop")
    shop = Shop(name=name, seed=seed, time_scale=time_scale)
    app.extensions["shop"] = shop
    app.extensions["faults"] = orders = fault_orders.Faults(seed)
    fault_orders.install(app, orders, _rest_error)
    app.add_url_rule(
        COMMAND_PATH,
        "commands",
        lambda: _answer(*obey(shop, dict(request.headers), request.get_data())),
        methods=["POST"],
    )
    _control(app, shop)
    app.register_error_handler(NotObeyed, lambda no: ({"code": no.code, "message": no.message}, 422))
    if deliver:
        shop.outbox.start()
    return app


def _rest_error(status: int) -> dict[str, Any]:
    return {"code": "internal_server_error", "message": "…", "data": {"status": status}}


def _answer(status: int, body: Mapping[str, Any]) -> Response:
    response = jsonify(body)
    response.status_code = status
    return response


def _asked() -> dict[str, Any]:
    return request.get_json(silent=True) or {}


Rule = Callable[[str, str, Callable[..., Any]], None]


def _control(app: Flask, shop: Shop) -> None:
    """The routes of the merchant, the customer and the test."""

    def rule(path: str, method: str, view: Callable[..., Any]) -> None:
        app.add_url_rule(fault_orders.CONTROL + path, f"{method} {path}", view, methods=[method])

    _product_routes(rule, shop)
    _order_routes(rule, shop)
    _plugin_routes(rule, shop)


def _product_routes(rule: Rule, shop: Shop) -> None:
    def make() -> Any:
        asked = request.get_json()
        made = [shop.add_product(each) for each in (asked if isinstance(asked, list) else [asked])]
        return {"products": [shop.product_json(each) for each in made]}, 201

    def change(number: int) -> Any:
        return shop.product_json(shop.change_product(number, _asked()))

    def delete(number: int) -> Any:
        shop.delete_product(number, force=request.args.get("force") == "1")
        return {}

    rule("/products", "POST", make)
    rule("/products/<int:number>", "PATCH", change)
    rule("/products/<int:number>", "DELETE", delete)


def _order_routes(rule: Rule, shop: Shop) -> None:
    deeds: Mapping[str, Callable[[int, dict[str, Any]], Any]] = {
        "complete": lambda number, asked: shop.complete(number, asked.get("tracking")),
        "tracking": shop.track,
        "status": lambda number, asked: shop.set_status(number, asked["status"]),
        "refund": shop.refund,
        "cancel": lambda number, _: shop.set_status(number, "cancelled"),
        "trash": lambda number, _: shop.trash_order(number),
        "return_label": shop.print_return_label,
        "label": lambda number, _: shop.print_label(number),
    }

    def deed(number: int, what: str) -> Any:
        if what not in deeds:
            return {"error": f"no deed {what}; there are: {', '.join(deeds)}"}, 404
        deeds[what](number, _asked())
        return shop.order_json(shop.order(number))

    rule("/buy", "POST", lambda: (shop.order_json(shop.buy(_asked())), 201))
    rule("/orders/<int:number>/<what>", "POST", deed)


def _plugin_routes(rule: Rule, shop: Shop) -> None:
    def pair() -> Any:
        asked = _asked()
        status, told = shop.pair(asked["bridge"], asked["code"], request.host_url.rstrip("/"))
        return {"status": status, "answer": told}, 200 if status == 201 else 502

    def connect() -> Any:
        shop.connect(_asked())
        return {}

    def mischief() -> Any:
        for what, value in _asked().items():
            if not hasattr(shop.outbox.mischief, what):
                return {"error": f"no mischief {what}"}, 400
            setattr(shop.outbox.mischief, what, value)
        shop.outbox.wake()
        return vars(shop.outbox.mischief)

    def manifest() -> Any:
        told = shop.outbox.manifest(_asked().get("day") or now().date().isoformat())
        shop.outbox.add("manifest.daily", "shop", fixed=told)
        return told

    def leave() -> Any:
        shop.outbox.add("plugin.removed", "shop", fixed=plugin_facts())
        return {}

    rule("/pair", "POST", pair)
    rule("/connect", "POST", connect)
    rule("/delivery", "POST", mischief)
    rule("/drain", "POST", lambda: {"drained": shop.outbox.drain(float(_asked().get("timeout", 10)))})
    rule("/manifest", "POST", manifest)
    rule("/leave", "POST", leave)
    rule("/books", "GET", shop.books)
    rule("/status", "GET", shop.status)
