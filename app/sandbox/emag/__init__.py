"""Simulated eMAG over real HTTP: `create_app()` is a Flask app that keeps state and checks what the real one checks, under /api-3.

What may go wrong on request: see app/sandbox/faults.py. Where the document at hand is silent the choice made here is marked in
docs/marketplaces/emag.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, Final

from flask import Blueprint, Flask, request
from werkzeug.exceptions import HTTPException

from app.sandbox import Simulator
from app.sandbox.emag.control import control
from app.sandbox.emag.wire import (
    MOST_ELEMENTS,
    EmagError,
    asked,
    credentials,
    elements,
    listed,
    refused,
    whole,
)
from app.sandbox.emag.world import (
    DEMO_PASSWORD,
    DEMO_USER,
    HANDLING,
    VAT,
    Row,
    World,
    moment_of,
)
from app.sandbox.faults import Faults, install

__all__ = ["SIMULATOR", "World", "create_app"]

PREFIX: Final = "/api-3"
_ORDER_FILTERS: Final = (
    "id", "status", "type", "modifiedAfter", "modifiedBefore", "createdAfter", "createdBefore", "payment_mode_id", "is_complete",
)  # fmt: skip
_MONTH: Final = 31 * 86_400

View = Callable[..., Any]


def create_app(state: World | None = None, faults: Faults | None = None) -> Flask:
    """The simulator. Without `state` it has one demo seller with known credentials (world.DEMO_USER, DEMO_PASSWORD)."""
    app = Flask("shopbridge_emag")
    app.json.sort_keys = False  # type: ignore[attr-defined]  # The default provider has it.
    world = state or World.demo()
    faults = faults or Faults()
    app.extensions["emag"] = world
    app.extensions["faults"] = faults
    install(app, faults, lambda status: {"isError": True, "messages": [f"error {status}"], "results": []})
    app.register_error_handler(EmagError, _refusal)
    app.register_error_handler(HTTPException, lambda error: ({"message": "Invalid URL"}, error.code or 500))
    app.register_blueprint(_api(world), url_prefix=PREFIX)
    control(app, world)
    return app


SIMULATOR = Simulator(
    key="emag",
    name="eMAG",
    port=8095,
    prefix=PREFIX,
    # The platform that pays in EUR, as the demo's shops do.
    settings={
        "platform": "bg",
        "username": DEMO_USER,
        "password": DEMO_PASSWORD,
        "vat_rates": {"19": "20", "7": "9"},
        "default_vat_percent": "20",
        "categories": {"*": 1315},
    },
    create_app=lambda first_number: create_app(World.demo(first_number)),
)


def _refusal(error: EmagError) -> Any:
    headers = {}
    if error.status == 429:
        headers = {"X-RateLimit-Limit-3second": "9", "X-RateLimit-Remaining-3second": "0"}
    return error.body(), error.status, headers


def _told(results: object, *, messages: Iterable[str] = (), failed: bool = False) -> Row:
    return {"isError": failed, "messages": list(messages), "errors": [], "results": results}


class _Route:
    """Registers views behind credentials, address list and pace, under the world's lock."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pages = Blueprint("emag_api", __name__)

    def __call__(self, method: str, path: str, lane: str = "rest") -> Callable[[View], View]:
        def register(view: View) -> View:
            @wraps(view)
            def guarded(**names: Any) -> Any:
                with self.world.lock:
                    self._let_in(lane)
                    return view(**names)

            self.pages.add_url_rule(path, view.__name__, guarded, methods=[method])
            return view

        return register

    def _let_in(self, lane: str) -> None:
        world = self.world
        user, password = credentials(request)
        seller = world.sellers.get(user)
        if seller is None or seller.password != password:
            raise EmagError(401, "Invalid vendor ip or credentials")
        if not seller.listed:
            raise EmagError(403, "You are not allowed to use this API.")
        world.pace.take(user, lane, world.conduct.hurry)
        if elements(request.get_json(silent=True)) > MOST_ELEMENTS:
            raise refused(f"Maximum input vars of {MOST_ELEMENTS} exceeded")


def _body() -> Any:
    body = request.get_json(silent=True)
    if body is None:
        raise refused("JSON is expected")
    return body


def _api(world: World) -> Blueprint:
    route = _Route(world)
    _reference(route)
    _orders(route, world)
    _offers(route, world)
    _parcels(route, world)
    _rmas(route, world)
    return route.pages


def _reference(route: _Route) -> None:
    @route("POST", "/vat/read")
    def vat() -> Any:
        return _told([{"vat_id": key, "vat_rate": f"{value:.2f}"} for key, value in VAT.items()])

    @route("POST", "/handling_time/read")
    def handling_time() -> Any:
        return _told([{"id": days} for days in HANDLING])

    @route("POST", "/courier_accounts/read")
    def courier_accounts() -> Any:
        return _told([{"account_id": 5186, "courier_account_type": 2, "properties": [0, 2], "status": 1}])


