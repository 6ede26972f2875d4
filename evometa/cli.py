"""The command line: ``evometa run | resume | plot | compare | list | show``.

Commands are dataclasses whose fields are their options; tyro reads options and help texts from them.
"""

import sys
from collections.abc import Sequence
from typing import Annotated, Any, Union

import tyro

from evometa.cli_look import Compare, List, Plot, Show
from evometa.cli_run import Resume, Run, registry, run_with_options
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


def _parse(args: Sequence[str]) -> Any:
    run = run_with_options(args[1:]) if args[:1] == ["run"] else Run
    commands = {"run": run, "resume": Resume, "plot": Plot, "compare": Compare, "list": List, "show": Show}
    choices = tuple(Annotated[cls, tyro.conf.subcommand(name, prefix_name=False)] for name, cls in commands.items())
    return tyro.cli(
        Union[choices],  # type: ignore[arg-type]  # noqa: UP007  (made at run time)
        prog="evometa",
        description="Meta-learning by evolution: search over whatever an inner learning loop takes as given.",
        args=args,
        registry=registry,
    )
