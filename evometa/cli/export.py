"""``evometa export``: what a run found, in a file for other programs."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from evometa.cli.output import write_output
from evometa.errors import ConfigurationError, EvometaError, nearest


@dataclasses.dataclass(kw_only=True)
class Export:
    """Write the found ω of a run to a file for other programs.

    Args:
        run_directory: the run directory.
        format: npz, safetensors or json for weights and settings; python, latex or json for formulas; or what the
            problem offers besides, such as torch. By default npz for weights, json for settings, python for formulas.
        output: the file to write, or - for standard output; DIR/omega with the format's suffix by default.
        which: the ω to write: selected (the one to use), best or center.
        problem: the problem's class, file.py:Class or module:Class, if it has moved.
    """

    run_directory: Annotated[Positional[Path], arg(metavar="DIR")]
    format: Annotated[str | None, arg(name="as", metavar="FORMAT")] = None
    output: Path | None = None
    which: Literal["selected", "best", "center"] = "selected"
    problem: Annotated[str | None, arg(metavar="NAME")] = None

    def execute(self) -> int:
        """Write the file and print its path; return the exit status."""
        from evometa.cli.names import moved_to
        from evometa.sharing.formats import SUFFIXES, usual_format
        from evometa.sharing.run import found, load

        problem = moved_to(self.problem, "problem", self.run_directory) if self.problem else None
        run = load(self.run_directory, problem=problem)
        omega = found(run, self.which)
        format_ = self.format or usual_format(omega)
        written = _content(run, omega, format_)
        if self.output == Path("-"):
            sys.stdout.buffer.write(written)
            return 0
        path = self.output or self.run_directory / f"omega{SUFFIXES.get(format_, f'.{format_}.py')}"
        write_output(path, written)
        return 0


def _content(run: Any, omega: Any, format_: str) -> bytes:
    """Return the content of the file, from one of the general formats or from the problem."""
    from evometa.sharing.formats import SUFFIXES, content

    if format_ in SUFFIXES:
        try:
            readable = run.problem.space.readable(omega)
        except EvometaError:  # the class has moved; the numbers are there
            readable = omega
        return content(omega, format_, readable=readable)  # type: ignore[arg-type]
    sources = run.problem.sources(omega)
    if format_ not in sources:
        raise ConfigurationError(
            f"--as expects one of {', '.join((*SUFFIXES, *sources))} for this run, got {format_}. "
            f"{nearest(format_, (*SUFFIXES, *sources))}"
        )
    return str(sources[format_]).encode()
