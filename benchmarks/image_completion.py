"""Pictures from a quarter of their pixels, or from all, after five steps: learned initial weights beside others.

Each seed is one search of limited time, by the gradient or by evolution; its center is evaluated on held-out pictures.
Averaged weights are the mean of those of networks that Adam trained, from the same random weights, on all pixels of one
training picture each (Tancik et al. 2021). Random and averaged weights take their five steps with the rate that is best
on training pictures.

    python benchmarks/image_completion.py                    # 3 seeds
    python benchmarks/image_completion.py --source omniglot --seconds 120
"""

import argparse
import dataclasses
import functools
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _engine import draw_trials
from _measure import Kept, alone, mean_and_error, parse_arguments, print_table

import evometa as em
from evometa.problems import ImageCompletion
from evometa.problems.shared.networks import squared_error
from evometa.strategies import Averaged, Gradient, OpenAIES

SEED = 2021
RATES = np.geomspace(0.01, 3, 13)
EVOLUTION = OpenAIES(128, sigma=0.02, learning_rate=0.01, shaping="pair_difference", tasks_per_pair=True)


@functools.partial(jax.jit, static_argnums=0)
def psnr(problem: ImageCompletion, omega: Any, trials: Any) -> jax.Array:
    """Return the mean peak signal-to-noise ratio over pictures for one ω."""
    found = jax.lax.map(
        lambda one: problem.evaluate_task(one[0], omega, one[1]).metrics["psnr"],
        (trials.keys, trials.tasks),
        batch_size=25,
    )
    return jnp.mean(found)


def tuned(problem: ImageCompletion, weights: Any, trials: Any) -> Any:
    """Return the ω of initial weights and the one step size that is best on the given pictures."""

    def with_rate(rate: float) -> Any:
        return {"weights": weights, "log_rates": jax.tree.map(lambda _: jnp.float32(math.log(rate)), weights)}

    return max(map(with_rate, RATES), key=lambda omega: np.nan_to_num(psnr(problem, omega, trials), nan=-np.inf))


@functools.partial(jax.jit, static_argnums=(0, 3))
def averaged(problem: ImageCompletion, weights: Any, trials: Any, steps: int) -> Any:
    """Return the mean of the weights of networks that are trained on a picture each, from the same start."""
    adam, waves = optax.adam(0.001), problem.waves(problem.positions)

    def one(task: Any) -> Any:
        def step(carry: Any, _: None) -> tuple[Any, None]:
            weights, state = carry
            gradient = jax.grad(lambda w: squared_error(problem.predict(w, waves), task.pixels))(weights)
            updates, state = adam.update(gradient, state)
            return (optax.apply_updates(weights, updates), state), None

        return jax.lax.scan(step, (weights, adam.init(weights)), None, steps)[0][0]

    return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), jax.lax.map(one, trials.tasks))


def searched(problem: ImageCompletion, strategy: str, seed: int, seconds: float) -> tuple[Any, str]:
    """Return the center of a search and its generations; evolution gives each pair of candidates its own picture."""
    chosen: Any = Gradient(learning_rate=0.005)
    if strategy == "evolution":
        problem, chosen = dataclasses.replace(problem, num_tasks=1), EVOLUTION
    with alone():
        search = em.Search(problem, Averaged(chosen, generations=50), seed=seed, validation_share=0.0)
        result = search.run(seconds=seconds)
    return result.center_omega, f"{result.generations:,}"


def measure(problem: ImageCompletion, name: str, seed: int, arguments: argparse.Namespace) -> tuple[float, str]:
    """Return the ratio of one start, the mean over held-out pictures, and the generations of its search."""
    trials, generations = draw_trials(problem, SEED, arguments.tasks, test=True), ""
    if name in arguments.strategies:
        omega, generations = searched(problem, name, seed, arguments.seconds)
    else:
        weights = problem.space.decode(problem.space.sample(jax.random.key(seed)))["weights"]
        if name == "averaged weights":
            count, steps = arguments.averaged
            weights = averaged(problem, weights, draw_trials(problem, seed, count, test=False), steps)
        omega = tuned(problem, weights, draw_trials(problem, 1, min(arguments.tasks, 50), test=False))
    return float(psnr(problem, omega, trials)), generations


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of one search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=200, help="held-out pictures")
    parser.add_argument("--source", default="glyphs", choices=("glyphs", "omniglot", "digits"))
    parser.add_argument("--strategies", nargs="+", choices=("gradient", "evolution"), default=["gradient", "evolution"])
    parser.add_argument("--hidden", type=int, nargs="+", default=[40, 40])
    parser.add_argument("--known", type=float, nargs="+", default=[0.25, 1.0], help="parts of the pixels")
    parser.add_argument("--keep", type=Path, help="a file to keep figures in; what is there is not measured again")
    parser.add_argument("--averaged", type=int, nargs=2, default=(50, 200), help="networks, and steps of each")
    smallest = "--source digits --seconds 0.1 --seeds 1 --tasks 2 --strategies gradient --hidden 4 --averaged 2 2"
    arguments = parse_arguments(parser, f"{smallest} --known 0.25")

    kept, rows = Kept(arguments.keep), []
    for name in ("random weights", "averaged weights", *arguments.strategies):
        row = [name]
        for known in arguments.known:
            problem = ImageCompletion(pictures_of=arguments.source, known=known, hidden=tuple(arguments.hidden))
            label = f"{arguments.source}, {known:.0%}, {name}"
            seeds = [
                kept.get_or(f"{label}, seed {seed}", functools.partial(measure, problem, name, seed, arguments))
                for seed in range(arguments.seeds)
            ]
            ratios, generations = zip(*seeds, strict=True)
            row += [", ".join(generations).strip(", "), mean_and_error(ratios, 2)]
        rows.append(row)
    print(
        f"\n{arguments.source}, {arguments.seconds:g} s a search, {arguments.seeds} seeds; peak signal-to-noise ratio "
        f"in dB after {problem.inner_steps} steps over {arguments.tasks:,} held-out pictures\n"
    )
    columns = (("generations", f"{known:.0%} of the pixels") for known in arguments.known)
    print_table(["initial weights", *(name for pair in columns for name in pair)], rows)


if __name__ == "__main__":
    main()
