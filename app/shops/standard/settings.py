"""What a supplier or the owner of a custom shop may set: what every shop has, and how soon a system without an address fetches its orders."""

from __future__ import annotations

from marshmallow import fields, validate

from app.shops.options import ShopOptions, said, shown

FETCH_HOURS = 24


class StandardSettings(ShopOptions):
    """Settings of a supplier system or a custom shop."""

    fetch_hours = fields.Integer(
        strict=True,
        load_default=FETCH_HOURS,
        validate=validate.Range(min=1, max=720),
        metadata=shown(
            said("Stunden, in denen Bestellungen abgeholt werden", "Hours in which orders are fetched"),
            said(
                "Nur für Systeme ohne Adresse für Befehle: Holt niemand die Bestellung in dieser Zeit ab, werden Sie gewarnt.",
                "Only for systems without a command URL: if nobody has fetched an order by then, you are warned.",
            ),
        ),
    )
