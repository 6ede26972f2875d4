"""The learned evolution strategy: it searches, is invariant as it says, and takes its networks from several places."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, ConfigurationError, Search
from evometa.problems import LearnedEvolutionStrategy, Sphere
from evometa.strategies import CMAES, LearnedES
from evometa.strategies.es.learned_es import in_a_row, networks
from evometa.strategy import Feedback


def path(scale: float, shift: float, failed: bool) -> Any:
    """Return the distribution after five generations on a bowl, with the fitness multiplied and shifted."""
    strategy, space = LearnedES(8), Box((3,), start=np.full(3, 2.0))
    state = strategy.init(jax.random.key(0), space)
    for number in range(5):
        key = jax.random.key(number)
        genotypes, state = strategy.ask(key, state)
        fitness = scale * jnp.sum(genotypes**2, axis=1) + shift
        if failed:
            fitness = fitness.at[jnp.argmax(fitness)].set(jnp.inf)
        state = strategy.tell(key, state, genotypes, Feedback(fitness))
    return state.distribution


def test_only_order_and_relative_size_of_the_fitness_count() -> None:
    one, other = path(1.0, 0.0, False), path(8.0, 16.0, False)
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-4)
    np.testing.assert_allclose(one.sigma, other.sigma, rtol=1e-4)
    assert float(jnp.sum(one.mean**2)) < 12.0
    assert np.isfinite(path(1.0, 0.0, True).mean).all()


def test_it_searches_and_resumes_with_the_networks_it_began_with(tmp_path: Path) -> None:
    strategy = LearnedES(16, weights=in_a_row(networks("learned-evolution-strategy")))
    search = Search(Sphere(4), strategy, run_directory=tmp_path / "run", progress=False)
    result = search.run(generations=40)
    assert result.best_fitness < 0.1
    named = Search(Sphere(4), LearnedES(16), progress=False).run(generations=40)
    np.testing.assert_array_equal(named.best_omega, result.best_omega)
    resumed = Search.resume(tmp_path / "run", progress=False).run(generations=41)
    assert resumed.best_fitness <= result.best_fitness


def test_networks_of_something_else_are_refused(tmp_path: Path) -> None:
    Search(Sphere(2), CMAES(4), run_directory=tmp_path / "run", progress=False).run(generations=1)
    with pytest.raises(ConfigurationError, match=r"and .* is of Sphere"):
        LearnedES(weights=str(tmp_path / "run"))
    with pytest.raises(ConfigurationError, match="expects weights as an entry of the zoo"):
        LearnedES(weights="nowhere")


def test_the_problem_exports_it() -> None:
    problem = LearnedEvolutionStrategy(units=2)
    omega = problem.space.decode(problem.space.sample(jax.random.key(2)))
    found = networks(problem.export(omega).weights)
    assert found.keys() == omega.keys()
    for name, leaf in omega.items():
        np.testing.assert_array_equal(found[name], leaf)
    with pytest.raises(ConfigurationError, match="26 numbers for one unit and 21 for each more, got 3"):
        LearnedES(weights=(1.0, 2.0, 3.0))
