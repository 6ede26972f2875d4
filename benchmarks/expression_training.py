"""Training with evolved losses: one compiled program for all of them, beside one compilation for each.

Every candidate is a loss, an expression of prediction and label, and trains an MLP (64-32-10, ReLU and softmax) on
scikit-learn's digits for 100 steps of SGD (batch 64, learning rate 0.1; gradients that are not finite count as 0, and
each is clipped to [-1, 1], so that the candidates that cannot learn cost as much as the others). Fitness is the
validation accuracy. All sides compute the same.

- **expressions**: random trees of exactly 7, 15 or 31 nodes that use the prediction, one after the other as the
  engine evaluates them on a CPU.
- **fixed cross-entropy**: the same training with a loss written by hand, the ceiling.
- **DEAP, jit for each**: ``deap.gp.compile`` of the same tree, with the same primitives, and ``jax.jit`` of its
  training: a sample of the candidates, compiled and run, extrapolated to all of them.

The first call of ours includes tracing and compiling. Seconds are CPU seconds of this process, on one core::

    taskset -c 0 python benchmarks/expression_training.py
"""

import argparse
import functools
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false " + os.environ.get("XLA_FLAGS", "")
os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
os.environ["EVOMETA_CPU_DEVICES"] = "1"

import jax
import jax.numpy as jnp
from _engine import map_population
from _measure import note, parse_arguments, print_table
from deap import gp
from sklearn.datasets import load_digits

from evometa.expressions import Expression, PrimitiveSet, Tree, primitive_set, to_deap

BATCH, HIDDEN, CLASSES, RATE = 64, 32, 10, 0.1
PRIMITIVES = PrimitiveSet(("prediction", "label"))


@functools.cache
def data(steps: int) -> tuple[Any, ...]:
    """Return weights to start from, the batches of all steps, and what accuracy is measured on."""
    images, labels = load_digits(return_X_y=True)
    keys = jax.random.split(jax.random.key(0), 4)
    order = jax.random.permutation(keys[0], len(labels))
    images, targets = jnp.asarray(images, jnp.float32)[order] / 16, jnp.eye(CLASSES)[jnp.asarray(labels)[order]]
    rows = jax.random.randint(keys[1], (steps, BATCH), 0, 1200)
    hidden = jax.random.normal(keys[2], (64, HIDDEN)) * (2 / 64) ** 0.5
    output = jax.random.normal(keys[3], (HIDDEN, CLASSES)) * (2 / HIDDEN) ** 0.5
    weights = (hidden, jnp.zeros(HIDDEN), output, jnp.zeros(CLASSES))
    return weights, images[rows], targets[rows], images[1200:], targets[1200:]


def accuracy(loss: Callable[[jax.Array, jax.Array], jax.Array], given: tuple[Any, ...]) -> jax.Array:
    """Train with a loss of prediction and label, each ``[BATCH, CLASSES]``, entry by entry; return the accuracy."""
    start, images, targets, test_images, test_targets = given

    def predict(weights: Any, x: jax.Array) -> jax.Array:
        w1, b1, w2, b2 = weights
        return jax.nn.softmax(jax.nn.relu(x @ w1 + b1) @ w2 + b2)

    def step(weights: Any, batch: Any) -> tuple[Any, None]:
        x, y = batch
        gradient = jax.grad(lambda w: jnp.sum(loss(predict(w, x), y)) / BATCH)(weights)
        gradient = jax.tree.map(lambda g: jnp.clip(jnp.nan_to_num(g, nan=0, posinf=0, neginf=0), -1, 1), gradient)
        return jax.tree.map(lambda w, g: w - RATE * g, weights, gradient), None

    weights, _ = jax.lax.scan(step, start, (images, targets))
    right = jnp.argmax(predict(weights, test_images), axis=-1) == jnp.argmax(test_targets, axis=-1)
    return jnp.mean(right)


def cross_entropy(prediction: jax.Array, label: jax.Array) -> jax.Array:
    """Return the cross-entropy, written as a user would."""
    return -label * jnp.log(jnp.clip(prediction, 1e-6, 1.0))


