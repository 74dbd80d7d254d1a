"""Commands to the WooCommerce plugin. It speaks our public protocol; WooCommerce's own REST API is never called."""

from __future__ import annotations

from app.shops.plugin_client import PluginClient


class WooCommerceClient(PluginClient):
    """The command route of plugins/woocommerce."""
