"""Which rank is to blame when a distributed search fails, and the sentence that says so.

When one rank is lost, the others fail too, a moment later: their collectives raise, or JAX ends them. So failures are
collected for a moment, and the one that others cannot follow from is told.
"""

import dataclasses
import signal

SECONDHAND = ("Gloo", "gloo", "coordination service", "Connection reset", "NCCL", "heartbeat")
"""Words of errors that a rank has when another one is gone."""


@dataclasses.dataclass(frozen=True)
class Failure:
    """What happened to a rank."""

    rank: int
    how: str
    """In words, which follow "rank 1 of 2"."""
    follows: int = 0
    """How likely it only follows from the failure of another rank: 0, 1 or 2."""
    details: str = ""
    """What the rank has printed or raised."""


def of_exit(rank: int, status: int, printed: str) -> Failure:
    """Return the failure of a rank that has ended.

    Args:
        rank: which.
        status: its exit status, minus the signal that killed it.
        printed: the end of what it wrote to standard error.
    """
    if status < 0:
        own = -status == signal.SIGABRT  # JAX's way to end a process when the coordinator is gone
        return Failure(rank, f"was lost (killed by {_name(-status)})", follows=2 * own, details=printed if own else "")
    return Failure(rank, f"ended before the others, with exit status {status}", follows=1, details=printed)


def of_error(rank: int, text: str) -> Failure:
    """Return the failure of a rank whose Python code raised an error that nothing has caught."""
    last = text.rstrip().splitlines()[-1]
    return Failure(rank, "failed", follows=2 if any(word in last for word in SECONDHAND) else 1, details=text)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def culprit(failures: list[Failure]) -> Failure:
    """Return the failure that the others follow from: the first of the kind that follows least."""
    return min(failures, key=lambda failure: failure.follows)


def sentence(failure: Failure, processes: int, resume: str | None) -> str:
    """Return what happened, and what to do, in one sentence.

    Args:
        failure: of the rank to blame.
        processes: how many ranks there are.
        resume: the command that continues the run; None before there is anything to continue.
    """
    then = f"continue from its newest checkpoint with '{resume}'" if resume else "start it again"
    return (
        f"evometa: rank {failure.rank} of {processes} {failure.how}, so the search was ended on all ranks; {then} "
        "(on any number of processes)."
    )
