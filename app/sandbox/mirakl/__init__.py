"""A simulated Mirakl operator over real HTTP: `create_app()` is a Flask app that keeps state and checks what the real one checks.

It lives under /api like the real one. What may go wrong on request: see app/sandbox/faults.py. Where Mirakl's description is silent (error
bodies, names in error reports) the choice made here is marked in docs/marketplaces/mirakl.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Final

from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import HTTPException

from app.sandbox import Simulator
from app.sandbox.faults import Faults, install
from app.sandbox.mirakl import show
from app.sandbox.mirakl.control import control
from app.sandbox.mirakl.wire import (
    ExactJson,
    ProblemError,
    Query,
    cents,
    check_key,
    entries,
    error_file,
    invalid,
    json_body,
    needed,
    only,
    product_error_file,
    uploaded,
)
from app.sandbox.mirakl.world import DEMO_KEY, Row, World

__all__ = ["SIMULATOR", "World", "create_app"]

# Most calls within seconds for one shop (FACTS 1). Only kept with Conduct.frequency: further pages are counted as looks there.
FREQUENCY: Final[Mapping[str, tuple[int, float]]] = {
    "orders": (1, 60), "import_offers": (1, 60), "import_stock": (1, 60), "import_prices": (1, 60), "offers_status": (1, 60),
    "stock_status": (4, 60), "prices_status": (1, 60), "offers_errors": (1, 60), "stock_errors": (1, 60), "prices_errors": (1, 60),
    "import_products": (1, 900), "product_status": (1, 60), "attributes": (1, 3600), "returns": (1, 300), "account": (1, 86_400), "change_account": (1, 86_400), "carriers": (1, 86_400),
}  # fmt: skip
# What is asked for by its number is no look at a list.
_BY_ID: Final = frozenset({"order_ids", "return_id", "order_line_id"})
_ORDER_STATES: Final = (
    "STAGING", "WAITING_ACCEPTANCE", "WAITING_DEBIT", "WAITING_DEBIT_PAYMENT", "SHIPPING", "SHIPPED", "TO_COLLECT", "RECEIVED", "CLOSED",
    "REFUSED", "CANCELED",
)  # fmt: skip
_REJECTIONS: Final = (
    "RETURN_REJECTION_NOT_ELIGIBLE", "RETURN_REJECTION_NOT_NEEDED", "RETURN_REJECTION_WINDOW_CLOSED",
)  # fmt: skip
_MONEY: Final = (
    "order_line_id", "amount", "shipping_amount", "quantity", "reason_code", "currency_iso_code", "taxes", "shipping_taxes", "fees",
)  # fmt: skip

View = Callable[..., Any]


def create_app(state: World | int | None = None, faults: Faults | None = None) -> Flask:
    """The simulator. Without a world it has one shop with a known key (world.DEMO_KEY) and numbers from `state` on."""
    app = Flask("shopbridge_mirakl")
    app.json = ExactJson(app)
    world = state if isinstance(state, World) else World(state or 1)
    faults = faults or Faults()
    app.extensions["mirakl"] = world
    app.extensions["faults"] = faults
    install(app, faults, lambda status: {"status": status, "message": f"error {status}"})
    app.register_error_handler(ProblemError, _problem)
    app.register_error_handler(HTTPException, _http_error)
    app.register_blueprint(_api(world), url_prefix="/api")
    control(app, world, faults)
    return app


SIMULATOR = Simulator(
    key="mirakl",
    name="Mirakl (ePRICE)",
    port=8096,
    prefix="",
    settings={
        "operator": "eprice",
        "host": "https://eprice.mirakl.example",
        "api_key": DEMO_KEY,
        "multi_shipment": True,
    },
    create_app=create_app,
    plays="eprice",
)


def _problem(problem: ProblemError) -> Any:
    headers = {"Retry-After": str(problem.retry_after)} if problem.retry_after else {}
    return problem.body(), problem.status, headers


def _http_error(error: HTTPException) -> Any:
    return ProblemError(error.code or 500, error.description or error.name).body(), error.code or 500


class _Route:
    """Registers views that run for the holder of the key, within the pace, under the world's lock."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pages = Blueprint("mirakl_api", __name__)

    def __call__(self, method: str, path: str) -> Callable[[View], View]:
        def register(view: View) -> View:
            @wraps(view)
            def guarded(**names: Any) -> Any:
                with self.world.lock:
                    self._let_in(view.__name__)
                    return view(**names)

            self.pages.add_url_rule(path, view.__name__, guarded, methods=[method], strict_slashes=False)
            return view

        return register

    def _let_in(self, name: str) -> None:
        world = self.world
        check_key(request, world.keys)
        if request.args.get("shop_id", str(world.shop["shop_id"])) != str(world.shop["shop_id"]):
            raise ProblemError(403, "Your user has no access to this shop")
        world.pace.take("all", world.conduct.per_second, 1, world.now())
        if world.conduct.frequency and name in FREQUENCY and not _BY_ID & set(request.args):
            most, seconds = FREQUENCY[name]
            world.pace.take(name, most, seconds, world.now())
        world.tick()


