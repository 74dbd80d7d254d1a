"""The JSON API `/api/v1` for merchants' own programs and for operators: bearer tokens, one error object, an OpenAPI document.

What may go wrong: one merchant asks for another's rows. Every query is bound to the account of the token, and a test walks every route.
"""

from __future__ import annotations

from typing import Any

from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask, Response, request
from flask_smorest import Api
from werkzeug.exceptions import HTTPException

from app.shops import envelope
from app.web import answers, bodies
from app.web.api import (
    cases,
    catalogue,
    commands,
    connections,
    decisions,
    events,
    network,
    offers,
    orders,
    parcels,
    shapes,
    supplier,
)
from app.web.api.caller import Stop, authenticate

MODULES = (
    events,
    commands,
    orders,
    decisions,
    offers,
    connections,
    cases,
    network,
    catalogue,
    parcels,
    supplier,
)


class BridgeApi(Api):
    """flask-smorest with our one error object."""

    ERROR_SCHEMA = shapes.ErrorAnswer

    def handle_http_exception(self, error: HTTPException) -> Response:
        """See answers.http_problem."""
        return answers.http_problem(error)


def _schema_name(schema: Any) -> str:
    """The name of a schema in the OpenAPI document: its class."""
    made = schema if isinstance(schema, type) else type(schema)
    return str(made.__name__)


def register(app_: Flask) -> None:
    """All routes of the API and `/api/v1/openapi.json`, which needs no token."""
    app_.config.update(OPENAPI_URL_PREFIX="/api/v1", OPENAPI_JSON_PATH="openapi.json")
    api = BridgeApi(
        app_,
        spec_kwargs={
            "title": "Shopbridge",
            "version": "v1",
            "openapi_version": "3.1.0",
            "marshmallow_plugin": MarshmallowPlugin(schema_name_resolver=_schema_name),
            "info": {"description": "What happened, what waits, and what to do about it. See docs/api.md."},
            "security": [{"token": []}],
        },
    )
    api.spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    for module in MODULES:
        api.register_blueprint(module.blueprint)
    app_.register_error_handler(Stop, lambda stopped: stopped.response)
    app_.before_request(_only_with_token)


def _only_with_token() -> Response | None:
    """Nobody reads or guesses anything of the API without a token, addresses that do not exist included."""
    path = request.path
    if not path.startswith("/api/") or request.endpoint == "api-docs.openapi_json":
        return None
    if (request.content_length or 0) > envelope.MAX_BYTES:
        return bodies.too_large()
    return authenticate()
