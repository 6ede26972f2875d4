"""A learning rule for data sets of other kinds: learned on some, evaluated on one, or on a modality, that was left out.

For each fold CMA-ES tunes AdamW and its schedule on the other data sets (the problem without its adaptation), and
learns the whole rule, from half as many generations of tuning on. Both take the same number of generations, and are
evaluated on the same trainings on the test parts of the data sets that were left out. The loss is the cross-entropy as
a share of that of a uniform prediction. All folds and seeds share one compiled program.

    python benchmarks/heterogeneous.py                          # all folds, 3 seeds
    python benchmarks/heterogeneous.py --folds wine "all series" --generations 200
"""

import argparse
import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _engine import centers
from _measure import Kept, parse_arguments, print_table
from numpy.typing import NDArray

from evometa.problems import HeterogeneousLearning
from evometa.problems.optimizers.heterogeneous_data import MODALITIES, NAMES
from evometa.strategies import CMAES

FOLDS = {name: (name,) for name in NAMES} | {f"all {name}": names for name, names in MODALITIES.items()}
SIGMA = 0.1
"""First step size of both searches."""


def evaluate(problem: HeterogeneousLearning, omega: Any, keys: jax.Array, sets: jax.Array, part: int) -> jax.Array:
    """Return loss and accuracy of trainings on data sets ``[T]``, ``[T, 2]``."""

    def one(key: jax.Array, task: Any) -> jax.Array:
        found = problem.evaluate_task(key, omega, task)
        return jnp.stack([jnp.asarray(found.fitness), jnp.asarray(found.metrics["accuracy"])])

    tasks = jax.vmap(lambda key, place: problem.draw(key, place, part))(keys, sets)
    return jax.vmap(one)(keys, tasks)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def searched(
    problem: HeterogeneousLearning, population: int, generations: int, start: Any, sets: jax.Array, key: jax.Array
) -> Any:
    """Return the center of a search from an ω, with one training on each of ``sets`` ``[T]`` in a generation."""
    space, strategy = problem.space, CMAES(population_size=population, sigma=SIGMA)

    def losses(key: jax.Array, genotypes: jax.Array) -> jax.Array:
        keys = jax.random.split(key, len(sets))
        found = jax.lax.map(lambda one: evaluate(problem, space.decode(one), keys, sets, 0), genotypes)
        return found[..., 0].mean(axis=1)

    state = strategy.init(key, space)._replace(mean=start)
    return centers(strategy, state, losses, key, generations)[-1]


@functools.partial(jax.jit, static_argnums=0)
def tested(problem: HeterogeneousLearning, genotype: jax.Array, keys: jax.Array, sets: jax.Array) -> jax.Array:
    """Return loss and accuracy on the test parts, ``[N, 2]``."""
    return evaluate(problem, problem.space.decode(genotype), keys, sets, 1)


def measured(fold: str, seed: int, arguments: argparse.Namespace) -> list[list[list[float]]]:
    """Search twice on the other data sets; return losses and accuracies on those left out, ``[2, trainings, 2]``."""
    usual, rule = HeterogeneousLearning(adaptive=False), HeterogeneousLearning()
    left = [NAMES.index(name) for name in FOLDS[fold]]
    rest = [place for place in range(len(NAMES)) if place not in left]
    sets = jnp.asarray(np.resize(rest, arguments.tasks), jnp.int32)
    half = max(1, arguments.generations // 2)
    first, second = jax.random.split(jax.random.key(seed))
    begin = usual.space.start(first)
    middle = searched(usual, arguments.population, half, begin, sets, first)
    tuned = searched(usual, arguments.population, half, middle, sets, second)
    whole = jnp.concatenate([middle, jnp.zeros(rule.space.size - len(middle), middle.dtype)])
    learned = searched(rule, arguments.population, half, whole, sets, second)
    keys = jax.random.split(jax.random.key(2026), arguments.trainings)
    places = jnp.asarray(np.resize(left, arguments.trainings), jnp.int32)
    found = np.stack([tested(usual, tuned, keys, places), tested(rule, learned, keys, places)])
    rounded: list[list[list[float]]] = np.round(found.astype(np.float64), 5).tolist()
    return rounded


def shown(values: NDArray[Any]) -> str:
    """Return loss and accuracy."""
    return f"{values[..., 0].mean():.3f} ({values[..., 1].mean():.1%})"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", nargs="*", choices=[*FOLDS, []], help="what is left out; each by default")
    parser.add_argument("--generations", type=int, default=200, help="of one search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--population", type=int, default=24)
    parser.add_argument("--tasks", type=int, default=12, help="trainings of a candidate in a generation")
    parser.add_argument("--trainings", type=int, default=128, help="on what is left out")
    parser.add_argument("--keep", type=Path, help="a JSON file for what is measured already")
    arguments = parse_arguments(parser, "--folds wine --generations 2 --seeds 1 --population 4 --tasks 2 --trainings 2")
    kept, rows = Kept(arguments.keep), []
    for fold in arguments.folds or FOLDS:
        name = "+".join(FOLDS[fold])
        both = np.array(
            [
                kept.get_or(f"{name} {seed}", functools.partial(measured, fold, seed, arguments))
                for seed in range(arguments.seeds)
            ]
        )
        usual, learned = both[:, 0], both[:, 1]
        gains = (usual - learned)[..., 0]
        # Seeds share trainings: the error of a mean over trainings of the gain that the seeds have on average.
        error = gains.mean(axis=0).std(ddof=1) / gains.shape[1] ** 0.5
        by_seed = ", ".join(f"{gain:+.3f}" for gain in gains.mean(axis=1))
        rows.append([fold, shown(usual), shown(learned), f"{gains.mean():+.4f} ± {error:.4f}", by_seed,
                     "yes" if gains.mean() >= 0 else "no"])  # fmt: skip
    print(
        f"\nLoss (accuracy) over {arguments.trainings} trainings on what is left out; {arguments.seeds} seeds, "
        f"{arguments.generations} generations a search\n"
    )
    print_table(["left out", "tuned AdamW", "learned rule", "gain", "gain of each seed", "at least as good"], rows)


if __name__ == "__main__":
    main()
