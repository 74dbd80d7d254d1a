"""Simulated Kaufland over real HTTP: `create_app()` is a Flask app that keeps state and checks what the real one checks.

It lives under /v2 like the real one. What may go wrong on request: see app/sandbox/faults.py. Where the vendor's description is silent
(status codes of some refusals) the choice made here is marked in docs/marketplaces/kaufland.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, Final

from flask import Blueprint, Flask, request
from werkzeug.exceptions import HTTPException

from app.sandbox import Simulator
from app.sandbox.faults import Faults, install
from app.sandbox.kaufland.control import control
from app.sandbox.kaufland.wire import (
    Field,
    ProblemError,
    Query,
    check_signature,
    checked,
    invalid,
    not_found,
)
from app.sandbox.kaufland.world import (
    CARRIERS,
    DEMO_CLIENT_KEY,
    DEMO_SECRET_KEY,
    Row,
    Seller,
    World,
    stamp,
)

__all__ = ["SIMULATOR", "World", "create_app"]

_UNIT_STATUS: Final = (
    "cancelled",
    "need_to_be_sent",
    "open",
    "received",
    "returned",
    "returned_paid",
    "sent",
    "sent_and_autopaid",
)
_RETURN_STATUS: Final = (
    "return_requested",
    "label_generated",
    "package_sent",
    "package_received",
    "label_deleted",
)
_RETURN_UNIT_STATUS: Final = (
    "need_to_be_returned", "return_arrived", "return_accepted", "return_rejected", "return_closed", "return_in_repair",
    "return_in_clarification",
)  # fmt: skip
_CANCEL: Final = (
    "BuyerCancelled", "ShippingAddressUndeliverable", "WrongCatalogData", "GeneralAdjustment", "MerchandiseNotReceived",
    "NoInventory", "DelayedInventory", "WrongPrice", "NoReactionBuyer", "UndeliverableRegion",
)  # fmt: skip
_REFUND: Final = (
    "delivery_damage", "delivery_delay", "incomplete_delivery", "incorrect_delivery", "refund_postage_fee", "defect",
    "other_refund", "refund_return_postage_fee",
)  # fmt: skip
_RETURN_REASON: Final = (
    "accidentally_ordered", "bad_quality", "better_price", "defect", "delivered_damaged", "dislike", "misleading_description",
    "missing_parts", "no_reason", "too_late", "wrong_article", "wrong_size",
)  # fmt: skip
_SORTS: Final = ("ts_created:desc", "ts_updated:desc")
_CONDITION: Final = (
    "NEW", "USED___AS_NEW", "USED___VERY_GOOD", "USED___GOOD", "USED___ACCEPTABLE", "REFURBISHED___AS_NEW",
    "REFURBISHED___VERY_GOOD", "REFURBISHED___GOOD", "REFURBISHED___ACCEPTABLE",
)  # fmt: skip
_PATCH: Final = {
    "amount": Field(int, least=0),
    "handling_time": Field(int, least=0, most=100),
    # One million EUR; the limits of the other currencies are higher.
    "listing_price": Field(int, least=1, most=100_000_000),
    "minimum_price": Field(int, least=1),
    "note": Field(str, most=250),
    "id_shipping_group": Field(int),
    "id_warehouse": Field(int),
    "vat_indicator": Field(
        str, words=("standard_rate", "reduced_rate_1", "reduced_rate_2", "super_reduced_rate", "zero_rate")
    ),
}
_CREATE: Final = _PATCH | {
    "handling_time": Field(int, needed=True, least=0, most=100),
    "listing_price": Field(int, needed=True, least=1, most=100_000_000),
    "id_offer": Field(str, needed=True, least=1),
    "ean": Field(str, least=13, most=15),
    "id_product": Field(int),
    "condition": Field(str, words=_CONDITION),
}
_CHANGE: Final = _PATCH | {"status": Field(str, words=("AVAILABLE", "ONHOLD"))}

View = Callable[..., Any]


def create_app(state: World | None = None, faults: Faults | None = None) -> Flask:
    """The simulator. Without `state` it has one demo seller with known keys (world.DEMO_CLIENT_KEY, DEMO_SECRET_KEY)."""
    app = Flask("shopbridge_kaufland")
    app.json.sort_keys = False  # type: ignore[attr-defined]  # The default provider has it.
    world = state or World.demo()
    faults = faults or Faults()
    app.extensions["kaufland"] = world
    app.extensions["faults"] = faults
    install(app, faults, lambda status: {"type": "about:blank", "message": f"error {status}", "errors": []})
    app.register_error_handler(ProblemError, lambda problem: (problem.body(), problem.status))
    app.register_error_handler(HTTPException, _http_error)
    app.register_blueprint(_api(world), url_prefix="/v2")
    control(app, world, faults)
    return app


def _sandbox(first_number: int) -> Flask:
    world = World.demo()
    # The real one holds orders back for 15 minutes; nobody wants to wait that long in a sandbox.
    world.conduct.withhold_seconds = 2
    world.conduct.per_second = 1_000_000
    world._numbers = itertools.count(first_number)
    return create_app(world)


SIMULATOR: Final = Simulator(
    key="kaufland",
    name="Kaufland.de",
    port=8091,
    prefix="/v2",
    settings={"client_key": DEMO_CLIENT_KEY, "secret_key": DEMO_SECRET_KEY},
    create_app=_sandbox,
)


def _http_error(error: HTTPException) -> Any:
    kind = {404: "not-found", 400: "bad-request"}.get(error.code or 500, "server-error")
    problem = ProblemError(error.code or 500, kind, error.description or error.name)
    return problem.body(), problem.status


class _Route:
    """Registers views that get the seller who signed, checked and within the pace, under the world's lock."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pages = Blueprint("kaufland_api", __name__)

    def __call__(self, method: str, path: str) -> Callable[[View], View]:
        def register(view: View) -> View:
            @wraps(view)
            def guarded(**names: Any) -> Any:
                with self.world.lock:
                    return view(self._seller(), **names)

            self.pages.add_url_rule(path, view.__name__, guarded, methods=[method], strict_slashes=False)
            return view

        return register

    def _seller(self) -> Seller:
        world = self.world
        secrets = {key: seller.secret_key for key, seller in world.sellers.items()}
        seller = world.sellers[check_signature(request, secrets, world.conduct.skew_seconds)]
        if not seller.active:
            raise ProblemError(401, "inactive-account", "The seller account is not active")
        world.pace.take(seller.client_key, world.conduct.per_second)
        world.settle()
        return seller


