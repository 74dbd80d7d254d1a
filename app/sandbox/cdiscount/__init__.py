"""Simulated Octopia (Cdiscount) over real HTTP: `create_app()` is a Flask app that keeps state and checks what the real one checks.

It lives under /seller/v2 like the real one, its tokens under /auth. What may go wrong on request: see app/sandbox/faults.py. Where the sources are
silent (reason codes, shape of cancellation requests, result codes) the choice made here is marked in docs/marketplaces/cdiscount.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Final

from flask import Blueprint, Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from app.sandbox import Simulator
from app.sandbox.cdiscount import show
from app.sandbox.cdiscount.control import control
from app.sandbox.cdiscount.wire import (
    STATUSES,
    Check,
    ExactJson,
    ProblemError,
    Query,
    Row,
    amount,
    bearer,
    body_of,
    cents,
    fields,
    invalid,
    money,
    not_found,
    text,
    texts,
    whole,
    word,
    yes_or_no,
)
from app.sandbox.cdiscount.world import (
    CARRIERS,
    DEMO_CLIENT,
    DEMO_SECRET,
    DEMO_SELLER,
    REASONS,
    World,
)
from app.sandbox.faults import Faults, install

__all__ = ["SIMULATOR", "World", "create_app"]

PREFIX: Final = "/seller/v2"
AUTH: Final = "/auth/realms/maas/protocol/openid-connect/token"
_CHANNEL: Final = "CDISFR"
_FILTERS: Final = Query(
    text=("salesChannelId", "status", "supplyMode", "reference", "shippingCountry"),
    times=("createdAtMin", "createdAtMax", "updatedAtMin", "updatedAtMax"),
    words={"status": STATUSES, "supplyMode": ("Seller", "Fulfillment", "Xdock")},
    index=True,
)

View = Callable[..., Any]


def create_app(state: World | int | None = None, faults: Faults | None = None) -> Flask:
    """The simulator. Without a world it has one seller with known credentials (world.DEMO_*) and numbers from `state` on."""
    app = Flask("shopbridge_cdiscount")
    app.json = ExactJson(app)
    world = state if isinstance(state, World) else World(state or 1)
    faults = faults or Faults()
    app.extensions["cdiscount"] = world
    app.extensions["faults"] = faults
    install(app, faults, lambda status: {"title": f"error {status}", "detail": "", "errors": {}})
    app.register_error_handler(ProblemError, _problem)
    app.register_error_handler(HTTPException, _http_error)
    app.add_url_rule(AUTH, "token", _token(world), methods=["POST"])
    app.register_blueprint(_api(world), url_prefix=PREFIX)
    control(app, world, faults)
    return app


def _sandbox(first_number: int) -> Flask:
    """In the sandbox a minute lasts a second, for the bridge and for its partners."""
    world = World(first_number)
    world.conduct.per_second = 1_000_000
    return create_app(world)


SIMULATOR: Final = Simulator(
    key="cdiscount",
    name="Cdiscount",
    port=8094,
    prefix=PREFIX,
    settings={
        "client_id": DEMO_CLIENT,
        "client_secret": DEMO_SECRET,
        "seller_id": DEMO_SELLER,
        "delivery_costs": {"STD": "2.90", "TRK": "4.90", "REG": "6.90"},
    },
    create_app=_sandbox,
)


def _problem(problem: ProblemError) -> Any:
    headers = {"Retry-After": str(problem.retry_after)} if problem.retry_after else {}
    return problem.body(), problem.status, headers


def _http_error(error: HTTPException) -> Any:
    return ProblemError(error.code or 500, error.description or error.name).body(), error.code or 500


def _token(world: World) -> View:
    def token() -> Any:
        form = request.form
        if form.get("grant_type") != "client_credentials":
            return {"error": "unsupported_grant_type"}, 400
        with world.lock:
            try:
                return world.new_token(form.get("client_id", ""), form.get("client_secret", ""))
            except ProblemError as problem:
                if problem.status != 401:
                    raise
                return {"error": "invalid_client", "error_description": "Invalid client or secret"}, 401

    return token


class _Route:
    """Registers views that run for a seller with a valid token, within the pace, under the world's lock."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pages = Blueprint("cdiscount_api", __name__)

    def __call__(self, method: str, path: str) -> Callable[[View], View]:
        def register(view: View) -> View:
            @wraps(view)
            def guarded(**names: Any) -> Any:
                world = self.world
                with world.lock:
                    world.let_in(bearer(request), request.headers.get("SellerId", ""))
                    per_second, after = world.conduct.per_second, world.conduct.retry_after
                    world.pace.take("all", per_second, 1, world.now(), after)
                    world.tick()
                    return view(**names)

            self.pages.add_url_rule(path, view.__name__, guarded, methods=[method], strict_slashes=False)
            return view

        return register


