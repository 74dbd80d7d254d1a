"""A small world behind the API: Anna has everything, Chai has the same, and neither may see the other's."""

import sys
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.orm import Session

sys.path.insert(0, str(Path(__file__).parent))

from api_world import Api, World, world_of

from app import accounts
from app.models import Account


@pytest.fixture
def annas(app: Flask, session: Session, anna: Account) -> World:
    return world_of(session, anna)


@pytest.fixture
def chais(app: Flask, session: Session, chai: Account) -> World:
    return world_of(session, chai)


@pytest.fixture
def api(app: Flask, session: Session, anna: Account) -> Api:
    """Anna's own program."""
    token = accounts.make_token(session, anna, "ERP")
    session.commit()
    return Api(app, token)


@pytest.fixture
def chai_api(app: Flask, session: Session, chai: Account) -> Api:
    token = accounts.make_token(session, chai, "ERP")
    session.commit()
    return Api(app, token)


@pytest.fixture
def operator(app: Flask, session: Session) -> Api:
    token = accounts.make_token(session, None, "operator")
    session.commit()
    return Api(app, token)
