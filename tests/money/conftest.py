"""Makes the modules beside this file importable from the tests here, and sets up the small network they play in."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.extensions import db

sys.path.insert(0, str(Path(__file__).parent))

from real_ledger import Cast, kept_plans


@pytest.fixture(scope="module")
def books(bridge_app: Flask) -> Iterator[tuple[Session, Cast]]:
    """A session in which the cast is there and nothing has happened yet. Nothing more may be committed: tests roll back."""
    with bridge_app.app_context():
        names = ", ".join(f'"{table.name}"' for table in db.metadata.sorted_tables)
        db.session.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
        session = db.session()
        cast = Cast(session)
        session.commit()
        with kept_plans(session):
            yield session, cast
        session.rollback()
        db.session.remove()
