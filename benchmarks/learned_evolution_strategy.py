"""A learned evolution strategy on functions it never saw, beside OpenAI-ES tuned as hard, SNES and CMA-ES.

``LearnedEvolutionStrategy`` learns on five functions in six dimensions, with populations of 16 for 50 generations.
OpenAI-ES is tuned on the same five: a grid of σ, learning rate, optimizer and what σ and the learning rate fall to, on
which as many values are spent as on learning, by the same measure. SNES and CMA-ES have their defaults and the σ that
the learned strategy begins with. All begin at the same points, and are then evaluated on held-out functions: as
trained, and in more dimensions, with larger populations and for longer, for which nothing is learned or tuned again.

A rank is a strategy's place among the four on one instance of one function, by the best value at the end; the learned
strategy of each seed is ranked by itself.

    python benchmarks/learned_evolution_strategy.py
    python benchmarks/learned_evolution_strategy.py --seeds 1 --generations 50
"""

import argparse
import copy
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _engine import tell
from _measure import note, parse_arguments, print_table

import evometa as em
from evometa.inner_training import learning_curve
from evometa.plots import over_steps
from evometa.problems import LearnedEvolutionStrategy
from evometa.problems.optimizers.learned_evolution_strategy import LEAST
from evometa.strategies import CMAES, SNES, OpenAIES

PROBLEM = LearnedEvolutionStrategy(num_tasks=4)
POPULATION = 64
LEARNED, TUNED = "learned", "OpenAI-ES, tuned"
INSTANCES = 50
SIGMAS = np.geomspace(0.03, 3.0, 10)
RATES = np.geomspace(0.01, 3.0, 10)  # per σ for plain gradient steps, whose length follows σ; in units of x for Adam
OPTIMIZERS, FINALS = ("adam", "momentum", "sgd"), (1.0, 0.1, 0.01, 0.001)


def learn(seed: int, generations: int) -> tuple[Any, int]:
    """Return ω at the center of a search, and how many values of functions it took."""
    strategy = OpenAIES(
        POPULATION,
        sigma=0.1,
        learning_rate=0.03,
        shaping="pair_difference",
        tasks_per_pair=True,
        decay_generations=generations,
        learning_rate_final=0.1,
    )
    settings: dict[str, Any] = {"validation_share": 0.0, "progress": False}
    result = em.Search(PROBLEM, strategy, seed=seed, **settings).run(generations=generations)
    return result.center_omega, result.inner_steps * PROBLEM.population_size


def with_values(strategy: Any, **values: Any) -> Any:
    """Return a strategy whose settings may be traced: a whole grid of them is one program."""
    other = copy.copy(strategy)
    for name, value in values.items():
        object.__setattr__(other, name, value)
    return other


def minimise(problem: LearnedEvolutionStrategy, strategy: Any, key: jax.Array, task: Any) -> jax.Array:
    """Return log10 of the best value so far after each generation ``[S]``, by a strategy that begins at the start."""
    space = em.Box((problem.dimension,), start=0.0)

    def generation(carry: Any, key: jax.Array) -> Any:
        state, best = carry
        key_ask, key_tell = jax.random.split(key)
        points, state = strategy.ask(key_ask, state)
        values = problem.values(task, task.start + points)
        best = jnp.minimum(best, jnp.min(values))
        return (tell(strategy, key_tell, state, points, values), best), best

    begun = (strategy.init(key, space), jnp.float32(1))
    _, found = jax.lax.scan(generation, begun, jax.random.split(key, problem.inner_steps))
    return jnp.log10(jnp.maximum(found, LEAST))


