"""What the money's source code may not contain: floats, clocks that nobody can set, and writing past the guards (invariants 11, 14, 20)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MONEY = sorted([
    *(ROOT / "app" / "ledger").glob("*.py"),
    *(ROOT / "app" / "rules" / f"{name}.py" for name in ("fees", "split", "release_policy", "trade")),
    ROOT / "app" / "models" / "ledger.py",
])  # fmt: skip


def faults(source: str) -> set[str]:
    """What is forbidden near money, by its word."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.add("float")
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            found.add("/")
        elif isinstance(node, ast.Name) and node.id in {"float", "round"}:
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and node.attr in {"Float", "Numeric", "Double"}:
            found.add(node.attr)
    return found


@pytest.mark.parametrize("path", MONEY, ids=lambda path: path.stem)
def test_money_is_never_a_float(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    "planted", ["x = 0.5", "x = a / b", "x /= 2", "x = float(y)", "x = round(y)", "x = sa.Numeric()"]
)
def test_a_planted_float_is_found(planted: str) -> None:
    assert faults(planted)


def written_balances() -> dict[str, int]:
    """File -> how many statements set a balance."""
    found = {}
    for path in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            sets = (
                isinstance(node, ast.Call)
                and getattr(node.func, "attr", "") == "values"
                and any(keyword.arg == "balance" for keyword in node.keywords)
            )
            assigns = isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Attribute) and target.attr == "balance" for target in node.targets
            )
            if sets or assigns:
                name = str(path.relative_to(ROOT))
                found[name] = found.get(name, 0) + 1
    return found


def test_balances_change_in_one_guarded_statement_only() -> None:
    assert written_balances().get("app/ledger/posting.py") == 1
    assert set(written_balances()) <= {"app/ledger/posting.py"}


def test_the_clock_is_asked_in_one_place_only() -> None:
    asking = [path.name for path in MONEY if "datetime.now" in path.read_text(encoding="utf-8")]
    assert asking == ["posting.py"]
