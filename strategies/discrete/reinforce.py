"""REINFORCE for integers and categories, by policy gradient (Williams 1992; Zoph & Le 2017, arXiv:1611.01578)."""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax

from evometa.feasibility import ConstraintHandling
from evometa.settings import NonNegative, Positive, Several
from evometa.spaces import Space, VectorSpace
from evometa.strategies.shared import categorical, warm_start
from evometa.strategies.shared.checks import vector_space
from evometa.strategy import Feedback, Strategy
from evometa.types import Key, Scalar


class ReinforceState(NamedTuple):
    """The policy and the optimizer that trains it."""

    logits: jax.Array
    """``[D, K]``: of each choice of each coordinate; choices that a coordinate lacks are left out by the space."""
    optimizer: optax.OptState
    """Moments of Adam, arrays."""
    space: VectorSpace
    """The space, a static part of the state."""


@dataclasses.dataclass(frozen=True)
class Reinforce(Strategy[ReinforceState]):
    """Train a policy that draws each integer and category independently, by the gradient of its expected fitness.

    The gradient is the score-function estimator, with two measures to reduce its variance: the baseline of each
    candidate is the mean of the others of its generation (leave-one-out, so the estimate stays unbiased, and on the
    same tasks), and fitness is divided by the standard deviation of the generation. A failed candidate counts as the
    worst, and as worse than the mean by one standard deviation at least.

    Raises:
        ConfigurationError: population_size below 2, a learning_rate that is not positive, a negative entropy_weight.
    """

    population_size: Several = 64
    """Candidates in a generation, P >= 2."""
    learning_rate: Positive = 0.05
    """Adam's, about the step of each logit in a generation."""
    entropy_weight: NonNegative = 0.01
    """Weight of the policy's entropy, which keeps it from deciding early; in standard deviations of the fitness."""

    constraint_handling: ClassVar[ConstraintHandling] = "penalised"

    def incompatibility(self, space: Space) -> str | None:
        """Refuse spaces with anything but integers and categories."""
        return categorical.refuse_unless_discrete(self, space)

    def init(self, key: Key, space: Space) -> ReinforceState:
        """Start with every choice equally probable."""
        space = vector_space(self, space)
        logits = jnp.zeros(categorical.available(space).shape)
        return ReinforceState(logits, self._optimizer().init(logits), space)

    def begun(self, state: ReinforceState, points: jax.Array) -> ReinforceState:
        """Take the policy from known points ``[K, D]``."""
        probability = jnp.maximum(warm_start.choices(state.space, points), jnp.finfo(state.logits.dtype).tiny)
        return state._replace(logits=jnp.log(probability).astype(state.logits.dtype))

    def ask(self, key: Key, state: ReinforceState) -> tuple[jax.Array, ReinforceState]:
        """Draw ``[P, D]`` candidates from the policy."""
        return categorical.sample(key, state.space, _log_policy(state), self.population_size), state

    def tell(self, key: Key, state: ReinforceState, genotypes: jax.Array, feedback: Feedback) -> ReinforceState:
        """Take a step against the estimated gradient of E[fitness] - entropy_weight · entropy."""
        weight = advantages(feedback.fitness) / self.population_size
        log_policy = _log_policy(state)
        policy = jnp.exp(log_policy)
        # ∇ log π(x) of a softmax is onehot(x) - π.
        gradient = categorical.frequencies(state.space, weight, genotypes) - jnp.sum(weight) * policy
        # ∇ H = -π (log π + H), row by row; entr(π) = -π log π has its limit, 0, where π = 0.
        surprise = jax.scipy.special.entr(policy)
        gradient -= self.entropy_weight * (surprise - policy * jnp.sum(surprise, axis=1, keepdims=True))
        updates, optimizer = self._optimizer().update(gradient, state.optimizer)
        return ReinforceState(state.logits + jnp.asarray(updates), optimizer, state.space)

    def _optimizer(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)

    def center(self, state: ReinforceState) -> jax.Array:
        """Return the most probable genotype ``[D]``."""
        return categorical.mode(state.space, _log_policy(state))

    def diagnostics(self, state: ReinforceState) -> dict[str, Scalar]:
        """Return the entropy of the coordinates in nats, averaged."""
        return {"entropy": categorical.entropy(jnp.exp(_log_policy(state)))}


def _log_policy(state: ReinforceState) -> jax.Array:
    """Return the log-probabilities ``[D, K]``, -inf for choices that a coordinate does not have."""
    return jax.nn.log_softmax(jnp.where(categorical.available(state.space), state.logits, -jnp.inf), axis=1)


def advantages(fitness: jax.Array) -> jax.Array:
    """Return how far each fitness ``[P]`` is above the mean of the others, in standard deviations.

    0 for all when all tie.
    """
    valid = jnp.isfinite(fitness)
    # Halves, so that the difference of the largest numbers does not overflow; then parts of it, so that squares do not.
    above = jnp.where(valid, fitness / 2 - jnp.min(fitness) / 2, 0.0).astype(jnp.result_type(float))
    largest = jnp.max(above)
    above = above / jnp.where(largest > 0, largest, 1.0)
    count = jnp.sum(valid).astype(above.dtype)
    above = jnp.where(valid, above - jnp.sum(above) / count, 0.0)
    deviation = jnp.sqrt(jnp.sum(above**2) / count)
    above = above / jnp.where(deviation > 0, deviation, 1.0)
    above = jnp.where(valid, above, jnp.maximum(jnp.max(above), 1.0))
    # x - mean of the others = (x - mean of all) P / (P - 1).
    return (above - jnp.mean(above)) * (len(fitness) / (len(fitness) - 1))
