"""Beside this file is the desk at which the network's money is handled in the tests."""

import sys
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

sys.path.insert(0, str(Path(__file__).parent))

from desk import Desk


@pytest.fixture
def desk(session: Session) -> Desk:
    """Anna's Teeladen supplies, Bücher Boldt retails; nothing has happened yet."""
    return Desk(session)
