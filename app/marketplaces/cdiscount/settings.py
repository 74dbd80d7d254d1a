"""What a merchant fills in for Cdiscount; the form in the shop admin is drawn from this, labels and all.

What may go wrong: credentials with blanks, or the seller number in the place of the client id. Blanks are forgiven, the rest is said in plain
words, in both languages.
"""

from __future__ import annotations

from typing import Any, Final

from marshmallow import ValidationError, fields, pre_load, validate, validates, validates_schema

from app.errors import Invalid
from app.marketplaces.cdiscount.translate import (
    CANCEL_REASONS,
    DEFAULT_TEXTS,
    MODES,
    MOST_DAYS,
    VAT_RATES,
    minor,
    percent,
)
from app.marketplaces.options import MarketplaceOptions

LONGEST_HANDLING: Final = 10  # what another connector's form allows; the API's own limit is not known
_MODE: Final = validate.Regexp(r"^[A-Z0-9]{2,6}$", error="must be a code like TRK")


def _said(german: str, english: str) -> dict[str, str]:
    return {"de": german, "en": english}


class CdiscountSettings(MarketplaceOptions):
    """Settings of one seller at Cdiscount. Amounts are text in euros, "4.90"."""

    client_id = fields.String(
        required=True,
        validate=validate.Length(min=3, max=200),
        metadata={
            "label": _said("Client-ID", "Client id"),
            "help": _said(
                "Ihre eigene, angelegt im Octopia-Verkäuferbereich unter „API Credentials Management“. Nie die eines Aggregators: Wer sie hat, "
                "kommt mit einer anderen Verkäufernummer an fremde Konten.",
                "Your own, created in the Octopia seller area under “API Credentials Management”. Never that of an aggregator: whoever has it "
                "reaches other people's accounts with another seller number.",
            ),
        },
    )
    client_secret = fields.String(
        required=True,
        validate=validate.Length(min=8, max=500),
        metadata={
            "label": _said("Client-Secret", "Client secret"),
            "help": _said(
                "Gehört zur Client-ID. Es wird verschlüsselt gespeichert und nie wieder gezeigt.",
                "Belongs to the client id. It is stored encrypted and never shown again.",
            ),
            "secret": True,
        },
    )
    seller_id = fields.String(
        required=True,
        validate=validate.Regexp(r"^[0-9]{1,12}$", error="must be the seller number, digits only"),
        metadata={
            "label": _said("Verkäufernummer", "Seller number"),
            "help": _said(
                "Ihre Nummer bei Octopia (SellerId), nur Ziffern.",
                "Your number at Octopia (SellerId), digits only.",
            ),
        },
    )
    handling_days = fields.Integer(
        strict=True,
        load_default=1,
        validate=validate.Range(min=0, max=LONGEST_HANDLING),
        metadata={
            "label": _said("Vorbereitungszeit in Tagen", "Preparation time in days"),
            "help": _said(
                "Gilt, wo der Artikel keine eigene hat.", "Counts where a product has none of its own."
            ),
        },
    )
    handling_cap = fields.Integer(
        strict=True,
        load_default=MOST_DAYS,
        validate=validate.Range(min=1, max=LONGEST_HANDLING),
        metadata={
            "label": _said("Höchstens so viele Vorbereitungstage", "At most so many preparation days"),
            "help": _said(
                "Angebote mit mehr Tagen zeigt Cdiscount nicht; was länger dauert, wird mit dieser Zahl angeboten. Üblich sind 5.",
                "Cdiscount does not show offers with more days; what takes longer is offered with this number. Usual are 5.",
            ),
        },
    )
    delivery_costs = fields.Dict(
        keys=fields.String(validate=_MODE),
        values=fields.String(),
        load_default=dict,
        metadata={
            "label": _said("Versandkosten je Versandart", "Shipping cost per delivery mode"),
            "help": _said(
                "Zum Beispiel TRK: 4.90, REG: 6.90. TRK (mit Sendungsnummer) ist Pflicht, REG (mit Unterschrift) auch, wenn Ihr Konto es hat; "
                "STD ist freiwillig. Die Verbindungsprüfung zeigt, welche Ihr Konto hat.",
                "For example TRK: 4.90, REG: 6.90. TRK (tracked) is needed, REG (signed) too if your account has it; STD is optional. The "
                "connection check shows which ones your account has.",
            ),
        },
    )
    additional_costs = fields.Dict(
        keys=fields.String(validate=_MODE),
        values=fields.String(),
        load_default=dict,
        metadata={
            "label": _said("Versandkosten je weiterem Stück", "Shipping cost per further piece"),
            "help": _said("Leer: 0.", "Empty: 0."),
        },
    )
    delivery_modes = fields.List(
        fields.String(validate=_MODE),
        load_default=list,
        metadata={
            "label": _said("Versandarten von Hand", "Delivery modes by hand"),
            "help": _said(
                "Nur ausfüllen, wenn Octopia die Versandarten des Kontos nicht mehr nennt. Leer: Sie werden gelesen.",
                "Only fill this in if Octopia does not list the account's delivery modes any more. Empty: they are read.",
            ),
            "choices": sorted(MODES),
        },
    )
    vat_rates = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        load_default=lambda: {"19": "20"},
        metadata={
            "label": _said("Mehrwertsteuersätze", "VAT rates"),
            "help": _said(
                "Satz im Shop -> Satz in Frankreich, zum Beispiel 19 -> 20, 7 -> 5.5.",
                "Rate in the shop -> rate in France, for example 19 -> 20, 7 -> 5.5.",
            ),
        },
    )
    default_vat_percent = fields.String(
        load_default="20",
        allow_none=True,
        metadata={
            "label": _said(
                "Mehrwertsteuersatz für Artikel ohne eigenen", "VAT rate for products without one"
            ),
            "help": _said(
                "Leer: Solche Artikel werden nicht angeboten.", "Empty: such products are not offered."
            ),
        },
    )
    ecotax = fields.String(
        load_default="0",
        metadata={
            "label": _said("Ökobeitrag je Stück", "Eco-participation per piece"),
            "help": _said(
                "Der französische Beitrag (Éco-participation) in Euro, wo der Artikel keinen eigenen hat. 0 ist erlaubt.",
                "The French contribution (éco-participation) in euros, where a product has none of its own. 0 is allowed.",
            ),
        },
    )
    ecotax_field = fields.String(
        load_default=None,
        allow_none=True,
        metadata={
            "label": _said(
                "Feld des Artikels mit dem Ökobeitrag", "Field of the product with the eco-participation"
            ),
            "help": _said("Zum Beispiel attribute:Ecotax.", "For example attribute:Ecotax."),
        },
    )
    categories = fields.Dict(
        keys=fields.String(),
        values=fields.String(validate=validate.Length(min=1, max=50)),
        load_default=dict,
        metadata={
            "label": _said("Kategorien", "Categories"),
            "help": _said(
                "Kategorie des Artikels -> Kategorie bei Octopia; „*“ für alle übrigen. Leer: Artikel, die Cdiscount nicht kennt, werden "
                "dort nicht angelegt.",
                "Category of the product -> category at Octopia; “*” for all others. Empty: products that Cdiscount does not know are not "
                "created there.",
            ),
        },
    )
    product_texts = fields.Dict(
        keys=fields.String(validate=validate.OneOf((*DEFAULT_TEXTS, "richMarketingDescription"))),
        values=fields.String(),
        load_default=dict,
        metadata={
            "label": _said("Texte der Artikel", "Texts of the products"),
            "help": _said(
                "Text bei Octopia -> Feld des Artikels, zum Beispiel description -> attribute:Beschreibung.",
                "Text at Octopia -> field of the product, for example description -> attribute:Description.",
            ),
        },
    )
    product_properties = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        load_default=dict,
        metadata={
            "label": _said("Merkmale der Artikel", "Properties of the products"),
            "help": _said(
                "Nummer des Merkmals bei Octopia -> Feld des Artikels, zum Beispiel 3263 -> attribute:Farbe.",
                "Number of the property at Octopia -> field of the product, for example 3263 -> attribute:Colour.",
            ),
        },
    )
    cancel_codes = fields.Dict(
        keys=fields.String(validate=validate.OneOf(CANCEL_REASONS)),
        values=fields.String(),
        load_default=dict,
        metadata={
            "label": _said("Stornogründe", "Cancellation reasons"),
            "help": _said(
                "Unser Grund -> Kennung bei Octopia. Leer: Der Grund wird nach seinem Namen gewählt.",
                "Our reason -> code at Octopia. Empty: the reason is chosen by its name.",
            ),
        },
    )

    @pre_load
    def without_blanks(self, data: Any, **_: Any) -> Any:
        """Copying from the seller area often takes blanks, line ends or invisible characters along. Amounts may have a comma."""
        if not isinstance(data, dict):
            return data
        clean = dict(data)
        for name in ("client_id", "client_secret", "seller_id"):
            if isinstance(clean.get(name), int) and not isinstance(clean.get(name), bool):
                clean[name] = str(clean[name])
            if isinstance(clean.get(name), str):
                clean[name] = "".join(
                    each for each in clean[name] if each.isprintable() and not each.isspace()
                )
        for name in ("ecotax_field", "default_vat_percent"):
            if clean.get(name) == "":
                clean[name] = None
        for name in ("delivery_costs", "additional_costs"):
            if isinstance(clean.get(name), dict):
                clean[name] = {
                    str(k).strip().upper(): _with_point(v)
                    for k, v in clean[name].items()
                    if v not in {None, ""}
                }
        if clean.get("handling_cap") is None:
            clean.pop("handling_cap", None)  # left empty in the form: the usual limit
        clean["ecotax"] = _with_point(clean.get("ecotax")) or "0"
        return clean

    @validates("delivery_costs")
    def costs_are_amounts(self, value: dict[str, str], **_: Any) -> None:
        for code, each in value.items():
            _amount(each, code)

    @validates("additional_costs")
    def further_costs_are_amounts(self, value: dict[str, str], **_: Any) -> None:
        for code, each in value.items():
            _amount(each, code)

    @validates("ecotax")
    def ecotax_is_an_amount(self, value: str, **_: Any) -> None:
        _amount(value, "ecotax")

    @validates("vat_rates")
    def rates_are_french(self, value: dict[str, str], **_: Any) -> None:
        for ours, theirs in value.items():
            if percent(ours) != ours or theirs not in VAT_RATES:
                raise ValidationError(f"must be like 19 -> 20; rates in France: {', '.join(VAT_RATES)}")

    @validates("default_vat_percent")
    def default_is_french(self, value: str | None, **_: Any) -> None:
        if value is not None and value not in VAT_RATES:
            raise ValidationError(f"rates in France: {', '.join(VAT_RATES)}")

    @validates_schema
    def not_swapped(self, data: dict[str, Any], **_: Any) -> None:
        """Client id and seller number stand side by side in the seller area."""
        if data["client_id"] == data["seller_id"]:
            raise ValidationError("this is the seller number, not the client id", "client_id")


def _with_point(value: object) -> str:
    return str(value if value is not None else "").strip().replace(",", ".")


def _amount(text: str, where: str) -> None:
    try:
        if minor(text, where) >= 0:
            return
    except Invalid:
        pass
    raise ValidationError(f"{where}: must be euros like 4.90")
