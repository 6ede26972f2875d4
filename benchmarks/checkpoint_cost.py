"""What checkpoints cost: the share of a sinusoid search's time spent writing them at the default interval.

python benchmarks/checkpoint_cost.py
"""

import tempfile
import time
from typing import Any
from unittest import mock

from _measure import alone, print_table

import evometa as em
from evometa.run_directory import RunDirectory

SECONDS = 65.0


def main() -> None:
    """Measure and print the table."""
    spent: list[float] = []
    save = RunDirectory.save

    def timed(*args: Any, **kwargs: Any) -> None:
        begun = time.perf_counter()
        save(*args, **kwargs)
        spent.append(time.perf_counter() - begun)

    strategy = em.strategies.OpenAIES(population_size=512, tasks_per_pair=True)
    with tempfile.TemporaryDirectory() as folder, alone(), mock.patch.object(RunDirectory, "save", timed):
        search = em.Search(em.problems.Sinusoid(num_tasks=4), strategy, run_directory=folder)
        result = search.run(seconds=SECONDS)
    share = sum(spent) / result.seconds
    row = [f"{result.seconds:.0f}", len(spent), f"{max(spent):.3f}", f"{100 * share:.2f} %"]
    print_table(["seconds of search", "checkpoints", "slowest, s", "share of the time"], [row])


if __name__ == "__main__":
    main()
