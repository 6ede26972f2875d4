"""The optimizer field: every strategy moves as optax alone would, ClipUp keeps its longest step, and errors."""

import functools
import json
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tyro

from evometa.cli.options import registry
from evometa.errors import ConfigurationError
from evometa.naming import describe, rebuild
from evometa.spaces import Box
from evometa.strategies import NRES, PES, PGPE, FullES, Gradient, OpenAIES, Optimizer, TruncatedES
from evometa.strategy import Feedback, Strategy
from evometa.testing import check_strategy

from ..driver import search, sphere

KEY = jax.random.key(0)
POINT = jnp.array([3.0, -4.0, 0.5])
ALONE: list[tuple[Optimizer | str, optax.GradientTransformation]] = [
    ("adam", optax.adam(0.1)),
    (Optimizer("adam", {"b1": 0.5, "nesterov": True}), optax.adam(0.1, b1=0.5, nesterov=True)),
    ("sgd", optax.sgd(0.1)),
    (Optimizer("sgd", {"momentum": 0.5}), optax.sgd(0.1, momentum=0.5)),
    ("momentum", optax.sgd(0.1, momentum=0.9)),
    (Optimizer("momentum", {"decay": 0.7, "nesterov": True}), optax.sgd(0.1, momentum=0.7, nesterov=True)),
    (Optimizer("adamw", {"weight_decay": 0.3}), optax.adamw(0.1, weight_decay=0.3)),
    ("lion", optax.lion(0.1)),
    ("scale_by_sign", optax.sign_sgd(0.1)),
]


def descend(strategy: Gradient, steps: int = 5) -> jax.Array:
    """Return where the gradient of a sphere leads from ``POINT``."""

    @jax.jit
    def one(state: Any) -> Any:
        genotypes, state = strategy.ask(KEY, state)
        return strategy.tell(KEY, state, genotypes, Feedback(jnp.sum(genotypes**2, axis=1), gradient=2 * genotypes))

    state = strategy.init(KEY, Box((3,), start=POINT))
    for _ in range(steps):
        state = one(state)
    return strategy.center(state)


@pytest.mark.parametrize(("optimizer", "alone"), ALONE)
def test_it_moves_as_optax_alone_does(optimizer: Optimizer | str, alone: optax.GradientTransformation) -> None:
    point, state = POINT, alone.init(POINT)
    for _ in range(5):
        updates, state = alone.update(2 * point, state, point)
        point = jnp.asarray(optax.apply_updates(point, updates))
    found = descend(Gradient(learning_rate=0.1, largest_norm=100.0, optimizer=optimizer))
    np.testing.assert_allclose(found, point, rtol=1e-5)


def test_clip_up_steps_along_the_gradient_and_no_longer_than_allowed() -> None:
    first = descend(Gradient(learning_rate=0.1, optimizer="clip_up"), steps=1)
    np.testing.assert_allclose(first, POINT - 0.1 * POINT / jnp.linalg.norm(POINT), rtol=1e-6)
    optimizer = Optimizer("clip_up", {"max_speed": 1.5, "momentum": 0.8})
    rates = np.array([0.1, 0.05, 0.025, 0.025, 0.025])
    for learning_rate in (0.1, lambda step: jnp.asarray(rates, jnp.float32)[step]):
        made = optimizer.transformation(learning_rate)
        state, lengths = made.init(POINT), []
        for _ in rates:
            updates, state = made.update(jnp.array([1e15, 2e15, 0.0]), state)
            lengths.append(float(jnp.linalg.norm(updates)))
        limit = 1.5 * (rates if callable(learning_rate) else 0.1)
        assert (np.asarray(lengths) <= limit * (1 + 1e-6)).all()
        np.testing.assert_allclose(lengths[-1], np.broadcast_to(limit, 5)[-1], rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["clip_up", "adamw", Optimizer("rmsprop", {"decay": 0.5})])
def test_weight_decay_is_decoupled_whatever_the_optimizer(optimizer: Any) -> None:
    learning_rate = 0.5
    made = Optimizer.of(optimizer)
    plain, decaying = made.transformation(lambda _: learning_rate), made.transformation(lambda _: learning_rate, 0.1)
    gradient = jnp.array([1.0, 2.0, -3.0])
    without, _ = plain.update(gradient, plain.init(POINT), POINT)
    found, _ = decaying.update(gradient, decaying.init(POINT), POINT)
    np.testing.assert_allclose(found, without - 0.05 * POINT, rtol=1e-6)


