"""What a merchant may set for every marketplace: which products, at which price, with which reserve. Flows read these by name.

What may go wrong: a rule that makes no sense for a product (a price below a cent) blocks that product with a reason, not the others.
"""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validate, validates

from app.errors import Invalid
from app.rules import pricing


def _tidy(text: str) -> str:
    """Without blanks around it, hard blanks as plain ones, and without characters that nobody sees (the database refuses one of them)."""
    plain = (" " if each.isspace() and each != "\n" else each for each in text)
    return "".join(each for each in plain if each.isprintable() or each == "\n").strip()


def _said(german: str, english: str) -> dict[str, str]:
    return {"de": german, "en": english}


_A_RULE = f'must be like {{"kind": "plus_percent", "value": "7.5"}}; kinds: {", ".join(pricing.KINDS)}'


class MarketplaceOptions(Schema):
    """Base of a marketplace's settings schema; all optional."""

    class Meta:
        unknown = EXCLUDE

    export = fields.Boolean(
        load_default=True,
        truthy={True},
        falsy={False},
        metadata={
            "label": _said("Neue Produkte anbieten", "Offer new products"),
            "help": _said(
                "Jedes verkäufliche Produkt des Shops wird hier angeboten; aus: Sie schalten jedes Angebot selbst ein.",
                "Every sellable product of the shop is offered here; off: you switch on each offer yourself.",
            ),
        },
    )
    price_rule = fields.Dict(
        load_default=lambda: {"kind": "same", "value": "0"},
        metadata={
            "label": _said("Preis", "Price"),
            "help": _said(
                "Wie im Shop, fest, plus oder minus Betrag, plus oder minus Prozent.",
                "Same as in the shop, fixed, plus or minus an amount, plus or minus percent.",
            ),
        },
    )
    stock_buffer = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=0, max=10_000),
        metadata={
            "label": _said("Reserve im Bestand", "Stock kept back"),
            "help": _said(
                "So viele Stücke werden hier nicht angeboten. Leer: wie im Shop eingestellt.",
                "So many pieces are not offered here. Empty: as set for the shop.",
            ),
        },
    )
    added_handling_days = fields.Integer(
        strict=True,
        load_default=0,
        validate=validate.Range(min=0, max=100),
        metadata={
            "label": _said("Zusätzliche Vorbereitungstage", "Added preparation days"),
            "help": _said(
                "Kommt zur Vorbereitungszeit des Shops dazu.", "Added to the shop's preparation time."
            ),
        },
    )
    handling_cap = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=0, max=100),
        metadata={
            "label": _said("Höchstens so viele Vorbereitungstage", "At most so many preparation days"),
            "help": _said(
                "Was länger dauert, wird hier mit dieser Zahl angeboten. Leer: ohne Grenze.",
                "What takes longer is offered here with this number. Empty: no limit.",
            ),
        },
    )
    changed_elsewhere = fields.String(
        load_default="shop",
        validate=validate.OneOf(("shop", "marketplace")),
        metadata={
            "label": _said(
                "Bei Änderungen auf dem Marktplatz", "When something was changed at the marketplace"
            ),
            "help": _said(
                "Wer gewinnt, wenn Preis oder Vorbereitungszeit dort von Hand geändert wurden: der Shop oder der Marktplatz.",
                "Who wins when price or preparation time were changed there by hand: the shop or the marketplace.",
            ),
        },
    )

    accept_orders = fields.String(
        load_default="always",
        validate=validate.OneOf(("always", "in_stock", "by_hand")),
        metadata={
            "label": _said("Bestellungen annehmen", "Accept orders"),
            "help": _said(
                "Wo der Marktplatz eine Annahme verlangt: immer; nur was auf Lager ist (der Rest wird abgelehnt); oder von Hand.",
                "Where the marketplace wants orders accepted: always; only what is in stock (the rest is refused); or by hand.",
            ),
        },
    )
    price_guard_percent = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=1, max=99),
        metadata={
            "label": _said("Vorsicht bei zu niedrigen Preisen", "Beware of prices that are too low"),
            "help": _said(
                "Liegt der Preis einer Bestellung so viele Prozent unter dem Angebot, wird sie nicht von selbst angenommen. Leer: nie.",
                "An order whose price is so many percent below the offer is not accepted by itself. Empty: never.",
            ),
        },
    )

    @pre_load
    def without_pasted_blanks(self, data: Any, **_: Any) -> Any:
        """Texts are pasted from mails and web pages. A password may well begin with a blank, so of secrets only what nobody can type is taken."""
        if not isinstance(data, dict):
            return data
        secret = {name for name, field in self.fields.items() if field.metadata.get("secret")}
        return {
            name: value
            if not isinstance(value, str)
            else value.replace("\0", "")
            if name in secret
            else _tidy(value)
            for name, value in data.items()
        }

    @validates("price_rule")
    def price_rule_makes_sense(self, value: Any, **_: Any) -> None:
        """A word that nobody knows must not mean "as in the shop": the merchant asked for something else."""
        try:
            pricing.from_settings(value)
        except Invalid as error:
            wrong = str(error.params["field"]).removeprefix("price_rule.")
            told = str(error.params["value"])
            raise ValidationError(f'{wrong} "{told}" cannot be used; {_A_RULE}') from None
        if set(value) - {"kind", "value"} or (value.get("value") and not value.get("kind")):
            raise ValidationError(_A_RULE)
