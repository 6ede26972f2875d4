"""Learned policy objectives: the agents' arithmetic, PPO and DPO as drifts, and that agents learn."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.environments import Continuous, Discrete, Environment, State, Transition
from evometa.errors import ConfigurationError
from evometa.expressions import compile_tree
from evometa.problems import LearnedPolicyObjective, LearnedPolicyObjectiveNetwork
from evometa.problems.policy_objectives import actor_critic
from evometa.problems.policy_objectives.actor_critic import ActorCritic, Experience
from evometa.problems.policy_objectives.environment_set import EnvironmentSet
from evometa.problems.policy_objectives.learned_policy_objective import DPO, PPO
from evometa.problems.policy_objectives.networks import LOG_DEVIATION
from evometa.problems.policy_objectives.policy_objective import CLIP, dpo, ppo
from evometa.settings import Count

RATIOS, ADVANTAGES = (
    part.ravel().astype(np.float32) for part in np.meshgrid(np.linspace(0.2, 2.5, 24), [-1.5, -0.2, 0.0, 0.4, 2.0])
)


@dataclasses.dataclass(frozen=True)
class Stay(Environment):
    """Four steps, in each of which the best action is .5; one that reaches .9 ends the episode."""

    max_steps: Count = 4

    @property
    def actions(self) -> Continuous:
        return Continuous((-1.0,), (1.0,))

    def reset(self, key: jax.Array) -> State:
        return jnp.zeros((), jnp.float32)

    def step(self, key: jax.Array, state: State, action: jax.Array) -> Transition:
        return Transition(state + 1, -jnp.abs(action[0] - 0.5), action[0] > 0.9)

    def observe(self, state: State) -> jax.Array:
        return state[None]


@dataclasses.dataclass(frozen=True)
class Choose(Environment):
    """Two steps, in each of which the last of three actions is the best, which is worth 1."""

    max_steps: Count = 2

    @property
    def actions(self) -> Discrete:
        return Discrete(3)

    def reset(self, key: jax.Array) -> State:
        return jnp.zeros(2, jnp.float32)

    def step(self, key: jax.Array, state: State, action: jax.Array) -> Transition:
        return Transition(state + 1, (action == 2).astype(jnp.float32), jnp.zeros((), bool))

    def observe(self, state: State) -> jax.Array:
        return state


TRAINER = ActorCritic(EnvironmentSet((Stay(), Choose())), (4,), 8, 8, 2, 2, 0.02)


def test_advantages_add_up_to_the_end_of_an_episode_and_look_beyond_a_time_limit() -> None:
    generator = np.random.default_rng(0)
    over = generator.random((6, 3)) < 0.4
    terminated = over & (generator.random((6, 3)) < 0.5)
    observations, following = generator.normal(size=(2, 6, 3, 2)).astype(np.float32)
    rewards = generator.normal(size=(6, 3)).astype(np.float32)
    none = jnp.zeros((6, 3))
    weights = TRAINER.networks.draw(1, jax.random.key(0))
    seen = Experience(observations, following, none, none, rewards, terminated, over)
    advantages, targets = map(np.asarray, jax.jit(TRAINER.advantages)(weights, seen))

    def value(x: np.ndarray) -> np.ndarray:
        values = jax.vmap(TRAINER.networks.run, (None, 0))(weights, x.reshape(-1, 2))[1]
        return np.asarray(values).reshape(x.shape[:-1])

    expected, later = np.zeros((6, 3)), np.zeros(3)
    for step in reversed(range(6)):
        ahead = np.where(terminated[step], 0, value(following[step]))
        error = rewards[step] + actor_critic.DISCOUNT * ahead - value(observations[step])
        later = error + actor_critic.DISCOUNT * actor_critic.TRACE * np.where(over[step], 0, later)
        expected[step] = later
    np.testing.assert_allclose(advantages, expected, atol=1e-5)
    np.testing.assert_allclose(targets, expected + value(observations), atol=1e-5)


def test_with_the_drift_of_ppo_the_objective_is_the_clipped_one() -> None:
    clipped = np.minimum(RATIOS * ADVANTAGES, np.clip(RATIOS, 1 - CLIP, 1 + CLIP) * ADVANTAGES)
    np.testing.assert_allclose(RATIOS * ADVANTAGES - ppo(RATIOS, ADVANTAGES), clipped, atol=1e-6)


@pytest.mark.parametrize(("text", "function"), [(PPO, ppo), (DPO, dpo)], ids=["PPO", "DPO"])
def test_known_drifts_are_expressions_of_the_space(text: str, function: object) -> None:
    problem = LearnedPolicyObjective(environments=("navigation",))
    space = problem.space
    drift = jax.jit(problem.drift)(compile_tree(space.primitives, space.encode(text)), RATIOS, ADVANTAGES)
    np.testing.assert_allclose(np.maximum(drift, 0), function(RATIOS, ADVANTAGES), atol=1e-6)  # type: ignore[operator]


def test_a_drift_is_not_negative_and_has_no_derivative_where_it_is_zero() -> None:
    formula = LearnedPolicyObjective(environments=("navigation",))
    network = LearnedPolicyObjectiveNetwork(environments=("navigation",))
    start = network.space.decode(network.space.start(jax.random.key(0)))
    np.testing.assert_allclose(network.valid_drift(start, RATIOS, ADVANTAGES), ppo(RATIOS, ADVANTAGES), atol=2e-6)
    program = compile_tree(formula.space.primitives, formula.space.encode("mul(sub(ratio, 1.0), advantage)"))
    for problem, omega in ((formula, program), (network, jax.tree.map(np.ones_like, start))):

        @jax.jit
        def drift(ratios: jax.Array, problem: Any = problem, omega: Any = omega) -> jax.Array:
            return problem.valid_drift(omega, ratios, ADVANTAGES)

        assert np.asarray(drift(RATIOS)).min() == 0 < np.asarray(drift(RATIOS)).max()
        agree = jnp.ones_like(RATIOS)
        assert not np.any(drift(agree))
        assert not np.any(jax.grad(lambda ratios, drift=drift: jnp.sum(drift(ratios)))(agree))


def test_agents_learn_the_best_action_in_either_environment() -> None:
    @jax.jit
    def trained(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        def one(number: jax.Array) -> tuple[jax.Array, jax.Array]:
            begun, keys = TRAINER.begin(number, key), jax.random.split(key, 30)
            learner, _ = jax.lax.scan(lambda one, key: (TRAINER.update(number, key, one, ppo), None), begun, keys)
            return TRAINER.score(number, key, begun, 2), TRAINER.score(number, key, learner, 2)

        return jax.lax.map(one, jnp.arange(2))

    before, after = map(np.asarray, trained(jax.random.key(1)))
    assert before[0] < -1.5
    assert after[0] > -0.5
    assert after[1] == 2


def test_what_is_drawn_has_the_density_of_its_distribution() -> None:
    networks = TRAINER.networks
    weights = networks.draw(0, jax.random.key(0))
    outputs = jnp.array([0.3, -1.0, 2.0])
    bits = jax.random.bits(jax.random.key(1), (4000, 3))

    @jax.jit
    def draw(number: int) -> tuple[jax.Array, jax.Array]:
        noise = jax.vmap(networks.noise, (None, 0))(number, bits)
        return jax.vmap(networks.choose, (None, None, None, 0))(weights, number, outputs, noise)

    vectors, densities = map(np.asarray, draw(0))
    deviation = np.exp(LOG_DEVIATION)
    z = (vectors[:, 0] - 0.3) / deviation
    np.testing.assert_allclose([z.mean(), z.std()], [0, 1], atol=0.06)
    np.testing.assert_allclose(densities, -(z**2) / 2 - LOG_DEVIATION, atol=1e-5)
    chosen, densities = map(np.asarray, draw(1))
    expected = np.asarray(jax.nn.softmax(outputs))
    np.testing.assert_allclose(chosen.mean(axis=0), expected, atol=0.03)
    np.testing.assert_allclose(densities, np.log(chosen @ expected), atol=1e-5)


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ConfigurationError, match="Nearest: CartPole-v1"):
        LearnedPolicyObjective(environments=("CartPole-v2",))
    with pytest.raises(ConfigurationError, match="at least one environment"):
        LearnedPolicyObjective(environments=())
    with pytest.raises(ConfigurationError, match=r"multiple of 4, its minibatches, got 3 · 3"):
        LearnedPolicyObjectiveNetwork(environments=("navigation",), copies=3, rollout=3)
