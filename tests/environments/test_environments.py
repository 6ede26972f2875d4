"""Episodes end when they should, observations are right, and the checks find violations of the contract."""

import dataclasses
import functools
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.environments import (
    Agent,
    Continuous,
    Discrete,
    Environment,
    Gymnax,
    Policy,
    Statistics,
    Transition,
    gymnax_adapter,
    play,
    record,
)
from evometa.errors import ConfigurationError
from evometa.testing import ContractError, check_environment


@dataclasses.dataclass(frozen=True)
class Corridor(Environment):
    """Walk right (1) or left (0); the episode ends at 3 or more, and a step earns the place."""

    max_steps: int = 20
    fails_at: float = 10.0

    actions = Discrete(2)

    def reset(self, key: Any) -> Any:
        return jnp.floor(2 * jax.random.uniform(key, (), jnp.float32))

    def step(self, key: Any, state: Any, action: Any) -> Transition:
        state = state + 2.0 * action - 1.0
        reward = jnp.where(state >= self.fails_at, jnp.nan, state)
        return Transition(state, reward, state >= 3)

    def observe(self, state: Any) -> Any:
        return jnp.stack([state, -state])


KEY = jax.random.key(0)
POLICY = Policy(2, Discrete(2))
RIGHT = {"layer_0": {"kernel": jnp.zeros((2, 2)), "bias": jnp.array([0.0, 1.0])}}
LEFT = {"layer_0": {"kernel": jnp.zeros((2, 2)), "bias": jnp.array([1.0, 0.0])}}


@pytest.mark.parametrize(("weights", "steps", "total", "terminated"), [
    (RIGHT, 2, 2 + 3, True), (LEFT, 20, -sum(range(20)), False)
])  # fmt: skip
def test_an_episode_ends_by_itself_or_at_the_time_limit(weights: Any, steps: int, total: int, terminated: bool) -> None:
    episode, _ = play(Corridor(), POLICY, weights, KEY, Agent.new(POLICY), jnp.float32(1))
    assert (int(episode.steps), float(episode.total), bool(episode.terminated)) == (steps, total, terminated)
    trajectory, _ = record(Corridor(), POLICY, weights, KEY, Agent.new(POLICY), jnp.float32(1))
    assert (int(trajectory.running.sum()), float(trajectory.rewards.sum())) == (steps, total)


def test_a_reward_that_is_no_number_ends_the_episode_as_a_failure() -> None:
    episode, _ = play(Corridor(fails_at=2), POLICY, RIGHT, KEY, Agent.new(POLICY), jnp.float32(0))
    assert np.isnan(episode.total)
    assert int(episode.steps) == 2


def test_observations_are_normalised_by_what_was_seen() -> None:
    seen = np.random.default_rng(0).normal(3.0, 2.0, (50, 2)).astype(np.float32)
    statistics = Statistics.empty(2)
    for observation in seen:
        statistics = statistics.seen(observation)
    with_first = np.concatenate([seen, np.zeros((1, 2), np.float32)])
    mean = with_first.mean(0)
    np.testing.assert_allclose(statistics.mean, mean, rtol=1e-5)
    deviation = np.sqrt((((with_first - mean) ** 2).sum(0) + 1) / 51)  # the first one has a variance of 1
    np.testing.assert_allclose(statistics.normalize(seen[0]), (seen[0] - mean) / deviation, rtol=1e-4)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("actions", [Discrete(3), Continuous((-1.0, 0.0), (1.0, 5.0))])
def test_a_policy_acts_alike_in_numpy_and_in_jax(actions: Any, recurrent: bool) -> None:
    policy = Policy(4, actions, (5,), recurrent)
    weights = jax.tree.map(lambda leaf: 3 * leaf, policy.draw(KEY))
    observations = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)

    def act(weights: Any, observations: Any) -> list[Any]:
        agent, actions = Agent.new(policy, normalize=True), []
        if isinstance(observations, jax.Array):
            agent = jax.tree.map(jnp.asarray, agent)
        for observation in observations:
            action, agent = agent.act(policy, weights, observation)
            actions.append(action)
        return actions

    compiled = jax.jit(act)(weights, observations)
    plain = act(jax.device_get(weights), observations)
    np.testing.assert_allclose(plain, compiled, rtol=1e-4)
    if isinstance(actions, Continuous):
        assert (np.less_equal(actions.low, plain) & np.less_equal(plain, actions.high)).all()
    assert len(np.unique(np.asarray(plain), axis=0)) > 1


