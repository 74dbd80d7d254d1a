"""What only the simulator has: be the buyer, be customer service, move time, read the books. All under /_control, as app.sandbox.Simulator says.

What may go wrong: what the real eMAG does not let happen (a buyer cancels an acknowledged order) is answered 409.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, Final

from flask import Blueprint, Flask, request

from app.sandbox.emag.wire import EmagError
from app.sandbox.emag.world import VAT, Conduct, Row, World, cents, moment_of
from app.sandbox.faults import CONTROL

_STATES: Final = {0: "cancelled", 1: "announced", 2: "to_ship", 3: "to_ship", 4: "shipped", 5: "returned"}


def control(app: Flask, world: World) -> None:
    """Add the control endpoints. Every answer is JSON."""
    pages = Blueprint("emag_control", __name__, url_prefix=CONTROL)
    _buyers(pages, world)
    _returns(pages, world)
    _machine(pages, world)
    pages.register_error_handler(EmagError, lambda error: ({"error": error.messages[0]}, 409))
    app.register_blueprint(pages)


def _buyers(pages: Blueprint, world: World) -> None:
    @pages.post("/products")
    def products() -> Any:
        with world.lock:
            for each in request.get_json():
                world.add_product(each["gtin"], each.get("title", "Assam"), allowed=each.get("allowed", True))
            return {"products": len(world.products)}, 201

    @pages.post("/buy")
    def buy() -> Any:
        """`more`: fields of the order as eMAG shows it, for example payment_mode_id. Announced: an order that is not complete yet."""
        asked = request.get_json()
        with world.lock:
            order_id = world.place_order({**asked, "complete": asked.get("state") != "announced"})
            return {"order": str(order_id), "pieces": [each["piece"] for each in world.pieces[order_id]]}, 201

    @pages.post("/orders/<int:order_id>/pay")
    def pay(order_id: int) -> Any:
        with world.lock:
            order = _order(world, order_id)
            order |= {"is_complete": 1, "payment_status": 1}
            world.touch(order)
        return {}

    @pages.post("/orders/<int:order_id>/edit")
    def edit(order_id: int) -> Any:
        """By hand: how many of each line there are from now on, by line id."""
        asked = request.get_json()
        with world.lock:
            _order(world, order_id)
            world.edit(order_id, {int(line): count for line, count in asked["quantities"].items()})
        return {}

    @pages.post("/cancel")
    def cancel() -> Any:
        """Only while nobody has acknowledged the order (FACTS 0.6); pieces are taken from the end of their lines."""
        asked = request.get_json()
        with world.lock:
            wanted = list(asked.get("pieces", ()))
            order = _order(world, int(wanted[0].split("/")[0] if wanted else asked["order"]))
            alive = [each["piece"] for each in world.alive(order["id"])]
            if order["status"] != 1 or any(each not in alive for each in wanted):
                raise EmagError(409, "The buyer cannot cancel this any more")
            if not wanted or len(wanted) == len(alive):
                _all_gone(world, order)
            else:
                _some_gone(world, order, wanted)
            world.touch(order)
        return {}


def _all_gone(world: World, order: Row) -> None:
    order |= {"status": 0, "reason_cancellation": 2}
    for piece in world.alive(order["id"]):
        piece["state"] = "cancelled"


def _some_gone(world: World, order: Row, wanted: list[str]) -> None:
    for line in order["products"]:
        gone = [each for each in wanted if each.split("/")[1] == str(line["id"])]
        for piece in world.alive(order["id"], line["id"])[::-1][: len(gone)]:
            piece["state"] = "cancelled"
        line["quantity"] -= len(gone)
        line["status"] = int(line["quantity"] > 0)


def _returns(pages: Blueprint, world: World) -> None:
    @pages.post("/return")
    def send_back() -> Any:
        """One return for each order; `status` 2 (new) or 3 (acknowledged) where it has not arrived yet, else 6 (received)."""
        asked = request.get_json()
        with world.lock:
            known = {each["piece"]: each for found in world.pieces.values() for each in found}
            back = world.send_back([known[each] for each in asked["pieces"]], asked.get("status", 6))
            ids = [
                f"{back['emag_id']}/{line['id']}/{place}"
                for line in back["products"]
                for place in range(1, int(line["quantity"]) + 1)
            ]
            return {"returns": ids}, 201


def _machine(pages: Blueprint, world: World) -> None:
    @pages.post("/time")
    def move_time() -> Any:
        with world.lock:
            world.advance(float(request.get_json()["seconds"]))
            return {"now": world.now().isoformat()}

    @pages.post("/settle")
    def settle() -> Any:
        with world.lock:
            world.settle()
        return {}

    @pages.post("/conduct")
    def behave() -> Any:
        data = request.get_json()
        known = {each.name for each in fields(Conduct)}
        if strange := sorted(set(data) - known):
            return {"error": f"no {strange[0]}; there are: {', '.join(sorted(known))}"}, 400
        with world.lock:
            for name, value in data.items():
                setattr(world.conduct, name, value)
            return asdict(world.conduct)

    @pages.get("/state")
    def state() -> Any:
        with world.lock:
            return {
                "orders": [_shown(world, order) for order in world.orders.values()],
                "offers": [_offer(world, offer) for offer in world.offers.values()],
                "deeds": list(world.deeds),
            }


def _order(world: World, order_id: int) -> Row:
    if order_id not in world.orders:
        raise EmagError(404, f"no order {order_id}")
    return world.orders[order_id]


def _shown(world: World, order: Row) -> Row:
    names = ("piece", "sku", "price", "tracking_number", "refunded")
    return {
        "order": str(order["id"]),
        "placed_at": moment_of(order["date"]).isoformat(),
        "pieces": [
            {name: piece[name] for name in names} | {"state": piece["state"] or _STATES[order["status"]]}
            for piece in world.pieces[order["id"]]
        ],
    }


def _offer(world: World, offer: Row) -> Row:
    validation = world.products[offer["ean"]]["validation"]
    return {
        "sku": offer["part_number"],
        "stock": offer["stock"] if offer["status"] == 1 else 0,
        "price": cents(offer["sale_price"], VAT[offer["vat_id"]]),
        "on": offer["status"] == 1,
        "handling_days": offer["handling_time"],
        "state": "on_sale" if world.on_sale(offer) else "waiting" if validation == 4 else "off",
        "refused": None,
    }
