"""Options and tables of the fault tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The parts of the harness beside this file are shared by the tests here.
sys.path.insert(0, str(Path(__file__).parent))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--seed N` repeats one history of the simulation or one order of kills."""
    parser.addoption("--seed", type=int, default=None, help="Repeat this one seed (tests/faults)")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int | None:
    """The seed that was asked for."""
    asked: int | None = request.config.getoption("--seed", default=None)
    return asked
