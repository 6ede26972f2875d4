"""A flow that adapts to 20 points from learned initial weights, beside kernel density estimates and mixtures.

Each seed is one search of limited time, by evolution or by the gradient; its center is evaluated on held-out densities.
Kernel density estimates choose their bandwidth, and Gaussian mixtures their components, form of covariance and
regularisation, for each density by cross-validation on its points. The same flow from random weights is trained by
Adam, with the rate and the number of steps that are best on other densities.

    python benchmarks/density_estimation.py                    # 3 seeds
    python benchmarks/density_estimation.py --seconds 30 --seeds 1
"""

import argparse
import functools
import itertools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _engine import draw_trials
from _measure import Kept, alone, mean_and_error, note, parse_arguments, print_table
from numpy.typing import NDArray

import evometa as em
from evometa.problems import DensityEstimation
from evometa.strategies import Gradient, OpenAIES
from evometa.strategy import Strategy

SEED = 2021
RATES = (0.003, 0.01, 0.03)
STEPS = (10, 30, 100, 300)


def kernel_density(support: NDArray[Any], query: NDArray[Any]) -> float:
    """Return the log likelihood of a query point; the bandwidth is that of leave-one-out cross-validation."""

    def log_density(points: NDArray[Any], width: float, omit: float) -> NDArray[Any]:
        square = np.sum((points[:, None] - support) ** 2, axis=-1) / width**2
        total = np.exp(-square / 2) * (1 - omit * np.eye(*square.shape))
        return np.log(total.sum(axis=1) / (len(support) - omit) / (2 * np.pi * width**2) + 1e-300)

    widths = support.std() * np.geomspace(0.03, 1, 30)
    best = max(widths, key=lambda width: log_density(support, width, 1).mean())
    return float(log_density(query, best, 0).mean())


