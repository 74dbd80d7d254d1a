"""Simulated OTTO Market over real HTTP: `create_app()` is a Flask app that keeps state and checks what the real one checks.

What may go wrong on request: see app/sandbox/faults.py. Where the facts are silent (status codes of some refusals) the choice made here is marked
in docs/marketplaces/otto.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import wraps
from typing import Any, Final

from flask import Blueprint, Flask, request
from werkzeug.exceptions import HTTPException

from app.sandbox import Simulator
from app.sandbox.faults import Faults, install
from app.sandbox.otto import goods
from app.sandbox.otto.control import control
from app.sandbox.otto.wire import (
    BACK,
    OUTBOUND,
    Field,
    OttoError,
    Query,
    Row,
    checked,
    cursor,
    gateway,
    opened,
    refused,
    scope_of,
)
from app.sandbox.otto.world import DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, Seller, World, cents, money, stamp

__all__ = ["SIMULATOR", "World", "create_app"]

_STATUS: Final = (
    "ANNOUNCED",
    "PROCESSABLE",
    "SENT",
    "RETURNED",
    "CANCELLED_BY_PARTNER",
    "CANCELLED_BY_MARKETPLACE",
)
_RETURN_STATUS: Final = ("ANNOUNCED", "MISDIRECTED", "ACCEPTED", "REJECTED")
_CONDITIONS: Final = ("A", "B", "C", "D", "E")
_ACCEPT: Final = (
    "RETURN_RECEIVED", "STATUS_SENT_BY_ACCIDENT", "CANCEL_REQUEST_BY_CUSTOMER", "REFUND_AFTER_AFFIDAVIT", "COMPLAINT", "SHIPMENT_LOST",
    "RETURN_LOST", "UNDELIVERABLE",
)  # fmt: skip
_REJECT: Final = (
    "THIRD_PARTY_ITEM", "WRONG_ITEM", "EXCHANGE", "DAMAGE_TO_THE_HYGIENE_SEAL", "ITEM_DAMAGED", "RETURN_PERIOD_EXCEEDED",
    "ITEM_NOT_IN_THE_PARCEL",
)  # fmt: skip
_NUMBER: Final = (int, float)
_SHIPMENT: Final = {
    "trackingKey": Field(dict, needed=True),
    "shipDate": Field(str, needed=True),
    "shipFromAddress": Field(dict, needed=True),
    "positionItems": Field(list, needed=True, least=1),
}
_FROM: Final = {
    "city": Field(str, needed=True, least=1, most=60),
    "zipCode": Field(str, needed=True, least=1, most=10),
    "countryCode": Field(str, needed=True, least=3, most=3),
}
_KEY: Final = {
    "carrier": Field(str, needed=True, words=OUTBOUND),
    "trackingNumber": Field(str, least=1),
}
_BACK: Final = {
    "carrier": Field(str, needed=True, words=BACK),
    "trackingNumber": Field(str, needed=True, least=1),
}
_ITEM: Final = {
    "positionItemId": Field(str, needed=True),
    "salesOrderId": Field(str, needed=True),
    "returnTrackingKey": Field(dict),
    "returnAddressCarrierId": Field(str),
}

View = Callable[..., Any]


def create_app(state: World | None = None, faults: Faults | None = None) -> Flask:
    """The simulator. Without `state` it has one demo seller with known keys (world.DEMO_CLIENT_ID, DEMO_CLIENT_SECRET)."""
    app = Flask("shopbridge_otto")
    app.json.sort_keys = False  # type: ignore[attr-defined]  # The default provider has it.
    world = state or World.demo()
    faults = faults or Faults()
    app.extensions["otto"] = world
    app.extensions["faults"] = faults
    install(
        app,
        faults,
        lambda status: {"errors": [{"path": "", "title": f"error {status}", "detail": "", "logref": ""}]},
    )
    app.register_error_handler(OttoError, lambda error: (error.body, error.status))
    app.register_error_handler(HTTPException, _http_error)
    app.register_blueprint(_api(world))
    control(app, world)
    return app


def _sandbox(first_number: int) -> Flask:
    """In the sandbox a minute lasts a second, for the bridge and for its partners."""
    world = World.demo(first_number)
    world.conduct.per_second = world.conduct.products_per_second = world.conduct.active_per_day = 1_000_000
    return create_app(world)


SIMULATOR: Final = Simulator(
    key="otto",
    name="OTTO Market",
    port=8093,
    prefix="",
    settings={
        "client_id": DEMO_CLIENT_ID,
        "client_secret": DEMO_CLIENT_SECRET,
        "ship_from_city": "Dresden",
        "ship_from_zip": "01067",
        "live": True,
        "safety_name": "Anna's Teeladen",
        "safety_address": "Beispielweg 4, 01067 Dresden, Deutschland",
        "safety_email": "anna@example.org",
        "product_mapping": {
            "category": "=Tee",
            "brand": "=Teeladen",
            "attribute:Herkunftsland": "=Indien",
            "vat": "=FULL",
            "image": "=https://shop.example/tee.jpg",
        },
    },
    create_app=_sandbox,
)


def _http_error(error: HTTPException) -> Any:
    status = error.code or 500
    refusal = refused(status, error.name, error.description or error.name, request.path)
    return refusal.body, status


class _Route:
    """Registers views that get the seller of the token, within the pace, under the world's lock."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pages = Blueprint("otto_api", __name__)

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
        world, conduct = self.world, self.world.conduct
        seller = world.seller_of(request.headers.get("Authorization", ""), scope_of(request.path))
        world.pace.take(seller.client_id, conduct.per_second)
        if request.path.startswith("/v5/products") and request.method == "GET":
            world.pace.take(f"{seller.client_id} products", conduct.products_per_second)
        if request.path == "/v5/products/active-status" and request.method == "POST":
            world.pace.take(f"{seller.client_id} active", conduct.active_per_day, 86_400)
        return seller