def _page(rows: Sequence[Row], asked: Row, show: Callable[[Row], Row]) -> Row:
    start, size = asked["offset"], asked["limit"]
    paging = {"offset": start, "limit": size, "total": len(rows)}
    return {"data": [show(row) for row in rows[start : start + size]], "pagination": paging}


def _storefront(seller: Seller, storefront: str | None) -> None:
    if storefront is not None and storefront not in seller.storefronts:
        raise ProblemError(400, "storefront-not-configured", f"Storefront {storefront} is not configured")


def _matching(rows: Iterable[Row], seller: Seller, asked: Row) -> list[Row]:
    """Own rows that pass the filters, newest first: while somebody reads pages, new rows push the others down."""
    found = [
        row
        for row in rows
        if row["seller"] == seller.client_key
        and asked.get("storefront") in {None, row["storefront"]}
        and (not asked.get("status") or row["status"] in asked["status"])
        and (not asked.get("ts_created_from_iso") or row["created_at"] >= asked["ts_created_from_iso"])
        and (not asked.get("ts_updated_from_iso") or row["updated_at"] >= asked["ts_updated_from_iso"])
        and asked.get("id_offer") in {None, row.get("id_offer")}
    ]
    name = "updated_at" if asked.get("sort") == "ts_updated:desc" else "created_at"
    return sorted(found, key=lambda row: row[name], reverse=True)


