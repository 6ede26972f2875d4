"""Sinusoid regression: an initialisation from which few examples are enough.

Branch of meta-learning: learned initialisations (and, as an option, learned step sizes), judged by fast adaptation.
Each task is a sine wave; a learner sees a handful of its points and takes a few gradient steps.
"""

import dataclasses
import functools
import itertools
import math
from typing import Any, ClassVar, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError
from evometa.problem import InnerTraining, begin, train
from evometa.problems._networks import MLP, squared_error
from evometa.spaces import Dict, Like
from evometa.types import Key, Omega, Scalar

X_RANGE = (-5.0, 5.0)
AMPLITUDES = (0.1, 5.0)
PHASES = (0.0, math.pi)


class Wave(NamedTuple):
    """A task: the wave ``amplitude · sin(x - phase)``, and points of it; all float32."""

    amplitude: jax.Array
    """``[]``"""
    phase: jax.Array
    """``[]``"""
    support_x: jax.Array
    """``[shots, 1]``, what the learner trains on."""
    query_x: jax.Array
    """``[queries, 1]``, what it is judged on."""

    def at(self, x: jax.Array) -> jax.Array:
        """Return the wave's values at ``x``, of any shape."""
        return self.amplitude * jnp.sin(x - self.phase)


def draw_wave(key: Key, shots: int, queries: int, x_range: tuple[float, float]) -> Wave:
    """Draw a wave and its points, all uniformly."""
    amplitude, phase, support, query = (
        jax.random.uniform(k, shape, jnp.float32, *limits)
        for k, shape, limits in zip(
            jax.random.split(key, 4),
            ((), (), (shots, 1), (queries, 1)),
            (AMPLITUDES, PHASES, x_range, x_range),
            strict=True,
        )
    )
    return Wave(amplitude, phase, support, query)


def require_range(problem: Any) -> None:
    """Raise a ConfigurationError unless a problem's ``x_range`` is one."""
    low, high = problem.x_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigurationError(
            f"{type(problem).__name__} expects x_range as two finite numbers, the smaller first, got {problem.x_range}."
        )


Waves = TypeVar("Waves", bound=Any)


