"""Gradient: its steps are the optimizer's, it recovers from failures, and evolution continues from its result."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from evometa import Box, ConfigurationError, Dict, Like, Problem, Search
from evometa.problems import Sinusoid
from evometa.strategies import Gradient, OpenAIES
from evometa.strategy import Feedback
from evometa.testing import check_strategy

KEY = jax.random.key(3)


@pytest.mark.usefixtures("x64")
def test_keeps_the_contract_in_double_precision() -> None:
    check_strategy(Gradient(3))


def test_keeps_the_contract_alone() -> None:
    check_strategy(Gradient(optimizer="momentum", learning_rate_final=0.5))


def descend(strategy: Gradient, gradients: Any, fitness: Any, start: Any = (0.0, 0.0)) -> list[Any]:
    """Tell gradients ``[G, P, D]`` and fitness ``[G, P]``; return the states, the first before anything was told."""

    @jax.jit
    def generation(state: Any, gradient: Any, value: Any) -> Any:
        genotypes, state = strategy.ask(KEY, state)
        return strategy.tell(KEY, state, genotypes, Feedback(value, gradient=gradient))

    states = [jax.jit(lambda: strategy.init(KEY, Box((2,), start=start)))()]
    for gradient, value in zip(jnp.asarray(gradients), jnp.asarray(fitness), strict=True):
        states.append(generation(states[-1], gradient, value))
    return states


def test_steps_are_adam_s() -> None:
    gradients = np.array([[0.3, -2.0], [1.0, 0.5], [-0.2, 0.1]])
    states = descend(Gradient(learning_rate=0.1), gradients[:, None], np.zeros((3, 1)))
    adam, point = optax.adam(0.1), jnp.zeros(2)
    moments = adam.init(point)
    for gradient, state in zip(gradients, states[1:], strict=True):
        updates, moments = adam.update(jnp.asarray(gradient, point.dtype), moments)
        point = optax.apply_updates(point, updates)
        np.testing.assert_allclose(state.points[0], point, rtol=1e-5)


def test_long_gradients_are_shortened_and_the_rate_decays() -> None:
    strategy = Gradient(learning_rate=0.1, optimizer="sgd", largest_norm=5.0, learning_rate_final=0.25,
                        decay_generations=2)  # fmt: skip
    states = descend(strategy, np.array([[[3.0, 4.0]], [[3e37, 4e37]], [[0.3, 0.4]], [[0.3, 0.4]]]), np.zeros((4, 1)))
    lengths = np.diff([float(jnp.linalg.norm(state.points[0])) for state in states])
    np.testing.assert_allclose(lengths, [0.5, 0.25, 0.0125, 0.0125], rtol=1e-5)
    np.testing.assert_allclose([strategy.diagnostics(s)["gradient_norm"] for s in states[1:3]], [5, 5e37], rtol=1e-5)


def test_a_failed_point_goes_half_way_back_and_the_others_go_on() -> None:
    strategy = Gradient(2, learning_rate=1.0, optimizer="momentum")
    down, zero = [[-1.0, 0.0], [-1.0, 0.0]], [[0.0, 0.0], [-1.0, 0.0]]
    states = descend(strategy, [down, zero, zero, down], [[1.0, 1.0], [np.inf, 1.0], [np.inf, 1.0], [1.0, 1.0]])
    asked = [strategy.ask(KEY, state)[0] - states[0].points for state in states]
    # Each step adds 1 to 0.9 of the step before; nothing is added while the first point is brought back.
    np.testing.assert_allclose([a[0, 0] for a in asked], [0, 1, 0.5, 0.25, 0.25 + 1.9], rtol=1e-5)
    np.testing.assert_allclose([a[1, 0] for a in asked], [0, 1, 2.9, 5.61, 9.049], rtol=1e-5)


@dataclasses.dataclass(frozen=True)
class Ledge(Problem):
    """A bowl around (0.9, 0.9) that breaks off beyond 1."""

    @property
    def space(self) -> Any:
        return Box((2,), start=(0.0, 0.5))

    def evaluate(self, key: Any, omega: Any) -> Any:
        return jnp.where(jnp.max(omega) > 1, jnp.nan, jnp.sum((omega - 0.9) ** 2))


def test_a_lone_point_comes_back_from_where_nothing_is_told() -> None:
    search = Search(Ledge(), Gradient(learning_rate=0.3))
    result = search.run(generations=200)
    assert result.failed > 0
    assert np.max(np.abs(result.center_omega - 0.9)) < 0.05


def test_the_center_is_the_point_that_has_been_best_for_long() -> None:
    strategy = Gradient(3, optimizer="sgd")
    fitness = np.array([[2.0, 1.0, 3.0]] * 5 + [[0.9, 1.1, np.inf]])  # once the first is better than the second
    states = descend(strategy, np.zeros((6, 3, 2)), fitness)
    np.testing.assert_allclose(states[-1].mean, [0.9 * 2.0 + 0.1 * 0.9, 0.9 * 1.0 + 0.1 * 1.1, 3.0], rtol=1e-5)
    np.testing.assert_array_equal(strategy.center(states[-1]), states[0].points[1])


class Steps(Problem):
    """A sum of rounded numbers, which has no gradient anywhere."""

    space = Box((2,))

    def evaluate(self, key: Any, omega: Any) -> Any:
        return jnp.sum(jnp.round(omega - 1.0))


def test_ends_where_there_is_no_gradient() -> None:
    result = Search(Steps(), Gradient(2)).run(generations=100)
    assert result.generations == 10
    assert result.stop_reason.startswith("nogradient")
    result = Search(Ledge(), Gradient(2)).run(generations=100)
    assert result.generations == 100


def test_a_maximum_is_climbed() -> None:
    class Hill(Ledge):
        direction = "maximize"

        def evaluate(self, key: Any, omega: Any) -> Any:
            return -jnp.sum((omega - 0.9) ** 2)

    result = Search(Hill(), Gradient(learning_rate=0.05)).run(generations=150)
    np.testing.assert_allclose(result.center_omega, 0.9, atol=0.01)


def test_evolution_goes_on_where_the_gradient_ended() -> None:
    problem = Sinusoid(num_tasks=4, hidden=(8,))
    exact: Any = {"validation_tasks": 64, "validation_share": 100.0}
    search = Search(problem, Gradient(learning_rate=0.01), validate_every=20, **exact)
    first = search.run(generations=200)
    assert first.held_out < 0.95 * search.history["held_out"][19]

    class Warm(Sinusoid):
        @property
        def space(self) -> Dict:
            return Dict({"weights": Like(first.center_omega["weights"])})

    warm = Warm(num_tasks=4, hidden=(8,))
    jax.tree.map(np.testing.assert_array_equal, warm.space.decode(warm.space.start(KEY)), first.center_omega)
    second = Search(warm, OpenAIES(8, learning_rate=1e-6), **exact).run(generations=1)
    np.testing.assert_allclose(second.held_out, first.held_out, rtol=1e-3)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 0}, "to be a whole number of at least 1, got 0"),
        ({"learning_rate": 0.0}, "to be a number above 0, got 0.0"),
        ({"largest_norm": float("inf")}, "to be a number above 0, got inf"),
        ({"decay_generations": -1}, "to be a whole number of at least 1, got -1"),
        ({"learning_rate_final": 2.0}, "to be a number above 0 and of at most 1, got 2.0"),
    ],
)
def test_refuses_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        Gradient(**settings)
