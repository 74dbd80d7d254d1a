"""Adding a marketplace touches nothing but its own folder and its own test folder: a throw-away one is added and found."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import app.marketplaces
from app import registry

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "__init__.py": '''
"""Marktplatz: a marketplace that lives for one test."""
from app.marketplaces.marktplatz.client import Client
from app.marketplaces.marktplatz.settings import Settings
from app.registry import Poll, Provider

PROVIDER = Provider(
    key="marktplatz", name="Marktplatz", role="marketplace", settings=Settings, client=Client,
    base_url="https://api.marktplatz.example", currencies=("EUR",), countries=("de",),
    polls=(Poll("orders", every=300, floor=60),), secret_settings=("api_key",),
)
''',
    "settings.py": '''
"""One key."""
from marshmallow import Schema, fields


class Settings(Schema):
    api_key = fields.String(required=True, metadata={"label": {"de": "Schlüssel", "en": "Key"}})
''',
    "client.py": '''
"""Asks the same question for everything."""
from app import messages as m
from app.errors import Unauthorised


class Client:
    def __init__(self, door, settings):
        self.door = door

    def _ask(self, deed=False):
        self.door.call("ask", "GET", "/", deed=deed)
        return []

    def check(self):
        try:
            self._ask()
        except Unauthorised as error:
            return m.ConnectionCheck(False, m.Reason(error.code))
        return m.ConnectionCheck(True)

    def orders_to_ship(self, since):
        return self._ask()

    def orders_changed(self, since):
        return self._ask()

    def returns_changed(self, since):
        return self._ask()

    def read_pieces(self, piece_ids):
        return self._ask()

    def ship(self, shipment):
        return self._ask(deed=True)

    def cancel(self, piece_ids, reason):
        return self._ask(deed=True)

    def refund(self, piece_id, amount, reason):
        return self._ask(deed=True)

    def accept_return(self, return_piece_id):
        return self._ask(deed=True)

    def push_offers(self, offers):
        return self._ask()

    def read_offers(self, skus):
        return self._ask()
''',
    "translate.py": '"""Nothing to translate."""\n',
}
DOUBLE = """
from app import messages as m

SETTINGS = {"api_key": "k"}
PIECE = "1"
RETURN_PIECE = "2"
OFFER = m.OfferWanted("TEE-001", "4006381333931", "Assam", 790, "EUR", 5, 1, True)


def error(status):
    return b"{}"
"""


PLUGIN = """
import importlib, app.marketplaces
app.marketplaces.__path__ = [*app.marketplaces.__path__, {provider!r}]
package = importlib.import_module("tests.marketplaces")
package.__path__ = [*package.__path__, {tests!r}]
"""


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """The folder of the new marketplace's package and the folder of its tests."""
    provider, tests = tmp_path / "app" / "marktplatz", tmp_path / "tests" / "marktplatz"
    provider.mkdir(parents=True)
    tests.mkdir(parents=True)
    for name, text in FILES.items():
        (provider / name).write_text(text.lstrip(), encoding="utf-8")
    (tests / "contract.py").write_text(DOUBLE, encoding="utf-8")
    return provider.parent, tests.parent


@pytest.fixture
def marktplatz(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The new folder on the package path; everything as before afterwards."""
    monkeypatch.setattr(app.marketplaces, "__path__", [*app.marketplaces.__path__, str(folders[0])])
    _forget()
    yield "marktplatz"
    for name in [each for each in sys.modules if ".marktplatz" in each]:
        del sys.modules[name]
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    importlib.invalidate_caches()
    registry.providers.cache_clear()


def test_the_registry_finds_it(marktplatz: str) -> None:
    assert registry.provider(marktplatz).name == "Marktplatz"
    assert registry.translator(marktplatz).__doc__ == "Nothing to translate."


def test_nothing_is_left_of_it() -> None:
    assert "marktplatz" not in registry.providers()


def contract_test(folders: tuple[Path, Path], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """The contract test in a process of its own, with the new folders on the package paths."""
    plugin = PLUGIN.format(provider=str(folders[0]), tests=str(folders[1]))
    (tmp_path / "with_marktplatz.py").write_text(plugin, encoding="utf-8")
    options = ["-q", "-p", "with_marktplatz", "-p", "no:cacheprovider", "-k", "marktplatz"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, "tests/marketplaces/test_contract.py"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_contract_test_runs_on_it_without_another_file(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    run = contract_test(folders, tmp_path)
    passed = re.search(r"(\d+) passed", run.stdout)
    assert run.returncode == 0, run.stdout
    assert passed is not None
    assert int(passed[1]) > 40


def test_the_contract_test_notices_a_deed_that_is_no_deed(folders: tuple[Path, Path], tmp_path: Path) -> None:
    client = folders[0] / "marktplatz" / "client.py"
    client.write_text(
        client.read_text("utf-8").replace("self._ask(deed=True)", "self._ask()"), encoding="utf-8"
    )
    run = contract_test(folders, tmp_path)
    assert run.returncode == 1, run.stdout
    assert "test_a_deed_without_a_clear_answer_is_unknown[marktplatz-cancel]" in run.stdout


def test_the_contract_test_asks_for_the_double(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (folders[1] / "marktplatz" / "contract.py").unlink()
    run = contract_test(folders, tmp_path)
    assert run.returncode == 1
    assert "No module named 'tests.marketplaces.marktplatz.contract'" in run.stdout
