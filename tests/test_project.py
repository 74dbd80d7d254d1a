"""The project's own promises: pinned packages, no silent skips, no way out to the network, the plugin's zip."""

import ast
import importlib.metadata
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(name: str) -> dict[str, str]:
    """Package and version (and marker) of each entry, from a compiled file."""
    text = (REQUIREMENTS / name).read_text().replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    found = {}
    for entry in entries:
        requirement, *hashes = entry.split(" --hash=")
        match = re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[a-z0-9,]+\])?==(\S+)\s*(;.*)?\s*", requirement)
        assert match, f"{name}: not pinned: {entry[:80]}"
        assert hashes, f"{name}: no hash: {requirement}"
        assert all(value.startswith("sha256:") for value in hashes)
        found[f"{canonical(match[1])}{match[3] or ''}".strip()] = match[2]
    return found


@pytest.mark.parametrize("name", ["runtime.txt", "dev.txt"])
def test_every_package_is_pinned_with_hashes_and_no_host_is_named(name: str) -> None:
    assert len(pins(name)) > 40
    text = (REQUIREMENTS / name).read_text()
    assert re.search(r"://|--(extra-)?index|--find-links|--trusted-host", text) is None


def test_tests_run_on_the_packages_that_run_the_bridge() -> None:
    runtime, dev = pins("runtime.txt"), pins("dev.txt")
    assert {name: dev.get(name) for name in runtime} == runtime


def test_every_imported_package_is_named() -> None:
    """What arrives only as a dependency of a dependency may leave with the next release of it."""
    named = {
        canonical(re.split(r"[\[<>=~ ;]", line)[0])
        for line in (REQUIREMENTS / "runtime.in").read_text().splitlines()
        if line and not line.startswith("#")
    }
    distributions = importlib.metadata.packages_distributions()
    imported = {}
    for path in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                top = name.split(".")[0]
                if top and top != "app" and top not in sys.stdlib_module_names:
                    imported[top] = path.relative_to(ROOT)
    unnamed = {
        f"{top} in {path}"
        for top, path in imported.items()
        if not {canonical(name) for name in distributions.get(top, [top])} & named
    }
    assert unnamed == set()


def pytest_with_our_rules(folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-c",
            os.devnull,
            "--rootdir",
            str(folder),
            "-p",
            "conftest",
            "--continue-on-collection-errors",
            str(folder),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_skip_is_a_failure_where_nothing_may_be_skipped(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text("import pytest\ndef test_it():\n    pytest.skip('no php')\n")
    (tmp_path / "test_two.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    (tmp_path / "test_three.py").write_text(
        "import pytest\n@pytest.mark.xfail\ndef test_it():\n    assert False\n"
    )
    allowed = pytest_with_our_rules(tmp_path, SHOPBRIDGE_NO_SKIP="")
    assert allowed.returncode == 0, allowed.stdout
    assert "2 skipped, 1 xfailed" in allowed.stdout
    refused = pytest_with_our_rules(tmp_path, SHOPBRIDGE_NO_SKIP="1")
    assert refused.returncode != 0
    assert "no php\nNothing may be skipped here" in refused.stdout
    assert "no_such_module" in refused.stdout
    assert "skipped" not in refused.stdout.splitlines()[-1]


def test_no_test_at_all_is_a_failure(tmp_path: Path) -> None:
    assert pytest_with_our_rules(tmp_path).returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def test_tests_cannot_leave_this_machine() -> None:
    with pytest.raises(RuntimeError, match=r"tried to look up 'example\.org'"):
        socket.create_connection(("example.org", 443), timeout=1)
    with socket.socket() as outside, pytest.raises(RuntimeError, match="tried to reach"):
        outside.connect(("192.0.2.1", 443))
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5).close()


def test_the_plugin_zip_holds_what_a_shop_needs(tmp_path: Path) -> None:
    plugin = tmp_path / "woocommerce"
    for name in (
        "shopbridge.php",
        "src/Events.php",
        "tests/EventsTest.php",
        "phpunit.xml.dist",
        ".editorconfig",
    ):
        (plugin / name).parent.mkdir(parents=True, exist_ok=True)
        (plugin / name).write_text(name)
    pack = [sys.executable, str(ROOT / "plugins" / "pack.py"), str(plugin)]
    for zip_name in ("one.zip", "two.zip"):
        subprocess.run([*pack, str(tmp_path / "dist" / zip_name)], check=True, capture_output=True)
    with zipfile.ZipFile(tmp_path / "dist" / "one.zip") as archive:
        assert archive.namelist() == ["shopbridge/shopbridge.php", "shopbridge/src/Events.php"]
    assert (tmp_path / "dist/one.zip").read_bytes() == (tmp_path / "dist/two.zip").read_bytes()


def plugin_tests(tmp_path: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The plugins' test script where there is no php."""
    (tmp_path / "woocommerce").mkdir(exist_ok=True)
    shutil.copy(ROOT / "plugins" / "run-tests.sh", tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir(exist_ok=True)
    for tool in ("bash", "dirname"):
        target = shutil.which(tool)
        assert target
        if not (tools / tool).exists():
            (tools / tool).symlink_to(target)
    return subprocess.run(
        ["bash", str(tmp_path / "run-tests.sh")],
        env={"PATH": str(tools), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_plugin_tests_are_skipped_loudly_without_php(tmp_path: Path) -> None:
    skipped = plugin_tests(tmp_path)
    assert skipped.returncode == 0, skipped.stderr
    assert "SKIPPED: tests of plugins/woocommerce, because php is not installed" in skipped.stdout
    assert plugin_tests(tmp_path, SHOPBRIDGE_NO_SKIP="1").returncode != 0


def test_help_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    described = set(re.findall(r"^([a-z-]+):.*## .", makefile, re.MULTILINE))
    assert set(phony[1].split()) == described
    shown = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert described == {line.split()[0] for line in shown.splitlines() if line.startswith("  ")}
