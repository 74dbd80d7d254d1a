"""What merchants write about themselves in the network, read strictly, and how it is shown again; for the shop plugins and for the JSON API.

What may go wrong: any field can hold anything. Each mistake becomes an Invalid whose `field` is the place in the form, like `address.postcode`,
and whose sentence names it as people do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from app.errors import Invalid, Refused
from app.flows import network_members
from app.models import Profile
from app.rules import address, bank, reasons
from app.web import answers

MAX_MINOR = 10_000_000  # 100,000.00: more is a typing mistake
MAX_HOLD_MINUTES = 7 * 24 * 60
LONGEST = 200
DEALER_PRICES = ("net", "gross")
SHOP_OPTIONS = ("dealer_prices", "dealer_vat_percent")

_AMOUNT = re.compile(r"[0-9]{1,6}(?:[.,][0-9]{1,2})?")
_RATE = re.compile(r"(?:[0-9]{1,2}(?:\.[0-9]{1,4})?|100(?:\.0{1,4})?)", re.ASCII)
_PERCENT = re.compile(r"[0-9]{1,3}(?:[.,][0-9]{1,2})?")


# --- fields: a ValidationError's message is the code of a reason ------------------------------------------------------------------


class Line(fields.String):
    """One line of text; null is the same as empty."""

    default_error_messages = {"invalid": "profile.text_wrong", "invalid_utf8": "profile.text_wrong"}  # noqa: RUF012

    def __init__(self, longest: int = LONGEST, **kwargs: Any) -> None:
        super().__init__(allow_none=True, validate=_one_line(longest), **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        return str(super()._deserialize(value, *args, **kwargs)).strip()


def _one_line(longest: int) -> Any:
    def check(value: str | None) -> None:
        if value is not None and (len(value) > longest or not value.isprintable()):
            raise ValidationError("profile.text_wrong")

    return check


class Choice(fields.Boolean):
    """true or false."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("profile.flag_wrong")
        return value


