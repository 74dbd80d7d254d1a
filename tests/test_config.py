"""Settings: what is not said, and what is said as nothing."""

from pathlib import Path

import pytest

from app import config
from app.commands import opening
from app.machine import servers


@pytest.mark.parametrize("environ", [{}, {"SHOPBRIDGE_DATA": ""}])
def test_an_empty_folder_is_no_folder(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the current one: nobody looks for a database or a master key there."""
    assert config.load(environ)["SHOPBRIDGE_DATA"] == Path("var")
    monkeypatch.delenv("SHOPBRIDGE_DATA", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert config.load()["SHOPBRIDGE_DATA"].absolute() == opening.data_folder() == servers.data_folder()


def test_a_folder_that_is_named_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPBRIDGE_DATA", "/srv/bridge")
    assert (
        config.load()["SHOPBRIDGE_DATA"] == config.load({"SHOPBRIDGE_DATA": "/srv/bridge"})["SHOPBRIDGE_DATA"]
    )
    assert config.load()["SHOPBRIDGE_DATA"] == Path("/srv/bridge")