def _api(world: World) -> Blueprint:
    route = _Route(world)
    _reference(route, world)
    _orders(route, world)
    _answers(route, world)
    _cancellations(route, world)
    _gestures(route, world)
    _packages(route, world)
    _offers(route, world)
    _products(route, world)
    return route.pages


def _leaf(rows: Sequence[Row], asked: Row) -> Response:
    """A page of a list that is turned by cursors; the cursor is only a number here."""
    start, size = asked["start"], asked["limit"]
    answer = jsonify({"itemsPerPage": size, "items": list(rows[start : start + size])})
    if start + size < len(rows):
        answer.headers["Link"] = f'<{request.base_url}?cursor={start + size}>; rel="next"'
    return answer


def _reference(route: _Route, world: World) -> None:
    @route("GET", "/sellers")
    def sellers() -> Any:
        Query().read(request)
        return {"itemsPerPage": 1, "items": [{"id": world.seller, "shopName": "Anna's Teeladen"}]}

    @route("GET", "/sellers/delivery-modes")
    def modes() -> Any:
        Query().read(request)
        return {"count": len(world.conduct.modes), "items": [show.mode(each) for each in world.conduct.modes]}

    @route("GET", "/carriers")
    def carriers() -> Any:
        Query().read(request)
        return jsonify([{"code": code, "label": label} for code, label in CARRIERS])

    @route("GET", "/cancellation-reasons")
    def reasons() -> Any:
        words = {"salesChannel": (_CHANNEL,), "userType": ("Seller",), "orderStatus": STATUSES}
        asked = Query(needed=tuple(words), words=words).read(request)
        told = str(asked["orderStatus"])
        status = {"Delivered": "Shipped", "Accepted": "InPreparation"}.get(told, told)
        return jsonify([{"code": code, "label": label} for code, label in REASONS.get(status, ())])


def _orders(route: _Route, world: World) -> None:
    def matching(asked: Row) -> list[Row]:
        """Newest change first, so that rows move while somebody turns the pages."""
        found = [
            each
            for each in world.orders.values()
            if asked["status"] in {None, each["status"]}
            and asked["salesChannelId"] in {None, _CHANNEL}
            and asked["supplyMode"] in {None, *(line["supply"] for line in each["lines"].values())}
            and (asked["createdAtMin"] is None or each["at"] >= asked["createdAtMin"])
            and (asked["createdAtMax"] is None or each["at"] <= asked["createdAtMax"])
            and (asked["updatedAtMin"] is None or each["updated_at"] >= asked["updatedAtMin"])
            and (asked["updatedAtMax"] is None or each["updated_at"] <= asked["updatedAtMax"])
        ]
        return sorted(found, key=lambda each: each["updated_at"], reverse=True)

    @route("GET", "/orders")
    def orders() -> Any:
        asked = _FILTERS.read(request)
        start = (asked["pageIndex"] - 1) * asked["pageSize"]
        rows = matching(asked)[start : start + asked["pageSize"]]
        return {"itemsPerPage": asked["pageSize"], "items": [show.order(world, each) for each in rows]}

    @route("GET", "/orders/count")
    def count() -> Any:
        return jsonify(len(matching(_FILTERS.read(request))))

    @route("GET", "/orders/<number>")
    def order(number: str) -> Any:
        Query().read(request)
        return show.order(world, world.order(number))


def _answers(route: _Route, world: World) -> None:
    @route("POST", "/orders/<number>/approval-status")
    def approve(number: str) -> Any:
        body = fields(body_of(request, dict), "", {"approval_status": word("Accepted", "Refused")})
        world.answer(world.order(number), body["approval_status"])
        return "", 201

    @route("POST", "/orders/<number>/shipments")
    def ship(number: str) -> Any:
        parcels = body_of(request, list)
        if len(parcels) != 1:
            raise invalid("body", "One parcel per complete order")
        labels = word(*(label for _, label in CARRIERS))
        more: dict[str, Check] = {"trackingUrl": text, "orderLineIds": texts}
        parcel = fields(parcels[0], "", {"parcelNumber": text, "carrierName": labels}, more)
        world.ship(world.order(number), parcel)
        return "", 201


