"""``evometa clean``: remove old checkpoints."""

import dataclasses
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from evometa.errors import ConfigurationError


@dataclasses.dataclass(kw_only=True)
class Clean:
    """Remove all but the newest checkpoints of runs; history and results stay, and the runs can be resumed.

    Args:
        run_directories: run directories, or directories with runs in them.
        keep: checkpoints of each run to keep, at least one.
    """

    run_directories: Annotated[Positional[tuple[Path, ...]], arg(metavar="DIR ...")]
    keep: int = 1

    def execute(self) -> int:
        """Remove them, and print how much was freed; return the exit status."""
        from evometa.storage import checkpoint
        from evometa.storage.manifest import MANIFEST

        if self.keep < 1:
            raise ConfigurationError(f"--keep expects a whole number above zero, got {self.keep}.")
        runs = [path.parent for folder in self.run_directories for path in sorted(folder.rglob(MANIFEST))]
        if not runs:
            names = ", ".join(map(str, self.run_directories)) or "nothing"
            raise ConfigurationError(f"'evometa clean' expects directories with runs, got {names}.")
        freed = sum(checkpoint.remove_old(run, keep=self.keep) for run in runs)
        print(f"{len(runs):,} run{'s' * (len(runs) != 1)}, {freed / 2**20:,.1f} MiB freed")
        return 0