def tune(values: int, every: int) -> OpenAIES:
    """Return the setting with the lowest mean of log10 on training functions."""
    sigmas, rates, optimizers, finals = SIGMAS[::every], RATES[::every], OPTIMIZERS[::every], FINALS[::every]
    count = len(sigmas) * len(rates) * len(optimizers) * len(finals)
    tasks = max(16, values // (count * PROBLEM.inner_steps * PROBLEM.population_size))
    keys = jax.random.split(jax.random.key(7), tasks)
    best: tuple[float, Any] = (np.inf, None)
    for optimizer in optimizers:
        plain = OpenAIES(PROBLEM.population_size, optimizer=optimizer, decay_generations=PROBLEM.inner_steps)

        @jax.jit
        def mean(sigma: Any, rate: Any, final: Any, plain: Any = plain) -> Any:
            strategy = with_values(plain, sigma=sigma, learning_rate=rate, sigma_final=final, learning_rate_final=final)

            def one(key: jax.Array) -> jax.Array:
                return minimise(PROBLEM, strategy, key, PROBLEM.sample_task(key))[-1]

            return jnp.mean(jax.lax.map(one, keys, batch_size=16))

        for sigma, rate, final in itertools.product(sigmas, rates, finals):
            # A plain step is rate · gradient of the ranks, which grows with 1 / σ as the estimate is divided by it.
            rate = rate if optimizer == "adam" else rate * sigma
            found = float(mean(sigma, rate, final))
            if found < best[0]:
                best = (found, (optimizer, sigma, rate, final))
        note(f"{optimizer}: {best}")
    optimizer, sigma, rate, final = best[1]
    print(
        f"OpenAI-ES: {optimizer}, σ {sigma:.3g}, learning rate {rate:.3g}, both falling to {final} of it; log10 on "
        f"training functions {best[0]:.3f}; {count} settings on {tasks} tasks each\n"
    )
    return OpenAIES(
        PROBLEM.population_size,
        sigma=sigma,
        learning_rate=rate,
        optimizer=optimizer,
        sigma_final=final,
        learning_rate_final=final,
        decay_generations=PROBLEM.inner_steps,
    )


def curves(problem: LearnedEvolutionStrategy, by: Callable[..., jax.Array], instances: int) -> np.ndarray:
    """Return log10 of the best values so far, ``[held-out functions, instances, S]``."""
    known, held_out = len(problem.functions), len(problem.test_functions)

    @jax.jit
    def on_function(function: jax.Array) -> jax.Array:
        def one(key: jax.Array) -> jax.Array:
            return by(problem, key, problem.task(key, function))

        return jax.lax.map(one, jax.random.split(jax.random.key(2023), instances), batch_size=10)

    return np.stack([np.asarray(on_function(jnp.int32(known + number))) for number in range(held_out)])


def by_strategy(cls: Any, **settings: Any) -> Callable[..., jax.Array]:
    """Return a way to minimise by a strategy of the problem's own population size."""

    def by(problem: LearnedEvolutionStrategy, key: jax.Array, task: Any) -> jax.Array:
        strategy = cls(problem.population_size, **settings)
        return minimise(problem, strategy, key, task)

    return by


def by_learned(omega: Any) -> Callable[..., jax.Array]:
    """Return a way to minimise by the learned strategy."""

    def by(problem: LearnedEvolutionStrategy, key: jax.Array, task: Any) -> jax.Array:
        return learning_curve(problem, key, omega, task, tuple(range(1, problem.inner_steps + 1)))[0]

    return by


def ranks(ends: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the places from 1 of each side, ties shared, ``[functions, instances]``."""
    table = np.stack(list(ends.values()))
    below = (table[None] < table[:, None]).sum(axis=1)
    equal = (table[None] == table[:, None]).sum(axis=1)
    return dict(zip(ends, below + (equal + 1) / 2, strict=True))


def main() -> None:
    """Learn, tune, evaluate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--generations", type=int, default=200, help="of each search for a learned strategy")
    parser.add_argument("--picture", type=Path, help="where to draw the medians over generations, as trained")
    parser.add_argument("--every", type=int, default=1, help="of the values of each setting of the grid, every so many")
    parser.add_argument("--instances", type=int, default=INSTANCES, help="of each held-out function")
    parser.add_argument("--places", type=int, default=4, help="where the strategies are compared: the first so many")
    arguments = parse_arguments(parser, "--seeds 1 --generations 1 --every 10 --instances 2 --places 1")
    found, values = [], 0
    for seed in range(arguments.seeds):
        omega, values = learn(seed, arguments.generations)
        found.append(omega)
        note(f"learned, seed {seed}, by {values / 1e6:.0f} million values")
    tuned = tune(values, arguments.every)
    sides = {
        TUNED: by_strategy(
            OpenAIES,
            **{name: getattr(tuned, name) for name in ("sigma", "learning_rate", "optimizer", "decay_generations")},
            sigma_final=tuned.sigma_final,
            learning_rate_final=tuned.learning_rate_final,
        ),
        "SNES": by_strategy(SNES, sigma=PROBLEM.sigma),
        "CMA-ES": by_strategy(CMAES, sigma=PROBLEM.sigma),
    }
    medians, places = [], []
    everywhere = {"as trained": PROBLEM} | PROBLEM.shifted()
    for where, problem in list(everywhere.items())[: arguments.places]:
        others = {name: curves(problem, by, arguments.instances) for name, by in sides.items()}
        learned = [curves(problem, by_learned(omega), arguments.instances) for omega in found]
        note(where)
        each = [ranks({LEARNED: one[..., -1]} | {name: c[..., -1] for name, c in others.items()}) for one in learned]
        row: list[object] = [where]
        for name in each[0]:
            row.append(f"{np.median([one[name] for one in each]):g} ({np.mean([one[name] for one in each]):.2f})")
        wins = [np.mean(one[..., -1] < others[TUNED][..., -1]) for one in learned]
        places.append([*row, ", ".join(f"{100 * share:.0f} %" for share in wins)])
        if where == "as trained":
            for number, name in enumerate(problem.test_functions):
                ends = [np.median(one[number, :, -1]) for one in learned]
                rest = (f"{np.median(c[number, :, -1]):.2f}" for c in others.values())
                medians.append([name, f"{np.mean(ends):.2f} ({min(ends):.2f} to {max(ends):.2f})", *rest])
            if arguments.picture is not None:
                shown = {LEARNED: np.concatenate(learned)} | others
                middle = {name: 10.0 ** np.median(c, axis=1) for name, c in shown.items()}
                title = "held-out functions: median over functions of the medians over instances, and their range"
                over_steps(middle, y="best value / value at the start", title=title).savefig(arguments.picture)
    print("median of log10 (best value / value at the start) on held-out functions, as trained\n")
    print_table(["function", LEARNED, *sides], medians)
    print("\nmedian rank, in brackets the mean, on all held-out functions\n")
    print_table(["where", LEARNED, *sides, f"better than {TUNED}, each seed"], places)


if __name__ == "__main__":
    main()
