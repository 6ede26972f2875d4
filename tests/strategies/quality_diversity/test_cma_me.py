"""CMA-ME: parents, a single emitter, restarts, and whole searches."""

import re
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Search
from evometa.errors import ConfigurationError
from evometa.problems import LinearProjection
from evometa.spaces import Box, Integer
from evometa.strategies import CMAME
from evometa.strategies.quality_diversity import cma_emitter
from evometa.strategy import Feedback
from evometa.testing import check_strategy

QUIET: dict[str, Any] = {"progress": False, "devices": 1}
KEY = jax.random.key(0)


@pytest.mark.parametrize("settings", [{}, {"selection": "mu", "restart": "basic"}], ids=["filter", "mu"])
def test_keeps_the_contract(settings: dict[str, Any], request: pytest.FixtureRequest) -> None:
    if not settings:
        request.getfixturevalue("x64")
    check_strategy(CMAME(8, cells=(8, 8), emitters=2, **settings))


def test_weights_go_by_status_then_improvement_and_ties_share() -> None:
    status, gain = jnp.array([1, 2, 0, 2, 1, 2]), jnp.array([9.0, 1.0, 99.0, 1.0, 3.0, 5.0])
    raw = np.log(4.5) - np.log(np.arange(1, 5))
    best, second, third, fourth = raw / raw.sum()
    expected = [fourth, (second + third) / 2, 0, (second + third) / 2, 0, best]
    weigh = jax.jit(cma_emitter.weigh)
    np.testing.assert_allclose(weigh(status, gain, np.int32(4)), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(weigh(status, gain, np.int32(0)), np.zeros(6))


def test_rates_are_those_of_the_tutorial() -> None:
    table = cma_emitter.rates(12, 10)
    weights = np.diff(table.earned[6])[:6]
    np.testing.assert_allclose(weights, (np.log(6.5) - np.log(np.arange(1, 7))) / (np.log(6.5) * 6 - np.log(720)))
    mu_eff = 1 / (weights**2).sum()
    assert table.mu_eff[6] == pytest.approx(mu_eff)
    assert table.c_sigma[6] == pytest.approx((mu_eff + 2) / (10 + mu_eff + 5))
    assert table.c_mu[6] == pytest.approx(2 * (mu_eff - 2 + 1 / mu_eff) / (144 + mu_eff))
    assert np.isfinite(np.concatenate([np.ravel(part) for part in table])).all()


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("parents", ["half", "varying"])
def test_an_emitter_is_a_cma_es(parents: str) -> None:
    scale = np.logspace(0, 4, 6)

    def generation(number: Any, one: Any) -> Any:
        key = jax.random.fold_in(KEY, number)
        one = one._replace(noise=jax.random.normal(key, one.noise.shape))
        genotypes = one.mean + one.sigma * one.noise @ one.factor.T
        fitness = jnp.sum(scale * genotypes**2, axis=1)
        count = jnp.int32(6) if parents == "half" else jax.random.randint(key, (), 0, 7)
        weights = cma_emitter.weigh(jnp.zeros(12, jnp.int32), -fitness, count)
        one = cma_emitter.adapt(one, genotypes, weights, count)
        return one._replace(factor=jnp.linalg.cholesky(one.covariance))

    begun = lambda: cma_emitter.begin(jnp.ones(6), 0.5, 12)  # noqa: E731
    one = jax.device_get(jax.jit(lambda: jax.lax.fori_loop(0, 500, generation, begun()))())
    assert np.sum(scale * one.mean**2) < 1e-8
    axes = np.diagonal(one.covariance) * scale  # C has learnt the inverse of the ellipsoid
    assert axes.max() / axes.min() < 30
    assert one.age == 500


def told(strategy: CMAME, fitness: Any, measures: Any, generations: int = 1) -> tuple[Any, Any]:
    """Return the state before and after the last of some generations with the same evaluations."""
    step = jax.jit(lambda key, state: ask_and_learn(strategy, key, state, fitness, measures))
    before = after = jax.jit(lambda: strategy.init(KEY, Box((3,), start=np.full(3, 5.0))))()
    for number in range(generations):
        before, after = after, step(jax.random.fold_in(KEY, number), after)
    return jax.device_get((before, after))


def ask_and_learn(strategy: CMAME, key: Any, state: Any, fitness: Any, measures: Any) -> Any:
    genotypes, state = strategy.ask(key, state)
    return strategy.tell(key, state, genotypes, Feedback(jnp.asarray(fitness), measures=jnp.asarray(measures)))


def test_an_emitter_that_adds_nothing_begins_anew_at_an_elite() -> None:
    strategy = CMAME(8, cells=(4,), low=(0.0,), high=(1.0,), emitters=2, sigma=0.7)
    # The first emitter continues to discover; all candidates of the second fail.
    fitness = np.array([4.0, 3.0, 2.0, 1.0, *[np.inf] * 4])
    measures = np.array([[0.1], [0.4], [0.6], [0.9], *[[0.0]] * 4])
    _, state = told(strategy, fitness, measures)
    assert state.restarts == 1
    assert state.emitters.age.tolist() == [1, 0]
    assert (state.emitters.mean[1] == state.elites.genotypes).all(axis=1).any()
    assert state.emitters.sigma[1] == np.float32(0.7)
    # In the second generation nobody improves: both begin anew.
    assert told(strategy, fitness, measures, 2)[1].restarts == 3


@pytest.mark.parametrize(("restart", "restarts"), [("basic", 0), ("no_improvement", 2)])
def test_basic_restarts_wait_for_convergence(restart: Any, restarts: int) -> None:
    strategy = CMAME(8, cells=(1,), low=(0.0,), high=(1.0,), emitters=2, selection="mu", restart=restart)
    assert told(strategy, np.arange(8.0), np.zeros((8, 1)), 2)[1].restarts == restarts


def test_equal_candidates_end_an_emitter() -> None:
    strategy = CMAME(8, cells=(1,), low=(0.0,), high=(1.0,), emitters=2, selection="mu", restart="basic")
    assert told(strategy, np.zeros(8), np.zeros((8, 1)))[1].restarts == 2


@pytest.mark.parametrize(("selection", "order"), [("filter", [1, 2, 0]), ("mu", [1, 2])])
def test_parents_are_who_entered_or_the_better_half(selection: Any, order: list[int]) -> None:
    strategy = CMAME(4, cells=(2,), low=(0.0,), high=(1.0,), emitters=1, selection=selection)
    fitness, measures = np.array([3.0, 1.0, 2.0, np.inf]), np.array([[0.1], [0.1], [0.9], [0.9]])
    before, after = told(strategy, fitness, measures)
    genotypes, _ = jax.jit(strategy.ask)(jax.random.fold_in(KEY, 0), before)
    raw = np.log(len(order) + 0.5) - np.log(np.arange(1, len(order) + 1))
    expected = (raw / raw.sum()) @ np.asarray(genotypes)[order]
    np.testing.assert_allclose(after.emitters.mean[0], expected, rtol=1e-5)


def test_fills_the_archive() -> None:
    search = Search(LinearProjection(20), CMAME(180, cells=(40, 40), emitters=5, sigma=0.5), **QUIET)
    search.run(generations=150)
    coverage = search.history["strategy/coverage"]
    assert coverage[0] < 0.05
    assert coverage[-1] > 0.4


def test_an_interrupted_search_ends_as_a_whole_one_and_leaves_its_archive(tmp_path: Path) -> None:
    problem, strategy = LinearProjection(4), CMAME(24, cells=(10, 10), emitters=3)
    search = Search(problem, strategy, run_directory=tmp_path / "whole", **QUIET)
    search.run(generations=13)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    whole = search.run(generations=30)
    Search.resume(tmp_path / "cut", **QUIET).run(generations=30)
    for name in ("history.csv", "archive.npz"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes(), name
    assert whole.archive is not None
    assert len(whole.archive.fitness) > 20
    assert whole.best_fitness == pytest.approx(whole.archive.fitness.max())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 16}, "its emitters share evenly, at least two candidates each, got 16 for 15 emitters"),
        ({"population_size": 15}, "at least two candidates each, got 15 for 15 emitters"),
        ({"emitters": 0}, "to be a whole number of at least 1, got 0"),
        ({"sigma": 0.0}, "to be a number above 0, got 0.0"),
        ({"selection": "best"}, "CMAME expects selection (who is a parent) to be 'filter' or 'mu', got 'best'"),
        (
            {"restart": "never"},
            "CMAME expects restart (when an emitter starts again) to be 'no_improvement' or 'basic', got 'never'",
        ),
        ({"low": (0.0,)}, "CMAME expects cells, low and high to have a number for each measure"),
    ],
)
def test_refuses_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        CMAME(**settings)


