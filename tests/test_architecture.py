"""Who may import whom: the contracts in pyproject.toml (import-linter), and what they cannot say."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "app"
NAMES_THAT_SAY_NOTHING = {"base", "common", "core", "helper", "helpers", "manager", "misc", "util", "utils"}
# Doors, and the places that wait for something outside the database. `patience` is a thread that watches slow senders.
MAY_SLEEP = {"app.machine", "app.sandbox", "app.cli", "app.clock", "app.web.patience"}


def module_name(path: Path, root: Path = ROOT) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> list[Path]:
    """Our own modules; migrations are made by a tool."""
    return sorted(path for path in APP.rglob("*.py") if "migrations" not in path.parts)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def calls(path: Path) -> Iterator[str]:
    """Every dotted name that a file calls."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


# --- the contracts --------------------------------------------------------------------------------


def contracts() -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return settings


def exists(module: str, root: Path) -> bool:
    place = root.joinpath(*module.split("."))
    return place.with_suffix(".py").exists() or (place / "__init__.py").exists()


def as_configuration(root: Path) -> str:
    """The contracts in import-linter's INI form, without those of our modules that are not there (yet)."""

    def known(values: list[str]) -> list[str]:
        ours = re.compile(r"app\.[a-z_.]+")
        return [value for value in values if not ours.fullmatch(value) or exists(value, root)]

    settings = contracts()
    lines = [
        "[importlinter]",
        "root_packages =\n    app",
        f"include_external_packages = {settings['include_external_packages']}",
        f"exclude_type_checking_imports = {settings['exclude_type_checking_imports']}",
    ]
    for contract in settings["contracts"]:
        fields = {
            key: known(value) if key in {"modules", "source_modules", "forbidden_modules"} else value
            for key, value in contract.items()
        }
        if any(fields.get(key) == [] for key in ("modules", "source_modules", "forbidden_modules")):
            continue
        lines.append(f"[importlinter:contract:{fields.pop('id')}]")
        for key, value in fields.items():
            lines.append(
                f"{key} ="
                + ("".join(f"\n    {v}" for v in value) if isinstance(value, list) else f" {value}")
            )
    return "\n".join(lines) + "\n"


def lint_imports(root: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    configuration = tmp_path / "contracts.ini"
    configuration.write_text(as_configuration(root))
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())",
            "--config",
            str(configuration),
            "--no-cache",
        ],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env={"NO_COLOR": "1", "PATH": "", "PYTHONPATH": str(root), "COLUMNS": "200"},
    )


