"""Simulated Kaufland as all simulators show themselves (app.sandbox.Simulator): buyers, customer service and the books, in one language.

What may go wrong: this face and the Seller API must never tell different stories, so both read and change the same world.
"""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, request

from app.sandbox.kaufland.wire import invalid, not_found
from app.sandbox.kaufland.world import Row, World

_STATES: Final = {
    "open": "announced",
    "need_to_be_sent": "to_ship",
    "sent": "shipped",
    "sent_and_autopaid": "shipped",
    "received": "delivered",
    "returned_paid": "returned",
}
_DEEDS: Final = {
    "send": "ship",
    "cancel": "cancel",
    "refund": "refund",
    "accept_return": "accept_return",
    "reject_return": "reject_return",
    "create_unit": "offer",
    "update_unit": "offer",
}


def street(pages: Blueprint, world: World) -> None:
    """Add buy, cancel, return, pay, settle and state."""

    @pages.post("/buy")
    def buy() -> Any:
        asked = request.get_json()
        lines = [{"id_offer": line["sku"], "pieces": line["pieces"]} for line in asked["lines"]]
        with world.lock:
            order = world.place_order(
                next(iter(world.sellers.values())),
                {
                    "lines": lines,
                    "oversell": asked.get("oversell", False),
                    "open_seconds": 10**9 if asked.get("state") == "announced" else 0,
                },
            )
            return {"order": order["id_order"], "pieces": [str(unit) for unit in order["units"]]}, 201

    @pages.post("/orders/<order_id>/pay")
    def pay(order_id: str) -> Any:
        with world.lock:
            for unit in _units(world, order_id):
                unit["due_at"] = min(unit["due_at"], world.now())
            world.settle()
        return {}

    @pages.post("/cancel")
    def cancel() -> Any:
        asked = request.get_json()
        with world.lock:
            found = [_unit(world, each) for each in asked.get("pieces", ())] or _units(world, asked["order"])
            for unit in found:
                world.cancel(unit, "BuyerCancelled", by="customer_service")
        return {}

    @pages.post("/return")
    def send_back() -> Any:
        with world.lock:
            units = [_unit(world, each) for each in request.get_json()["pieces"]]
            back = world.start_return(units, "dislike", None, by="buyer")
            world.arrive(back)
            return {"returns": [str(each) for each in back["units"]]}, 201

    @pages.post("/settle")
    def settle() -> Any:
        """Nothing here is taken for processing."""
        return {}

    @pages.get("/state")
    def state() -> Any:
        with world.lock:
            world.settle()
            return {
                "orders": [_order(world, order) for order in world.orders.values()],
                "offers": [_offer(world, unit) for unit in world.units.values()],
                "deeds": [_deed(world, deed) for deed in world.deeds if deed["deed"] in _DEEDS],
            }


def _unit(world: World, piece: Any) -> Row:
    unit = world.order_units.get(int(piece)) if str(piece).isdigit() else None
    if unit is None:
        raise not_found("Order unit")
    return unit


def _units(world: World, order_id: str) -> list[Row]:
    if order_id not in world.orders:
        raise invalid("order", "is unknown")
    return [world.order_units[unit] for unit in world.orders[order_id]["units"]]


def _order(world: World, order: Row) -> Row:
    return {
        "order": order["id_order"],
        "placed_at": order["created_at"].isoformat(),
        "pieces": [
            {
                "piece": str(unit["id_order_unit"]),
                "sku": unit["id_offer"],
                "price": unit["price"],
                "state": _STATES.get(unit["status"], unit["status"]),
                "tracking_number": next((each["tracking_number"] for each in unit["shipments"]), None),
                "refunded": unit["refunded"],
            }
            for unit in _units(world, order["id_order"])
        ],
    }


def _offer(world: World, unit: Row) -> Row:
    shown = world.unit_json(unit)
    return {
        "sku": unit["id_offer"],
        "stock": int(shown["amount"]),
        "price": shown["listing_price"],
        "on": shown["status"] == "AVAILABLE",
        "handling_days": shown["handling_time"],
        "state": shown["status"],
        "refused": None,
    }


def _deed(world: World, deed: Row) -> Row:
    """Whose order and which pieces it was about; an offer's deeds name neither."""
    told: Row = {
        "deed": _DEEDS[deed["deed"]],
        "order": None,
        "pieces": [],
        "amount": deed.get("amount"),
        "at": deed["at"],
    }
    number = int(deed["id"])
    if deed["deed"] in {"accept_return", "reject_return"}:
        number = world.return_units[number]["id_order_unit"]
    if unit := world.order_units.get(number):
        told |= {"order": unit["id_order"], "pieces": [str(number)]}
    return told