def shifted_waves(problem: Waves) -> dict[str, Waves]:
    """Return problems with fewer and more examples, and with points to the right of those of training.

    Args:
        problem: a problem with the fields ``shots`` and ``x_range``.
    """
    low, high = problem.x_range
    return {
        "half the shots": dataclasses.replace(problem, shots=max(problem.shots // 2, 1)),
        "twice the shots": dataclasses.replace(problem, shots=2 * problem.shots),
        "x moved by a quarter": dataclasses.replace(problem, x_range=(low + (high - low) / 4, high + (high - low) / 4)),
    }


@dataclasses.dataclass(frozen=True)
class Sinusoid(InnerTraining):
    """Few-shot regression of sine waves by plain gradient descent.

    The network is an MLP with ReLU, one input and one output. ω is a dict: ``weights``, from which every learner
    starts, and with ``learn_rates`` also ``log_rates``, one number v for each weight tensor, whose step size is then
    ``learning_rate · exp(v)``. A search starts at a draw of the network's own initialiser and at v = 0. The fitness,
    to be minimised, is the mean squared error on the task's query points.

    Paper: Finn, Abbeel and Levine, "Model-agnostic meta-learning for fast adaptation of deep networks", ICML 2017.

    Args:
        shots: K, points of each wave that the learner trains on.
        queries: points of each wave that it is judged on.
        test_queries: the same for held-out tasks.
        x_range: from where to where points lie.
        hidden: widths of the hidden layers.
        learning_rate: step size of the inner gradient descent.
        learn_rates: whether ω holds a step size for each weight tensor.
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

    shots: int = 10
    queries: int = 20
    test_queries: int = 100
    x_range: tuple[float, float] = X_RANGE
    hidden: tuple[int, ...] = (40, 40)
    learning_rate: float = 0.01
    learn_rates: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self)
        if min(self.shots, self.queries, self.test_queries, *self.hidden) < 1 or not self.learning_rate > 0:
            raise ConfigurationError(
                "Sinusoid expects shots, queries, test_queries and the widths in hidden of at least 1, and "
                f"learning_rate > 0, got {self}."
            )

    @property
    def network(self) -> MLP:
        """The learner's network."""
        return MLP((*self.hidden, 1))

    @property
    def space(self) -> Dict:
        """Initial weights, and the logarithms of step sizes where they are learned."""
        weights = Like(functools.partial(self.network.draw, inputs=1))
        if not self.learn_rates:
            return Dict({"weights": weights})
        shapes = jax.eval_shape(functools.partial(self.network.draw, inputs=1), jax.random.key(0))
        log_rates = Like(jax.tree.map(lambda _: np.zeros((), np.float32), shapes))
        return Dict({"weights": weights, "log_rates": log_rates})

    def shifted(self) -> dict[str, "Sinusoid"]:
        """Half and twice the examples; waves seen beyond the range of training."""
        return shifted_waves(self)

    def sample_task(self, key: Key) -> Wave:
        """Draw a wave and its points."""
        return draw_wave(key, self.shots, self.queries, self.x_range)

    def sample_test_task(self, key: Key) -> Wave:
        """Draw a wave of the same distribution, with ``test_queries`` query points."""
        return draw_wave(key, self.shots, self.test_queries, self.x_range)

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


class AdaptationCurves(NamedTuple):
    """What a learner predicts on one wave as it adapts; numbers for a picture."""

    x: NDArray[np.float32]
    """``[N]``, the whole input range."""
    truth: NDArray[np.float32]
    """``[N]``, the wave."""
    support_x: NDArray[np.float32]
    """``[shots]``"""
    support_y: NDArray[np.float32]
    """``[shots]``"""
    steps: tuple[int, ...]
    """After how many inner steps each prediction was made; 0: before any."""
    predictions: NDArray[np.float32]
    """``[len(steps), N]``"""
    errors: NDArray[np.float32]
    """``[len(steps)]``, mean squared error of each prediction over ``x``."""


def adaptation_curves(
    problem: Sinusoid, omega: Omega, key: Key, steps: tuple[int, ...] = (0, 1, 10), points: int = 200
) -> AdaptationCurves:
    """Adapt one learner to one held-out wave and record what it predicts on the way.

    Args:
        problem: the problem.
        omega: its ω, such as a result's ``center_omega``.
        key: random key that draws the wave.
        steps: ascending numbers of inner steps, 0 for before any.
        points: N, inputs at which curves are given.

    Raises:
        ConfigurationError: steps that are negative or not ascending.
    """
    if not steps or steps[0] < 0 or any(a >= b for a, b in itertools.pairwise(steps)):
        raise ConfigurationError(f"adaptation_curves expects ascending steps, each 0 or more, got {steps}.")
    x = jnp.linspace(*X_RANGE, points, dtype=jnp.float32)
    key_task, key_learner = jax.random.split(key)

    @jax.jit
    def curves(omega: Omega) -> tuple[Wave, jax.Array]:
        task = problem.sample_test_task(key_task)
        learner, done, predictions = begin(problem, key_learner, omega, task), 0, []
        for number in steps:
            learner = train(problem, key_learner, omega, task, learner, done, number - done)
            done = number
            predictions.append(problem.predict(learner, x[:, None])[:, 0])
        return task, jnp.stack(predictions)

    task, predictions = jax.device_get(curves(omega))
    inputs, support = np.asarray(x), task.support_x[:, 0]
    truth = np.asarray(task.at(inputs))
    errors = np.mean((predictions - truth) ** 2, axis=1)
    return AdaptationCurves(inputs, truth, support, np.asarray(task.at(support)), steps, predictions, errors)
