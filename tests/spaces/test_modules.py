"""Modules of Equinox and Flax, and Partial, as ω and as learners: weights are searched, the rest stays as it is."""

import dataclasses
from pathlib import Path
from typing import Any

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx, struct

from evometa import ConfigurationError, Dict, InnerTraining, Like, Search, learning_curve, load_result
from evometa.backend.static_leaves import Packed, pack, unpack
from evometa.objectives import Mean
from evometa.strategies import PES

KEY = jax.random.key(0)
X = jnp.array([0.5])


@struct.dataclass
class Scaled:
    """A module of flax.struct."""

    w: jax.Array
    steps: jax.Array
    activation: Any = struct.field(pytree_node=False, default=jnp.tanh)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.activation(x) * self.w + self.steps


class Net(nnx.Module):
    """A module of flax.nnx with a counter and a stream of random numbers."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.linear, self.drop, self.activation = nnx.Linear(1, 1, rngs=rngs), nnx.Dropout(0.0, rngs=rngs), jax.nn.relu

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.linear(self.activation(self.drop(x)))


def times(w: jax.Array, x: jax.Array) -> jax.Array:
    """For Partial."""
    return w * x


def mlp(key: jax.Array) -> Any:
    """A module of Equinox, whose activation is a leaf."""
    return equinox.nn.MLP(1, 1, 2, 1, key=key)


MAKERS = {
    "equinox": mlp,
    "equinox with settings": lambda key: equinox.nn.Sequential([mlp(key), equinox.nn.Dropout(0.0)]),
    "flax.struct": lambda key: Scaled(jax.random.normal(key, (1,)), jnp.int32(3)),
    "Partial": lambda key: jax.tree_util.Partial(times, jax.random.normal(key, (1,))),
}
if issubclass(nnx.Module, getattr(nnx, "Pytree", ())):  # a pytree since Flax 0.12
    MAKERS["flax.nnx"] = lambda key: Net(nnx.Rngs(key))


def floats(tree: Any) -> int:
    """Count the numbers in float arrays."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]
    return sum(leaf.size for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating))


@pytest.mark.parametrize("kind", MAKERS)
def test_a_module_is_a_template_and_what_a_function_returns(kind: str) -> None:
    module = MAKERS[kind](KEY)
    template, drawn = Like(module), Like(MAKERS[kind])
    assert template.size == drawn.size == floats(module)
    assert type(template.decode(template.start(KEY))) is type(module)
    both = Dict({"a": template})

    @jax.jit
    def outputs() -> Any:
        """What the module gives, and those that spaces decode to where they begin; another one; and the start."""
        there = (space.decode(space.start(KEY)) for space in (template, drawn, both))
        mine, made, (inside,) = next(there), next(there), next(there).values()
        other = template.decode(template.sample(jax.random.key(1)))
        return module(X), mine(X), made(X), inside(X), other(X), template.start(KEY)

    expected, mine, made, inside, other, start = outputs()
    np.testing.assert_array_equal(inside, mine)
    np.testing.assert_allclose(mine, expected, rtol=1e-6)
    np.testing.assert_allclose(made, expected, rtol=1e-6)
    np.testing.assert_allclose(template.encode(module), start, rtol=1e-6)
    assert np.any(np.asarray(other) != expected)


@dataclasses.dataclass(frozen=True)
class Tracked(InnerTraining):
    """Trains modules to output zero."""

    num_tasks: int = 2
    inner_steps: int = 2
    kind: str = "equinox"

    @property
    def space(self) -> Like:
        return Like(MAKERS[self.kind])

    def sample_task(self, key: jax.Array) -> jax.Array:
        return jax.random.normal(key, (4, 1))

    def init(self, key: jax.Array, omega: Any, task: jax.Array) -> Any:
        return omega

    def step(self, key: jax.Array, omega: Any, task: jax.Array, learner: Any) -> Any:
        gradient = equinox.filter_grad(lambda net: self.loss(key, omega, task, net))(learner)
        return equinox.apply_updates(learner, jax.tree.map(lambda leaf: -0.1 * leaf, gradient))

    def loss(self, key: jax.Array, omega: Any, task: jax.Array, learner: Any) -> jax.Array:
        return jnp.mean(jax.vmap(learner)(task) ** 2)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_module_is_a_learner(kind: str) -> None:
    problem, task = Tracked(kind=kind), jnp.array([[1.0], [0.5]])
    omega = MAKERS[kind](KEY)

    @jax.jit
    def curves() -> Any:
        by_hand, losses = omega, []
        for _ in range(2):
            by_hand = problem.step(KEY, omega, task, by_hand)
            losses.append(problem.loss(KEY, omega, task, by_hand))
        return learning_curve(problem, KEY, omega, task, (1, 2))[0], jnp.stack(losses)

    np.testing.assert_allclose(*curves(), rtol=1e-5)


def test_a_module_is_searched_carried_kept_and_read_again(tmp_path: Path) -> None:
    search = Search(
        Tracked(objective=Mean()), PES(2, unroll_length=1), run_directory=tmp_path / "run", validation_share=0.0
    )
    result = search.run(generations=2)
    read = load_result(tmp_path / "run").best_omega
    np.testing.assert_array_equal(read(X), result.best_omega(X))
    assert isinstance(read, equinox.nn.MLP)


def test_arrays_alone_are_packed_as_they_are() -> None:
    plain = {"w": jnp.ones(2), "n": 3, "rate": 0.1}
    assert pack(plain) is plain
    module = MAKERS["equinox with settings"](KEY)
    packed = pack({"net": module, "n": 3})
    assert isinstance(packed, Packed)
    assert len(packed.arrays) == 5
    assert unpack(packed)["net"](X) == module(X)
    assert jax.jit(lambda tree: unpack(tree)["net"](X))(packed) == pytest.approx(float(module(X)[0]), rel=1e-6)


def test_a_function_that_draws_nothing_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"calling <lambda> with a key fails: TypeError.*give a function of the"
    ):
        Like(lambda key, x: key)
    with pytest.raises(ConfigurationError, match="got leaves of type"):
        Like(lambda key: jnp.arange(3))
    with pytest.raises(ConfigurationError, match="start with the structure"):
        Like(mlp(KEY)).encode(equinox.nn.MLP(1, 1, 3, 1, key=KEY))