class Number(fields.Integer):
    """A whole number within bounds."""

    default_error_messages = {"invalid": "profile.number_wrong", "too_large": "profile.number_wrong"}  # noqa: RUF012

    def __init__(self, lowest: int, highest: int, **kwargs: Any) -> None:
        self._bounds = (lowest, highest)
        super().__init__(strict=True, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        lowest, highest = self._bounds
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise ValidationError("profile.number_wrong")
        return value


class Hundredths(fields.Field[int]):
    """Decimal text, "4.90" or "4,90", as a whole number of hundredths: cents of an amount, basis points of a percentage."""

    def __init__(self, form: re.Pattern[str], code: str, **kwargs: Any) -> None:
        self._form, self._code = form, code
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        told = value.strip() if isinstance(value, str) else ""
        if not told.isascii() or not self._form.fullmatch(told):
            raise ValidationError(self._code)
        whole, _, part = told.replace(",", ".").partition(".")
        return int(whole) * 100 + int(part.ljust(2, "0") if part else 0)


def amount(**kwargs: Any) -> Hundredths:
    """Money as the protocol writes it."""
    return Hundredths(_AMOUNT, "profile.amount_wrong", **kwargs)


# --- forms ----------------------------------------------------------------------------------------------------------------------


class Lenient(Schema):
    """A newer plugin may say more."""

    class Meta:
        unknown = EXCLUDE


AddressForm = Lenient.from_dict({name: Line(load_default="") for name in address.TEXTS}, name="AddressForm")


class BankForm(Lenient):
    """Where a supplier is paid to."""

    iban = Line(60, load_default="")
    bic = Line(20, load_default="")
    holder = Line(140, load_default="")


class DocumentForm(Lenient):
    """A paper the merchant names; `number` as on it, `at` the day it was issued."""

    kind = fields.String(
        required=True, validate=validate.OneOf(network_members.DOCUMENTS, error="profile.document_wrong")
    )
    name = Line(load_default="")
    number = Line(80, load_default="")
    at = fields.String(
        allow_none=True,
        load_default=None,
        validate=validate.Regexp(r"\d{4}-\d{2}-\d{2}\Z", error="profile.date_wrong"),
    )


class GroupForm(Lenient):
    """A price group: a discount on the dealer price, in percent."""

    name = Line(80, required=True)
    discount = Hundredths(_PERCENT, "partnership.group_wrong", required=True)


class ProfileForm(Lenient):
    """`POST /plugin/network/profile`: what is not named stays as it is. Amounts are decimal text, gross."""

    supplier = Choice()
    retailer = Choice()
    address = fields.Nested(AddressForm)
    return_address = fields.Nested(AddressForm, allow_none=True)
    vat_id = Line(40)
    bank = fields.Nested(BankForm, allow_none=True)
    documents = fields.List(
        fields.Nested(DocumentForm),
        validate=validate.Length(max=network_members.MAX_DOCUMENTS, error="profile.document_wrong"),
    )
    currency = Line(3)
    accepts_partners = Choice()
    accepts_orders = Choice()
    shipping_price = amount()
    shipping_free_from = amount(allow_none=True)
    hold_minutes = Number(0, MAX_HOLD_MINUTES)
    price_groups = fields.List(
        fields.Nested(GroupForm),
        validate=validate.Length(max=network_members.MAX_GROUPS, error="partnership.group_wrong"),
    )
    submit = Choice(load_default=True)


class Rate(fields.Field[str]):
    """A percentage of at most 100 as decimal text, "19" or "5,5"; nothing for none."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str | None:  # type: ignore[override]
        told = value.strip().replace(",", ".") if isinstance(value, str) else None
        if told is None or (told and not _RATE.fullmatch(told)):
            raise ValidationError("profile.percent_wrong")
        return told or None


class ShopProfileForm(ProfileForm):
    """What a shop sends of it. What its dealer prices mean is an option of the shop, not of the merchant (app/shops/options.py)."""

    dealer_prices = fields.String(validate=validate.OneOf(DEALER_PRICES, error="profile.field_invalid"))
    dealer_vat_percent = Rate(allow_none=True)


class CatalogueForm(Lenient):
    """`POST /plugin/network/catalogue`: what is looked for; null and "" are the same as not named."""

    search = Line()
    category = Line(80)
    supplier = Line(30)
    gtin = Line(20)
    brand = Line()
    margin = Number(0, 100, allow_none=True)
    listed = fields.Boolean(allow_none=True, truthy={True}, falsy={False})
    page = Number(1, 100_000, load_default=1)


def load(form: Schema, told: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a form. Raises Invalid naming the first wrong field, all of them in params["mistakes"]."""
    try:
        found: dict[str, Any] = form.load(dict(told))
    except ValidationError as error:
        mistakes = tuple(_mistakes(error.messages))
        code, field = mistakes[0]
        raise Invalid(
            code, field=field, mistakes=tuple(Invalid(each, field=place) for each, place in mistakes)
        ) from None
    return found


def _mistakes(told: Any, path: str = "") -> list[tuple[str, str]]:
    """(code, place) of every mistake in marshmallow's nested messages."""
    if isinstance(told, Mapping):
        places = ((name, path if name == "_schema" else f"{path}.{name}".lstrip(".")) for name in told)
        return [each for name, place in places for each in _mistakes(told[name], place)]
    text = str(told[0] if isinstance(told, list) and told else told)
    return [(text if text in reasons.table() else "profile.field_invalid", path)]


# --- telling ----------------------------------------------------------------------------------------------------------------------

_LABELS: Mapping[str, tuple[str, str]] = {
    "supplier": ("Rolle", "Role"),
    "retailer": ("Rolle", "Role"),
    "address": ("Adresse", "Address"),
    "return_address": ("Rücksendeadresse", "Return address"),
    "first_name": ("Vorname", "First name"),
    "last_name": ("Nachname", "Last name"),
    "company": ("Firma", "Company"),
    "address_1": ("Straße und Hausnummer", "Street and number"),
    "address_2": ("Adresszusatz", "Second line"),
    "postcode": ("Postleitzahl", "Postcode"),
    "city": ("Ort", "City"),
    "state": ("Provinz", "Province"),
    "country": ("Land", "Country"),
    "phone": ("Telefon", "Telephone"),
    "email": ("E-Mail", "E-mail"),
    "vat_id": ("USt-IdNr.", "VAT id"),
    "bank": ("Bankverbindung", "Bank account"),
    "iban": ("IBAN", "IBAN"),
    "bic": ("BIC", "BIC"),
    "holder": ("Kontoinhaber", "Account holder"),
    "documents": ("Dokumente", "Documents"),
    "currency": ("Währung", "Currency"),
    "shipping_price": ("Versandkosten", "Shipping price"),
    "shipping_free_from": ("Versandfrei ab", "Free shipping from"),
    "hold_minutes": ("Bedenkzeit", "Regret window"),
    "price_groups": ("Preisgruppen", "Price groups"),
    "dealer_prices": ("Händlerpreise sind netto oder brutto", "Dealer prices are net or gross"),
    "dealer_vat_percent": ("Mehrwertsteuersatz der Händlerpreise", "VAT rate of the dealer prices"),
}


def label(field: str, locale: str) -> str:
    """How people call a place in the form: "Rücksendeadresse, Postleitzahl" for return_address.postcode."""
    which = 0 if locale.startswith("de") else 1
    named = [_LABELS[part][which] for part in field.split(".") if part in _LABELS]
    return ", ".join(named[1:] if len(named) > 1 and field.startswith("address.") else named) or field


def sentence(error: Refused, locale: str) -> str:
    """What is wrong, with the place as people call it."""
    field = error.params.get("field")
    named = {} if field is None else {"field": label(str(field), locale)}
    return reasons.sentence(error.code, {**error.params, **named}, locale)


def mistakes_shown(error: Refused, locale: str) -> list[dict[str, str]]:
    """Every mistake of a form, for showing each beside its field: [{"field", "code", "message"}]."""
    found = error.params.get("mistakes") or (error,)
    refusals = [each if isinstance(each, Refused) else Invalid(each.code, **each.params) for each in found]
    return [
        {"field": str(each.params.get("field") or ""), "code": each.code, "message": sentence(each, locale)}
        for each in refusals
    ]


def profile_shown(profile: Profile | None, *, decimal: bool) -> dict[str, Any]:
    """All fields of a profile; an empty draft where there is none. `decimal`: amounts as text ("4.90"), else minor units.

    Of the IBAN only country and end are shown: who has stolen a session learns nothing from it.
    """
    known = profile if profile is not None else Profile(**_EMPTY)
    told = known.address or {}
    return {
        **{
            name: getattr(known, name) for name in ("supplier", "retailer", "vat_id", "documents", "currency")
        },
        **{name: getattr(known, name) for name in ("accepts_partners", "accepts_orders", "hold_minutes")},
        "address": {name: told.get(name, "") for name in address.TEXTS},
        "return_address": _texts(known.return_address),
        "bank": _bank(known.bank),
        "shipping_price": _money(known.shipping_price, decimal),
        "shipping_free_from": _money(known.shipping_free_from, decimal),
        "payout_blocked": known.payout_blocked,
        "state": known.state,
        "reason": known.reason,
        "submitted_at": answers.iso(known.submitted_at),
        "decided_at": answers.iso(known.decided_at),
    }


def shop_options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the dealer prices of a shop mean, as its form shows it."""
    return {
        "dealer_prices": settings.get("dealer_prices") or "net",
        "dealer_vat_percent": settings.get("dealer_vat_percent"),
    }


_EMPTY: Mapping[str, Any] = {
    "supplier": False, "retailer": False, "address": {}, "documents": [], "currency": "EUR", "accepts_partners": False,
    "accepts_orders": True, "hold_minutes": 0, "shipping_price": 0, "payout_blocked": False, "state": "draft",
}  # fmt: skip


def _bank(told: Mapping[str, Any] | None) -> dict[str, str] | None:
    return None if told is None else {**told, "iban": bank.shown(str(told.get("iban") or ""))}


def _texts(told: Mapping[str, Any] | None) -> dict[str, str] | None:
    return None if told is None else {name: told.get(name, "") for name in address.TEXTS}


def _money(minor: int | None, decimal: bool) -> str | int | None:
    return minor if minor is None or not decimal else hundredths(minor)


def hundredths(value: int) -> str:
    """490 -> "4.90"."""
    sign = "-" if value < 0 else ""
    return f"{sign}{abs(value) // 100}.{abs(value) % 100:02d}"


def percent(basis_points: int) -> str:
    """750 -> "7.5", 500 -> "5"."""
    return hundredths(basis_points).rstrip("0").rstrip(".")
