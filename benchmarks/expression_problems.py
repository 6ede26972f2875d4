"""Update rules and activation functions found by genetic programming, beside those that people use.

For each seed one search: ``GeneticProgramming`` on ``LearnedUpdateRule``, or on ``LearnedActivation``, from a random
population with the customary start (momentum; ReLU) in it. Of the expressions that the search keeps, the best of each
size, the one with the lowest mean loss on fresh tasks of the validation part is the found one.

Then all are tried alike, on held-out tasks: initial weights and minibatches that no search saw, 15 learning rates each,
for every training the one with the lowest loss on the validation part, evaluated on the test part of scikit-learn's
digits. So too with a network four times as wide and with three times as many steps, both of which no search trained.
Peers are written as expressions of the same space; momentum and Adam have bias-corrected averages (0.9, 0.999).

Differences are paired, of the same tasks; ± is their standard error over tasks::

    python benchmarks/expression_problems.py                     # both
    python benchmarks/expression_problems.py --only activation
    python benchmarks/expression_problems.py --keep found.json   # continues where it was interrupted
"""

import argparse
import dataclasses
import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _measure import Kept, note, parse_arguments, print_table, standard_error

import evometa as em
from evometa.expressions import Tree, parse, python, text
from evometa.expressions.tree import stack
from evometa.problems.architectures.learned_activation import RELU, SWISH, LearnedActivation
from evometa.problems.optimizers.learned_update_rule import ADAM, GRADIENT_DESCENT, MOMENTUM, LearnedUpdateRule
from evometa.strategies import GeneticProgramming

RATES = tuple(float(rate) for rate in np.geomspace(1e-3, 10, 15))
PROBLEMS = {"rule": LearnedUpdateRule(), "activation": LearnedActivation()}
PEERS = {
    "rule": {"SGD": GRADIENT_DESCENT, "momentum": MOMENTUM, "Adam": ADAM},
    "activation": {"ReLU": RELU, "tanh": "tanh(x)", "swish": SWISH},
}
SELECTION_KEY, HELD_OUT_KEY = 1000, 2000


