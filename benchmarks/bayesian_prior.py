"""Learned priors over sine waves beside the exact posterior: errors, likelihoods and calibration.

Each seed is one search of limited time, by evolution or by the gradient through the same inference; its center is
evaluated on 500 held-out waves with 5 noisy support points and 195 query points. The exact posterior knows the
family, the ranges of amplitude and phase and the noise, and integrates numerically. The squared-exponential kernel has
its scale, length and noise tuned for the same likelihood on 500 training waves.

    python benchmarks/bayesian_prior.py                    # 3 seeds
    python benchmarks/bayesian_prior.py --seconds 20 --seeds 1
"""

import argparse
import functools
from typing import Any

import jax
import numpy as np
import scipy.optimize
import scipy.special
from _engine import draw_trials
from _measure import alone, parse_arguments, print_table, standard_error
from numpy.typing import NDArray

import evometa as em
from evometa.problems import BayesianPrior
from evometa.problems.few_shot.waves import AMPLITUDES, PHASES
from evometa.problems.regression.bayesian_prior import CENTRAL
from evometa.strategies import Gradient, OpenAIES
from evometa.strategy import Strategy

Scores = NDArray[np.float64]
"""``[3, N]``: log likelihood of a query point, squared error, and share of query points within the central 90 %."""
SEED = 2018
EVOLUTION = {name: value for name, value in BayesianPrior.card.recipe.settings.items() if name != "population_size"}


def exact(tasks: Any, noise: float, grid: tuple[int, int]) -> Scores:
    """Return the scores of the posterior over amplitude and phase, on a grid of both."""
    amplitudes, phases = (
        low + (np.arange(size) + 0.5) / size * (high - low)
        for (low, high), size in zip((AMPLITUDES, PHASES), grid, strict=True)
    )
    scores = []
    for support_x, support_y, query_x, query_y in zip(*map(np.asarray, tasks[2:]), strict=True):
        waves = np.sin(support_x - phases[:, None])  # [phases, S]
        errors = support_y - amplitudes[:, None, None] * waves
        log = -np.sum(errors**2, axis=-1) / (2 * noise**2)  # [amplitudes, phases]
        weights = np.exp(log - log.max())
        a, p = np.nonzero(weights > 1e-7)
        weights = weights[a, p] / weights[a, p].sum()
        means = amplitudes[a, None] * np.sin(query_x - phases[p, None])  # [points of the grid, queries]
        mean = weights @ means
        z = (query_y - means) / noise
        likelihood = weights @ np.exp(-(z**2) / 2) / (noise * np.sqrt(2 * np.pi))
        below = weights @ scipy.special.ndtr(z)  # the predictive distribution function at each query
        covered = np.mean((below >= 0.05) & (below <= 0.95))
        scores.append((np.mean(np.log(likelihood + 1e-300)), np.mean((query_y - mean) ** 2), covered))
    return np.array(scores).T


def squared_exponential(logs: Any, tasks: Any) -> Scores:
    """Return the scores of a Gaussian process with the logarithms of scale, length and noise ``[3]``."""
    scale, length, noise = np.exp(logs)
    _, _, support_x, support_y, query_x, query_y = (np.asarray(part, np.float64) for part in tasks)

    def kernel(a: Any, b: Any) -> Any:
        return scale**2 * np.exp(-((a[..., :, None] - b[..., None, :]) ** 2) / (2 * length**2))

    across = kernel(query_x, support_x)
    inverse = np.linalg.inv(kernel(support_x, support_x) + noise**2 * np.eye(support_x.shape[1]))
    mean = np.einsum("tqs,tsr,tr->tq", across, inverse, support_y)
    reduced = np.einsum("tqs,tsr,tqr->tq", across, inverse, across)
    deviation = np.sqrt(np.maximum(scale**2 - reduced, 0) + noise**2)
    z = (query_y - mean) / deviation
    log = -(z**2) / 2 - np.log(deviation * np.sqrt(2 * np.pi))
    return np.stack([log.mean(1), ((query_y - mean) ** 2).mean(1), (np.abs(z) <= CENTRAL).mean(1)])


