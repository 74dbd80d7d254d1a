"""What a merchant with WooCommerce may set. Nothing beyond what every shop has: the rest is in the shop already."""

from __future__ import annotations

from app.shops.options import ShopOptions


class WooCommerceSettings(ShopOptions):
    """Settings of a WooCommerce shop."""
