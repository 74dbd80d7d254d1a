"""docs/suppliers.md, chapter "Being a supplier of the network": every example is run against a real bridge, in the order of the page."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from network_world import Network
from suppliers import DHL_TOO, join, listed, sold

PAGE = (Path(__file__).parents[2] / "docs" / "suppliers.md").read_text(encoding="utf-8")
CHAPTER = PAGE.split("## Being a supplier of the network\n", 1)[1].split("\n## ", 1)[0]


def blocks(language: str) -> list[str]:
    """The examples of one language."""
    return re.findall(rf"```{language}\n(.*?)```", CHAPTER, re.DOTALL)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_shell_examples(network: Network, tmp_path: Path) -> None:
    emil = join(network)
    tee = listed(network, emil, network.boldt)
    sold(network, tee, network.boldt, 2)
    sold(network, tee, network.boldt, 1)
    order, other = emil.program.get("/orders").body["data"]
    given = {
        "BRIDGE": network.bridge_url,
        "TOKEN": emil.program.token,
        "ORDER": order["id"],
        "OTHER": other["id"],
        "LINE": order["lines"][0]["id"],
        "SEQUENCE": "4711",
        "PATH": os.environ["PATH"],
    }
    assert len(blocks("sh")) == 8
    for script in blocks("sh"):
        told = subprocess.run(
            ["sh", "-ec", script], env=given, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, (script, told.stdout, told.stderr)
        network.work()
    assert (tmp_path / "slip.pdf").read_bytes().startswith(b"%PDF")
    assert emil.order(order["id"])["state"] == "shipped"  # the refund took the piece off that had not left
    assert emil.order(other["id"])["state"] == "cancelled"
    assert network.money(0).refunded == 420
    assert network.money(1).refunded == network.money(1).captured


def test_the_python_example(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    emil = join(network)
    tee = listed(network, emil, network.boldt)
    sold(network, tee, network.boldt, 2)
    monkeypatch.setenv("BRIDGE", network.bridge_url)
    monkeypatch.setenv("TOKEN", emil.program.token)
    names: dict[str, Any] = {}
    (script,) = blocks("python")
    exec(script, names)  # noqa: S102  The example is what is tested.
    kept: list[str] = []

    def write_down(order: dict[str, Any]) -> int:
        kept.append(order["id"])
        return 4711

    assert names["pull"](write_down) == 1
    network.work()
    assert names["pull"](write_down) == 0
    assert names["sent"](kept[0], DHL_TOO, "DHL") is True
    network.work()
    assert emil.order(kept[0])["state"] == "shipped"


def test_the_page_names_every_state_and_deed() -> None:
    from app.web.api.supplier import STATES

    for state in STATES:
        assert f"`{state}`" in CHAPTER, state
    for deed in ("accept", "ship", "refunds", "cancel", "packing-slip", "products", "money"):
        assert deed in CHAPTER
