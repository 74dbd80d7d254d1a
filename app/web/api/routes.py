"""The blueprint of the API: bodies are read as strictly as events are, and a parameter that does not exist is a mistake worth telling."""

from __future__ import annotations

from typing import Any

import flask_smorest
from flask import Request, Response
from marshmallow import RAISE, Schema
from webargs.core import Parser
from webargs.flaskparser import FlaskParser

from app.errors import Invalid
from app.shops import envelope
from app.web import bodies
from app.web.api.caller import Stop


class StrictParser(FlaskParser):
    """Reads query and body of a request."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**Parser.DEFAULT_UNKNOWN_BY_LOCATION, "query": RAISE}  # noqa: RUF012

    def load_json(self, req: Request, schema: Schema) -> Any:
        """The body as an object; ends the request with 400, 415 or 422 when it is none."""
        refused = bodies.wrong_kind()
        raw = refused if refused is not None else bodies.read(keep=True)
        if isinstance(raw, Response):
            raise Stop(raw)
        try:
            return envelope.parse_object(raw)
        except Invalid as error:
            raise Stop(bodies.refused(error)) from None


class Blueprint(flask_smorest.Blueprint):
    """As flask-smorest's, with our parser."""

    ARGUMENTS_PARSER = StrictParser()
