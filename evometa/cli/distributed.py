"""``--distributed``: the command line as the supervisor of the ranks that it starts."""

import argparse
import sys
from collections.abc import Sequence

from evometa.distributed import rank
from evometa.errors import ConfigurationError


def wanted(args: Sequence[str]) -> bool:
    """Return whether a command line is to start ranks that run it, rather than to run itself."""
    asks_for_help = bool({"-h", "--help"} & set(args))
    return args[:1] in (["run"], ["resume"]) and "--distributed" in args and not asks_for_help and not is_rank()


def is_rank() -> bool:
    """Return whether this process is one of the ranks."""
    return rank.is_supervised()


def supervise(args: Sequence[str]) -> int:
    """Start the ranks that belong on this machine, and watch them; return the exit status of the search.

    Raises:
        ConfigurationError: it is not said which ranks these are.
    """
    from evometa.distributed.placement import place
    from evometa.distributed.supervisor import supervise as watch

    # All other options are read by the ranks, which know problem and strategy; this process stays small.
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--coordinator")
    for name in ("--processes", "--process-id", "--join-seconds"):
        parser.add_argument(name, name.replace("-", "_").replace("__", "--"), type=int)
    parser.add_argument("--stall-seconds", "--stall_seconds", type=float)
    try:
        given, _ = parser.parse_known_args(list(args))
    except argparse.ArgumentError as error:
        raise ConfigurationError(f"{error}.") from None
    if given.stall_seconds is not None and not given.stall_seconds > 0:
        raise ConfigurationError(f"--stall-seconds expects a number of seconds above 0, got {given.stall_seconds:g}.")
    seconds = 300 if given.join_seconds is None else given.join_seconds
    placement = place(given.coordinator, given.processes, given.process_id, seconds)
    return watch(placement, [sys.executable, "-m", "evometa", *args], seconds, given.stall_seconds)
