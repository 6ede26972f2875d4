"""What a search does on 10³ devices and 10⁵ workers, by a discrete-event simulation that is checked against real runs.

Three tables. The first runs a plain-Python problem whose calls sleep on 1 to 4 real worker processes, and simulates the
same: the seconds of a generation, and the standard error of their mean. The second simulates plain-Python
problems with calls of a second to an hour (log-normal, σ of the logarithm as given) on up to 10⁵ workers, by
generations of twice as many candidates as workers and asynchronously. The third is arithmetic and simulated stragglers:
compiled problems on up to 10³ devices.

    python benchmarks/scaling.py
"""

import argparse
import dataclasses
import heapq
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from _measure import alone, note, parse_arguments, print_table

import evometa as em


@dataclasses.dataclass(frozen=True)
class Sleeper(em.HostProblem):
    """A problem whose calls take a log-normal time of a given mean, asleep."""

    mean: float = 0.05
    sigma: float = 1.0

    @property
    def space(self) -> em.Space:
        """Two numbers, which do not matter."""
        return em.Box((2,))

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        """Sleep, and return how long; drawn from ω, since the candidates of a generation share their seed."""
        own = np.random.default_rng(np.frombuffer(np.asarray(omega).tobytes(), np.uint32))
        seconds = float(durations(own, self.mean, self.sigma, 1)[0])
        time.sleep(seconds)
        return seconds


def durations(rng: np.random.Generator, mean: float, sigma: float, count: int) -> Any:
    """Return log-normal durations with a mean."""
    return rng.lognormal(np.log(mean) - sigma**2 / 2, sigma, count) if mean else np.zeros(count)


@dataclasses.dataclass(frozen=True)
class Costs:
    """Seconds that the one process of the search spends."""

    call: float
    """On a call: packing, sending, receiving, reading; half of it before, half of it after."""
    generation: float
    """On asking, telling and recording a generation."""


def generational(times: Any, workers: int, costs: Costs) -> tuple[float, float]:
    """Simulate one generation; return its seconds, and the share of them in which the search's process works.

    The process hands out one call after the other; each free worker gets the next one, and its answer waits until the
    process has time for it.
    """
    clock, busy = costs.generation, costs.generation
    returns: list[float] = []
    waiting, free = iter(times), workers
    pending = len(times)
    current: float | None = next(waiting, None)
    while pending:
        if current is not None and free:
            clock += costs.call / 2
            busy += costs.call / 2
            heapq.heappush(returns, clock + current)
            free -= 1
            current = next(waiting, None)
            continue
        clock = max(clock, heapq.heappop(returns)) + costs.call / 2
        busy += costs.call / 2
        free += 1
        pending -= 1
    return clock, busy / clock


def asynchronous(times: Iterator[float], workers: int, costs: Costs) -> tuple[float, float]:
    """Simulate a search without generations; return the share of time in which workers work, and in which it does.

    They are those of ten calls a worker, after five: at the beginning all calls begin at once, which never happens
    again.
    """
    clock = working = busy = begun = 0.0
    returns: list[tuple[float, float]] = []
    for _ in range(workers):
        clock += costs.call / 2
        seconds = next(times)
        heapq.heappush(returns, (clock + seconds, seconds))
    for call in range(15 * workers):
        if call == 5 * workers:
            begun, working, busy = clock, 0.0, 0.0
        returned, seconds = heapq.heappop(returns)
        working += seconds
        clock = max(clock, returned) + costs.call
        busy += costs.call
        seconds = next(times)
        heapq.heappush(returns, (clock + seconds, seconds))
    return working / (workers * (clock - begun)), busy / (clock - begun)


def measured(workers: int, population: int, mean: float, sigma: float, generations: int) -> float:
    """Return the mean seconds of a generation of a real search, but for the first two, when workers start."""
    problem = Sleeper(mean, sigma)
    ends: dict[int, float] = {}

    def note_time(report: em.Report) -> None:
        ends[report.status.generation] = time.perf_counter()

    strategy = em.strategies.RandomSearch(population)
    search = em.Search(problem, strategy, workers=workers, validation_share=0, callbacks=[note_time])
    with alone():
        search.run(generations=2)
        search.run(generations=generations + 3)  # the first of these starts workers anew
    first = min(generation for generation in ends if generation > 2)
    last = max(ends)
    return (ends[last] - ends[first]) / max(1, last - first)


def calibrated(generations: int) -> Costs:
    """Return the costs of this machine, from generations of 8 and of 64 calls that do nothing on one worker."""
    few, many = (measured(1, size, 0.0, 1.0, generations) for size in (8, 64))
    call = max(0.0, (many - few) / 56)
    return Costs(call, max(0.0, few - 8 * call))


def checked_rows(costs: Costs, mean: float, sigma: float, generations: int, most: int) -> list[list[str]]:
    """Return the rows of measured and simulated generations, for 1 to so many workers."""
    rows = []
    for workers in range(1, most + 1):
        population = 16
        real = measured(workers, population, mean, sigma, generations)
        note(f"{workers} workers measured")
        rng = np.random.default_rng(workers)
        simulated = [generational(durations(rng, mean, sigma, population), workers, costs)[0] for _ in range(2000)]
        error = np.std(simulated) / np.sqrt(generations)
        expected = float(np.mean(simulated))
        rows.append([f"{workers}", f"{real:.3f}", f"{expected:.3f} ± {error:.3f}", f"{real / expected:.2f}"])
    return rows


