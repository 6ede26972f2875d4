"""An agent that learns in an environment by an actor and a critic, with any drift function."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from evometa.environments import State, Statistics
from evometa.problems.policy_objectives.environment_set import EnvironmentSet, Seen
from evometa.problems.policy_objectives.networks import Networks
from evometa.types import Key, Scalar

Drift = Callable[[jax.Array, jax.Array], jax.Array]
"""From the probability ratio of new and old policy and the advantage, ``[B]`` each, to what is taken off, ``[B]``."""

DISCOUNT, TRACE = 0.99, 0.95
"""What a reward is worth one step later; λ of the generalised advantage estimate."""
LONGEST_GRADIENT = 0.5
ENTROPY = 0.01
"""Weight of the policy's entropy, without which noise alone makes a policy sure of itself."""


class Experience(NamedTuple):
    """S steps of N copies of an environment; observations are normalised, rewards scaled."""

    observations: jax.Array
    """``[S, N, O]``, before each step."""
    following: jax.Array
    """``[S, N, O]``, after each step, before a new episode begins."""
    drawn: jax.Array
    """``[S, N, A]``: 1 at the action that was chosen, or the outputs before they are scaled to actions."""
    log_density: jax.Array
    """``[S, N]``, of what was drawn."""
    rewards: jax.Array
    """``[S, N]``."""
    terminated: jax.Array
    """``[S, N]``, whether the episode ended by itself."""
    over: jax.Array
    """``[S, N]``, whether it ended so or at the time limit."""


class Chances(NamedTuple):
    """All that is random in an update."""

    noise: jax.Array
    """``[S, N, A]``, bits that decide between actions, uint32."""
    keys: Key
    """``[S, N, 2]``, of new episodes and of steps."""
    order: jax.Array
    """``[S, N, epochs]``, bits by which experience is ordered, uint32."""


class ActorCriticLearner(NamedTuple):
    """An agent in training; float32 where nothing else is said."""

    weights: jax.Array
    """``[W]``, of actor and critic, and the logarithms of standard deviations ``[A]`` of actions that are vectors."""
    optimizer: Any
    """The state of Adam."""
    states: State
    """Of N copies of the environment."""
    over: jax.Array
    """``[N]``, whether their episodes are over, bools."""
    steps: jax.Array
    """``[N]``, steps of their episodes so far, int32."""
    returns: jax.Array
    """``[N, 1]``, discounted sums of their rewards so far."""
    observed: Statistics
    """Of observations ``[O]``."""
    returned: Statistics
    """Of discounted sums of rewards ``[1]``."""


