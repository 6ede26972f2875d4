"""Asynchronous search against generations, at call times that are log-normal with σ = 1: calls an hour, and quality.

The first table is real time: worker processes that sleep, as long as the seed of the call says. The second is virtual
time, a discrete-event simulation of the same workers in one process: searches with several seeds, so that the best
fitness after equal numbers of calls can be compared. Both sides have the same strategy, problem, number of workers and
number of calls. A GA is a steady-state one where it is asynchronous.

    python benchmarks/asynchronous.py
"""

import argparse
import dataclasses
import heapq
import os
import time
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from _measure import mean_and_error, note, parse_arguments, print_table

import evometa as em
from evometa.executors.executor import Outcome, Trial

SLEEP = "EVOMETA_BENCHMARK_SLEEP"
"""The environment variable with the median of a call's seconds."""


def duration(rng: np.random.Generator, omega: Any) -> float:
    """Return how long a call takes, in medians: log-normal, σ = 1; another time for each candidate of a generation."""
    own = zlib.crc32(np.asarray(omega, np.float64).tobytes())
    return float(np.random.default_rng([int(rng.integers(2**32)), own]).lognormal(0.0, 1.0))


@dataclasses.dataclass(frozen=True)
class Sleeper(em.HostProblem):
    """A sphere whose calls sleep."""

    calls_again = True

    @property
    def space(self) -> em.Box:
        """A cube."""
        return em.Box((3,), -5.0, 5.0)

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        """Sleep, then return the squared distance to 0."""
        time.sleep(float(os.environ[SLEEP]) * duration(rng, omega))
        return float(np.sum(omega**2))


@dataclasses.dataclass(frozen=True)
class Function(em.HostProblem):
    """An ellipsoid of condition 10⁴, or Rastrigin's function, in ten dimensions; the optimum is 0."""

    multimodal: bool = False
    calls_again = True

    @property
    def space(self) -> em.Box:
        """A cube, in which the optimum is 0.7 in each coordinate."""
        return em.Box((10,), -5.0, 5.0)

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        """Return the function's value."""
        x = np.asarray(omega, np.float64) - 0.7
        if self.multimodal:
            return float(np.sum(x**2 - 10 * np.cos(2 * np.pi * x) + 10))
        return float(np.sum(10.0 ** np.linspace(0, 4, 10) * x**2))


class Simulated:
    """An executor with a clock of its own: workers that are busy for the duration of each call."""

    def __init__(self, problem: em.HostProblem, workers: int) -> None:
        self.problem, self.clock, self.capacity = problem, 0.0, workers + 1
        self.free = [0.0] * workers
        self.running: list[tuple[float, int, Trial]] = []
        self.waiting: list[tuple[int, Trial]] = []
        self.submitted = 0

    def submit(self, trials: Sequence[Trial]) -> list[int]:
        """Queue trials."""
        numbers = list(range(self.submitted, self.submitted + len(trials)))
        self.submitted += len(trials)
        self.waiting += zip(numbers, trials, strict=True)
        return numbers

    def as_completed(self) -> Iterator[tuple[int, Outcome]]:
        """Return what ends first."""
        while self.waiting or self.running:
            while self.waiting and self.free:
                number, trial = self.waiting.pop(0)
                begun = max(heapq.heappop(self.free), self.clock)
                ends = begun + duration(np.random.default_rng(trial.seed), trial.omega)
                heapq.heappush(self.running, (ends, number, trial))
            self.clock, number, trial = heapq.heappop(self.running)
            heapq.heappush(self.free, self.clock)
            fitness = self.problem.evaluate(np.random.default_rng(trial.seed), trial.omega)
            yield number, Outcome(fitness, {}, None, seconds=0.0)

    def __enter__(self) -> "Simulated":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def simulate(problem: Any, strategy: Any, seed: int, arguments: argparse.Namespace, *, asynchronous: bool) -> Any:
    """Return the best fitness after all calls, and the virtual time that they took."""
    made: list[Simulated] = []

    def workers(problem: em.HostProblem) -> Simulated:
        made.append(Simulated(problem, max(1, arguments.workers)))
        return made[0]

    search = em.Search(
        problem, strategy, seed=seed, workers=workers, asynchronous=asynchronous, validation_share=0, progress=False
    )
    return search.run(evaluations=arguments.simulated_calls).best_fitness, made[0].clock


def sleep(strategy: Any, arguments: argparse.Namespace, *, asynchronous: bool) -> float:
    """Return the calls an hour of worker processes that sleep, after a third of the calls, when all have started."""
    times = [(0, time.monotonic())]

    def after(report: em.Report) -> None:
        times.append((report.status.generation, time.monotonic()))

    search = em.Search(
        Sleeper(),
        strategy,
        workers=arguments.workers,
        asynchronous=asynchronous,
        validation_share=0,
        progress=False,
        callbacks=[after],
    )
    search.run(evaluations=arguments.calls)
    begun = [each for each in times if 3 * each[0] <= times[-1][0]][-1]
    rows, seconds = times[-1][0] - begun[0], times[-1][1] - begun[1]
    return rows * strategy.population_size / seconds * 3600


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--population-size", type=int, default=16)
    parser.add_argument("--calls", type=int, default=480, help="in real time")
    parser.add_argument("--median", type=float, default=0.2, help="seconds of a call that sleeps")
    parser.add_argument("--simulated-calls", type=int, default=1600)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--strategies", nargs="+", default=["CMA-ES", "GA"])
    parser.add_argument("--functions", nargs="+", default=["ellipsoid", "Rastrigin"])
    small = "--strategies GA --functions Rastrigin --workers 0 --population-size 4 --calls 8 --median 0.001"
    small += " --simulated-calls 8 --seeds 1"
    arguments = parse_arguments(parser, small)
    os.environ[SLEEP] = str(arguments.median)
    size = arguments.population_size
    known = {"CMA-ES": em.strategies.CMAES(size), "GA": em.strategies.GeneticAlgorithm(size)}
    strategies: dict[str, Any] = {name: known[name] for name in arguments.strategies}
    rows = []
    for name, strategy in strategies.items() if arguments.calls else ():
        rates = [sleep(strategy, arguments, asynchronous=which) for which in (False, True)]
        rows.append([name, *(f"{rate:,.0f}" for rate in rates), f"{rates[1] / rates[0]:.2f}"])
        note(rows[-1])
    print(f"real time: {arguments.workers} workers that sleep, median {arguments.median:g} s, population {size}\n")
    print_table(["strategy", "calls an hour, generations", "asynchronous", "ratio"], rows)
    rows = []
    for name, strategy in strategies.items():
        for where in arguments.functions:
            problem = Function(multimodal=where == "Rastrigin")
            found = np.array(
                [
                    [simulate(problem, strategy, seed, arguments, asynchronous=which) for which in (False, True)]
                    for seed in range(arguments.seeds)
                ]
            )
            best, hours = np.log10(found[..., 0]), found[..., 1]
            each = [mean_and_error(best[:, side], 2) for side in (0, 1)]
            gained = mean_and_error(best[:, 1] - best[:, 0], 2)
            rows.append([f"{name}, {where}", *each, gained, f"{np.mean(hours[:, 0] / hours[:, 1]):.2f}"])
            note(rows[-1])
    print(f"\nvirtual time: {arguments.simulated_calls:,} calls, {arguments.seeds} seeds\n")
    print_table(["strategy, problem", "log10 best, generations", "asynchronous", "difference", "calls an hour"], rows)


if __name__ == "__main__":
    main()
