"""Sine waves that are learned one after the other: a representation with which online learning does not forget.

Branch of meta-learning: continual learning.
"""

import dataclasses
import functools
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError
from evometa.problem import InnerTraining
from evometa.problems.continual.forgetting import along_stream, forgetting_curves
from evometa.problems.shared.networks import MLP, squared_error
from evometa.settings import Count, Items, Positive
from evometa.spaces import Dict, Like
from evometa.types import Key, Omega, Scalar

TRAINING, HELD_OUT = 400, 1000
"""Functions of the training tasks, and other ones of the held-out tasks."""
IDENTITIES = 50
AMPLITUDES, PHASES, X_RANGE = (0.1, 5.1), (0.0, np.pi), (-5.0, 5.0)


class Waves(NamedTuple):
    """Functions ``amplitude · sin(x + phase)``; float32."""

    amplitudes: NDArray[np.float32]
    """``[N]``"""
    phases: NDArray[np.float32]
    """``[N]``"""


@functools.cache
def waves() -> tuple[Waves, Waves]:
    """Return the functions of training and the held-out ones; always the same."""
    rng = np.random.default_rng(8)
    amplitudes, phases = (rng.uniform(*ends, TRAINING + HELD_OUT).astype(np.float32) for ends in (AMPLITUDES, PHASES))
    return Waves(amplitudes[:TRAINING], phases[:TRAINING]), Waves(amplitudes[TRAINING:], phases[TRAINING:])


class Examples(NamedTuple):
    """Inputs of the network and labels; float32."""

    inputs: jax.Array
    """``[..., B, 1 + IDENTITIES]``: x, and which function it is, one-hot."""
    labels: jax.Array
    """``[..., B, 1]``"""


class WaveStream(NamedTuple):
    """A task: functions in the order in which they are learned."""

    stream: Examples
    """With leading axis S: the batch of each step."""
    query: Examples
    """With leading axis ``functions``."""


class Online(NamedTuple):
    """A learner: the trained output layer, and the number of batches so far."""

    head: Any
    steps: Scalar


