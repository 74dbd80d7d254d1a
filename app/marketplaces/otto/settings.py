"""What a merchant fills in for OTTO Market; the form in the shop admin is drawn from this, labels and all.

What may go wrong: credentials pasted with blanks or for the other kind of access, a mapping with names that OTTO does not know. Each is said in
plain words, in both languages.
"""

from __future__ import annotations

from typing import Any, Final

from marshmallow import ValidationError, fields, pre_load, validate, validates_schema

from app.marketplaces.options import MarketplaceOptions
from app.marketplaces.otto.translate import (
    ATTRIBUTE,
    CONDITIONS,
    COUNTRIES,
    DEFAULT_MAPPING,
    DELIVERY_TYPES,
    MAPPABLE,
    MOST_DELIVERY_DAYS,
    RETURN_CARRIERS,
    TICKS,
)

_NEEDS: Final = {"self_app": ("client_id", "client_secret"), "legacy": ("username", "password")}


def _said(german: str, english: str) -> dict[str, str]:
    return {"de": german, "en": english}


def _uuid(value: str) -> None:
    validate.Regexp(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z", error="must be a UUID")(value)


class OttoSettings(MarketplaceOptions):
    """Settings of one seller account at OTTO Market."""

    kind = fields.String(
        load_default="self_app",
        validate=validate.OneOf(tuple(_NEEDS)),
        metadata={
            "label": _said("Art des Zugangs", "Kind of access"),
            "help": _said(
                "self_app: eigene App aus OTTO Partner Connect (empfohlen); legacy: API-Benutzer mit Passwort.",
                "self_app: your own app from OTTO Partner Connect (recommended); legacy: API user with a password.",
            ),
            "choices": list(_NEEDS),
        },
    )
    client_id = fields.String(
        load_default="",
        metadata={
            "label": _said("Client-ID", "Client id"),
            "help": _said(
                "OTTO Partner Connect, eigene App: Client-ID.",
                "OTTO Partner Connect, your own app: client id.",
            ),
        },
    )
    client_secret = fields.String(
        load_default="",
        metadata={
            "label": _said("Client-Secret", "Client secret"),
            "help": _said(
                "Steht neben der Client-ID. Es wird verschlüsselt gespeichert und nie wieder gezeigt.",
                "Stands beside the client id. It is stored encrypted and never shown again.",
            ),
            "secret": True,
        },
    )
    username = fields.String(
        load_default="",
        metadata={
            "label": _said("API-Benutzer", "API user"),
            "help": _said("Nur für die Zugangsart legacy.", "Only for the kind of access legacy."),
        },
    )
    password = fields.String(
        load_default="",
        metadata={
            "label": _said("API-Passwort", "API password"),
            "help": _said(
                "Nur für die Zugangsart legacy; Sonderzeichen sind erlaubt.",
                "Only for the kind of access legacy; special characters are allowed.",
            ),
            "secret": True,
        },
    )
    environment = fields.String(
        load_default="live",
        validate=validate.OneOf(("live", "sandbox")),
        metadata={
            "label": _said("Umgebung", "Environment"),
            "help": _said(
                "sandbox hat eigene Zugangsdaten und eigene Daten; Retouren gibt es dort nicht.",
                "sandbox has credentials and data of its own; there are no returns there.",
            ),
            "choices": ["live", "sandbox"],
        },
    )
    seller_name = fields.String(
        load_default="",
        validate=validate.Length(max=100),
        metadata={
            "label": _said("Händlername bei OTTO", "Seller name at OTTO"),
            "help": _said("Steht im Text an den OTTO-Support.", "Stands in the text to OTTO's support."),
        },
    )
    ship_from_city = fields.String(
        required=True,
        validate=validate.Length(min=1, max=60),
        metadata={
            "label": _said("Versandort", "Shipped from: city"),
            "help": _said("OTTO verlangt ihn zu jedem Paket.", "OTTO wants it with every parcel."),
        },
    )
    ship_from_zip = fields.String(
        required=True,
        validate=validate.Length(min=1, max=10),
        metadata={
            "label": _said("Postleitzahl des Versandorts", "Shipped from: postcode"),
            "help": _said("OTTO verlangt sie zu jedem Paket.", "OTTO wants it with every parcel."),
        },
    )
    ship_from_country = fields.String(
        load_default="DE",
        validate=validate.OneOf(sorted(COUNTRIES.values())),
        metadata={
            "label": _said("Land des Versandorts", "Shipped from: country"),
            "help": _said("Zwei Buchstaben, zum Beispiel DE.", "Two letters, for example DE."),
        },
    )
    delivery_type = fields.String(
        load_default="PARCEL",
        validate=validate.OneOf(DELIVERY_TYPES),
        metadata={
            "label": _said("Lieferart", "Kind of delivery"),
            "help": _said(
                "Paket oder Spedition. Pakete nimmt OTTO nur mit Retourensendungsnummer an. Wer beides verkauft, lässt „PARCEL“ und ordnet in den Artikeldaten delivery_type zu.",
                "Parcel or forwarder. OTTO takes parcels only with the number of a return label. Who sells both leaves “PARCEL” and maps delivery_type in the product data.",
            ),
            "choices": list(DELIVERY_TYPES),
        },
    )
    return_carrier = fields.String(
        load_default="DHL",
        validate=validate.OneOf(RETURN_CARRIERS),
        metadata={
            "label": _said("Paketdienst für Retouren", "Carrier of returns"),
            "help": _said(
                "Gilt, wo der Shop keinen nennt. Er muss der in OTTO Partner Connect eingestellte sein.",
                "Counts where the shop names none. It must be the one chosen in OTTO Partner Connect.",
            ),
            "choices": list(RETURN_CARRIERS),
        },
    )
    return_address_carrier_id = fields.String(
        load_default=None,
        allow_none=True,
        validate=_uuid,
        metadata={
            "label": _said("Kennung der Retourenadresse", "Id of the return address"),
            "help": _said(
                "returnAddressCarrierId aus OTTO Partner Connect; leer: OTTO nimmt die Standardadresse.",
                "returnAddressCarrierId from OTTO Partner Connect; empty: OTTO takes the default address.",
            ),
        },
    )
    return_condition = fields.String(
        load_default="A",
        validate=validate.OneOf(CONDITIONS),
        metadata={
            "label": _said("Zustand angenommener Retouren", "Condition of accepted returns"),
            "help": _said(
                "A originalverpackt, B neuwertig, C leicht gebraucht, D stark gebraucht, E fehlerhafte Retoure.",
                "A original packaging, B mint, C slightly used, D heavily used, E mistake.",
            ),
            "choices": list(CONDITIONS),
        },
    )
    shipping_group = fields.String(
        load_default=None,
        allow_none=True,
        validate=_uuid,
        metadata={
            "label": _said("Versandprofil", "Shipping profile"),
            "help": _said(
                "Kennung des Versandprofils; die Prüfung der Verbindung listet alle. Leer: das einzige dieser Lieferart.",
                "Id of the shipping profile; the connection check lists them all. Empty: the only one of this kind of delivery.",
            ),
        },
    )
    handling_days = fields.Integer(
        strict=True,
        load_default=1,
        validate=validate.Range(min=0, max=MOST_DELIVERY_DAYS),
        metadata={
            "label": _said("Vorbereitungszeit in Tagen", "Preparation time in days"),
            "help": _said(
                "Gilt, wo der Artikel keine eigene hat; 0 heißt Versand am selben Tag.",
                "Counts where a product has none of its own; 0 means shipping on the same day.",
            ),
        },
    )
    transport_days = fields.Integer(
        strict=True,
        load_default=2,
        validate=validate.Range(min=1, max=MOST_DELIVERY_DAYS),
        metadata={
            "label": _said("Laufzeit in Tagen", "Transport time in days"),
            "help": _said(
                "Wie im Versandprofil. Vorbereitung und Laufzeit zusammen dürfen 72 Tage nicht übersteigen.",
                "As in the shipping profile. Preparation and transport together must not exceed 72 days.",
            ),
        },
    )
    categories = fields.Dict(
        keys=fields.String(validate=validate.Length(min=1, max=200)),
        values=fields.String(validate=validate.Length(min=1, max=200)),
        load_default=dict,
        metadata={
            "label": _said("Kategorien", "Categories"),
            "help": _said(
                "Kategorie des Artikels -> Kategorie bei OTTO, geschrieben wie dort; „*“ für alle übrigen. Leer: wie in den Artikeldaten gesagt.",
                "Category of the product -> category at OTTO, written as there; “*” for all others. Empty: as the product data say.",
            ),
        },
    )
    product_mapping = fields.Dict(
        keys=fields.String(),
        values=fields.String(validate=validate.Length(min=1, max=500)),
        load_default=lambda: dict(DEFAULT_MAPPING),
        metadata={
            "label": _said("Artikeldaten", "Product data"),
            "help": _said(
                "Feld bei OTTO -> Feld im Shop (title, brand, description, short_description, category, weight, attribute:Name) oder =fester Wert. Felder: "
                f"{', '.join(MAPPABLE)}, attribute:Name.",
                "Field at OTTO -> field in the shop (title, brand, description, short_description, category, weight, attribute:name) or =constant. Fields: "
                f"{', '.join(MAPPABLE)}, attribute:name.",
            ),
        },
    )
    overwrite_products = fields.Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        metadata={
            "label": _said("Vorhandene Artikeldaten überschreiben", "Overwrite product data that is there"),
            "help": _said(
                "Aus: Artikeldaten, die OTTO schon hat, bleiben; nur fehlende oder abgelehnte Artikel werden gesendet.",
                "Off: product data that OTTO has already stays; only missing or refused products are sent.",
            ),
        },
    )
    safety_name = fields.String(
        load_default="",
        validate=validate.Length(max=100),
        metadata={
            "label": _said("Produktsicherheit: Name", "Product safety: name"),
            "help": _said(
                "Verantwortlicher in der EU (GPSR). Ohne ihn nimmt OTTO keinen neuen Artikel.",
                "Who is responsible in the EU (GPSR). Without it OTTO takes no new product.",
            ),
        },
    )
    safety_address = fields.String(
        load_default="",
        validate=validate.Length(max=200),
        metadata={
            "label": _said("Produktsicherheit: Anschrift", "Product safety: address"),
            "help": _said("Straße, Postleitzahl, Ort, Land.", "Street, postcode, city, country."),
        },
    )
    safety_email = fields.String(
        load_default="",
        metadata={
            "label": _said("Produktsicherheit: E-Mail", "Product safety: e-mail"),
            "help": _said(
                "E-Mail oder Internetadresse ist nötig.", "An e-mail or an internet address is needed."
            ),
        },
    )
    safety_url = fields.String(
        load_default="",
        metadata={
            "label": _said("Produktsicherheit: Internetadresse", "Product safety: internet address"),
            "help": _said("Seite für die Kontaktaufnahme.", "The page to get in touch."),
        },
    )
    safety_region = fields.String(
        load_default="DE",
        validate=validate.Regexp(r"[A-Z]{2}\Z"),
        metadata={
            "label": _said("Produktsicherheit: Land", "Product safety: country"),
            "help": _said("Zwei Buchstaben, zum Beispiel DE.", "Two letters, for example DE."),
        },
    )
    golive_ticks = fields.List(
        fields.String(validate=validate.OneOf(TICKS)),
        load_default=list,
        metadata={
            "label": _said("Erledigte Schritte zum Start", "Steps to go-live that are done"),
            "help": _said(
                "Was die Bridge nicht selbst sehen kann: Kundenkonto, Testbestellung, Bestätigung an den Support.",
                "What the bridge cannot see by itself: customer account, test order, confirmation to the support.",
            ),
            "choices": list(TICKS),
        },
    )
    live = fields.Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        metadata={
            "label": _said("OTTO hat das Sortiment freigeschaltet", "OTTO has released the assortment"),
            "help": _said(
                "Nach der Freischaltung ankreuzen: dann werden früher hochgeladene Artikel aktiviert.",
                "Tick after the release: then products uploaded earlier are switched active.",
            ),
        },
    )

    @pre_load
    def without_blanks(self, data: Any, **_: Any) -> Any:
        """Copying often takes blanks, line ends or invisible characters along. A password may contain blanks inside, not around it."""
        if not isinstance(data, dict):
            return data
        clean = dict(data)
        for name in ("client_id", "client_secret", "username", "return_address_carrier_id", "shipping_group"):
            if isinstance(clean.get(name), str):
                clean[name] = "".join(
                    each for each in clean[name] if each.isprintable() and not each.isspace()
                )
        if isinstance(clean.get("password"), str):
            clean["password"] = clean["password"].strip()
        for name in ("return_address_carrier_id", "shipping_group"):
            clean[name] = clean.get(name) or None
        return clean

    @validates_schema
    def credentials_are_there(self, data: dict[str, Any], **_: Any) -> None:
        wrong = [name for name in _NEEDS[data["kind"]] if not data[name]]
        if wrong:
            raise ValidationError(
                {name: [f"is needed for the kind of access {data['kind']}"] for name in wrong}
            )

    @validates_schema
    def mapping_is_understood(self, data: dict[str, Any], **_: Any) -> None:
        strange = [
            name
            for name in data["product_mapping"]
            if name not in MAPPABLE and not (name.startswith(ATTRIBUTE) and name != ATTRIBUTE)
        ]
        if strange:
            expected = f"there are: {', '.join(MAPPABLE)}, {ATTRIBUTE}<name>"
            raise ValidationError(f"OTTO has no field {', '.join(strange)}; {expected}", "product_mapping")