def trees_of(space: Expression, size: int, count: int) -> Tree:
    """Return ``count`` trees of exactly ``size`` nodes, drawn and mutated until there are enough."""
    found: list[Tree] = []

    @jax.jit
    def draw(key: jax.Array) -> tuple[Tree, jax.Array]:
        def one(key: jax.Array) -> Tree:
            def crossed(tree: Tree, key: jax.Array) -> tuple[Tree, None]:
                return space.crossover(key, tree, space.sample(jax.random.fold_in(key, 1))), None

            first, *others = jax.random.split(key, 7)
            return jax.lax.scan(crossed, space.sample(first), jnp.stack(others))[0]

        trees = jax.vmap(one)(jax.random.split(key, 1024))
        return trees, jnp.sum(trees.op >= 0, axis=1)

    for seed in range(100):
        trees, sizes = jax.device_get(draw(jax.random.key(seed)))
        uses = (trees.op == len(PRIMITIVES.primitives)).any(axis=1)  # a loss that knows the prediction
        found += [Tree(trees.op[i], trees.constant[i]) for i in range(1024) if sizes[i] == size and uses[i]]
        if len(found) >= count:
            break
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *found[:count])


def seconds(side: Callable[[], Any]) -> float:
    """Return the CPU seconds of one call."""
    start = time.process_time()
    jax.block_until_ready(side())
    return time.process_time() - start


def main() -> None:
    """Measure all sides and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[7, 15, 31])
    parser.add_argument("--population", type=int, default=128)
    parser.add_argument("--sample", type=int, default=6, help="candidates that are compiled one by one")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=100, help="of inner training")
    args = parse_arguments(parser, "--sizes 7 --population 2 --sample 1 --rounds 1 --steps 2")
    given, devices = data(args.steps), (jax.local_devices()[0],)
    largest = max(args.sizes)
    space = Expression(PRIMITIVES, max_size=largest)

    def ours(shared: Any, tree: Tree) -> jax.Array:
        return accuracy(space.decode(tree), shared)

    def fixed(shared: Any, factor: jax.Array) -> jax.Array:
        return accuracy(lambda p, y: factor * cross_entropy(p, y), shared)

    evaluate = jax.jit(lambda g, trees: map_population(ours, g, trees, chunk=1, devices=devices))
    ceiling = jax.jit(lambda g, factors: map_population(fixed, g, factors, chunk=1, devices=devices))
    populations = {size: trees_of(space, size, args.population) for size in args.sizes}
    factors = jnp.ones(args.population)
    first = seconds(lambda: evaluate(given, populations[args.sizes[0]]))
    seconds(lambda: ceiling(given, factors))
    times: dict[object, list[float]] = {}
    for _ in range(args.rounds):
        times.setdefault("fixed", []).append(seconds(lambda: ceiling(given, factors)))
        for size, trees in populations.items():
            times.setdefault(size, []).append(seconds(functools.partial(evaluate, given, trees)))
    median = {name: statistics.median(each) for name, each in times.items()}
    compile_time = first - median[args.sizes[0]]

    rows = []
    for size, trees in populations.items():
        values, each, differ = jax.device_get(evaluate(given, trees)), [], 0
        for i in range(args.sample):
            tree = jax.tree.map(lambda leaf, i=i: leaf[i], trees)
            loss = gp.compile(to_deap(PRIMITIVES, tree), primitive_set(PRIMITIVES))
            side = jax.jit(lambda g, loss=loss: accuracy(lambda p, y: jnp.broadcast_to(loss(p, y), p.shape), g))
            each.append(seconds(functools.partial(side, given)))
            differ += abs(float(side(given)) - float(values[i])) > 0.01
            note(f"size {size}: compiled {i + 1} of {args.sample}, {each[-1]:.2f} s")
        peer = args.population * statistics.mean(each) if each else float("nan")
        mine = median[size]
        rows.append(
            [
                f"{size} nodes",
                f"{args.population / mine:.0f}",
                f"{100 * median['fixed'] / mine:.0f} %",
                f"{args.population / peer:.2f}",
                f"{peer / mine:.0f}",
                f"{peer / (mine + compile_time):.0f}",
                f"{differ} of {args.sample}",
            ]
        )
    print(
        f"{args.population} losses, median of {args.rounds} rounds; ceiling {args.population / median['fixed']:.0f} "
        f"candidates per CPU-second; one compilation of {compile_time:.1f} s serves all sizes, "
        f"{evaluate._cache_size() - 1} after the first; DEAP from a sample of {args.sample}\n"
    )
    print_table(
        [
            "losses",
            "candidates / CPU-s",
            "of ceiling",
            "DEAP + jit each",
            "times",
            "with our compile",
            "accuracy differs",
        ],
        rows,
    )


if __name__ == "__main__":
    main()
