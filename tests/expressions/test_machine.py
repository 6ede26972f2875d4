import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from deap import gp

from evometa.errors import ConfigurationError
from evometa.expressions import (
    LOSS_PRIMITIVES,
    REDUCTIONS,
    Expression,
    PrimitiveSet,
    Program,
    Tree,
    compile_tree,
    parse,
    primitive_set,
    to_deap,
)
from evometa.expressions.machine import max_registers

PRIMITIVES = PrimitiveSet(("prediction", "label"))
WIDTH = 12


def draw(space: Expression, count: int, seed: int = 0) -> Tree:
    """Draw trees of all sizes: samples, crossed with samples a few times."""

    def one(key: jax.Array) -> Tree:
        def cross(tree: Tree, key: jax.Array) -> tuple[Tree, None]:
            return space.crossover(key, tree, space.sample(jax.random.fold_in(key, 1))), None

        return jax.lax.scan(cross, space.sample(key), jax.random.split(key, 4))[0]

    return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(seed), count))


@jax.jit
def inputs() -> tuple[jax.Array, jax.Array]:
    prediction = jax.nn.sigmoid(4 * jax.random.normal(jax.random.key(1), (WIDTH,)))
    return prediction, jnp.arange(WIDTH) % 3 % 2 + 0.0 * prediction


def one_by_one(function: Callable[[Program], Any], space: Expression, trees: Tree) -> Any:
    return jax.jit(lambda trees: jax.lax.map(lambda tree: function(space.decode(tree)), trees))(trees)


def deap_function(primitives: PrimitiveSet, trees: Tree, number: int) -> Callable[..., jax.Array]:
    tree = to_deap(primitives, jax.tree.map(lambda leaf: leaf[number], trees))
    compiled = gp.compile(tree, primitive_set(primitives))
    return lambda *given: jnp.broadcast_to(jnp.asarray(compiled(*given), given[0].dtype), given[0].shape)


@pytest.mark.usefixtures("float64")
def test_values_and_gradients_are_those_of_deap_on_hundreds_of_trees() -> None:
    space, given = Expression(PRIMITIVES), inputs()
    trees = draw(space, 400)
    sizes = np.sum(np.asarray(trees.op) >= 0, axis=1)
    assert sizes.min() <= 3
    assert sizes.max() >= 29

    def value_and_gradient(program: Program) -> Any:
        value, pull = jax.vjp(lambda p: program(p, given[1]), given[0])
        return value, pull(jnp.ones_like(value))[0]

    values, gradients = jax.device_get(one_by_one(value_and_gradient, space, trees))
    trees = jax.device_get(trees)
    for number in range(400):
        function = deap_function(PRIMITIVES, trees, number)
        value, gradient = jax.jvp(lambda p, f=function: f(p, given[1]), given[:1], (jnp.ones_like(given[0]),))
        np.testing.assert_allclose(values[number], value, rtol=1e-9, atol=1e-9)
        scale = max(1.0, float(jnp.abs(gradient).max()))
        np.testing.assert_allclose(gradients[number], gradient, rtol=1e-7, atol=1e-9 * scale)


def test_no_gradient_of_a_thousand_trees_fails_at_ordinary_inputs() -> None:
    space, given = Expression(PRIMITIVES), inputs()

    def gradient(program: Program) -> Any:
        return jax.grad(lambda p: jnp.mean(program(p, given[1])))(given[0])

    found = one_by_one(gradient, space, draw(space, 1000, seed=5))
    assert np.isfinite(found).all()


def test_a_batch_of_programs_computes_what_each_does_alone() -> None:
    space, given = Expression(PRIMITIVES, max_size=15), inputs()
    trees = draw(space, 64, seed=2)

    def both(program: Program) -> Any:
        return jax.value_and_grad(lambda p: jnp.sum(jnp.tanh(program(p, given[1]))))(given[0])

    alone = one_by_one(both, space, trees)
    batched = jax.jit(jax.vmap(lambda tree: both(space.decode(tree))))(trees)
    # Where tanh is close to 1, its derivative is what rounding leaves.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), alone, batched)


def test_a_batch_of_tasks_branches_and_a_batch_of_programs_selects() -> None:
    space, given = Expression(PRIMITIVES, max_size=7), jnp.ones((3, WIDTH))
    trees = draw(space, 3)
    tree = jax.tree.map(lambda leaf: leaf[0], trees)

    def loss(tree: Tree, x: jax.Array) -> jax.Array:
        return jax.grad(lambda x: jnp.sum(space.decode(tree)(x, x)))(x)

    over_tasks = str(jax.make_jaxpr(jax.vmap(loss, (None, 0)))(tree, given))
    over_programs = str(jax.make_jaxpr(jax.vmap(loss, (0, 0)))(trees, given))
    assert ("cond[" in over_tasks, "cond[" in over_programs) == (True, False)


