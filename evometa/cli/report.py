"""``evometa report``: a run explained on one page, or several compared."""

import dataclasses
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagConversionOff, Positional, arg

from evometa.cli.output import write_output
from evometa.errors import ConfigurationError
from evometa.storage import seeds_file


@dataclasses.dataclass(kw_only=True)
class Report:
    """Write a page that explains a run, or compares several; a browser shows it, without a network.

    Args:
        run_directories: the run directories, or folders of several seeds.
        output: the HTML file to write; DIR/report.html for one run, report.html for several.
        label: the label of each run directory, in their order; runs of one label are a group.
        pictures: draw the problem's own pictures too, which may take seconds.
    """

    run_directories: Annotated[Positional[tuple[Path, ...]], arg(metavar="DIR ...")]
    output: Path | None = None
    label: tuple[str, ...] = ()
    pictures: FlagConversionOff[bool] = True

    def execute(self) -> int:
        """Write the page and print its path; return the exit status."""
        from evometa.report import report

        if not self.run_directories:
            raise ConfigurationError("'evometa report' expects one or more run directories, got none.")
        single = len(self.run_directories) == 1
        runs = seeds_file.expanded(self.run_directories)
        path = self.output or (self.run_directories[0] / "report.html" if single else Path("report.html"))
        text = report(runs, labels=self.label, pictures=self.pictures)
        write_output(path, text.encode())
        return 0
