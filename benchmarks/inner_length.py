"""The price of long inner training: memory, seconds an update and quality over the number S of inner steps.

Each way finds a schedule of 8 learning rates for noisy gradient descent on a quadratic (``NoisyQuadratic``, 8 tasks of
16 coordinates, fitness: the mean loss over all inner steps), whose expected fitness has a closed form: quality is that
of the center over that of the best schedule there is. All have the same inner steps, and at most ``--updates`` updates.
Those that have a learning rate get the best of three, chosen by the same quality. Memory is what the compiled program
of an update asks for, one device.

- **CMA-ES** (16 candidates) and **full ES** (16 in pairs) train all learners to the end for each update.
- **PES, NRES, truncated ES** (16 in pairs) update after windows of S / 10 steps.
- **backpropagation** differentiates the whole of training in reverse mode; **forward mode** likewise, forwards.
- **truncated backpropagation** differentiates windows of S / 10 steps, each from where the last one ended.

    python benchmarks/inner_length.py
    python benchmarks/inner_length.py --lengths 10 100 --seeds 1  # a quick look
"""

import _one_core  # isort: skip  # noqa: F401
import argparse
import functools
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _engine import program_bytes
from _measure import note, parse_arguments, print_table

import evometa as em
from evometa.inner_training import begin, train, validate
from evometa.objectives import Mean
from evometa.problems import NoisyQuadratic
from evometa.strategies import CMAES, NRES, PES, FullES, Gradient, TruncatedES

CANDIDATES = 16
RATES = (0.01, 0.03, 0.1)


class Found(NamedTuple):
    """What one way came to."""

    quality: float
    milliseconds: float
    """Of an update, compilation left out."""
    memory: int
    """Bytes."""


def searched(strategy: Any, problem: NoisyQuadratic, seed: int, steps: int, updates: int) -> Found:
    """Search with one strategy."""
    search = em.Search(problem, strategy, seed=seed, validation_share=0.0, progress=False)
    search.run(generations=1)
    begun, first = time.process_time(), 1
    result = search.run(generations=updates, inner_steps=steps)
    passed = time.process_time() - begun
    return Found(
        quality(problem, result.center_omega), 1e3 * passed / max(result.generations - first, 1), program_bytes(search)
    )


def quality(problem: NoisyQuadratic, omega: Any) -> float:
    """Return the expected fitness of a schedule over that of the best one."""
    return problem.expected(problem.rates(jnp.asarray(omega))) / problem.best_schedule()


def truncated(rate: float, problem: NoisyQuadratic, seed: int, steps: int, updates: int) -> Found:
    """Backpropagate through windows, with Adam as the strategies have it."""
    window, space, optimizer = problem.inner_steps // 10, problem.space, optax.adam(rate)

    def loss(genotype: Any, keys: Any, tasks: Any, learners: Any, start: Any) -> Any:
        omega = space.decode(space.repair(genotype))

        def one(key: Any, task: Any, learner: Any) -> Any:
            def step(carry: Any, number: Any) -> Any:
                learner = train(problem, key, omega, task, carry, number, 1)
                return learner, validate(problem, key, omega, task, learner, number)

            learner, losses = jax.lax.scan(step, learner, start + jnp.arange(window))
            return jnp.mean(losses), learner

        losses, learners = jax.vmap(one)(keys, tasks, learners)
        return jnp.mean(losses), learners

    def fresh(key: Any, genotype: Any) -> Any:
        keys = jax.random.split(key, problem.num_tasks)
        tasks = jax.vmap(problem.sample_task)(keys)
        omega = space.decode(space.repair(genotype))
        return keys, tasks, jax.vmap(lambda key, task: begin(problem, key, omega, task))(keys, tasks)

    @jax.jit
    def update(state: Any, number: Any) -> Any:
        genotype, moments, episode = state
        at = number % 10
        # At the first window of an episode everything is drawn anew.
        drawn = fresh(jax.random.fold_in(jax.random.key(seed), number), genotype)
        keys, tasks, learners = jax.tree.map(lambda new, old: jnp.where(at == 0, new, old), drawn, episode)
        gradient, learners = jax.grad(loss, has_aux=True)(genotype, keys, tasks, learners, at * window)
        change, moments = optimizer.update(jnp.nan_to_num(gradient), moments)
        return genotype + change, moments, (keys, tasks, learners)

    genotype = space.start(jax.random.key(seed))
    state = genotype, optimizer.init(genotype), fresh(jax.random.key(seed), genotype)
    count = min(updates, steps // (problem.num_tasks * window))
    program = update.lower(state, jnp.int32(0)).compile()
    begun = time.process_time()
    for number in range(count):
        state = program(state, jnp.int32(number))
    jax.block_until_ready(state)
    passed = time.process_time() - begun
    analysis = program.memory_analysis()
    size = analysis.temp_size_in_bytes + analysis.argument_size_in_bytes
    return Found(quality(problem, space.decode(space.repair(state[0]))), 1e3 * passed / count, int(size))


Way = Callable[[NoisyQuadratic, int, int, int], Found]


def ways(length: int) -> dict[str, list[Way]]:
    """Return how each way searches with each of its learning rates."""

    def at(make: Callable[[float], Any]) -> list[Way]:
        return [functools.partial(searched, make(rate)) for rate in RATES]

    window = length // 10
    return {
        "CMA-ES": [functools.partial(searched, CMAES(CANDIDATES))],
        "full ES": at(lambda rate: FullES(CANDIDATES, sigma=0.1, learning_rate=rate)),
        "PES": at(lambda rate: PES(CANDIDATES, sigma=0.1, learning_rate=rate, unroll_length=window)),
        "NRES": at(lambda rate: NRES(CANDIDATES, sigma=0.1, learning_rate=rate, unroll_length=window)),
        "truncated ES": at(lambda rate: TruncatedES(CANDIDATES, sigma=0.1, learning_rate=rate, unroll_length=window)),
        "backpropagation": at(lambda rate: Gradient(learning_rate=rate)),
        "forward mode": at(lambda rate: Gradient(learning_rate=rate, mode="forward")),
        "truncated backpropagation": [functools.partial(truncated, rate) for rate in RATES],
    }


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[10, 100, 1000, 10_000], help="S, multiples of 10")
    parser.add_argument("--inner-steps", type=int, default=20_000_000, help="of each search")
    parser.add_argument("--updates", type=int, default=1000, help="of each search, at most")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=ways(10), default=list(ways(10)))
    arguments = parse_arguments(
        parser, "--lengths 10 --inner-steps 3000 --seeds 1 --ways backpropagation 'truncated backpropagation'"
    )
    rows = []
    for name in arguments.ways:
        for length in arguments.lengths:
            problem = NoisyQuadratic(inner_steps=length, dimension=16, objective=Mean())
            tried = [
                [one(problem, seed, arguments.inner_steps, arguments.updates) for seed in range(arguments.seeds)]
                for one in ways(length)[name]
            ]
            best = min(tried, key=lambda runs: statistics.mean(run.quality for run in runs))
            qualities = [run.quality for run in best]
            speed = np.median([run.milliseconds for runs in tried for run in runs])
            shown = f"{statistics.mean(qualities):.3f} ({min(qualities):.3f} to {max(qualities):.3f})"
            rows.append([name, f"{length:,}", f"{best[0].memory / 2**20:.2f}", f"{speed:.2f}", shown])
            note(rows[-1])
    print_table(["way", "S", "MiB", "ms an update", "expected loss over the best schedule's"], rows)


if __name__ == "__main__":
    main()