def _api(world: World) -> Blueprint:
    route = _Route(world)
    _tokens(route.pages, world)
    _orders(route, world)
    _shipments(route, world)
    _money(route, world)
    _returns(route, world)
    goods.register(route, world)
    return route.pages


def _tokens(pages: Blueprint, world: World) -> None:
    @pages.post("/oauth2/token")
    def oauth() -> Any:
        with world.lock:
            return _client_credentials(world)

    @pages.post("/v1/token")
    def legacy() -> Any:
        with world.lock:
            return _legacy(world)


def _oauth_error(error: str, told: str, status: int = 400) -> OttoError:
    return OttoError(status, {"error": error, "error_description": told})


def _client_credentials(world: World) -> Any:
    form = request.form
    if form.get("grant_type") != "client_credentials":
        raise _oauth_error("unsupported_grant_type", "grant_type")
    seller = world.sellers.get(form.get("client_id", ""))
    if seller is None or seller.client_secret != form.get("client_secret") or seller.revoked:
        raise _oauth_error("invalid_client", "Invalid client or Invalid client credentials", 401)
    scopes = form.get("scope", "").split()
    if not scopes or set(scopes) - set(seller.scopes):
        raise _oauth_error("invalid_scope", "Invalid scopes")
    return world.grant(seller, scopes, refresh=False)


def _legacy(world: World) -> Any:
    form = request.form
    if form.get("client_id") != "token-otto-api":
        raise _oauth_error("invalid_client", "client_id")
    if form.get("grant_type") == "refresh_token":
        known = world.refresh.pop(form.get("refresh_token", ""), None)  # It works once (FACTS 2).
        if known is None or known["until"] <= world.now():
            raise _oauth_error("invalid_grant", "Invalid refresh token")
        return world.grant(known["seller"], known["seller"].scopes, refresh=True)
    given = form.get("username"), form.get("password")
    seller = next((each for each in world.sellers.values() if (each.username, each.password) == given), None)
    if form.get("grant_type") != "password" or seller is None or seller.revoked:
        raise _oauth_error("invalid_grant", "Invalid user credentials", 401)
    return world.grant(seller, seller.scopes, refresh=True)


# --- orders --------------------------------------------------------------------------------------------------------------

_LOWEST: Final = {status: place for place, status in enumerate(_STATUS)}


