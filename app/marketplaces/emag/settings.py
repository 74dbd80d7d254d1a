"""What a merchant fills in for eMAG; the form in the shop admin is drawn from this, labels and all.

What may go wrong: credentials pasted with blanks, a sender that is incomplete although parcels are to be booked, or a VAT rate that is no number.
Blanks are forgiven; the rest is said in plain words, in both languages.
"""

from __future__ import annotations

from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from marshmallow import ValidationError, fields, pre_load, validate, validates, validates_schema

from app.marketplaces.emag.translate import LARGEST_OFFER_ID, PLATFORMS, decimal
from app.marketplaces.options import MarketplaceOptions
from app.rules.vat import rate

SENDER: Final = ("sender_name", "sender_phone", "sender_street", "sender_locality_id")
"""What awb/save needs of the sender (FACTS 6); the contact is the name where none is given."""


def _said(german: str, english: str) -> dict[str, str]:
    return {"de": german, "en": english}


def _text(label: dict[str, str], text: dict[str, str], most: int = 120) -> fields.String:
    return fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=most),
        metadata={"label": label, "help": text},
    )


class EmagSettings(MarketplaceOptions):
    """Settings of one eMAG account on one platform: a platform is a country with its currency, so each is a connection of its own."""

    platform = fields.String(
        required=True,
        validate=validate.OneOf(tuple(PLATFORMS)),
        metadata={
            "label": _said("Plattform", "Platform"),
            "help": _said(
                "ro: eMAG Rumänien (RON), bg: eMAG Bulgarien (EUR), hu: eMAG Ungarn (HUF), fd_ro und fd_bg: Fashion Days. "
                "Jede Plattform ist eine eigene Verbindung.",
                "ro: eMAG Romania (RON), bg: eMAG Bulgaria (EUR), hu: eMAG Hungary (HUF), fd_ro and fd_bg: Fashion Days. "
                "Each platform is a connection of its own.",
            ),
            "choices": list(PLATFORMS),
        },
    )
    username = fields.String(
        required=True,
        validate=validate.Length(min=1, max=200),
        metadata={
            "label": _said("Benutzer", "User"),
            "help": _said(
                "Benutzer mit API-Rechten (eMAG Marketplace, Mein Konto, Technische Details).",
                "A user with API rights (eMAG Marketplace, my account, technical details).",
            ),
        },
    )
    password = fields.String(
        required=True,
        validate=validate.Length(min=1, max=200),
        metadata={
            "label": _said("Passwort", "Password"),
            "help": _said(
                "Passwort dieses Benutzers. Es wird verschlüsselt gespeichert und nie wieder gezeigt. "
                "Tragen Sie bei eMAG auch die feste Adresse dieses Servers ein: Aufrufe anderer Adressen weist eMAG ab.",
                "Password of this user. It is stored encrypted and never shown again. "
                "At eMAG, also enter the fixed address of this server: eMAG turns away calls from other addresses.",
            ),
            "secret": True,
        },
    )
    time_zone = fields.String(
        load_default="Europe/Bucharest",
        metadata={
            "label": _said("Zeitzone", "Time zone"),
            "help": _said(
                "Die Zeiten von eMAG haben keine Zeitzone; vermutlich ist es diese.",
                "eMAG's times have no time zone; presumably it is this one.",
            ),
        },
    )
    handling_days = fields.Integer(
        strict=True,
        load_default=1,
        validate=validate.Range(min=0, max=255),
        metadata={
            "label": _said("Vorbereitungszeit in Tagen", "Preparation time in days"),
            "help": _said(
                "Gilt, wo der Artikel keine eigene hat. eMAG erlaubt nur bestimmte Werte; gesendet wird der nächste erlaubte.",
                "Counts where a product has none of its own. eMAG allows certain values only; the next allowed one is sent.",
            ),
        },
    )
    vat_rates = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        load_default=dict,
        metadata={
            "label": _said("Mehrwertsteuersätze", "VAT rates"),
            "help": _said(
                "Satz im Shop -> Satz bei eMAG, in Prozent, zum Beispiel 19 -> 21. Nicht genannte Sätze gelten wie im Shop.",
                "Rate in the shop -> rate at eMAG, percent, for example 19 -> 21. Rates that are not named count as in the shop.",
            ),
        },
    )
    default_vat_percent = fields.String(
        load_default=None,
        allow_none=True,
        metadata={
            "label": _said("Mehrwertsteuersatz ohne Angabe", "VAT rate where none is given"),
            "help": _said(
                "Gilt bei eMAG für Artikel, deren Satz der Shop nicht nennt, in Prozent. Leer: Solche Artikel werden nicht angeboten.",
                "Counts at eMAG for products whose rate the shop does not name, percent. Empty: such products are not offered.",
            ),
        },
    )
    price_below_percent = fields.Integer(
        strict=True,
        load_default=50,
        validate=validate.Range(min=1, max=99),
        metadata={
            "label": _said("Niedrigster Preis, Prozent darunter", "Lowest price, percent below"),
            "help": _said(
                "eMAG verlangt zu jedem Angebot einen niedrigsten Preis; er liegt so viele Prozent unter dem Preis.",
                "eMAG wants a lowest price with every offer; it lies so many percent below the price.",
            ),
        },
    )
    price_above_percent = fields.Integer(
        strict=True,
        load_default=100,
        validate=validate.Range(min=1, max=900),
        metadata={
            "label": _said("Höchster Preis, Prozent darüber", "Highest price, percent above"),
            "help": _said(
                "eMAG verlangt zu jedem Angebot einen höchsten Preis; er liegt so viele Prozent über dem Preis.",
                "eMAG wants a highest price with every offer; it lies so many percent above the price.",
            ),
        },
    )
    price_bounds = fields.String(
        load_default="follow",
        validate=validate.OneOf(("follow", "keep")),
        metadata={
            "label": _said("Preisgrenzen", "Price bounds"),
            "help": _said(
                "follow: Die Grenzen gehen mit jedem neuen Preis mit. keep: Die ersten Grenzen bleiben; ein Preis außerhalb wird abgelehnt.",
                "follow: the bounds move with every new price. keep: the first bounds stay; a price outside of them is refused.",
            ),
            "choices": ["follow", "keep"],
        },
    )
    first_offer_id = fields.Integer(
        strict=True,
        load_default=1,
        validate=validate.Range(min=1, max=LARGEST_OFFER_ID),
        metadata={
            "label": _said("Erste Angebotsnummer", "First offer number"),
            "help": _said(
                "Angebote bekommen bei eMAG fortlaufende Nummern ab dieser. Haben Sie dort schon Angebote, wählen Sie einen freien Bereich; "
                "danach nicht mehr ändern.",
                "Offers get consecutive numbers at eMAG from this one. If you have offers there already, choose a free range; "
                "do not change it afterwards.",
            ),
        },
    )
    shipping_mode = fields.String(
        load_default="own",
        validate=validate.OneOf(("own", "emag")),
        metadata={
            "label": _said("Versand", "Shipping"),
            "help": _said(
                "own: eigener Paketdienst; eMAG nimmt dessen Nummern nicht an und erfährt nur, dass versendet wurde. "
                "emag: eMAG bucht das Paket, sobald die Bestellung im Shop abgeschlossen ist; die Nummer kommt in den Shop.",
                "own: a carrier of your own; eMAG takes no foreign numbers and only hears that the order has left. "
                "emag: eMAG books the parcel as soon as the order is completed in the shop; its number comes into the shop.",
            ),
            "choices": ["own", "emag"],
        },
    )
    sender_name = _text(
        _said("Absender: Firma", "Sender: company"),
        _said("Nur für Pakete, die eMAG bucht.", "Only for parcels that eMAG books."),
    )
    sender_contact = _text(
        _said("Absender: Ansprechpartner", "Sender: contact"),
        _said("Leer: wie die Firma.", "Empty: like the company."),
    )
    sender_phone = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Regexp(
            r"^\+?[0-9]{8,11}$", error="must be 8 to 11 digits, with a plus in front if you like"
        ),
        metadata={
            "label": _said("Absender: Telefon", "Sender: phone"),
            "help": _said("8 bis 11 Ziffern.", "8 to 11 digits."),
        },
    )
    sender_street = _text(
        _said("Absender: Straße", "Sender: street"), _said("Straße und Hausnummer.", "Street and number.")
    )
    sender_postcode = _text(
        _said("Absender: Postleitzahl", "Sender: postcode"),
        _said("Darf leer bleiben.", "May stay empty."),
        most=20,
    )
    sender_locality_id = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=1),
        metadata={
            "label": _said("Absender: Ortsnummer", "Sender: locality number"),
            "help": _said(
                "Die Nummer des Ortes in eMAGs Ortsliste.",
                "The number of the town in eMAG's list of localities.",
            ),
        },
    )
    courier_account_id = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=1),
        metadata={
            "label": _said("Kurierkonto", "Courier account"),
            "help": _said(
                "Nummer des Kurierkontos bei eMAG. Leer: eMAG wählt. Die Verbindungsprüfung nennt Ihre Konten.",
                "Number of the courier account at eMAG. Empty: eMAG chooses. The connection check lists your accounts.",
            ),
        },
    )
    parcel_weight = fields.String(
        load_default=None,
        allow_none=True,
        metadata={
            "label": _said("Gewicht eines Pakets in kg", "Weight of a parcel in kg"),
            "help": _said(
                "Zum Beispiel 1 oder 0.5. Leer: wird nicht genannt.", "For example 1 or 0.5. Empty: not told."
            ),
        },
    )
    categories = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(strict=True, validate=validate.Range(min=1)),
        load_default=dict,
        metadata={
            "label": _said("Kategorien", "Categories"),
            "help": _said(
                "Kategorie des Artikels -> Nummer der Kategorie bei eMAG; „*“ für alle übrigen. Leer: Artikel, die eMAG nicht kennt, "
                "werden dort nicht angelegt.",
                "Category of the product -> number of the category at eMAG; “*” for all others. Empty: products that eMAG does not know "
                "are not created there.",
            ),
        },
    )
    characteristics = fields.Dict(
        keys=fields.String(
            validate=validate.Regexp(r"^[0-9]+$", error="must be the number of a characteristic at eMAG")
        ),
        values=fields.String(),
        load_default=dict,
        metadata={
            "label": _said("Merkmale", "Characteristics"),
            "help": _said(
                "Nummer des Merkmals bei eMAG -> Feld des Artikels, zum Beispiel 5213 -> attribute:Material.",
                "Number of the characteristic at eMAG -> field of the product, for example 5213 -> attribute:Material.",
            ),
        },
    )
    source_language = fields.String(
        load_default="de_DE",
        validate=validate.Regexp(r"^[a-z]{2}_[A-Z]{2}$"),
        metadata={
            "label": _said("Sprache der Artikeltexte", "Language of the product texts"),
            "help": _said(
                "In dieser Sprache stehen die Texte im Shop; eMAG übersetzt neue Artikel daraus.",
                "The shop's texts are in this language; eMAG translates new products from it.",
            ),
        },
    )

    @pre_load
    def without_blanks(self, data: Any, **_: Any) -> Any:
        """Copying often takes blanks, line ends or invisible characters along; a password may hold blanks, but none at its ends."""
        if not isinstance(data, dict):
            return data
        clean = dict(data)
        for name in ("username", "password"):
            if isinstance(clean.get(name), str):
                clean[name] = "".join(each for each in clean[name] if each.isprintable()).strip()
        for name in (*SENDER, "courier_account_id", "parcel_weight", "default_vat_percent"):
            if clean.get(name) == "":
                clean[name] = None
        if isinstance(clean.get("sender_phone"), str):
            clean["sender_phone"] = "".join(each for each in clean["sender_phone"] if each in "+0123456789")
        return clean

    @validates("time_zone")
    def time_zone_exists(self, value: str, **_: Any) -> None:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValidationError("is no time zone like Europe/Bucharest") from None

    @validates("vat_rates")
    def rates_are_percentages(self, value: dict[str, str], **_: Any) -> None:
        for each in [*value, *value.values()]:
            _percentage(each)

    @validates("default_vat_percent")
    def default_is_a_percentage(self, value: str | None, **_: Any) -> None:
        if value is not None:
            _percentage(value)

    @validates("parcel_weight")
    def weight_is_a_number(self, value: str | None, **_: Any) -> None:
        weight = decimal(value)
        if value is not None and (weight is None or weight <= 0):
            raise ValidationError("must be kilograms like 1 or 0.5")

    @validates_schema
    def sender_is_complete(self, data: dict[str, Any], **_: Any) -> None:
        """Only who lets eMAG book parcels must say where they are fetched."""
        if data.get("shipping_mode") != "emag":
            return
        if missing := [name for name in SENDER if not data.get(name)]:
            raise ValidationError({name: ["is needed where eMAG books the parcels"] for name in missing})


def _percentage(text: str) -> None:
    fraction = rate(text)
    if fraction is None or fraction > 1:
        raise ValidationError(f"is no percentage like 19 or 21: {text}")