def evaluate(problem: Any, trees: Tree, key: int, tasks: int, *, test: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return loss and accuracy ``[N, tasks]`` of expressions, all on the same tasks."""
    sample, space = problem.sample_test_task if test else problem.sample_task, problem.space

    @jax.jit
    def run(keys: jax.Array, trees: Tree) -> tuple[jax.Array, jax.Array]:
        def one(tree: Tree, key: jax.Array) -> tuple[jax.Array, jax.Array]:
            key_task, key_learner = jax.random.split(key)
            found = problem.evaluate_task(key_learner, space.decode(tree), sample(key_task))
            return found.fitness, found.metrics["accuracy"]

        # One training at a time: it stays in cache, and an instruction costs what its primitive does.
        return jax.lax.map(lambda tree: jax.lax.map(functools.partial(one, tree), keys), trees)

    loss, accuracy = jax.device_get(run(jax.random.split(jax.random.key(key), tasks), trees))
    return loss, accuracy


def find(name: str, seed: int, args: argparse.Namespace) -> str:
    """Return the text of the expression that one search finds."""
    label = f"{name} seed={seed} population={args.population} generations={args.generations}"
    return str(Kept(args.keep).get_or(label, lambda: searched(with_steps(name, args.steps), seed, args)))


def searched(problem: Any, seed: int, args: argparse.Namespace) -> str:
    """Search once."""
    search = em.Search(
        problem,
        GeneticProgramming(args.population),
        seed=seed,
        validation_share=0.0,  # the front is compared on fresh tasks below
        progress=False,
    )
    front = search.run(generations=args.generations).archive
    trees = jax.tree.map(jnp.asarray, front.genotypes)
    loss, _ = evaluate(problem, trees, SELECTION_KEY, args.tasks, test=False)
    means = np.where(np.isfinite(loss).all(axis=1), loss.mean(axis=1), np.inf)
    return text(problem.space.primitives, jax.tree.map(lambda leaf: leaf[means.argmin()], trees))


def with_steps(name: str, steps: int | None) -> Any:
    """Return a problem, with so many inner steps unless they are its own."""
    problem: Any = PROBLEMS[name]
    return problem if steps is None else dataclasses.replace(problem, inner_steps=steps)


def difference(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return the mean and the standard error of paired differences."""
    apart = one - other
    return float(apart.mean()), standard_error(apart)


def compare(name: str, args: argparse.Namespace) -> None:
    """Search with every seed, and print how what was found does beside its peers."""
    problem, peers = with_steps(name, args.steps), PEERS[name]
    primitives, length = problem.space.primitives, problem.space.max_size
    found = {f"found, seed {seed}": find(name, seed, args) for seed in range(args.seeds)}
    trees = stack([parse(primitives, one, length) for one in (*peers.values(), *found.values())])
    settings = {
        f"{problem.hidden[0]} units, {problem.inner_steps} steps": {},
        f"{4 * problem.hidden[0]} units": {"hidden": tuple(4 * width for width in problem.hidden)},
        f"{3 * problem.inner_steps} steps": {"inner_steps": 3 * problem.inner_steps},
    }
    settings = dict(list(settings.items())[: args.settings])
    cells: list[list[str]] = [[] for _ in (*peers, *found)]
    sentences = []
    for setting, changed in settings.items():
        other = dataclasses.replace(problem, learning_rates=RATES[: args.rates], **changed)
        loss, accuracy = evaluate(other, trees, HELD_OUT_KEY, args.tasks, test=True)
        best = int(np.argmin(loss[: len(peers)].mean(axis=1)))
        verdicts = []
        for row in range(len(cells)):
            mean, error = difference(loss[row], loss[best])
            apart = "" if row == best else f" ({mean:+.4f} ± {error:.4f})"
            cells[row] += [f"{loss[row].mean():.4f}{apart}", f"{100 * accuracy[row].mean():.2f} %"]
            if row >= len(peers):
                verdicts.append(1 if mean < -2 * error else -1 if mean > 2 * error else 0)
        sentences.append(
            f"{setting}: beside {list(peers)[best]}, the best of its peers, the found one is better by more than 2 "
            f"standard errors with {verdicts.count(1)} of {args.seeds} seeds, not better with {verdicts.count(0)}, "
            f"and worse with {verdicts.count(-1)}"
        )
        note(f"{name}: {sentences[-1]}")
    header = [name, *(part for setting in settings for part in (f"loss, {setting}", "accuracy"))]
    print(f"\nheld-out cross-entropy, {args.tasks} tasks (difference from the best of the peers)\n")
    print_table(header, [[label, *row] for label, row in zip((*peers, *found), cells, strict=True)])
    print()
    for sentence in sentences:
        print(f"- {sentence}")
    for label, tree in zip(found, range(len(peers), len(cells)), strict=True):
        written = python(primitives, jax.tree.map(lambda leaf, tree=tree: leaf[tree], trees))
        print(f"- {label}: `{written}`", flush=True)


def main() -> None:
    """Search, compare and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=tuple(PROBLEMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--population", type=int, default=64)
    parser.add_argument("--generations", type=int, default=40)
    parser.add_argument("--tasks", type=int, default=32, help="trainings that each is evaluated by at the end")
    parser.add_argument("--keep", type=pathlib.Path, help="a file for what the searches find")
    parser.add_argument("--steps", type=int, help="of inner training; by default the problem's own")
    parser.add_argument("--rates", type=int, default=len(RATES), help="learning rates that are tried at the end")
    parser.add_argument("--settings", type=int, default=3, help="networks and numbers of steps they are compared in")
    small = "--only rule --seeds 1 --population 4 --generations 1 --tasks 2 --steps 2 --rates 2 --settings 1"
    args = parse_arguments(parser, small)
    for name in (args.only,) if args.only else PROBLEMS:
        compare(name, args)


if __name__ == "__main__":
    main()
