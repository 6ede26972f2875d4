"""Memory of a large population: 16,384 candidates of ``digits-hyperparameters`` under a budget of 2 GiB.

The automatic chunk size is set beside fixed ones, each in a process of its own, so that the peak of the resident memory
is its own. Training is cut to 2 tasks of 10 steps, so that a generation takes seconds.

    python benchmarks/memory.py
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

from _measure import alone, parse_arguments, print_table

POPULATION = 16_384
BUDGET = 2 * 2**30
CHUNKS = ("auto", 1, 2, 4, 8)


def measure(chunk: Any, population: int) -> dict[str, Any]:
    """Time a few generations and return the speed and the peak resident memory; runs in a process of its own."""
    import evometa as em

    problem = em.problems.DigitsHyperparameters(num_tasks=2, inner_steps=10)
    strategy = em.strategies.OpenAIES(population_size=population)
    search = em.Search(problem, strategy, population_chunk=chunk, memory_budget=BUDGET, progress=False)
    search.run(generations=1)
    begun = time.perf_counter()
    search.run(generations=3)
    return {
        "speed": 2 * population / (time.perf_counter() - begun),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
        "chunk": search.chunk,
    }


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--population", type=int, default=POPULATION)
    parser.add_argument(
        "--chunks", type=json.loads, nargs="+", default=list(CHUNKS), help='numbers, or "auto" in quotes'
    )
    parser.add_argument("--measure", type=json.loads, help=argparse.SUPPRESS)
    arguments = parse_arguments(parser, "--population 8 --chunks 2")
    if arguments.measure is not None:
        print(json.dumps(measure(arguments.measure, arguments.population)))
        return
    found = {}
    with alone():
        for chunk in arguments.chunks:
            size = ["--population", str(arguments.population)]
            command = [sys.executable, __file__, *size, "--measure", json.dumps(chunk)]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found[chunk] = json.loads(output.splitlines()[-1])
    best = max(row["speed"] for chunk, row in found.items() if chunk != "auto")
    rows = [
        [
            f"auto ({row['chunk']})" if chunk == "auto" else chunk,
            f"{row['speed']:,.0f}",
            f"{row['speed'] / best:.2f}",
            f"{row['memory']:,.0f}",
        ]
        for chunk, row in found.items()
    ]
    print_table(["population_chunk", "candidates/s", "of the best fixed", "peak resident MiB"], rows)


if __name__ == "__main__":
    main()
