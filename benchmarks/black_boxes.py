"""Learners that are black boxes: a recurrent network that plays bandits, a hypernetwork that fits sinusoids.

Each seed is one search of limited time by OpenAI-ES; its centre is evaluated on held-out tasks, and on the
distributions that the problem calls shifted. Bandits stand beside upper confidence bounds with a uniform prior, their
width tuned on other episodes for each distribution, and Thompson sampling, on the same episodes with the same luck.
Published figures are those of Duan et al. (2016), table 1, and Finn et al. (2017).

    python benchmarks/black_boxes.py                    # everything, 3 seeds
    python benchmarks/black_boxes.py bandit --pulls 10  # one of them
"""

import argparse
import dataclasses
import functools
import statistics
from typing import Any

import jax
import numpy as np
from _engine import draw_trials
from _measure import alone, parse_arguments, print_table, standard_error
from numpy.typing import NDArray

import evometa as em
from evometa.problems import Bandit, SinusoidHypernetwork
from evometa.strategies import Averaged, OpenAIES

EPISODES = 20_000
PUBLISHED = {
    10: "published: Gittins 6.6, UCB1 6.7, RL² 6.7; best possible 6.660",
    100: "published: Gittins 78.3, UCB1 78.0, RL² 78.7",
}


WIDTHS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4)


def episodes(problem: Bandit, seed: int, count: int) -> Any:
    """Draw held-out episodes, leading axis N."""
    return draw_trials(problem, seed, count, test=True)


def played(trials: Any, width: float | None) -> NDArray[Any]:
    """Return the total reward in expectation of a classical rule in each episode, ``[N]``.

    Args:
        trials: the episodes.
        width: of the confidence bounds; None for Thompson sampling.
    """
    chances, pays = np.asarray(trials.tasks.chances), np.asarray(trials.tasks.pays)
    rng, number = np.random.default_rng(0), np.arange(len(chances))
    wins, pulls = np.ones_like(chances), 2 * np.ones_like(chances)
    total = np.zeros(len(chances))
    for pull in range(pays.shape[1]):
        if width is None:
            index = rng.beta(wins, pulls - wins)
        else:
            index = wins / pulls + width * np.sqrt(np.log(pull + 2) / pulls)
        arm = np.argmax(index + 1e-9 * rng.random(index.shape), axis=1)
        wins[number, arm] += pays[number, pull, arm]
        pulls[number, arm] += 1
        total += chances[number, arm]
    return total


def tuned(problem: Bandit, count: int) -> float:
    """Return the best width on episodes of their own."""
    trials = episodes(problem, 1, count)
    return max(WIDTHS, key=lambda width: float(played(trials, width).mean()))


def shown(totals: NDArray[Any]) -> str:
    """Return the mean and its standard error."""
    return f"{totals.mean():.3f} ± {standard_error(totals):.3f}"


@functools.partial(jax.jit, static_argnums=0)
def rewards(problem: Bandit, omega: Any, trials: Any) -> jax.Array:
    """Return the total reward of each episode in expectation, ``[N]``."""
    return jax.lax.map(
        lambda one: problem.evaluate_task(one[0], omega, one[1]).fitness, (trials.keys, trials.tasks), batch_size=500
    )


def bandit(pulls: int, seconds: float, seeds: int, count: int, population: int) -> None:
    """Print the total reward for one number of pulls."""
    problem = Bandit(inner_steps=pulls, num_tasks=64)
    strategy = Averaged(OpenAIES(population, sigma=0.5, learning_rate=0.1), generations=500)
    places = {"held-out": problem, **problem.shifted()}
    drawn = {name: episodes(place, 2016, count) for name, place in places.items()}
    rows = [
        [
            "confidence bounds, tuned",
            "",
            *(shown(played(drawn[n], tuned(place, count))) for n, place in places.items()),
        ],
        ["Thompson sampling", "", *(shown(played(drawn[n], None)) for n in places)],
    ]
    means: dict[str, list[float]] = {name: [] for name in places}
    for seed in range(seeds):
        with alone():
            result = em.Search(problem, strategy, seed=seed).run(seconds=seconds)
        cells = []
        for name, place in places.items():
            totals = np.asarray(rewards(place, result.center_omega, drawn[name]))
            means[name].append(float(totals.mean()))
            cells.append(shown(totals))
        rows.append([f"evolved, seed {seed}", f"{result.generations:,}", *cells])
    rows.append([f"evolved, mean of {seeds}", "", *(f"{statistics.mean(found):.3f}" for found in means.values())])
    print(f"\nBandits, 5 arms, {pulls} pulls, {seconds:g} s a search; {count:,} episodes; {PUBLISHED.get(pulls, '')}\n")
    print_table(["player", "generations", *places], rows)


def hypernetwork(seconds: float, seeds: int, population: int) -> None:
    """Print the mean squared error of learners that a hypernetwork made."""
    strategy = OpenAIES(population_size=population, sigma=0.03, shaping="pair_difference", tasks_per_pair=True)
    problem = dataclasses.replace(SinusoidHypernetwork(), num_tasks=8)
    rows = []
    for seed in range(seeds):
        with alone():
            result = em.Search(problem, strategy, seed=seed).run(seconds=seconds)
        scores = em.generalization(problem, result.center_omega, tasks=1000, seed=2017)
        rows.append(
            [
                f"seed {seed}",
                f"{result.generations:,}",
                *(f"{s.fitness:.3f} ± {s.standard_error:.3f}" for s in scores),
            ]
        )
    print(f"\nSinusoids, 10 shots, {seconds:g} s a search; mean squared error; published 0.67 (MAML, one step)\n")
    print_table(["", "generations", *(score.distribution for score in scores)], rows)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="?", choices=("bandit", "hypernetwork"), help="one of them; both by default")
    parser.add_argument("--pulls", type=int, nargs="+", default=[10, 100])
    parser.add_argument(
        "--seconds", type=float, help="of one search; 120 for 10 pulls, 900 for more, 200 for sinusoids"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=EPISODES)
    parser.add_argument("--population", type=int, help="256 for bandits, 512 for sinusoids")
    arguments = parse_arguments(parser, "bandit --pulls 2 --seconds 0.1 --seeds 1 --episodes 20 --population 4")
    size = arguments.population
    if arguments.which in (None, "bandit"):
        for pulls in arguments.pulls:
            bandit(
                pulls,
                arguments.seconds or (120 if pulls <= 10 else 900),
                arguments.seeds,
                arguments.episodes,
                size or 256,
            )
    if arguments.which in (None, "hypernetwork"):
        hypernetwork(arguments.seconds or 200, arguments.seeds, size or 512)


if __name__ == "__main__":
    main()
