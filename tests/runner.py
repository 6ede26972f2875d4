"""A search in a process of its own, to be interrupted and killed; starts the run in a folder, or resumes it.

Usage: ``python runner.py FOLDER GENERATIONS``. Dispatches are short, and a checkpoint follows nearly every one.
"""

import sys
from pathlib import Path

import evometa as em
from evometa.naming import load
from evometa.search import decisions

CHECKPOINT_SECONDS = 0.02


def main() -> None:
    folder, generations = Path(sys.argv[1]), int(sys.argv[2])
    decisions.DISPATCH_SECONDS = 0.01
    if (folder / "manifest.json").exists():
        search = em.Search.resume(folder, checkpoint_seconds=CHECKPOINT_SECONDS)
    else:
        search = start(folder)
    print("ready", flush=True)
    print(search.run(generations=generations).stop_reason, flush=True)


def start(folder: Path) -> em.Search:
    """Begin the run that is to be interrupted."""
    problem = load(f"{Path(__file__).with_name('toys.py')}:Chase")()
    strategy = em.strategies.OpenAIES(population_size=8)
    options = {"validate_every": 7, "validation_tasks": 4, "checkpoint_seconds": CHECKPOINT_SECONDS}
    return em.Search(problem, strategy, seed=3, run_directory=folder, **options)


if __name__ == "__main__":
    main()