def _cancellations(route: _Route, world: World) -> None:
    needed: dict[str, Check] = {"orderSellerId": text, "reason": text, "shippingCostRefund": yes_or_no}

    @route("POST", "/order-cancellation-requests")
    def cancel() -> Any:
        body = fields(body_of(request, dict), "", needed)
        order = world.order(body["orderSellerId"])
        made = world.request(order, None, body["reason"], shipping=body["shippingCostRefund"])
        return show.request(made), 201

    @route("POST", "/order-partial-cancellation-requests")
    def cancel_lines() -> Any:
        body = fields(body_of(request, dict), "", {"orderSellerId": text, "lines": _lines})
        order, first = world.order(body["orderSellerId"]), body["lines"][0]
        lines = [each["lineId"] for each in body["lines"]]
        made = world.request(order, lines, first["reason"], shipping=first["shippingCostRefund"])
        return show.request(made), 201

    @route("GET", "/order-cancellation-requests")
    def requests() -> Any:
        asked = Query(text=("orderSellerId", "cancellationRequestId"), cursor=True).read(request)
        found = [
            show.request(each)
            for each in world.requests
            if asked["orderSellerId"] in {None, each["order"]}
            and asked["cancellationRequestId"] in {None, each["id"]}
        ]
        return _leaf(found, asked)


def _lines(value: Any, name: str) -> None:
    if not isinstance(value, list) or not value:
        raise invalid(name, "must be a list")
    needed: dict[str, Check] = {
        "lineId": text,
        "offerId": text,
        "reason": text,
        "shippingCostRefund": yes_or_no,
    }
    for place, each in enumerate(value):
        fields(each, f"{name}[{place}].", needed)


def _gestures(route: _Route, world: World) -> None:
    @route("GET", "/orders/<number>/commercial-gestures-available-amounts")
    def allowed(number: str) -> Any:
        Query().read(request)
        return {"allowableAmount": money(world.allowable(world.order(number)))}

    @route("POST", "/order-commercial-gesture-requests")
    def give() -> Any:
        needed: dict[str, Check] = {
            "orderId": text,
            "reason": word("Other", "DeliveryDelay"),
            "amount": amount,
        }
        body = fields(body_of(request, dict), "", needed, {"reasonDetails": text})
        if body["reason"] == "Other" and not body.get("reasonDetails"):
            raise invalid("reasonDetails", "is required")
        order = world.order(body["orderId"])
        world.gesture(
            order, cents(body["amount"], "amount", 1), body["reason"], body.get("reasonDetails", "")
        )
        return "", 201

    @route("GET", "/order-commercial-gesture-requests")
    def gestures() -> Any:
        asked = Query(text=("orderId",), cursor=True).read(request)
        found = [show.gesture(each) for each in world.gestures if asked["orderId"] in {None, each["order"]}]
        return _leaf(found, asked)


def _packages(route: _Route, world: World) -> None:
    @route("POST", "/offer-packages")
    def new_package() -> Any:
        if request.headers.get("salesChannelId") != _CHANNEL:
            raise invalid("salesChannelId", "is required")
        body = fields(body_of(request, dict), "", {"packageType": word("Upsert", "Update", "Delete")})
        package = world.new_package(body["packageType"])
        where = f"{request.host_url.rstrip('/')}{PREFIX}/offer-packages/{package['id']}"
        return Response(status=201, headers={"Content-Location": where})

    @route("POST", "/offer-packages/<number>/offer-requests")
    def fill(number: str) -> Any:
        package, rows = world.package(number), body_of(request, list)
        if package["state"] != "WaitingForCompletion":
            raise invalid("packageId", f"is {package['state']}")
        if not 1 <= len(rows) <= 100 or len(package["rows"]) + len(rows) > 50_000:
            raise invalid("body", "1 to 100 offers, at most 50000 in a package")
        for place, row in enumerate(rows):
            _OFFERS[package["type"]](row, f"[{place}].")
        package["rows"] += rows
        return "", 201

    @route("PATCH", "/offer-packages/<number>")
    def make_ready(number: str) -> Any:
        fields(body_of(request, dict), "", {"state": word("Ready")})
        world.ready(world.package(number))
        return "", 204

    @route("GET", "/offer-packages/<number>")
    def package(number: str) -> Any:
        Query().read(request)
        found = world.package(number)
        world.ask_package(found)
        told = {"result": found["result"]} if found["result"] else {}
        return {"packageId": number, "packageType": found["type"], "state": found["state"], **told}

    @route("GET", "/offer-packages/<number>/offer-requests-results")
    def results(number: str) -> Any:
        asked = Query(cursor=True).read(request)
        return _leaf(world.package(number)["results"], asked)


def _sku(value: Any, name: str) -> str:
    return text(value, name, most=50)


def _upsert(row: Any, where: str) -> None:
    needed = {
        "sellerExternalReference": _sku, "product": _product, "condition": word("New"), "price": _price, "deliveryModes": _modes,
        "preparationTime": lambda value, name: whole(value, name, most=30), "quantity": whole,
    }  # fmt: skip
    fields(row, where, needed)


