"""The part of simulated OTTO that is about goods: products and their processes, prices, switches, quantities, delivery information.

What may go wrong is refused as the real one refuses it (FACTS 7): too many rows, unknown SKUs, a process that is asked for too early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from flask import request

from app.sandbox.otto.wire import Field, OttoError, Query, Row, availability, checked, gateway, refused
from app.sandbox.otto.world import BRANDS, CATEGORIES, Seller, World, cents, money, stamp

_NUMBER: Final = (int, float)
_MONEY: Final = {"amount": Field(_NUMBER, needed=True), "currency": Field(str, needed=True, words=("EUR",))}
_PRODUCT: Final = {
    "productReference": Field(str, needed=True, least=1, most=50),
    "sku": Field(str, needed=True, least=1, most=50),
    "ean": Field(str, needed=True, least=8, most=14),
    "mpn": Field(str),
    "pzn": Field(str),
    "productDescription": Field(dict, needed=True),
    "mediaAssets": Field(list, needed=True, least=1),
    "pricing": Field(dict, needed=True),
    "compliance": Field(dict, needed=True),
    "order": Field(dict),
    "logistics": Field(dict),
    "releaseDate": Field(str),
}
_DESCRIPTION: Final = {
    "category": Field(str, needed=True, words=tuple(CATEGORIES)),
    "brandId": Field(str, needed=True, words=tuple(each[0] for each in BRANDS if each[2])),
    "attributes": Field(list),
    "description": Field(str, most=1999),
    "bulletPoints": Field(list),
    "productLine": Field(str),
    "multiPack": Field(bool),
    "bundle": Field(bool),
    "fscCertified": Field(bool),
    "disposal": Field(bool),
    "productUrl": Field(str),
    "productionDate": Field(str),
}
_PRICING: Final = {
    "standardPrice": Field(dict, needed=True),
    "vat": Field(str, needed=True, words=("FULL", "REDUCED", "FREE", "NONE")),
    "msrp": Field(dict),
    "sale": Field(dict),
    "normPriceInfo": Field(dict),
}
_CONTACT: Final = {
    "name": Field(str, needed=True, least=1, most=100),
    "address": Field(str, needed=True, least=1, most=200),
    "regionCode": Field(str, needed=True, least=2, most=2),
    "roles": Field(list, needed=True, least=1),
    "email": Field(str),
    "url": Field(str),
    "phone": Field(str),
    "components": Field(list),
}


class Route(Protocol):
    """Registers a view that gets the seller of the call."""

    def __call__(self, method: str, path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...


def register(route: Route, world: World) -> None:
    _products(route, world)
    _processes(route, world)
    _reference(route)
    _quantities(route, world)
    _delivery(route, world)


def _bad(where: str, why: str) -> OttoError:
    return refused(400, "INVALID_REQUEST_PARAMETER", f"{where}: {why}", request.path, f"$.{where}")


def _body() -> Any:
    body = request.get_json(silent=True)
    if body is None:
        raise gateway(400, "no JSON")
    return body


def _rows(most: int) -> list[Row]:
    body = _body()
    if not isinstance(body, list) or not 1 <= len(body) <= most:
        raise _bad("body", f"must be a list of 1 to {most}")
    return body


# --- products ------------------------------------------------------------------------------------------------------------


def _products(route: Route, world: World) -> None:
    def filters() -> tuple[str, ...]:
        return ("sku", "productReference", "category", "brandId")

    def mine(seller: Seller, asked: Row) -> list[Row]:
        return [each for each in world.products_of(seller) if asked["sku"] in {None, each["sku"]}]

    @route("POST", "/v5/products")
    def create(seller: Seller) -> Any:
        rows = [{"sku": each["sku"], "body": each} for each in _rows(500) if _is_product(each)]
        return world.process_json(world.start(seller, "products", rows)), 202

    @route("POST", "/v5/products/prices")
    def change_prices(seller: Seller) -> Any:
        fields = {
            "sku": Field(str, needed=True),
            "standardPrice": Field(dict, needed=True),
            "sale": Field(dict),
        }
        rows = _rows(500)
        for each in rows:
            checked(each, fields, "", _bad)
            _amount(each["standardPrice"], "standardPrice.")
        process = world.start(seller, "prices", [{"sku": each["sku"], "body": each} for each in rows])
        return world.process_json(process), 202

    @route("POST", "/v5/products/active-status")
    def switch(seller: Seller) -> Any:
        rows = checked(_body(), {"status": Field(list, needed=True, least=1, most=500)}, "", _bad)["status"]
        for each in rows:
            checked(
                each, {"sku": Field(str, needed=True), "active": Field(bool, needed=True)}, "status.", _bad
            )
        process = world.start(seller, "active", [{"sku": each["sku"], "body": each} for each in rows])
        return world.process_json(process), 202

    @route("GET", "/v5/products/marketplace-status")
    def statuses(seller: Seller) -> Any:
        words = ("PENDING", "ONLINE", "RESTRICTED", "REJECTED", "INACTIVE")
        more = (*filters(), "sortOrder")
        asked = Query(more, ("fromDate",), {"marketPlaceStatus": words}, 1000, 100, 0).read(request)
        return _page([world.status_json(each) for each in mine(seller, asked)], asked, "marketPlaceStatus")

    @route("GET", "/v5/products/prices")
    def prices(seller: Seller) -> Any:
        asked = Query(filters(), (), None, 100, 100, 0).read(request)
        rows = [{"sku": each["sku"], "standardPrice": money(each["price"])} for each in mine(seller, asked)]
        return _page(rows, asked, "variationPrices")


def _page(rows: Sequence[Row], asked: Row, name: str) -> Row:
    """Pages by number from 0, with links as the products interface has them."""
    start = asked["page"] * asked["limit"]
    query = {k: v for k, v in request.args.items() if k not in {"page", "limit"}}

    def link(rel: str, page: int) -> Row:
        return {
            "rel": rel,
            "href": f"{request.path}?{urlencode(query | {'page': page, 'limit': asked['limit']})}",
        }

    links = [link("self", asked["page"])]
    if start + asked["limit"] < len(rows):
        links.append(link("next", asked["page"] + 1))
    return {name: list(rows[start : start + asked["limit"]]), "links": links}


def _amount(data: object, where: str) -> None:
    amount = cents(checked(data, _MONEY, where, _bad)["amount"])
    if amount is None or amount < 1:
        raise _bad(f"{where}amount", "must have at most two digits and be positive")


def _is_product(row: object) -> bool:
    """Raises OttoError for a product that is not well formed; what the catalogue says of it comes with the process."""
    data = checked(row, _PRODUCT, "", _bad)
    description = checked(data["productDescription"], _DESCRIPTION, "productDescription.", _bad)
    pricing = checked(data["pricing"], _PRICING, "pricing.", _bad)
    _amount(pricing["standardPrice"], "pricing.standardPrice.")
    if data["ean"].startswith("2") or not data["ean"].isdigit():
        raise _bad("ean", "must not start with 2")
    for each in data["mediaAssets"]:
        checked(
            each, {"type": Field(str, needed=True), "location": Field(str, needed=True)}, "mediaAssets.", _bad
        )
    given = {each["name"] for each in description.get("attributes", []) if each.get("values")}
    if lacking := [each for each in CATEGORIES[description["category"]] if each not in given]:
        raise _bad("productDescription.attributes", f"{lacking[0]} is mandatory")
    _is_safe(data["compliance"])
    return True


def _is_safe(compliance: Row) -> None:
    safety = checked(
        compliance,
        {"productSafety": Field(dict, needed=True), "foodInformation": Field(dict)},
        "compliance.",
        _bad,
    )
    where = "compliance.productSafety."
    addresses = checked(
        safety["productSafety"], {"addresses": Field(list, needed=True, least=1)}, where, _bad
    )["addresses"]
    for each in addresses:
        checked(each, _CONTACT, f"{where}addresses.", _bad)
        if not (each.get("email") or each.get("url")):
            raise _bad(f"{where}addresses.email", "or url is mandatory")
    if not any("DISTRIBUTOR" in each["roles"] for each in addresses):
        raise _bad(f"{where}addresses", "a DISTRIBUTOR is mandatory")


def _processes(route: Route, world: World) -> None:
    def process_of(seller: Seller, process_id: str) -> Row:
        process = world.processes.get(process_id)
        if process is None or process["seller"] != seller.client_id:
            raise refused(404, "Not Found", "process is not known", request.path)
        return process

    @route("GET", "/v5/products/update-tasks/<process_id>")
    def progress(seller: Seller, process_id: str) -> Any:
        process = process_of(seller, process_id)
        if world.now() < process["ping_after"]:
            world.violations.append(f"process {process_id} was asked for before pingAfter")
        process["asked"] += 1
        if process["asked"] > world.conduct.process_asks:
            world.finish(process)
        return world.process_json(process)

    @route("GET", "/v5/products/update-tasks/<process_id>/<list_name>")
    def results(seller: Seller, process_id: str, list_name: str) -> Any:
        process = process_of(seller, process_id)
        if list_name not in {"failed", "succeeded", "unchanged"}:
            raise refused(404, "Not Found", "no such list", request.path)
        rows = process[list_name]
        return {"results": [{"variation": each["sku"], "errors": each.get("errors", [])} for each in rows]}


def _reference(route: Route) -> None:
    @route("GET", "/v5/products/brands")
    def brands(_: Seller) -> Any:
        asked = Query((), (), None, 1000, 100, 0).read(request)
        rows = [
            {"id": identity, "name": name, "logo": "", "usable": usable} for identity, name, usable in BRANDS
        ]
        return _page(rows, asked, "brands")

    @route("GET", "/v5/products/categories")
    def categories(_: Seller) -> Any:
        asked = Query(("category",), (), None, 2000, 100, 0).read(request)
        groups = [_group(name) for name in CATEGORIES if asked["category"] in {None, name}]
        return _page(groups, asked, "categoryGroups")


def _group(name: str) -> Row:
    attributes = [
        {"name": each, "featureRelevance": ["LEGAL"], "relevance": "HIGH", "type": "STRING"}
        for each in CATEGORIES[name]
    ]
    attributes.append(
        {
            "name": "Pflegehinweise",
            "featureRelevance": ["BUYING_DECISION"],
            "relevance": "LOW",
            "type": "STRING",
        }
    )
    return {
        "categoryGroup": name,
        "categories": [name],
        "attributes": attributes,
        "variationThemes": [],
        "title": "{brand}",
    }


# --- availability --------------------------------------------------------------------------------------------------------


def _next(rows: Sequence[Row], asked: Row) -> tuple[list[Row], str | None]:
    """Pages by the cursor, which is the last SKU of the page before."""
    ordered = sorted(rows, key=lambda each: str(each["sku"]))
    rest = [each for each in ordered if each["sku"] > (asked["cursor"] or "")]
    page = rest[: asked["limit"]]
    more = len(rest) > len(page)
    query = urlencode({"cursor": page[-1]["sku"], "limit": asked["limit"]}) if more else None
    return page, f"{request.path}?{query}" if query else None


def _quantities(route: Route, world: World) -> None:
    def shown(product: Row) -> Row:
        return {
            "sku": product["sku"],
            "quantity": product["quantity"],
            "lastModified": stamp(product["at"]),
            "links": [],
        }

    def known(seller: Seller) -> Iterable[Row]:
        return [each for each in world.products_of(seller) if each["moin"]]

    @route("GET", "/v1/availability/quantities")
    def quantities(seller: Seller) -> Any:
        asked = Query(("cursor",), (), None, 200, 200, 0).read(request)
        page, href = _next([shown(each) for each in known(seller)], asked)
        return {"resources": {"variations": page}, "links": [{"rel": "next", "href": href}] if href else []}

    @route("GET", "/v1/availability/quantities/<sku>")
    def quantity(seller: Seller, sku: str) -> Any:
        product = world.with_moin(seller, sku)
        if product is None:
            raise availability(404, "Not Found", "SKU is unknown")
        return {name: value for name, value in shown(product).items() if name != "links"}

    @route("POST", "/v1/availability/quantities")
    def store(seller: Seller) -> Any:
        rows = _body()
        if isinstance(rows, list) and len(rows) > 200:
            raise _unprocessable(413, "at most 200")
        fields = {
            "sku": Field(str, needed=True),
            "quantity": Field(int, needed=True, least=0, most=999_999_999),
        }
        for each in rows if isinstance(rows, list) and rows else [None]:
            checked(each, fields, "", lambda where, why: _unprocessable(422, f"{where} {why}"))
        taken = [each for each in rows if world.with_moin(seller, each["sku"])]
        for each in taken:
            product = world.products[seller.client_id, each["sku"]]
            product |= {"quantity": each["quantity"], "at": world.now()}
        results = [shown(world.products[seller.client_id, each["sku"]]) for each in taken]
        errors = [_error(422, f"SKU is unknown: {each['sku']}") for each in rows if each not in taken]
        if not taken:
            return {"errors": errors}, 422
        return ({"results": results, "errors": errors}, 207) if errors else ({"results": results}, 200)


def _error(code: int, detail: str) -> Row:
    return {
        "code": code,
        "title": "Unprocessable Entity",
        "detail": detail,
        "path": request.path,
        "logref": "log-1",
    }


def _unprocessable(status: int, detail: str) -> OttoError:
    return OttoError(status, {"errors": [_error(status, detail)]})


def _delivery(route: Route, world: World) -> None:
    @route("GET", "/v1/shipping-profiles")
    def profiles(_: Seller) -> Any:
        Query(("cursor",)).read(request)
        shown = [
            {
                "shippingProfileId": identity,
                "shippingProfileName": "Paket Standard" if kind == "PARCEL" else "Spedition",
                "workingDays": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"],
                "orderCutoff": "12:00",
                "deliveryType": kind,
                "defaultProcessingTime": 2,
                "transportTime": 2,
            }
            for identity, kind in world.profiles.items()
        ]
        return {"results": shown, "links": {}}

    @route("GET", "/v1/availability/product-delivery-information")
    def deliveries(seller: Seller) -> Any:
        asked = Query(("cursor",), (), None, 200, 200).read(request)
        rows = [
            {"sku": each["sku"], **each["delivery"]} for each in world.products_of(seller) if each["delivery"]
        ]
        page, href = _next(rows, asked)
        return {"results": page, "links": {"rel": "next", "href": href} if href else {}}

    @route("GET", "/v1/availability/product-delivery-information/<sku>")
    def delivery(seller: Seller, sku: str) -> Any:
        product = world.product_of(seller, sku)
        if product is None or not product["delivery"]:
            raise availability(404, "Not Found", "SKU is unknown")
        return {"sku": sku, **product["delivery"]}

    @route("POST", "/v1/availability/product-delivery-information")
    def store_delivery(seller: Seller) -> Any:
        rows = _body()
        if not isinstance(rows, list) or not 1 <= len(rows) <= 200:
            raise availability(400, "Bad Request", "1 to 200 rows")
        for each in rows:
            _is_delivery(each, world.profiles)
        if len({each["sku"] for each in rows}) < len(rows):
            raise availability(400, "Bad Request", "a SKU is there twice")
        results, unknown = [], []
        for each in rows:
            product = world.with_moin(seller, each["sku"])
            if product is None:
                unknown.append(each["sku"])
                continue
            product["delivery"] = {name: each[name] for name in ("shippingProfileId", "processingTime")}
            product["at"] = world.now()
            results.append(each)
        if not unknown:
            return {"message": "accepted"}, 202
        told = availability(400, "Bad Request", *(f"SKU is unknown: {sku}" for sku in unknown))
        return ({"results": results, "errors": told.body}, 207) if results else (told.body, 400)


def _is_delivery(row: object, profiles: Iterable[str]) -> None:
    fields = {
        "sku": Field(str, needed=True),
        "shippingProfileId": Field(str, needed=True, words=tuple(profiles)),
        "processingTime": Field(str, needed=True),
    }
    data = checked(row, fields, "", lambda where, why: availability(400, "Bad Request", f"{where} {why}"))
    days = data["processingTime"]
    if days != "DEFAULT" and not (days.isdigit() and 1 <= int(days) <= 99):
        raise availability(400, "Bad Request", "processingTime must be DEFAULT or 1 to 99")
