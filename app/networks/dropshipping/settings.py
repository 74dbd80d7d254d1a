"""What a supplier decides about the network stands in his profile; the connection itself has no settings."""

from marshmallow import EXCLUDE, Schema


class Settings(Schema):
    """Nothing."""

    class Meta:
        unknown = EXCLUDE