@dataclasses.dataclass(frozen=True)
class IncrementalSinusoids(InnerTraining):
    """Learn a representation on which a linear output, trained on one function after the other, forgets none.

    ω is a dict: ``representation``, the weights of an MLP whose inputs are x and the one-hot identity of a function,
    and ``head``, the initial weights of a linear output of its features. A task is ten functions, each with an identity
    that is drawn anew. The learner trains the output alone, by SGD on batches of one function after the other, none of
    which comes back. The fitness, to be minimised, is the mean squared error on all ten functions afterwards. Held-out
    tasks are of 1,000 functions that no training task has.

    Paper: Javed and White, "Meta-learning representations for continual learning", NeurIPS 2019, whose protocol this is
    but for a smaller network, of which only the last layer is trained online, and for ten batches of each function with
    a step size of 0.03 instead of 40 with 0.003.

    Result, mean squared error on all functions after ten held-out ones, mean of 3 seeds (``benchmarks/continual.py
    sinusoids --seconds 30``): 1.37 by the gradient, 2.61 by OpenAI-ES; a network that was fitted to training functions
    all at once and trained online in the best way has 3.38.

    Args:
        functions: functions of a stream.
        batch_size: examples of a step.
        test_batch_size: the same for held-out tasks, as in the paper.
        queries: examples of each function that the error is measured on.
        hidden: widths of the representation's layers.
        learning_rate: step size of SGD, whose loss is the mean squared error.

    Raises:
        ConfigurationError: inner_steps that cannot be divided among the functions, or more functions than identities.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="continual learning",
        omega="weights of a representation, and of its output",
        learner="linear output, online SGD",
        paper="Javed & White 2019",
        recipe=Recipe("Gradient", {"learning_rate": 0.006}, {"seconds": 60}),
    )

    num_tasks: int = 4
    inner_steps: int = 100
    functions: Count = 10
    batch_size: Count = 8
    test_batch_size: Count = 32
    queries: Count = 32
    hidden: Annotated[tuple[Count, ...], Items()] = (64, 64)
    learning_rate: Positive = 0.03

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.functions > IDENTITIES or self.inner_steps % self.functions:
            raise ConfigurationError(
                f"{type(self).__name__} expects at most {IDENTITIES} functions, and inner_steps that are a multiple of "
                f"their number, got functions={self.functions} and inner_steps={self.inner_steps}."
            )

    @property
    def network(self) -> MLP:
        """The representation."""
        return MLP(self.hidden)

    @property
    def space(self) -> Dict:
        """Weights of the representation and of the output."""
        return Dict(
            {
                "representation": Like(functools.partial(self.network.draw, inputs=1 + IDENTITIES)),
                "head": Like(functools.partial(MLP((1,)).draw, inputs=self.hidden[-1])),
            }
        )

    def shifted(self) -> dict[str, "IncrementalSinusoids"]:
        """Four times the steps for each function, as many as in the paper by default, and twice as many functions."""
        kinds = {"four times the steps": dataclasses.replace(self, inner_steps=4 * self.inner_steps)}
        if 2 * self.functions <= IDENTITIES:
            kinds["twice the functions"] = dataclasses.replace(
                self, functions=2 * self.functions, inner_steps=2 * self.inner_steps
            )
        return kinds

    def sample_task(self, key: Key) -> WaveStream:
        """Draw a stream of training functions."""
        return self.draw(key, waves()[0], self.batch_size)

    def sample_test_task(self, key: Key) -> WaveStream:
        """Draw a stream of held-out functions, with batches of ``test_batch_size``."""
        return self.draw(key, waves()[1], self.test_batch_size)

    def draw(self, key: Key, part: Waves, batch_size: int) -> WaveStream:
        """Draw a stream of the given functions."""
        key_functions, key_identities, key_stream, key_query = jax.random.split(key, 4)
        chosen = jax.random.permutation(key_functions, len(part.phases))[: self.functions]
        identities = jax.random.permutation(key_identities, IDENTITIES)[: self.functions]
        now = jnp.repeat(jnp.arange(self.functions), self.inner_steps // self.functions)

        def examples(key: Key, number: jax.Array, count: int) -> Examples:
            x = jax.random.uniform(key, (len(number), count, 1), jnp.float32, *X_RANGE)
            amplitude, phase = (jnp.asarray(each)[chosen[number], None, None] for each in part)
            names = jax.nn.one_hot(identities[number], IDENTITIES, dtype=jnp.float32)[:, None]
            names = jnp.broadcast_to(names, (len(number), count, IDENTITIES))
            return Examples(jnp.concatenate([x, names], axis=2), amplitude * jnp.sin(x + phase))

        return WaveStream(
            examples(key_stream, now, batch_size), examples(key_query, jnp.arange(self.functions), self.queries)
        )

    def init(self, key: Key, omega: Omega, task: WaveStream) -> Online:
        """Start at ω's output."""
        return Online(omega["head"], jnp.int32(0))

    def step(self, key: Key, omega: Omega, task: WaveStream, learner: Online) -> Online:
        """Take a step of SGD on the next batch."""
        batch = jax.tree.map(lambda leaf: leaf[learner.steps], task.stream)
        features = self.features(omega, batch.inputs)
        gradient = jax.grad(lambda head: squared_error(MLP((1,)).run(head, features), batch.labels))(learner.head)
        head = jax.tree.map(lambda w, g: w - jnp.float32(self.learning_rate) * g, learner.head, gradient)
        return Online(head, learner.steps + 1)

    def features(self, omega: Omega, inputs: jax.Array) -> jax.Array:
        """Return the features ``[..., F]`` of inputs ``[..., 1 + IDENTITIES]``, none negative."""
        return jax.nn.relu(self.network.run(omega["representation"], inputs))

    def outputs(self, omega: Omega, task: WaveStream, learner: Online) -> jax.Array:
        """Return what the learner makes of the queries, ``[functions, queries, 1]``."""
        return MLP((1,)).run(learner.head, self.features(omega, task.query.inputs))

    def errors(self, omega: Omega, task: WaveStream, learner: Online) -> jax.Array:
        """Return the mean squared error on each function, ``[functions]``."""
        return jnp.mean((self.outputs(omega, task, learner) - task.query.labels) ** 2, axis=(1, 2))

    def loss(self, key: Key, omega: Omega, task: WaveStream, learner: Online) -> Scalar:
        """Return the mean squared error on all functions of the stream."""
        return jnp.mean(self.errors(omega, task, learner))

    def forgetting(self, key: Key, omega: Omega, task: WaveStream) -> jax.Array:
        """Return the error on each function (columns) after each of the stream (rows), ``[functions, functions]``."""
        return along_stream(self, key, omega, task, self.functions, lambda learner: self.errors(omega, task, learner))

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw functions of a held-out stream after all are learned, and the error along ten held-out streams."""
        from evometa.plots import style

        @jax.jit
        def stream(key: Key) -> Any:
            key_task, key_learner = jax.random.split(key)
            task = self.sample_test_task(key_task)
            outputs = along_stream(
                self, key_learner, omega, task, self.functions, lambda learner: self.outputs(omega, task, learner)
            )
            return task.query, outputs

        query, outputs = jax.device_get(jax.lax.map(stream, jax.random.split(key, 10)))
        shown = np.unique(np.linspace(0, self.functions - 1, 5).round().astype(int))
        picture = style.figure(width=1.9 * len(shown), height=2.3)
        for axes, number in zip(picture.subplots(1, len(shown), sharey=True, squeeze=False)[0], shown, strict=True):
            order = np.argsort(query.inputs[0, number, :, 0])
            x = query.inputs[0, number, order, 0]
            axes.plot(x, query.labels[0, number, order, 0], color=style.GREY, label="function")
            axes.plot(x, outputs[0, -1, number, order, 0], color=style.BLUE, label="learner")
            axes.set_title(f"learned {number + 1} of {self.functions}", fontsize="small")
            style.label_axes(axes, x="x", y="")
        axes.legend(fontsize="x-small")
        errors = np.mean((outputs - query.labels[:, None]) ** 2, axis=(-2, -1))
        curves = forgetting_curves(errors, x="functions learned", y="mean squared error")
        return {"functions": picture, "forgetting": curves}
