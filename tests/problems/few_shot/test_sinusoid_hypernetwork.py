"""The learner depends on the support points alone, not on their order."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.errors import ConfigurationError
from evometa.problems import Sinusoid, SinusoidHypernetwork

PROBLEM = SinusoidHypernetwork(num_tasks=1, hidden=3, encoder=(4,))


@pytest.fixture(scope="module")
def omega() -> Any:
    return PROBLEM._draw(jax.random.key(1))


def test_the_learner_is_the_base_and_a_linear_map_of_the_mean(omega: Any) -> None:
    task = PROBLEM.sample_task(jax.random.key(2))
    weights = PROBLEM.init(jax.random.key(0), omega, task)
    y = np.asarray(task.amplitude * np.sin(task.support_x - task.phase))
    first, out = omega["points"]["Dense_0"], omega["out"]["Dense_0"]
    seen = np.maximum(np.hstack([task.support_x, y]) @ first["kernel"] + first["bias"], 0).mean(axis=0)
    change = seen @ out["kernel"] + out["bias"]
    leaves = [np.ravel(leaf) for leaf in jax.tree.leaves(omega["base"])]
    found = [np.ravel(leaf) for leaf in jax.tree.leaves(weights)]
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(leaves) + change, rtol=1e-4, atol=1e-5)
    assert jax.tree.structure(weights) == jax.tree.structure(omega["base"])


def test_the_order_of_the_examples_does_not_matter(omega: Any) -> None:
    task = PROBLEM.sample_task(jax.random.key(2))
    turned = task._replace(support_x=task.support_x[::-1])
    loss, other = (float(PROBLEM.evaluate_task(jax.random.key(0), omega, t).fitness) for t in (task, turned))
    assert loss == pytest.approx(other, rel=1e-5)


def test_tasks_are_those_of_the_sinusoid() -> None:
    key = jax.random.key(5)
    for draw in ("sample_task", "sample_test_task"):
        one, other = (getattr(problem, draw)(key) for problem in (PROBLEM, Sinusoid()))
        assert jax.tree.all(jax.tree.map(jnp.array_equal, one, other))


def test_refuses_nothing_to_see_and_an_empty_range() -> None:
    with pytest.raises(ConfigurationError, match="to be a tuple of 1 or more whole numbers of at least 1"):
        SinusoidHypernetwork(encoder=())
    with pytest.raises(ConfigurationError, match="expects x_range as two numbers, the smaller first"):
        SinusoidHypernetwork(x_range=(1.0, 1.0))
