"""What all measurements share: a smallest size, peers that may be missing, fair timing, kept results, and tables."""

import argparse
import contextlib
import fcntl
import importlib
import json
import shlex
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

LOCK = Path(tempfile.gettempdir()) / "evometa-benchmark.lock"
BEGUN = time.monotonic()


def parse_arguments(parser: argparse.ArgumentParser, smallest: str) -> argparse.Namespace:
    """Parse the command line, on which ``--smallest`` stands for the options of the smallest size.

    The tests run every script at that size, to see that it still works. It takes seconds, and its figures mean nothing.

    Args:
        parser: all options of the script.
        smallest: what ``--smallest`` stands for, such as ``"--seeds 1 --generations 2"``; options after it count more.
    """
    parser.add_argument("--smallest", action="store_true", help=f"a run of seconds, the same as: {smallest}")
    words = sys.argv[1:]
    if "--smallest" in words:
        at = words.index("--smallest")
        words = [*words[:at], *shlex.split(smallest), *words[at:]]
    return parser.parse_args(words)


def peer(name: str, package: str = "") -> Any:
    """Return a module to compare with, or None and print a line where it is not installed.

    Args:
        name: of the module.
        package: what pip calls it, where that differs.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some warn of their optional parts
            return importlib.import_module(name)
    except ImportError as missing:
        print(f"skipped: {name} ({missing}); it comes with: pip install {package or name.partition('.')[0]}\n")
        return None


def note(words: object) -> None:
    """Tell on standard error how far a long measurement is."""
    print(f"{time.monotonic() - BEGUN:.0f} s: {words}", file=sys.stderr, flush=True)


class Kept(dict[str, Any]):
    """What was measured already, by name, in a JSON file where there is one; an interrupted measurement continues.

    Args:
        path: the file; None: nothing is kept.
    """

    def __init__(self, path: Path | None) -> None:
        super().__init__(json.loads(path.read_text()) if path is not None and path.exists() else {})
        self._path = path

    def get_or(self, name: str, measure: Callable[[], Any]) -> Any:
        """Return what is kept under a name, measured and written to the file first where it is missing."""
        if name not in self:
            self[name] = measure()
            note(f"{name}: {self[name]}")
            if self._path is not None:
                new = self._path.with_suffix(".new")
                new.write_text(json.dumps(self, indent=1) + "\n")
                new.replace(self._path)
        return self[name]


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other benchmark measures on this machine, and keep others waiting meanwhile."""
    with LOCK.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def interleaved(
    sides: Mapping[str, Callable[[], object]], *, rounds: int = 9, seconds: float = 0.2
) -> dict[str, float]:
    """Return the median seconds of one call of each side.

    The sides take turns, so that a slow minute of the machine falls on all of them alike. Each is called once before,
    to compile and to warm up.

    Args:
        sides: name -> function that returns when its work is done.
        rounds: turns of each side.
        seconds: length of a turn, about; at least one call.
    """
    calls = {}
    for name, side in sides.items():
        side()
        start = time.perf_counter()
        side()
        calls[name] = max(1, round(seconds / (time.perf_counter() - start)))
    times: dict[str, list[float]] = {name: [] for name in sides}
    with alone():
        for _ in range(rounds):
            for name, side in sides.items():
                start = time.perf_counter()
                for _ in range(calls[name]):
                    side()
                times[name].append((time.perf_counter() - start) / calls[name])
    return {name: statistics.median(each) for name, each in times.items()}


MATMUL_SIZE = 2048
MATMUL_FLOPS = 2 * MATMUL_SIZE**3


def matmul() -> Callable[[], object]:
    """Return a side that multiplies two float32 matrices on all cores: what the machine can do."""
    a = jnp.ones((MATMUL_SIZE, MATMUL_SIZE), jnp.float32)
    product = jax.jit(jnp.matmul)
    return lambda: product(a, a).block_until_ready()


def standard_error(values: ArrayLike) -> float:
    """Return the standard error of the mean of numbers ``[N]``, NaN of a single one."""
    known = np.asarray(values, np.float64)
    return float(known.std(ddof=1) / len(known) ** 0.5) if len(known) > 1 else float("nan")


def mean_and_error(values: ArrayLike, digits: int = 3) -> str:
    """Return the mean of numbers ``[N]`` with its standard error in words, and a single one alone."""
    known = np.asarray(values, np.float64)
    error = f" ± {standard_error(known):.{digits}f}" if len(known) > 1 else ""
    return f"{known.mean():.{digits}f}{error}"


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table; the first column is aligned left, the others right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = (c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        return f"| {' | '.join(padded)} |"

    print(line(cells[0]))
    print("|" + "|".join(("-" * (w + 1) + (":" if i else "-")) for i, w in enumerate(widths)) + "|")
    for row in cells[1:]:
        print(line(row), flush=True)
