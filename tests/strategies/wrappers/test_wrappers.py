"""Strategies that wrap strategies: restarts, averaging, evaluating again, uncertainty, constraints."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError, Evaluation, Problem, Search
from evometa.problems import InfluenceBalancing
from evometa.spaces import Box, Integer
from evometa.strategies import (
    BIPOPCMAES,
    CMAES,
    PES,
    SNES,
    UHCMAES,
    AgedEvolution,
    AugmentedLagrangian,
    Averaged,
    GeneticAlgorithm,
    Gradient,
    OpenAIES,
    RandomSearch,
    Reevaluated,
    Restarts,
)
from evometa.strategies.wrappers.uh_cmaes import _median, _rank_changes
from evometa.strategy import Feedback, Strategy, require_space, tell_population
from evometa.testing import check_strategy

from ..driver import search, searches, sphere

KEY = jax.random.key(0)
WRAPPERS = [
    Restarts(CMAES(8)),
    Restarts(GeneticAlgorithm(8), patience=5),
    Averaged(SNES(8), generations=3.0),
    Reevaluated(CMAES(6), times=2),
    UHCMAES(CMAES(8), most_rounds=3),
    AugmentedLagrangian(CMAES(8)),
]


@pytest.mark.parametrize("strategy", WRAPPERS, ids=lambda s: f"{type(s).__name__}-{type(s.strategy).__name__}")
@pytest.mark.usefixtures("x64")
def test_keeps_the_contract_in_double_precision(strategy: Strategy[Any]) -> None:
    check_strategy(strategy)


@dataclasses.dataclass(frozen=True)
class Noisy(Problem):
    """A bowl around 1 whose fitness has Gaussian noise, drawn anew for each candidate and set of tasks."""

    noise: float = 1.0

    @property
    def space(self) -> Box:
        return Box((6,), start=np.zeros(6))

    def evaluate(self, key: Any, omega: Any) -> Any:
        key = jax.random.fold_in(key, jax.lax.bitcast_convert_type(omega[0].astype(jnp.float32), jnp.int32))
        return jnp.sum((omega - 1) ** 2) + self.noise * jax.random.normal(key)

    def evaluate_test(self, key: Any, omega: Any) -> Any:
        return jnp.sum((omega - 1) ** 2)


def held_out(strategy: Strategy[Any]) -> float:
    """Return the true fitness at the center after 20 000 evaluations, the median of five searches."""
    runs = searches(
        strategy,
        Box((6,), start=np.zeros(6)),
        lambda x: sphere(x) + jax.vmap(noise)(x),
        generations=20_000 // strategy.population_size,
        seeds=range(5),
    )
    return float(np.median([np.sum((np.asarray(run.center) - 0.5) ** 2) for run in runs]))


def noise(x: jax.Array) -> jax.Array:
    """Return a number of standard deviation 1 that depends on the last bits of x."""
    bits = jax.lax.bitcast_convert_type(x.astype(jnp.float32), jnp.int32)
    return jax.random.normal(jax.random.fold_in(jax.random.key(0), jnp.sum(bits)))


def test_an_average_of_centers_withstands_noise() -> None:
    gradient = OpenAIES(32, learning_rate=0.05, sigma=0.3)
    assert held_out(Averaged(gradient)) < held_out(gradient)


def test_uncertainty_is_found_in_noise_alone_and_treated() -> None:
    loud = Search(Noisy(1.0), UHCMAES(CMAES(12)), progress=False)
    treated = loud.run(generations=1300).held_out
    assert treated < Search(Noisy(1.0), CMAES(12), progress=False).run(generations=1600).held_out
    calm = Search(Noisy(0.0), UHCMAES(CMAES(12)), progress=False)
    calm.run(generations=60)
    assert loud.history.columns["strategy/rounds"][-1] > 4
    assert set(calm.history.columns["strategy/rounds"]) == {1}
    assert (calm.history.columns["strategy/uncertainty"] < 0).all()


def test_the_median_of_the_rounds_counts() -> None:
    fitness = np.array([[1.0, 5.0, 2.0], [np.inf, 7.0, np.nan], [3.0, 1e30, np.inf], [-9.0, -9.0, -9.0]])
    for rows, expected in ((1, [1, 5, 2]), (2, [np.inf, 6, np.inf]), (3, [3, 7, np.inf]), (4, [2, 6, np.inf])):
        found = _median(jnp.asarray(fitness), jnp.int32(rows))
        np.testing.assert_array_equal(np.asarray(found), expected)


def test_rank_changes_are_pycmas() -> None:
    import cma

    handler = cma.NoiseHandler(5)
    random = np.random.default_rng(0)
    for _ in range(5):
        first = random.normal(size=12)
        second = first[:3] + random.normal(size=3)
        handler.fit, handler.fitre = list(first), [*second, *first[3:]]
        handler.idx, handler.noiseS = np.arange(3), 0.0
        _, measures = handler.update_measure()
        # pycma interpolates the limits' percentile and takes the larger of two identical numbers.
        assert float(_rank_changes(jnp.asarray(first), jnp.asarray(second))) == pytest.approx(
            np.mean(measures), abs=1.0
        )


def test_candidates_that_failed_twice_are_no_noise() -> None:
    fitness = jnp.arange(8.0).at[jnp.array([0, 2, 5, 6])].set(jnp.inf)
    sound = jnp.where(jnp.isinf(fitness), jnp.arange(8.0) + 10, fitness)
    assert float(_rank_changes(fitness, fitness[:3])) <= float(_rank_changes(sound, sound[:3])) <= 0


@pytest.mark.parametrize(
    ("strategy", "generations"), [(Restarts(CMAES(4)), 10), (Restarts(RandomSearch(4), patience=3), 3)]
)
def test_restarts_while_all_fail(strategy: Restarts, generations: int) -> None:

    @jax.jit
    def generation(key: Any, state: Any) -> Any:
        genotypes, state = strategy.ask(key, state)
        return tell_population(strategy, KEY, state, genotypes, Feedback(jnp.full(4, jnp.inf)))

    state = jax.jit(lambda: strategy.init(KEY, Box((2,), -1.0, 1.0, start=np.zeros(2))))()
    for number in range(generations):
        assert int(state.restarts) == 0
        state = generation(jax.random.key(number), state)
    assert int(state.restarts) == 1


def test_prices_of_constraints_wait_for_a_candidate_that_succeeds() -> None:
    strategy = AugmentedLagrangian(CMAES(4))

    @jax.jit
    def generation() -> Any:
        genotypes, state = strategy.ask(KEY, strategy.init(KEY, Box((2,), start=np.zeros(2))))
        infinite = jnp.full(5, jnp.inf)
        return tell_population(strategy, KEY, state, genotypes, Feedback(infinite, constraints=infinite[:, None]))

    assert generation().penalty.tolist() == [0.0]


def test_the_average_is_that_of_the_centers() -> None:
    strategy = Averaged(SNES(8), generations=2.0)
    space = Box((3,), start=np.zeros(3))

    @jax.jit
    def centers() -> Any:
        def generation(state: Any, key: Any) -> Any:
            genotypes, state = strategy.ask(key, state)
            state = strategy.tell(key, state, genotypes, Feedback(sphere(genotypes)))
            return state, (strategy.center(state), strategy.strategy.center(state.inner))

        state = strategy.init(KEY, space)
        return strategy.center(state), jax.lax.scan(generation, state, jax.random.split(KEY, 4))[1]

    first, (average, inside) = jax.device_get(centers())
    np.testing.assert_array_equal(first, 0.0)
    weights = np.exp(-np.arange(4)[::-1] / 2.0)
    np.testing.assert_allclose(average[-1], weights @ inside / weights.sum(), rtol=1e-5)


def test_an_average_forwards_windows_and_the_search_is_that_of_the_strategy_inside() -> None:
    problem = InfluenceBalancing(inner_steps=20)
    inside = PES(8, unroll_length=5, learning_rate=0.1)
    alone, averaged = (
        Search(problem, strategy, seed=2, validation_tasks=2, progress=False)
        for strategy in (inside, Averaged(inside, generations=5.0))
    )
    result, smooth = alone.run(generations=12), averaged.run(generations=12)
    for name in ("best", "median", "best_so_far"):
        np.testing.assert_allclose(averaged.history[name], alone.history[name], rtol=1e-5)
    assert result.inner_steps == smooth.inner_steps == 12 * 8 * 5
    assert not np.array_equal(smooth.center_omega, result.center_omega)


def test_evaluating_again_averages_gradients_and_restarts_reach_several_minima() -> None:
    single, several = (
        Search(NoisySlope(), strategy, seed=1, validation_share=0.0, progress=False)
        for strategy in (slow(), Reevaluated(slow(), times=16))
    )
    single.run(generations=200)
    several.run(generations=200)
    spread = [np.std(one.history["strategy/gradient_norm"]) for one in (single, several)]
    assert spread[1] < 0.5 * spread[0]  # a quarter, where the noise of sixteen is independent
    restarted = Search(Flat(), Restarts(Gradient(2, learning_rate=0.1)), seed=0, progress=False)
    restarted.run(generations=40)
    assert restarted.history["strategy/restarts"][-1] >= 3  # each time after ten generations without a gradient


def slow() -> Gradient:
    """Hardly moves, so that only the noise of the gradient matters."""
    return Gradient(learning_rate=1e-6, optimizer="sgd", largest_norm=1e6)


class NoisySlope(Problem):
    """A slope of 5 whose gradient has Gaussian noise."""

    @property
    def space(self) -> Box:
        return Box((1,), start=np.zeros(1))

    def evaluate(self, key: Any, omega: Any) -> Any:
        return jnp.sum(omega) * (5.0 + jax.random.normal(key))


class Flat(NoisySlope):
    """A constant fitness."""

    def evaluate(self, key: Any, omega: Any) -> Any:
        return jnp.sum(jnp.round(omega))


def test_restarts_when_it_stops_and_when_it_is_idle() -> None:
    space = Box((3,), -1.0, 1.0, start=np.zeros(3))
    stops = search(Restarts(CMAES(8)), space, lambda x: jnp.round(sphere(x)), generations=400)
    assert int(stops.state.restarts) > 2
    idle = search(Restarts(SNES(8), patience=10), space, lambda x: jnp.zeros(len(x)), generations=101)
    assert int(idle.state.restarts) == 9  # the first generation is better than none
    assert stops.reason == idle.reason == ""


def test_restarts_of_restarts_count_rounds_on() -> None:
    strategy = Restarts(BIPOPCMAES(4, largest=2), patience=30)
    found = search(strategy, Box((2,), -1.0, 1.0), lambda x: jnp.zeros(len(x)), generations=200)
    assert int(found.state.restarts) > 4
    assert int(strategy.round(found.state)) > 100


@dataclasses.dataclass(frozen=True)
class Fenced(Problem):
    """An ellipsoid with two constraints that bind and one that does not; the minimum was found by SLSQP."""

    @property
    def space(self) -> Box:
        return Box((6,), start=np.full(6, 3.0))

    def evaluate(self, key: Any, omega: Any) -> Evaluation:
        constraints = jnp.stack([1 - omega[0], 1 - omega[3] - omega[1], omega[5] - 10.0])
        return Evaluation(jnp.sum(jnp.logspace(0, 3, 6) * omega**2), constraints=constraints)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("seed", range(2))
def test_a_constrained_minimum(seed: int) -> None:
    search = Search(Fenced(), AugmentedLagrangian(CMAES(10), num_constraints=3), seed=seed, progress=False)
    result = search.run(generations=400)
    assert result.best_fitness == pytest.approx(4.744791345, rel=1e-6)
    assert result.best_fitness >= 4.744791345  # the best keeps all constraints
    assert 0 < np.mean(search.history.columns["feasible"]) < 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: Restarts(PES(4)),
            "Restarts expects a strategy with the evaluation plan FullEvaluation or GradientEvaluation, and that of "
            "PES is WindowedEvaluation",
        ),
        (
            lambda: Restarts(RandomSearch(4)),
            "Restarts expects a patience with RandomSearch, which never",
        ),
        (lambda: Restarts(CMAES(4), patience=0), "to be a whole number of at least 1 or None, got 0"),
        (lambda: Restarts(CMAES), "got the class CMAES; make an instance, CMAES(...)"),
        (lambda: Averaged(CMAES(4), generations=0.0), "to be a number above 0, got 0.0"),
        (lambda: Reevaluated(CMAES(4), times=1), "to be a whole number of at least 2, got 1"),
        (
            lambda: Reevaluated(OpenAIES(4, tasks_per_pair=True)),
            "expects a strategy whose candidates share",
        ),
        (lambda: UHCMAES(SNES(8)), "UHCMAES expects a CMAES, whose step size it controls, got SNES"),
        (
            lambda: UHCMAES(CMAES(8), reevaluations=9),
            "UHCMAES expects reevaluations, how many candidates",
        ),
        (lambda: AugmentedLagrangian(CMAES(8), num_constraints=0), "to be a whole number of at least 1, got 0"),
        (lambda: require_space(Averaged(AgedEvolution(8)), Box((2,))), "Averaged expects a strategy with a center"),
        (lambda: require_space(Restarts(CMAES(8)), Integer(0, 3)), "CMAES searches real vectors only"),
        (
            lambda: Search(Noisy(), AugmentedLagrangian(CMAES(8))),
            "requires constraints, and Noisy gives none",
        ),
        (lambda: Search(Fenced(), AugmentedLagrangian(CMAES(8))), "AugmentedLagrangian expects num_constraints=3, as"),
    ],
)
def test_refuses(make: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        make()
