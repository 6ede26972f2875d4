"""Bandits: the player observes the rewards of its pulls; nothing is differentiated."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from evometa.environments import GRU
from evometa.errors import ConfigurationError
from evometa.inner_training import train
from evometa.problems import Bandit

PROBLEM = Bandit(num_tasks=1, inner_steps=6, arms=3, units=4)


@pytest.fixture(scope="module")
def omega() -> Any:
    return PROBLEM.network.draw(jax.random.key(1))


def test_the_unit_is_flax_s(omega: Any) -> None:
    memory, x = jnp.array([0.1, -0.4, 0.3, 0.9]), jnp.array([0.0, 1.0, 0.0, 1.0])
    biases = jnp.arange(12.0) / 10
    weights = omega | {"bias": biases, "memory_bias": jnp.arange(4.0)}
    gates = {}
    for number, (gate, i) in enumerate(zip("rzn", range(0, 12, 4), strict=True)):
        gates[f"i{gate}"] = {"kernel": weights["input"][:, i : i + 4], "bias": biases[i : i + 4]}
        gates[f"h{gate}"] = {"kernel": weights["memory"][:, i : i + 4]} | (
            {"bias": jnp.arange(4.0)} if number == 2 else {}
        )
    expected, _ = nn.GRUCell(4).apply({"params": gates}, memory, x)
    found, outputs = GRU(4, 4, 3).run(weights, memory, x)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(outputs, found @ omega["output"], rtol=1e-5)


def test_the_fitness_is_the_total_reward_in_expectation(omega: Any) -> None:
    key = jax.random.key(3)
    task = PROBLEM.sample_task(key)
    player, total, pulled = PROBLEM.init(key, omega, task), 0.0, []
    for number in range(6):
        before = player
        player = train(PROBLEM, key, omega, task, player, number, 1)
        _, preferences = PROBLEM.network.run(omega, before.memory, before.sees)
        arm = int(np.argmax(preferences))
        expected = np.append(np.eye(3)[arm], task.pays[number, arm])
        np.testing.assert_array_equal(player.sees, expected)
        total += float(task.chances[arm])
        pulled.append(arm)
    found = PROBLEM.evaluate_task(key, omega, task)
    assert float(found.fitness) == pytest.approx(total, rel=1e-6)
    assert found.metrics["best_arm_at_last"] == (pulled[-1] == int(np.argmax(task.chances)))


def test_luck_has_the_chances_of_the_arms() -> None:
    tasks = jax.vmap(Bandit(inner_steps=50).sample_task)(jax.random.split(jax.random.key(0), 400))
    pays, chances = np.asarray(tasks.pays), np.asarray(tasks.chances)
    assert set(np.unique(pays)) == {0.0, 1.0}
    errors = (pays.mean(axis=1) - chances) / np.sqrt(chances * (1 - chances) / 50 + 1e-4)
    assert abs(errors.mean()) < 4 / np.sqrt(errors.size)
    assert 0.8 < errors.std() < 1.2


def test_shifted_arms_keep_the_network() -> None:
    shifted = PROBLEM.shifted()
    assert {problem.network for problem in shifted.values()} == {PROBLEM.network}
    assert shifted["arms alike"].chance_range == (0.25, 0.75)
    assert shifted["twice the pulls"].inner_steps == 12


@pytest.mark.parametrize("chance_range", [(0.5, 0.5), (0.7, 0.2)])
def test_refuses_an_empty_range(chance_range: tuple[float, float]) -> None:
    with pytest.raises(ConfigurationError, match=re.escape("Bandit expects chance_range as low < high, got (0.")):
        Bandit(chance_range=chance_range)
