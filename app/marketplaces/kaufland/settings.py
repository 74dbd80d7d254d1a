"""What a merchant fills in for Kaufland.de; the form in the shop admin is drawn from this, labels and all.

What may go wrong: keys pasted with blanks, cut off or swapped. Blanks are forgiven; the rest is said in plain words, in both languages.
"""

from __future__ import annotations

from typing import Any, Final

from marshmallow import ValidationError, fields, pre_load, validate, validates_schema

from app.marketplaces.kaufland.translate import CURRENCY, LOCALE, MOST_HANDLING_DAYS
from app.marketplaces.options import MarketplaceOptions

CLIENT_KEY_LENGTH: Final = 32
SECRET_KEY_LENGTH: Final = 64


def _said(german: str, english: str) -> dict[str, str]:
    return {"de": german, "en": english}


class KeyLength:
    """A key of Kaufland's has a fixed length; the message counts, so that a merchant sees what was cut off."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, value: str) -> None:
        if len(value) != self.length or not value.isalnum():
            raise ValidationError(
                f"must be {self.length} letters and digits, these are {len(value)} characters"
            )


class KauflandSettings(MarketplaceOptions):
    """Settings of one Kaufland account. One key pair serves all storefronts, so one account is one connection."""

    client_key = fields.String(
        required=True,
        validate=KeyLength(CLIENT_KEY_LENGTH),
        metadata={
            "label": _said("Client Key", "Client key"),
            "help": _said(
                "Seller Portal, Einstellungen, API: der Schlüssel mit 32 Zeichen.",
                "Seller portal, settings, API: the key with 32 characters.",
            ),
        },
    )
    secret_key = fields.String(
        required=True,
        validate=KeyLength(SECRET_KEY_LENGTH),
        metadata={
            "label": _said("Secret Key", "Secret key"),
            "help": _said(
                "Seller Portal, Einstellungen, API: der Schlüssel mit 64 Zeichen. Er wird verschlüsselt gespeichert und nie wieder gezeigt.",
                "Seller portal, settings, API: the key with 64 characters. It is stored encrypted and never shown again.",
            ),
            "secret": True,
        },
    )
    storefronts = fields.List(
        fields.String(validate=validate.OneOf(sorted(CURRENCY))),
        load_default=lambda: ["de"],
        validate=validate.Length(min=1),
        metadata={
            "label": _said("Länder", "Countries"),
            "help": _said(
                "In welchen Ländern verkauft wird. Alle müssen dieselbe Währung haben; der Bestand ist bei Kaufland für alle derselbe.",
                "The countries to sell in. All must share one currency; Kaufland keeps one stock for all of them.",
            ),
            "choices": sorted(CURRENCY),
        },
    )
    shipping_groups = fields.Dict(
        keys=fields.String(validate=validate.OneOf(sorted(CURRENCY))),
        values=fields.Integer(strict=True, validate=validate.Range(min=1)),
        load_default=dict,
        metadata={
            "label": _said("Versandgruppen", "Shipping groups"),
            "help": _said(
                "Nummer der Versandgruppe je Land. Leer: die Standardgruppe bei Kaufland gilt.",
                "Number of the shipping group per country. Empty: the default group at Kaufland counts.",
            ),
        },
    )
    handling_days = fields.Integer(
        strict=True,
        load_default=1,
        validate=validate.Range(min=0, max=MOST_HANDLING_DAYS),
        metadata={
            "label": _said("Vorbereitungszeit in Tagen", "Preparation time in days"),
            "help": _said(
                "Gilt, wo der Artikel keine eigene hat; 0 bis 100 Tage.",
                "Counts where a product has none of its own; 0 to 100 days.",
            ),
        },
    )
    locale = fields.String(
        load_default="de-DE",
        validate=validate.OneOf(sorted(LOCALE.values())),
        metadata={
            "label": _said("Sprache der Produktdaten", "Language of the product data"),
            "help": _said(
                "In dieser Sprache wird der Stand der Produktdaten gelesen.",
                "The state of the product data is read in this language.",
            ),
            "choices": sorted(LOCALE.values()),
        },
    )

    @pre_load
    def without_blanks(self, data: Any, **_: Any) -> Any:
        """Copying from the seller portal often takes blanks, line ends or invisible characters along. Swapped keys are named as
        such before anybody counts their characters.
        """
        if not isinstance(data, dict):
            return data
        clean = dict(data)
        for name in ("client_key", "secret_key"):
            if isinstance(clean.get(name), str):
                clean[name] = "".join(
                    each for each in clean[name] if each.isprintable() and not each.isspace()
                )
        lengths = len(str(clean.get("client_key", ""))), len(str(clean.get("secret_key", "")))
        if lengths == (SECRET_KEY_LENGTH, CLIENT_KEY_LENGTH):
            raise ValidationError("client key and secret key are swapped", "client_key")
        return clean

    @validates_schema
    def one_currency(self, data: dict[str, Any], **_: Any) -> None:
        """An offer has one price in one currency: countries with another one are a connection of their own."""
        currencies = sorted({CURRENCY[each] for each in data["storefronts"]})
        if len(currencies) > 1:
            raise ValidationError(
                f"these countries have several currencies: {', '.join(currencies)}", "storefronts"
            )
