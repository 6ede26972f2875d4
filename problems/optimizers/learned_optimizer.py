"""A learned optimizer: a small network, applied to each weight, that maps gradients to steps.

Branch of meta-learning: learned optimizers, evaluated on the whole learning curve. The optimizer is applied to each
weight separately, so one that was meta-trained on one network can train networks of any size for any number of steps.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from evometa.card import ProblemCard, Recipe
from evometa.objectives import Mean, Objective
from evometa.problem import InnerTraining
from evometa.problems.optimizers.base_tasks import Base, DigitsNetwork, Quadratics
from evometa.problems.optimizers.exported import transformation
from evometa.settings import Count, Decay, Items, Natural, Positive
from evometa.spaces import Like
from evometa.types import Key, Omega, Scalar

TIME_SCALES = np.array([1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000], np.float32)
"""The time features tanh(t / τ - 1) go from about -1 to about 1 around these numbers of steps."""
LANES = 32
"""Matrix products and elementwise work are fastest on rows whose length is a multiple of this many numbers."""


class Learner(NamedTuple):
    """A network that is being trained; its N weights are one vector, in which each tensor is a consecutive part."""

    weights: jax.Array
    """``[N]``"""
    momenta: jax.Array
    """``[M, N]``, moving averages of gradients, one for each decay."""
    second_moments: jax.Array
    """``[R, N]``, moving averages of squared gradients."""
    order: jax.Array
    """Rows of the training part in the order in which minibatches cycle through them."""
    steps: jax.Array
    """``[]``, updates so far."""


@dataclasses.dataclass(frozen=True)
class LearnedOptimizer(InnerTraining):
    """Learn an optimizer for an MLP on scikit-learn's digits, or for random quadratics.

    ω holds the weights of an MLP with ReLU that is applied to each weight of the learner. Its two outputs d and s give
    the step of that weight, -step_scale · d · exp(step_scale · s). Its inputs are

    - the weight, its gradient and its momenta, each divided by its root mean square over the tensor;
    - with ``second_moments``, each momentum divided by the root of each second moment, as in Adam;
    - eleven functions of time, tanh(t / τ - 1).

    The inner loop trains the learner with this optimizer for ``inner_steps`` steps.

    Fitness, to be minimised, is by default the mean over inner steps of the loss after each step. On digits the loss is
    the cross-entropy in nats on the task's B images of the validation part, and held-out tasks are evaluated on the
    whole test part (360 images), which the search never sees; the metrics ``accuracy`` and ``final_loss`` are those of
    the trained network on the same images. Tasks also differ by initial weights and minibatches. A quadratic
    (Andrychowicz et al. 2016) is the mean square of A x - b, with A, b and the initial x standard normal, drawn for
    each task. Losses are clipped at 1.5 times the initial one. Shifted tasks train for twice as long, and a network
    four times as wide or quadratics of twice the dimension.

    Papers: Metz et al., "Understanding and correcting pathologies in the training of learned optimizers", ICML 2019,
    arXiv:1810.10180; its optimizer is the one without second moments. Andrychowicz et al., "Learning to learn by
    gradient descent by gradient descent", NeurIPS 2016, arXiv:1606.04474, for the quadratics. None of their numbers is
    compared here. Result, mean of 3 seeds, against the best of SGD, momentum and Adam at 15 learning rates each
    (``benchmarks/learned_optimizer.py``), on held-out quadratics after 250 steps: a loss of 0.0081 against 0.0152;
    after 500, longer than in meta-training, 0.0055 against 0.0106. On held-out digits after 200 steps: 0.083 against
    0.122; with a network four times as wide as in meta-training, 0.061 against 0.092.

    Args:
        base: what the optimizer trains.
        batch_size: B, examples in an inner step, and in the evaluation of a task that is not held out.
        hidden: widths of the hidden layers of the trained network.
        dimension: number of coordinates of a quadratic.
        optimizer_hidden: widths of the hidden layers of the optimizer, at least one.
        momenta: decay of each momentum, in [0, 1).
        second_moments: decay of each second moment, in [0, 1); may be empty.
        step_scale: size of the first steps of an untrained optimizer, in units of a weight.
        time_stops: inner step after which the time features stay constant, so that to the optimizer longer training
            looks like the end of the training it was meta-trained on; None: never.

    Raises:
        ConfigurationError: an unknown base, a size below 1, no hidden layer in the optimizer, a decay outside [0, 1), a
            step_scale that is not positive, or a negative time_stops.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="learned optimizers",
        omega="weights of an MLP applied to each weight",
        learner="MLP on digits",
        paper="Metz et al. 2019",
        recipe=Recipe("FullES", {"population_size": 16, "learning_rate": 0.03}, {"seconds": 120}),
    )

    num_tasks: int = 1
    inner_steps: int = 200
    objective: Objective = Mean()
    base: Literal["digits", "quadratics"] = "digits"
    batch_size: Count = 128
    hidden: tuple[Count, ...] = (32,)
    dimension: Count = 10
    optimizer_hidden: Annotated[tuple[Count, ...], Items()] = (32, 32)
    momenta: tuple[Decay, ...] = (0.5, 0.9, 0.99, 0.999)
    second_moments: tuple[Decay, ...] = (0.999,)
    step_scale: Positive = 0.001
    time_stops: Natural | None = None

    @functools.cached_property
    def trained(self) -> Base:
        """What the optimizer trains."""
        return Quadratics(self.dimension) if self.base == "quadratics" else DigitsNetwork(self.batch_size, self.hidden)

    @property
    def num_features(self) -> int:
        """F, inputs of the optimizer for each weight, without those of time."""
        return 2 + len(self.momenta) * (1 + len(self.second_moments))

    @property
    def space(self) -> Like:
        """The optimizer's weights; a search starts at a draw with variance 1 / inputs in each layer."""
        return Like(self._draw)

    def _draw(self, key: Key) -> Any:
        inputs = self.num_features + len(TIME_SCALES)
        layers = []
        for number, width in enumerate((*self.optimizer_hidden, 2)):
            kernel = jax.random.normal(jax.random.fold_in(key, number), (width, inputs), jnp.float32)
            layers.append({"kernel": kernel / math.sqrt(inputs), "bias": jnp.zeros((width,), jnp.float32)})
            inputs = width
        return layers

    def shifted(self) -> dict[str, "LearnedOptimizer"]:
        """Twice the steps; a network four times as wide, or quadratics of twice the dimension."""
        changes: dict[str, dict[str, Any]] = {"twice the steps": {"inner_steps": 2 * self.inner_steps}}
        if self.base == "quadratics":
            changes["more dimensions"] = {"dimension": 2 * self.dimension}
        else:
            changes["wider network"] = {"hidden": tuple(4 * width for width in self.hidden)}
        return {name: dataclasses.replace(self, **change) for name, change in changes.items()}

    def sample_task(self, key: Key) -> Any:
        """Draw evaluation examples from the validation part, or a quadratic."""
        return self.trained.sample(key, test=False)

    def sample_test_task(self, key: Key) -> Any:
        """Return the test part, or draw a quadratic."""
        return self.trained.sample(key, test=True)

    def init(self, key: Key, omega: Omega, task: Any) -> Learner:
        """Draw initial weights, and the order of examples."""
        key_weights, key_order = jax.random.split(key)
        weights = _flat(self.trained.draw(key_weights, task))
        momenta, second_moments = (
            jnp.zeros((len(decays), len(weights)), jnp.float32) for decays in (self.momenta, self.second_moments)
        )
        return Learner(weights, momenta, second_moments, self.trained.order(key_order), jnp.int32(0))

    def step(self, key: Key, omega: Omega, task: Any, learner: Learner) -> Learner:
        """Apply the optimizer once, on digits to the gradient of the next minibatch of the training part."""

        def error(weights: Any) -> Scalar:
            return self.trained.error(weights, task, learner.order, learner.steps)

        return self.update(omega, learner, _flat(jax.grad(error)(self._tensors(learner.weights))))

    def update(self, omega: Omega, learner: Learner, gradient: jax.Array, ends: Sequence[int] | None = None) -> Learner:
        """Return the learner after the optimizer's step for a gradient ``[N]``.

        Args:
            omega: the optimizer's weights.
            learner: the network that is trained.
            gradient: the gradient of its loss, ``[N]``.
            ends: where each tensor but the last ends in the vector of weights; None: those of the trained network.
        """
        count = len(gradient)
        time = learner.steps.astype(jnp.float32)
        fast, slow = _column(self.momenta), _column(self.second_moments)
        momenta = fast * learner.momenta + (1 - fast) * gradient[None]
        second_moments = slow * learner.second_moments + (1 - slow) * gradient[None] ** 2
        # Bias correction: moments start at 0 (Kingma & Ba 2015, section 3).
        correction = 1 / (1 - fast ** (time + 1))
        roots = jnp.sqrt(second_moments / (1 - slow ** (time + 1))) + np.float32(1e-8)

        # Features are the leading axis, [F, N], so that matrix products have long rows.
        rows = jnp.concatenate([gradient[None], learner.weights[None], momenta])
        factors = jnp.concatenate([jnp.ones((2, 1), jnp.float32), correction])
        normalisers = _normalisers(rows, factors, self._ends if ends is None else ends)
        adaptive = (correction * momenta)[None] * (1 / roots)[:, None]
        features = jnp.concatenate([rows * normalisers, adaptive.reshape(-1, count)])
        features = jnp.pad(features, ((0, 0), (0, -count % LANES)))

        # Time features are the same for all weights, so their part of the first layer is added to its bias.
        first, *others = omega
        kernel, of_time = jnp.split(first["kernel"], [self.num_features], axis=1)
        clock = time if self.time_stops is None else jnp.minimum(time, np.float32(self.time_stops))
        bias = first["bias"] + of_time @ jnp.tanh(clock / TIME_SCALES - 1)
        outputs = kernel @ features + bias[:, None]
        for layer in others:
            outputs = layer["kernel"] @ jax.nn.relu(outputs) + layer["bias"][:, None]

        direction, magnitude = outputs[:, :count]
        scale = np.float32(self.step_scale)
        weights = learner.weights - scale * direction * jnp.exp(scale * magnitude)
        return Learner(weights, jnp.asarray(momenta), jnp.asarray(second_moments), learner.order, learner.steps + 1)

    def export(self, omega: Omega) -> optax.GradientTransformation:
        """Return the optimizer for any network, as one of optax: its updates are added to the weights as they are."""
        shape = (len(self.momenta), len(self.second_moments))

        def begin(count: int) -> tuple[jax.Array, ...]:
            return tuple(jnp.zeros((rows, count), jnp.float32) for rows in shape)

        def change(
            memory: Any, gradient: jax.Array, weights: jax.Array, ends: list[int], steps: Scalar
        ) -> tuple[jax.Array, Any]:
            momenta, second_moments = memory
            learner = Learner(weights, momenta, second_moments, jnp.zeros(0, jnp.int32), steps)
            after = self.update(omega, learner, gradient, ends)
            return after.weights - weights, (after.momenta, after.second_moments)

        return transformation(begin, change)

    def loss(self, key: Key, omega: Omega, task: Any, learner: Learner) -> Scalar:
        """Return the loss on the task, clipped at 1.5 times the initial one."""
        loss, worst = self.trained.loss(self._tensors(learner.weights), task), np.float32(self.trained.worst)
        return jnp.where(loss < worst, loss, worst)  # also if the loss is NaN

    def metrics(self, key: Key, omega: Omega, task: Any, learner: Learner) -> dict[str, Scalar]:
        """Return the loss on the task, not clipped, and on digits the accuracy."""
        return self.trained.metrics(self._tensors(learner.weights), task)

    @functools.cached_property
    def _shapes(self) -> Any:
        return jax.eval_shape(lambda key: self.trained.draw(key, self.sample_task(key)), jax.random.key(0))

    @functools.cached_property
    def _ends(self) -> NDArray[np.int64]:
        """The end of each tensor but the last in the vector of all weights."""
        return np.cumsum([leaf.size for leaf in jax.tree.leaves(self._shapes)])[:-1]

    def _tensors(self, weights: jax.Array) -> Any:
        leaves, structure = jax.tree.flatten(self._shapes)
        parts = jnp.split(weights, self._ends)
        return jax.tree.unflatten(
            structure, [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
        )


def _normalisers(rows: jax.Array, factors: jax.Array, ends: Sequence[int] | NDArray[np.int64]) -> jax.Array:
    """Return the normalisers ``[F, N]`` of rows ``[F, N]``: factor / root mean square of factor · row.

    The mean is over each tensor, and the normaliser of a row is constant within a tensor.
    """
    parts = jnp.split(rows, np.asarray(ends, np.int64), axis=1)
    squares = (factors**2 * jnp.mean(part**2, axis=1, keepdims=True) for part in parts)
    each = (factors * jax.lax.rsqrt(square + np.float32(1e-5)) for square in squares)
    return jnp.concatenate([jnp.broadcast_to(one, part.shape) for one, part in zip(each, parts, strict=True)], axis=1)


def _flat(tensors: Any) -> jax.Array:
    return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tensors)])


def _column(decays: tuple[float, ...]) -> NDArray[np.float32]:
    return np.array(decays, np.float32)[:, None]
