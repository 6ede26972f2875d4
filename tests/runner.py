"""A search in a process of its own, to be interrupted and killed; starts the run in a folder, or resumes it.

Usage: ``python runner.py FOLDER GENERATIONS PROBLEM [STRATEGY]`` with classes of toys.py and of evometa.strategies.
When the run ends, what it found lies in FOLDER as ``result.json`` and ``state.npz``.
"""

import dataclasses
import json
import sys
from pathlib import Path

import jax
import numpy as np

import evometa as em
from evometa import limits
from evometa.naming import load

CHECKPOINT_SECONDS = 0.02


def main() -> None:
    folder, generations, problem, strategy = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    limits.DISPATCH_SECONDS = 0.02  # many dispatches, and a checkpoint after nearly each of them
    if (folder / "manifest.json").exists():
        search = em.Search.resume(folder, checkpoint_seconds=CHECKPOINT_SECONDS)
    else:
        search = em.Search(
            load(f"{Path(__file__).with_name('toys.py')}:{problem}")(),
            getattr(em.strategies, strategy)(population_size=8),
            run_directory=folder,
            validate_every=7,
            validation_tasks=4,
            checkpoint_seconds=CHECKPOINT_SECONDS,
        )
    result = search.run(generations=generations)
    found = dataclasses.asdict(result)
    kept = ("best_fitness", "center_fitness", "held_out", "generations", "evaluations", "inner_steps", "failed")
    (folder / "result.json").write_text(json.dumps({name: found[name] for name in (*kept, "stop_reason")}))
    np.savez(folder / "state.npz", *map(np.asarray, jax.tree.leaves(search._state)))


if __name__ == "__main__":
    main()
