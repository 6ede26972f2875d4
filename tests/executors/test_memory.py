"""Calls are spared only where calls of one candidate agree, whatever their noise comes from."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from evometa.executors.executor import Outcome, Trial, failed
from evometa.executors.memory import AGREEMENTS, Memory


class Here:
    """Runs trials at once, and counts them; the outcome is a function of ω and seed."""

    def __init__(self, outcome: Callable[[float, int], Outcome]) -> None:
        self._outcome, self._waiting, self.calls = outcome, dict[int, Trial](), 0

    def submit(self, trials: Any) -> list[int]:
        numbers = list(range(self.calls, self.calls + len(trials)))
        self._waiting = dict(zip(numbers, trials, strict=True))
        self.calls += len(trials)
        return numbers

    def as_completed(self) -> Any:
        for number, trial in self._waiting.items():
            yield number, self._outcome(float(trial.omega), trial.seed[0])


def called(outcome: Callable[[float, int], Outcome], generations: int = 6, *, always: bool = False) -> tuple[int, bool]:
    """Return how many calls generations of the same two candidates take, and whether they are known to vary."""
    memory, executor = Memory(), Here(outcome)
    for generation in range(generations):
        trials = [Trial(np.float64(x), (generation,)) for x in (1.0, 2.0)]
        found = memory.run(executor, trials, always=always)  # type: ignore[arg-type]
        assert [one.fitness for one in found if one.failure is None] == [
            outcome(x, generation).fitness for x in (1.0, 2.0) if outcome(x, generation).failure is None
        ]
    return executor.calls, memory.varies


def sure(x: float, seed: int, **more: Any) -> Outcome:
    return Outcome(x, {"seconds": float(seed)}, None, drew=False, **more)


def test_candidates_are_called_once_after_the_first_agreements() -> None:
    assert called(sure) == (2 + AGREEMENTS, False)
    assert called(sure, always=True) == (12, False)
    assert called(lambda x, seed: Outcome(x * (1 + 1e-15 * seed), {}, None, drew=False), 2) == (4, False)  # rounding


@pytest.mark.parametrize(
    "outcome",
    [
        lambda x, seed: Outcome(x + seed, {}, None, drew=False),
        lambda x, seed: sure(x, seed, vectors={"objectives": [x, x * seed]}),
    ],
    ids=["fitness", "objectives"],
)
def test_what_varies_with_the_seed_is_called_again_though_it_drew_nothing(outcome: Any) -> None:
    for always in (False, True):
        assert called(outcome, always=always) == (12, True)


def test_failures_and_drawn_outcomes_are_neither_kept_nor_compared() -> None:
    assert called(lambda x, seed: failed("lost")) == (12, False)
    assert called(lambda x, seed: Outcome(x + seed, {}, None)) == (12, False)
