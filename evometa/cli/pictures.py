"""``evometa plot`` and ``compare``: pictures of runs."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from evometa.cli.inspect import problem_of
from evometa.errors import EvometaError, RunDirectoryError
from evometa.storage import seeds_file

if TYPE_CHECKING:
    from matplotlib.animation import Animation
    from matplotlib.figure import Figure


# As in evometa.plots, which is not imported here since that takes longer than most commands.
X = Literal["generation", "evaluations", "inner_steps", "seconds"]


@dataclasses.dataclass(kw_only=True)
class Plot:
    """Plot the fitness of a run, its strategy's diagnostics, its front or archive, and what the selected ω does.

    Of a folder of several seeds, plot their mean with a confidence band, as 'evometa compare' does.

    Args:
        run_directory: the run directory.
        problem: the problem's class, file.py:Class or module:Class, if it has moved; its settings are those of the run.
        output: the picture of the fitness; DIR/fitness.png by default. Its suffix decides the format (png, svg, pdf).
            The other pictures are written beside it, by default DIR/strategy.png, DIR/front.png, DIR/archive.png and
            what the problem draws of the selected ω (animations are GIFs), or else a grown network, or the loss of
            learners that are trained with ω.
        x: the quantity on the x-axis.
        seed: the seed of the tasks in the problem's own pictures.
    """

    run_directory: Annotated[Positional[Path], arg(metavar="DIR")]
    problem: Annotated[str | None, arg(metavar="NAME")] = None
    output: Path | None = None
    x: X = "generation"
    seed: int = 0

    def execute(self) -> int:
        """Write the pictures; return the exit status."""
        from evometa import plots
        from evometa.plots.diagnostics import PREFIX
        from evometa.storage import archive_file, history, result_file

        if (self.run_directory / seeds_file.SEEDS).is_file():
            output = self.output or self.run_directory / "fitness.png"
            return Compare(run_directories=(self.run_directory,), output=output, x=self.x).execute()
        save(plots.fitness(self.run_directory, x=self.x), self.output or self.run_directory / "fitness.png")
        if any(column.startswith(PREFIX) for column in history.read(self.run_directory).columns):
            save(plots.diagnostics(self.run_directory, x=self.x), self._beside("strategy"))
        if (self.run_directory / archive_file.ARCHIVE).exists():
            archive = archive_file.read(self.run_directory)
            if archive.objectives is not None:
                save(plots.pareto(self.run_directory), self._beside("front"))
            if archive.measures is not None:
                save(plots.archive(self.run_directory), self._beside("archive"))
        if (self.run_directory / result_file.RESULT).exists():
            self._draw_problem()
        return 0

    def _draw_problem(self) -> None:
        """Write pictures of the selected ω."""
        from evometa.report.pictures import pictures
        from evometa.sharing.run import load

        try:
            run = load(self.run_directory, problem=problem_of(self.run_directory, self.problem))
        except EvometaError as error:
            if self.problem is not None:
                raise
            print(f"evometa: the problem's own pictures are left out. {error}", file=sys.stderr)
            return
        from matplotlib.animation import Animation

        for name, picture in pictures(run, self.seed).items():
            save(picture, self._beside(name, ".gif" if isinstance(picture, Animation) else None))

    def _beside(self, name: str, suffix: str | None = None) -> Path:
        if self.output is None:
            return self.run_directory / f"{name}{suffix or '.png'}"
        return self.output.with_name(f"{self.output.stem}-{name}{suffix or self.output.suffix}")


@dataclasses.dataclass(kw_only=True)
class Compare:
    """Plot several runs together; runs that differ only in their seeds become a mean with a confidence band.

    Args:
        run_directories: the run directories, or folders of several seeds.
        output: the picture to write. Its suffix decides the format (png, svg, pdf).
        quantity: a column of the history; by default held_out if every run has it, otherwise the center of noisy
            problems, or best_so_far.
        x: the quantity on the x-axis.
        label: the label of each run directory, in their order; runs of one label become one curve. By default the
            strategy, with the settings in which runs of it differ.
    """

    run_directories: Annotated[Positional[tuple[Path, ...]], arg(metavar="DIR ...")]
    output: Path = Path("comparison.png")
    quantity: str | None = None
    x: X = "generation"
    label: tuple[str, ...] = ()

    def execute(self) -> int:
        """Write the picture; return the exit status."""
        from evometa import plots
        from evometa.sharing.grouping import groups

        compared = groups(seeds_file.expanded(self.run_directories), self.label)
        save(plots.compare(compared, quantity=self.quantity, x=self.x), self.output)
        return 0


def save(picture: "Figure | Animation", path: Path) -> None:
    """Write a picture and print its path."""
    from matplotlib.animation import Animation

    try:
        if isinstance(picture, Animation):
            picture.save(path, writer="pillow")
        else:
            picture.savefig(path)
    except (OSError, ValueError) as error:
        raise RunDirectoryError(
            f"The picture could not be written to {path}: {error}; give --output a file in a folder that exists, "
            "with a suffix such as .png, .svg or .pdf."
        ) from None
    print(path)
