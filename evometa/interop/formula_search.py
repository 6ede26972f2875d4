"""A formula for a table of arrays, by a compiled search that all tables of about the same size share.

A :class:`~evometa.problems.SymbolicRegression` is compiled for its points. Estimators are fitted again and again, to
folds, bootstraps and subsets of the columns, so here the points are data of the program: rows are padded to the next
power of four with weight 0, columns to the next power of two with copies of some of them. So only functions and
settings make another program, and tables of another order of size.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.backend.compilation_cache import use_compilation_cache
from evometa.backend.precision import key_of
from evometa.expressions import Expression, PrimitiveSet, Tree, text
from evometa.expressions.double import in_double_precision
from evometa.expressions.notation import prefix_of
from evometa.expressions.tree import from_nodes, nodes, sizes
from evometa.problems.functions.fitted_formula import whole_tree, with_arithmetic
from evometa.problems.functions.formulas import FUNCTIONS, Points
from evometa.problems.functions.scaling import Line, best_line
from evometa.problems.functions.symbolic_regression import RECOVERED
from evometa.problems.functions.units import unit_of
from evometa.search.debugging import engine
from evometa.strategies import GeneticProgramming, Restarts
from evometa.strategy import Feedback, tell_population
from evometa.types import Key, Scalar

LEAST_ROWS, LEAST_COLUMNS = 512, 8
DISPATCH = 10
"""Generations between two chances to interrupt."""
Values = NDArray[np.float64]


class Settings(NamedTuple):
    """What a search does, besides what it is given."""

    functions: tuple[str, ...]
    max_size: int
    population_size: int
    patience: int


class Table(NamedTuple):
    """Points without repetitions or weight 0, in their own units."""

    columns: Values
    """``[A, N]``."""
    label: Values
    """``[N]``."""
    weights: Values
    """``[N]``, positive, with sum 1."""

    @property
    def points(self) -> Points:
        """The same for what is computed once; without weights where all are equal, so that no digit is lost."""
        return Points(self.columns, self.label, None if np.ptp(self.weights) == 0 else self.weights)


def table_of(x: Values, y: Values, weights: Values) -> Table:
    """Return rows ``[N, A]``, labels and weights ``[N]`` as a table: a row given twice is one of twice the weight."""
    rows, place = np.unique(np.column_stack([x, y])[weights > 0], axis=0, return_inverse=True)
    total = np.bincount(place.ravel(), weights[weights > 0])
    return Table(rows[:, :-1].T, rows[:, -1], total / total.sum())


def primitives_of(names: tuple[str, ...], functions: tuple[str, ...]) -> PrimitiveSet:
    """Return the primitive set of whole formulas of columns."""
    return with_arithmetic(PrimitiveSet(names, tuple(FUNCTIONS[name] for name in functions), ephemeral=1.0))


def tree_of(primitives: PrimitiveSet, written: str) -> Tree:
    """Return the tree of a whole formula, with constants in double precision."""
    codes, values = zip(*prefix_of(primitives, written), strict=True)
    return Tree(np.array(codes, np.int32), np.array(values, np.float64))  # type: ignore[arg-type]


def predicted(primitives: PrimitiveSet, tree: Tree, columns: Values) -> Values:
    """Return the values ``[N]`` of a formula on columns ``[A, N]``, in double precision."""
    count = columns.shape[1]
    padded = _padded(columns, columns[:, :1])
    with np.errstate(all="ignore"):
        return np.asarray(in_double_precision(primitives, tree, list(padded)))[:count]


def found_formula(
    table: Table,
    names: tuple[str, ...],
    settings: Settings,
    line: Callable[[Values], Line],
    *,
    parsimony: float,
    generations: int,
    seed: int,
) -> str:
    """Search the formula whose values vary most as the label does; return the whole formula as text.

    Args:
        table: the points.
        names: of the columns, as the formula has them.
        settings: of the search.
        line: from finite values ``[N]`` of what was found to the line that makes the whole formula of it.
        parsimony: what a node costs, in units of the label's variance.
        generations: at most; fewer where an error below rounding is found.
        seed: seed of everything.
    """
    units = tuple(map(unit_of, table.columns))
    seen = np.stack([unit.standardise(column) for unit, column in zip(units, table.columns, strict=True)])
    primitives = PrimitiveSet(names, tuple(FUNCTIONS[name] for name in settings.functions), ephemeral=1.0)
    tree = _searched(primitives, seen, table, settings, parsimony, generations, seed)
    values = predicted(primitives, tree, seen)
    known = line(values if np.isfinite(values).all() else np.zeros_like(values))
    return text(with_arithmetic(primitives), whole_tree(primitives, units, tree, known))


class _Progress(NamedTuple):
    """What a search carries from one generation to the next."""

    generation: Scalar
    strategy: Any
    best: Tree
    least: Scalar
    """The error of the best and what its nodes cost, in units of the label's variance; +inf before there is one."""
    error: Scalar
    """Its error alone."""


