"""`python -m bench [a b c d e] [--quick]`: measure and print the table; a full run writes bench/results/latest.json. No time makes it fail."""

from __future__ import annotations

import argparse
import importlib
import os
import time
from typing import Any

from bench import results
from bench.stage import stage

BENCHES = {
    "a": ("bench.webhooks", "durable webhooks a second"),
    "b": ("bench.draining", "events worked off a second"),
    "c": ("bench.offers", "marketplace calls for many stock updates"),
    "d": ("bench.latency", "from a stock event to the marketplace"),
    "e": ("bench.growth", "inserts a second when much is stored"),
}


def main() -> None:
    """Run what was asked for, one after another on one stage."""
    asked = _asked()
    started = time.monotonic()
    lines: list[results.Line] = []
    with stage() as made:
        for letter in asked.benches or BENCHES:
            name, meaning = BENCHES[letter]
            print(f"({letter}) {meaning} ...", flush=True)
            module: Any = importlib.import_module(name)
            found = module.measure(made, module.QUICK if asked.quick else module.FULL)
            print(results.table(found), flush=True)
            lines += found
    seconds = time.monotonic() - started
    print(
        f"\n{results.table(lines)}\n\n{seconds:.0f} s on {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}"
    )
    if asked.benches or asked.quick:
        print("That was not a full run: bench/results/latest.json stays as it is.")
    else:
        results.write(lines, seconds=seconds)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "benches", nargs="*", choices=[*BENCHES, []], metavar="a b c d e", help="default: all"
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter turns: under 90 s, wide ranges"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
