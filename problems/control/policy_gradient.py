"""A stochastic policy that learns from a few episodes by a step of the policy gradient."""

import dataclasses
import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.environments import Continuous, Environment, State
from evometa.problems.shared.learned_steps import descend
from evometa.problems.shared.networks import MLP
from evometa.spaces import Dict, Like
from evometa.types import Key, Scalar

LOG_DEVIATIONS = (-6.0, 2.0)
"""Least and largest logarithm of a standard deviation."""
RIDGE = 1e-5
"""What is added to the diagonal of the baseline's normal equations, a share of the number of steps."""


@dataclasses.dataclass(frozen=True)
class GaussianPolicy:
    """A network with ReLU units whose outputs are mean and logarithm of the standard deviation of each action.

    Observations and actions of many steps have their coordinates first, ``[O, N]`` and ``[A, N]``, which makes the
    gradients of small networks three times as fast on a CPU.

    Args:
        observations: O, how many numbers an observation has.
        actions: bounds of the A actions; -1 to 1 of the network stands for low to high, and what is beyond is clipped.
        hidden: width of each hidden layer; without any, the policy is linear.
    """

    observations: int
    actions: Continuous
    hidden: tuple[int, ...]

    def draw(self, key: Key) -> dict[str, Any]:
        """Draw initial weights."""
        return MLP((*self.hidden, 2 * self.actions.outputs)).draw(key, self.observations)

    def distribution(self, weights: Any, observations: jax.Array, log_scale: Scalar) -> tuple[jax.Array, jax.Array]:
        """Return means and logarithms of standard deviations, ``[A, N]`` each, for observations ``[O, N]``."""
        x = observations
        for number in range(len(self.hidden) + 1):
            layer = weights[f"Dense_{number}"]
            x = layer["kernel"].T @ (x if number == 0 else jax.nn.relu(x)) + layer["bias"][:, None]
        mean, log_deviation = jnp.split(x, 2)
        return mean, jnp.clip(log_deviation + log_scale, *LOG_DEVIATIONS)

    def log_density(self, weights: Any, observations: jax.Array, drawn: jax.Array, log_scale: Scalar) -> jax.Array:
        """Return the logarithm of the density of actions ``[A, N]`` before scaling, up to a constant, ``[N]``."""
        mean, log_deviation = self.distribution(weights, observations, log_scale)
        return -jnp.sum(((drawn - mean) * jnp.exp(-log_deviation)) ** 2 / 2 + log_deviation, axis=0)

    def scaled(self, drawn: jax.Array) -> jax.Array:
        """Return the environment's actions ``[A, N]``."""
        low, high = (jnp.asarray(bound, jnp.float32)[:, None] for bound in (self.actions.low, self.actions.high))
        return low + (high - low) * (jnp.clip(drawn, -1.0, 1.0) + 1) / 2


class Episodes(NamedTuple):
    """N episodes, step by step."""

    observations: jax.Array
    """Before each step, ``[S, O, N]``."""
    drawn: jax.Array
    """Actions before scaling, ``[S, A, N]``."""
    rewards: jax.Array
    """``[S, N]``, zero after the end."""
    running: jax.Array
    """``[S, N]``, whether the episode was not over before the step."""

    @property
    def total(self) -> Scalar:
        """The mean return."""
        return jnp.mean(jnp.sum(self.rewards, axis=0))


class PolicyGradientLearner(NamedTuple):
    """A policy and what it last experienced."""

    weights: Any
    log_rates: Any
    """Logarithms of step sizes: those of each update, like the weights with an axis before; given, as what follows."""
    log_scales: jax.Array
    """Logarithms of what standard deviations are multiplied by before and after each update, ``[updates + 1]``."""
    episodes: Episodes
    """Of the present weights."""
    updates: Scalar
    """Updates so far, int32."""

    @property
    def log_scale(self) -> Scalar:
        """The present one of them; after more updates than they are for, the last."""
        return self.log_scales[jnp.minimum(self.updates, len(self.log_scales) - 1)]

    @property
    def next_log_rates(self) -> Any:
        """Those of the next update, likewise."""
        return jax.tree.map(lambda leaf: leaf[jnp.minimum(self.updates, len(leaf) - 1)], self.log_rates)