def test_a_recurrent_policy_has_one_hidden_layer() -> None:
    with pytest.raises(ConfigurationError, match=r"one hidden layer, such as hidden=\(32,\), got hidden=\(\)"):
        Policy(2, Discrete(2), (), recurrent=True)


def test_a_sound_environment_passes() -> None:
    check_environment(Corridor())


@dataclasses.dataclass(frozen=True)
class Grows(Corridor):
    def step(self, key: Any, state: Any, action: Any) -> Transition:
        after = super().step(key, state, action)
        return after._replace(state=after.state.astype(jnp.float16))


@dataclasses.dataclass(frozen=True)
class Counts(Corridor):
    def step(self, key: Any, state: Any, action: Any) -> Transition:
        return super().step(key, state, action)._replace(terminated=jnp.int32(0))


@dataclasses.dataclass(frozen=True)
class SeesOneNumber(Corridor):
    def observe(self, state: Any) -> Any:
        return state


@pytest.mark.parametrize(("environment", "sentence"), [
    (Grows(), r"Grows\.step: state expects float32\[\], got float16\[\]"),
    (Counts(), r"Counts\.step: terminated expects a scalar bool, got .*int32"),
    (SeesOneNumber(), r"SeesOneNumber\.observe expects a vector of float32"),
    (Corridor(fails_at=2), r"Corridor expects finite rewards, got NaN or infinity at step \d+ of random actions"),
])  # fmt: skip
def test_what_breaks_the_contract_is_said(environment: Any, sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        check_environment(environment)


def test_the_environments_of_gymnax_are_gymnax_s() -> None:
    import gymnax

    environment, policy = Gymnax("CartPole-v1", limit=30), Policy(4, Discrete(2), (3,))
    weights = jax.tree.map(lambda leaf: 10 * leaf, policy.draw(jax.random.key(2)))
    episode, _ = jax.jit(lambda: play(environment, policy, weights, KEY, Agent.new(policy)))()
    made, parameters = gymnax.make("CartPole-v1")
    key_start, key_steps = jax.random.split(KEY)
    observation, state = made.reset_env(key_start, parameters)
    total, steps, over = 0.0, 0, False
    while not over and steps < 30:
        action = int(np.argmax(policy.run(weights, policy.memory(), observation)[0]))
        key = jax.random.fold_in(key_steps, steps)
        observation, state, reward, over, _ = made.step_env(key, state, action, parameters)
        total, steps = total + float(reward), steps + 1
    assert (float(episode.total), int(episode.steps)) == (total, steps)
    assert bool(episode.terminated) == over


@pytest.mark.parametrize("name", ["Pendulum-v1", "Catch-bsuite", "FourRooms-misc"])
def test_environments_of_gymnax_keep_the_contract(name: str) -> None:
    check_environment(Gymnax(name), steps=20)


@pytest.mark.parametrize("name", ["Reacher-misc", "Pendulum-v1"])  # Reacher's bounds are arrays of JAX
def test_actions_of_gymnax_are_known_while_a_program_is_traced(name: str) -> None:
    inside: list[Discrete | Continuous] = []
    jax.eval_shape(lambda: inside.append(Gymnax(name).actions))
    assert inside == [Gymnax(name).actions]


def test_an_environment_of_gymnax_that_is_made_while_a_program_is_traced_serves_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gymnax_adapter, "_make", functools.cache(gymnax_adapter._make.__wrapped__))
    jax.eval_shape(lambda key: Gymnax("Acrobot-v1").reset(key), jax.random.key(0))
    _, parameters = gymnax_adapter._make("Acrobot-v1")  # some are arrays of JAX
    assert not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(parameters))


def test_names_that_gymnax_lacks_and_a_missing_package_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="no environment 'Cartpole'; the nearest name is 'CartPole-v1'"):
        Gymnax("Cartpole")
    monkeypatch.setitem(sys.modules, "gymnax", None)
    with pytest.raises(ConfigurationError, match=r'pip install "evometa\[gymnax\]"'):
        Gymnax("Acrobot-v1")


def test_many_observations_at_once_have_the_statistics_of_one_after_the_other() -> None:
    observations = np.random.default_rng(0).normal(3.0, 2.0, (7, 2)).astype(np.float32)
    one = Statistics.empty(2)
    for observation in observations:
        one = one.seen(observation)
    for found, expected in zip(Statistics.empty(2).seen_all(observations), one, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
