"""Spaces that a float type cannot hold: represented exactly, or refused with a reason."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, ConfigurationError, Dict, Integer, VectorSpace
from evometa.backend.precision import enable_x64
from evometa.strategies import PBIL, Reinforce

KEY = jax.random.key(1)
KEYS = jax.random.split(KEY, 500)


def drawn(space: VectorSpace) -> Any:
    return np.asarray(jax.jit(jax.vmap(lambda key: space.decode(space.sample(key))))(KEYS))


@pytest.mark.parametrize(
    ("low", "high", "double"),
    [
        (2**25, 2**25 + 8, False),
        (2**31 - 5, 2**31 - 1, False),
        (-(2**31), -(2**31) + 3, False),
        (0, 2**24, False),
        (-(2**23), 2**23, False),
        (2**30, 2**30 + 2**24, False),
        (0, 2**31 - 1, True),
        (0, 10**10, True),
        (2**62, 2**62 + 5, True),
        (0, 2**53, True),
    ],
)
def test_integers_are_drawn_and_changed_exactly(low: int, high: int, double: bool) -> None:
    space = Integer(low, high)
    with enable_x64(double):
        found = drawn(space)
        mutate = jax.vmap(lambda key: space.decode(space.mutate(key, space.sample(KEY))))
        children, ends = jax.device_get(
            jax.jit(lambda: (mutate(KEYS), jax.vmap(space.decode)(jnp.asarray(space.coordinates[:2]))))()
        )
    assert found.dtype == (np.int32 if low >= -(2**31) and high < 2**31 else np.int64)
    assert ends.tolist() == [low, high]
    for values in (found, children):
        assert low <= values.min()
        assert values.max() <= high
    assert len(np.unique(found)) >= min(high - low + 1, 490)
    assert 0.35 < np.mean(found % 2) < 0.7


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0, 2**24 + 1, "a range of at most 16777216 steps"),
        (0, 10**9, 'call jax.config.update("jax_enable_x64", True)'),
        (10**10, 10**10 + 5, "bounds within the type of ω, int32"),
    ],
)
def test_integers_that_float32_cannot_count_are_refused(low: int, high: int, words: str) -> None:
    space = Dict({"n": Integer(low, high)})
    for method in (space.sample, space.start, lambda _: space.decode(jnp.zeros(1))):
        with pytest.raises(ConfigurationError, match=re.escape(words)):
            method(KEYS[0])


def test_steps_starts_and_logarithms_of_wide_integers_are_exact() -> None:
    stepped = Integer(2**30, 2**30 + 7 * 10**6, step=7, start=2**30 + 14)
    assert int(stepped.decode(stepped.start(KEYS[0]))) == 2**30 + 14
    assert ((drawn(stepped) - 2**30) % 7 == 0).all()
    with enable_x64(True):
        far = Integer(2**62, 2**62 + 9, start=2**62 + 3)
        assert int(far.decode(far.start(KEYS[0]))) == 2**62 + 3
        assert drawn(Integer(2**25, 2**25 + 8, log=True)).min() >= 2**25
    with pytest.raises(ConfigurationError, match="a range of at most 16777216"):
        drawn(Integer(2**25, 2**25 + 8, log=True))


def test_limits_of_float64_and_int64_are_refused_too() -> None:
    with pytest.raises(ConfigurationError, match="bounds that int64 can hold"):
        Integer(0, 2**63)
    with enable_x64(True), pytest.raises(ConfigurationError, match="a range of at most 9007199254740992"):
        Integer(0, 2**53 + 1).sample(KEYS[0])


BOXES: list[dict[str, Any]] = [
    {"low": 1e-40, "high": 1.0, "log": True},
    {"low": 0.0, "high": 1e39},
    {"low": -3e38, "high": 3e38},
    {"low": 1e8, "high": 1e8 + 10.0},
    {"low": 0.0, "high": 1e-40},
]


@pytest.mark.parametrize("box", BOXES)
def test_boxes_that_float32_would_distort_are_refused_and_float64_holds_them(box: dict[str, Any]) -> None:
    space = Box((), **box)
    with pytest.raises(ConfigurationError, match=r"Box expects bounds that float32 can hold .* for float64, call"):
        drawn(space)
    with pytest.raises(ConfigurationError, match="Box expects bounds that float32 can hold"):
        space.decode(jnp.zeros(1))
    with enable_x64(True):
        found = drawn(space)
    assert found.min() > box["low"]
    assert found.max() < box["high"]
    assert len(np.unique(found)) == 500


def test_the_type_of_omega_counts_and_narrow_types_are_allowed_what_they_hold() -> None:
    with pytest.raises(ConfigurationError, match="Box expects bounds that float16 can hold"):
        drawn(Box((), 1e-6, 1.0, log=True, dtype=jnp.float16))
    for low, high in ((0.0, 1.0), (1.0, 2.0)):
        assert len(np.unique(drawn(Box((), low, high, dtype=jnp.bfloat16)))) > 30


@pytest.mark.parametrize("strategy", [PBIL(), Reinforce()])
def test_strategies_with_a_chance_for_each_value_refuse_too_many(strategy: Any) -> None:
    assert strategy.incompatibility(Integer(0, 1000)) is None
    assert "keeps a chance for each value" in strategy.incompatibility(Integer(0, 2**24, (2,)))
