"""What only the simulator has: seed it, be the buyer, be customer service, move time, read the books. All under /_control.

What may go wrong: an order for an unknown seller or product is answered like any other problem, with its type.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from flask import Blueprint, Flask, request

from app.sandbox.faults import CONTROL, Faults
from app.sandbox.kaufland.street import street
from app.sandbox.kaufland.wire import invalid, not_found
from app.sandbox.kaufland.world import Conduct, Row, Seller, World


def control(app: Flask, world: World, faults: Faults) -> None:
    """Add the control endpoints. Every answer is JSON; POST bodies are JSON objects."""
    pages = Blueprint("kaufland_control", __name__, url_prefix=CONTROL)
    _stage(pages, world)
    _buyers(pages, world)
    _parcels_back(pages, world)
    _machine(pages, world, faults)
    street(pages, world)
    app.register_blueprint(pages)


def _seller_of(world: World, data: Row) -> Seller:
    """The seller named by `client_key`, else the first one."""
    key = data.get("client_key") or next(iter(world.sellers), None)
    if key is None or key not in world.sellers:
        raise not_found("Seller")
    return world.sellers[key]


def _order_unit(world: World, unit_id: int) -> Row:
    if unit_id not in world.order_units:
        raise not_found("Order unit")
    return world.order_units[unit_id]


def _stage(pages: Blueprint, world: World) -> None:
    @pages.post("/sellers")
    def add_seller() -> Any:
        try:
            seller = Seller(**request.get_json())
        except TypeError as wrong:
            raise invalid("seller", str(wrong)) from None
        with world.lock:
            world.sellers[seller.client_key] = seller
        return asdict(seller), 201

    @pages.post("/products")
    def add_products() -> Any:
        """[{ean, title, is_valid, exists, product_data}]: `product_data` is the answer of /product-data/status; `exists` false: only that."""
        with world.lock:
            for each in request.get_json():
                if each.get("exists", True):
                    product = world.add_product(
                        each.get("ean") or each["gtin"], each.get("title", "Assam Hathikuli, 100 g")
                    )
                    product["is_valid"] = each.get("is_valid", True)
                if each.get("product_data"):
                    world.product_data[each.get("ean") or each["gtin"]] = each["product_data"]
            return {"products": len(world.products)}, 201

    @pages.post("/units")
    def add_unit() -> Any:
        data = request.get_json()
        with world.lock:
            unit = world.add_unit(_seller_of(world, data), data.pop("storefront", "de"), data)
            return world.unit_json(unit), 201


def _buyers(pages: Blueprint, world: World) -> None:
    @pages.post("/orders")
    def place_order() -> Any:
        data = request.get_json()
        with world.lock:
            order = world.place_order(_seller_of(world, data), data)
            return {"id_order": order["id_order"], "units": order["units"]}, 201

    @pages.post("/order-units/<int:unit_id>/cancel")
    def customer_service_cancels(unit_id: int) -> Any:
        reason = (request.get_json(silent=True) or {}).get("reason", "BuyerCancelled")
        with world.lock:
            world.cancel(_order_unit(world, unit_id), reason, by="customer_service")
        return {}

    @pages.post("/order-units/<int:unit_id>/receive")
    def buyer_receives(unit_id: int) -> Any:
        with world.lock:
            world.receive(_order_unit(world, unit_id))
        return {}


def _parcels_back(pages: Blueprint, world: World) -> None:
    @pages.post("/returns")
    def buyer_starts_return() -> Any:
        data = request.get_json()
        with world.lock:
            units = [_order_unit(world, each) for each in data["units"]]
            back = world.start_return(units, data.get("reason", "dislike"), data.get("note"), by="buyer")
            return world.return_json(back, units=True), 201

    @pages.post("/returns/<int:return_id>/arrive")
    def parcel_arrives(return_id: int) -> Any:
        with world.lock:
            if return_id not in world.returns:
                raise not_found("Return")
            world.arrive(world.returns[return_id])
            return world.return_json(world.returns[return_id], units=True)


def _machine(pages: Blueprint, world: World, faults: Faults) -> None:
    @pages.post("/time")
    def move_time() -> Any:
        with world.lock:
            world.advance(float(request.get_json()["seconds"]))
            return {"now": world.now().isoformat()}

    @pages.post("/conduct")
    def behave() -> Any:
        data = request.get_json()
        known = {each.name for each in fields(Conduct)}
        if strange := sorted(set(data) - known):
            raise invalid(strange[0], f"there are: {', '.join(sorted(known))}")
        with world.lock:
            for name, value in data.items():
                setattr(world.conduct, name, value)
            return asdict(world.conduct)

    @pages.get("/books")
    def read_books() -> Any:
        with world.lock:
            world.settle()
            return world.books() | {"calls": len(faults.calls)}
