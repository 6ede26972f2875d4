"""Distributions make progress where most candidates fail at random, and do not walk off."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box
from evometa.strategies import CMAES, XNES

from ..driver import search


def mostly_failing(x: jax.Array) -> jax.Array:
    """Return the sphere, of which nine in ten candidates fail: those whose bits are no multiple of ten."""
    bits = jax.lax.bitcast_convert_type(x[:, 0], jnp.uint32)
    return jnp.where(bits % 10 == 0, jnp.sum(x**2, axis=1), jnp.inf)


@pytest.mark.parametrize("strategy", [CMAES(24), XNES(24)], ids=lambda strategy: type(strategy).__name__)
def test_progress_where_nine_in_ten_fail(strategy: Any) -> None:
    found = search(strategy, Box((5,), start=np.full(5, 3.0)), mostly_failing, generations=400)
    assert np.sum(np.asarray(found.center) ** 2) < 10.0  # 45 at the start
