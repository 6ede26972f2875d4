"""Speed of persistent evolution strategies on a learned optimizer, beside google/learned_optimization.

Both sides train the optimizer of Metz et al. (2019) for an MLP 64-32-10 on scikit-learn's digits: a per-parameter MLP
with two hidden layers of 32, six momenta and no second moments, batches of 128, 16 antithetic pairs, windows of 10
inner steps, horizon 200, Adam outside. Their side is one update of ``SingleMachineGradientLearner`` with
``TruncatedPES``, ours one generation of a search's compiled program with ``PES``; each as it comes otherwise. They
evaluate by the loss on the training minibatch, which costs them nothing; asked to, by that on a validation minibatch,
as ours always does. CPU seconds on one core, the sides in turns.

Their release 0.0.1 is older than JAX's present interface; the repository works once its imports of TensorFlow, which
nothing here uses, are answered by empty modules:

    git clone https://github.com/google/learned_optimization
    pip install --no-deps dm-haiku gin-config jmp tabulate absl-py chex toolz
    PYTHONPATH=learned_optimization python benchmarks/learned_optimization_throughput.py
"""

import _one_core  # isort: skip  # noqa: F401
import argparse
import importlib.abc
import importlib.machinery
import itertools
import statistics
import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import flax.training.checkpoints
import flax.training.prefetch_iterator  # noqa: F401  flax copes without TensorFlow, but not with an empty one
import jax
import jax.numpy as jnp
import numpy as np
from _engine import one_generation
from _measure import alone, parse_arguments, peer, print_table

from evometa.problems import LearnedOptimizer
from evometa.problems.shared.digits import CLASSES, digits
from evometa.strategies import PES

PAIRS, WINDOW, HORIZON, BATCH, SIGMA, LEARNING_RATE = 16, 10, 200, 128, 0.01, 1e-3
INNER_STEPS = 2 * PAIRS * WINDOW
"""Updates of learners in one update of the optimizer."""


class Empty(types.ModuleType):
    """A module in which every name is there, and nothing else."""

    __path__: list[str] = []  # noqa: RUF012  a module's own attribute

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Empty(name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Be any function or class."""
        return self


class Stubs(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports what is missing of TensorFlow as empty modules."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """Answer for TensorFlow alone."""
        if name.partition(".")[0] in ("tensorflow", "tensorflow_datasets"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Return an empty module."""
        return Empty(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Do nothing."""


def theirs(split: str | None) -> Callable[[], Any]:
    """Return what does one update with learned_optimization.

    Args:
        split: part of the data whose minibatches the optimizer is evaluated on, None for the training minibatch itself.
    """
    from learned_optimization.learned_optimizers.mlp_lopt import MLPLOpt
    from learned_optimization.optimizers import optax_opts
    from learned_optimization.outer_trainers import gradient_learner, truncation_schedule
    from learned_optimization.outer_trainers.lopt_truncated_step import VectorizedLOptTruncatedStep
    from learned_optimization.outer_trainers.truncated_pes import TruncatedPES
    from learned_optimization.tasks import base as tasks
    from learned_optimization.tasks.datasets.base import Datasets
    from learned_optimization.tasks.fixed.image_mlp import _MLPImageTask

    def batches(rows: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        chosen = rows[np.random.default_rng(0).integers(0, len(rows), (256, BATCH))]
        return itertools.cycle({"image": digits().features[r], "label": digits().labels[r]} for r in chosen)

    parts = [batches(digits().training), *(batches(digits().validation) for _ in range(3))]
    shapes = {
        "image": jax.ShapeDtypeStruct((BATCH, digits().features.shape[1]), jnp.float32),
        "label": jax.ShapeDtypeStruct((BATCH,), jnp.int32),
    }
    data = Datasets(*parts, extra_info={"num_classes": CLASSES}, abstract_batch=shapes)
    optimizer = MLPLOpt(hidden_size=32, hidden_layers=2)
    step = VectorizedLOptTruncatedStep(
        tasks.single_task_to_family(_MLPImageTask(data, [32])),
        optimizer,
        truncation_schedule.ConstantTruncationSchedule(HORIZON),
        num_tasks=PAIRS,
        meta_loss_split=split,
        random_initial_iteration_offset=HORIZON,
    )
    estimator = TruncatedPES(step, trunc_length=WINDOW, std=SIGMA, steps_per_jit=WINDOW)
    learner = gradient_learner.SingleMachineGradientLearner(optimizer, [estimator], optax_opts.Adam(LEARNING_RATE))
    key = jax.random.key(0)
    state = learner.init(key)

    def run() -> None:
        nonlocal key, state
        key, now = jax.random.split(key)
        state, loss, _ = learner.update(state, now)
        jax.block_until_ready((jax.tree.leaves(state), loss))

    return run


def ours(problem: LearnedOptimizer) -> Callable[[], Any]:
    """Return what does one generation with evometa."""
    return one_generation(problem, PES(2 * PAIRS, sigma=SIGMA, learning_rate=LEARNING_RATE, unroll_length=WINDOW))


def microseconds(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return CPU microseconds an inner step of each side, the median over rounds in which the sides take turns."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        side()
        side()
    with alone():
        for _ in range(rounds):
            for name, side in sides.items():
                start = time.process_time()
                for _ in range(3):
                    side()
                times[name].append((time.process_time() - start) / 3)
    return {name: statistics.median(each) / INNER_STEPS * 1e6 for name, each in times.items()}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--sides", type=int, nargs="+", choices=range(4), default=[0, 1, 2, 3], help="by number")
    arguments = parse_arguments(parser, "--rounds 1 --sides 0 1 2")
    sys.meta_path.append(Stubs())  # asked last: what is installed is used
    installed = peer("learned_optimization.summary", "what the top of this file says")
    common = {"hidden": (32,), "optimizer_hidden": (32, 32), "batch_size": BATCH, "inner_steps": HORIZON}
    metz = LearnedOptimizer(momenta=(0.1, 0.5, 0.9, 0.99, 0.999, 0.9999), second_moments=(), **common)
    every = {
        "learned_optimization, evaluated on training minibatches": lambda: theirs(None),
        "learned_optimization, evaluated on validation minibatches": lambda: theirs("outer_valid"),
        "evometa, the same optimizer, evaluated on validation minibatches": lambda: ours(metz),
        "evometa, with its own features": lambda: ours(LearnedOptimizer(**common)),
    }
    names = [name for number, name in enumerate(every) if number in arguments.sides and (installed or number > 1)]
    found = microseconds({name: every[name]() for name in names}, arguments.rounds)
    first, second, same = (found.get(name) for name in list(every)[:3])
    rows = [
        [name, f"{each:.0f}", *("" if peers is None else f"{peers / each:.2f}" for peers in (first, second))]
        for name, each in found.items()
    ]
    print_table(["side", "CPU µs an inner step", "times as fast as the first", "as the second"], rows)
    if second and same:
        print(f"\nlike for like: {second / same:.2f}")


if __name__ == "__main__":
    main()
