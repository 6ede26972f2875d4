"""The first value that is not finite is named, and JAX's own switches apply to the problem's code alone."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from evometa import Box, EvaluationError, InnerTraining, Search, Space
from evometa.strategies import CMAES


@dataclasses.dataclass(frozen=True)
class Sinking(InnerTraining):
    """Takes roots of what becomes negative in the second inner step."""

    @property
    def space(self) -> Space:
        return Box((2,), -1.0, 1.0)

    def sample_task(self, key: jax.Array) -> Any:
        return jnp.zeros(())

    def init(self, key: jax.Array, omega: Any, task: Any) -> Any:
        return jnp.asarray(0.5)

    def step(self, key: jax.Array, omega: Any, task: Any, learner: Any) -> Any:
        return jnp.sqrt(learner - 0.4)

    def loss(self, key: jax.Array, omega: Any, task: Any, learner: Any) -> Any:
        return learner


def test_debug_names_candidate_task_and_inner_step() -> None:
    words = "candidate 0 of generation 1 on task 0, in the learner after inner step 2: value holds nan"
    with pytest.raises(EvaluationError, match=words):
        Search(Sinking(num_tasks=1, inner_steps=3), CMAES(2), progress=False, debug=True).run(generations=1)


def test_debug_nans_stops_in_the_code_of_the_problem() -> None:
    with jax.debug_nans(True), pytest.raises(FloatingPointError) as caught:
        Search(Sinking(num_tasks=1, inner_steps=3), CMAES(2), progress=False).run(generations=1)
    assert any("candidate 0 of generation 1 on task 0" in note for note in caught.value.__notes__)