def _api(world: World) -> Blueprint:
    route = _Route(world)
    _info(route)
    _orders(route, world)
    _order_units(route, world)
    _returns(route, world)
    _return_units(route, world)
    _units(route, world)
    _products(route, world)
    return route.pages


def _info(route: _Route) -> None:
    @route("GET", "/status/ping")
    def ping(_: Seller) -> Any:
        return {"data": {"message": "Never tell me the odds"}}

    @route("GET", "/info/storefront")
    def storefronts(seller: Seller) -> Any:
        return {"data": seller.storefronts}

    @route("GET", "/info/locale")
    def locales(_: Seller) -> Any:
        return {"data": ["de-DE", "cs-CZ", "sk-SK", "de-AT", "pl-PL", "fr-FR", "it-IT"]}

    @route("GET", "/carriers")
    def carriers(_: Seller) -> Any:
        return {"data": {"carriers": [{"name": name, "isHauler": "Hauler" in name} for name in CARRIERS]}}

    @route("GET", "/shipping-groups")
    def shipping_groups(seller: Seller) -> Any:
        asked = Query(page=30, storefront=True).read(request)
        _storefront(seller, asked["storefront"])
        group = {
            "id_shipping_group": 195841,
            "storefront": asked["storefront"],
            "currency": "EUR",
            "name": "Paket",
            "type": "PACKAGE",
            "is_default": True,
            "regions": [],
        }
        return _page([group], asked, dict)


def _orders(route: _Route, world: World) -> None:
    def head(order: Row) -> Row:
        units = [world.order_units[each] for each in order["units"]]
        return {
            "id_order": order["id_order"],
            "ts_created_iso": stamp(order["created_at"]),
            "ts_units_updated_iso": stamp(max(unit["updated_at"] for unit in units)),
            "order_units_count": len(units),
            "is_marketplace_deemed_supplier": order["deemed_supplier"],
            "storefront": order["storefront"],
            "fulfillment_type": "fulfilled_by_merchant",
        }

    @route("GET", "/orders")
    def orders(seller: Seller) -> Any:
        asked = Query(
            times=("ts_created_from_iso", "ts_units_updated_from_iso"), page=100, storefront=False
        ).read(request)
        rows = [row | {"status": "", "updated_at": row["created_at"]} for row in world.orders.values()]
        return _page(_matching(rows, seller, asked), asked, head)

    @route("GET", "/orders/<order_id>")
    def order(seller: Seller, order_id: str) -> Any:
        asked = Query(lists={"embedded": ("order_invoices", "delivery")}).read(request)
        found = world.orders.get(order_id)
        if found is None or found["seller"] != seller.client_key:
            raise not_found("Order")
        units = [world.order_unit_json(world.order_units[each]) for each in found["units"]]
        told = next((unit for unit in units if unit["shipping_address"]), units[0])
        data = {name: told[name] for name in ("billing_address", "shipping_address", "buyer")}
        names = (
            "id_order",
            "ts_created_iso",
            "is_marketplace_deemed_supplier",
            "storefront",
            "fulfillment_type",
        )
        data |= {name: head(found)[name] for name in names} | {
            "order_units": [unit | {"tickets": []} for unit in units]
        }
        if "delivery" in asked["embedded"]:
            data["delivery"] = {
                "pickup_location": found["pickup_location"] if told["shipping_address"] else None
            }
        return {"data": data}

    @route("POST", "/playground/orders")
    def playground_order(seller: Seller) -> Any:
        """Parity with the vendor's playground: an order for one of the seller's own units; shipping always costs 0."""
        on_sale = [
            unit
            for unit in world.units.values()
            if unit["seller"] == seller.client_key and world.buyable(unit)
        ]
        if not on_sale:
            raise ProblemError(400, "action-not-allowed", "No unit is on sale")
        unit = on_sale[0]
        line = {"id_offer": unit["id_offer"]}
        made = world.place_order(seller, {"storefront": unit["storefront"], "lines": [line]})
        return {"data": {"id_order": made["id_order"]}}, 201