def _searched(
    primitives: PrimitiveSet,
    seen: Values,
    table: Table,
    settings: Settings,
    parsimony: float,
    generations: int,
    seed: int,
) -> Tree:
    """Return the tree, of the given primitives, that was found."""
    use_compilation_cache()
    count = len(seen)
    width = max(LEAST_COLUMNS, 1 << (count - 1).bit_length())
    shown = np.append(np.arange(count), np.resize(np.random.default_rng(seed).permutation(count), width - count))
    mean, deviation = table.points.label_mean, table.points.label_deviation or 1.0
    nothing = np.zeros(1)
    with np.errstate(over="ignore", invalid="ignore"):  # what single precision cannot hold fails the candidates
        parts = (
            _padded(seen[shown], seen[shown, :1]),
            _padded((table.label - mean) / deviation, nothing),
            _padded(table.weights, nothing),
        )
        points = Points(*(part.astype(jnp.result_type(float)) for part in parts))
    columns, begin, advance = _programs(width, settings)
    root = key_of(seed)
    with engine():
        progress = begin(root)
        for most in range(DISPATCH, generations + DISPATCH, DISPATCH):
            progress = advance(root, points, progress, min(most, generations), parsimony)
            if progress.error <= RECOVERED / 10:
                break
    own = {columns.code(f"x{i}"): primitives.code(primitives.argument_names[shown[i]]) for i in range(width)}
    own[columns.constant] = primitives.constant
    found = [(own.get(code, code), value) for code, value in nodes(jax.device_get(progress.best))]
    return from_nodes(found, len(found))


@functools.lru_cache(maxsize=64)
def _programs(
    width: int, settings: Settings
) -> tuple[PrimitiveSet, Callable[..., _Progress], Callable[..., _Progress]]:
    """Return the primitives of a search in columns x0, x1 and so on, its beginning, and what advances it."""
    names = tuple(f"x{number}" for number in range(width))
    columns = PrimitiveSet(names, tuple(FUNCTIONS[name] for name in settings.functions), ephemeral=1.0)
    space = Expression(columns, settings.max_size)
    tuned = settings.population_size // 10
    breeding = GeneticProgramming(settings.population_size, proposals=1, tuned=tuned if tuned > 1 else 0)
    strategy = Restarts(breeding, settings.patience)

    def begin(root: Key) -> _Progress:
        state, none = strategy.init(root, space), jnp.full((), jnp.inf, jnp.result_type(float))
        return _Progress(jnp.int32(0), state, space.sample(root), none, none)

    def advance(root: Key, points: Points, progress: _Progress, most: Scalar, parsimony: Scalar) -> _Progress:
        def error(values: jax.Array) -> jax.Array:
            line = best_line(values, points)
            return points.mean((line.slope * values + line.intercept - points.label) ** 2)

        def generation(progress: _Progress) -> _Progress:
            number = progress.generation + 1
            key_ask, key_tell = jax.random.split(jax.random.fold_in(root, number))
            trees, state = strategy.ask(key_ask, progress.strategy)
            errors = jax.vmap(space.decode)(trees).each(error, *points.columns)
            errors = jnp.where(jnp.isfinite(errors), errors, jnp.inf)
            fitness = errors + parsimony * sizes(trees)
            state = tell_population(strategy, key_tell, state, trees, Feedback(fitness))
            winner = jnp.argmin(fitness)
            best = progress.best, progress.least, progress.error
            best = jax.tree.map(
                lambda new, old: jnp.where(fitness[winner] < progress.least, new[winner], old),
                (trees, fitness, errors),
                best,
            )
            return _Progress(number, state, *best)

        def more(progress: _Progress) -> Any:
            return (progress.generation < most) & (progress.error > RECOVERED / 10)

        return jax.lax.while_loop(more, generation, progress)

    return columns, jax.jit(begin), jax.jit(advance)


def _padded(values: Values, rest: Values) -> Values:
    """Return values ``[..., N]`` with ``rest`` repeated after them, up to a number of rows that many tables share."""
    count = values.shape[-1]
    size = LEAST_ROWS
    while size < count:
        size *= 4
    return np.concatenate([values, np.repeat(rest, size - count, axis=-1)], axis=-1)