def tuned_kernel(tasks: Any) -> Any:
    """Return the logarithms with which the tasks' query points are most likely."""
    found = [
        scipy.optimize.minimize(
            lambda logs: -squared_exponential(np.clip(logs, -6, 6), tasks)[0].mean(),
            np.log([scale, length, 0.1]),
            method="Nelder-Mead",
            options={"maxfev": 200},
        )
        for scale, length in ((2.0, 1.5), (3.0, 3.0))
    ]
    return np.clip(min(found, key=lambda one: one.fun).x, -6, 6)


@functools.partial(jax.jit, static_argnums=0)
def evaluations(problem: BayesianPrior, omega: Any, trials: Any) -> em.Evaluation:
    """Return the evaluation of one ω on each trial."""
    return jax.lax.map(
        lambda one: problem.evaluate_task(one[0], omega, one[1]), (trials.keys, trials.tasks), batch_size=100
    )


def scored(problem: BayesianPrior, omega: Any, trials: Any) -> Scores:
    """Return the scores of one ω."""
    found = evaluations(problem, omega, trials)
    return np.stack([-found.fitness, found.metrics["squared_error"], found.metrics["covered"]])


def cells(scores: Scores) -> list[str]:
    """Return the means with standard errors."""
    log, error, covered = scores
    return [
        f"{row.mean():.{digits}f} ± {standard_error(row):.2g}" for row, digits in ((error, 4), (log, 3), (covered, 3))
    ]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of one search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=500, help="held-out waves, and those that the kernel is tuned on")
    parser.add_argument("--population", type=int, default=128)
    parser.add_argument("--activations", nargs="+", default=["sine", "tanh"], choices=["sine", "tanh"])
    parser.add_argument("--strategies", nargs="+", default=["evolution", "gradient"], choices=["evolution", "gradient"])
    parser.add_argument("--grid", type=int, nargs=2, default=(300, 600), help="amplitudes and phases of the integral")
    smallest = "--seconds 0.1 --seeds 1 --tasks 4 --population 4 --activations sine --strategies evolution --grid 9 9"
    arguments = parse_arguments(parser, smallest)

    problem = BayesianPrior()
    places = {"held-out": problem, **problem.shifted()}
    places = {name: places[name] for name in ("held-out", "x to 10")}
    trials = {name: draw_trials(place, SEED, arguments.tasks, test=True) for name, place in places.items()}
    kernel = tuned_kernel(draw_trials(problem, 1, arguments.tasks, test=False).tasks)
    rows = []

    def add(name: str, generations: str, scores: dict[str, Scores]) -> None:
        rows.append([name, generations, *(cell for place in places for cell in cells(scores[place]))])

    add("exact posterior", "", {n: exact(trials[n].tasks, p.noise, arguments.grid) for n, p in places.items()})
    add("squared-exponential kernel", "", {n: squared_exponential(kernel, trials[n].tasks) for n in places})
    strategies: dict[str, Strategy[Any]] = {
        "evolution": OpenAIES(arguments.population, **EVOLUTION),
        "gradient": Gradient(learning_rate=0.003),
    }
    for activation in arguments.activations:
        for kind in arguments.strategies:
            for seed in range(arguments.seeds):
                learned = BayesianPrior(activation=activation)
                with alone():
                    result = em.Search(learned, strategies[kind], seed=seed).run(seconds=arguments.seconds)
                found = {}
                for name, place in places.items():
                    here = learned if place is problem else learned.shifted()[name]
                    found[name] = scored(here, result.center_omega, trials[name])
                add(f"{activation}, {kind}, seed {seed}", f"{result.generations:,}", found)
    print(
        f"\n{arguments.seconds:g} s a search; {arguments.tasks:,} waves; mean squared error, log likelihood of a query "
        "point, share within the central 90 %. To reach: at most 0.025; beside the exact posterior's; 0.87 to 0.93\n"
    )
    header = [f"{name}: {what}" for name in places for what in ("error", "log likelihood", "covered")]
    print_table(["prior", "generations", *header], rows)


if __name__ == "__main__":
    main()