def _api(world: World) -> Blueprint:
    route = _Route(world)
    _reference(route, world)
    _orders(route, world)
    _shipping(route, world)
    _money(route, world)
    _returns(route, world)
    _offers(route, world)
    _imports(route, world)
    _products(route, world)
    return route.pages


def _leaf(rows: Sequence[Row], asked: Row) -> Row:
    """A page of a list that is turned by tokens; the token is only a number here."""
    start, size = asked["page_token"], asked["limit"]
    more = {"next_page_token": str(start + size)} if start + size < len(rows) else {}
    return {"data": list(rows[start : start + size]), **more}


def _reference(route: _Route, world: World) -> None:
    @route("GET", "/platform/configuration")
    def platform() -> Any:
        Query().read(request)
        return show.platform(world.conduct)

    @route("GET", "/account")
    def account() -> Any:
        Query().read(request)
        return show.account(world)

    @route("PUT", "/account")
    def change_account() -> Any:
        body = json_body(request)
        only(body, "closed_from", "closed_to")
        if world.conduct.dates_locked:
            message = "You are not allowed to update the closing dates. Please contact your operator."
            code = "shop.closed_dates_cannot_be_updated_by_this_user"
            return {"errors": [{"code": code, "field": "closed_from", "message": message}], "updated": None}
        for name in ("closed_from", "closed_to"):
            if body.get(name) is not None:
                needed(body, name, str)
        world.closed = body.get("closed_from", world.closed[0]), body.get("closed_to", world.closed[1])
        return {"errors": [], "updated": show.updated_account(world)}

    @route("GET", "/additional_fields")
    def fields() -> Any:
        Query(("entities",)).read(request)
        return show.additional_fields(world.conduct)

    @route("GET", "/shipping/carriers")
    def carriers() -> Any:
        Query().read(request)
        return show.carriers()

    @route("GET", "/reasons")
    def reasons() -> Any:
        Query().read(request)
        return show.reasons()

    @route("GET", "/products")
    def products() -> Any:
        asked = Query(("product_references",)).read(request)
        wanted = [each.split("|") for each in (asked["product_references"] or "").split(",")]
        if not 1 <= len(wanted) <= 100 or any(len(each) != 2 or not all(each) for each in wanted):
            raise invalid("product_references must be 1 to 100 of <type>|<number>")
        found = [world.products[n] for kind, n in wanted if kind == "EAN" and n in world.products]
        return {"products": [show.product(each) for each in found], "total_count": len(found)}


def _orders(route: _Route, world: World) -> None:
    @route("GET", "/orders")
    def orders() -> Any:
        asked = Query(
            ("order_ids", "order_state_codes"),
            ("start_update_date", "end_update_date", "start_date", "end_date"),
            sorts=("dateCreated",),
            pages="offset",
        ).read(request)
        states = (asked["order_state_codes"] or ",".join(_ORDER_STATES)).split(",")
        if set(states) - set(_ORDER_STATES):
            raise invalid("order_state_codes")
        ids = (asked["order_ids"] or "").split(",") if asked["order_ids"] else None
        if ids is not None and len(ids) > 100:
            raise invalid("at most 100 order_ids")
        rows = [
            order
            for order in world.orders.values()
            if order["state"] in states
            and (ids is None or order["id"] in ids)
            and (not asked["start_date"] or order["at"] >= asked["start_date"])
            and (not asked["start_update_date"] or order["updated_at"] >= asked["start_update_date"])
        ]
        page = rows[asked["offset"] : asked["offset"] + asked["max"]]
        return {"orders": [show.order(world, each) for each in page], "total_count": len(rows)}

    @route("PUT", "/orders/<number>/accept")
    def accept(number: str) -> Any:
        body = json_body(request)
        only(body, "order_lines")
        decisions = entries(body, "order_lines", 10_000)
        for each in decisions:
            only(each, "id", "accepted")
            needed(each, "id", str), needed(each, "accepted", bool)
        world.accept(number, decisions)
        return "", 204


