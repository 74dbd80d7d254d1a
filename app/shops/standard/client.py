"""Commands to a supplier system or a custom shop: our public protocol as it is."""

from __future__ import annotations

from app.shops.plugin_client import PluginClient


class StandardClient(PluginClient):
    """A supplier endpoint that follows docs/suppliers.md."""
