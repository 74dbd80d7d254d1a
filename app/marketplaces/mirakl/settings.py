"""What a merchant fills in for an operator that runs on Mirakl; the form in the shop admin is drawn from this, labels and all.

Operators differ in data, not in code: a preset (PRESETS) fills in what is the same for all sellers of one operator. What may go wrong: an address
copied from the browser, or a key with blanks. Both are forgiven; the rest is said in plain words, in both languages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, post_load, pre_load, validate, validates, validates_schema

from app.egress import check_url
from app.errors import Refused
from app.marketplaces.mirakl.translate import CANCEL_WORDS, REFUND_WORDS
from app.marketplaces.options import MarketplaceOptions
from app.rules.vat import rate

# Operator -> what its sellers need not fill in. ePRICE: euros and Italian; its address was never published (FACTS, ePRICE), and
# whether it still works is unknown. "other" fills in nothing.
PRESETS: Final[Mapping[str, Mapping[str, str]]] = {
    "eprice": {"currency": "EUR", "locale": "it_IT"},
    "other": {},
}


def _said(german: str, english: str) -> dict[str, str]:
    return {"de": german, "en": english}


class MiraklSettings(MarketplaceOptions):
    """Settings of one shop at one operator. An API key belongs to one operator and one user."""

    operator = fields.String(
        load_default="other",
        validate=validate.OneOf(sorted(PRESETS)),
        metadata={
            "label": _said("Betreiber", "Operator"),
            "help": _said(
                "Der Marktplatz, der mit Mirakl läuft. Nicht dabei: „other“, dann füllen Sie Adresse, Währung und Sprache selbst aus.",
                "The marketplace that runs on Mirakl. Not listed: choose “other” and fill in address, currency and language yourself.",
            ),
            "choices": sorted(PRESETS),
        },
    )
    host = fields.String(
        required=True,
        metadata={
            "label": _said("Adresse", "Address"),
            "help": _said(
                "Die Adresse, unter der Sie sich beim Betreiber anmelden, zum Beispiel https://haendler.mirakl.net.",
                "The address where you log in at the operator, for example https://seller.mirakl.net.",
            ),
        },
    )
    api_key = fields.String(
        required=True,
        validate=validate.Length(min=8, max=200),
        metadata={
            "label": _said("API-Schlüssel", "API key"),
            "help": _said(
                "Im Händlerbereich oben rechts auf Ihren Namen, dann „API-Schlüssel“. Er wird verschlüsselt gespeichert und nie wieder gezeigt.",
                "In the seller back office click your name at the top right, then “API key”. It is stored encrypted and never shown again.",
            ),
            "secret": True,
        },
    )
    shop_id = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=1),
        metadata={
            "label": _said("Shop-Nummer", "Shop number"),
            "help": _said(
                "Nur wenn Ihr Benutzer mehrere Shops bei diesem Betreiber hat.",
                "Only when your user has several shops at this operator.",
            ),
        },
    )
    key_kind = fields.String(
        load_default="own",
        validate=validate.OneOf(("own", "partner")),
        metadata={
            "label": _said("Wem gehört der Schlüssel", "Whose key it is"),
            "help": _said(
                "Ihr eigener Schlüssel: Bestellungen werden alle 5 Minuten geholt. Ein Schlüssel für externe Partner: Mirakl erlaubt alle 15 Minuten.",
                "Your own key: orders are fetched every 5 minutes. A key for external partners: Mirakl allows every 15 minutes.",
            ),
            "choices": ["own", "partner"],
        },
    )
    currency = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Regexp(r"[A-Z]{3}\Z", error="must be three capital letters like EUR"),
        metadata={
            "label": _said("Währung", "Currency"),
            "help": _said(
                "Die Währung Ihres Shops beim Betreiber. Leer: wie der Betreiber sie vorgibt.",
                "The currency of your shop at the operator. Empty: as the operator has it.",
            ),
        },
    )
    locale = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Regexp(r"[a-z]{2}_[A-Z]{2}\Z", error="must look like it_IT"),
        metadata={
            "label": _said("Sprache der Texte", "Language of the texts"),
            "help": _said(
                "In dieser Sprache werden Gründe und Namen gelesen, zum Beispiel it_IT. Leer: wie der Betreiber sie vorgibt.",
                "Reasons and names are read in this language, for example it_IT. Empty: as the operator has it.",
            ),
        },
    )
    multi_shipment = fields.Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        metadata={
            "label": _said("Mehrere Pakete je Bestellung", "Several parcels per order"),
            "help": _said(
                "Nur wenn der Betreiber es eingeschaltet hat; die Verbindungsprüfung sagt es. Sonst geht eine Bestellung als Ganzes hinaus.",
                "Only when the operator has switched it on; the connection check tells. Else an order leaves as a whole.",
            ),
        },
    )
    gtin_type = fields.String(
        load_default="EAN",
        validate=validate.Length(min=1, max=40),
        metadata={
            "label": _said("Name der EAN beim Betreiber", "The operator's name for the EAN"),
            "help": _said(
                "Wie der Betreiber die EAN nennt, mit der Angebote ihrem Produkt zugeordnet werden; fast immer EAN.",
                "What the operator calls the EAN by which offers find their product; nearly always EAN.",
            ),
        },
    )
    offer_state = fields.String(
        load_default="11",
        validate=validate.Length(min=1, max=40),
        metadata={
            "label": _said("Zustand „neu“", "Condition “new”"),
            "help": _said(
                "Die Nummer, unter der der Betreiber neue Ware führt; fast immer 11.",
                "The operator's number for new goods; nearly always 11.",
            ),
        },
    )
    logistic_class = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(min=1, max=40),
        metadata={
            "label": _said("Logistikklasse", "Logistic class"),
            "help": _said(
                "Nach ihr richten sich die Versandkosten. Leer: die Standardklasse des Betreibers.",
                "Shipping costs depend on it. Empty: the operator's default class.",
            ),
        },
    )
    handling_days = fields.Integer(
        strict=True,
        load_default=1,
        validate=validate.Range(min=0, max=100),
        metadata={
            "label": _said("Vorbereitungszeit in Tagen", "Preparation time in days"),
            "help": _said(
                "Gilt, wo der Artikel keine eigene hat; 0 bis 100 Tage.",
                "Counts where a product has none of its own; 0 to 100 days.",
            ),
        },
    )
    offer_prices = fields.String(
        load_default="gross",
        validate=validate.OneOf(("gross", "net")),
        metadata={
            "label": _said("Preise der Angebote", "Prices of offers"),
            "help": _said(
                "„net“, wenn der Betreiber Preise ohne Mehrwertsteuer verlangt: Sie wird dann mit dem Satz des Artikels herausgerechnet.",
                "“net” when the operator wants prices without VAT: it is then taken off by the rate of the product.",
            ),
            "choices": ["gross", "net"],
        },
    )
    default_vat_percent = fields.String(
        load_default=None,
        allow_none=True,
        metadata={
            "label": _said("Mehrwertsteuersatz ohne Angabe", "VAT rate where none is given"),
            "help": _said(
                "Nur bei Preisen ohne Mehrwertsteuer: gilt für Artikel, deren Satz der Shop nicht nennt, in Prozent. "
                "Leer: Solche Artikel werden nicht angeboten.",
                "Only for prices without VAT: counts for products whose rate the shop does not name, percent. "
                "Empty: such products are not offered.",
            ),
        },
    )
    offer_fields = fields.Dict(
        keys=fields.String(validate=validate.Length(min=1, max=100)),
        values=fields.String(validate=validate.Length(max=500)),
        load_default=dict,
        metadata={
            "label": _said("Zusatzfelder der Angebote", "Additional fields of offers"),
            "help": _said(
                "Felder, die dieser Betreiber bei jedem Angebot verlangt, mit ihrem Wert. Die Verbindungsprüfung nennt die Pflichtfelder.",
                "Fields that this operator wants with every offer, with their value. The connection check names the required ones.",
            ),
        },
    )
    categories = fields.Dict(
        keys=fields.String(validate=validate.Length(min=1, max=200)),
        values=fields.String(validate=validate.Length(min=1, max=100)),
        load_default=dict,
        metadata={
            "label": _said("Kategorien", "Categories"),
            "help": _said(
                "Kategorie des Artikels -> Kategorie-Code des Betreibers; „*“ für alle übrigen. Leer: Artikel, die der Betreiber nicht kennt, "
                "werden dort nicht angelegt.",
                "Category of the product -> category code of the operator; “*” for all others. Empty: products that the operator does not "
                "know are not created there.",
            ),
        },
    )
    product_mapping = fields.Dict(
        keys=fields.String(validate=validate.Length(min=1, max=200)),
        values=fields.String(validate=validate.Length(min=1, max=2000)),
        load_default=dict,
        metadata={
            "label": _said("Artikeldaten", "Product data"),
            "help": _said(
                "Code des Merkmals beim Betreiber -> Feld des Artikels (title, brand, description, short_description, weight, category, gtin, sku, image, image:2, parent, attribute:Name, "
                "category_code) oder =fester Wert. Fehlende Pflichtmerkmale nennt der Artikel.",
                "The operator's attribute code -> field of the product (title, brand, description, short_description, weight, category, gtin, sku, image, image:2, parent, "
                "attribute:name, category_code) or =constant. A product names the required attributes that it lacks.",
            ),
        },
    )
    cancel_reasons = fields.Dict(
        keys=fields.String(validate=validate.OneOf(sorted(CANCEL_WORDS))),
        values=fields.String(validate=validate.Length(min=1, max=100)),
        load_default=dict,
        metadata={
            "label": _said("Gründe für Stornierungen", "Reasons for cancellations"),
            "help": _said(
                "Unser Grund und die Nummer des Betreibers. Leer: der Grund mit dem passenden Namen.",
                "Our reason and the operator's number. Empty: the reason with the fitting name.",
            ),
        },
    )
    refund_reasons = fields.Dict(
        keys=fields.String(validate=validate.OneOf(sorted(REFUND_WORDS))),
        values=fields.String(validate=validate.Length(min=1, max=100)),
        load_default=dict,
        metadata={
            "label": _said("Gründe für Erstattungen", "Reasons for refunds"),
            "help": _said(
                "Unser Grund und die Nummer des Betreibers. Leer: der Grund mit dem passenden Namen.",
                "Our reason and the operator's number. Empty: the reason with the fitting name.",
            ),
        },
    )

    @pre_load
    def cleaned(self, data: Any, **_: Any) -> Any:
        """People copy the address from the browser, with the page they were on, and the key with blanks, line ends or the word Bearer."""
        if not isinstance(data, dict):
            return data
        clean = dict(data)
        if isinstance(clean.get("api_key"), str):
            key = "".join(each for each in clean["api_key"] if each.isprintable() and not each.isspace())
            clean["api_key"] = key.removeprefix("Bearer")
        if isinstance(clean.get("host"), str):
            clean["host"] = _origin(clean["host"])
        if isinstance(clean.get("currency"), str):
            clean["currency"] = clean["currency"].strip().upper() or None
        if isinstance(clean.get("default_vat_percent"), str):
            clean["default_vat_percent"] = clean["default_vat_percent"].strip().replace(",", ".") or None
        return clean

    @validates("default_vat_percent")
    def default_is_a_percentage(self, value: str | None, **_: Any) -> None:
        if value is not None and rate(value) is None:
            raise ValidationError(f"is no percentage like 19 or 21: {value}")

    @validates_schema
    def host_may_be_called(self, data: dict[str, Any], **_: Any) -> None:
        try:
            check_url(data["host"], egress="tenant_url")
        except Refused as error:
            raise ValidationError(
                f"is no public https address ({error.params.get('why')}), expected is https://name.example",
                "host",
            ) from None

    @validates_schema
    def mapping_has_categories(self, data: dict[str, Any], **_: Any) -> None:
        """Every product of an upload needs its category, so a mapping alone would never do anything."""
        if data["product_mapping"] and not data["categories"]:
            raise ValidationError(
                "is missing: the operator's category, for example * -> 5110114", "categories"
            )

    @post_load
    def with_preset(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """What the operator's preset knows, where the merchant said nothing. Without a currency nothing can be offered."""
        preset = PRESETS[data["operator"]]
        filled = {**data, **{name: value for name, value in preset.items() if data.get(name) is None}}
        if filled["currency"] is None:
            raise ValidationError("is missing: three letters like EUR", "currency")
        return filled


def _origin(text: str) -> str:
    """Scheme and host of what was typed or copied; text without a scheme gets https. What cannot be read stays, so that it is refused."""
    bare = text.strip()
    try:
        parts = urlsplit(bare if "://" in bare else f"https://{bare}")
    except ValueError:
        return bare
    return f"{parts.scheme}://{parts.netloc.lower()}" if parts.netloc else bare