def _order_units(route: _Route, world: World) -> None:
    @route("GET", "/order-units")
    def order_units(seller: Seller) -> Any:
        times = ("ts_created_from_iso", "ts_updated_from_iso")
        asked = Query(("id_offer",), times, {"status": _UNIT_STATUS}, _SORTS, 100, storefront=False).read(
            request
        )
        _storefront(seller, asked["storefront"])
        return _page(_matching(world.order_units.values(), seller, asked), asked, world.order_unit_json)

    @route("GET", "/order-units/<int:unit_id>")
    def order_unit(seller: Seller, unit_id: int) -> Any:
        embeds = ("delivery_attempt_timestamp_iso", "return_unit", "tickets", "delivery", "kss_delivery")
        asked = Query(lists={"embedded": embeds}).read(request)
        unit = world.order_unit_of(seller, unit_id)
        data = world.order_unit_json(unit)
        if "delivery" in asked["embedded"]:
            data["delivery"] = {"pickup_location": world.orders[unit["id_order"]]["pickup_location"]}
        return {"data": data}

    @route("PATCH", "/order-units/<int:unit_id>/fulfil")
    def fulfil(seller: Seller, unit_id: int) -> Any:
        world.fulfil(world.order_unit_of(seller, unit_id))
        return "", 204

    @route("PATCH", "/order-units/<int:unit_id>/send")
    def send(seller: Seller, unit_id: int) -> Any:
        fields = {"tracking_numbers": Field(str, needed=True), "carrier_code": Field(str, needed=True)}
        body = checked(_body(), fields)
        world.send(world.order_unit_of(seller, unit_id), body["tracking_numbers"], body["carrier_code"])
        return "", 204

    @route("PATCH", "/order-units/<int:unit_id>/cancel")
    def cancel(seller: Seller, unit_id: int) -> Any:
        body = checked(_body(), {"reason": Field(str, needed=True, words=_CANCEL)})
        world.cancel(world.order_unit_of(seller, unit_id), body["reason"])
        return "", 204

    @route("PATCH", "/order-units/<int:unit_id>/refund")
    def refund(seller: Seller, unit_id: int) -> Any:
        fields = {
            "amount": Field(int, needed=True, least=1),
            "reason": Field(str, needed=True, words=_REFUND),
        }
        body = checked(_body(), fields)
        world.refund(seller, world.order_unit_of(seller, unit_id), body["amount"], body["reason"])
        return "", 204

    @route("POST", "/shipments")
    def add_shipment(seller: Seller) -> Any:
        fields = {"id_order_unit": Field(int, needed=True), "shipment_information": Field(dict, needed=True)}
        body = checked(_body(), fields)
        inner = {"tracking_number": Field(str, needed=True), "carrier_code": Field(str, needed=True)}
        parcel = checked(body["shipment_information"], inner, "shipment_information.")
        unit = world.order_unit_of(seller, body["id_order_unit"])
        world.add_shipment(unit, parcel["tracking_number"], parcel["carrier_code"])
        return "", 204


