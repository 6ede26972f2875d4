"""The command line: ``evometa run``, ``resume``, ``plot``, ``report`` and the other commands.

Commands are dataclasses whose fields are their options; tyro reads options and help texts from them.
"""

import contextlib
import functools
import io
import operator
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import tyro

from evometa.cli import distributed
from evometa.cli.catalog import List
from evometa.cli.clean import Clean
from evometa.cli.commands import with_problem
from evometa.cli.dashboard import Dashboard
from evometa.cli.export import Export
from evometa.cli.inspect import Generalize, Show
from evometa.cli.options import joined, registry
from evometa.cli.pictures import Compare, Plot
from evometa.cli.report import Report
from evometa.cli.run import Resume, Run, resume_with_options, run_with_options
from evometa.cli.sweep import ContinueSweep, Sweep, sweep_to_resume, sweep_with_options
from evometa.distributed import rank
from evometa.errors import EvometaError, EvometaWarning

LIGHT = ("-h", "--help", "clean", "--tyro-print-completion")
"""First words of command lines that need no JAX, whose import takes most of a second."""
DESCRIPTION = """Meta-learning by evolution: search over whatever an inner learning loop takes as given.

--version prints the version; --verbose, with any command, the traceback of an error. --tyro-print-completion bash (or
zsh, tcsh) prints a script that completes commands and options.
"""


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        args: the arguments after ``evometa``; those of the process by default.

    Returns:
        The exit status: 0 for success, 1 for a run directory that could no longer be written to, a lost rank or output
        that nobody reads any longer, 2 for an error of the user, 130 when interrupted.
    """
    args = list(sys.argv[1:] if args is None else args)
    if args == ["--version"]:
        from evometa import __version__

        print(f"evometa {__version__}")
        return 0
    verbose = "--verbose" in args
    args = [word for word in args if word != "--verbose"]
    if os.getcwd() not in sys.path:  # as 'python -m' has it: a project's packages are found from its folder
        sys.path.insert(0, os.getcwd())
    if rank.VARIABLE in os.environ:
        return rank.run(functools.partial(main, args))
    try:
        if distributed.wanted(args):
            return distributed.supervise(args)
        if args and args[0] not in LIGHT:
            import evometa

            evometa.request_cpu_devices()  # before anything starts JAX's backend
        with _warnings_as_sentences():
            status = int(_parse(args).execute())
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # such as 'evometa show DIR | head'
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where the interpreter writes the rest at exit
        return 1
    except EvometaError as error:
        if verbose:
            traceback.print_exc()
        print(f"evometa: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except SystemExit as stop:  # tyro has printed help or an error message about an option
        return stop.code if isinstance(stop.code, int) else 2


@contextlib.contextmanager
def _warnings_as_sentences() -> Iterator[None]:
    """Print evometa's own warnings as its errors are printed, without the file and line, which are its own here."""
    usual = warnings.formatwarning

    def sentence(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        own = issubclass(category, EvometaWarning)
        return f"evometa: {message}\n" if own else usual(message, category, filename, lineno, line)

    warnings.formatwarning = sentence
    try:
        yield
    finally:
        warnings.formatwarning = usual


def _parse(args: list[str]) -> Any:
    args = joined(args)
    run: type[Run] = Run
    if args[:1] == ["run"]:
        run, rest = run_with_options(with_problem(args[1:]))
        args = ["run", *rest]
    resume: type[Resume] = Resume
    if args[:1] == ["resume"]:
        sweep_directory = sweep_to_resume(args[1:])
        if sweep_directory is not None:
            return ContinueSweep(directory=sweep_directory, command=main)
        resume, rest = resume_with_options(args[1:])
        args = ["resume", *rest]
    sweep: type[Sweep] = Sweep
    if args[:1] == ["sweep"]:
        sweep, rest = sweep_with_options(with_problem(args[1:]), main)
        args = ["sweep", *rest]
    inspecting = {
        "plot": Plot,
        "compare": Compare,
        "generalize": Generalize,
        "export": Export,
        "report": Report,
        "dashboard": Dashboard,
        "list": List,
        "show": Show,
        "clean": Clean,
    }
    commands = {"run": run, "resume": resume, "sweep": sweep, **inspecting}
    choices = tuple(Annotated[cls, tyro.conf.subcommand(name, prefix_name=False)] for name, cls in commands.items())
    parse = functools.partial(
        tyro.cli,
        functools.reduce(operator.or_, choices),
        prog="evometa",
        description=DESCRIPTION,
        args=args,
        registry=registry,
    )
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return parse()
    except SystemExit as stop:
        # A class that rejects its fields raises a sentence that says why; tyro would wrap it in internal names.
        cause = _cause(stop)
        if cause:
            raise cause from None
    return parse()  # prints the help or the error message, and exits


def _cause(error: BaseException | None) -> EvometaError | None:
    while error is not None and not isinstance(error, EvometaError):
        error = error.__context__
    return error
