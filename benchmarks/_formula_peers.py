"""DEAP, gplearn and Operon beside our genetic programming: the same functions, trees and settings for all of them."""

import functools
import importlib
import random
from collections.abc import Callable
from typing import Any

import numpy as np
from deap import algorithms, base, creator, gp, tools

from evometa.problems.functions.formulas import FUNCTIONS

COLUMNS = ("a", "b", "c", "d", "e")
MOST_NODES = 31
EDGE = 1e-6


def _divide(a: Any, b: Any) -> Any:
    small = np.abs(b) < EDGE
    return np.where(small, 1.0, a / np.where(small, 1.0, b))


def _of_size(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def protected(a: Any) -> Any:
        size = np.abs(a)
        return np.where(size < EDGE, 0.0, function(np.where(size < EDGE, 1.0, size)))

    return protected


NUMPY: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": _divide,
    "log": _of_size(np.log),
    "exp": lambda a: np.exp(np.clip(a, -10, 10)),
    "sqrt": _of_size(np.sqrt),
    "square": np.square,
    "tanh": np.tanh,
}
"""The functions of all sides, in numpy, as ours are."""
OPERON = dict(zip(NUMPY, ("Add", "Sub", "Mul", "Div", "Logabs", "Exp", "Sqrtabs", "Square", "Tanh"), strict=True))


def deap_set() -> Any:
    """Return the functions as DEAP's primitive set."""
    made = gp.PrimitiveSet("main", len(COLUMNS))
    for name, function in NUMPY.items():
        made.addPrimitive(function, FUNCTIONS[name].arity, name=name)
    made.renameArguments(**{f"ARG{i}": name for i, name in enumerate(COLUMNS)})
    made.addEphemeralConstant("drawn", functools.partial(random.uniform, -2, 2))
    return made


def deap_toolbox(made: Any, x: np.ndarray, y: np.ndarray) -> Any:
    """Return DEAP's usual operators, with trees of at most MOST_NODES nodes."""
    if not hasattr(creator, "Formula"):
        creator.create("Error", base.Fitness, weights=(-1.0,))
        creator.create("Formula", gp.PrimitiveTree, fitness=creator.Error)
    box = base.Toolbox()
    box.register("draw", gp.genHalfAndHalf, pset=made, min_=1, max_=4)
    box.register("individual", tools.initIterate, creator.Formula, box.draw)
    box.register("branch", gp.genFull, min_=0, max_=2)
    box.register("mate", gp.cxOnePoint)
    box.register("mutate", gp.mutUniform, expr=box.branch, pset=made)
    for change in ("mate", "mutate"):
        box.decorate(change, gp.staticLimit(key=len, max_value=MOST_NODES))
    box.register("select", tools.selTournament, tournsize=5)

    def error(tree: Any) -> tuple[float]:
        value = float(np.mean((gp.compile(tree, made)(*x) - y) ** 2))
        return (value if np.isfinite(value) else 1e30,)

    box.register("evaluate", error)
    return box


def evolved(made: Any, count: int, x: np.ndarray, y: np.ndarray) -> list[Any]:
    """Return trees that DEAP evolved for 15 generations on columns ``[C, N]`` and a label ``[N]``."""
    random.seed(0)
    box = deap_toolbox(made, x, y)
    start = []
    while len(start) < count:
        start += [tree for tree in [box.individual()] if len(tree) <= MOST_NODES]
    return list(algorithms.eaSimple(start, box, 0.7, 0.3, 15, verbose=False)[0])


def deap_errors(made: Any, trees: list[Any], x: np.ndarray, y: np.ndarray) -> list[Any]:
    """Return the mean squared error of each tree, compiled by DEAP to a function of numpy arrays."""
    return [np.mean((gp.compile(tree, made)(*x) - y) ** 2) for tree in trees]


def operon_trees(pyoperon: Any, trees: list[Any], dataset: Any) -> list[Any]:
    """Return DEAP's trees as Operon's, which are in postfix order."""
    hashes = [one.Hash for one in sorted(dataset.Variables, key=lambda one: one.Index)]
    found = []
    for tree in trees:
        nodes = []
        for node in reversed(tree):
            if isinstance(node, gp.Primitive):
                nodes.append(pyoperon.Node(getattr(pyoperon.NodeType, OPERON[node.name])))
            elif isinstance(node.value, str):
                nodes.append(pyoperon.Node.Variable(1.0))
                nodes[-1].HashValue = hashes[COLUMNS.index(node.value)]
            else:
                nodes.append(pyoperon.Node.Constant(float(node.value)))
        found.append(pyoperon.Tree(nodes).UpdateNodes())
    return found


def gplearn_functions(gplearn: Any) -> dict[str, Any]:
    """Return the functions as gplearn's, by name."""
    make = gplearn.functions.make_function
    return {n: make(function=f, name=n, arity=FUNCTIONS[n].arity, wrap=False) for n, f in NUMPY.items()}


def gplearn_programs(gplearn: Any, trees: list[Any]) -> list[Any]:
    """Return DEAP's trees as gplearn's, with the same numpy functions."""
    known = gplearn_functions(gplearn)
    found = []
    for tree in trees:
        one = object.__new__(gplearn._program._Program)
        one.program = [
            known[node.name]
            if isinstance(node, gp.Primitive)
            else COLUMNS.index(node.value)
            if isinstance(node.value, str)
            else float(node.value)
            for node in tree
        ]
        found.append(one)
    return found


def fit_operon(x: np.ndarray, y: np.ndarray, size: int, count: int) -> Any:
    """Return what Operon found with a population of ``size`` in ``count`` generations."""
    symbols = "add,sub,mul,div,logabs,exp,sqrtabs,square,tanh,constant,variable"
    model = importlib.import_module("pyoperon.sklearn").SymbolicRegressor(
        population_size=size,
        pool_size=size,
        generations=count,
        max_length=MOST_NODES,
        optimizer_iterations=0,
        n_threads=1,
        random_state=1,
        objectives=["mse"],
        epsilon=0.0,
        max_evaluations=10**9,
        allowed_symbols=symbols,
        offspring_generator="basic",
        female_selector="tournament",
        male_selector="tournament",
    )
    return model.fit(x.T.astype(np.float32), y.astype(np.float32))


def fit_gplearn(x: np.ndarray, y: np.ndarray, size: int, count: int) -> Any:
    """Return what gplearn found with a population of ``size`` in ``count`` generations."""
    model = importlib.import_module("gplearn.genetic").SymbolicRegressor(
        population_size=size,
        generations=count,
        function_set=list(gplearn_functions(importlib.import_module("gplearn")).values()),
        init_depth=(1, 4),
        metric="mse",
        tournament_size=5,
        p_crossover=0.7,
        p_subtree_mutation=0.1,
        p_hoist_mutation=0.1,
        p_point_mutation=0.1,
        random_state=0,
    )
    return model.fit(x.T, y)


def fit_deap(x: np.ndarray, y: np.ndarray, size: int, count: int) -> Any:
    """Return what DEAP found with a population of ``size`` in ``count`` generations."""
    random.seed(0)
    box = deap_toolbox(deap_set(), x, y)
    start = [box.individual() for _ in range(size)]
    return algorithms.eaSimple(start, box, 0.7, 0.3, count, verbose=False)[0]
