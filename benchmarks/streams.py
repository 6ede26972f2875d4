"""Learners of streams that change by surprise: an evolved recurrent network beside rules that know of the changes.

Bandits whose arms change: each seed is one search of limited time by OpenAI-ES; its center is evaluated on held-out
episodes beside Thompson sampling with the exact posterior over the time of the last change (it knows how often they
come, also in the shifted distributions), Thompson sampling that forgets at a rate tuned on other episodes for each
distribution, and Thompson sampling that knows of no changes. Rewards are in expectation.

Regression that drifts: likewise by CMA-ES, beside the best fixed rate of the same rule, tuned on other streams for each
distribution.

    python benchmarks/streams.py                   # both, 3 seeds
    python benchmarks/streams.py drift --seconds 60
"""

import argparse
import functools
import statistics
from typing import Any

import jax
import numpy as np
from _engine import draw_trials
from _measure import alone, parse_arguments, print_table, standard_error
from numpy.typing import NDArray

import evometa as em
from evometa.problem import InnerTraining
from evometa.problems import DriftingRegression, SwitchingBandit
from evometa.strategies import CMAES, Averaged, OpenAIES

EPISODES = 2_000
RATES = (0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4, 0.55, 0.75)
KEEP = (0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99)


def exact_thompson(tasks: Any, hazard: float) -> NDArray[Any]:
    """Return the total reward of Thompson sampling that knows the hazard, ``[N]``.

    It keeps a Beta posterior of each arm for each possible time of the last change, and the probability of that time
    (Mellor & Shapiro 2013, global switching). Each pull draws a time, then the chances given it.
    """
    chances, pays = np.asarray(tasks.chances), np.asarray(tasks.pays)
    count, pulls, arms = chances.shape
    rng, number = np.random.default_rng(0), np.arange(count)
    log_weights = np.full((count, pulls), -np.inf)
    wins, losses = (np.ones((count, pulls, arms), np.float32) for _ in range(2))
    total = np.zeros(count)
    for pull in range(pulls):
        if pull:
            log_weights[:, :pull] += np.log1p(-hazard)
            log_weights[:, pull] = np.log(hazard)
        else:
            log_weights[:, 0] = 0.0
        weights = np.exp(log_weights[:, : pull + 1])
        cumulated = np.cumsum(weights, axis=1)
        last = np.argmax(cumulated >= rng.random((count, 1)) * cumulated[:, -1:], axis=1)
        arm = np.argmax(rng.beta(wins[number, last], losses[number, last]), axis=1)
        won = pays[number, pull, arm]
        first, second = wins[number, : pull + 1, arm], losses[number, : pull + 1, arm]
        mean = first / (first + second)
        log_weights[:, : pull + 1] += np.log(np.where(won[:, None] > 0, mean, 1 - mean))
        top = log_weights[:, : pull + 1].max(axis=1, keepdims=True)
        log_weights[:, : pull + 1] -= top + np.log(np.exp(log_weights[:, : pull + 1] - top).sum(axis=1, keepdims=True))
        wins[number, : pull + 1, arm] += won[:, None]
        losses[number, : pull + 1, arm] += 1 - won[:, None]
        total += chances[number, pull, arm]
    return total


def forgetting_thompson(tasks: Any, keep: float) -> NDArray[Any]:
    """Return the total reward of Thompson sampling whose counts decay by ``keep`` at each pull, ``[N]``."""
    chances, pays = np.asarray(tasks.chances), np.asarray(tasks.pays)
    count, pulls, arms = chances.shape
    rng, number = np.random.default_rng(0), np.arange(count)
    wins, losses, total = np.zeros((count, arms)), np.zeros((count, arms)), np.zeros(count)
    for pull in range(pulls):
        arm = np.argmax(rng.beta(1 + wins, 1 + losses), axis=1)
        wins, losses = keep * wins, keep * losses
        won = pays[number, pull, arm]
        wins[number, arm] += won
        losses[number, arm] += 1 - won
        total += chances[number, pull, arm]
    return total


def tuned(problem: SwitchingBandit, episodes: int) -> float:
    """Return the best rate of forgetting on episodes of their own."""
    tasks = draw_trials(problem, 1, episodes, test=True).tasks
    return max(KEEP, key=lambda keep: float(forgetting_thompson(tasks, keep).mean()))


@functools.partial(jax.jit, static_argnums=0)
def fitness(problem: InnerTraining, omega: Any, trials: Any) -> jax.Array:
    """Return the fitness of one ω on each trial, ``[N]``."""
    return jax.lax.map(
        lambda one: problem.evaluate_task(one[0], omega, one[1]).fitness, (trials.keys, trials.tasks), batch_size=500
    )