def mixture(support: NDArray[Any], query: NDArray[Any]) -> float:
    """Return the log likelihood of a query point of the mixture of Gaussians of five-fold cross-validation."""
    from sklearn.mixture import GaussianMixture
    from sklearn.model_selection import GridSearchCV

    choices = {
        "n_components": [1, 2, 3, 4],
        "covariance_type": ["full", "spherical"],
        "reg_covar": support.var() * np.array([0.003, 0.03]),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few points for many components
        return float(GridSearchCV(GaussianMixture(random_state=0), choices, cv=5).fit(support).score(query))


@functools.partial(jax.jit, static_argnums=(0, 3))
def from_scratch(
    problem: DensityEstimation, trials: Any, rate: jax.typing.ArrayLike, steps: tuple[int, ...]
) -> jax.Array:
    """Return the log likelihood of a query point after each number of Adam's steps from random weights, ``[T, N]``."""
    adam = optax.adam(rate)

    def one(trial: Any) -> jax.Array:
        key, task = trial
        weights = problem.space.decode(problem.space.sample(key))["weights"]

        def step(carry: Any, _: None) -> tuple[Any, None]:
            weights, state = carry
            gradient = jax.grad(lambda w: -jnp.mean(problem.log_likelihood(w, task.support, task.support)))(weights)
            updates, state = adam.update(gradient, state)
            return (optax.apply_updates(weights, updates), state), None

        carry, found = (weights, adam.init(weights)), []
        for before, after in itertools.pairwise((0, *steps)):
            carry, _ = jax.lax.scan(step, carry, None, after - before)
            found.append(jnp.mean(problem.log_likelihood(carry[0], task.support, task.query)))
        return jnp.stack(found)

    return jax.lax.map(one, (trials.keys, trials.tasks), batch_size=50)


@functools.partial(jax.jit, static_argnums=0)
def likelihoods(problem: DensityEstimation, omega: Any, trials: Any) -> jax.Array:
    """Return the log likelihood of a query point for one ω on each trial, ``[T]``."""
    return -jax.lax.map(
        lambda one: problem.evaluate_task(one[0], omega, one[1]).fitness, (trials.keys, trials.tasks), batch_size=50
    )


Found = dict[str, list[float]]
"""The log likelihood of a query point for each density of each distribution."""


def fitted(fit: Callable[[Any, Any], float], trials: dict[str, Any]) -> Found:
    """Return what a way to fit a density to points comes to."""
    tasks = {
        name: zip(*(np.asarray(part, np.float64) for part in drawn.tasks), strict=True)
        for name, drawn in trials.items()
    }
    return {name: [fit(*one) for one in each] for name, each in tasks.items()}


def scratch(problem: DensityEstimation, trials: dict[str, Any], steps: tuple[int, ...]) -> Found:
    """Return what the flow from random weights comes to, by the best rate and number of steps."""
    tuning = draw_trials(problem, 1, len(trials["held-out"].keys), test=True)
    curves = {rate: np.asarray(from_scratch(problem, tuning, rate, steps)).mean(axis=0) for rate in RATES}
    best = max(RATES, key=lambda rate: float(curves[rate].max()))
    at = int(curves[best].argmax())
    note(f"from scratch, {steps[at]} steps of {best:g}")
    return {name: from_scratch(problem, drawn, best, steps)[:, at].tolist() for name, drawn in trials.items()}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of one search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=100, help="held-out densities")
    parser.add_argument("--only", action="store_true", help="held-out densities only, not the shifted ones")
    parser.add_argument("--strategies", nargs="+", choices=("evolution", "gradient"), default=["evolution", "gradient"])
    parser.add_argument("--population", type=int, default=128)
    parser.add_argument("--keep", type=Path, help="a JSON file for what was measured, to continue later")
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS, help="of training from scratch")
    smallest = "--seconds 0.1 --seeds 1 --tasks 2 --population 4 --strategies evolution --steps 2 --only"
    arguments = parse_arguments(parser, smallest)

    problem = DensityEstimation()
    places = {"held-out": problem} | ({} if arguments.only else problem.shifted())
    trials = {name: draw_trials(place, SEED, arguments.tasks, test=True) for name, place in places.items()}
    strategies: dict[str, Strategy[Any]] = {
        "evolution": OpenAIES(
            arguments.population, sigma=0.03, learning_rate=0.02, shaping="pair_difference", tasks_per_pair=True
        ),
        "gradient": Gradient(learning_rate=0.003),
    }
    kept = Kept(arguments.keep)
    found: dict[str, Found] = {}
    held_out = {"held-out": trials["held-out"]}  # where mixtures, which take long to choose, are fitted
    for name, fit, drawn in (
        ("kernel density estimate", kernel_density, trials),
        ("mixture of Gaussians", mixture, held_out),
    ):
        found[name] = kept.get_or(name, functools.partial(fitted, fit, drawn))
    found["flow from scratch"] = kept.get_or(
        "flow from scratch", lambda: scratch(problem, trials, tuple(arguments.steps))
    )

    def search(kind: str, seed: int) -> Found:
        with alone():
            result = em.Search(problem, strategies[kind], seed=seed).run(seconds=arguments.seconds)
        note(f"{result.generations:,} generations")
        return {name: likelihoods(places[name], result.center_omega, drawn).tolist() for name, drawn in trials.items()}

    for kind in arguments.strategies:
        for seed in range(arguments.seeds):
            label = f"learned flow, {kind}, seed {seed}"
            found[label] = kept.get_or(label, functools.partial(search, kind, seed))
    best = np.array(found["kernel density estimate"]["held-out"])
    rows = [
        [
            name,
            *(mean_and_error(each[place]) if place in each else "" for place in places),
            mean_and_error(np.array(each["held-out"]) - best),
        ]
        for name, each in found.items()
    ]
    print(
        f"\n{arguments.seconds:g} s a search; log likelihood of a query point in nats, {arguments.tasks:,} densities. "
        "To reach: above the first three rows\n"
    )
    print_table(["density", *places, "held-out, above kernel density"], rows)


if __name__ == "__main__":
    main()
