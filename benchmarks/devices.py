"""Two devices against one, and two processes against one, on the same search.

Each measured process is pinned to its cores (Linux) and says how many generations a second it does between its first
and its last dispatch, so that compiling does not count. The sides take turns:

one device
    one process on one core;
two alone
    two such processes at once, each on its core, which know nothing of each other: all that the machine allows;
two devices
    one process on two cores, with a device for each;
two ranks
    two processes with a device each, pinned to its core, under ``evometa run --distributed``.

    python benchmarks/devices.py

At the full size it takes 8 minutes: leave the machine alone meanwhile.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _measure import alone, note, parse_arguments, print_table

SIDES = ("one device", "two alone", "two devices", "two ranks")
OPTIONS = ("--strategy", "open-ai-es", "--validation-share", "0", "--finalists", "0", "--checkpoint-seconds", "1e9")


def start(folder: Path, cores: Sequence[int], words: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a search on some cores, with a device for each core that a process has."""
    command = [sys.executable, "-m", "evometa", "run", *words, *OPTIONS, "--run-directory", str(folder)]
    environment = {name: value for name, value in os.environ.items() if name != "EVOMETA_CPU_DEVICES"}
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # inherited
    try:
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    finally:
        os.sched_setaffinity(0, before)


def speed(folder: Path) -> float:
    """Return the generations a second of a run, from the end of its first dispatch on."""
    rows = np.loadtxt(folder / "timing.csv", delimiter=",", skiprows=1, ndmin=2)
    if len(rows) < 2:
        return float(rows[-1, 0] / rows[-1, 1])
    return float((rows[-1, 0] - rows[0, 0]) / (rows[-1, 1] - rows[0, 1]))


def measured(side: str, cores: Sequence[int], words: Sequence[str]) -> float:
    """Return the generations a second of one side, of two processes together."""
    with tempfile.TemporaryDirectory() as made:
        folders = [Path(made) / name for name in ("a", "b")]
        if side == "one device":
            processes = [start(folders[0], cores[:1], words)]
        elif side == "two alone":
            processes = [start(folder, [core], words) for folder, core in zip(folders, cores, strict=True)]
        elif side == "two devices":
            processes = [start(folders[0], cores, words)]
        else:
            processes = [start(folders[0], cores, [*words, "--distributed", "--processes", "2"])]
        if max([process.wait() for process in processes]):
            raise SystemExit(f"{side}: a search failed")
        return sum(speed(folder) for folder in folders if folder.exists())


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problem", default="sinusoid", help="its name in 'evometa list'")
    parser.add_argument("--population", type=int, default=1024, help="candidates in a generation")
    parser.add_argument("--seconds", type=float, default=20, help="of each search")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES, help="what to measure")
    smallest = '--problem sphere --population 4 --seconds 0.01 --rounds 1 --sides "one device"'
    options = parse_arguments(parser, smallest)
    cores = sorted(os.sched_getaffinity(0))[:2] if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        print("skipped: it needs two cores to pin processes to (Linux)\n")
        cores = [0, 0]
    words = [options.problem, "--population-size", str(options.population), "--seconds", str(options.seconds)]
    found: dict[str, list[float]] = {side: [] for side in options.sides}
    with alone():
        for turn in range(options.rounds):
            for side in options.sides:
                found[side].append(measured(side, cores, words))
                note(f"{turn + 1}/{options.rounds} {side}: {found[side][-1]:.2f} generations/s")
    first = options.sides[0]
    rows = []
    for side in options.sides:
        ratios = [one / base for one, base in zip(found[side], found[first], strict=True)]
        rows.append(
            [
                side,
                f"{statistics.median(found[side]):.3g}",
                f"{statistics.median(ratios):.2f}",
                f"{min(ratios):.2f} to {max(ratios):.2f}",
            ]
        )
    print_table(["side", "generations/s", f"over {first}", "in all rounds"], rows)


if __name__ == "__main__":
    main()
