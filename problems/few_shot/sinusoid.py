"""Sinusoid regression: an initialisation that adapts to a new task from few examples.

Branch of meta-learning: learned initialisations (and, as an option, learned step sizes) for fast adaptation. Each task
is a sine wave; a learner gets a few points of it and takes a few gradient steps.
"""

import dataclasses
import functools
import itertools
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError
from evometa.inner_training import begin, train
from evometa.problems.few_shot.waves import X_RANGE, Wave, WaveRegression
from evometa.problems.shared.networks import MLP, squared_error
from evometa.settings import Count, Positive
from evometa.spaces import Dict, Like
from evometa.types import Key, Omega, Scalar


@dataclasses.dataclass(frozen=True)
class Sinusoid(WaveRegression):
    """Few-shot regression of sine waves by gradient descent from a learned initialisation.

    The network is an MLP with ReLU, one input and one output. ω is a dict: ``weights``, the initial weights of every
    learner, and with ``learn_rates`` also ``log_rates``, one number v for each weight tensor, whose step size is then
    ``learning_rate · exp(v)``. The inner loop takes ``inner_steps`` steps of full-batch gradient descent on the support
    points. A search starts at a draw of the network's initialiser and at v = 0. The fitness, to be minimised, is the
    mean squared error on the task's query points. Shifted distributions have half or twice the shots, or points beyond
    the range of training.

    Paper: Finn, Abbeel and Levine, "Model-agnostic meta-learning for fast adaptation of deep networks", ICML 2017.

    Args:
        shots: K, support points of each wave, which the learner trains on.
        queries: query points of each wave, which it is evaluated on.
        test_queries: query points of held-out tasks.
        x_range: lower and upper bound of the points.
        hidden: widths of the hidden layers.
        learning_rate: step size of the inner gradient descent.
        learn_rates: whether ω includes a step size for each weight tensor.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="learned initialisations and step sizes",
        omega="initial weights",
        learner="MLP, gradient descent",
        paper="Finn et al. 2017",
        recipe=Recipe(
            "OpenAIES", {"population_size": 512, "shaping": "pair_difference", "tasks_per_pair": True}, {"seconds": 60}
        ),
    )

    hidden: tuple[Count, ...] = (40, 40)
    learning_rate: Positive = 0.01
    learn_rates: bool = False

    @property
    def network(self) -> MLP:
        """The learner's network."""
        return MLP((*self.hidden, 1))

    @property
    def space(self) -> Dict:
        """Initial weights, and the logarithms of step sizes if they are learned."""
        weights = Like(functools.partial(self.network.draw, inputs=1))
        if not self.learn_rates:
            return Dict({"weights": weights})
        shapes = jax.eval_shape(functools.partial(self.network.draw, inputs=1), jax.random.key(0))
        log_rates = Like(jax.tree.map(lambda _: np.zeros((), np.float32), shapes))
        return Dict({"weights": weights, "log_rates": log_rates})

    def init(self, key: Key, omega: Omega, task: Wave) -> Any:
        """Start at ω's weights."""
        return omega["weights"]

    def step(self, key: Key, omega: Omega, task: Wave, learner: Any) -> Any:
        """Take one step of gradient descent on the support points."""
        gradient = jax.grad(self._error)(learner, task, task.support_x)
        if not self.learn_rates:
            return jax.tree.map(lambda w, g: w - jnp.float32(self.learning_rate) * g, learner, gradient)
        rates = jax.tree.map(lambda v: jnp.float32(self.learning_rate) * jnp.exp(v), omega["log_rates"])
        return jax.tree.map(lambda w, r, g: w - r * g, learner, rates, gradient)

    def loss(self, key: Key, omega: Omega, task: Wave, learner: Any) -> Scalar:
        """Return the mean squared error on the query points."""
        return self._error(learner, task, task.query_x)

    def _error(self, weights: Any, task: Wave, x: jax.Array) -> Scalar:
        return squared_error(self.predict(weights, x), task.at(x))

    def predict(self, weights: Any, x: jax.Array) -> jax.Array:
        """Return the network's outputs ``[N, 1]`` for inputs ``[N, 1]``."""
        return self.network.run(weights, x)

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw predictions on three held-out waves before and after inner steps."""
        from evometa.plots import adaptation

        steps = sorted({0, 1, self.inner_steps})
        return {
            "adaptation": adaptation(
                [adaptation_curves(self, omega, one, tuple(steps)) for one in jax.random.split(key, 3)]
            )
        }


class AdaptationCurves(NamedTuple):
    """The predictions of a learner on one wave as it adapts: the data of a plot."""

    x: NDArray[np.float32]
    """``[N]``, the whole input range."""
    truth: NDArray[np.float32]
    """``[N]``, the wave."""
    support_x: NDArray[np.float32]
    """``[shots]``"""
    support_y: NDArray[np.float32]
    """``[shots]``"""
    steps: tuple[int, ...]
    """Inner steps before each prediction; 0: before adaptation."""
    predictions: NDArray[np.float32]
    """``[len(steps), N]``"""
    errors: NDArray[np.float32]
    """``[len(steps)]``, mean squared error of each prediction over ``x``."""


def adaptation_curves(
    problem: Sinusoid, omega: Omega, key: Key, steps: tuple[int, ...] = (0, 1, 10), points: int = 200
) -> AdaptationCurves:
    """Adapt one learner to one held-out wave and record its predictions along the way.

    Args:
        problem: the problem.
        omega: its ω, such as a result's ``center_omega``.
        key: random key of the wave.
        steps: numbers of inner steps, ascending; 0 is before adaptation.
        points: N, inputs at which the curves are computed.

    Raises:
        ConfigurationError: steps that are negative or not ascending.
    """
    if not steps or steps[0] < 0 or any(a >= b for a, b in itertools.pairwise(steps)):
        raise ConfigurationError(f"adaptation_curves expects ascending steps, each 0 or more, got {steps}.")
    x = jnp.linspace(*X_RANGE, points, dtype=jnp.float32)
    task, predictions = jax.device_get(_predictions(problem, omega, key, steps, x))
    inputs, support = np.asarray(x), task.support_x[:, 0]
    truth = np.asarray(task.at(inputs))
    errors = np.mean((predictions - truth) ** 2, axis=1)
    return AdaptationCurves(inputs, truth, support, np.asarray(task.at(support)), steps, predictions, errors)


@functools.partial(jax.jit, static_argnames=("problem", "steps"))
def _predictions(
    problem: Sinusoid, omega: Omega, key: Key, steps: tuple[int, ...], x: jax.Array
) -> tuple[Wave, jax.Array]:
    """Return a held-out wave, and the predictions ``[len(steps), N]`` of the learner that adapts to it."""
    key_task, key_learner = jax.random.split(key)
    task = problem.sample_test_task(key_task)
    learner, done, predictions = begin(problem, key_learner, omega, task), 0, []
    for number in steps:
        learner = train(problem, key_learner, omega, task, learner, done, number - done)
        done = number
        predictions.append(problem.predict(learner, x[:, None])[:, 0])
    return task, jnp.stack(predictions)