def _returns(route: _Route, world: World) -> None:
    @route("GET", "/returns")
    def returns(seller: Seller) -> Any:
        times = ("ts_created_from_iso", "ts_updated_from_iso")
        asked = Query(
            ("tracking_code",), times, {"status": _RETURN_STATUS}, _SORTS, 100, storefront=False
        ).read(request)
        _storefront(seller, asked["storefront"])
        rows = _matching(world.returns.values(), seller, asked)
        rows = [row for row in rows if asked["tracking_code"] in {None, row["tracking_code"]}]
        return _page(rows, asked, world.return_json)

    @route("GET", "/returns/<int:return_id>")
    def one_return(seller: Seller, return_id: int) -> Any:
        embedded = Query(lists={"embedded": ("buyer", "return_units")}).read(request)["embedded"]
        back = world.returns.get(return_id)
        if back is None or back["seller"] != seller.client_key:
            raise not_found("Return")
        return {"data": world.return_json(back, units="return_units" in embedded, buyer="buyer" in embedded)}

    @route("POST", "/returns")
    def seller_starts_return(seller: Seller) -> Any:
        if not seller.return_service:
            raise ProblemError(403, "action-not-allowed", "Only for sellers who use a return service")
        fields = {
            "id_order_unit": Field(int, needed=True),
            "reason": Field(str, needed=True, words=_RETURN_REASON),
            "note": Field(str, needed=True, least=5, most=100),
        }
        body = _body()
        asked = [checked(each, fields) for each in (body if isinstance(body, list) else [body])]
        units = [world.order_unit_of(seller, each["id_order_unit"]) for each in asked]
        back = world.start_return(units, asked[0]["reason"], asked[0]["note"], by="seller")
        return {"data": world.return_json(back, units=True)}, 201


def _return_units(route: _Route, world: World) -> None:
    def piece_of(seller: Seller, piece_id: int) -> Row:
        piece = world.return_units.get(piece_id)
        if piece is None or piece["seller"] != seller.client_key:
            raise not_found("Return unit")
        return piece

    @route("GET", "/return-units")
    def return_units(seller: Seller) -> Any:
        times = ("ts_created_from_iso",)
        asked = Query(
            (), times, {"status": _RETURN_UNIT_STATUS}, ("ts_created:desc",), 100, storefront=False
        ).read(request)
        _storefront(seller, asked["storefront"])
        return _page(_matching(world.return_units.values(), seller, asked), asked, world.return_unit_json)

    @route("GET", "/return-units/<int:piece_id>")
    def return_unit(seller: Seller, piece_id: int) -> Any:
        Query(lists={"embedded": ("return", "order_unit", "tickets")}).read(request)
        piece = piece_of(seller, piece_id)
        back = world.return_json(world.returns[piece["id_return"]])
        return {"data": world.return_unit_json(piece) | {"return": back}}

    @route("PATCH", "/return-units/<int:piece_id>/accept")
    def accept(seller: Seller, piece_id: int) -> Any:
        world.accept(piece_of(seller, piece_id))
        return "", 204

    @route("PATCH", "/return-units/<int:piece_id>/reject")
    def reject(seller: Seller, piece_id: int) -> Any:
        message = checked(_body(), {"message": Field(str, needed=True, least=1)})["message"]
        world.reject(piece_of(seller, piece_id), message)
        return "", 204

    @route("PATCH", "/return-units/<int:piece_id>/clarify")
    def clarify(seller: Seller, piece_id: int) -> Any:
        message = checked(_body(), {"message": Field(str, needed=True, least=1)})["message"]
        world.clarify(piece_of(seller, piece_id), message)
        return "", 204