def worker_rows(costs: Costs, sigma: float, most: int) -> list[list[str]]:
    """Return the rows of plain-Python problems on many workers."""
    rows = []
    for seconds, name in ((1.0, "1 s"), (60.0, "1 min"), (3600.0, "1 h")):
        for workers in (10, 100, 1000, 10_000, 100_000):
            if workers > most:
                continue
            rng = np.random.default_rng(workers)
            count = 2 * workers
            times = durations(rng, seconds, sigma, count)
            took, busy = generational(times, workers, costs)

            def endless(rng: np.random.Generator = rng, mean: float = seconds) -> Iterator[float]:
                while True:
                    yield from durations(rng, mean, sigma, 4096)

            working, share = asynchronous(endless(), workers, costs)
            rows.append(
                [
                    name,
                    f"{workers:,}",
                    f"{100 * times.sum() / (workers * took):.0f} %",
                    f"{100 * busy:.1f} %",
                    f"{100 * working:.0f} %",
                    f"{100 * share:.1f} %",
                ]
            )
            note(f"{name}, {workers:,} workers simulated")
    return rows


@dataclasses.dataclass(frozen=True)
class Machine:
    """What devices can do, for the third table."""

    flops: float = 2e13
    """Of one device, reached in evaluations."""
    draws: float = 2e10
    """Normal numbers a second of one device."""
    bandwidth: float = 2.5e10
    """Bytes a second between devices."""
    latency: float = 2e-5
    """Seconds of one step of a collective."""
    jitter: float = 0.05
    """Standard deviation of the logarithm of a device's seconds."""


def device_rows(machine: Machine, rng: np.random.Generator) -> list[list[str]]:
    """Return the rows of OpenAI-ES with 10⁷ weights and of CMA-ES with 10³ on many devices."""
    rows = []
    for devices in (1, 10, 100, 1000):
        rows.append(_openai_es(machine, rng, devices, dimension=1e7, population=10_000))
    for devices in (1, 10, 100, 1000):
        rows.append(_cmaes(machine, rng, devices, dimension=1e3, population=10_000))
    return rows


def _spread(machine: Machine, rng: np.random.Generator, devices: int, seconds: float) -> float:
    """Return what the slowest of several devices takes for an equal share each, on average."""
    return float(np.mean(seconds * rng.lognormal(0, machine.jitter, (200, devices)).max(axis=1)))


def _openai_es(
    machine: Machine, rng: np.random.Generator, devices: int, dimension: float, population: int
) -> list[str]:
    share = population / devices
    flops = 6 * dimension * 1000  # a batch of 1,000 examples through a network with that many weights
    evaluating = _spread(machine, rng, devices, share * (flops / machine.flops + dimension / 2 / machine.draws))
    # Each device draws its own perturbations again and sums them; the sums are reduced.
    telling = share * dimension / 2 / machine.draws
    ring = 2 * (devices - 1)
    reducing = ring * machine.latency + (ring / devices) * 4 * dimension / machine.bandwidth if devices > 1 else 0.0
    total = evaluating + telling + reducing
    return [
        "OpenAI-ES, D = 10⁷, P = 10⁴",
        f"{devices:,}",
        f"{evaluating:.3g}",
        f"{telling:.3g}",
        f"{reducing:.2g}",
        f"{8 * dimension * (devices > 1) + 4 * population:.2g}",
        f"{100 * population * (flops / machine.flops) / devices / total:.0f} %",
    ]


def _cmaes(machine: Machine, rng: np.random.Generator, devices: int, dimension: float, population: int) -> list[str]:
    share = population / devices
    flops = 1e10  # an inner training of some seconds on a CPU core
    evaluating = _spread(machine, rng, devices, share * flops / machine.flops)
    # Every device asks and tells for all: sampling and the covariance are P D², the decomposition about 10 D³ and
    # slower by a factor of 100, since it is not a matrix product.
    telling = (4 * population * dimension**2 + 100 * 10 * dimension**3) / machine.flops
    gathering = 2 * np.log2(devices) * machine.latency + 4 * population / machine.bandwidth
    total = evaluating + telling + gathering
    return [
        "CMA-ES, D = 10³, P = 10⁴",
        f"{devices:,}",
        f"{evaluating:.3g}",
        f"{telling:.3g}",
        f"{gathering:.2g}",
        f"{4 * population:.2g}",
        f"{100 * population * (flops / machine.flops) / devices / total:.0f} %",
    ]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generations", type=int, default=30, help="that are measured with each number of workers")
    parser.add_argument("--seconds", type=float, default=0.05, help="of a call that is measured, on average")
    parser.add_argument("--processes", type=int, default=4, help="that are measured, at most")
    parser.add_argument("--sigma", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=100_000, help="that are simulated, at most")
    arguments = parse_arguments(parser, "--generations 1 --seconds 0.002 --processes 1 --workers 100")
    costs = calibrated(arguments.generations)
    print(f"{1000 * costs.call:.2f} ms a call, {1000 * costs.generation:.1f} ms a generation in the search's process\n")
    header = ["workers", "measured, s", "simulated, s", "measured / simulated"]
    print_table(
        header, checked_rows(costs, arguments.seconds, arguments.sigma, arguments.generations, arguments.processes)
    )
    print()
    header = [
        "a call",
        "workers",
        "generations: workers busy",
        "search busy",
        "asynchronous: workers busy",
        "search busy",
    ]
    print_table(header, worker_rows(costs, arguments.sigma, arguments.workers))
    print()
    header = ["search", "devices", "evaluate, s", "tell, s", "collectives, s", "bytes a device", "efficiency"]
    print_table(header, device_rows(Machine(), np.random.default_rng(0)))


if __name__ == "__main__":
    main()
