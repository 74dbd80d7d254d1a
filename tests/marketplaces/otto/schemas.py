"""Checks calls and answers against the JSON schemas of OTTO's interfaces, where they are at hand (../shared/specs beside the repository).

The schemas were rebuilt from a generated client; what is known to be wrong in them is mended here (`_mended`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "specs" / "otto"
FILE = FOLDER / "schemas-reconstructed.json"
EXAMPLES = FOLDER / "examples"

# (method, path, schema of the request, status -> schema of the answer); None: there is no body, or the file has no schema for it.
OPERATIONS: tuple[tuple[str, str, str | None, dict[int, str | None]], ...] = (
    ("GET", "/v4/orders", None, {200: "PartnerOrderListOrdersV4"}),
    ("GET", "/v4/orders/[^/]+", None, {200: "PartnerOrderOrdersV4", 404: None}),
    ("POST", "/v4/orders/[^/]+/positionItems/[^/]+/cancellation", None, {202: None, 409: None, 400: None}),
    ("POST", "/v1/shipments", "CreateShipmentRequestShipmentsV1", {201: "CreateShipmentResponseShipmentsV1", 400: "BadRequestShipmentsV1", 409: "ConflictShipmentsV1"}),
    ("GET", "/v1/shipments/carriers/[^/]+/trackingnumbers/[^/]+", None, {200: "ShipmentShipmentsV1", 404: None}),
    ("POST", "/v1/shipments/carriers/[^/]+/trackingnumbers/[^/]+/positionitems", "[PositionItemShipmentsV1]", {200: None, 400: None, 409: "ConflictAddPositionItemByTrackingNumberShipmentsV1"}),
    ("POST", "/v1/multiparcel-shipments", "[MultiparcelCreateShipmentRequestShipmentsV1]", {201: "CreateMultiparcelShipmentResponseShipmentsV1", 409: "ConflictMultiparcelShipmentsV1", 400: None}),
    ("GET", "/v3/returns", None, {200: "PositionItemListReturnsV3"}),
    ("POST", "/v3/returns/acceptance", "AcceptedPartnerReturnV3ReturnsV3", {200: None, 207: "AcceptedReturnMultiStatusResponseReturnsV3", 422: "ApiErrorResponseV3ReturnsV3"}),
    ("POST", "/v3/returns/rejection", "RejectedPartnerReturnV3ReturnsV3", {200: None, 207: "RejectedReturnMultiStatusResponseReturnsV3", 422: "ApiErrorResponseV3ReturnsV3"}),
    ("GET", "/v1/return-shipments", None, {200: "ReturnShipmentListReturnShipmentsV1"}),
    ("POST", "/v1/price-reductions", "PartnerPriceReductionRequestPriceReductionsV1", {202: "AcceptedPriceReductionResponsePriceReductionsV1", 400: None, 404: None, 409: None}),
    ("GET", "/v1/price-reductions", None, {200: "PriceReductionsResponsePriceReductionsV1"}),
    ("POST", "/v5/products", "[ProductVariationProductsV5]", {202: "ProductProcessProgressProductsV5", 400: None}),
    ("POST", "/v5/products/prices", "[SkuPricingProductsV5]", {202: "ProductProcessProgressProductsV5", 400: None}),
    ("POST", "/v5/products/active-status", "ActiveStatusListRequestProductsV5", {202: "ProductProcessProgressProductsV5", 400: None}),
    ("GET", "/v5/products/marketplace-status", None, {200: "MarketPlaceStatusApiResultProductsV5"}),
    ("GET", "/v5/products/prices", None, {200: "PriceApiResultProductsV5"}),
    ("GET", "/v5/products/brands", None, {200: "BrandListResponseProductsV5"}),
    ("GET", "/v5/products/categories", None, {200: "CategoryGroupsProductsV5"}),
    ("GET", "/v5/products/update-tasks/[^/]+", None, {200: "ProductProcessProgressProductsV5", 404: None}),
    ("GET", "/v5/products/update-tasks/[^/]+/(failed|succeeded|unchanged)", None, {200: "ProductProcessResultProductsV5"}),
    ("GET", "/v1/availability/quantities", None, {200: "AvailableQuantityResponseAvailabilityV1"}),
    ("GET", "/v1/availability/quantities/[^/]+", None, {200: "AvailableQuantitySingleResponseDTOAvailabilityV1", 404: "APIErrorResponseForNotFoundAvailabilityV1"}),
    ("POST", "/v1/availability/quantities", "[AvailableQuantityRequestDTOAvailabilityV1]", {200: "UpdateQuantityMultiStatusResponseAvailabilityV1", 207: "UpdateQuantityMultiStatusResponseAvailabilityV1", 422: "ApiErrorResponseAvailabilityV1"}),
    ("GET", "/v1/shipping-profiles", None, {200: "GetAllShippingProfilesResponseShippingProfilesV1"}),
    ("GET", "/v1/availability/product-delivery-information", None, {200: "GetAllProductDeliveryInfoResponseAvailabilityV1"}),
    ("GET", "/v1/availability/product-delivery-information/[^/]+", None, {200: "ProductDeliveryInformationResponseDTOAvailabilityV1", 404: "APIErrorResponseForNotFoundAvailabilityV1"}),
    ("POST", "/v1/availability/product-delivery-information", "[ProductDeliveryInformationRequestDTOAvailabilityV1]", {202: "AvailabilityV1StoreProductDeliveryInformationUsingPOST202Response", 207: "ProductDeliveryInformationMultiStatusResponseAvailabilityV1", 400: "APIErrorResponseForBadRequestAvailabilityV1"}),
)  # fmt: skip
# Answered by the gateway or by the token endpoint, which have no schema.
GATEWAY = {401, 403, 429}

# Every operation that was called, over all tests.
COVERED: Counter[str] = Counter()


@cache
def schemas() -> Mapping[str, Any] | None:
    return _mended(json.loads(FILE.read_text("utf-8"))["schemas"]) if FILE.exists() else None


def complaints(method: str, path: str, body: Any, status: int, answer: Any) -> list[str]:
    """What is wrong with one call and its answer; [] when all is right or the file is not here."""
    if schemas() is None or status in GATEWAY or path.endswith("/token"):
        return []
    for wanted, pattern, asked, answers in OPERATIONS:
        if wanted == method and re.fullmatch(pattern, path):
            if status < 400:
                COVERED[f"{method} {pattern}"] += 1
            wrong = [f"body: {each}" for each in errors(body, asked)] if status < 400 and asked else []
            if status not in answers:
                wrong.append(f"status {status} is not declared")
            elif told := answers[status]:
                wrong += [f"answer {status}: {each}" for each in errors(answer, told)]
            return [f"{method} {pattern}: {each}" for each in wrong]
    return [f"{method} {path}: no such operation"]


def errors(value: Any, name: str) -> list[str]:
    """What is wrong with a value of this schema; "[X]" is a list of X."""
    ref = {"$ref": f"#/$defs/{name.strip('[]')}"}
    schema = {"type": "array", "items": ref} if name.startswith("[") else ref
    whole = {"$defs": schemas() or {}, "allOf": [schema]}
    found = sorted(Draft202012Validator(whole).iter_errors(value), key=lambda each: list(map(str, each.path)))
    return [f"{'.'.join(map(str, each.path)) or 'all'}: {each.message[:300]}" for each in found]


def _mended(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The defects that SOURCE.md names: a pattern in words, an enum of the wrong type, reasons of rejection demanded of every return, and errors
    typed as one object where all examples send a list.
    """
    found = {name: _modern(schema) for name, schema in raw.items()}
    found["NormPriceInfoProductsV5"]["properties"]["normAmount"].pop("enum", None)
    for name, schema in found.items():
        told = schema.get("properties", {}).get("errors")
        if told and "$ref" in told and ("Shipment" in name or "PriceReductions" in name):
            schema["properties"]["errors"] = {"type": "array", "items": told}
    details = found["ReturnedItemStatusDataReturnsV3"]
    details.pop("required", None)
    details["properties"]["reason"] = {"type": "string"}
    return found


def _modern(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_modern(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref'].rpartition('/')[2]}"}
    left_out = {"example", "description", "default", "format"}
    left_out |= {"pattern"} if schema.get("pattern") == "UUID4 string" else set()
    return {
        key: {name: _modern(each) for name, each in value.items()} if key == "properties" else _modern(value)
        for key, value in schema.items()
        if key not in left_out
    }
