"""What only the simulator has: fill the catalogue, be the buyer, be the operator, move time, read the books. All under /_control.

The calls that every simulator serves are described at app.sandbox.Simulator. What may go wrong: an order of what is not on offer is answered 409.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from flask import Blueprint, Flask, request

from app.marketplaces.mirakl.translate import piece_parts, share
from app.sandbox.faults import CONTROL, Faults
from app.sandbox.mirakl import show
from app.sandbox.mirakl.wire import invalid
from app.sandbox.mirakl.world import Conduct, Row, World, stamp


def control(app: Flask, world: World, faults: Faults) -> None:
    """Add the control endpoints. Every answer is JSON; POST bodies are JSON."""
    pages = Blueprint("mirakl_control", __name__, url_prefix=CONTROL)
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
                world.add_product(str(each["gtin"]), str(each.get("title") or "Assam Hathikuli, 100 g"))
            return {"products": len(world.products)}, 201

    @pages.post("/conduct")
    def behave() -> Any:
        data = request.get_json()
        if strange := sorted(set(data) - {each.name for each in fields(Conduct)}):
            raise invalid(f"{strange[0]} is not known")
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
            world.buyer_cancels(data.get("pieces") or world.pieces_of(world.order_of(data["order"])))
        return {}

    @pages.post("/return")
    def send_back() -> Any:
        """{pieces, state}: `state` WAITING_ACCEPTANCE where the seller must agree first, else IN_PROGRESS."""
        data = request.get_json()
        with world.lock:
            return {"returns": world.start_return(data["pieces"], data.get("state", "IN_PROGRESS"))}, 201

    @pages.post("/returns/<return_id>/<deed>")
    def move_return(return_id: str, deed: str) -> Any:
        """The seller in the back office: accept, refuse, receive, close, cancel."""
        with world.lock:
            world.move_return(return_id, deed)
        return {}


def _machine(pages: Blueprint, world: World, faults: Faults) -> None:
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

    @pages.get("/state")
    def state() -> Any:
        with world.lock:
            world.tick()
            return {
                "orders": [_order(world, each) for each in world.orders.values()],
                "offers": _offers(world),
                "deeds": list(world.deeds),
                "closed": list(world.closed),
                "calls": len(faults.calls),
            }


def _order(world: World, order: Row) -> Row:
    return {
        "order": order["id"],
        "placed_at": stamp(order["at"]),
        "state": order["state"],
        "pieces": [_piece(world, order, piece, state) for piece, state in world.states(order).items()],
    }


def _piece(world: World, order: Row, piece: str, state: str) -> Row:
    _, line_id, number = piece_parts(piece)
    line = order["lines"][line_id]
    goods = world.gross(line["goods"], line["tax"])
    refunded = sum(each["gross"] for each in line["refunds"])
    return {
        "piece": piece,
        "sku": line["sku"],
        "price": share(goods, line["pieces"], number),
        "state": state,
        "tracking_number": _tracking(world, order, line, number)
        if state in {"shipped", "delivered"}
        else None,
        "refunded": share(refunded, line["pieces"], number),
    }


def _tracking(world: World, order: Row, line: Row, number: int) -> str | None:
    """The number of the parcel that names the piece, else that of the order."""
    for shipment in world.shipments:
        for each in shipment["lines"]:
            named = str(each.get("package_reference") or "").lstrip("n").split("+")
            if each["order_line_id"] == line["id"] and str(number) in named:
                found: str | None = shipment["tracking"].get("tracking_number")
                return found
    whole: str | None = order["tracking"].get("tracking_number")
    return whole


def _offers(world: World) -> list[Row]:
    shown = [
        {
            "sku": each["sku"],
            "stock": each["stock"],
            "price": each["price"],
            "on": not show.inactive(world, each),
            "handling_days": each["handling_days"],
            "state": ", ".join(show.inactive(world, each)) or "ACTIVE",
            "refused": world.refused.get(each["sku"]),
        }
        for each in world.offers.values()
    ]
    lost = [sku for sku in world.refused if sku not in world.offers]
    empty = {"stock": 0, "price": None, "on": False, "handling_days": None}
    waiting = [{"sku": sku, "state": "PENDING", "refused": None, **empty} for sku in world.pending]
    return [
        *shown,
        *waiting,
        *({"sku": sku, "state": "REFUSED", "refused": world.refused[sku], **empty} for sku in lost),
    ]
