"""The small cast behind the web tests: Anna's Teeladen (her shop sends events) and Chai GmbH (a stranger without rights)."""

import sys
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.orm import Session

sys.path.insert(0, str(Path(__file__).parent))

from senders_of_tests import Shop, shop_of

from app import accounts
from app.models import Account


@pytest.fixture
def anna(app: Flask, session: Session) -> Account:
    account = accounts.create_account(session, "Anna's Teeladen")
    session.commit()
    return account


@pytest.fixture
def chai(app: Flask, session: Session) -> Account:
    account = accounts.create_account(session, "Chai GmbH")
    session.commit()
    return account


@pytest.fixture
def shop(app: Flask, session: Session, anna: Account) -> Shop:
    """Anna's shop: a connection that reports, and its signing secret."""
    return shop_of(app, session, anna)


@pytest.fixture
def other_shop(app: Flask, session: Session, chai: Account) -> Shop:
    """Chai's shop: another account, another secret."""
    return shop_of(app, session, chai, "Chai")