def test_derivatives_with_respect_to_constants_in_both_modes_and_of_second_order() -> None:
    primitives = PrimitiveSet(("x", "y"))
    program = compile_tree(primitives, parse(primitives, "mul(tanh(mul(x, 0.5)), sub(y, exp(mul(x, -0.25))))", 15))
    x, y = jnp.linspace(-1, 1, 6).reshape(2, 3), jnp.linspace(0, 1, 6).reshape(2, 3)

    def machine(c: jax.Array, x: jax.Array) -> jax.Array:
        moved = program.constants.at[jnp.array([4, 10])].set(c)
        return jnp.sum(dataclasses.replace(program, constants=moved)(x, y) ** 2)

    def plain(c: jax.Array, x: jax.Array) -> jax.Array:
        return jnp.sum((jnp.tanh(x * c[0]) * (y - jnp.exp(x * c[1]))) ** 2)

    constants = jnp.array([0.5, -0.25])
    wanted = jax.jit(jax.grad(plain))(constants, x)
    for derivative in (
        jax.grad(machine),
        jax.jacfwd(machine),
        lambda c, x: jax.vmap(jax.grad(machine), (None, 0))(c, jnp.stack([x, x]))[1],
    ):
        np.testing.assert_allclose(jax.jit(derivative)(constants, x), wanted, rtol=1e-5)
    # What tuning constants by the gradient through inner training takes.
    mixed = [jax.jit(jax.jacfwd(jax.grad(f, argnums=1)))(constants, x) for f in (machine, plain)]
    np.testing.assert_allclose(*mixed, rtol=1e-4, atol=1e-6)


def test_expressions_that_reduce() -> None:
    primitives = PrimitiveSet(("x", "y"), (*LOSS_PRIMITIVES, *REDUCTIONS))
    text = "add(mul(mean(mul(x, y)), 1.5), sub(sum(square(x)), largest(sub(x, y))))"
    program = compile_tree(primitives, parse(primitives, text, 31))
    x, y = jnp.linspace(-1, 1, 6).reshape(2, 3), jnp.sin(jnp.arange(6.0)).reshape(2, 3)

    def plain(c: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.mean(x * y) * c + jnp.sum(x**2) - jnp.max(x - y)

    values = jax.jit(lambda c: (program(x, y), jnp.full((2, 3), plain(c, x, y))))(jnp.asarray(1.5))
    np.testing.assert_allclose(*values, rtol=1e-5)
    weights = jnp.arange(6.0).reshape(2, 3)

    def total(c: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
        moved = dataclasses.replace(program, constants=jnp.where(program.constants == 1.5, c, 0.0))
        return jnp.sum(weights * moved(x, y))

    found = jax.jit(jax.grad(total, argnums=(0, 1, 2)))(jnp.asarray(1.5), x, y)
    summed = jax.grad(lambda *given: jnp.sum(weights) * plain(*given), argnums=(0, 1, 2))
    wanted = jax.jit(summed)(jnp.asarray(1.5), x, y)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), found, wanted)


@pytest.mark.parametrize("text", ["label", "0.5"])
def test_a_single_leaf_is_a_program(text: str) -> None:
    program = compile_tree(PRIMITIVES, parse(PRIMITIVES, text))
    x = np.ones((2, 2), np.float32)
    value, slope = jax.jit(lambda x, y: (program(x, y), jax.grad(lambda y: jnp.sum(program(x, y)))(y)))(x, 3 * x)
    assert value.tolist() == (3 * x if text == "label" else 0.5 * x).tolist()
    assert slope.tolist() == (x if text == "label" else 0 * x).tolist()


def test_the_number_of_registers_is_small_and_within_the_bound() -> None:
    space = Expression(PRIMITIVES)
    register = one_by_one(lambda program: program.tables.instructions[:, 1], space, draw(space, 300, seed=4))
    assert int(register.max()) < max_registers(PRIMITIVES, 31) <= 6
    binary = PrimitiveSet(("x",), LOSS_PRIMITIVES[:4])
    assert max_registers(binary, 31) == 4  # a full tree of 15 instructions


def test_no_program_causes_a_compilation() -> None:
    space, given = Expression(PRIMITIVES, max_size=15), inputs()
    run = jax.jit(lambda tree: space.decode(tree)(*given))
    for seed in range(4):
        run(jax.tree.map(lambda leaf: leaf[0], draw(space, 64, seed=seed)))
    assert run._cache_size() == 1


def test_wrong_numbers_or_shapes_of_arguments_are_refused() -> None:
    program = compile_tree(PRIMITIVES, parse(PRIMITIVES, "sub(prediction, label)"))
    assert program(jnp.array([3]), jnp.array([1])).tolist() == [2.0]
    with pytest.raises(ConfigurationError, match=r"for each of \('prediction', 'label'\).*got the shapes \[\(3,\)\]"):
        program(jnp.ones(3))
    with pytest.raises(ConfigurationError, match=r"all of one shape, got the shapes \[\(3, 1\), \(3,\)\]"):
        program(jnp.ones((3, 1)), jnp.ones(3))