def _shipping(route: _Route, world: World) -> None:
    @route("PUT", "/orders/<number>/tracking")
    def track(number: str) -> Any:
        body = json_body(request)
        only(body, "carrier_code", "carrier_name", "carrier_url", "carrier_standard_code", "tracking_number")
        world.track(number, body)
        return "", 204

    @route("PUT", "/orders/<number>/ship")
    def ship(number: str) -> Any:
        world.ship(number)
        return "", 204

    @route("POST", "/shipments")
    def ship_parcels() -> Any:
        if not world.conduct.multi_shipment:
            raise ProblemError(403, "Multi-shipment is not enabled")
        wanted = entries(json_body(request), "shipments", 1000)
        done, errors = [], []
        for each in wanted:
            _check_shipment(each)
        for each in wanted:
            try:
                done.append(show.shipment(world.ship_parcel(each)))
            except ProblemError as problem:
                errors.append({"order_id": each["order_id"], "message": problem.message})
        return {"shipment_success": done, "shipment_errors": errors}, 201

    @route("GET", "/shipments")
    def shipments() -> Any:
        asked = Query(
            many=("order_id", "shipment_state_code"), times=("last_updated_from",), pages="seek"
        ).read(request)
        rows = [
            show.shipment(each) | {"status": show.shipment_state(world, each)}
            for each in world.shipments
            if not asked["order_id"] or each["order"] in asked["order_id"]
        ]
        return _leaf(rows, asked)


def _check_shipment(each: Row) -> None:
    only(each, "order_id", "shipment_lines", "shipped", "tracking", "invoice_reference", "shipping_from")
    needed(each, "order_id", str)
    if each.get("shipped") is not True:
        raise invalid("this simulator knows only shipments that are shipped at once")
    for line in entries(each, "shipment_lines", 1000):
        only(line, "order_line_id", "quantity", "package_reference", "offer_sku")
        needed(line, "order_line_id", str), needed(line, "quantity", int)
    if "tracking" in each:
        only(
            needed(each, "tracking", dict),
            "carrier_code", "carrier_name", "carrier_standard_code", "tracking_number", "tracking_url",
        )  # fmt: skip


def _money(route: _Route, world: World) -> None:
    @route("PUT", "/orders/cancel")
    def cancel() -> Any:
        wanted = _money_entries(world, "cancelations", ())
        made = world.cancel(wanted)
        return {"cancelations": [show.cancelation(each) for each in made], "order_tax_mode": _mode(world)}

    @route("PUT", "/orders/refund")
    def refund() -> Any:
        wanted = _money_entries(world, "refunds", ("excluded_from_shipment", "tax_legal_notice"))
        made = world.refund(wanted)
        return {"refunds": [show.refund(each) for each in made], "order_tax_mode": _mode(world)}


def _mode(world: World) -> str:
    return world.conduct.tax_mode


def _money_entries(world: World, name: str, more: tuple[str, ...]) -> list[Row]:
    """Entries of OR28 and OR30 with their amounts in minor units and each tax as one number."""
    body = json_body(request)
    only(body, name, "order_tax_mode")
    if body.get("order_tax_mode", _mode(world)) != _mode(world):
        raise invalid("order_tax_mode is not that of the order")
    found = []
    for each in entries(body, name, 1000):
        only(each, *_MONEY, *more)
        line = world.line_of(needed(each, "order_line_id", str))[1]
        needed(each, "reason_code", (str, int))
        found.append(
            {
                "order_line_id": line["id"],
                "quantity": needed(each, "quantity", int),
                "reason_code": str(each["reason_code"]),
                "currency_iso_code": each.get("currency_iso_code", world.shop["currency"]),
                "amount": cents(each.get("amount"), "amount"),
                "shipping_amount": cents(each.get("shipping_amount"), "shipping_amount"),
                "tax": _tax(each, "taxes", line["tax"]),
                "shipping_tax": _tax(each, "shipping_taxes", line["shipping_tax"]),
            }
        )
    return found