def _update(row: Any, where: str) -> None:
    more: dict[str, Check] = {
        "price": _new_price,
        "quantity": whole,
        "preparationTime": whole,
        "deliveryModes": _modes,
    }
    fields(row, where, {"sellerExternalReference": _sku}, more)
    if len(row) < 2:
        raise invalid(where, "says nothing")


def _delete(row: Any, where: str) -> None:
    fields(row, where, {"sellerExternalReference": _sku})


_OFFERS: Final = {"Upsert": _upsert, "Update": _update, "Delete": _delete}


def _product(value: Any, name: str) -> None:
    fields(value, f"{name}.", {"gtin": _gtin}, {"reference": text})


def _gtin(value: Any, name: str) -> None:
    if not isinstance(value, str) or not value.isdigit() or len(value) != 13:
        raise invalid(name, "must be 13 digits")


def _price(value: Any, name: str) -> None:
    fields(value, f"{name}.", {"price": _positive, "taxes": _taxes}, {"originPrice": _positive})


def _new_price(value: Any, name: str) -> None:
    fields(value, f"{name}.", {"price": _positive}, {"originPrice": _positive, "taxes": _taxes})


def _positive(value: Any, name: str) -> None:
    cents(value, name, 1)


def _taxes(value: Any, name: str) -> None:
    if not isinstance(value, list):
        raise invalid(name, "must be a list")
    for place, each in enumerate(value):
        fields(each, f"{name}[{place}].", {"code": word("VAT", "Ecotax"), "value": amount})


def _modes(value: Any, name: str) -> None:
    if not isinstance(value, list) or not value:
        raise invalid(name, "must be a list")
    for place, each in enumerate(value):
        fields(each, f"{name}[{place}].", {"code": text, "cost": amount, "additionalCost": amount})


def _offers(route: _Route, world: World) -> None:
    @route("GET", "/offers")
    def offers() -> Any:
        query = Query(
            text=("offerStates", "expand"),
            needed=("salesChannelId",),
            many=("sellerExternalReferences",),
            times=("updatedAtMin",),
            words={"salesChannelId": (_CHANNEL,), "expand": ("salesChannelFeedback",)},
            cursor=True,
        )
        asked = query.read(request)
        names = asked["sellerExternalReferences"]
        if len(names) > 100:
            raise invalid("sellerExternalReferences", "at most 100")
        found = [
            show.offer(world, each, feedback=asked["expand"] is not None)
            for each in world.offers.values()
            if (not names or each["sku"] in names)
            and (asked["updatedAtMin"] is None or each["updated_at"] >= asked["updatedAtMin"])
        ]
        return _leaf(found, asked)


def _products(route: _Route, world: World) -> None:
    @route("GET", "/products")
    def products() -> Any:
        asked = Query(text=("gtin",), cursor=True).read(request)
        found = [
            {"gtin": gtin, "title": title}
            for gtin, title in world.products.items()
            if asked["gtin"] in {None, gtin}
        ]
        return _leaf(found, asked)

    @route("POST", "/products-integration")
    def describe() -> Any:
        """One sheet of a package; its other sheets would have packages of their own here, so only one is taken."""
        if not request.headers.get("Accept-Language"):
            raise invalid("Accept-Language", "is required")
        body = fields(body_of(request, dict), "", {"products": _sheets})
        return {"packageId": world.new_sheet(body["products"][0])}, 201

    @route("GET", "/products-integration-reports")
    def report() -> Any:
        asked = Query(needed=("packageId",)).read(request)
        sheet = world.sheets.get(asked["packageId"])
        if sheet is None:
            raise not_found("Package")
        world.ask_sheet(sheet)
        return {"itemsPerPage": 25, "items": [show.sheet(sheet)] if sheet["status"] else []}


def _sheets(value: Any, name: str) -> None:
    if not isinstance(value, list) or len(value) != 1:
        raise invalid(name, "must be a list of one sheet")
    needed = {
        "gtin": _gtin, "sellerProductReference": _sku, "title": lambda each, at: text(each, at, most=132), "description": text,
        "brand": text, "sellerPictureUrls": _pictures, "categoryCode": text, "attributes": _attributes,
    }  # fmt: skip
    more: dict[str, Check] = {"richMarketingDescription": text, "variantGroupReference": text}
    fields(value[0], f"{name}[0].", needed, more)


def _pictures(value: Any, name: str) -> None:
    if not isinstance(value, list) or not value:
        raise invalid(name, "must be a list")
    for place, each in enumerate(value):
        fields(each, f"{name}[{place}].", {"index": whole, "url": text})


def _attributes(value: Any, name: str) -> None:
    if not isinstance(value, list):
        raise invalid(name, "must be a list")
    for place, each in enumerate(value):
        fields(each, f"{name}[{place}].", {"propertyReference": text, "values": texts})
