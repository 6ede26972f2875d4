"""Arms change when the hazard says so, and a pull counts by the chance of its arm at that time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.inner_training import learning_curve
from evometa.problems import SwitchingBandit


def test_all_arms_change_together_as_often_as_the_hazard_says() -> None:
    problem = SwitchingBandit(inner_steps=100, hazard=0.1)
    tasks = jax.jit(jax.vmap(problem.sample_task))(jax.random.split(jax.random.key(0), 200))
    changed = np.diff(np.asarray(tasks.chances), axis=1) != 0
    assert (changed.all(2) == changed.any(2)).all()
    assert changed.mean() == pytest.approx(0.1, abs=4 * np.sqrt(0.1 * 0.9 / (200 * 99)))
    assert tasks.pays.mean() == pytest.approx(0.5, abs=0.03)


def test_without_changes_it_is_one_bandit() -> None:
    task = SwitchingBandit(inner_steps=30, hazard=0.0).sample_task(jax.random.key(1))
    assert (np.asarray(task.chances) == np.asarray(task.chances[0])).all()


def test_a_pull_counts_by_the_chance_of_its_arm_at_that_time() -> None:
    problem = SwitchingBandit(num_tasks=1, inner_steps=5, hazard=0.5, units=2)
    key = jax.random.key(2)
    task = problem.sample_task(key)
    # Without weights all preferences are equal, and the first arm is pulled.
    omega = jax.tree.map(jnp.zeros_like, problem.network.draw(key))
    evaluation = jax.jit(problem.evaluate_task)(key, omega, task)
    assert float(evaluation.fitness) == pytest.approx(float(task.chances[:, 0].sum()), rel=1e-6)
    player = learning_curve(problem, key, omega, task, (problem.inner_steps,))[1]
    found = problem.metrics(key, omega, task, player)["best_arm_at_last"]
    assert float(found) == (np.argmax(task.chances[-1]) == 0)