@dataclasses.dataclass(frozen=True)
class ActorCritic:
    """Learning from S steps of N copies of an environment an update, by several epochs of minibatches.

    The actor ascends the mean of ratio · advantage - drift(ratio, advantage), which with the right drift is PPO's
    clipped objective (Schulman et al. 2017). Advantages are the generalised estimate (Schulman et al. 2016), normalised
    in each minibatch; a time limit is not taken for an end. Observations are given in standard deviations from their
    mean, and rewards are divided by the standard deviation of discounted returns.

    One program learns in any of the environments: their number is an argument of the methods.

    Args:
        environments: where.
        hidden: width of each hidden layer of actor and critic.
        copies: N, a power of two is fast.
        steps: S, steps in each copy before an update.
        epochs: how often an update goes through what was experienced.
        minibatches: in how many parts.
        learning_rate: of Adam.
    """

    environments: EnvironmentSet
    hidden: tuple[int, ...]
    copies: int
    steps: int
    epochs: int
    minibatches: int
    learning_rate: float | Scalar

    def begin(self, number: int | Scalar, key: Key) -> ActorCriticLearner:
        """Return an agent that has seen nothing."""
        count, weights = self.copies, self.networks.draw(number, key)
        return ActorCriticLearner(
            weights,
            self._optimizer.init(weights),
            jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape)), self.environments.blank()),
            jnp.ones(count, bool),
            jnp.zeros(count, jnp.int32),
            jnp.zeros((count, 1), jnp.float32),
            *(jax.tree.map(jnp.asarray, Statistics.empty(n)) for n in (self.environments.observation_size, 1)),
        )

    def update(self, number: int | Scalar, key: Key, learner: ActorCriticLearner, drift: Drift) -> ActorCriticLearner:
        """Act for S steps in one environment, and learn from them."""
        # All that is random is drawn at once: each draw compiles to hundreds of lines.
        chances = self._chances(key)
        seen, learner = self.act(number, chances, learner)
        advantages, targets = self.advantages(learner.weights, seen)
        batch = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), (seen, advantages, targets))
        orders = jnp.argsort(chances.order.reshape(-1, self.epochs), axis=0).T

        def descend(carry: tuple[Any, Any], rows: jax.Array) -> tuple[tuple[Any, Any], None]:
            weights, state = carry
            part = jax.tree.map(lambda leaf: leaf[rows], batch)
            gradient = jax.grad(self._loss)(weights, number, *part, drift)
            changes, state = self._optimizer.update(gradient, state, weights)
            return (optax.apply_updates(weights, changes), state), None

        rows = orders.reshape(self.epochs * self.minibatches, -1)
        (weights, optimizer), _ = jax.lax.scan(descend, (learner.weights, learner.optimizer), rows)
        return learner._replace(weights=weights, optimizer=optimizer)

    def score(self, number: int | Scalar, key: Key, learner: ActorCriticLearner, episodes: int) -> Scalar:
        """Return the mean return of new episodes, in which the agent takes the action that it prefers."""
        keys = jax.random.split(key, episodes)

        def running(carry: Any) -> Scalar:
            return jnp.any(carry[0])

        def step(carry: Any) -> Any:
            running, total, count, states, observations = carry
            outputs, _ = self._run(learner.weights, jax.vmap(learner.observed.normalize)(observations))
            key_step = jax.vmap(jax.random.fold_in, (0, None))(keys, count)
            after = self._step(number, key_step, states, jnp.broadcast_to(count, episodes), outputs)
            total = total + jnp.where(running, after.reward, 0.0)
            return running & ~after.over, total, count + 1, after.states, after.observation

        begin = jax.vmap(self.environments.begin, (None, 0, None, None))
        begun = begin(number, keys, self.environments.blank(), jnp.ones((), bool))
        start = jnp.ones(episodes, bool), jnp.zeros(episodes, jnp.float32), jnp.int32(0), *begun
        return jnp.mean(jax.lax.while_loop(running, step, start)[1])

    def act(
        self, number: int | Scalar, chances: Chances, learner: ActorCriticLearner
    ) -> tuple[Experience, ActorCriticLearner]:
        """Act for S steps in one environment, without learning."""
        weights, observed, returned = learner.weights, learner.observed, learner.returned

        def step(carry: Any, chance: Chances) -> tuple[Any, tuple[Experience, jax.Array, jax.Array]]:
            states, over, steps, returns = carry
            begin = jax.vmap(self.environments.begin, (None, 0, 0, 0))
            states, raw = begin(number, chance.keys[:, 0], states, over)
            steps, returns = jnp.where(over, 0, steps), jnp.where(over[:, None], 0.0, returns)
            observations = jax.vmap(observed.normalize)(raw)
            outputs, _ = self._run(weights, observations)
            noise = jax.vmap(self.networks.noise, (None, 0))(number, chance.noise)
            drawn, log_density = jax.vmap(self.networks.choose, (None, None, 0, 0))(weights, number, outputs, noise)
            after = self._step(number, chance.keys[:, 1], states, steps, drawn)
            returns = DISCOUNT * returns + after.reward[:, None]
            seen = Experience(
                observations,
                jax.vmap(observed.normalize)(after.observation),
                drawn,
                log_density,
                after.reward / (returned.deviation[0] + 1e-6),
                after.terminated,
                after.over,
            )
            return (after.states, after.over, steps + 1, returns), (seen, raw, returns)

        start = learner.states, learner.over, learner.steps, learner.returns
        (states, over, steps, left), (seen, raw, returns) = jax.lax.scan(step, start, chances)
        return seen, learner._replace(
            states=states,
            over=over,
            steps=steps,
            returns=left,
            observed=observed.seen_all(raw.reshape(-1, raw.shape[-1])),
            returned=returned.seen_all(returns.reshape(-1, 1)),
        )

    def advantages(self, weights: jax.Array, seen: Experience) -> tuple[jax.Array, jax.Array]:
        """Return advantages and the critic's targets, ``[S, N]`` each."""
        both = jnp.stack([seen.observations, seen.following])
        values, following = self._run(weights, both.reshape(-1, both.shape[-1]))[1].reshape(both.shape[:-1])
        errors = seen.rewards + DISCOUNT * jnp.where(seen.terminated, 0.0, following) - values

        def backwards(later: jax.Array, step: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            error, over = step
            advantage = error + DISCOUNT * TRACE * jnp.where(over, 0.0, later)
            return advantage, advantage

        _, advantages = jax.lax.scan(backwards, jnp.zeros_like(errors[0]), (errors, seen.over), reverse=True)
        return advantages, advantages + values

    def _loss(
        self, weights: jax.Array, number: Any, seen: Experience, advantages: jax.Array, targets: jax.Array, drift: Drift
    ) -> Scalar:
        outputs, values = self._run(weights, seen.observations)
        density = jax.vmap(self.networks.density, (None, None, 0, 0))
        log_density, entropy = density(weights, number, outputs, seen.drawn)
        ratio = jnp.exp(log_density - seen.log_density)
        advantages = (advantages - jnp.mean(advantages)) / (jnp.std(advantages) + 1e-6)
        gain = jnp.mean(ratio * advantages - drift(ratio, advantages))
        return jnp.mean((values - targets) ** 2) / 4 - gain - ENTROPY * jnp.mean(entropy)

    def _run(self, weights: jax.Array, observations: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.vmap(self.networks.run, (None, 0))(weights, observations)

    def _step(self, number: int | Scalar, keys: Any, states: State, steps: jax.Array, drawn: jax.Array) -> Seen:
        seen: Seen = jax.vmap(self.environments.step, (None, 0, 0, 0, 0))(number, keys, states, steps, drawn)
        return seen

    def _chances(self, key: Key) -> Chances:
        words = jax.random.key_data(key).size
        count, sizes = self.steps * self.copies, (self.environments.outputs, 2 * words, self.epochs)
        # As one axis: of three, they take ten times as long to compile.
        bits = jnp.split(jax.random.bits(key, (count * sum(sizes),)), np.cumsum(sizes[:-1]) * count)
        noise, keys, order = (part.reshape(self.steps, self.copies, -1) for part in bits)
        keys = jax.random.wrap_key_data(keys.reshape(*keys.shape[:2], 2, words), impl=jax.random.key_impl(key))
        return Chances(noise, keys, order)

    @property
    def networks(self) -> Networks:
        """Actor and critic."""
        return Networks(self.environments, self.hidden)

    @property
    def _optimizer(self) -> optax.GradientTransformation:
        return optax.chain(optax.clip_by_global_norm(LONGEST_GRADIENT), optax.adam(self.learning_rate, eps=1e-5))
