"""What the simulated payment provider wants to be told: a key, and the secret it signs its messages with."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema, fields, validate


def _said(german: str, english: str) -> dict[str, str]:
    return {"de": german, "en": english}


class SimulatedSettings(Schema):
    """Settings of the sandbox's provider."""

    class Meta:
        unknown = EXCLUDE

    api_key = fields.String(
        required=True,
        validate=validate.Length(min=1),
        metadata={
            "label": _said("Schlüssel", "Key"),
            "help": _said(
                "sim_key: der Zahlungsdienst der Sandbox kennt nur diesen.",
                "sim_key: the sandbox's provider knows only this one.",
            ),
            "secret": True,
        },
    )
    webhook_secrets = fields.List(
        fields.String(validate=validate.Length(min=1)),
        load_default=list,
        metadata={
            "label": _said("Signaturgeheimnisse", "Signing secrets"),
            "help": _said(
                "Was die Sandbox zum Unterschreiben ihrer Nachrichten benutzt. Ohne sie fragt die Bridge von selbst nach, nur später.",
                "What the sandbox signs its messages with. Without them the bridge asks by itself, only later.",
            ),
            "secret": True,
        },
    )