def _orders(route: _Route, world: World) -> None:
    @route("POST", "/order/read", "orders")
    def order_read() -> Any:
        wanted = asked(_body(), _ORDER_FILTERS)
        return _told(wanted.cut(_matching(world, wanted.filters)))

    @route("POST", "/order/count", "orders")
    def order_count() -> Any:
        wanted = asked(_body(), _ORDER_FILTERS)
        if ("modifiedAfter" in wanted.filters) != ("modifiedBefore" in wanted.filters):
            raise refused("modifiedAfter and modifiedBefore are both needed")
        return _told({"noOfItems": len(_matching(world, wanted.filters))})

    @route("POST", "/order/acknowledge/<int:order_id>", "orders")
    def order_acknowledge(order_id: int) -> Any:
        world.acknowledge(order_id)
        return _told([])

    @route("POST", "/order/save", "orders")
    def order_save() -> Any:
        for each in listed(_body()):
            world.save_order(each)
        return _told([])

    @route("POST", "/order/attachments/save", "orders")
    def order_attachments_save() -> Any:
        for each in listed(_body()):
            if each.get("order_id") not in world.orders or each.get("type") not in {1, 3, 4, 8, 10, 11}:
                raise refused("The attachment is not valid")
            world.attachments.append(each)
        return _told([])


def _matching(world: World, filters: Mapping[str, Any]) -> list[Row]:
    """Newest first, as far as anybody knows."""
    after, before = filters.get("modifiedAfter"), filters.get("modifiedBefore")
    if before is not None and after is None:
        raise refused("modifiedBefore needs modifiedAfter")
    try:
        times = [moment_of(each) for each in (after, before) if each is not None]
    except (ValueError, TypeError):
        raise refused("Dates are YYYY-mm-dd HH:ii:ss") from None
    if len(times) == 2 and (times[1] - times[0]).total_seconds() > _MONTH:
        raise refused("At most one month between modifiedAfter and modifiedBefore")
    found = [
        order
        for order in world.orders.values()
        if filters.get("id") in {None, order["id"]}
        and ("status" not in filters or order["status"] in _list(filters["status"]))
        and order["type"] == filters.get("type", 3)
        and filters.get("is_complete") in {None, order["is_complete"]}
        and (after is None or order["modified"] >= after)
        and (before is None or order["modified"] <= before)
    ]
    return sorted(found, key=lambda order: (order["modified"], order["id"]), reverse=True)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _offers(route: _Route, world: World) -> None:
    @route("GET", "/documentation/find_by_eans", "eans")
    def find_by_eans() -> Any:
        eans = request.args.getlist("eans[]")
        if not eans or not all(each.isdigit() for each in eans):
            raise refused("eans[] is needed")
        surplus = ["Only the first 100 EANs were looked up"] if len(eans) > 100 else []
        return _told(world.find_by_eans(eans), messages=surplus)

    @route("POST", "/product_offer/read")
    def product_offer_read() -> Any:
        wanted = asked(_body(), ("id",))
        rows = [each for each in world.offers.values() if wanted.filters.get("id") in {None, each["id"]}]
        return _told([world.offer_json(each) for each in wanted.cut(rows)])

    @route("POST", "/product_offer/save")
    def product_offer_save() -> Any:
        wrong = [message for each in listed(_body()) for message in world.place_offer(each)]
        return _told([], messages=wrong, failed=bool(wrong))

    @route("POST", "/offer/save")
    def offer_save() -> Any:
        """The whole is a success although single offers failed (FACTS 0.2)."""
        results: Row = {}
        for each in listed(_body()):
            wrong = world.change_offer(each)
            told = wrong or [f"Offer {each['id']} updated successfully"]
            results[str(each.get("id"))] = {"isError": bool(wrong), "messages": told}
        return _told(results)

    @route("PATCH", "/offer_stock/<int:offer_id>")
    def offer_stock(offer_id: int) -> Any:
        body = request.get_json(silent=True)
        if not isinstance(body, dict) or set(body) != {"stock"}:
            raise EmagError(400, "Invalid content", plain=True)
        if offer_id not in world.offers:
            raise EmagError(404, "This offer does not exist", plain=True)
        if not whole(body["stock"], 0, 65_535):
            raise EmagError(400, "Stock should be 0 or more", plain=True, field="stock")
        wrong = world.change_offer({"id": offer_id, "stock": [{"warehouse_id": 1, "value": body["stock"]}]})
        if wrong:
            raise EmagError(400, *wrong, plain=True, field="stock")
        return "", 204


def _parcels(route: _Route, world: World) -> None:
    @route("POST", "/awb/save")
    def awb_save() -> Any:
        return _told({"reservation_id": world.book(_body())})

    @route("POST", "/awb/read")
    def awb_read() -> Any:
        wanted = asked(_body(), ("reservation_id", "emag_id", "order_id"))
        if not wanted.filters:
            raise refused("A filter is needed")
        if world.conduct.slow_awb:
            return _told([])
        names = ("reservation_id", "emag_id", "order_id")
        rows = [
            {name: value for name, value in each.items() if name not in {"reservation_id", "cod"}}
            for each in world.awbs.values()
            if all(wanted.filters.get(name) in {None, each[name]} for name in names)
        ]
        return _told(wanted.cut(rows))


def _rmas(route: _Route, world: World) -> None:
    @route("POST", "/rma/read")
    def rma_read() -> Any:
        known = (
            "id",
            "emag_id",
            "order_id",
            "product_id",
            "product_emag_id",
            "request_status",
            "date_start",
            "date_end",
            "type",
        )
        wanted = asked(_body(), known)
        rows = [
            each
            for each in world.rmas.values()
            if wanted.filters.get("emag_id") in {None, each["emag_id"]}
            and str(wanted.filters.get("order_id", each["order_id"])) == each["order_id"]
            and each["date"] >= wanted.filters.get("date_start", "")
        ]
        return _told(wanted.cut(rows))

    @route("POST", "/rma/save")
    def rma_save() -> Any:
        for each in listed(_body()):
            world.save_rma(each)
        return _told([])