@pytest.mark.parametrize(
    "strategy",
    [
        OpenAIES(16, learning_rate=0.05, weight_decay=0.01, optimizer="lion"),
        PGPE(16, optimizer=Optimizer("adam", {"b1": 0.5})),
    ],
    ids=lambda strategy: type(strategy).__name__,
)
def test_strategies_keep_the_contract_with_any_optimizer(strategy: Strategy[Any]) -> None:
    check_strategy(strategy)


@pytest.mark.parametrize("strategy", [OpenAIES, PGPE, Gradient, FullES, TruncatedES, PES, NRES])
def test_a_manifest_holds_it(strategy: Any) -> None:
    made = strategy(8, optimizer=Optimizer("adamw", {"weight_decay": 0.1, "b1": 0.5}))
    again = rebuild(json.loads(json.dumps(describe(made))))
    assert again == made
    assert hash(again) == hash(made)
    assert again.optimizer.settings == (("b1", 0.5), ("weight_decay", 0.1))


def test_a_manifest_of_pgpe_from_before_it_had_an_optimizer() -> None:
    before = describe(PGPE(8, max_speed=0.5))
    del before["fields"]["optimizer"]
    assert rebuild(before) == PGPE(8, max_speed=0.5)


def test_the_longest_step_of_pgpe() -> None:
    space, radius = Box((4,), start=np.zeros(4)), 0.1 * np.sqrt(4)
    found = search(PGPE(8, max_speed=0.5), space, lambda x: x[:, 0], generations=6)
    before = search(PGPE(8, max_speed=0.5), space, lambda x: x[:, 0], generations=5)
    step = np.linalg.norm(np.asarray(found.state.inner.mean - before.state.inner.mean))
    assert 0.4 * radius < step <= 0.5 * radius * (1 + 1e-5)
    adam = PGPE(32, optimizer="adam", max_speed=1.0)
    assert search(adam, Box((4,), start=np.zeros(4)), sphere, generations=100).best < 1e-2


def test_a_word_of_the_command_line_and_back() -> None:
    word = "adam:b1=0.5,nesterov=True"
    assert Optimizer.from_word(word) == Optimizer("adam", {"nesterov": True, "b1": 0.5})
    assert Optimizer.from_word(word).as_word() == word
    assert Optimizer.from_word("sgd") == Optimizer("sgd")


def test_an_option_of_the_command_line() -> None:
    read = functools.partial(tyro.cli, OpenAIES, registry=registry)
    assert read(args=["--optimizer", "sgd"]) == OpenAIES(optimizer=Optimizer("sgd"))
    assert read(args=["--optimizer", "lion:b1=0.5"]) == OpenAIES(optimizer=Optimizer("lion", {"b1": 0.5}))
    assert read(args=[]) == OpenAIES()


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("adma", {}, "got 'adma'. Nearest: adam"),
        ("apply_updates", {}, "got 'apply_updates'"),
        ("__doc__", {}, "got '__doc__'"),
        ("adam", {"beta1": 0.5}, "settings that adam has, got 'beta1'. Nearest: b1"),
        ("adamw", {"learning_rate": 0.5}, "settings that adamw has, got 'learning_rate'"),
        ("adam", 0.5, "to be a dict with strings as keys or a tuple of tuples of a string and anything, got 0.5"),
        ("adam", {"b1": jnp.ones(2)}, "expects numbers, strings, booleans or tuples of these"),
        ("polyak_sgd", {}, "works by gradients and plain settings alone, and polyak_sgd does not"),
        ("lookahead", {}, "works by gradients and plain settings alone, and lookahead does not"),
        ("lbfgs", {}, "works by gradients and plain settings alone, and lbfgs does not"),
    ],
)
def test_errors_name_what_is_known(name: str, settings: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        OpenAIES(8, optimizer=Optimizer(name, settings))


def test_what_is_no_optimizer_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=re.escape("to be an instance of Optimizer or a string")):
        OpenAIES(8, optimizer=optax.adam(0.1))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=re.escape("got 'adma'. Nearest: adam")):
        PES(8, optimizer="adma")
