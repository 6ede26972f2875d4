import functools
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from deap import gp

from evometa.errors import ConfigurationError
from evometa.expressions import (
    Expression,
    Primitive,
    PrimitiveSet,
    Tree,
    check_tree,
    from_deap,
    parse,
    primitive_set,
    python,
    text,
    to_deap,
)
from evometa.expressions.tree import structure

PRIMITIVES = PrimitiveSet(("prediction", "label"))
LOSS = "add(square(sub(prediction, label)), 0.5)"


def random_trees(space: Expression, count: int, seed: int = 0) -> list[Tree]:
    trees = jax.device_get(jax.jit(jax.vmap(space.sample))(jax.random.split(jax.random.key(seed), count)))
    return [Tree(trees.op[i], trees.constant[i]) for i in range(count)]


def same_bits(first: Tree, second: Tree) -> bool:
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in zip(first, second, strict=True))


def test_a_tree_is_its_codes_in_prefix_order() -> None:
    tree = parse(PRIMITIVES, LOSS, 8)
    names = [(*PRIMITIVES.names, "constant", "")[code] for code in np.asarray(tree.op)]
    assert names == ["add", "square", "sub", "prediction", "label", "constant", "", ""]
    assert np.asarray(tree.constant).tolist() == [0, 0, 0, 0, 0, 0.5, 0, 0]


def test_text_and_deap_preserve_every_bit() -> None:
    space = Expression(PRIMITIVES)
    for tree in random_trees(space, 200):
        assert same_bits(parse(PRIMITIVES, text(PRIMITIVES, tree), 31), tree)
        other = to_deap(PRIMITIVES, tree)
        assert same_bits(parse(PRIMITIVES, str(other), 31), tree)
        assert same_bits(from_deap(PRIMITIVES, other, 31), tree)


def test_trees_of_deap_are_converted_back_and_forth() -> None:
    primitives = PrimitiveSet(("prediction", "label"), PRIMITIVES.primitives[:-2])  # DEAP draws no "bool" terminal
    random.seed(0)
    for _ in range(50):
        tree = gp.PrimitiveTree(gp.genHalfAndHalf(primitive_set(primitives), 1, 4))
        assert to_deap(primitives, from_deap(primitives, tree)) == tree


def test_structure_of_a_tree() -> None:
    of = jax.jit(functools.partial(structure, PRIMITIVES))
    found = jax.device_get(of(parse(PRIMITIVES, LOSS, 8).op))
    assert int(found.size) == 6
    assert found.span[:6].tolist() == [6, 4, 3, 1, 1, 1]
    assert found.depth[:6].tolist() == [0, 1, 2, 3, 3, 1]
    assert found.parent[:6].tolist() == [-1, 0, 1, 2, 2, 0]
    assert found.slot[:6].tolist() == [0, 0, 0, 0, 1, 1]
    for tree in random_trees(Expression(PRIMITIVES), 50, seed=3):
        other, found = to_deap(PRIMITIVES, tree), jax.device_get(of(tree.op))
        spans = [other.searchSubtree(i) for i in range(len(other))]
        assert found.span[: len(other)].tolist() == [s.stop - s.start for s in spans]
        assert int(found.depth[: len(other)].max()) == other.height


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (LOSS, "square(prediction - label) + 0.5"),
        ("mul(add(label, -1e-05), log(prediction))", "(label + -1e-05) * log(prediction)"),
        ("sub(label, sub(label, mul(label, 2)))", "label - (label - label * 2.0)"),
    ],
)
def test_python(given: str, shown: str) -> None:
    assert python(PRIMITIVES, parse(PRIMITIVES, given)) == shown


def test_primitives_without_inputs() -> None:
    pi = Primitive("pi", lambda: jnp.asarray(np.pi), ())
    primitives = PrimitiveSet(("x",), (*PRIMITIVES.primitives, pi))
    tree = parse(primitives, "mul(x, pi())")
    assert str(to_deap(primitives, tree)) == "mul(x, pi)"
    assert same_bits(from_deap(primitives, to_deap(primitives, tree)), tree)
    assert Expression(primitives).decode(tree)(jnp.ones(2)).tolist() == pytest.approx([np.pi] * 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("add(label", "expects text such as"),
        ("label + 1", "calls of primitives by name, arguments and numbers, got 'label \\+ 1'"),
        ("add(label, other)", "the names of its primitive set, got 'other'"),
        ("add(label)", "'add' expects 2 inputs, got 1 in 'add\\(label\\)'"),
        ("add", "'add' expects 2 inputs, got 0"),
        ("label()", "'label' expects 0 inputs"),
        ("add(label, 1e999)", "constants that are finite numbers, got inf"),
        ("add(label, less(label, 1))", "Primitive 'add' expects the type 'real', got 'less' of type 'bool'"),
        ("less(label, 1)", "An expression expects the type 'real', got 'less' of type 'bool'"),
        ("if_then_else(label, 1, 2)", "'if_then_else' expects the type 'bool', got 'label' of type 'real'"),
        ("square(square(square(square(label))))", "at most 4 nodes, its max_size, got 5; raise max_size"),
    ],
)
def test_bad_text_is_refused_in_words(given: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse(PRIMITIVES, given, 4)


@pytest.mark.parametrize(
    ("op", "message"),
    [
        ([0, 14], "all inputs of its primitives, and 1 are missing at its end"),
        ([14, 14], "one root, and 1 nodes follow after its end"),
        ([99], "codes from 0 to 16, got 99 at 0"),
        ([-1, 14], "its nodes first and then padding of -1"),
        ([[14]], r"one shape \[L\], got \[1, 1\] and \[1, 1\]"),
    ],
)
def test_bad_arrays_are_refused_in_words(op: list[int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check_tree(PRIMITIVES, Tree(np.array(op, np.int32), np.zeros(np.shape(op))))  # type: ignore[arg-type]


def test_a_deep_tree_and_foreign_nodes_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="a depth of at most 2, its max_depth, got 3; raise max_depth"):
        check_tree(PRIMITIVES, parse(PRIMITIVES, LOSS), max_depth=2)
    with pytest.raises(ConfigurationError, match="constants that are real numbers, got True"):
        from_deap(PRIMITIVES, [gp.Terminal(True, False, bool)])
