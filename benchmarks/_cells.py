"""Tables of really trained cells: the validation loss of each of 15,625 architectures, on two sets of data.

The space is that of NAS-Bench-201 (Dong & Yang 2020, arXiv:2001.00326): a cell of four nodes, whose six edges each
hold one of five operations. Each of the 5⁶ networks is trained as small as can be: 16 principal components in, 16 wide,
80 steps of Adam on batches of 32 out of 1000 examples, the same batches for all; the loss is that on the 797 other
examples, a mean over two draws of first weights and batches.
"""

import pathlib
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits, make_classification

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
OPERATIONS = ("none", "skip", "linear", "relu", "tanh")
ARCHITECTURES = len(OPERATIONS) ** len(EDGES)
WIDTH, BATCH, STEPS, TRAINING, EXAMPLES, CLASSES, REPEATS = 16, 32, 80, 1000, 1797, 10, 2
AT_ONCE, CHUNK = 625, 25


class Tables(NamedTuple):
    """Validation losses ``[5, 5, 5, 5, 5, 5]``, by the operation on each edge."""

    choosing: np.ndarray
    """Of synthetic data, on which settings may be chosen."""
    reported: np.ndarray
    """Of scikit-learn's digits, on which nothing is."""


def tables(file: pathlib.Path) -> Tables:
    """Return both tables from an .npz file, made there when it is missing: some minutes of training."""
    if not file.exists():
        synthetic = make_classification(
            EXAMPLES, 64, n_informative=16, n_redundant=16, n_classes=CLASSES, n_clusters_per_class=2, random_state=0
        )
        digits = load_digits(return_X_y=True)
        made = {"choosing": _table("choosing", *synthetic, seed=1), "reported": _table("reported", *digits, seed=2)}
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, **made)
    with np.load(file) as kept:
        return Tables(kept["choosing"], kept["reported"])


def _table(name: str, features: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    data = _components(features, labels, seed)
    train = jax.jit(lambda some: jax.lax.map(lambda a: _train(data, a, seed), some, batch_size=CHUNK))
    blocks = np.arange(ARCHITECTURES).reshape(-1, AT_ONCE)
    losses = []
    for number, block in enumerate(blocks, 1):
        losses.append(np.asarray(train(block)))
        print(f"table {name}: {number * AT_ONCE} of {ARCHITECTURES} trained", file=sys.stderr, flush=True)
    return np.concatenate(losses).reshape([len(OPERATIONS)] * len(EDGES))


def _components(features: np.ndarray, labels: np.ndarray, seed: int) -> tuple[jax.Array, jax.Array]:
    """Return the examples in random order as ``[N, WIDTH]`` principal components, the first of unit variance."""
    order = np.random.default_rng(seed).permutation(len(labels))
    features = features[order]
    mean = features[:TRAINING].mean(0)
    _, deviations, axes = np.linalg.svd(features[:TRAINING] - mean, full_matrices=False)
    components = (features - mean) @ axes[:WIDTH].T / deviations[0] * TRAINING**0.5
    return jnp.asarray(components, jnp.float32), jnp.asarray(labels[order])


def _network(weights: Any, operations: jax.Array, x: jax.Array) -> jax.Array:
    """Return logits of a batch; ``operations`` ``[6]`` says what each edge does."""
    nodes = [x, jnp.zeros_like(x), jnp.zeros_like(x), jnp.zeros_like(x)]
    for edge, (source, end) in enumerate(EDGES):
        h = nodes[source]
        linear = h @ weights["edges"][edge] + weights["biases"][edge]
        results = [jnp.zeros_like(h), h, linear, jax.nn.relu(linear), jnp.tanh(linear)]
        nodes[end] += jax.lax.select_n(operations[edge], *results)
    return nodes[3] @ weights["out"]


def _train(data: tuple[jax.Array, jax.Array], architecture: jax.Array, seed: int) -> jax.Array:
    """Return the validation loss of one architecture, a mean over repeats."""
    x, y = data
    optimizer = optax.adam(0.01)
    # The first edge is the first index of the table.
    operations = architecture // len(OPERATIONS) ** jnp.arange(len(EDGES))[::-1] % len(OPERATIONS)

    def loss(weights: Any, rows: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(_network(weights, operations, x[rows]), y[rows]).mean()

    def once(key: jax.Array) -> jax.Array:
        keys = jax.random.split(key, 3)
        weights = {
            "edges": jax.random.normal(keys[0], (len(EDGES), WIDTH, WIDTH)) / WIDTH**0.5,
            "biases": jnp.zeros((len(EDGES), WIDTH)),
            "out": jax.random.normal(keys[1], (WIDTH, CLASSES)) / WIDTH**0.5,
        }

        def step(carry: Any, rows: jax.Array) -> tuple[Any, None]:
            weights, moments = carry
            updates, moments = optimizer.update(jax.grad(loss)(weights, rows), moments)
            return (optax.apply_updates(weights, updates), moments), None

        batches = jax.random.randint(keys[2], (STEPS, BATCH), 0, TRAINING)
        (weights, _), _ = jax.lax.scan(step, (weights, optimizer.init(weights)), batches)
        return loss(weights, jnp.arange(TRAINING, EXAMPLES))

    return jnp.mean(jax.lax.map(once, jax.random.split(jax.random.key(seed), REPEATS)))
