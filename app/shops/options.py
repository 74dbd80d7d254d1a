"""What a merchant may decide about any shop; the form in the shop admin is drawn from it (D5).

Each provider has its own settings.py that starts from this. Labels and help stand in German and English beside the field.
"""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, Schema, fields, validate


def said(german: str, english: str) -> dict[str, str]:
    """The same words in both languages."""
    return {"de": german, "en": english}


def shown(label: dict[str, str], explained: dict[str, str]) -> dict[str, Any]:
    """A field's metadata: what the form shows beside it."""
    return {"label": label, "help": explained}


ORDER_STATUSES = ("processing", "on-hold", "pending")


class ShopOptions(Schema):
    """Settings that every shop has, with defaults that sell nothing by accident."""

    class Meta:
        unknown = EXCLUDE

    default_stock = fields.Integer(
        strict=True,
        load_default=0,
        validate=validate.Range(min=0, max=10_000),
        metadata=shown(
            said("Bestand für Artikel ohne Lagerverwaltung", "Stock of products the shop does not count"),
            said(
                "So viele Stück werden angeboten, wenn der Shop den Artikel nicht zählt. 0 bietet ihn nicht an.",
                "How many pieces are offered where the shop does not count the product. 0 does not offer it.",
            ),
        ),
    )
    stock_buffer = fields.Integer(
        strict=True,
        load_default=0,
        validate=validate.Range(min=0, max=10_000),
        metadata=shown(
            said("Sicherheitsbestand", "Stock buffer"),
            said(
                "So viele Stück bleiben immer für den eigenen Shop zurück.",
                "This many pieces are always kept back for your own shop.",
            ),
        ),
    )
    new_order_status = fields.String(
        load_default="processing",
        validate=validate.OneOf(ORDER_STATUSES),
        metadata=shown(
            said("Status neuer Marktplatz-Bestellungen", "Status of new marketplace orders"),
            said(
                "Mit diesem Status erscheint eine Bestellung im Shop. „In Bearbeitung“ heißt: bezahlt, noch nicht verschickt.",
                "An order appears in the shop with this status. “Processing” means: paid, not shipped yet.",
            ),
        ),
    )
    tracking_wait_hours = fields.Integer(
        strict=True,
        load_default=3,
        validate=validate.Range(min=0, max=168),
        metadata=shown(
            said("Stunden warten auf die Sendungsnummer", "Hours to wait for a tracking number"),
            said(
                "Danach wird ohne Nummer als versandt gemeldet, wo der Marktplatz das erlaubt; sonst werden Sie gewarnt.",
                "Then the order is reported as shipped without one where the marketplace allows it; else you are warned.",
            ),
        ),
    )
    receives_orders = fields.Boolean(
        load_default=True,
        truthy={True},
        falsy={False},
        metadata=shown(
            said("Erhält die Marktplatz-Bestellungen", "Receives the marketplace orders"),
            said(
                "Haben Sie mehrere Shops, dann schalten Sie dies nur in dem ein, der verschickt.",
                "If you have several shops, switch this on only in the one that ships.",
            ),
        ),
    )
    dealer_prices = fields.String(
        load_default="net",
        validate=validate.OneOf(("net", "gross")),
        metadata=shown(
            said("Händlerpreise sind", "Dealer prices are"),
            said(
                "Ob die Händlerpreise an Ihren Artikeln netto (net) oder brutto (gross) gemeint sind. Händlern wird brutto berechnet.",
                "Whether the dealer prices of your products are meant net or gross. Retailers are charged gross.",
            ),
        ),
    )
    dealer_vat_percent = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Regexp(r"([0-9]{1,2}|100)(\.[0-9]{1,4})?\Z", error='a percentage like "19"'),
        metadata=shown(
            said("Mehrwertsteuersatz der Händlerpreise", "VAT rate of the dealer prices"),
            said(
                "In Prozent, für Artikel, bei denen der Shop keinen Satz kennt. Zum Beispiel 19.",
                "In percent, for products whose rate the shop does not know. For example 19.",
            ),
        ),
    )
    locale = fields.String(
        load_default="de",
        validate=validate.OneOf(("de", "en")),
        metadata=shown(
            said("Sprache der Meldungen", "Language of messages"),
            said("Deutsch oder Englisch.", "German or English."),
        ),
    )
