"""Options and tables of the fault tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

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


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tables that a test left with record_property("table", ...) are shown at the end, whichever process ran it."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", []):
                if name == "table" and getattr(report, "when", "call") == "call":
                    terminalreporter.section(report.nodeid)
                    terminalreporter.write_line(value)
