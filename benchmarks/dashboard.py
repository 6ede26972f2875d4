"""What a list of many runs costs the dashboard: seconds for the whole list, for one with few changes, and memory.

python benchmarks/dashboard.py
"""

import argparse
import dataclasses
import importlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _measure import alone, parse_arguments, print_table

from evometa.dashboard import listing
from evometa.dashboard.listing import Listing
from evometa.storage import result_file
from evometa.storage.history import COUNTS, HISTORY, MEASURED, STATISTICS, TIMING, format_rows
from evometa.storage.manifest import MANIFEST, Manifest
from evometa.storage.result import Result

COLUMNS = (*STATISTICS, *MEASURED, "strategy/axis_ratio", "strategy/sigma")
NUMBERS = [field.name for field in dataclasses.fields(Result)]

CHANGED = 10
"""Runs that have got further between two lists."""


def make_runs(folder: Path, runs: int, generations: int) -> None:
    """Fill a folder with run directories of one long history; no search is run, which would take memory."""
    description = {"type": "evometa.problems:Sphere", "fields": {"dimension": 10, "rotation_seed": None}}
    strategy = {"type": "evometa.strategies:CMAES", "fields": {"population_size": 32, "sigma": 0.3}}
    options = {"validate_every": 1, "validation_tasks": 1, "finalists": 0, "validation_share": 0.25}
    created = "2026-01-01T00:00:00+0000"
    number = np.arange(1, generations + 1)
    counts = np.stack([number, 32 * number, 0 * number, 0 * number], axis=1)
    values = np.random.default_rng(0).lognormal(size=(generations, len(COLUMNS))).astype(np.float32)
    history = ",".join((*COUNTS, *COLUMNS)).encode() + b"\n" + format_rows(counts, values)
    timing = b"generation,seconds\n" + format_rows(number[:, None], 0.1 * number[:, None])
    for run in range(runs):
        path = folder / f"sweep{run // 100}" / f"run{run}"
        path.mkdir(parents=True)
        manifest = Manifest(description, strategy, run, options, {}, {}, None, created, direction="minimize")
        (path / MANIFEST).write_bytes(manifest.to_bytes())
        (path / HISTORY).write_bytes(history)
        (path / TIMING).write_bytes(timing)
    ended = dict.fromkeys(NUMBERS, 0) | {"generations": generations, "direction": "minimize"}
    ended |= {"stop_code": "generations", "stop_reason": f"the limit of {generations} generations was reached"}
    for path in folder.glob("*/*"):
        (path / result_file.NUMBERS).write_text(json.dumps(ended, indent=2))


def timed(runs: Listing, since: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    """Return the seconds of a list, and what it says."""
    begun = time.perf_counter()
    found = runs.changes(since.get("identity", ""), since.get("version", 0))
    return time.perf_counter() - begun, found


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--generations", type=int, default=10_000)
    arguments = parse_arguments(parser, "--runs 12 --generations 20")
    listing.PAUSE = 0.0
    importlib.import_module("evometa.dashboard.app")  # all that the server imports counts as memory
    with tempfile.TemporaryDirectory() as name, alone():
        folder = Path(name)
        make_runs(folder, arguments.runs, arguments.generations)
        size = sum(path.stat().st_size for path in folder.rglob(HISTORY)) / 2**20
        runs = Listing(folder.resolve())
        first, found = timed(runs, {})
        assert len(found["runs"]) == arguments.runs
        for path in sorted(folder.rglob(HISTORY))[:CHANGED]:
            path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[-1])
        few, changes = timed(runs, found)
        assert len(changes["runs"]) == CHANGED
        none = min(timed(runs, changes)[0] for _ in range(5))
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    row = [
        f"{arguments.runs:,}",
        f"{arguments.generations:,}",
        f"{size:,.0f}",
        f"{first:.2f}",
        f"{few:.3f}",
        f"{none:.3f}",
    ]
    print_table(
        [
            "runs",
            "generations",
            "history, MiB",
            "first list, s",
            f"{CHANGED} runs changed, s",
            "unchanged, s",
            "memory, MiB",
        ],
        [[*row, f"{pages * 4096 / 2**20:.0f}"]],
    )


if __name__ == "__main__":
    main()
