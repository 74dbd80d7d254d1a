"""The note that a running `shopbridge up` leaves in its data folder, so that commands in another terminal find its servers.

What may go wrong: the bridge was killed and the note is old. It names the process that wrote it, with the moment that process started, so a
note of a dead bridge counts as none. It holds passwords: only its owner may read it.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

NAME = "run.json"


@dataclass(frozen=True)
class RunningBridge:
    """A bridge on this machine. `settings`: environment names with their values as text; `sandbox`: simulator name -> its address."""

    pid: int
    started_at: float
    host: str
    port: int
    settings: Mapping[str, str]
    master_key_file: str | None = None
    sandbox: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the bridge listens, as this machine reaches it."""
        return f"http://{reachable(self.host)}:{self.port}"


def reachable(host: str) -> str:
    """The address with which this machine reaches a server that listens there."""
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104 - compared, not bound.
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def write(data_folder: Path, bridge: RunningBridge) -> Path:
    """Leave the note; whole or not at all, readable by its owner only."""
    path, unfinished = data_folder / NAME, data_folder / f"{NAME}.{os.getpid()}"
    with suppress(FileNotFoundError):
        unfinished.unlink()
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(bridge), file, indent=1)
    unfinished.replace(path)
    return path


def read(data_folder: Path) -> RunningBridge | None:
    """The bridge that runs in this data folder now; None when there is none, or the note cannot be read."""
    try:
        told: dict[str, Any] = json.loads((data_folder / NAME).read_text())
        bridge = RunningBridge(**told)
    except (OSError, ValueError, TypeError):
        return None
    return bridge if is_alive(bridge) else None


def remove(data_folder: Path) -> None:
    """Take the note away, if it is ours."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        path = data_folder / NAME
        if json.loads(path.read_text())["pid"] == os.getpid():
            path.unlink()


def is_alive(bridge: RunningBridge) -> bool:
    """Does the process that wrote the note still run? Process numbers are used again, so its start counts too."""
    try:
        return bool(abs(psutil.Process(bridge.pid).create_time() - bridge.started_at) < 2)
    except psutil.Error:
        return False


def own_start() -> float:
    """When this process started, as is_alive() compares it."""
    return float(psutil.Process().create_time())


def is_meant(environ: Mapping[str, str], bridge: RunningBridge) -> bool:
    """Does a command with this environment mean the running bridge? Not when it names another database."""
    return environ.get("DATABASE_URL") in {None, "", bridge.settings.get("DATABASE_URL")}
