"""Executors: where the calls of a plain-Python problem run.

Beside evaluation, for problems that cannot be compiled: the search submits trials and takes outcomes as they are
completed. A new executor (a cluster, a queue) is one file here, or a class of the user's own that makes its calls with
:func:`evaluate`.

======================  ==================================================================
file                    holds
======================  ==================================================================
:mod:`executor`         the contract: trials submitted, outcomes as completed
:mod:`choice`           which executor, from what the user gave as ``workers``
:mod:`in_process`       no other process, for debugging
:mod:`supervised`       a user's own executor, held to the contract
:mod:`shared`           one executor, for candidates in any order and for validations
:mod:`worker_pool`      worker processes of this machine
:mod:`crew`             worker processes: hands out, tries again, replaces
:mod:`worker_process`   one worker process, seen from the search
:mod:`ray_executor`     workers on a Ray cluster: hands out, makes lost calls again
:mod:`ray_worker`       one worker there: an actor beside a worker process
:mod:`ray_cluster`      connecting to a cluster, or starting one that ends with the search
:mod:`reaper`           the process that ends a local cluster after its search
:mod:`ray_settings`     which cluster, and what each worker needs
:mod:`ray_room`         how many workers its nodes have room for
:mod:`processes`        the processes that a worker started
:mod:`worker`           what runs in a worker process
:mod:`calls`            one call there: ω, its generator, what became of it
:mod:`reporter`         what a call reports while it runs
:mod:`user_modules`     the user's files as modules there
:mod:`surroundings`     what each call finds around it there
:mod:`returned`         what a call returned or raised, in words
:mod:`messages`         problems, trials and outcomes as bytes
:mod:`frames`           the form of these messages: a JSON header and arrays
:mod:`memory`           calls that need not be made again
======================  ==================================================================
"""

import importlib
from typing import TYPE_CHECKING, Any

from evometa.executors.executor import Executor, GivenUp, Outcome, Trial, WorkersLost, failed

if TYPE_CHECKING:
    from evometa.executors.messages import evaluate, pack_problem, pack_trial, unpack_outcome

__all__ = [
    "Executor",
    "GivenUp",
    "Outcome",
    "Trial",
    "WorkersLost",
    "evaluate",
    "failed",
    "pack_problem",
    "pack_trial",
    "unpack_outcome",
]


def __getattr__(name: str) -> Any:  # an actor on Ray needs none of these, nor JAX
    if name in __all__:
        return getattr(importlib.import_module("evometa.executors.messages"), name)
    raise AttributeError(f"module 'evometa.executors' has no attribute {name!r}")
