"""The blueprint of the API: bodies are read as strictly as events are, and a parameter that does not exist is a mistake worth telling."""

from __future__ import annotations

from typing import Any

import flask_smorest
from flask import Request
from marshmallow import RAISE, Schema
from webargs.core import Parser
from webargs.flaskparser import FlaskParser

from app.errors import Invalid
from app.shops import envelope
from app.web import answers
from app.web.api.caller import Stop

NOT_JSON = frozenset({"body.not_utf8", "body.not_json", "body.byte_order_mark", "body.forbidden_character"})


class StrictParser(FlaskParser):
    """Reads query and body of a request."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**Parser.DEFAULT_UNKNOWN_BY_LOCATION, "query": RAISE}  # noqa: RUF012

    def load_json(self, req: Request, schema: Schema) -> Any:  # noqa: ARG002
        """The body as an object; ends the request with 400, 415 or 422 when it is none."""
        if req.mimetype != "application/json":
            raise Stop(answers.problem(415, "body.content_type"))
        try:
            return envelope.parse_object(req.get_data(cache=True))
        except Invalid as error:
            raise Stop(answers.refusal(error, 400 if error.code in NOT_JSON else 422)) from None


class Blueprint(flask_smorest.Blueprint):
    """As flask-smorest's, with our parser."""

    ARGUMENTS_PARSER = StrictParser()
