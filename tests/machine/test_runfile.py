"""The note of a running bridge: private, whole, and not believed when its bridge is dead."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from app.machine import runfile

DATABASE = "postgresql://shopbridge@/shopbridge?host=/x"
BRIDGE = runfile.RunningBridge(
    pid=os.getpid(),
    started_at=runfile.own_start(),
    host="127.0.0.1",
    port=8080,
    settings={"DATABASE_URL": DATABASE},
    sandbox={"shop": "http://127.0.0.1:8092"},
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    runfile.write(tmp_path, BRIDGE)
    assert runfile.read(tmp_path) == BRIDGE


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = runfile.write(tmp_path, BRIDGE)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["run.json"]


def test_a_note_of_a_dead_bridge_counts_as_none(tmp_path: Path) -> None:
    runfile.write(tmp_path, replace(BRIDGE, pid=2**22 - 3))
    assert runfile.read(tmp_path) is None


def test_a_process_number_that_was_used_again_is_no_bridge(tmp_path: Path) -> None:
    runfile.write(tmp_path, replace(BRIDGE, started_at=BRIDGE.started_at - 3600))
    assert runfile.read(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"pid": 1}', '{"strange": 1}'])
def test_a_note_that_cannot_be_read_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    assert runfile.read(tmp_path) is None


def test_only_ones_own_note_is_removed(tmp_path: Path) -> None:
    path = runfile.write(tmp_path, replace(BRIDGE, pid=1))
    runfile.remove(tmp_path)
    assert json.loads(path.read_text())["pid"] == 1
    runfile.write(tmp_path, BRIDGE)
    runfile.remove(tmp_path)
    assert not path.exists()
    runfile.remove(tmp_path)


@pytest.mark.parametrize(
    ("environ", "meant"),
    [
        ({}, True),
        ({"DATABASE_URL": ""}, True),
        ({"DATABASE_URL": DATABASE}, True),
        ({"DATABASE_URL": "postgresql://elsewhere/x"}, False),
    ],
)
def test_another_database_never_gets_this_bridges_settings(environ: dict[str, str], meant: bool) -> None:
    assert runfile.is_meant(environ, BRIDGE) is meant


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),  # noqa: S104
        ("::", "http://127.0.0.1:8080"),
        ("::1", "http://[::1]:8080"),
        ("bridge.example", "http://bridge.example:8080"),
    ],
)
def test_the_address_is_one_that_this_machine_can_call(host: str, url: str) -> None:
    assert replace(BRIDGE, host=host).url == url
