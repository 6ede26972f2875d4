from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, Categorical, Dict, Fixed, Integer, Like, Permutation, Subset, When
from evometa.expressions import Expression, PrimitiveSet
from evometa.expressions.notation import parse
from evometa.storage.omega_text import omega_text

PRIMITIVES = PrimitiveSet(("x",))


@pytest.mark.parametrize(
    ("omega", "text"),
    [
        (
            {"lr": np.float32(0.1), "sgd": {"decay": np.array([1.0, 2.0])}, "n": np.int32(3)},
            "lr = 0.1, n = 3, sgd.decay = [1.0, 2.0]",
        ),
        (np.array([0.1, 0.2], np.float32), "[0.1, 0.2]"),
        ({"w": np.zeros((30, 40)), "b": np.zeros(40)}, "1,240 numbers in 2 arrays"),
        (np.zeros(100), "100 numbers"),
        ({"optimizer": "adam"}, "optimizer = adam"),
        ({"lr": np.float32(0.1), "net": {"w": np.zeros((30, 40))}}, "lr = 0.1, 1,200 numbers"),
        (np.arange(12), f"{list(range(12))}"),
        ({"order": np.arange(12), "w": np.zeros(9)}, f"order = {list(range(12))}, 9 numbers"),
        (Expression(PRIMITIVES).decode(parse(PRIMITIVES, "add(x, 0.5)")), "add(x, 0.5)"),
    ],
)
def test_an_omega_in_one_line(omega: Any, text: str) -> None:
    assert omega_text(omega) == text


CHOOSES = Categorical(["adam", "sgd"], start=1)
MODULE = Like(eqx.nn.Linear(2, 1, key=jax.random.key(0)))


@pytest.mark.parametrize(
    ("space", "text"),
    [
        (CHOOSES, "sgd"),
        (Categorical(["adam", "sgd"], (3,), start=["sgd", "adam", "sgd"]), "['sgd', 'adam', 'sgd']"),
        (Categorical([16, 32.5], start=1), "32.5"),
        (Categorical([jnp.tanh, jax.nn.relu], start=1), "relu"),
        (Categorical(3, start=2), "2"),
        (Dict(a=CHOOSES, b=Dict(c=CHOOSES, n=Integer(0, 9, start=3))), "a = sgd, b.c = sgd, b.n = 3"),
        (Dict(a=CHOOSES, m=When("a", "sgd", Box((), 0.0, 1.0, start=0.5))), "a = sgd, m = 0.5"),
        (Dict(a=CHOOSES, m=When("a", "adam", Box((), 0.0, 1.0, start=0.5))), "a = sgd"),
        (Dict(a=CHOOSES, b=When("a", "sgd", CHOOSES), c=When("b", "adam", CHOOSES)), "a = sgd, b = sgd"),
        (Dict(a=CHOOSES, net=When("a", "adam", MODULE)), "a = sgd"),
        (Dict(lr=Box((), 0.0, 1.0, start=0.5), v=Fixed(2.0)), "lr = 0.5, v = 2"),
        (Permutation(3, start=[2, 0, 1]), "[2, 0, 1]"),
        (Subset(5, 2, start=[4, 1]), "[1, 4]"),
    ],
)
def test_an_omega_of_a_space_with_the_names_of_categories(space: Any, text: str) -> None:
    omega = jax.device_get(space.decode(space.start(jax.random.key(0))))
    assert omega_text(space.readable(omega)) == omega_text(space.readable(space.present(omega))) == text


def test_a_module_in_a_part_that_is_active_is_counted_without_its_functions() -> None:
    net = Like(eqx.nn.MLP(1, 1, 16, 1, key=jax.random.key(0)))
    space = Dict(a=CHOOSES, b=When("a", "sgd", Dict(net=net)))
    omega = jax.device_get(space.decode(space.start(jax.random.key(0))))
    assert omega_text(space.readable(omega)) == "a = sgd, 49 numbers in 4 arrays"
