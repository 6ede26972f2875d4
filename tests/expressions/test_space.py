import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evometa as em
from evometa.errors import ConfigurationError
from evometa.evaluation.full_evaluator import FullEvaluator
from evometa.expressions import LOSS_PRIMITIVES, Expression, PrimitiveSet, Program, Tree, parse, text
from evometa.expressions.tree import nodes, require_valid
from evometa.problem import Problem
from evometa.search.planning import plan
from evometa.strategies import GeneticAlgorithm
from evometa.testing import check_strategy

PRIMITIVES = PrimitiveSet(("x", "y"))


def children(space: Expression, count: int, rounds: int = 4) -> list[Tree]:
    """Return crossings with samples, mutations of these, and so on."""

    def one(key: jax.Array) -> tuple[Tree, Tree]:
        def vary(tree: Tree, key: jax.Array) -> tuple[Tree, tuple[Tree, Tree]]:
            keys = jax.random.split(key, 4)
            crossed = space.crossover(keys[0], space.sample(keys[1]), tree)
            mutated = space.mutate(keys[2], crossed, rate=jax.random.uniform(keys[3]))
            return mutated, (crossed, mutated)

        return jax.lax.scan(vary, space.start(key), jax.random.split(key, rounds))[1]

    made = jax.device_get(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), count)))
    return [Tree(t.op[i, j], t.constant[i, j]) for t in made for i in range(count) for j in range(rounds)]


@pytest.mark.parametrize(
    ("primitives", "max_size", "max_depth"),
    [
        (PRIMITIVES, 31, 17),
        (PRIMITIVES, 7, 2),
        (PRIMITIVES, 1, 0),
        (PrimitiveSet(("x", "y"), returns="bool"), 9, 3),
        (PrimitiveSet({"x": "real", "on": "bool"}, LOSS_PRIMITIVES[-1:], ephemeral=None), 15, 17),
        (PrimitiveSet(("x",), ephemeral=(0.5, 2.0)), 12, 4),
    ],
    ids=["default", "shallow", "leaf", "bool", "ternary", "values"],
)
def test_every_tree_is_valid_and_within_the_limits(primitives: PrimitiveSet, max_size: int, max_depth: int) -> None:
    space = Expression(primitives, max_size, max_depth)
    for tree in children(space, 120):
        given = nodes(tree)
        assert len(given) <= max_size
        require_valid(primitives, given, max_depth)
        values = [value for code, value in given if code == primitives.constant]
        if isinstance(primitives.ephemeral, tuple):
            assert set(values) <= set(primitives.ephemeral)
        assert primitives.ephemeral is not None or not values
        assert not np.asarray(tree.constant)[np.asarray(tree.op) != primitives.constant].any()


def test_samples_are_ramped_half_and_half() -> None:
    primitives = PrimitiveSet(("x", "y"), LOSS_PRIMITIVES[:4])  # all with two inputs
    trees = jax.device_get(jax.vmap(Expression(primitives).sample)(jax.random.split(jax.random.key(0), 2000)))
    sizes = np.sum(trees.op >= 0, axis=1)
    counts = {size: int(np.sum(sizes == size)) for size in (1, 3, 7, 15, 31)}
    assert counts[1] == 0  # the root has inputs
    # A quarter of all grow to each depth, and half of these are full; few of the others are so by chance.
    assert all(200 < counts[size] < 900 for size in (3, 7, 15, 31))
    assert len(set(sizes.tolist())) > 10
    used = np.bincount(trees.op[trees.op >= 0], minlength=7)
    assert (used > 0.7 * used[:4].mean())[:4].all()
    assert (used > 0.7 * used[4:].mean())[4:].all()


def test_each_kind_of_mutation_happens_and_changes_the_tree() -> None:
    space = Expression(PRIMITIVES)
    parent = parse(PRIMITIVES, "add(square(sub(x, y)), mul(0.5, y))", 31)
    mutate = jax.jit(jax.vmap(lambda key: space.mutate(key, parent, rate=0.0)))
    made = jax.device_get(mutate(jax.random.split(jax.random.key(0), 400)))
    size, differ = np.sum(made.op >= 0, axis=1), np.sum(made.op != np.asarray(parent.op), axis=1)
    constant = np.asarray(made.constant)[:, 6]
    assert 50 < np.sum((differ == 0) & (constant != 0.5)) < 200  # the constant alone
    assert np.median(np.abs(constant[(differ == 0) & (constant != 0.5)] - 0.5)) < 0.2
    assert 50 < np.sum((size == 8) & (differ == 1)) < 200  # one node alone
    assert np.sum(size < 8) > 50  # a subtree hoisted
    assert np.sum(size > 8) > 20  # a subtree grown
    assert np.sum((differ == 0) & (constant == 0.5)) < 60


def test_crossover_brings_a_subtree_of_the_second_into_the_first() -> None:
    space = Expression(PRIMITIVES, max_size=9)
    first, second = parse(PRIMITIVES, "add(x, x)", 9), parse(PRIMITIVES, "mul(y, log(y))", 9)
    cross = jax.jit(jax.vmap(lambda key: space.crossover(key, first, second)))
    made = jax.device_get(cross(jax.random.split(jax.random.key(0), 200)))
    found = {text(PRIMITIVES, Tree(made.op[i], made.constant[i])) for i in range(200)}
    parts = ("y", "log(y)", "mul(y, log(y))")
    assert found == {f"add({part}, x)" for part in parts} | {f"add(x, {part})" for part in parts}


def test_a_start_is_where_a_search_begins() -> None:
    space = Expression(PRIMITIVES, start="square(sub(x, y))")
    assert text(PRIMITIVES, space.start(jax.random.key(3))) == "square(sub(x, y))"
    assert space.repair(space.start(jax.random.key(3))) == space.start(jax.random.key(3))


class Quadratic(Problem):
    """Find x² + x from its values."""

    space = Expression(PrimitiveSet(("x",), LOSS_PRIMITIVES[:4]), max_size=15)

    def evaluate(self, key: jax.Array, omega: Program) -> jax.Array:
        x = jnp.linspace(-1, 1, 20)
        return jnp.mean((omega(x) - (x**2 + x)) ** 2)


def test_a_genetic_algorithm_searches_expressions() -> None:
    result = em.Search(Quadratic(), GeneticAlgorithm(population_size=200), seed=0).run(generations=25)
    assert result.best_fitness < 1e-10


def test_the_strategy_contract_holds_on_expressions() -> None:
    check_strategy(GeneticAlgorithm(population_size=8), Expression(PRIMITIVES, max_size=7))


def test_on_a_cpu_expressions_are_evaluated_one_at_a_time() -> None:
    problem = Quadratic()
    found = plan(problem, problem.space, GeneticAlgorithm(population_size=64), memory_budget=2**30, devices=1)
    assert isinstance(found, FullEvaluator)
    assert found.chunk == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_size": 0}, "to be a whole number of at least 1, got 0"),
        ({"max_depth": -1}, "to be a whole number of at least 0, got -1"),
        ({"max_size": 2.5}, "max_size.*a whole number.*got 2.5"),
        ({"start": "square(square(x))", "max_size": 2}, "at most 2 nodes, its max_size, got 3"),
        ({"start": "square(square(x))", "max_depth": 1}, "a depth of at most 1, its max_depth, got 2"),
        ({"start": "sin(x)"}, "the names of its primitive set, got 'sin'"),
    ],
)
def test_impossible_limits_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Expression(PRIMITIVES, **options)  # type: ignore[arg-type]
