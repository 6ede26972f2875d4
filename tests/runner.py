"""A search in a process of its own, to be interrupted and killed; starts the run in a folder, or resumes it.

Usage: ``python runner.py FOLDER GENERATIONS``. Dispatches are short, and a checkpoint follows nearly every one.

Without arguments it is a server, for tests that start many: each line of its input, ``["FOLDER", GENERATIONS,
"OUTPUT"]``, is run in a process that has imported everything already and writes to the file OUTPUT. The server prints
the id of that process, and its exit code when it has ended. It may fork, as JAX starts threads at a first computation.
"""

import json
import os
import sys
import traceback
import warnings
from pathlib import Path

import evometa as em
from evometa.naming import load
from evometa.search import decisions

CHECKPOINT_SECONDS = 0.02


def main() -> None:
    """Run what the command line or a line of the input says."""
    if len(sys.argv) > 1:
        run(Path(sys.argv[1]), int(sys.argv[2]))
        return
    load(f"{Path(__file__).with_name('toys.py')}:Chase")
    warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called", category=RuntimeWarning)
    for line in sys.stdin:
        folder, generations, output = json.loads(line)
        child = os.fork()
        if not child:
            apart(Path(folder), generations, Path(output))
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def apart(folder: Path, generations: int, output: Path) -> None:
    """Run in this process, a copy of the server, and end it."""
    code = 1
    try:
        with output.open("wb") as file:
            os.dup2(file.fileno(), sys.stdout.fileno())
            os.dup2(file.fileno(), sys.stderr.fileno())
        run(folder, generations)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def run(folder: Path, generations: int) -> None:
    """Start or resume the run in a folder."""
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
    options = {"validate_every": 7, "validation_tasks": 4, "finalists": 0, "checkpoint_seconds": CHECKPOINT_SECONDS}
    return em.Search(problem, strategy, seed=3, run_directory=folder, **options)


if __name__ == "__main__":
    main()
