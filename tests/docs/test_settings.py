"""docs/settings.md lists exactly the settings of app.config, with their defaults and meanings."""

import re
from pathlib import Path

from app.config import SETTINGS, Setting

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
KINDS = {
    "str": "text", "int": "whole number", "float": "number", "bool": "true / false", "list": "list with commas", "path": "folder",
}  # fmt: skip


def row(setting: Setting) -> str:
    default = (
        ""
        if setting.default in ("", [])
        else f"`{str(setting.default).lower() if setting.kind == 'bool' else setting.default}`"
    )
    return f"| `{setting.name}` | {KINDS[setting.kind]} | {default} | {setting.meaning} |"


def test_the_page_lists_exactly_the_settings() -> None:
    listed = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| `[A-Z]", line)]
    assert listed == [row(setting) for setting in SETTINGS], (
        "write the line of app/config.py into docs/settings.md"
    )
