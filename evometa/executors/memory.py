"""Calls of a plain-Python problem that need not be made: the same candidate again, where there is no noise.

Noise that comes from the generator that a call is given is seen at once (:attr:`Outcome.drew`). Noise from elsewhere,
such as generators that all code shares, is seen where calls of one candidate with different seeds differ.
"""

import hashlib
from collections.abc import Sequence

import jax
import numpy as np

from evometa.executors.executor import Executor, Outcome, Trial, run_in_order

MOST_REMEMBERED = 2**16
"""Outcomes kept; the oldest is forgotten first."""
AGREEMENTS = 2
"""How often a call of a candidate that was called before must agree with it before such calls are not made any more."""
ROUNDING = 1e-12
"""Relative difference up to which two calls agree."""


class Memory:
    """Runs the trials of one search, each kind once.

    Trials of equal ω and seed have one outcome. A call that drew nothing from its generator has the same outcome with
    any seed, and is remembered for good, once the first :data:`AGREEMENTS` such calls were made again and agreed.
    Failures are not kept.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Outcome] = {}
        self._agreements = 0
        self.varies = False
        """Whether calls of one candidate that drew nothing from their generators differed."""
        self.compared: set[str] = set()
        """The problem's methods of which two calls of one candidate were compared."""

    def run(self, executor: Executor, trials: Sequence[Trial], *, always: bool = False) -> list[Outcome]:
        """Return the outcomes of trials, in the order of the trials.

        Args:
            executor: runs those that must be run.
            trials: the trials.
            always: run them all, and only see whether they agree.
        """
        candidates = [_digest(trial) for trial in trials]
        if always:
            outcomes = run_in_order(executor, trials)
            for candidate, trial, outcome in zip(candidates, trials, outcomes, strict=True):
                self._remember(candidate, trial.method, outcome)
            return outcomes
        known = self._known if self._agreements >= AGREEMENTS else {}
        places = [(candidate, trial.seed) for candidate, trial in zip(candidates, trials, strict=True)]
        new = {place: trial for place, trial in zip(places, trials, strict=True) if place[0] not in known}
        found = dict(zip(new, run_in_order(executor, list(new.values())), strict=True)) if new else {}
        outcomes = [found.get(place) or known[place[0]] for place in places]
        for place, outcome in found.items():
            self._remember(place[0], new[place].method, outcome)
        return outcomes

    def known(self, trial: Trial) -> Outcome | None:
        """Return the outcome of a trial that need not be run, None of one that must be."""
        return self._known.get(_digest(trial)) if self._agreements >= AGREEMENTS else None

    def remember(self, trial: Trial, outcome: Outcome) -> None:
        """Take note of a trial that was run."""
        self._remember(_digest(trial), trial.method, outcome)

    def _remember(self, candidate: bytes, method: str, outcome: Outcome) -> None:
        if outcome.drew or outcome.failure is not None or outcome.stopped_at or self.varies:
            return
        if candidate not in self._known:
            self._known[candidate] = outcome._replace(evaluations=1, seconds=0.0, reports=())
            if len(self._known) > MOST_REMEMBERED:
                del self._known[next(iter(self._known))]
            return
        self.compared.add(method)
        if _agree(self._known[candidate], outcome):
            self._agreements += 1
        else:
            self.varies, self._agreements, self._known = True, 0, {}


def _agree(one: Outcome, other: Outcome) -> bool:
    """Return whether fitness and vectors are the same up to rounding; metrics may be anything, such as seconds."""
    first, second = (np.concatenate([[found.fitness], *found.vectors.values()]) for found in (one, other))
    return len(first) == len(second) and np.allclose(first, second, rtol=ROUNDING, atol=0.0, equal_nan=True)


def _digest(trial: Trial) -> bytes:
    """Return what names a candidate and the method that evaluates it."""
    state = hashlib.blake2b(trial.method.encode(), digest_size=16)
    for leaf in map(np.asarray, jax.tree.leaves(trial.omega)):
        state.update(f"{leaf.dtype}{leaf.shape}".encode() + leaf.tobytes())
    return state.digest()
