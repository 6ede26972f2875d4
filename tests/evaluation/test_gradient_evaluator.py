"""Fitness with its gradient: values are right, gradients that are not finite are failures, layouts do not matter."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, ConfigurationError, Problem, Search
from evometa.evaluation.gradient_evaluator import GradientEvaluator
from evometa.evaluation.population_evaluator import plan_incompatibility
from evometa.evaluation.task_source import TrainingTasks
from evometa.evaluation_plan import Mode
from evometa.naming import load
from evometa.strategies import Gradient

TOYS = Path(__file__).parents[1] / "toys.py"
Chase, Waves, Errand = (load(f"{TOYS}:{name}") for name in ("Chase", "Waves", "Errand"))
KEY = jax.random.key(5)


@dataclasses.dataclass(frozen=True)
class Root(Problem):
    """The square root of |ω|: finite at 0, where its slope is not."""

    @property
    def space(self) -> Any:
        return Box((), start=0.0)

    def evaluate(self, key: Any, omega: Any) -> Any:
        return jnp.sqrt(jnp.abs(omega))


class Loops(Root):
    """ω to the power of 3, by a loop whose length is not known beforehand."""

    def evaluate(self, key: Any, omega: Any) -> Any:
        return jax.lax.while_loop(lambda at: at[0] < 3, lambda at: (at[0] + 1, at[1] * omega), (0, 1.0))[1]


def evaluate(
    problem: Any, genotypes: Any, mode: Mode = "reverse", chunk: int = 2, devices: int = 1, members: int = 0
) -> Any:
    """Return the evaluation and the gradient."""
    used = tuple(jax.local_devices()[:devices])
    evaluator = GradientEvaluator(problem, problem.space, members, chunk, used, mode=mode)
    found = jax.jit(lambda genotypes: evaluator.evaluate(KEY, KEY, (), genotypes))(genotypes)
    return found.evaluation, found.gradient


def samples(problem: Any, count: int) -> Any:
    return np.asarray(jax.jit(lambda: jax.vmap(problem.space.sample)(jax.random.split(KEY, count)))())


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_the_gradient_of_a_known_learning_curve(mode: Mode) -> None:
    problem = Chase()
    genotypes = jnp.array([[-0.3], [0.0], [0.2]])  # times 6: ω
    targets = np.asarray(jax.jit(lambda: TrainingTasks(problem).draw(KEY).tasks)())
    away = 6 * np.asarray(genotypes) - targets
    evaluation, gradient = evaluate(problem, genotypes, mode)
    np.testing.assert_allclose(evaluation.fitness, np.mean(0.75**8 * away**2, axis=1), rtol=1e-4)
    np.testing.assert_allclose(gradient[:, 0], np.mean(6 * 2 * 0.75**8 * away, axis=1), rtol=1e-4)
    np.testing.assert_allclose(evaluation.metrics["distance"], np.mean(0.75**4 * np.abs(away), axis=1), rtol=1e-4)


def test_the_gradient_of_a_network_s_training() -> None:
    problem = Waves(width=4)
    genotypes = samples(problem, 3)
    step = 0.01 * np.random.default_rng(0).normal(size=genotypes.shape).astype(np.float32)
    evaluation, reverse = evaluate(problem, np.concatenate([genotypes, genotypes + step, genotypes - step]))
    forward = evaluate(problem, genotypes, "forward")[1]
    np.testing.assert_allclose(reverse[:3], forward, rtol=1e-3, atol=1e-5)
    fitness = np.asarray(evaluation.fitness)
    np.testing.assert_allclose(fitness[3:6] - fitness[6:], 2 * np.sum(step * reverse[:3], axis=1), rtol=0.02)


@pytest.mark.bits
def test_devices_change_no_bit_and_chunks_rounding_alone() -> None:
    problem = Waves(width=4, num_tasks=2)
    genotypes = samples(problem, 5)
    one, two, single = (evaluate(problem, genotypes, chunk=c, devices=d) for c, d in ((2, 1), (2, 2), (1, 1)))
    for first, second in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(one[1], single[1], rtol=1e-3, atol=1e-5)


def test_pairs_may_have_tasks_of_their_own() -> None:
    genotypes = jnp.zeros((4, 1))
    fitness, gradient = (np.ravel(part) for part in evaluate_pairs(genotypes))
    for part in (fitness, gradient):
        assert part[0] == part[1] != part[2] == part[3]


def evaluate_pairs(genotypes: Any) -> Any:
    evaluation, gradient = evaluate(Chase(), genotypes, members=2)
    return evaluation.fitness, gradient


def test_a_candidate_without_a_finite_gradient_failed() -> None:
    evaluation, gradient = evaluate(Root(), jnp.array([[0.0], [4.0], [jnp.inf]]))
    np.testing.assert_array_equal(np.isfinite(evaluation.fitness), [False, True, False])
    np.testing.assert_allclose(gradient[1], [0.25], rtol=1e-6)
    search = Search(Root(), Gradient(4, learning_rate=0.01))  # one starts at 0, and is drawn anew
    result = search.run(generations=5)
    assert search.history["failed"].tolist() == [1, 0, 0, 0, 0]
    assert result.best_fitness == 0.0  # the start: no gradient, but a fitness, by which it was evaluated once


def test_what_cannot_be_differentiated_is_refused() -> None:
    for problem, words in (
        (Loops(), "Gradient expects a problem that JAX can differentiate in reverse mode, and Loops is none: Reverse"),
        (Loops(), "; try mode='forward', or use a strategy that needs fitness alone, such as OpenAIES."),
    ):
        with pytest.raises(ConfigurationError, match=re.escape(words)):
            Search(problem, Gradient())
    assert "Errand is evaluated by plain Python" in str(plan_incompatibility(Gradient(), Errand()))
    with pytest.raises(ConfigurationError, match="Gradient searches real vectors only"):
        Search(Errand(), Gradient())
    np.testing.assert_allclose(evaluate(Loops(), jnp.array([[2.0]]), "forward")[1], [[12.0]])
    Search(Loops(), Gradient(mode="forward"))
