"""Regression whose target drifts now and then: a learned rule for the rate of online learning.

Branch of meta-learning: online. ω holds the weights of a small network that sets the learning rate of each step from
what the errors have been; nothing is differentiated by the search.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.objectives import Mean, Objective
from evometa.problem import InnerTraining
from evometa.problems.shared.recording import record_learner
from evometa.settings import Chance, Count, NonNegative, Positive
from evometa.spaces import Like
from evometa.types import Key, Omega, Scalar

FEATURES = 3


class Stream(NamedTuple):
    """A task: examples in their order; float32."""

    inputs: jax.Array
    """``[S, N]``, standard normal."""
    labels: jax.Array
    """``[S]``, with noise."""
    targets: jax.Array
    """``[S]``, the labels without noise."""


class Follower(NamedTuple):
    """A learner: a linear model, and running means of its squared error; float32."""

    weights: jax.Array
    """``[N]``."""
    errors: jax.Array
    """``[2]``, a quick and a slow running mean of the squared error."""
    steps: Scalar
    """Examples so far, int32."""
    regret: Scalar
    """Squared difference of the last prediction and the target without noise."""


@dataclasses.dataclass(frozen=True)
class DriftingRegression(InnerTraining):
    """Learn when to learn fast: linear regression on a stream whose target stands still or drifts.

    Each inner step predicts one label, then sets the weights w to ``w + η (y − w·x) x / |x|²``, the normalised least
    mean squares rule, whose rate η from 0 to 1 a small network sets from the logarithms of a quick and a
    slow running mean of the squared error, and their difference. The target's weights stand still or take a random
    step before each example; which of both changes with probability ``switch``. The fitness is the mean regret: the
    squared difference of prediction and label without noise, averaged over the stream.

    Result, mean of 3 seeds after 40 seconds on one core (``benchmarks/streams.py drift``): a mean regret of 0.370; the
    same rule with the best fixed rate, tuned on other streams, has 0.415. The evolved rule is tied to the noise that it
    knows: with twice the noise it has 1.21, and a fixed rate tuned for that 0.69.

    Args:
        inputs: N, dimension of the examples.
        noise: standard deviation of the labels' noise.
        drift: standard deviation of a random step of each weight while the target drifts.
        switch: probability that drifting begins or ends before an example.
        hidden: units of the network that sets the rate.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="online: changing tasks",
        omega="weights of a network that sets the learning rate",
        learner="linear regression",
        recipe=Recipe("CMAES", {"population_size": 32}, {"seconds": 60}),
    )

    num_tasks: int = 32
    inner_steps: int = 300
    objective: Objective = Mean()
    inputs: Count = 5
    noise: Positive = 0.5
    drift: NonNegative = 0.1
    switch: Chance = 0.02
    hidden: Count = 8

    @property
    def space(self) -> Like:
        """Weights of the rate's network, and the forgetting of the two running means; starts at a constant rate."""
        return Like(
            {
                "kernel": np.zeros((FEATURES, self.hidden), np.float32),
                "bias": np.zeros(self.hidden, np.float32),
                "output": np.zeros(self.hidden, np.float32),
                "output_bias": np.float32(-2.0),
                "forgetting": np.array([-1.0, -3.0], np.float32),
            },
            scale=0.3,
        )

    def shifted(self) -> dict[str, "DriftingRegression"]:
        """Faster drift, more noise, and targets that drift or stand still for longer."""
        return {
            "twice the drift": dataclasses.replace(self, drift=2 * self.drift),
            "twice the noise": dataclasses.replace(self, noise=2 * self.noise),
            "changes half as often": dataclasses.replace(self, switch=self.switch / 2),
        }

    def sample_task(self, key: Key) -> Stream:
        """Draw a target, its drift, and the examples."""
        keys = jax.random.split(key, 6)
        moving = self.drifting(keys[0], keys[1])
        walk = jax.random.normal(keys[2], (self.inner_steps, self.inputs), jnp.float32) * self.drift * moving[:, None]
        target = jax.random.normal(keys[3], (self.inputs,), jnp.float32)[None] + jnp.cumsum(walk, axis=0)
        inputs = jax.random.normal(keys[4], (self.inner_steps, self.inputs), jnp.float32)
        targets = jnp.sum(inputs * target, axis=1)
        noise = self.noise * jax.random.normal(keys[5], (self.inner_steps,), jnp.float32)
        return Stream(inputs, targets + noise, targets)

    def drifting(self, key_first: Key, key_changes: Key) -> jax.Array:
        """Draw before which examples the target drifts, ``[S]`` of 0 and 1."""
        changes = jax.random.bernoulli(key_changes, self.switch, (self.inner_steps,))
        first = jax.random.bernoulli(key_first)
        return ((jnp.cumsum(changes) + first) % 2).astype(jnp.float32)

    def init(self, key: Key, omega: Omega, task: Stream) -> Follower:
        """Return weights of zero, and errors of one."""
        zero = jnp.zeros((), jnp.float32)
        return Follower(jnp.zeros(self.inputs, jnp.float32), jnp.ones(2, jnp.float32), jnp.int32(0), zero)

    def step(self, key: Key, omega: Omega, task: Stream, learner: Follower) -> Follower:
        """Predict the next label, and learn from it."""
        inputs = task.inputs[learner.steps]
        prediction = inputs @ learner.weights
        error = task.labels[learner.steps] - prediction
        forgotten = jax.nn.sigmoid(omega["forgetting"])
        errors = learner.errors + forgotten * (error**2 - learner.errors)
        weights = learner.weights + self.rate(omega, errors) * error * inputs / jnp.sum(inputs**2)
        return Follower(weights, errors, learner.steps + 1, (prediction - task.targets[learner.steps]) ** 2)

    def rate(self, omega: Any, errors: jax.Array) -> Scalar:
        """Return the learning rate, from 0 to 1, after running means ``[2]`` of the squared error."""
        logs = jnp.log(errors + 1e-6)
        features = jnp.append(logs, logs[0] - logs[1])
        hidden = jnp.tanh(features @ omega["kernel"] + omega["bias"])
        return jax.nn.sigmoid(hidden @ omega["output"] + omega["output_bias"])

    def loss(self, key: Key, omega: Omega, task: Stream, learner: Follower) -> Scalar:
        """Return the regret of the last prediction."""
        return learner.regret

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw the learning rate and the regret on a held-out stream, and when its target drifts."""
        from evometa.plots import style

        _, learners = record_learner(self, key, omega)
        rates = jax.vmap(lambda errors: self.rate(omega, errors))(learners.errors)
        keys = jax.random.split(jax.random.split(key)[0], 6)  # as the task was drawn
        drifting = np.asarray(self.drifting(keys[0], keys[1])) > 0
        examples = np.arange(1, self.inner_steps + 1)
        picture = style.figure(width=7.0, height=4.6)
        for axes, values, label in zip(
            picture.subplots(2, 1, sharex=True), (rates, learners.regret), ("learning rate", "regret"), strict=True
        ):
            axes.fill_between(
                examples, 0, 1, where=drifting, transform=axes.get_xaxis_transform(), color="#f0e0b0", label="drifting"
            )
            axes.plot(examples, values, color=style.BLUE, linewidth=1.2)
            style.label_axes(axes, x="", y=label)
            axes.set_ylim(bottom=0)
        axes.set_xlabel("example")
        axes.legend(fontsize="x-small", loc="upper right")
        return {"stream": picture}
