"""Unrolled inner training: does a strategy that evaluates by windows find what whole unrolls would?

Two tables on influence balancing (Vicol, Metz & Sohl-Dickstein 2021), a linear system whose short unrolls point the
wrong way. The first: θ after 3000 updates from 0.5 by plain gradient descent, with the paper's settings (1000
candidates, σ = 0.1, learning rate 1e-4, K = 1, a horizon that is hardly ever reached). At rest the best θ is -1/6. The
second: the mean of many gradient estimates at θ = 0.5 against the exact gradient of the whole unroll, in standard
errors; the loss is quadratic, so that smoothing by noise leaves the gradient as it is.

    python benchmarks/unrolls.py
    python benchmarks/unrolls.py --seeds 1 --generations 1000  # a quick look
"""

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _engine import windows
from _measure import alone, parse_arguments, print_table, standard_error

import evometa as em
from evometa.inner_training import learning_curve
from evometa.problems import InfluenceBalancing
from evometa.strategies import NRES, PES, FullES, TruncatedES

START = 0.5
SIGMA = 0.1


def search(cls: Any, seed: int, generations: int, population: int) -> tuple[float, float]:
    """Return θ after the search, and its seconds without compilation of anything but the first dispatch."""
    strategy = cls(
        population_size=population,
        sigma=SIGMA,
        learning_rate=1e-4,
        optimizer="sgd",
        largest_norm=1e6,
        unroll_length=1,
    )
    problem = InfluenceBalancing(inner_steps=10_000)
    start = time.perf_counter()
    search = em.Search(problem, strategy, seed=seed, validation_share=0.0, progress=False)
    result = search.run(generations=generations)
    return float(np.asarray(result.center_omega)), time.perf_counter() - start


def exact_gradient(problem: InfluenceBalancing) -> float:
    """Return the derivative of the whole unroll's objective at the start."""
    steps = tuple(range(1, problem.inner_steps + 1))
    key = jax.random.key(0)
    return float(jax.grad(lambda theta: jnp.mean(learning_curve(problem, key, theta, (), steps)[0]))(START))


def mean_gradients(strategy: Any, problem: InfluenceBalancing, seeds: int) -> np.ndarray:
    """Return estimates of the gradient at the start, one for each seed ``[seeds]``; each is a mean over an episode."""
    evaluated = windows(problem, strategy)

    def generation(carry: Any, key: Any) -> Any:
        root, state, waiting = carry
        state, fitness, waiting = evaluated.generation(root, key, state, waiting)
        return (root, state, waiting), strategy.gradient(state, fitness)[0]

    @jax.jit
    def one(key: Any) -> Any:
        state = strategy.init(key, problem.space)
        keys = jax.random.split(key, 2 * evaluated.per_episode)
        # The first episodes are cut; after them, any run of as many windows as an episode has is unbiased.
        _, found = jax.lax.scan(generation, (key, state, evaluated.begin()), keys)
        return jnp.mean(found[evaluated.per_episode :])

    return np.array([one(key) for key in jax.random.split(jax.random.key(1), seeds)])


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="searches of each strategy")
    parser.add_argument("--generations", type=int, default=3000)
    parser.add_argument("--estimates", type=int, default=32, help="independent gradient estimates of each strategy")
    parser.add_argument("--population", type=int, default=1000)
    arguments = parse_arguments(parser, "--seeds 1 --generations 2 --estimates 2 --population 8")
    size = arguments.population
    with alone():
        rows = []
        for cls in (PES, NRES, TruncatedES):
            found = [search(cls, seed, arguments.generations, size) for seed in range(arguments.seeds)]
            thetas, seconds = zip(*found, strict=True)
            furthest = max(abs(theta + 1 / 6) for theta in thetas)
            shown = ", ".join(f"{theta:.4f}" for theta in thetas)
            rows.append([cls.__name__, shown, f"{furthest:.4f}", f"{np.median(seconds):.1f}"])
        print(f"θ after {arguments.generations} updates from {START}; the optimum at rest is {-1 / 6:.4f}\n")
        print_table(["strategy", "θ, one for each seed", "furthest from the optimum", "seconds a search"], rows)

        problem = InfluenceBalancing(inner_steps=100)
        exact = exact_gradient(problem)
        rows = []
        for strategy in (
            FullES(size, sigma=SIGMA),
            PES(size, sigma=SIGMA, unroll_length=5),
            NRES(size, sigma=SIGMA, unroll_length=5),
            TruncatedES(size, sigma=SIGMA, unroll_length=5),
        ):
            found = mean_gradients(strategy, problem, arguments.estimates)
            error = standard_error(found)
            away = (found.mean() - exact) / error
            rows.append([type(strategy).__name__, f"{found.mean():.3f}", f"{error:.3f}", f"{away:.1f}"])
        print(f"\ngradient of an unroll of {problem.inner_steps} steps at θ = {START}; exactly {exact:.3f}\n")
        print_table(["strategy", "mean estimate", "standard error", "standard errors away"], rows)


if __name__ == "__main__":
    main()
