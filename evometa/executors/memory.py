"""Calls of a plain-Python problem that need not be made: the same candidate again, where nothing was drawn."""

import hashlib
from collections.abc import Sequence

import jax
import numpy as np

from evometa.executors.executor import Executor, Outcome, Trial

MOST_REMEMBERED = 2**16
"""Outcomes kept; the oldest is forgotten first."""


class Memory:
    """Runs trials, each kind once.

    Trials of equal ω and seed have one outcome. A call that drew nothing from its generator has the same outcome with
    any seed, and is remembered for good (:attr:`Outcome.drew`). Failures are not kept.

    Args:
        executor: runs the trials.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._known: dict[bytes, Outcome] = {}

    def run(self, trials: Sequence[Trial]) -> list[Outcome]:
        """Return the outcomes of trials, in the order of the trials."""
        candidates = [_digest(trial) for trial in trials]
        new = {
            (candidate, trial.seed): trial
            for candidate, trial in zip(candidates, trials, strict=True)
            if candidate not in self._known
        }
        numbers = self._executor.submit(list(new.values())) if new else []
        done = dict(self._executor.as_completed()) if new else {}
        found = {place: done[number] for place, number in zip(new, numbers, strict=True)}
        outcomes = [
            found.get((candidate, trial.seed)) or self._known[candidate]
            for candidate, trial in zip(candidates, trials, strict=True)
        ]
        for (candidate, _), outcome in found.items():
            if not outcome.drew and outcome.failure is None:
                self._known[candidate] = outcome._replace(evaluations=1)
        while len(self._known) > MOST_REMEMBERED:
            del self._known[next(iter(self._known))]
        return outcomes


def _digest(trial: Trial) -> bytes:
    """Return what names a candidate and the method that evaluates it."""
    state = hashlib.blake2b(trial.method.encode(), digest_size=16)
    for leaf in map(np.asarray, jax.tree.leaves(trial.omega)):
        state.update(f"{leaf.dtype}{leaf.shape}".encode() + leaf.tobytes())
    return state.digest()
