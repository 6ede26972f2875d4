"""Symbolic regression beside DEAP, gplearn and Operon: evaluation, generations, and which formulas are recovered.

- **evaluation**: the errors of 1000 trees on 1000 points, float32. The trees were evolved by DEAP (15 generations, at
  most 31 nodes, 5 arguments) and are the same for all sides; Fmin and Fmax are left out, since Operon's Python module
  0.6.2 gives wrong values for them. Ours is one compiled program that walks all trees;
  DEAP's compiles each tree to a Python function of numpy arrays; gplearn's runs its programs; Operon's is called once
  for all trees, and its errors are not even taken.
- **generations**: a whole generation at population 1000 on 1000 points, trees of at most 31 nodes everywhere (gplearn
  has no such limit: its parsimony coefficient is 0.001), the same functions, no constants tuned: from generation 5 on.
- **quality**: the targets Nguyen-1 to 10 and Keijzer-6 of :class:`~evometa.problems.SymbolicRegression`, without
  linear scaling, begun anew after some generations without progress. A run has recovered its target when the error on
  the held-out points is below 1e-8 of their variance; beside it, how many runs meet all those points to 0.01. One
  compiled program serves all seeds and all targets of as many points. Settings were chosen on other seeds.

Seconds are CPU seconds of this process, on one core::

    taskset -c 0 python benchmarks/symbolic_regression.py evaluation generations quality
"""

import argparse
import functools
import importlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false " + os.environ.get("XLA_FLAGS", "")
os.environ["EVOMETA_CPU_DEVICES"] = "1"

import jax
import jax.numpy as jnp
import numpy as np
from _engine import tell_all
from _formula_peers import (
    COLUMNS,
    MOST_NODES,
    NUMPY,
    deap_errors,
    deap_set,
    evolved,
    fit_deap,
    fit_gplearn,
    fit_operon,
    gplearn_programs,
    operon_trees,
)
from _measure import note, parse_arguments, peer, print_table
from jax import lax

import evometa as em
from evometa.expressions import Expression, PrimitiveSet, from_deap
from evometa.expressions.tree import stack
from evometa.problems.functions.formulas import FUNCTIONS, Points
from evometa.problems.functions.symbolic_regression import RECOVERED, SymbolicRegression
from evometa.strategies.structures.genetic_programming import GeneticProgramming
from evometa.strategies.wrappers.restarts import Restarts

POPULATION, POINTS = 1000, 1000
OURS = PrimitiveSet(COLUMNS, tuple(FUNCTIONS[name] for name in NUMPY))


