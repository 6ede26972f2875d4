"""Fair timing of several sides in one process, the standard error, and the tables all is printed in."""

import contextlib
import fcntl
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

LOCK = Path(tempfile.gettempdir()) / "evometa-benchmark.lock"


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
