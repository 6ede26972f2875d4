"""What a run directory says besides the history: what was run, which fitness is better, whether it is noisy."""

import os
from pathlib import Path
from typing import NamedTuple

from evometa.errors import RunDirectoryError
from evometa.storage import result_file
from evometa.storage.history import History
from evometa.storage.manifest import read_manifest

Run = str | os.PathLike[str] | History
"""A run: its directory, or the history read from it."""


class Facts(NamedTuple):
    """What is known of a run; of a bare history nothing is."""

    title: str = ""
    """Problem, strategy and seed."""
    direction: str = ""
    """``minimize`` or ``maximize``."""
    problem: str = ""
    """The problem with its settings."""
    noisy: bool = False
    """Whether evaluating a candidate again may give another fitness, so that the best one seen was also lucky."""

    @property
    def better(self) -> str:
        """Which fitness is better, "smaller" or "larger"; "" where that is not known."""
        return {"minimize": "smaller", "maximize": "larger"}.get(self.direction, "")


NOTHING = Facts()
"""What is known of a bare history."""


def facts(run: Run) -> Facts:
    """Return what is known of a run, from its manifest and its newest result."""
    if isinstance(run, History):
        return NOTHING
    folder = Path(run)
    numbers = result_file.numbers(folder)
    direction = numbers["direction"] if numbers else ""
    try:
        manifest = read_manifest(folder)
    except RunDirectoryError:
        return Facts(direction=direction)
    direction = direction or manifest.direction or ""
    names = [class_name(thing["type"]) for thing in (manifest.problem, manifest.strategy)]
    # Unless told otherwise, searches validate problems with noise on more than one task, and others on one; older ones
    # (without validation_share) validated all on many, but kept finalists for those with noise alone.
    options = manifest.options
    noisy = bool(options.get("validation_tasks", 1) > 1 and ("validation_share" in options or options.get("finalists")))
    fields = ", ".join(f"{name}={value}" for name, value in manifest.problem["fields"].items())
    problem = f"{names[0]}({fields})"
    return Facts(f"{names[0]}, {names[1]}, seed {manifest.seed}", direction, problem, noisy)


def class_name(reference: str) -> str:
    """Return the name of a class, given its reference in a manifest."""
    return reference.rpartition(":")[2].rpartition(".")[2]
