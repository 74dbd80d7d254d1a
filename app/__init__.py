"""Shopbridge: plug a shop in once, sell everywhere. `create_app` is the one place where the parts are plugged together."""

from __future__ import annotations

import contextlib
import os
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from app import config, extensions, logs


def create_app(settings: dict[str, Any] | None = None, *, web: bool = True) -> Flask:
    """The application. `settings` (of app.config) replaces the environment; `web=False` leaves the routes out (workers, clock, CLI).

    Raises RuntimeError with a plain sentence when there is no database or no master key.
    """
    from app.vault import Vault

    settings = config.load() if settings is None else {**config.load({}), **settings}
    logs.configure(settings["SHOPBRIDGE_LOG_LEVEL"], json=settings["SHOPBRIDGE_LOG_JSON"])
    app = Flask(__name__, static_folder=None)
    app.config.update(settings)
    if not settings["DATABASE_URL"]:
        raise RuntimeError(
            "DATABASE_URL is not set. `shopbridge up` brings a database of its own; other commands need the address of one."
        )
    app.config.update(
        SQLALCHEMY_DATABASE_URI=_psycopg(settings["DATABASE_URL"]),
        SQLALCHEMY_ENGINE_OPTIONS={
            "pool_size": settings["SHOPBRIDGE_WEB_THREADS"],
            "max_overflow": 2,
            "pool_pre_ping": True,
            # Values of a failed statement would reach the log with the error.
            "hide_parameters": True,
        },
        MAX_CONTENT_LENGTH=256 * 1024,
        SECRET_KEY=settings["SHOPBRIDGE_SECRET_KEY"] or None,
    )
    extensions.safe.bind(Vault(master_keys(settings)))
    extensions.db.init_app(app)
    extensions.migrate.init_app(app, extensions.db, directory=str(Path(__file__).parent / "migrations"))
    import_module("app.models")  # the tables must be known before the first query
    if web:
        from app import web as routes

        routes.register(app)
        _believe_proxies(app, settings["SHOPBRIDGE_PROXIES"])
    return app


def _believe_proxies(app: Flask, count: int) -> None:
    """Only so many forwarded addresses are believed as there are proxies of ours; else anybody could invent his address."""
    if count:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]


def master_keys(settings: dict[str, Any]) -> list[str]:
    """The keys of the vault: from the environment, else from the key file in the data folder, which is made on first use."""
    if settings["SHOPBRIDGE_MASTER_KEYS"]:
        return list(settings["SHOPBRIDGE_MASTER_KEYS"])
    path = Path(settings["SHOPBRIDGE_DATA"]) / "master.key"
    if not path.exists():
        _make_key_file(path)
    return [line.strip() for line in path.read_text(encoding="ascii").splitlines() if line.strip()]


def _make_key_file(path: Path) -> None:
    """Written whole and readable by nobody else before it gets its name; of two processes the first one's key stays."""
    from app.vault import generate_key

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".master.")
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(generate_key() + "\n")
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    Path(draft).unlink()


def _psycopg(url: str) -> str:
    """SQLAlchemy's name for psycopg 3, whatever spelling the operator uses."""
    for plain in ("postgresql://", "postgres://"):
        if url.startswith(plain):
            return "postgresql+psycopg://" + url.removeprefix(plain)
    return url