def test_refuses_integers() -> None:
    assert CMAME().incompatibility(Integer(0, 3)) is not None


def test_an_emitter_whose_covariance_is_not_definite_continues_with_the_last_factor() -> None:
    strategy = CMAME(8, emitters=2, cells=(4, 4), restart="basic")
    state = jax.jit(lambda: strategy.init(KEY, Box((3,), start=np.zeros(3))))()
    lost = jnp.array([[1.0, 1.5, 0.0], [1.5, 1.0, 0.0], [0.0, 0.0, 1.0]])

    @jax.jit
    def generation(key: Any, state: Any) -> Any:
        genotypes, state = strategy.ask(key, state)
        measures = jnp.clip(genotypes[:, :2] + 0.5, 0.0, 1.0)
        feedback = Feedback(jnp.sum(genotypes**2, axis=1), measures=measures)
        return genotypes, strategy.tell(key, state, genotypes, feedback)

    for number in range(6):
        if number == 1:
            emitters = state.emitters
            covariance, path_c = emitters.covariance.at[0].set(lost), emitters.path_c.at[0].set(0.0)
            state = state._replace(emitters=emitters._replace(covariance=covariance, path_c=path_c))
        genotypes, state = generation(jax.random.fold_in(KEY, number), state)
        assert np.isfinite(genotypes).all()
        assert np.isfinite(state.emitters.factor).all()
