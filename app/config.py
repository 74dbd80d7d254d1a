"""Every setting: environment name, type, default, one line of meaning. Nothing else in the project reads the environment.

docs/settings.md lists the same table; a test fails when one of the two forgets a line.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environs import Env


@dataclass(frozen=True)
class Setting:
    """One line of the table. `kind` is a method of environs.Env."""

    name: str
    kind: str
    default: Any
    meaning: str


SETTINGS = (
    Setting("DATABASE_URL", "str", "", "PostgreSQL to use; empty = the embedded one in the data folder"),
    Setting("REDIS_URL", "str", "", "Redis or Valkey to use; empty = the embedded Valkey in the data folder"),
    Setting(
        "SHOPBRIDGE_DATA", "path", Path("var"), "Folder of the embedded servers, the master key and the logs"
    ),
    Setting(
        "SHOPBRIDGE_MASTER_KEYS",
        "list",
        [],
        "Keys that encrypt secrets and addresses, newest first, comma separated; empty = a key file in the data folder",
    ),
    Setting("SHOPBRIDGE_HOST", "str", "127.0.0.1", "Address the web server listens on"),
    Setting("SHOPBRIDGE_PORT", "int", 8080, "Port the web server listens on"),
    Setting(
        "SHOPBRIDGE_PROXIES",
        "int",
        0,
        "Reverse proxies in front of the web server whose X-Forwarded headers are believed",
    ),
    Setting(
        "SHOPBRIDGE_PUBLIC_URL",
        "str",
        "",
        "Address under which shops reach the bridge, e.g. https://bridge.example; empty = http://host:port",
    ),
    Setting(
        "SHOPBRIDGE_EGRESS_ADDRESSES",
        "list",
        [],
        "Addresses that calls of this bridge come from, comma separated: eMAG wants them listed; empty = merchants are told to ask the operator",
    ),
    Setting(
        "SHOPBRIDGE_ALLOW_LOOPBACK",
        "bool",
        False,
        "Let connections point at this machine (sandbox, tests). Never on a public server",
    ),
    Setting(
        "SHOPBRIDGE_SECRET_KEY",
        "str",
        "",
        "Signs short-lived page tokens; empty = derived from the newest master key",
    ),
    Setting(
        "SHOPBRIDGE_METRICS_TOKEN", "str", "", "Bearer token for /metrics; empty = only from this machine"
    ),
    Setting("SHOPBRIDGE_LOG_LEVEL", "str", "INFO", "DEBUG, INFO, WARNING or ERROR"),
    Setting("SHOPBRIDGE_LOG_JSON", "bool", True, "One JSON object a line; false = for reading by people"),
    Setting("SHOPBRIDGE_WEB_PROCESSES", "int", 2, "Web processes of `shopbridge up`"),
    Setting(
        "SHOPBRIDGE_WEB_THREADS", "int", 16, "Threads of each web process; each holds one database connection"
    ),
    Setting("SHOPBRIDGE_WORKERS_IN", "int", 1, "Workers of `shopbridge up` that work off events"),
    Setting(
        "SHOPBRIDGE_WORKERS_OUT", "int", 2, "Workers of `shopbridge up` that deliver commands and offers"
    ),
    Setting(
        "SHOPBRIDGE_WORKERS_POLL", "int", 2, "Workers of `shopbridge up` that ask marketplaces for orders"
    ),
    Setting(
        "SHOPBRIDGE_SWEEP_SECONDS", "float", 1.0, "How often the clock looks for due rows and lost bells"
    ),
    Setting(
        "SHOPBRIDGE_IN_LEASE_SECONDS",
        "int",
        30,
        "How long a worker may hold events before another takes them over",
    ),
    Setting(
        "SHOPBRIDGE_OUT_LEASE_SECONDS",
        "int",
        180,
        "How long a worker may hold commands; longer than any call can take",
    ),
    Setting(
        "SHOPBRIDGE_RETRY_SCALE", "float", 1.0, "Factor on the retry plan; the demo and tests make it small"
    ),
    Setting(
        "SHOPBRIDGE_POLL_SECONDS",
        "int",
        0,
        "Ask every marketplace this often instead of its own plan; 0 = its plan. For the sandbox",
    ),
    Setting(
        "SHOPBRIDGE_SANDBOX_PACE",
        "float",
        1.0,
        "How many times faster than their documented rates marketplaces at loopback addresses are called. For the sandbox",
    ),
    Setting(
        "SHOPBRIDGE_EVENT_RATE", "int", 200, "Events a second one connection may send before it is told 429"
    ),
    Setting(
        "SHOPBRIDGE_KEEP_BODIES_DAYS",
        "int",
        14,
        "How long raw events are kept after they are done: the replay window",
    ),
    Setting(
        "SHOPBRIDGE_KEEP_ADDRESSES_DAYS", "int", 30, "How long buyers' addresses are kept after delivery"
    ),
    Setting(
        "SHOPBRIDGE_NETWORK_FEE_BP",
        "int",
        0,
        "The operator's net fee on what suppliers earn in the network, in basis points (500 = 5 %)",
    ),
    Setting(
        "SHOPBRIDGE_NETWORK_UNPAID_DAYS",
        "int",
        7,
        "Days for which a retailer's order that nobody has paid for may hold a supplier's stock; 0 = without end",
    ),
    Setting(
        "SHOPBRIDGE_NETWORK_ANSWER_WARN_HOURS",
        "int",
        48,
        "Hours after which a supplier who accepts by hand and has not answered is warned, and the retailer with him",
    ),
    Setting(
        "SHOPBRIDGE_NETWORK_ANSWER_HOURS",
        "int",
        168,
        "Hours after which his silence counts as a no and the retailer gets his money back; 0 = never, only the warning",
    ),
    Setting("SHOPBRIDGE_NETWORK_FEE_VAT_BP", "int", 1900, "VAT on that fee, in basis points"),
    Setting(
        "SHOPBRIDGE_NETWORK_RESERVE_BP",
        "int",
        0,
        "What a payout leaves with the operator of the last 30 days' earnings, in basis points",
    ),
)


def load(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """All settings by name, parsed. `environ` replaces the process environment (tests). Raises environs.EnvError with the name."""
    env = Env()
    if environ is None:
        return {
            setting.name: setting.default
            if _is_unset(setting, os.environ)
            else getattr(env, setting.kind)(setting.name, setting.default)
            for setting in SETTINGS
        }
    return {setting.name: _parsed(setting, environ) for setting in SETTINGS}


def _parsed(setting: Setting, environ: Mapping[str, str]) -> Any:
    if _is_unset(setting, environ):
        return setting.default
    raw = environ[setting.name]
    parse = {"str": str, "int": int, "float": float, "path": Path, "list": _words, "bool": _truth}[
        setting.kind
    ]
    return parse(raw)  # type: ignore[operator]


def _is_unset(setting: Setting, environ: Mapping[str, str]) -> bool:
    """An empty path is none: it would be the current folder, whatever that is."""
    return setting.name not in environ or (setting.kind == "path" and not environ[setting.name])


def _words(raw: str) -> list[str]:
    return [word.strip() for word in raw.split(",") if word.strip()]


def _truth(raw: str) -> bool:
    return raw.strip().lower() in {"1", "true", "yes", "on"}
