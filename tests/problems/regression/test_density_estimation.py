"""The flow is a density and its change of variables is right; points are of the densities; inner steps descend."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError, learning_curve
from evometa.problems import DensityEstimation
from evometa.problems.regression.density_estimation import SHAPES

KEY = jax.random.key(5)
PROBLEM = DensityEstimation(layers=3, hidden=4, inner_steps=1)
RATE = 1e-3


def test_the_flow_is_a_density_that_follows_the_points_and_a_step_makes_the_support_likelier() -> None:
    line = np.linspace(-12, 12, 241, dtype=np.float32)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]], np.float32)

    @jax.jit
    def run(key: Any) -> Any:
        omega, task = PROBLEM.space.decode(PROBLEM.space.sample(key)), PROBLEM.sample_task(key)
        omega["weights"]["out"] *= 4
        omega["log_rates"] = jax.tree.map(lambda rate: jnp.full_like(rate, np.log(RATE)), omega["log_rates"])
        support = task.support - jnp.mean(task.support, axis=0)
        losses, after = learning_curve(PROBLEM, key, omega, task._replace(support=support, query=support), (0, 1))
        moved = 3 * support @ turn + 1
        points = [(support, grid), (support, support), (moved, moved)]
        logs = [PROBLEM.log_likelihood(omega["weights"], *each) for each in points]
        return losses, logs, omega["weights"], after

    losses, (log_density, found, moved), before, after = jax.device_get(run(KEY))
    assert np.exp(log_density).sum() * 0.1**2 == pytest.approx(1, abs=2e-3)
    np.testing.assert_allclose(found - 2 * np.log(3), moved, atol=0.02)
    assert losses[0] == pytest.approx(-found.mean(), rel=1e-4)
    # What a small step gains is the squared length of the gradient times the size of the step.
    squared = sum(np.sum((before[name] - after[name]) ** 2) for name in before) / RATE
    assert losses[0] - losses[1] == pytest.approx(squared, rel=0.2)


@pytest.mark.parametrize(("shape", "least", "most"), [("arc", 0.4, 1.6), ("wave", 0.0, 2.2), ("spiral", 0.0, 2.0)])
def test_points_are_those_of_the_shapes(shape: Any, least: float, most: float) -> None:
    points = np.asarray(SHAPES[shape](KEY, 1000))
    radius = np.hypot(*points.T)
    assert least <= radius.min()
    assert radius.max() <= most
    if shape == "arc":
        assert radius.std() == pytest.approx(0.1, rel=0.1)


def test_a_density_without_shapes() -> None:
    with pytest.raises(ConfigurationError, match="shapes"):
        DensityEstimation(shapes=())
