"""What a supplier or the owner of a custom shop may set. Nothing beyond what every shop has."""

from __future__ import annotations

from app.shops.options import ShopOptions


class StandardSettings(ShopOptions):
    """Settings of a supplier system or a custom shop."""
