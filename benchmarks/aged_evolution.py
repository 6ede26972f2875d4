"""Aged evolution against random search on a table of 15,625 trained architectures: evaluations to the best few.

The space is that of NAS-Bench-201 (Dong & Yang 2020): a cell of four nodes, whose six edges each hold one of five
operations. Every one of the 5⁶ networks is trained on scikit-learn's digits, as small as can be: 16 principal
components in, 16 wide, Adam, the same batches for all. The fitness is the validation loss, a mean over ``--repeats``
first weights. The table is made once and kept in ``.cache``. Prints one markdown table.

    python benchmarks/aged_evolution.py
"""

import argparse
import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _measure import print_table
from sklearn.datasets import load_digits

from evometa.evaluation import map_chunks
from evometa.spaces import Categorical
from evometa.strategies import RandomSearch
from evometa.strategies.aged_evolution import AgedEvolution

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
OPERATIONS = ("none", "skip", "linear", "relu", "tanh")
ARCHITECTURES = len(OPERATIONS) ** len(EDGES)
WIDTH, BATCH, STEPS, TRAINING = 16, 32, 80, 1000
CACHE = pathlib.Path(__file__).parents[1] / ".cache" / "aged_evolution"


def digits() -> tuple[jax.Array, jax.Array]:
    """Return all digits as ``[1797, WIDTH]`` principal components of unit variance at most, and their labels."""
    data = load_digits()
    pixels = data.data[np.random.default_rng(0).permutation(len(data.data))] / 16
    labels = data.target[np.random.default_rng(0).permutation(len(data.data))]
    mean = pixels[:TRAINING].mean(0)
    _, deviations, axes = np.linalg.svd(pixels[:TRAINING] - mean, full_matrices=False)
    features = (pixels - mean) @ axes[:WIDTH].T / deviations[0] * TRAINING**0.5
    return jnp.asarray(features, jnp.float32), jnp.asarray(labels)


def network(weights: Any, operations: jax.Array, x: jax.Array) -> jax.Array:
    """Return logits of a batch; ``operations`` ``[6]`` says what each edge does."""
    nodes = [x, 0.0, 0.0, 0.0]
    for edge, (source, end) in enumerate(EDGES):
        h = nodes[source] + jnp.zeros_like(x)
        linear = h @ weights["edges"][edge] + weights["biases"][edge]
        results = [jnp.zeros_like(h), h, linear, jax.nn.relu(linear), jnp.tanh(linear)]
        nodes[end] += jax.lax.select_n(operations[edge], *results)
    return nodes[3] @ weights["out"]


def train(data: tuple[jax.Array, jax.Array], architecture: jax.Array, *, repeats: int) -> jax.Array:
    """Return the validation loss of one architecture, a mean over first weights."""
    x, y = data
    optimizer = optax.adam(0.01)
    operations = architecture // len(OPERATIONS) ** jnp.arange(len(EDGES)) % len(OPERATIONS)

    def loss(weights: Any, rows: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(network(weights, operations, x[rows]), y[rows]).mean()

    def once(key: jax.Array) -> jax.Array:
        keys = jax.random.split(key, 3)
        weights = {
            "edges": jax.random.normal(keys[0], (len(EDGES), WIDTH, WIDTH)) / WIDTH**0.5,
            "biases": jnp.zeros((len(EDGES), WIDTH)),
            "out": jax.random.normal(keys[1], (WIDTH, 10)) / WIDTH**0.5,
        }

        def step(carry: Any, rows: jax.Array) -> tuple[Any, None]:
            weights, moments = carry
            updates, moments = optimizer.update(jax.grad(loss)(weights, rows), moments)
            return (optax.apply_updates(weights, updates), moments), None

        batches = jax.random.randint(keys[2], (STEPS, BATCH), 0, TRAINING)
        (weights, _), _ = jax.lax.scan(step, (weights, optimizer.init(weights)), batches)
        return loss(weights, jnp.arange(TRAINING, len(x)))

    return jnp.mean(jax.lax.map(once, jax.random.split(jax.random.key(0), repeats)))


def table(repeats: int) -> np.ndarray:
    """Return the validation loss of each architecture, ``[15625]``."""
    file = CACHE / f"steps_{STEPS}_repeats_{repeats}.npy"
    if not file.exists():
        devices = tuple(jax.devices())
        one = functools.partial(train, repeats=repeats)
        every = functools.partial(map_chunks, one, chunk=25, devices=devices)
        losses = jax.jit(every)(digits(), jnp.arange(ARCHITECTURES))
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, np.asarray(losses))
    return np.load(file)


def evaluations(strategy: Any, losses: jax.Array, top: float, seeds: int, limit: int) -> np.ndarray:
    """Return how many candidates each seed judged up to the first of the table's best; ``limit`` where it found none."""
    space = Categorical(OPERATIONS, (len(EDGES),))
    worst_wanted = jnp.quantile(losses, top)

    def run(key: jax.Array) -> jax.Array:
        def generation(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
            key_ask, key_tell = jax.random.split(key)
            genotypes, state = strategy.ask(key_ask, state)
            index = jax.vmap(space.decode)(genotypes) @ (len(OPERATIONS) ** jnp.arange(len(EDGES)))
            return strategy.tell(key_tell, state, genotypes, losses[index]), losses[index]

        key_init, key = jax.random.split(key)
        keys = jax.random.split(key, limit // strategy.population_size)
        judged = jax.lax.scan(generation, strategy.init(key_init, space), keys)[1].ravel()
        good = judged <= worst_wanted
        return jnp.where(good.any(), jnp.argmax(good) + 1, limit)

    return np.asarray(jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(1), seeds)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    losses = jnp.asarray(table(arguments.repeats))
    print(np.quantile(losses, [0, 0.001, 0.01, 0.1, 0.5, 0.9, 1]))
    for top, limit in ((0.01, 2000), (0.001, 10000)):
        base = evaluations(RandomSearch(1), losses, top, arguments.seeds, limit)
        print(top, "random", np.median(base), np.quantile(base, [0.25, 0.75]))
        for P, L, S in (
            (1, 100, 25),
            (1, 20, 5),
            (1, 20, 20),
            (1, 10, 5),
            (1, 10, 10),
            (1, 5, 5),
            (4, 16, 8),
            (4, 8, 8),
            (1, 8, 8),
            (16, 64, 16),
            (2, 8, 8),
        ):
            e = evaluations(AgedEvolution(P, L, S), losses, top, arguments.seeds, limit)
            print(top, P, L, S, np.median(e), np.quantile(e, [0.25, 0.75]))


if __name__ == "__main__":
    main()
