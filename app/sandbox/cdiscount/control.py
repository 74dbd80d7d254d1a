"""What only the simulator has: fill the catalogue, be the buyer, be the marketplace, move time, read the books. All under /_control.

The calls that every simulator serves are described at app.sandbox.Simulator. What may go wrong: an order of what is not on offer is answered 409.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from flask import Blueprint, Flask, request

from app.sandbox.cdiscount.wire import ProblemError, Row, invalid, stamp
from app.sandbox.cdiscount.world import Conduct, World
from app.sandbox.faults import CONTROL, Faults


def control(app: Flask, world: World, faults: Faults) -> None:
    """Add the control endpoints. Every answer is JSON; POST bodies are JSON."""
    pages = Blueprint("cdiscount_control", __name__, url_prefix=CONTROL)
    _stage(pages, world)
    _buyers(pages, world)
    _machine(pages, world, faults)
    app.register_blueprint(pages)


def _stage(pages: Blueprint, world: World) -> None:
    @pages.post("/products")
    def add_products() -> Any:
        """[{gtin, title}]: into the catalogue."""
        with world.lock:
            for each in request.get_json():
                world.products[str(each["gtin"]).zfill(13)] = str(each.get("title") or "Thé Assam, 100 g")
            return {"products": len(world.products)}, 201

    @pages.post("/conduct")
    def behave() -> Any:
        data = request.get_json()
        if strange := sorted(set(data) - {each.name for each in fields(Conduct)}):
            raise invalid(strange[0], "is not known")
        with world.lock:
            for name, value in data.items():
                setattr(world.conduct, name, value)
            return asdict(world.conduct)


def _buyers(pages: Blueprint, world: World) -> None:
    @pages.post("/buy")
    def buy() -> Any:
        with world.lock:
            order = world.place_order(request.get_json())
            return {"order": order["id"], "pieces": world.pieces_of(order)}, 201

    @pages.post("/orders/<number>/pay")
    def pay(number: str) -> Any:
        with world.lock:
            world.pay(number)
        return {}

    @pages.post("/orders/<number>/receive")
    def receive(number: str) -> Any:
        with world.lock:
            world.receive(number)
        return {}

    @pages.post("/cancel")
    def cancel() -> Any:
        data = request.get_json()
        with world.lock:
            world.buyer_cancels(data.get("pieces") or world.pieces_of(world.order(data["order"])))
        return {}

    @pages.post("/return")
    def send_back() -> Any:
        raise ProblemError(409, "There are no returns of goods that the seller ships")


def _machine(pages: Blueprint, world: World, faults: Faults) -> None:
    @pages.post("/time")
    def move_time() -> Any:
        with world.lock:
            world.advance(float(request.get_json()["seconds"]))
            return {"now": world.now().isoformat()}

    @pages.post("/settle")
    def settle() -> Any:
        with world.lock:
            world.tick(everything=True)
        return {}

    @pages.get("/state")
    def state() -> Any:
        with world.lock:
            world.tick()
            return {
                "orders": [_order(world, each) for each in world.orders.values()],
                "offers": _offers(world),
                "deeds": list(world.deeds),
                "calls": len(faults.calls),
            }


def _order(world: World, order: Row) -> Row:
    return {
        "order": order["id"],
        "placed_at": stamp(order["at"]),
        "state": order["status"],
        "pieces": world.piece_rows(order),
    }


def _offers(world: World) -> list[Row]:
    shown = [
        {
            "sku": each["sku"],
            "stock": each["stock"],
            "price": each["price"],
            "on": world.is_visible(each),
            "handling_days": each["handling_days"],
            "state": "Active" if world.is_visible(each) else "Inactive",
            "refused": world.refused.get(each["sku"]),
        }
        for each in world.offers.values()
    ]
    empty = {"stock": 0, "price": None, "on": False, "handling_days": None, "state": "Rejected"}
    lost = [sku for sku in world.refused if sku not in world.offers]
    return [*shown, *({"sku": sku, **empty, "refused": world.refused[sku]} for sku in lost)]