def _tax(each: Row, name: str, whole: int) -> int:
    """Taxes are required when the order has them (OR28, OR30)."""
    if name not in each and whole:
        raise invalid(f"{name} is mandatory for this order")
    total = 0
    for tax in each.get(name) or []:
        if tax.get("code") != show.TAX_CODE:
            raise invalid(f"{name}: the tax code {tax.get('code')} is unknown")
        total += cents(tax.get("amount"), name)
    return total


def _returns(route: _Route, world: World) -> None:
    @route("GET", "/returns")
    def returns() -> Any:
        asked = Query(
            many=("return_id", "return_state", "order_line_id", "order_commercial_id"),
            times=("return_last_updated_from", "return_creation_date_from"),
            sorts=("date_created",),
            pages="seek",
        ).read(request)
        since = asked["return_last_updated_from"]
        rows = [
            show.returned(each)
            for each in world.returns.values()
            if (not asked["return_id"] or each["id"] in asked["return_id"])
            and (not asked["order_line_id"] or set(each["lines"]) & set(asked["order_line_id"]))
            and (not asked["return_state"] or each["state"] in asked["return_state"])
            and (not since or each["updated_at"] >= since)
        ]
        return _leaf(rows, asked)

    @route("PUT", "/returns/accept")
    def accept_returns() -> Any:
        wanted = entries(json_body(request), "returns", 100)
        for each in wanted:
            only(each, "id", "accepted", "rejection_reason_code")
            if not needed(each, "accepted", bool) and each.get("rejection_reason_code") not in _REJECTIONS:
                raise invalid("rejection_reason_code")
        return _moved(world, [(each, "accept" if each["accepted"] else "refuse") for each in wanted])

    @route("PUT", "/returns/compliance")
    def compliant_returns() -> Any:
        wanted = entries(json_body(request), "returns", 100)
        for each in wanted:
            only(each, "id", "return_lines")
            _check_compliance(each)
        done, errors = [], []
        for each in wanted:
            try:
                world.judge_return(needed(each, "id", str), each["return_lines"])
                done.append({"id": each["id"]})
            except ProblemError as problem:
                errors.append({"id": each["id"], "message": problem.message})
        return {"return_success": done, "return_errors": errors}

    for path, deed in (("receive", "receive"), ("close", "close")):

        def moved(deed: str = deed) -> Any:
            wanted = entries(json_body(request), "returns", 100)
            return _moved(world, [(each, deed) for each in wanted])

        moved.__name__ = f"{deed}_returns"
        route("PUT", f"/returns/{path}")(moved)


def _check_compliance(wanted: Row) -> None:
    """A line that is not as it should be needs one of the published reasons (RT26)."""
    for each in entries(wanted, "return_lines", 1000):
        only(
            each,
            "order_line_id", "compliant", "non_compliance_reason_code", "non_compliance_additional_info",
        )  # fmt: skip
        needed(each, "order_line_id", str)
        reason = str(each.get("non_compliance_reason_code"))
        if not needed(each, "compliant", bool) and not reason.startswith("RETURN_NON_COMPLIANT_"):
            raise invalid("non_compliance_reason_code")


def _moved(world: World, wanted: Sequence[tuple[Row, str]]) -> Row:
    done, errors = [], []
    for each, deed in wanted:
        try:
            world.move_return(needed(each, "id", str), deed)
            done.append({"id": each["id"]})
        except ProblemError as problem:
            errors.append({"id": each["id"], "message": problem.message})
    return {"return_success": done, "return_errors": errors}


def _offers(route: _Route, world: World) -> None:
    @route("GET", "/offers")
    def offers() -> Any:
        asked = Query(
            ("sku", "product_id"), sorts=("totalPrice", "price", "productTitle"), pages="offset"
        ).read(request)
        rows = [each for each in world.offers.values() if asked["sku"] in {None, each["sku"]}]
        rows.sort(key=lambda each: (show.title(world, each), each["sku"]))
        page = rows[asked["offset"] : asked["offset"] + asked["max"]]
        return {"offers": [show.offer(world, each) for each in page], "total_count": len(rows)}


