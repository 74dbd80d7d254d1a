"""gunicorn with threads, configured by our settings; each web process makes its own application after the fork."""

from __future__ import annotations

from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from app import queues
from app.commands import opening


class WebServer(BaseApplication):
    """One master, SHOPBRIDGE_WEB_PROCESSES processes with SHOPBRIDGE_WEB_THREADS threads each."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Called by gunicorn."""
        settings = self.settings
        host = settings["SHOPBRIDGE_HOST"]
        values = {
            "bind": f"[{host}]:{settings['SHOPBRIDGE_PORT']}"
            if ":" in host
            else f"{host}:{settings['SHOPBRIDGE_PORT']}",
            "worker_class": "gthread",
            "workers": settings["SHOPBRIDGE_WEB_PROCESSES"],
            "threads": settings["SHOPBRIDGE_WEB_THREADS"],
            "timeout": 60,
            "graceful_timeout": 8,
            "keepalive": 15,
            # Every instance on a machine would open the same one in the home folder (performance section 9).
            "control_socket_disable": True,
            "proc_name": "shopbridge-web",
            "loglevel": "warning",
            # A proxy that ends TLS speaks for the sender only from this machine.
            "forwarded_allow_ips": "127.0.0.1,::1",
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Called by gunicorn in each web process."""
        made = opening.made_from(self.settings, web=True)
        made.extensions["shopbridge.ringer"] = queues.Ringer(made)
        return made
