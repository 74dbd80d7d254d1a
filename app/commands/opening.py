"""Opens the bridge for one command: settings from the environment, completed by what a running `shopbridge up` uses.

What may go wrong: nothing is running and no DATABASE_URL is set; then NotRunning says how to start it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app import config
from app.machine import runfile

if TYPE_CHECKING:
    from flask import Flask

LEVELS = ("debug", "info", "warning", "error")


class NotRunning(RuntimeError):
    """There is no bridge to speak with."""


def data_folder() -> Path:
    """The data folder, absolute."""
    return Path(os.environ.get("SHOPBRIDGE_DATA") or "var").absolute()


def running() -> runfile.RunningBridge | None:
    """The bridge that `shopbridge up` runs in our data folder."""
    return runfile.read(data_folder())


def settings() -> dict[str, Any]:
    """All settings, parsed. Raises environs.EnvError naming the wrong one, and NotRunning when there is no database to speak with."""
    loaded = config.load()
    bridge = running()
    if bridge is not None and runfile.is_meant(os.environ, bridge):
        if bridge.master_key_file is None and not loaded["SHOPBRIDGE_MASTER_KEYS"]:
            raise NotRunning(
                "The running bridge has its keys from SHOPBRIDGE_MASTER_KEYS. Set it in this terminal too."
            )
        theirs = config.load(bridge.settings)
        loaded |= {name: theirs[name] for name in bridge.settings if not os.environ.get(name)}
    if not loaded["DATABASE_URL"]:
        raise NotRunning(
            f"No bridge is running in {data_folder()}. Start it with `shopbridge up`, or set DATABASE_URL and REDIS_URL."
        )
    return loaded


def application(*, web: bool = False) -> Flask:
    """The application of a process of its own, with its log as the settings say."""
    return made_from(settings(), web=web)


@contextmanager
def bridge(*, web: bool = False) -> Iterator[Flask]:
    """The application inside its context, quiet, for a command that answers a person; `web`: with its routes, to ask it like a program does."""
    from app.extensions import db

    made = made_from(quiet(settings()), web=web)
    with made.app_context():
        try:
            yield made
        finally:
            db.session.remove()
            db.engine.dispose()


def quiet(loaded: dict[str, Any]) -> dict[str, Any]:
    """The same settings, with a log that says only what went wrong, for people."""
    return {**loaded, "SHOPBRIDGE_LOG_LEVEL": "error", "SHOPBRIDGE_LOG_JSON": False}


def made_from(loaded: dict[str, Any], *, web: bool = False) -> Flask:
    """The application. Raises NotRunning when the master keys or the level of the log are none."""
    from app import create_app

    if str(loaded["SHOPBRIDGE_LOG_LEVEL"]).lower() not in LEVELS:
        raise NotRunning(f"SHOPBRIDGE_LOG_LEVEL is wrong: it is one of {', '.join(LEVELS).upper()}.")
    try:
        return create_app(loaded, web=web)
    except ValueError as error:
        raise NotRunning(
            f"The master keys are wrong: {error}. They are in SHOPBRIDGE_MASTER_KEYS or in the key file."
        ) from None