def _orders(route: _Route, world: World) -> None:
    @route("GET", "/v4/orders")
    def orders(seller: Seller) -> Any:
        asked = Query(
            ("mode", "nextcursor", "orderDirection", "orderColumnType"),
            ("fromDate", "fromOrderDate", "toOrderDate"),
            {"fulfillmentStatus": _STATUS},
            128,
            128,
        ).read(request)
        filters = {name: request.args.getlist(name) for name in ("fulfillmentStatus", "mode", "fromDate")}
        start = ""
        if asked["nextcursor"]:
            held = opened(asked["nextcursor"], request.path)
            filters, start = held["filters"], held["after"]
        return _order_page(world, seller, filters, start, asked["limit"])

    @route("GET", "/v4/orders/<order_id>")
    def order(seller: Seller, order_id: str) -> Any:
        return world.order_json(_order_of(world, seller, order_id))

    @route("POST", "/v4/orders/<order_id>/cancellation")
    def cancel_order(seller: Seller, order_id: str) -> Any:
        found = _order_of(world, seller, order_id)
        open_ones = [each for each in found["items"] if world.items[each]["status"] == "PROCESSABLE"]
        if not open_ones:
            raise refused(
                409, "Conflict", "No position item can be changed to [CANCELLED_BY_PARTNER]", request.path
            )
        world.cancel_by_seller(found, open_ones, request.path)
        return "", 202

    @route("POST", "/v4/orders/<order_id>/positionItems/<item_ids>/cancellation")
    def cancel_items(seller: Seller, order_id: str, item_ids: str) -> Any:
        found = _order_of(world, seller, order_id)
        wanted = item_ids.split(",")
        if request.data or set(wanted) - set(found["items"]):
            raise refused(
                400, "INVALID_REQUEST_PARAMETER", "positionItemIds", request.path, "positionItemIds"
            )
        world.cancel_by_seller(found, wanted, request.path)
        return "", 202

    @route("POST", "/v4/orders/testorders")
    def test_orders(seller: Seller) -> Any:
        """Parity with the vendor's sandbox: an order for each thing on sale, one of them announced."""
        on_sale = [each for each in world.products_of(seller) if world.buyable(each)]
        for number, product in enumerate(on_sale):
            state = "announced" if number == 1 else "to_ship"
            world.place_order(seller, {"lines": [{"sku": product["sku"]}], "state": state})
        return "", 201


def _order_of(world: World, seller: Seller, order_id: str) -> Row:
    for order in world.orders.values():
        if order["seller"] == seller.client_id and order_id in {order["id"], order["number"]}:
            return order
    raise refused(404, "Not Found", f"order {order_id} is not known", request.path)


def _order_page(world: World, seller: Seller, filters: Row, start: str, limit: int) -> Row:
    """Oldest change first, from a place and not from a number: an order that changes meanwhile moves to the end."""
    found = {_place(each): each for each in world.orders.values() if _fits(world, each, seller, filters)}
    rest = sorted(place for place in found if place > start)
    links = []
    if len(rest) > limit:
        after = cursor({"filters": filters, "after": rest[limit - 1]})
        links = [{"rel": "next", "href": f"/v4/orders?nextcursor={after}&limit={limit}"}]
    return {"resources": [world.order_json(found[place]) for place in rest[:limit]], "links": links}


def _place(order: Row) -> str:
    return f"{stamp(order['changed'])} {order['number']}"


def _fits(world: World, order: Row, seller: Seller, filters: Row) -> bool:
    """In BUCKET mode an order stands only under its lowest state (FACTS 4)."""
    wanted, since = filters["fulfillmentStatus"], filters["fromDate"]
    states = [world.items[each]["status"] for each in order["items"]]
    if filters["mode"] != ["AT_LEAST_ONE"]:
        states = [min(states, key=_LOWEST.__getitem__)]
    if order["seller"] != seller.client_id or (wanted and not set(wanted) & set(states)):
        return False
    return not since or stamp(order["changed"]) >= since[0]


# --- parcels -------------------------------------------------------------------------------------------------------------


def _bad(where: str, why: str) -> OttoError:
    title = "PROPERTY_IS_MANDATORY" if why == "PROPERTY_IS_MANDATORY" else "INVALID_REQUEST_PARAMETER"
    return refused(400, title, f"{where} {why}", request.path, where)


def _parcel(body: object) -> Row:
    """A shipment as it must be: for parcels both numbers (FACTS 5)."""
    data = checked(body, _SHIPMENT, "", _bad)
    checked(data["shipFromAddress"], _FROM, "shipFromAddress.", _bad)
    key = checked(data["trackingKey"], _KEY, "trackingKey.", _bad)
    if "trackingNumber" not in key and key["carrier"] != "OTHER_FORWARDER":
        raise _bad("trackingKey.trackingNumber", "PROPERTY_IS_MANDATORY")
    if not data["shipDate"].endswith("Z"):
        raise _bad("shipDate", "must be UTC")
    _contents(data["positionItems"], key)
    return data


def _contents(rows: object, key: Row) -> list[Row]:
    if not isinstance(rows, list) or not rows:
        raise _bad("positionItems", "PROPERTY_IS_MANDATORY")
    for place, row in enumerate(rows):
        item = checked(row, _ITEM, f"positionItems[{place}].", _bad)
        if "returnTrackingKey" in item:
            checked(item["returnTrackingKey"], _BACK, f"positionItems[{place}].returnTrackingKey.", _bad)
        elif World.needs_return(key):
            raise _bad(f"positionItems[{place}].returnTrackingKey", "PROPERTY_IS_MANDATORY")
    return rows