def _imports(route: _Route, world: World) -> None:
    @route("POST", "/offers/imports")
    def import_offers() -> Any:
        if request.form.get("import_mode") != "NORMAL":
            # REPLACE would delete what is not in the file; nobody should ever send it.
            raise invalid("import_mode must be NORMAL here")
        return {"import_id": int(world.take_import("OF01", uploaded(request)))}, 201

    @route("POST", "/offers/stock/imports")
    def import_stock() -> Any:
        return {"import_id": world.take_import("STO01", _rows("offer-sku", "quantity"))}, 201

    @route("POST", "/offers/pricing/imports")
    def import_prices() -> Any:
        return {"import_id": world.take_import("PRI01", _rows("offer-sku", "price"))}, 201

    @route("GET", "/offers/imports/<number>")
    def offers_status(number: str) -> Any:
        return show.offer_import(world.ask_import("OF01", number))

    @route("GET", "/offers/stock/imports/<number>/status")
    def stock_status(number: str) -> Any:
        return show.stock_import(world.ask_import("STO01", number), world.shop["shop_id"])

    @route("GET", "/offers/pricing/imports")
    def prices_status() -> Any:
        asked = Query(many=("import_id",), pages="seek").read(request)
        known = [each for each in asked["import_id"] if each in world.imports]
        rows = [show.price_import(world.ask_import("PRI01", n), world.shop["shop_id"]) for n in known]
        return _leaf(rows, asked)

    @route("GET", "/offers/imports/<number>/error_report")
    def offers_errors(number: str) -> Any:
        return _report(world, "OF01", number, "application/octet-stream")

    @route("GET", "/offers/stock/imports/<number>/error_report")
    def stock_errors(number: str) -> Any:
        return _report(world, "STO01", number, "text/csv")

    @route("GET", "/offers/pricing/imports/<number>/error_report")
    def prices_errors(number: str) -> Any:
        return _report(world, "PRI01", number, "text/csv")


def _products(route: _Route, world: World) -> None:
    @route("GET", "/products/attributes")
    def attributes() -> Any:
        asked = Query(("hierarchy", "max_level", "all_operator_attributes", "with_roles")).read(request)
        if asked["max_level"] is not None and not asked["max_level"].isdigit():
            raise invalid("max_level must be a number")
        every = world.conduct.attributes
        found = every if asked["hierarchy"] is None else world.wanted_of(asked["hierarchy"])
        return {"attributes": [show.attribute(each) for each in found]}

    @route("POST", "/products/imports")
    def import_products() -> Any:
        only(request.form, "operator_format", "conversion_type", "conversion_options")
        if request.form.get("operator_format") != "true":
            # Without it the columns are read by the mapping that the seller has made in the back office; there is none here.
            raise invalid("this simulator knows only the operator's format")
        return {"import_id": int(world.take_products(uploaded(request)))}, 201

    @route("GET", "/products/imports/<number>")
    def product_status(number: str) -> Any:
        return show.product_import(world, world.ask_import("P41", number))

    @route("GET", "/products/imports/<number>/error_report")
    def product_errors(number: str) -> Any:
        return _product_report(world, number, "errors")

    @route("GET", "/products/imports/<number>/transformation_error_report")
    def first_product_errors(number: str) -> Any:
        return _product_report(world, number, "first_errors")


def _product_report(world: World, number: str, name: str) -> Response:
    """The rows of the file with the columns "errors" and "warnings"; with Conduct.product_report "own" the operator's own form."""
    found = world.imports.get(number)
    if found is None or found["kind"] != "P41" or not found[name]:
        raise ProblemError(404, "No error report")
    own = world.conduct.product_report == "own"
    text = "<rapporto/>" if own else product_error_file(found[name])
    return Response(text, 200, content_type="application/octet-stream")


def _rows(*names: str) -> list[dict[str, str]]:
    rows = uploaded(request)
    if rows and set(names) - set(rows[0]):
        raise invalid(f"the columns {', '.join(names)} are needed")
    return rows


def _report(world: World, kind: str, number: str, content_type: str) -> Response:
    found = world.imports.get(number)
    if found is None or found["kind"] != kind or not found["errors"]:
        raise ProblemError(404, "No error report")
    return Response(error_file(found["errors"]), 200, content_type=content_type)
