"""Train every cell of :class:`evometa.problems.ArchitectureSearch` once, and write the table of their losses.

    python benchmarks/architecture_tables.py digits problems/architectures/architecture_table.npz

made the table that comes with the package. Prints how long it took, and what the table holds.
"""

import argparse
import pathlib
import tempfile
import time
from typing import get_args

import numpy as np
from _measure import note, parse_arguments, print_table

from evometa.problems.architectures.architecture_search import ArchitectureSearch
from evometa.problems.architectures.architecture_table import (
    Trained,
    read_architecture_table,
    train_all,
    write_architecture_table,
)
from evometa.problems.shared.classification import Name

TASKS = 4


def table(data_set: Name, file: pathlib.Path, tasks: int = TASKS, **settings: int) -> Trained:
    """Return the table of a data set from a file, made there when it is missing: some minutes of training."""
    if not file.exists():

        def progress(done: int, of: int) -> None:
            note(f"cells on {data_set}: {done:,} of {of:,} trained")

        file.parent.mkdir(parents=True, exist_ok=True)
        problem = ArchitectureSearch(num_tasks=tasks, data_set=data_set, **settings)
        write_architecture_table(train_all(problem, progress=progress), file)
    return read_architecture_table(file)


def main() -> None:
    """Make a table and print what it holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_set", choices=get_args(Name))
    parser.add_argument("file", type=pathlib.Path, nargs="?", help="by default it is thrown away")
    parser.add_argument("--tasks", type=int, default=TASKS, help="that a cell is trained on")
    parser.add_argument("--steps", type=int, default=ArchitectureSearch.inner_steps, help="of each training")
    parser.add_argument("--nodes", type=int, default=ArchitectureSearch.nodes, help="of a cell")
    arguments = parse_arguments(parser, "digits --tasks 1 --steps 2 --nodes 2")
    start, settings = time.process_time(), {"inner_steps": arguments.steps, "nodes": arguments.nodes}
    with tempfile.TemporaryDirectory() as folder:
        file = arguments.file or pathlib.Path(folder) / "table.npz"
        made = table(arguments.data_set, file, arguments.tasks, **settings)
    print(f"{made.validation.size:,} cells in {time.process_time() - start:.0f} CPU seconds\n")
    quantiles = (0.0, 0.001, 0.01, 0.1, 0.5, 1.0)
    rows = [
        [name, *(f"{value:.3f}" for value in np.quantile(losses, quantiles))]
        for name, losses in (("validation", made.validation), ("test", made.test))
    ]
    print_table([f"cross-entropy on {arguments.data_set}", *(f"{q:.1%}" for q in quantiles)], rows)
    ranks = [np.argsort(np.argsort(losses.ravel())) for losses in (made.validation, made.test)]
    print(f"\nrank correlation of the two: {np.corrcoef(ranks)[0, 1]:.3f}")


if __name__ == "__main__":
    main()
