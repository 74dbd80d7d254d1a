"""The extensions, created but not yet bound; `create_app` binds them. Import from here, never from flask_sqlalchemy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from app.vault import Vault


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can name them too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base)
migrate = Migrate()

# mypy does not know db.Model; at run time both are the same class.
if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


class _Safe:
    """Holds the vault of this process; encrypted columns reach it here because column types are made at import time."""

    def __init__(self) -> None:
        self._vault: Vault | None = None

    def bind(self, vault: Vault) -> None:
        self._vault = vault

    @property
    def vault(self) -> Vault:
        if self._vault is None:
            raise RuntimeError("no master keys: create_app() has not run in this process")
        return self._vault


safe = _Safe()
