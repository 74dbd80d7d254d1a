"""What only the simulator has: be the buyer, be OTTO's customer service, release the account, move time, read the books. All under /_control.

What may go wrong: a deed that the state does not allow is answered 409, like at the real one.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from flask import Blueprint, Flask, request

from app.sandbox.faults import CONTROL
from app.sandbox.otto.wire import Row, refused
from app.sandbox.otto.world import Conduct, Seller, World


def control(app: Flask, world: World) -> None:
    """Add the control endpoints (app.sandbox.Simulator says what all simulators answer). POST bodies are JSON."""
    pages = Blueprint("otto_control", __name__, url_prefix=CONTROL)
    _stage(pages, world)
    _buyers(pages, world)
    _machine(pages, world)
    app.register_blueprint(pages)


def _seller(world: World) -> Seller:
    return next(iter(world.sellers.values()))


def _items(world: World, pieces: list[str]) -> list[Row]:
    found = [world.items.get(piece.rpartition("/")[2]) for piece in pieces]
    if not found or None in found:
        raise refused(404, "Not Found", "no such piece", request.path)
    return [item for item in found if item is not None]


def _order(world: World, order_id: str) -> Row:
    if order_id not in world.orders:
        raise refused(404, "Not Found", "no such order", request.path)
    return world.orders[order_id]


def _stage(pages: Blueprint, world: World) -> None:
    @pages.post("/products")
    def add_products() -> Any:
        """[{gtin, title, reject}]: `reject` is why the second validation refuses a product with this EAN."""
        with world.lock:
            for each in request.get_json():
                world.catalogue[str(each["gtin"]).lstrip("0")] = each
            return {"products": len(world.catalogue)}, 201

    @pages.post("/seller")
    def change_seller() -> Any:
        """{live, revoked, scopes}: OTTO releases the account, the seller revokes the app or takes scopes from it."""
        with world.lock:
            seller = _seller(world)
            for name, value in request.get_json().items():
                if name not in {"live", "revoked", "scopes"}:
                    raise refused(
                        400, "INVALID_REQUEST_PARAMETER", f"{name} is not known", request.path, name
                    )
                setattr(seller, name, value)
            return {"live": seller.live, "revoked": seller.revoked, "scopes": seller.scopes}


def _buyers(pages: Blueprint, world: World) -> None:
    @pages.post("/buy")
    def buy() -> Any:
        with world.lock:
            order = world.place_order(_seller(world), request.get_json())
            return {"order": order["id"], "pieces": [f"{order['id']}/{each}" for each in order["items"]]}, 201

    @pages.post("/orders/<order_id>/pay")
    def pay(order_id: str) -> Any:
        with world.lock:
            world.pay(_order(world, order_id))
        return {}

    @pages.post("/cancel")
    def cancel() -> Any:
        """The buyer's cancellation, as far as OTTO lets him: not after shipping."""
        data = request.get_json()
        with world.lock:
            if "pieces" in data:
                world.cancel_by_buyer(_items(world, data["pieces"]))
            else:
                world.cancel_by_buyer([world.items[each] for each in _order(world, data["order"])["items"]])
        return {}

    @pages.post("/return")
    def send_back() -> Any:
        data = request.get_json()
        with world.lock:
            return {
                "returns": world.send_back(_items(world, data["pieces"]), arrive=data.get("arrive", True))
            }, 201

    @pages.post("/returns/misdirect")
    def misdirect() -> Any:
        """{pieces}: the parcel came to a warehouse of OTTO's."""
        with world.lock:
            for item in _items(world, request.get_json()["pieces"]):
                details = {"orderNumber": world.orders[item["order"]]["number"], "ottoWarehouseID": "W-42"}
                world.note_return(item, "MISDIRECTED", details)
        return {}

    @pages.post("/returns/accept")
    def accept_by_otto() -> Any:
        """{pieces}: OTTO accepts a return by itself."""
        with world.lock:
            for item in _items(world, request.get_json()["pieces"]):
                world.accept(item, {}, by="otto")
        return {}


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
            raise refused(
                400,
                "INVALID_REQUEST_PARAMETER",
                f"there are: {', '.join(sorted(known))}",
                request.path,
                strange[0],
            )
        with world.lock:
            for name, value in data.items():
                setattr(world.conduct, name, value)
            return asdict(world.conduct)

    @pages.get("/state")
    def state() -> Any:
        with world.lock:
            return world.state()
