"""Random search draws from the whole space, independently in each generation."""

import jax
import numpy as np

from evometa.spaces import Box, Dict, Integer
from evometa.strategies import RandomSearch


def test_draws_from_the_whole_space() -> None:
    strategy = RandomSearch(400)
    state = strategy.init(jax.random.key(0), Dict({"x": Box((), -1.0, 1.0), "n": Integer(1, 4)}))
    first, state = strategy.ask(jax.random.key(1), state)
    second, state = strategy.ask(jax.random.key(2), state)
    assert np.unique(np.asarray(first[:, 1])).tolist() == [1.0, 2.0, 3.0, 4.0]
    quarters = np.histogram(np.asarray(first[:, 0]), bins=4, range=(-0.5, 0.5))[0]
    assert quarters.sum() == 400
    assert quarters.min() > 60  # 100 expected, standard deviation 9
    assert not np.isin(np.asarray(first[:, 0]), np.asarray(second[:, 0])).any()
