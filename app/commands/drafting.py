"""For developers: writes the next migration, on a database of its own that lives for this command only."""

from __future__ import annotations

import tempfile
from pathlib import Path

import flask_migrate

from app.commands import opening
from app.commands.problems import stop
from app.extensions import db
from app.machine.servers import Postgres

VERSIONS = Path(__file__).parent.parent / "migrations" / "versions"


def draft_migration(text: str) -> str:
    """The name of the new file. Ends with a Problem when the models are what the migrations make."""
    from app.config import load
    from app.vault import generate_key

    known = sorted(VERSIONS.glob("[0-9]*.py"))
    number = f"{len(known) + 1:04d}"
    with tempfile.TemporaryDirectory(prefix="shopbridge-") as folder, Postgres() as server:
        settings = {
            **load({}),
            "DATABASE_URL": server.start(folder),
            "SHOPBRIDGE_MASTER_KEYS": [generate_key()],
        }
        with opening.made_from(opening.quiet(settings)).app_context():
            if known:
                flask_migrate.upgrade()
            flask_migrate.migrate(message=text, rev_id=number)
            db.engine.dispose()
    made = [path.name for path in VERSIONS.glob(f"{number}_*.py")]
    return made[0] if made else stop("Nothing to write: the migrations make the tables that the models want.")
