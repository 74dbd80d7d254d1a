"""One line of the table, the table itself, and bench/results/latest.json."""

from __future__ import annotations

import json
import operator
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

FILE = Path(__file__).parent / "results" / "latest.json"


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
}


@dataclass
class Line:
    """One figure. `ratio` is to `ratio_of`, measured in the same run; `aim` is compared as `must` says: at least, at most, or exactly that."""

    bench: str
    name: str
    value: float
    unit: str
    ratio: float | None = None
    ratio_of: str | None = None
    aim: float | None = None
    must: Literal[">=", "<=", "=="] = ">="
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def measured(self) -> float:
        """What is held against the aim: the ratio where there is one."""
        return self.value if self.ratio is None else self.ratio

    @property
    def reached(self) -> bool | None:
        """None where nothing is aimed at."""
        if self.aim is None:
            return None
        return _COMPARE[self.must](self.measured, self.aim)


def spread(values: Iterable[float]) -> str:
    """Least and most."""
    found = sorted(values)
    return f"{found[0]:.0f}-{found[-1]:.0f}"


def table(lines: Sequence[Line]) -> str:
    """For reading: value, ratio, aim, whether it was reached, and the facts below."""
    rows = [("", "what", "value", "ratio", "aim", "reached")]
    rows += [
        (
            line.bench,
            line.name,
            f"{line.value:,.2f} {line.unit}" if line.value < 10 else f"{line.value:,.0f} {line.unit}",
            "" if line.ratio is None else f"{line.ratio:.2f}",
            "" if line.aim is None else f"{line.must} {line.aim:g}",
            {True: "yes", False: "no", None: ""}[line.reached],
        )
        for line in lines
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    text = []
    for row, line in zip(rows, [None, *lines], strict=True):
        cells = [
            cell.rjust(width) if place in {2, 3} else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        text.append("  ".join(cells).rstrip())
        if line is not None and line.facts:
            text.append("     " + ", ".join(f"{name} {value}" for name, value in line.facts.items()))
    return "\n".join(text)


def write(lines: Sequence[Line], *, seconds: float, file: Path = FILE) -> None:
    """What was measured, and on what kind of machine; no names and no paths of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds),
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load_average_at_the_end": [round(load, 1) for load in os.getloadavg()],
        },
        "lines": [_rounded(asdict(line) | {"reached": line.reached}) for line in lines],
    }
    file.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _rounded(line: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in line.items()}