def data(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return columns ``[5, count]`` and a label ``[count]`` that none of the sides finds exactly."""
    x = np.random.default_rng(seed).standard_normal((len(COLUMNS), count))
    return x, x[0] ** 3 + x[1] * x[2] - np.log(np.abs(x[3]) + 0.1) + 0.5 * x[4]


def cpu_seconds(side: Callable[[], Any], rounds: int) -> float:
    """Return the median CPU seconds of a call, after one to warm up."""
    jax.block_until_ready(side())
    found = []
    for _ in range(rounds):
        start = time.process_time()
        jax.block_until_ready(side())
        found.append(time.process_time() - start)
    return statistics.median(found)


def evaluation(args: argparse.Namespace) -> None:
    """Measure the errors of evolved trees."""
    made = deap_set()
    pyoperon, gplearn = peer("pyoperon"), peer("gplearn.genetic", "gplearn") and importlib.import_module("gplearn")
    trees = evolved(made, args.trees, *data(200, 1))
    x, y = (part.astype(np.float32) for part in data(POINTS, 2))
    columns = np.ascontiguousarray(x.T)
    space, population = Expression(OURS, MOST_NODES), stack([from_deap(OURS, tree, MOST_NODES) for tree in trees])
    given = tuple(jnp.asarray(column) for column in x), jnp.asarray(y)
    decoded = jax.vmap(space.decode)
    error = jax.jit(lambda g, t: decoded(t).each(lambda values: jnp.mean((values - g[1]) ** 2), *g[0]))
    sides: dict[str, Callable[[], Any]] = {
        "ours": lambda: error(given, population),
        "DEAP + numpy": lambda: deap_errors(made, trees, x, y),
    }
    errors = {"ours": np.asarray(error(given, population))}
    if gplearn:
        programs = gplearn_programs(gplearn, trees)
        sides["gplearn"] = lambda: [np.mean((one.execute(columns) - y) ** 2) for one in programs]
        errors["gplearn"] = np.array(sides["gplearn"]())
    if pyoperon:
        table = np.asfortranarray(np.vstack([x, y]).T)
        dataset = pyoperon.Dataset(table)  # which keeps no copy
        rows, result = pyoperon.Range(0, POINTS), np.zeros(len(trees) * POINTS, np.float32)
        others = operon_trees(pyoperon, trees, dataset)
        sides["Operon"] = lambda: pyoperon.EvaluateTrees(others, dataset, rows, result, 1)
        errors["Operon"] = np.array([np.mean((pyoperon.Evaluate(tree, dataset, rows) - y) ** 2) for tree in others])
    seconds = {name: cpu_seconds(side, args.rounds) for name, side in sides.items()}
    expected = np.array(sides["DEAP + numpy"]())
    equal = {name: np.mean(np.isclose(found, expected, rtol=0.02, atol=1e-3)) for name, found in errors.items()}
    sizes = [len(tree) for tree in trees]
    print(f"\n{len(trees)} trees of {np.mean(sizes):.1f} nodes on average, {POINTS} points\n")
    print_table(
        ["evaluation", "CPU ms", "times ours", "equal to DEAP's"],
        [
            [name, f"{1e3 * s:.2f}", f"{s / seconds['ours']:.1f}", f"{equal[name]:.1%}" if name in equal else ""]
            for name, s in seconds.items()
        ],
    )


def generations(args: argparse.Namespace) -> None:
    """Measure whole generations."""
    few, many, size = 5, 5 + args.generations, args.trees
    x, y = data(POINTS, 2)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "points.csv"
        held_out = data(10, 3)
        table = np.vstack([np.column_stack([*columns, label]) for columns, label in ((x, y), held_out)])
        np.savetxt(path, table, delimiter=",", header="a,b,c,d,e,label", comments="")
        share = 10 / (POINTS + 10)
        problem = SymbolicRegression(csv=str(path), functions=tuple(NUMPY), linear_scaling=False, held_out=share)
        strategy = GeneticProgramming(size, proposals=1)
        ends: list[float] = []  # of each dispatch: what a run costs besides generations is left out
        search = em.Search(
            problem,
            strategy,
            progress=False,
            devices=1,
            validation_share=0.0,
            callbacks=[lambda report: ends.append(time.process_time())],
        )
        search.run(generations=few)
        start = time.process_time()
        result = search.run(generations=many)
        nodes = search.history.columns["strategy/mean_size"][-1]
        found["ours"] = (ends[-1] - start) / (many - few), result.best_fitness, f"{nodes:.0f} nodes on average"
    note(found)

    def difference(fit: Callable[[int], Any], counts: tuple[int, int]) -> tuple[float, Any]:
        times = []
        for count in counts:
            start = time.process_time()
            model = fit(count)
            times.append(time.process_time() - start)
        return (times[1] - times[0]) / (counts[1] - counts[0]), model

    if peer("pyoperon.sklearn", "pyoperon"):
        seconds, model = difference(functools.partial(fit_operon, x, y, size), (few, many))
        found["Operon"] = seconds, float(np.mean((model.predict(x.T.astype(np.float32)) - y) ** 2) / y.var()), ""
        note(found)
    seconds, trees = difference(functools.partial(fit_deap, x, y, size), (few, few + 10))
    words = f"10 generations, {np.mean([len(tree) for tree in trees]):.0f} nodes"
    found["DEAP eaSimple"] = seconds, min(tree.fitness.values[0] for tree in trees) / y.var(), words
    note(found)
    if peer("gplearn.genetic", "gplearn"):
        seconds, model = difference(functools.partial(fit_gplearn, x, y, size), (few, few + 5))
        words = f"5 generations, {float(model.run_details_['average_length'][-1]):.0f} nodes"
        found["gplearn"] = seconds, float(np.mean((model.predict(x.T) - y) ** 2) / y.var()), words
    print(f"\nA generation, population {size}, {POINTS} points, {args.generations} generations measured\n")
    print_table(
        ["generations", "CPU ms", "times ours", "1 - R² at the end", "note"],
        [[n, f"{1e3 * s:.1f}", f"{s / found['ours'][0]:.1f}", f"{e:.3f}", w] for n, (s, e, w) in found.items()],
    )


TARGETS = (*(f"nguyen-{i}" for i in range(1, 11)), "keijzer-6")


class TracedPoints(Points):
    """Points that are data of a compiled program, which numpy cannot compute with."""

    @property
    def label_deviation(self) -> Any:
        """The standard deviation of the label; these formulas have no label so large that its square overflows."""
        return jnp.std(jnp.asarray(self.label))


def one_program(template: SymbolicRegression, strategy: Restarts) -> Callable[..., Any]:
    """Return a compiled search: from seed, points and generations to their number and the held-out evaluation.

    Points are data of the program, so that targets of equal points share it.
    """
    space, key = template.space, jax.random.key(0)

    def with_points(parts: tuple[Points, Points]) -> SymbolicRegression:
        twin = object.__new__(type(template))
        twin.__dict__.update(template.__dict__ | {"parts": parts, "_seen": parts})
        return twin

    @jax.jit
    def search(seed: jax.Array, parts: tuple[Points, Points], most: jax.Array) -> tuple[jax.Array, Any]:
        problem = with_points((TracedPoints(*parts[0]), TracedPoints(*parts[1])))
        root = jax.random.key(seed)

        def generation(carry: Any) -> Any:
            number, state, best, least = carry
            key_ask, key_tell = jax.random.split(jax.random.fold_in(root, number))
            trees, state = strategy.ask(key_ask, state)
            evaluated = problem.evaluate_population(key, jax.vmap(space.decode)(trees))
            fitness = jnp.where(jnp.isfinite(evaluated.fitness), evaluated.fitness, jnp.inf)
            state = tell_all(strategy, key_tell, state, trees, evaluated._replace(fitness=fitness))
            found = jnp.argmin(fitness)
            better = fitness[found] < least
            best = jax.tree.map(lambda old, new: jnp.where(better, new[found], old), best, trees)
            return number + 1, state, best, jnp.minimum(least, fitness[found])

        start = strategy.init(root, space)
        first = jnp.int32(0), start, space.sample(root), start.best
        number, _, best, least = lax.while_loop(lambda c: (c[0] < most) & (c[3] > RECOVERED / 10), generation, first)
        return number, (least, problem.evaluate_test(key, space.decode(best)))

    return search


def quality(args: argparse.Namespace) -> None:
    """Count how often each target is recovered."""
    programs: dict[Any, Any] = {}
    rows = []
    for target in TARGETS:
        if args.targets and target not in args.targets:
            continue
        problem = SymbolicRegression(target, linear_scaling=args.linear_scaling, cases=args.cases)
        breeding = GeneticProgramming(
            args.population, proposals=1, cases=args.cases, tuned=args.tuned if target == "keijzer-6" else 0
        )
        strategy = Restarts(breeding, args.patience)
        shared = (problem.parts[0].columns.shape, problem.parts[1].columns.shape, problem.primitives.names, strategy)
        if shared not in programs:
            programs[shared] = one_program(problem, strategy)
        search = programs[shared]
        jax.block_until_ready(search(0, problem.parts, 0))  # compiles
        most = args.evaluations // args.population
        start, recovered, hits, numbers, errors = time.process_time(), 0, 0, [], []
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            number, (_, test) = jax.device_get(search(seed, problem.parts, most))
            recovered += bool(test.metrics["recovered"])
            hits += bool(test.metrics["hits"] == 1)
            numbers.append(int(number))
            errors.append(float(test.fitness))
        seconds = (time.process_time() - start) / args.seeds
        row = [target, f"{recovered}/{args.seeds}", f"{hits}/{args.seeds}", f"{statistics.median(errors):.0e}"]
        rows.append([*row, f"{statistics.median(numbers):.0f}", f"{seconds:.1f}"])
        note(rows[-1])
    print(f"\nPopulation {args.population}, at most {args.evaluations} evaluations, cases={args.cases}\n")
    header = ["target", "recovered", "all within 0.01", "median error", "median generations", "CPU s a run"]
    print_table(header, rows)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"evaluation": evaluation, "generations": generations, "quality": quality}
    parser.add_argument("parts", nargs="*", choices=[*parts, []], default=list(parts))
    parser.add_argument("--rounds", type=int, default=7, help="calls of each side of the evaluation")
    parser.add_argument("--generations", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0, help="of the runs for quality")
    parser.add_argument("--evaluations", type=int, default=2_000_000, help="of a run for quality, at most")
    parser.add_argument("--population", type=int, default=1000, help="of a run for quality")
    parser.add_argument("--patience", type=int, default=10, help="generations without progress before a new beginning")
    parser.add_argument("--linear-scaling", action="store_true", help="evaluate by the best a + b times the formula")
    parser.add_argument("--cases", type=int, default=0, help="blocks of points for lexicase selection; 0: tournaments")
    parser.add_argument("--tuned", type=int, default=0, help="members that tune constants, where there are any")
    parser.add_argument("--targets", nargs="+", default=[], help="for quality, if not all")
    parser.add_argument("--trees", type=int, default=POPULATION, help="for evaluation and generations")
    small = (
        "evaluation generations quality --trees 10 --rounds 1 --generations 1 --seeds 1 --evaluations 20 "
        "--population 10 --targets nguyen-1"
    )
    args = parse_arguments(parser, small)
    np.seterr(all="ignore")
    for part in args.parts:
        parts[part](args)


if __name__ == "__main__":
    main()
