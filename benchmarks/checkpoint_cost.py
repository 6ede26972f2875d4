"""What checkpoints cost: the share of a sinusoid search's time spent writing them at the default interval.

python benchmarks/checkpoint_cost.py
"""

import argparse
import tempfile
import time
from typing import Any
from unittest import mock

from _engine import SAVES
from _measure import alone, parse_arguments, print_table

import evometa as em


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=65.0)
    parser.add_argument("--population", type=int, default=512)
    arguments = parse_arguments(parser, "--seconds 0.2 --population 16")
    spent: list[float] = []
    owner, method = SAVES
    save = getattr(owner, method)

    def timed(*args: Any, **kwargs: Any) -> None:
        begun = time.perf_counter()
        save(*args, **kwargs)
        spent.append(time.perf_counter() - begun)

    strategy = em.strategies.OpenAIES(population_size=arguments.population, tasks_per_pair=True)
    with tempfile.TemporaryDirectory() as folder, alone(), mock.patch.object(owner, method, timed):
        search = em.Search(em.problems.Sinusoid(num_tasks=4), strategy, run_directory=folder)
        result = search.run(seconds=arguments.seconds)
    share = sum(spent) / result.seconds
    row = [f"{result.seconds:.0f}", len(spent), f"{max(spent):.3f}", f"{100 * share:.2f} %"]
    print_table(["seconds of search", "checkpoints", "slowest, s", "share of the time"], [row])


if __name__ == "__main__":
    main()
