"""The command line: ``evometa run | resume | plot | compare | generalize | list | show``.

Commands are dataclasses whose fields are their options; tyro reads options and help texts from them.
"""

import contextlib
import functools
import io
import operator
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from evometa.cli_look import Compare, Generalize, List, Plot, Show
from evometa.cli_options import registry
from evometa.cli_run import Resume, Run, run_with_options
from evometa.errors import EvometaError


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status: 0, 2 for what was asked wrongly, 130 when interrupted.

    Args:
        args: the words after ``evometa``; those of the process by default.
    """
    args = list(sys.argv[1:] if args is None else args)
    try:
        return int(_parse(args).execute())
    except EvometaError as error:
        print(f"evometa: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except SystemExit as stop:  # tyro has printed help, or what is wrong with an option
        return stop.code if isinstance(stop.code, int) else 2


def _parse(args: list[str]) -> Any:
    run: type[Run] = Run
    if args[:1] == ["run"]:
        run, rest = run_with_options(args[1:])
        args = ["run", *rest]
    look = {"plot": Plot, "compare": Compare, "generalize": Generalize, "list": List, "show": Show}
    commands = {"run": run, "resume": Resume, **look}
    choices = tuple(Annotated[cls, tyro.conf.subcommand(name, prefix_name=False)] for name, cls in commands.items())
    parse = functools.partial(
        tyro.cli,
        functools.reduce(operator.or_, choices),
        prog="evometa",
        description="Meta-learning by evolution: search over whatever an inner learning loop takes as given.",
        args=args,
        registry=registry,
    )
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return parse()
    except SystemExit as stop:
        # A class that refuses its fields says why in a sentence of its own, which tyro would wrap in internal names.
        cause = _cause(stop)
        if cause:
            raise cause from None
    return parse()  # prints the help that was asked for, or what is wrong, and exits


def _cause(error: BaseException | None) -> EvometaError | None:
    while error is not None and not isinstance(error, EvometaError):
        error = error.__context__
    return error
