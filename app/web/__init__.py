"""The doors of the bridge for the outside world: events in, plugins connected, the JSON API, health. Parse, call, answer; nothing more."""

from __future__ import annotations

from flask import Flask

from app.web import (
    answers,
    api,
    decisions,
    health,
    hints,
    intake,
    network,
    payments,
    plugin,
    rate,
    senders,
    webhooks,
)


def register(app_: Flask) -> None:
    """Put all routes into the app. No address ever redirects: shops would take a 302 for a success."""
    app_.url_map.merge_slashes = False
    for part in (answers, intake, senders, rate, plugin):
        part.register(app_)
    for blueprint in (
        webhooks.blueprint,
        payments.blueprint,
        plugin.blueprint,
        network.blueprint,
        decisions.blueprint,
        health.blueprint,
        hints.blueprint,
    ):
        app_.register_blueprint(blueprint)
    api.register(app_)
