import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.errors import ConfigurationError
from evometa.expressions import LOSS_PRIMITIVES, REDUCTIONS, Expression, Primitive, PrimitiveSet, parse
from evometa.expressions.tree import stack

SETS = {
    "all kinds": PrimitiveSet(("a", "b"), LOSS_PRIMITIVES),
    "reductions": PrimitiveSet(("a", "b"), (*LOSS_PRIMITIVES[:5], *REDUCTIONS)),
    "no inputs, one input": PrimitiveSet(
        ("a",),
        (Primitive("half", lambda: jnp.asarray(0.5), ()), Primitive("twice", lambda a: 2 * a, ("real",))),
        ephemeral=None,
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_each_value_is_that_of_the_program(name: str) -> None:
    primitives = SETS[name]
    space = Expression(primitives, max_size=15)
    trees = jax.jit(jax.vmap(space.sample))(jax.random.split(jax.random.key(3), 60))
    given = tuple(jax.random.normal(jax.random.key(4), (len(primitives.arguments), 6)))
    programs = jax.jit(jax.vmap(space.decode))(trees)
    expected = jax.jit(lambda p: jax.lax.map(lambda program: program(*given), p))(programs)
    found = jax.jit(lambda p: p.each(lambda values: {"values": values, "least": jnp.min(values)}, *given))(programs)
    np.testing.assert_allclose(found["values"], expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(found["least"], found["values"].min(axis=1))


def test_values_known_by_hand_from_a_single_leaf_to_a_full_tree() -> None:
    primitives = PrimitiveSet(("a", "b"), LOSS_PRIMITIVES)
    space = Expression(primitives, max_size=9)
    texts = ["b", "1.5", "sub(a, b)", "if_then_else(less(a, b), sub(b, a), 7.0)", "sub(sub(a, b), sub(b, sub(a, 2.0)))"]
    trees = stack([parse(primitives, text, 9) for text in texts])
    a, b = jnp.array([[1.0, 4.0]]), jnp.array([[3.0, 2.0]])
    found = jax.vmap(space.decode)(trees).each(lambda values: values, a, b)
    expected = [[3, 2], [1.5, 1.5], [-2, 2], [2, 7], [-6, 2]]
    np.testing.assert_array_equal(found, np.array(expected, np.float32)[:, None])


def test_a_population_of_one() -> None:
    primitives = PrimitiveSet(("a", "b"), LOSS_PRIMITIVES)
    programs = jax.vmap(Expression(primitives).decode)(stack([parse(primitives, "mul(a, b)", 31)]))
    assert jax.jit(lambda p: p.each(jnp.sum, jnp.arange(3.0), jnp.full(3, 2.0)))(programs).tolist() == [6.0]


def test_arguments_of_other_shapes_are_refused() -> None:
    primitives = PrimitiveSet(("a", "b"), LOSS_PRIMITIVES)
    programs = jax.vmap(Expression(primitives).decode)(stack([parse(primitives, "a", 31)]))
    with pytest.raises(ConfigurationError, match="all of one shape"):
        programs.each(jnp.sum, jnp.ones(2), jnp.ones(3))