def _shipments(route: _Route, world: World) -> None:
    def parcel_of(seller: Seller, carrier: str, number: str) -> Row:
        found = world.parcels.get((seller.client_id, carrier, number))
        if found is None:
            raise refused(404, "Not Found", "shipment is not known", request.path)
        return world.shipments[found]

    def shown(shipment: Row, *, whole: bool = True) -> Row:
        names = ["shipmentId", "creationDate", "trackingKey"]
        names += ["positionItems", "shipDate", "shipFromAddress"] if whole else []
        return {name: shipment[name] for name in names} | {
            "states": [{"state": "SENT", "occurredOn": shipment["creationDate"]}]
        }

    @route("POST", "/v1/shipments")
    def ship(seller: Seller) -> Any:
        return {"shipmentId": world.ship(seller, _parcel(_body()), request.path)["shipmentId"]}, 201

    @route("GET", "/v1/shipments")
    def shipments(seller: Seller) -> Any:
        asked = Query(("next",), ("datefrom",), None, 100).read(request)
        if asked["datefrom"] is None:
            raise _bad("datefrom", "PROPERTY_IS_MANDATORY")
        since = stamp(asked["datefrom"])
        found = [
            s
            for s in world.shipments.values()
            if s["seller"] == seller.client_id and s["creationDate"] >= since
        ]
        return _by_next([shown(each, whole=False) for each in found], asked, "/v1/shipments")

    @route("GET", "/v1/shipments/carriers/<carrier>/trackingnumbers/<number>")
    def shipment(seller: Seller, carrier: str, number: str) -> Any:
        return shown(parcel_of(seller, carrier, number))

    @route("POST", "/v1/shipments/carriers/<carrier>/trackingnumbers/<number>/positionitems")
    def append(seller: Seller, carrier: str, number: str) -> Any:
        found = parcel_of(seller, carrier, number)
        world.append(seller, found, _contents(_body(), found["trackingKey"]), request.path)
        return "", 200

    @route("POST", "/v1/multiparcel-shipments")
    def multiparcel(seller: Seller) -> Any:
        body = _body()
        if not isinstance(body, list) or not body:
            raise _bad("body", "must be a list")
        parcels = [_parcel(each) for each in body]
        return {"multiParcelShipmentId": world.further(seller, parcels, request.path)}, 201


def _by_next(rows: Sequence[Row], asked: Row, path: str) -> Row:
    """Pages by the cursor `next` (shipments, return shipments)."""
    start = opened(asked["next"], path)["start"] if asked["next"] else 0
    end = start + asked["limit"]
    links = []
    if end < len(rows):
        since = stamp(asked["datefrom"])
        links = [
            {
                "rel": "next",
                "href": f"{path}?datefrom={since}&limit={asked['limit']}&next={cursor({'start': end})}",
            }
        ]
    return {"resources": rows[start:end], "links": links}


# --- money back, returns ---------------------------------------------------------------------------------------------------


def _money(route: _Route, world: World) -> None:
    @route("POST", "/v1/price-reductions")
    def reduce(seller: Seller) -> Any:
        fields = {
            "positionItemId": Field(str, needed=True),
            "salesOrderId": Field(str, needed=True),
            "priceReduction": Field(dict, needed=True),
        }
        body = checked(_body(), fields, "", _bad)
        inner = {"amount": Field(_NUMBER, needed=True), "currency": Field(str, needed=True, words=("EUR",))}
        amount = cents(checked(body["priceReduction"], inner, "priceReduction.", _bad)["amount"])
        if amount is None or amount < 1:
            raise _bad("priceReduction.amount", "must have at most two digits and be positive")
        world.reduce(seller, body, amount, request.path)
        return {
            "results": {"title": "Accepted", "detail": "", "path": request.path, "logref": "", "code": 202}
        }, 202

    @route("GET", "/v1/price-reductions")
    def reductions(seller: Seller) -> Any:
        asked = Query(("positionItemId",), (), None, 128, 10, 1).read(request)
        items = [
            item
            for item in world.items.values()
            if item["seller"] == seller.client_id
            and item["reductions"]
            and asked["positionItemId"] in {None, item["id"]}
        ]
        start = (asked["page"] - 1) * asked["limit"]
        return {
            "results": [_reduced(world, each) for each in items[start : start + asked["limit"]]],
            "links": [],
        }