def test_everyone_imports_only_what_they_may(tmp_path: Path) -> None:
    result = lint_imports(ROOT, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 broken" in result.stdout


# One forbidden import for each contract.
PLANTED = {
    "layers": {"app/models/__init__.py": "import app.flows.one\n"},
    "providers-and-models": {"app/shops/__init__.py": "import app.marketplaces\n"},
    "rules-alone": {"app/rules/__init__.py": "import app.registry\n"},
    "ends-of-the-queue": {"app/marketplaces/x/client.py": "import app.outbox\n"},
    "queue-is-blind": {"app/inbox.py": "import app.shops\n"},
    "know-nothing": {"app/messages.py": "import app.errors\n"},
    "pure": {"app/marketplaces/x/translate.py": "import sqlalchemy\n"},
    "flows-apart": {"app/flows/one.py": "import app.flows.two\n"},
    "one-door-out": {"app/sandbox/__init__.py": "import requests\n"},
    "one-door-to-the-queue": {"app/web/__init__.py": "import rq\n"},
    "machine-alone": {"app/machine/__init__.py": "import app.queues\n"},
}
SKELETON = [
    "__init__", "web/__init__", "jobs", "cli", "clock", "flows/__init__", "flows/one", "flows/two", "models/__init__",
    "rules/__init__", "inbox", "outbox", "shops/__init__", "marketplaces/__init__", "marketplaces/x/__init__",
    "marketplaces/x/client", "marketplaces/x/translate", "extensions", "queues", "outbound", "registry", "messages",
    "errors", "config", "vault", "plan", "machine/__init__", "sandbox/__init__",
]  # fmt: skip


def plant(root: Path, files: dict[str, str]) -> None:
    for module in SKELETON:
        path = root / "app" / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    # The three who may: the one place that plugs the parts together, and the two doors.
    (root / "app/__init__.py").write_text("import app.web, app.models\n")
    (root / "app/errors.py").write_text("import app\n")
    (root / "app/outbound.py").write_text("import requests\n")
    (root / "app/queues.py").write_text("import rq\n")
    for name, text in files.items():
        (root / name).write_text(text)


def test_each_contract_finds_what_it_forbids(tmp_path: Path) -> None:
    clean, dirty = tmp_path / "clean", tmp_path / "dirty"
    plant(clean, {})
    plant(dirty, {name: text for files in PLANTED.values() for name, text in files.items()})
    assert lint_imports(clean, tmp_path).returncode == 0
    found = lint_imports(dirty, tmp_path)
    names = {contract["id"]: contract["name"] for contract in contracts()["contracts"]}
    assert set(names) == set(PLANTED), "plant a bug for each contract"
    unseen = [key for key, name in names.items() if f"{name} BROKEN" not in " ".join(found.stdout.split())]
    assert unseen == [], found.stdout + found.stderr


def test_everyone_has_a_place_in_the_layers() -> None:
    """A module that no layer names could import anybody."""
    layers = next(contract for contract in contracts()["contracts"] if contract["id"] == "layers")["layers"]
    placed = {name for layer in layers for name in re.findall(r"app\.([a-z_]+)", layer)}
    stand_alone = {"machine", "sandbox", "migrations"}
    there = {path.relative_to(APP).with_suffix("").parts[0] for path in modules()} - {"__init__"}
    assert there - placed - stand_alone == set()


# --- what they cannot say -------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["shops", "marketplaces"])
def test_providers_do_not_know_each_other(family: str) -> None:
    providers = [path.parent for path in sorted((APP / family).glob("*/__init__.py"))]
    guilty = [
        f"{module_name(path)} imports {name}"
        for provider in providers
        for path in provider.rglob("*.py")
        for other in providers
        if other != provider
        for name in imports(path)
        if inside(name, module_name(other))
    ]
    assert guilty == []


def test_hardly_anyone_imports_by_name() -> None:
    """An import by a computed name would walk around every contract. create_app(), the command line and whoever finds folders may."""
    allowed = {"app", "app.registry", "app.sandbox", "app.cli"}
    by_name = {"importlib.import_module", "import_module", "__import__"}
    guilty = {module_name(path) for path in modules() if by_name & set(calls(path))}
    assert guilty <= allowed


def test_the_machine_needs_only_itself() -> None:
    """The servers and the supervisor start before anything else of the bridge can."""
    allowed = set(sys.stdlib_module_names) | {"psutil", "redis"}
    foreign = {
        f"{module_name(path)} imports {name}"
        for path in (APP / "machine").rglob("*.py")
        for name in imports(path)
        if name.split(".")[0] not in allowed and not inside(name, "app.machine")
    }
    assert foreign - {"app.machine.servers imports app", "app.machine.supervisor imports app"} == set()


def test_the_launcher_needs_only_the_standard_library() -> None:
    assert {name.split(".")[0] for name in imports(APP / "machine" / "launcher.py")} <= set(
        sys.stdlib_module_names
    )


def test_names_say_something() -> None:
    named = {part for path in modules() for part in path.relative_to(APP).with_suffix("").parts}
    assert named & NAMES_THAT_SAY_NOTHING == set()


def test_nobody_sleeps_while_deciding() -> None:
    """A wait is a column and a sweep, never a worker that sleeps."""
    guilty = {
        module_name(path)
        for path in modules()
        if "time.sleep" in set(calls(path))
        and not any(inside(module_name(path), place) for place in MAY_SLEEP)
    }
    assert guilty == set()


def test_every_package_has_its_init_file() -> None:
    """Without it a folder is missing from the installed package, though it works in the checkout."""
    folders = {path.parent for path in modules()}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []
