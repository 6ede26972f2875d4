"""Problems, trials and outcomes as bytes, for executors that make their calls in other processes.

Bytes can be sent by whatever there is: a queue, a socket, MPI, a cluster's own tasks. None of them is a pickle.
"""

import functools
import json
import secrets
from typing import Any

from evometa import naming
from evometa.executors.calls import Calls, leaves_of
from evometa.executors.executor import Outcome, Trial, outcome_of
from evometa.executors.frames import pack, unpack
from evometa.executors.surroundings import Surroundings
from evometa.executors.user_modules import import_under_own_names, main_file
from evometa.problem import HostProblem
from evometa.pruning import Cutoff, Cutoffs

_INTERPRETER = secrets.token_hex(8)
"""Of this process, and of those forked from it, in which the same modules are imported."""


def pack_problem(problem: HostProblem) -> bytes:
    """Return a problem as bytes, from which another process rebuilds it: the names of classes, and settings.

    Raises:
        ConfigurationError: the problem cannot be described to another process.
    """
    return pack({"problem": naming.describe(problem), "main": main_file(), "interpreter": _INTERPRETER})


def pack_trial(trial: Trial, number: int = 0) -> bytes:
    """Return a trial as bytes.

    Args:
        trial: the trial.
        number: told to the process that makes the call.
    """
    header: dict[str, Any] = {"method": trial.method, "seed": [int(part) for part in trial.seed], "trial": number}
    if trial.cutoffs is not None:
        header["cutoffs"] = trial.cutoffs
    return pack(header, leaves_of(trial.omega))


def evaluate(problem: bytes, trial: bytes) -> bytes:
    """Make the call of a trial in this process, and return its outcome as bytes; for :func:`unpack_outcome`.

    Whatever the problem's code raises is an outcome with a failure. The problem is rebuilt in the first call and kept.
    What a call changes in its process (working directory, environment, signal handlers, ...) is undone after it, so
    calls in one process must follow one another.

    Args:
        problem: the problem, as :func:`pack_problem` returned it.
        trial: the trial, as :func:`pack_trial` returned it.

    Raises:
        ConfigurationError: the problem cannot be imported and built here.
    """
    header, leaves = unpack(trial)
    answer = _calls(problem).answer(header["method"], header["seed"], leaves, (Surroundings(),), cutoffs_of(header))
    return json.dumps(answer).encode()


def cutoffs_of(header: dict[str, Any]) -> Cutoffs | None:
    """Return the cutoffs in the header of a packed trial."""
    if "cutoffs" not in header:
        return None
    best, after, objectives = header["cutoffs"]
    read = (Cutoff(step, places, tuple(map(tuple, others))) for step, places, others in after)
    return Cutoffs(best, tuple(read), objectives)


def unpack_outcome(answer: bytes) -> Outcome:
    """Return the outcome in the bytes that :func:`evaluate` returned."""
    return outcome_of(json.loads(answer))


@functools.lru_cache(maxsize=8)
def _calls(problem: bytes) -> Calls:
    header, _ = unpack(problem)
    here = main_file()
    known = header["interpreter"] == _INTERPRETER or (here is not None and here == header["main"])
    if not known:  # otherwise the user's own classes are here already
        import_under_own_names(header["problem"], header["main"])
    return Calls(naming.rebuild(header["problem"]))