@dataclasses.dataclass(frozen=True)
class PolicyGradient:
    """Learning by the policy gradient from N episodes an update, with a linear baseline fitted to these.

    Given are initial weights, step sizes for each of them in each update (Li et al., "Meta-SGD", 2017; Antoniou et al.,
    "How to train your MAML", 2019), and what the deviations of actions are multiplied by before the first and after
    each update, so that a policy can explore widely at first and be exact in the end. Advantages are normalised over
    the steps of an update, as in rllab (Duan et al. 2016), and the baseline is linear in observation, its square, and
    time to the third power.

    Args:
        environment: where.
        policy: the network.
        count: N, episodes of an update.
        learning_rate: step size at which a search for step sizes starts.
        discount: what a reward is worth one step later.
        through: how an outer gradient passes through episodes. "simulator": derivatives of the environment, exact;
            "policy": actions are given, and the gradient of a return is the policy gradient, as in MAML.
    """

    environment: Environment
    policy: GaussianPolicy
    count: int
    learning_rate: float
    discount: float
    through: Literal["simulator", "policy"] = "simulator"

    def space(self, updates: int) -> Dict:
        """Return the space of what is given; a search starts at random weights and deviations that become smaller."""
        weights = jax.eval_shape(self.policy.draw, jax.random.key(0))
        start = np.float32(math.log(self.learning_rate))
        rates = jax.tree.map(lambda leaf: np.full((updates, *leaf.shape), start), weights)
        scales = np.linspace(1, -2, updates + 1, dtype=np.float32)
        return Dict({"weights": Like(self.policy.draw), "log_rates": Like(rates), "log_scales": Like(scales)})

    def noise(self, key: Key, updates: int) -> jax.Array:
        """Draw the noise of all actions before and after a number of updates, ``[updates + 1, S, A, N]``."""
        shape = (updates + 1, self.environment.max_steps, self.policy.actions.outputs, self.count)
        return jax.random.normal(key, shape, jnp.float32)

    def begin(self, given: Any, start: State, noise: jax.Array) -> PolicyGradientLearner:
        """Play the episodes of the initial weights."""
        episodes = self.play(given["weights"], given["log_scales"][0], start, noise[0])
        return PolicyGradientLearner(**given, episodes=episodes, updates=jnp.int32(0))

    def update(self, learner: PolicyGradientLearner, start: State, noise: jax.Array) -> PolicyGradientLearner:
        """Follow the gradient of the last episodes, and play those of the new weights."""
        descent = jax.grad(self._loss)(learner.weights, learner)
        weights = descend(learner.weights, learner.next_log_rates, descent)
        learner = learner._replace(weights=weights, updates=learner.updates + 1)
        return learner._replace(episodes=self.play(weights, learner.log_scale, start, noise[learner.updates]))

    def play(self, weights: Any, log_scale: Scalar, start: State, noise: jax.Array) -> Episodes:
        """Play N episodes from a start, with the noise ``[S, A, N]`` of their actions."""
        key = jax.random.key(0)  # of an environment without chances

        def step(carry: tuple[State, jax.Array], own: jax.Array) -> tuple[tuple[State, jax.Array], Episodes]:
            states, running = carry
            observations = jax.vmap(self.environment.observe, out_axes=1)(states)
            mean, log_deviation = self.policy.distribution(weights, observations, log_scale)
            drawn = mean + jnp.exp(log_deviation) * own
            if self.through == "policy":
                drawn = jax.lax.stop_gradient(drawn)
            after = jax.vmap(self.environment.step, (None, 0, 1))(key, states, self.policy.scaled(drawn))
            seen = Episodes(observations, drawn, jnp.where(running, after.reward, 0.0), running)
            return (after.state, running & ~after.terminated), seen

        states = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (self.count, *leaf.shape)), start)
        _, episodes = jax.lax.scan(step, (states, jnp.ones(self.count, bool)), noise)
        return episodes

    def total(self, learner: PolicyGradientLearner) -> Scalar:
        """Return the mean return of the present weights."""
        episodes = learner.episodes
        if self.through == "simulator":
            return episodes.total
        log_density = self._log_density(learner.weights, learner)
        advantages = jax.lax.stop_gradient(self.advantages(episodes))
        gain = jnp.sum(jnp.where(episodes.running, log_density * advantages, 0.0)) / self.count
        return episodes.total + gain - jax.lax.stop_gradient(gain)  # the return, with the policy gradient

    def positions(self, learner: PolicyGradientLearner, start: State) -> jax.Array:
        """Return the observations of the last episodes ``[S, N, O]``; those after an end repeat its last."""
        observations = jnp.moveaxis(learner.episodes.observations, 1, 2)
        last = jnp.sum(learner.episodes.running, axis=0) - 1
        steps = jnp.minimum(jnp.arange(len(observations))[:, None], last)
        return jnp.take_along_axis(observations, steps[..., None], axis=0)

    def advantages(self, episodes: Episodes) -> jax.Array:
        """Return how much better than the baseline's the rest of the episode was at each step, ``[S, N]``."""
        steps = np.arange(len(episodes.rewards))
        ahead = steps[None] - steps[:, None]
        worth = np.where(ahead < 0, 0, self.discount ** np.maximum(ahead, 0)).astype(np.float32)
        returns = worth @ episodes.rewards
        seen = _flat(episodes.observations)
        time = jnp.repeat(jnp.arange(len(returns), dtype=jnp.float32) / 100, self.count)[None]
        features = jnp.concatenate([seen, seen**2, time, time**2, time**3, jnp.ones_like(time)])
        features = jnp.where(episodes.running.reshape(-1), features, 0.0)
        products = features @ features.T + RIDGE * features.shape[1] * jnp.eye(len(features))
        weights = jnp.linalg.solve(products, features @ returns.reshape(-1))
        return jnp.where(episodes.running, returns - (weights @ features).reshape(returns.shape), 0.0)

    def _loss(self, weights: Any, learner: PolicyGradientLearner) -> Scalar:
        """Return what an update descends: minus the mean over steps of log density times normalised advantage."""
        episodes = learner.episodes
        advantages, steps = self.advantages(episodes), jnp.sum(episodes.running)
        mean = jnp.sum(advantages) / steps
        centered = jnp.where(episodes.running, advantages - mean, 0.0)
        deviation = jnp.sqrt(jnp.sum(centered**2) / steps + 1e-12)
        log_density = self._log_density(weights, learner)
        return -jnp.sum(log_density * centered / (deviation + 1e-6)) / steps

    def _log_density(self, weights: Any, learner: PolicyGradientLearner) -> jax.Array:
        episodes = learner.episodes
        observations, drawn = (_flat(part) for part in (episodes.observations, episodes.drawn))
        found = self.policy.log_density(weights, observations, drawn, learner.log_scale)
        return found.reshape(episodes.running.shape)


def _flat(steps: jax.Array) -> jax.Array:
    """Return ``[S, O, N]`` as ``[O, S · N]``."""
    return jnp.moveaxis(steps, 1, 0).reshape(steps.shape[1], -1)
