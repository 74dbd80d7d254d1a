"""What an operator fills in for Stripe: the secret key, and the signing secrets of the webhook endpoint.

What may go wrong: the publishable key instead of the secret one, or an endpoint's id instead of its secret; both are named as such.
"""

from __future__ import annotations

from typing import Any, Final

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load

KEY_STARTS: Final = ("sk_", "rk_")  # secret and restricted keys
SIGNING_START: Final = "whsec_"


def _said(german: str, english: str) -> dict[str, str]:
    return {"de": german, "en": english}


def _secret_key(value: str) -> None:
    if value.startswith("pk_"):
        raise ValidationError("must be the secret key (sk_...), this is the publishable one (pk_...)")
    if not value.startswith(KEY_STARTS) or len(value) < 10:
        raise ValidationError("must be a secret key (sk_...) or a restricted one (rk_...)")


def _webhook_secret(value: str) -> None:
    if not value.startswith(SIGNING_START):
        raise ValidationError("must be the signing secret of the webhook endpoint (whsec_...)")


class StripeSettings(Schema):
    """Settings of the operator's Stripe account."""

    class Meta:
        unknown = EXCLUDE

    secret_key = fields.String(
        required=True,
        validate=_secret_key,
        metadata={
            "label": _said("Geheimer Schlüssel", "Secret key"),
            "help": _said(
                "Stripe-Dashboard, Entwickler, API-Schlüssel. Er wird verschlüsselt gespeichert und nie wieder gezeigt.",
                "Stripe dashboard, developers, API keys. It is stored encrypted and never shown again.",
            ),
            "secret": True,
        },
    )
    webhook_secrets = fields.List(
        fields.String(validate=_webhook_secret),
        load_default=list,
        metadata={
            "label": _said("Signaturgeheimnisse des Webhooks", "Signing secrets of the webhook"),
            "help": _said(
                "Stripe-Dashboard, Entwickler, Webhooks. Während eines Wechsels zwei. Ohne sie fragt die Bridge von selbst nach, nur später.",
                "Stripe dashboard, developers, webhooks. Two while one is being rolled. Without them the bridge asks by itself, only later.",
            ),
            "secret": True,
        },
    )

    @pre_load
    def without_blanks(self, data: Any, **_: Any) -> Any:
        """Keys are copied from a web page, often with blanks around them. One secret alone may be given without a list."""
        if not isinstance(data, dict):
            return data
        clean = {name: value.strip() if isinstance(value, str) else value for name, value in data.items()}
        if isinstance(clean.get("webhook_secrets"), str):
            clean["webhook_secrets"] = [each for each in clean["webhook_secrets"].split() if each]
        return clean