def _units(route: _Route, world: World) -> None:
    @route("GET", "/units")
    def units(seller: Seller) -> Any:
        embeds = ("products", "eco_participation", "battery_participation", "")
        asked = Query(
            ("id_offer", "id_product", "ean"), (), {"embedded": embeds}, (), 100, storefront=True
        ).read(request)
        _storefront(seller, asked["storefront"])
        rows = [
            unit
            for unit in world.units.values()
            if (unit["seller"], unit["storefront"]) == (seller.client_key, asked["storefront"])
            and unit["visible_at"] <= world.now()
            and asked["id_offer"] in {None, unit["id_offer"]}
            and asked["id_product"] in {None, str(unit["id_product"])}
            and asked["ean"] in {None, unit["ean"]}
        ]
        return _page(rows, asked, lambda unit: world.unit_json(unit, product="products" in asked["embedded"]))

    @route("POST", "/units")
    def create(seller: Seller) -> Any:
        storefront = _asked_storefront(seller)
        return {"data": world.unit_json(world.add_unit(seller, storefront, checked(_body(), _CREATE)))}

    @route("GET", "/units/<int:unit_id>")
    def unit(seller: Seller, unit_id: int) -> Any:
        return {"data": world.unit_json(world.unit_of(seller, unit_id, _asked_storefront(seller)))}

    @route("PATCH", "/units/<int:unit_id>")
    def change(seller: Seller, unit_id: int) -> Any:
        found = world.unit_of(seller, unit_id, _asked_storefront(seller))
        return {"data": world.unit_json(world.change_unit(found, checked(_body(), _CHANGE)))}

    @route("DELETE", "/units/<int:unit_id>")
    def delete(seller: Seller, unit_id: int) -> Any:
        found = world.unit_of(seller, unit_id, _asked_storefront(seller))
        del world.units[found["id_unit"]]
        world.done("delete_unit", unit_id)
        return "", 204

    @route("POST", "/units/bulk")
    def bulk(seller: Seller) -> Any:
        storefront = _asked_storefront(seller)
        rows = _body()
        _bulk_is_right(rows)
        if world.conduct.bulk_all_or_nothing:
            for row in rows:
                checked(row["unit_data"], _CHANGE)
        return {"data": [_bulk_row(world, seller, storefront, row) for row in rows]}, 207


def _bulk_is_right(rows: object) -> None:
    if not isinstance(rows, list) or not rows:
        raise invalid("body", "must be a list")
    if len(rows) > 150:
        raise ProblemError(400, "units/bulk-too-many-units", "At most 150 units")
    for row in rows:
        checked(row, {"id_unit": Field(int, needed=True, least=1), "unit_data": Field(dict, needed=True)})
    if len({row["id_unit"] for row in rows}) < len(rows):
        raise ProblemError(400, "units/bulk-duplicate-units", "A unit is there twice")


def _bulk_row(world: World, seller: Seller, storefront: str, row: Row) -> Row:
    answer: Row = {"id_unit": row["id_unit"]}
    try:
        unit = world.unit_of(seller, row["id_unit"], storefront)
        changed = world.change_unit(unit, checked(row["unit_data"], _CHANGE))
    except ProblemError as problem:
        return (
            answer
            | {"status_code": problem.status}
            | {k: v for k, v in problem.body().items() if k != "type"}
        )
    return answer | {"status_code": 200, "unit": world.unit_json(changed)}


def _products(route: _Route, world: World) -> None:
    @route("GET", "/products/ean/<ean>")
    def product(seller: Seller, ean: str) -> Any:
        asked = Query(lists={"embedded": ("category", "category_basic", "units")}, storefront=True).read(
            request
        )
        _storefront(seller, asked["storefront"])
        if not ean.isdigit() or not 13 <= len(ean) <= 15:
            raise invalid("ean", "13, 14 or 15 digits")
        if ean not in world.products:
            return {"message": "Product not found"}, 404
        return {"data": world.products[ean] | {"storefront": asked["storefront"]}}

    @route("GET", "/product-data/status/<ean>")
    def product_data_status(_: Seller, ean: str) -> Any:
        if Query(text=("locale",)).read(request)["locale"] is None:
            raise invalid("locale", "is missing")
        if ean not in world.product_data:
            return {"message": "Product data not found"}, 404
        nothing: Row = dict.fromkeys(
            ("id_product", "product_not_ready_reason", "update_fail_reason", "attribute_values", "missing_attributes",
             "min_one_missing_attributes")
        )  # fmt: skip
        return {
            "data": nothing | {"product_ready": False, "update_status": "PENDING"} | world.product_data[ean]
        }


def _asked_storefront(seller: Seller) -> str:
    asked = Query(
        lists={"embedded": ("eco_participation", "battery_participation", "")}, storefront=True
    ).read(request)
    _storefront(seller, asked["storefront"])
    return str(asked["storefront"])


def _body() -> Any:
    body = request.get_json(silent=True)
    if body is None:
        raise invalid("body", "must be JSON")
    return body
