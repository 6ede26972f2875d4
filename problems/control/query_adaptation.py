"""A policy that learns from the returns of a few perturbed copies: by an evolution strategy, or by hill climbing."""

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from evometa.environments import Agent, Environment, Policy, State, play, record
from evometa.types import Key, Scalar


class QueryLearner(NamedTuple):
    """A policy and its return."""

    weights: Any
    total: Scalar
    """The return of the present weights."""
    updates: Scalar
    """Updates so far, int32."""


@dataclasses.dataclass(frozen=True)
class QueryAdaptation:
    """Learning from K queries an update, each of which is an episode of perturbed weights (Song et al. 2020).

    Args:
        environment: where.
        policy: the network.
        count: K, queries of an update; even for an evolution strategy, whose queries are mirrored pairs.
        rule: "evolution-strategy" takes a step along the perturbations, weighted by the differences of return in root
            mean squares; "hill-climbing" keeps each perturbation that has a larger return than what it perturbs.
        scale: standard deviation of the perturbations.
        learning_rate: step size of the evolution strategy, in weight units.
    """

    environment: Environment
    policy: Policy
    count: int
    rule: Literal["evolution-strategy", "hill-climbing"]
    scale: float
    learning_rate: float

    def noise(self, key: Key, updates: int) -> jax.Array:
        """Draw the perturbations of a number of updates, ``[updates, K, D]``; mirrored pairs share one."""
        size = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(self.policy.draw, key)))
        queries = self.count // 2 if self.rule == "evolution-strategy" else self.count
        return jax.random.normal(key, (updates, queries, size), jnp.float32)

    def begin(self, weights: Any, start: State, noise: jax.Array) -> QueryLearner:
        """Return the initial weights with their return."""
        return QueryLearner(weights, self.play(weights, start), jnp.int32(0))

    def update(self, learner: QueryLearner, start: State, noise: jax.Array) -> QueryLearner:
        """Perturb the weights, and learn from the returns."""
        flat, restore = ravel_pytree(learner.weights)
        own, scale = noise[learner.updates], np.float32(self.scale)

        def total(vector: jax.Array) -> Scalar:
            return self.play(restore(vector), start)

        def climb(best: tuple[jax.Array, Scalar], one: jax.Array) -> tuple[tuple[jax.Array, Scalar], None]:
            vector = best[0] + scale * one
            found = total(vector)
            better = found > best[1]
            return (jnp.where(better, vector, best[0]), jnp.where(better, found, best[1])), None

        if self.rule == "hill-climbing":
            (flat, best), _ = jax.lax.scan(climb, (flat, learner.total), own)
            return QueryLearner(restore(flat), best, learner.updates + 1)
        plus, minus = (jax.vmap(total)(flat + sign * scale * own) for sign in (1, -1))
        difference = plus - minus
        direction = difference / (jnp.sqrt(jnp.mean(difference**2)) + 1e-6) @ own / len(own)
        flat = flat + np.float32(self.learning_rate) * direction
        return QueryLearner(restore(flat), total(flat), learner.updates + 1)

    def play(self, weights: Any, start: State) -> Scalar:
        """Return the return of one episode, which has no chances."""
        episode, _ = play(self.environment, self.policy, weights, jax.random.key(0), Agent.new(self.policy), start)
        return episode.total

    def total(self, learner: QueryLearner) -> Scalar:
        """Return the return of the present weights."""
        return learner.total

    def positions(self, learner: QueryLearner, start: State) -> jax.Array:
        """Return the observations of an episode of the present weights, ``[S, 1, O]``."""
        agent = Agent.new(self.policy)
        episode, _ = record(self.environment, self.policy, learner.weights, jax.random.key(0), agent, start)
        return episode.observations[:, None]