def _reduced(world: World, item: Row) -> Row:
    for each in item["reductions"]:
        each["asked"] += 1
        if each["status"] == "INITIATED" and each["asked"] > world.conduct.reduction_asks:
            each["status"] = "PROCESSED"
    return {
        "positionItemId": item["id"],
        "salesOrderId": item["order"],
        "invoicePrice": money(world.value(item)),
        "priceReductions": [
            {
                "priceReduction": money(each["amount"]),
                "status": each["status"],
                "creationDateTime": each["at"],
            }
            for each in item["reductions"]
        ],
        "totalPriceReduction": money(sum(each["amount"] for each in item["reductions"])),
    }


def _returns(route: _Route, world: World) -> None:
    @route("GET", "/v3/returns")
    def returns(seller: Seller) -> Any:
        asked = Query(("status",), (), None, 50, 10, 1).read(request)
        status = (asked["status"] or "").upper()
        if status and status not in _RETURN_STATUS:
            raise _bad("status", "is not valid")
        found = [
            each
            for each in world.returns.values()
            if world.items[each["item"]]["seller"] == seller.client_id and status in {"", each["status"]}
        ]
        found.sort(key=lambda each: each["at"], reverse=True)
        start, end = (asked["page"] - 1) * asked["limit"], asked["page"] * asked["limit"]
        links = []
        if end < len(found):
            href = f"/v3/returns?limit={asked['limit']}&page={asked['page'] + 1}" + (
                f"&status={status}" if status else ""
            )
            links = [{"rel": "next", "href": href}]
        return {"positionItems": [_return_json(world, each) for each in found[start:end]], "links": links}

    @route("POST", "/v3/returns/acceptance")
    def accept(seller: Seller) -> Any:
        return _answered(world, seller, _ACCEPT, world.accept)

    @route("POST", "/v3/returns/rejection")
    def reject(seller: Seller) -> Any:
        return _answered(world, seller, _REJECT, world.reject)

    @route("GET", "/v1/return-shipments")
    def return_shipments(seller: Seller) -> Any:
        asked = Query(("next",), ("datefrom",), None, 100).read(request)
        if asked["datefrom"] is None:
            raise _bad("datefrom", "PROPERTY_IS_MANDATORY")
        found = [
            _parcel_back(world, each)
            for each in world.parcels_back.values()
            if each["seller"] == seller.client_id
            and each["changed"] >= asked["datefrom"] - timedelta(milliseconds=1)
        ]
        return _by_next(found, asked, "/v1/return-shipments")


def _return_json(world: World, back: Row) -> Row:
    return {
        "positionItemId": back["item"],
        "salesOrderId": world.items[back["item"]]["order"],
        "status": back["status"],
        "occurredTime": stamp(back["at"]),
        "details": back["details"],
    }


def _parcel_back(world: World, parcel: Row) -> Row:
    return {
        "returnShipmentId": parcel["id"],
        "createdAt": stamp(parcel["created"]),
        "trackingKey": {"carrier": "DHL", "trackingNumber": parcel["number"]},
        "states": [{"state": state, "occurredOn": stamp(at)} for state, at in parcel["states"]],
        "returnPositionItems": [
            {"salesOrderPositionItemId": each, "salesOrderId": world.items[each]["order"]}
            for each in parcel["items"]
        ],
    }


def _answered(world: World, seller: Seller, reasons: Sequence[str], deed: Callable[[Row, Row], None]) -> Any:
    """Acceptance and rejection: each row by itself, then 200, 207 or 422 (FACTS 6)."""
    rows = checked(_body(), {"positionItems": Field(list, needed=True, least=1)}, "", _bad)["positionItems"]
    if len(rows) > 200:
        raise refused(413, "Payload Too Large", "at most 200", request.path)
    fields = {
        "positionItemId": Field(str, needed=True),
        "salesOrderId": Field(str, needed=True),
        "condition": Field(str, words=_CONDITIONS),
        "reason": Field(str, needed=True, words=reasons),
    }
    results, errors = [], []
    for place, row in enumerate(rows):
        checked(row, fields, f"positionItems[{place}].", _bad)
        item = world.items.get(row["positionItemId"])
        if (
            item is None
            or item["seller"] != seller.client_id
            or item["order"] != row["salesOrderId"]
            or item["status"] != "SENT"
        ):
            state = item["status"] if item else "not known"
            errors.append(
                {
                    "path": request.path,
                    "title": "Unprocessable",
                    "detail": f"position item is {state}",
                    "logref": "log-1",
                }
            )
        else:
            deed(item, row)
            results.append(row)
    if not results:
        return {"errors": errors}, 422
    return ({"results": results, "errors": errors}, 207) if errors else ({"positionItems": results}, 200)


def _body() -> Any:
    body = request.get_json(silent=True)
    if body is None:
        raise gateway(400, "no JSON")
    return body