def shown(totals: NDArray[Any]) -> str:
    """Return the mean and its standard error."""
    return f"{totals.mean():.4g} ± {standard_error(totals):.2g}"


def bandit(pulls: int, seconds: float, seeds: int, episodes: int, population: int) -> None:
    """Print the total reward of each player."""
    problem = SwitchingBandit(inner_steps=pulls)
    places = {"held-out": problem, **problem.shifted()}
    drawn = {name: draw_trials(place, 2016, episodes, test=True) for name, place in places.items()}
    exact = {name: exact_thompson(drawn[name].tasks, place.hazard) for name, place in places.items()}
    rules = {
        "best arm of each pull": {n: np.asarray(drawn[n].tasks.chances).max(2).sum(1) for n in places},
        "Thompson sampling, knows the changes": exact,
        "Thompson sampling, forgets": {
            n: forgetting_thompson(drawn[n].tasks, tuned(place, episodes)) for n, place in places.items()
        },
        "Thompson sampling, knows of none": {n: forgetting_thompson(drawn[n].tasks, 1.0) for n in places},
    }
    rows = [[name, "", *(shown(found[place]) for place in places), ""] for name, found in rules.items()]
    shares = []
    for seed in range(seeds):
        strategy = Averaged(OpenAIES(population, sigma=0.5, learning_rate=0.1), generations=500)
        with alone():
            result = em.Search(problem, strategy, seed=seed).run(seconds=seconds)
        cells = []
        for name, place in places.items():
            total = np.asarray(fitness(place, result.center_omega, drawn[name]))
            cells.append(shown(total))
            if name == "held-out":
                shares.append(total.mean() / exact[name].mean())
        rows.append([f"evolved, seed {seed}", f"{result.generations:,}", *cells, f"{shares[-1]:.1%}"])
    print(
        f"\nBandits that change, {problem.arms} arms, {pulls} pulls, hazard {problem.hazard:g}, "
        f"{seconds:g} s a search; {episodes:,} episodes; share of the reward of Thompson sampling "
        f"that knows the changes, mean {statistics.mean(shares):.1%} (to reach: 95 %)\n"
    )
    print_table(["player", "generations", *places, "share"], rows)


def fixed(problem: DriftingRegression, rate: float) -> Any:
    """Return the ω of a constant rate."""
    omega = problem.space.decode(problem.space.start(jax.random.key(0)))
    return omega | {"output_bias": np.float32(np.log(rate / (1 - rate)))}


def drift(seconds: float, seeds: int, episodes: int, population: int) -> None:
    """Print the mean regret of each learner."""
    problem = DriftingRegression()
    places = {"held-out": problem, **problem.shifted()}
    drawn = {name: draw_trials(place, 2016, episodes, test=True) for name, place in places.items()}
    rows, best = [], {}
    for name, place in places.items():
        tuning = draw_trials(place, 1, episodes, test=True)
        regrets = {rate: float(fitness(place, fixed(problem, rate), tuning).mean()) for rate in RATES}
        best[name] = min(RATES, key=regrets.__getitem__)
    fixed_regrets = {n: np.asarray(fitness(place, fixed(problem, best[n]), drawn[n])) for n, place in places.items()}
    rates = ", ".join(f"{rate:g}" for rate in best.values())
    rows.append([f"best fixed rate ({rates})", "", *map(shown, fixed_regrets.values())])
    shares = []
    for seed in range(seeds):
        with alone():
            result = em.Search(problem, CMAES(population_size=population), seed=seed).run(seconds=seconds)
        regrets = {n: np.asarray(fitness(place, result.center_omega, drawn[n])) for n, place in places.items()}
        shares.append(regrets["held-out"].mean() / fixed_regrets["held-out"].mean())
        rows.append([f"evolved, seed {seed}", f"{result.generations:,}", *map(shown, regrets.values())])
    print(
        f"\nRegression that drifts, {seconds:g} s a search; mean regret over {episodes:,} streams; "
        f"the evolved rule has {statistics.mean(shares):.1%} of the best fixed rate's (to reach: below 100 %)\n"
    )
    print_table(["learner", "generations", *places], rows)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="?", choices=("bandit", "drift"), help="one of them; both by default")
    parser.add_argument("--pulls", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120, help="of one search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=EPISODES)
    parser.add_argument("--population", type=int, help="256 for bandits, 32 for regression")
    arguments = parse_arguments(parser, "bandit --pulls 2 --seconds 0.1 --seeds 1 --episodes 20 --population 4")
    cost = (arguments.seconds, arguments.seeds, arguments.episodes)
    if arguments.which in (None, "bandit"):
        bandit(arguments.pulls, *cost, arguments.population or 256)
    if arguments.which in (None, "drift"):
        drift(*cost, arguments.population or 32)


if __name__ == "__main__":
    main()
