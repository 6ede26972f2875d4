"""What executors add to calls of a plain-Python problem that sleep: this process, worker processes, a Ray cluster.

python benchmarks/executors.py

The ideal is the seconds asked for, divided among the workers. What a call costs beyond that is a worker's time. A part
of it is the sleep's own, since the system wakes a process late: a plain loop of the same calls says how much. "Without
sleep" is for calls that return at once, in which nothing can hide.
"""

import argparse
import contextlib
import dataclasses
import time
from typing import Any

import numpy as np
from _engine import EXECUTORS, Trial
from _measure import alone, parse_arguments, print_table

import evometa as em


@dataclasses.dataclass(frozen=True)
class Sleeps(em.HostProblem):
    """Sleeps for some seconds."""

    seconds: float = 0.01

    @property
    def space(self) -> em.Space:
        """Four numbers."""
        return em.Box((4,), -1.0, 1.0)

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        """Sleep."""
        if self.seconds:
            time.sleep(self.seconds)
        return float(np.sum(omega**2))


def plain(seconds: float, calls: int) -> float:
    """Return the seconds that calls take in a loop, without an executor."""
    problem, omega, rng = Sleeps(seconds), np.zeros(4), np.random.default_rng(0)
    begun = time.perf_counter()
    for _ in range(calls):
        problem.evaluate(rng, omega)
    return time.perf_counter() - begun


def measured(name: str, seconds: float, calls: int, workers: int, repeats: int) -> tuple[float, float]:
    """Return the seconds that calls take, the least of several repeats, and the search's own CPU seconds in them."""
    trials = [Trial(np.zeros(4), (number,)) for number in range(calls)]
    found = []
    with EXECUTORS[name](Sleeps(seconds), workers) as executor:
        executor.submit(trials[: 4 * workers])  # all workers come up
        list(executor.as_completed())
        for _ in range(repeats):
            begun, cpu = time.perf_counter(), time.process_time()
            executor.submit(trials)
            assert len(list(executor.as_completed())) == calls
            found.append((time.perf_counter() - begun, time.process_time() - cpu))
    return min(found)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=0.01, help="that a call sleeps")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--executors", nargs="+", default=list(EXECUTORS), choices=list(EXECUTORS))
    arguments = parse_arguments(
        parser, "--calls 20 --seconds 0.001 --workers 1 --repeats 1 --executors in-process pool"
    )
    with alone():
        few = max(1, arguments.calls // 10)
        late = min(plain(arguments.seconds, few) for _ in range(3)) / few - arguments.seconds
        print(f"a plain loop adds {1000 * late:.2f} ms to a call")
        rows = []
        for name in arguments.executors:
            workers = 1 if name == "in-process" else arguments.workers
            size = (arguments.calls, workers, arguments.repeats)
            with contextlib.suppress(em.ConfigurationError):  # Ray is not installed
                wall, cpu = measured(name, arguments.seconds, *size)
                bare, _ = measured(name, 0.0, *size)
                ideal, each = arguments.calls * arguments.seconds / workers, 1000 / arguments.calls
                rows.append(
                    [
                        name,
                        workers,
                        f"{ideal:.1f}",
                        f"{wall:.1f}",
                        f"{100 * ideal / wall:.1f} %",
                        f"{(wall - ideal) * workers * each:.2f}",
                        f"{bare * workers * each:.2f}",
                        f"{cpu * each:.2f}",
                    ]
                )
    header = ["executor", "workers", "ideal, s", "measured, s", "share of the ideal", "a call adds, ms"]
    print_table([*header, "without sleep, ms", "CPU of the search a call, ms"], rows)


if __name__ == "__main__":
    main()
