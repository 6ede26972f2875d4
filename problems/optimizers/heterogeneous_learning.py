"""One learning rule for tables, small images, time series and sequences.

Branch of meta-learning: learned optimizers, for tasks that differ in kind. ω holds the settings of AdamW and its
schedule, and how the rate and the decay of each tensor follow from the course of the training. What was learned on some
data sets is evaluated on another, or on a whole modality that was left out.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError
from evometa.inner_training import learning_curve
from evometa.problem import InnerTraining
from evometa.problems.optimizers.exported import told_transformation
from evometa.problems.optimizers.heterogeneous_data import CLASSES, INPUTS, NAMES, DataSet, stacked
from evometa.problems.shared.scalars import number
from evometa.settings import Count
from evometa.spaces import Dict, Like
from evometa.types import Key, Omega, Scalar

FEATURES = 8
"""What rate and decay of a tensor depend on."""
EPSILON = 1e-8
LEAST = 40
"""Examples of the smallest training part."""
EVALUATED = 256
"""Examples that a learner is evaluated on, drawn with replacement."""


class Training(NamedTuple):
    """A task: what is random in training on one data set."""

    data_set: Scalar
    """Its place in ``NAMES``, int32."""
    weights: dict[str, jax.Array]
    """The initial weights, zero where the data set has neither input nor class."""
    size: Scalar
    """How many examples there are to train on, float32."""
    batches: jax.Array
    """``[S, B]``, rows of the training part."""
    evaluation_rows: jax.Array
    """``[V]``, rows of the part that the learner is evaluated on."""


class Trained(NamedTuple):
    """A learner: weights, and what the rule remembers."""

    weights: dict[str, jax.Array]
    first: dict[str, jax.Array]
    """Like the weights: the running mean of gradients."""
    second: dict[str, jax.Array]
    """That of their squares."""
    losses: jax.Array
    """``[2]``, a quick and a slow running mean of the training loss, 1 for a uniform prediction."""
    steps: Scalar
    """Updates so far, int32."""


@dataclasses.dataclass(frozen=True)
class HeterogeneousLearning(InnerTraining):
    """Learn a learning rule on data sets of several modalities, for one that is not among them.

    The seven data sets of :mod:`heterogeneous_data` have one shape by padding: 64 inputs and 10 classes; weights of
    inputs and classes that are not there are zero and stay so, and such classes get no probability. The learner is an
    MLP with two hidden layers. Each tensor w with the running means m and v of gradients and their squares, both
    without bias, takes the step of AdamW, w ← w - η r (m / √v + λ d w), with η of a schedule of linear warm-up and a
    cosine. r and d are exp(a · features) with an a each; the features are time, running training loss and its change,
    epochs so far, ``|m| / |√v|`` and the size of the weights, and whether it is a bias or the last layer. With a = 0
    the rule is AdamW.

    Trainings of a search have the first examples of the training part, from 40 to all, held-out ones all of them. The
    fitness is the cross-entropy on 256 examples of the validation part after the last step, as a share of that of a
    uniform prediction, at most 2. Held-out tasks are trainings on the data sets that are left out, on their test parts.

    Result (``benchmarks/heterogeneous.py --generations 100``, 3 seeds): at least as good as AdamW with rate, decay,
    averages and schedule tuned for as long on 6 of 7 data sets that were left out, and on all 4 modalities; worse on
    wine (0.290 instead of 0.262), and best on digits (0.145 instead of 0.217).

    Args:
        left_out: the data sets that no search sees.
        batch_size: examples of each inner step, drawn with replacement.
        width: units of each hidden layer.
        adaptive: whether ω has the factors a; without them the rule is AdamW with a schedule.

    Raises:
        ConfigurationError: all data sets are left out, or none.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="learned optimizers, across modalities",
        omega="settings of AdamW, and how they adapt",
        learner="MLP on seven data sets",
        recipe=Recipe("CMAES", {"population_size": 24}, {"seconds": 120}),
    )

    num_tasks: int = 12
    inner_steps: int = 60
    left_out: tuple[DataSet, ...] = ("digits",)
    batch_size: Count = 16
    width: Count = 24
    adaptive: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < len(set(self.left_out)) < len(NAMES):
            raise ConfigurationError(
                f"HeterogeneousLearning expects left_out as one or more of {', '.join(NAMES)}, but not all of them, "
                f"got {self.left_out}; the others are learned from."
            )

    @property
    def space(self) -> Dict:
        """Settings of AdamW and its schedule, and what changes them, which starts by changing nothing."""
        spaces: dict[str, Any] = {
            "rate": number(1e-4, 0.3, 0.003, log=True),
            "decay": number(1e-4, 10.0, 0.01, log=True),
            "first": number(0.01, 1.0, 0.1, log=True),
            "second": number(0.001, 1.0, 0.01, log=True),
            "warm_up": number(0.0, 0.5, 0.05),
            "final": number(0.0, 1.0, 0.1),
        }
        if self.adaptive:
            zeros = np.zeros(FEATURES, np.float32)
            spaces["adaptation"] = Like({"rate": zeros, "decay": zeros}, scale=0.3)
        return Dict(spaces)

    def shifted(self) -> dict[str, "HeterogeneousLearning"]:
        """Longer training, a wider network, and larger minibatches."""
        return {
            "twice the steps": dataclasses.replace(self, inner_steps=2 * self.inner_steps),
            "a wider network": dataclasses.replace(self, width=4 * self.width),
            "larger minibatches": dataclasses.replace(self, batch_size=4 * self.batch_size),
        }

    def sample_task(self, key: Key) -> Training:
        """Draw a training on one of the data sets to learn from, evaluated on its validation part."""
        return self.draw(*self.choose(key, tuple(name for name in NAMES if name not in self.left_out)), 0)

    def sample_test_task(self, key: Key) -> Training:
        """Draw a training on a data set that is left out, evaluated on its test part."""
        return self.draw(*self.choose(key, self.left_out), 1)

    @staticmethod
    def choose(key: Key, names: tuple[DataSet, ...]) -> tuple[Key, Scalar]:
        """Return another key, and the place of one of the data sets."""
        key, key_choice = jax.random.split(key)
        return key, jax.random.choice(key_choice, jnp.array([NAMES.index(name) for name in names], jnp.int32))

    def draw(self, key: Key, data_set: Scalar, part: int) -> Training:
        """Draw a training on a data set.

        Args:
            key: random key.
            data_set: its place in ``NAMES``, int32.
            part: 0 to train on a first part of the training examples, of a size drawn in its logarithm, and evaluate on
                the validation part; 1 to train on all of them, and evaluate on the test part.
        """
        keys = jax.random.split(key, 4)
        data = stacked(NAMES)
        ends, (_, inputs, classes) = jnp.asarray(data.ends)[data_set], jnp.asarray(data.shape)[data_set]
        share = jax.random.uniform(keys[3], (), jnp.float32)
        size = jnp.floor(LEAST * (ends[0] / LEAST) ** (share if part == 0 else 1.0) + 0.01)
        uniform = jax.random.uniform(keys[0], (self.inner_steps, self.batch_size), jnp.float32)
        batches = jnp.floor(uniform * size).astype(jnp.int32)
        rows = jax.random.randint(keys[1], (EVALUATED,), ends[part], ends[part + 1], jnp.int32)
        return Training(data_set, self.initial(keys[2], inputs, classes), size, batches, rows)

    def initial(self, key: Key, inputs: Scalar, classes: Scalar) -> dict[str, jax.Array]:
        """Draw weights of variance 2 / inputs (He et al. 2015), zero for padding."""
        noise = jax.random.normal(key, (INPUTS + self.width + CLASSES, self.width), jnp.float32)
        first, middle, last = jnp.split(noise, [INPUTS, INPUTS + self.width])
        return {
            "first": first * jnp.sqrt(2 / inputs) * (jnp.arange(INPUTS) < inputs)[:, None],
            "first_bias": jnp.zeros(self.width, jnp.float32),
            "middle": middle * np.float32((2 / self.width) ** 0.5),
            "middle_bias": jnp.zeros(self.width, jnp.float32),
            "last": last.T * np.float32(self.width**-0.5) * (jnp.arange(CLASSES) < classes)[None],
            "last_bias": jnp.zeros(CLASSES, jnp.float32),
        }

    def init(self, key: Key, omega: Omega, task: Training) -> Trained:
        """Start at the task's weights."""
        return self.begun(task.weights)

    @staticmethod
    def begun(weights: dict[str, jax.Array]) -> Trained:
        """Return a learner before its first step."""
        zeros = jax.tree.map(jnp.zeros_like, weights)
        return Trained(weights, zeros, zeros, jnp.ones(2, jnp.float32), jnp.int32(0))

    def step(self, key: Key, omega: Omega, task: Training, learner: Trained) -> Trained:
        """Take a step by the rule on the next minibatch."""
        rows = task.batches[learner.steps]
        loss, gradient = jax.value_and_grad(lambda weights: self.error(weights, task, rows))(learner.weights)
        number = learner.steps + 1
        epochs = number * self.batch_size / task.size
        places = {name: (name.endswith("bias"), name.startswith("last")) for name in learner.weights}
        return self.updated(omega, learner, gradient, loss, number / self.inner_steps, epochs, places)

    def updated(
        self,
        omega: Omega,
        learner: Trained,
        gradient: dict[str, jax.Array],
        loss: Scalar,
        time: Scalar,
        epochs: Scalar,
        places: Mapping[str, tuple[bool, bool]],
    ) -> Trained:
        """Return a learner after a step by the rule.

        Args:
            omega: the rule.
            learner: the weights by their names, and what the rule remembers.
            gradient: that of the loss.
            loss: on the minibatch, as a share of that of a uniform prediction.
            time: the share of the training that is done after this step.
            epochs: how often the training has seen its examples by then.
            places: whether each tensor is a bias, and whether it is of the last layer.
        """
        number = learner.steps + 1
        first = jax.tree.map(lambda m, g: m + omega["first"] * (g - m), learner.first, gradient)
        second = jax.tree.map(lambda v, g: v + omega["second"] * (g**2 - v), learner.second, gradient)
        unbiased = [1 - (1 - omega[name]) ** number for name in ("first", "second")]
        losses = learner.losses + jnp.array([0.2, 0.05], jnp.float32) * (loss - learner.losses)
        rate = omega["rate"] * self.schedule(omega, time)
        common = [2 * time - 1, jnp.log(losses[0] + 0.01), 3 * jnp.log(losses[0] / losses[1]), jnp.log(epochs + 0.1)]
        weights = {}
        for name, weight in learner.weights.items():
            mean, deviation = first[name] / unbiased[0], jnp.sqrt(second[name] / unbiased[1])
            changes = {"rate": jnp.float32(1), "decay": jnp.float32(1)}
            if self.adaptive:
                signal = jnp.log((jnp.sum(mean**2) + 1e-12) / (jnp.sum(deviation**2) + 1e-12)) / 2 + 1
                outputs = weight.shape[-1] if weight.ndim else 1
                size = jnp.log(jnp.sqrt(jnp.sum(weight**2) / outputs) + 0.1)
                features = jnp.stack([*common, signal, size, *map(jnp.float32, places[name])])
                changes = {
                    part: jnp.exp(jnp.clip(features @ factors, -5.0, 5.0))
                    for part, factors in omega["adaptation"].items()
                }
            decayed = omega["decay"] * changes["decay"] * weight
            weights[name] = weight - rate * changes["rate"] * (mean / (deviation + EPSILON) + decayed)
        return Trained(weights, first, second, losses, number)

    def export(self, omega: Omega) -> Callable[..., optax.GradientTransformationExtraArgs]:
        """Return a function that makes the rule an optimizer of optax for one training of any network.

        Its arguments are ``steps``, the updates of the whole training; ``steps_per_epoch``, how many of them see each
        example once; ``last``, the name of the last layer, or of several tensors, as in the paths of the weights; and
        ``uniform``, the loss of a uniform prediction, the logarithm of the number of classes for the cross-entropy. The
        optimizer's ``update`` is told the training loss as ``value``, as optax has it; its updates are added to the
        weights as they are. The search's tensors are padded to 10 classes.
        """

        def optimizer(
            steps: int, *, steps_per_epoch: float, last: str | Sequence[str], uniform: float
        ) -> optax.GradientTransformationExtraArgs:
            names = {last} if isinstance(last, str) else set(last)

            def change(learner: Trained, gradient: dict[str, jax.Array], loss: Scalar) -> Trained:
                number = learner.steps + 1
                places = {
                    name: (tensor.ndim < 2, bool(names & set(name.split("."))))
                    for name, tensor in learner.weights.items()
                }
                if not any(is_last for _, is_last in places.values()):
                    raise ConfigurationError(
                        "The optimizer expects last as a name in the paths of the weights, got "
                        f"{sorted(names)} and the paths {', '.join(places)}."
                    )
                scaled = {name: part / uniform for name, part in gradient.items()}
                return self.updated(
                    omega, learner, scaled, loss / uniform, number / steps, number / steps_per_epoch, places
                )

            return told_transformation(self.begun, change)

        return optimizer

    @staticmethod
    def schedule(omega: Omega, time: Scalar) -> Scalar:
        """Return the share of the rate at a time from 0 to 1: linear warm-up, then a cosine to its final share."""
        rise = jnp.minimum(1.0, time / (omega["warm_up"] + 1e-6))
        share: Scalar = rise * (omega["final"] + (1 - omega["final"]) * (1 + jnp.cos(jnp.pi * time)) / 2)
        return share

    def logits(self, weights: dict[str, jax.Array], task: Training, rows: jax.Array) -> jax.Array:
        """Return the network's logits ``[N, CLASSES]`` for rows of the task's data set, very small for padding."""
        data = stacked(NAMES)
        hidden = jnp.asarray(data.inputs)[task.data_set, rows]
        for layer in ("first", "middle"):
            hidden = jax.nn.relu(hidden @ weights[layer] + weights[f"{layer}_bias"][None])
        there = jnp.arange(CLASSES) < jnp.asarray(data.shape)[task.data_set, 2]
        return jnp.where(there[None], hidden @ weights["last"] + weights["last_bias"][None], -1e9)

    def error(self, weights: dict[str, jax.Array], task: Training, rows: jax.Array) -> Scalar:
        """Return the cross-entropy on rows of the task's data set, as a share of that of a uniform prediction."""
        data = stacked(NAMES)
        log_chances = jax.nn.log_softmax(self.logits(weights, task, rows))
        labels = jnp.asarray(data.labels)[task.data_set, rows]
        chosen = jnp.take_along_axis(log_chances, labels[:, None], axis=1)
        return -jnp.mean(chosen) / jnp.log(jnp.asarray(data.shape)[task.data_set, 2].astype(jnp.float32))

    def loss(self, key: Key, omega: Omega, task: Training, learner: Trained) -> Scalar:
        """Return the cross-entropy on the task's evaluation examples, at most twice that of a uniform prediction."""
        return jnp.minimum(2.0, self.error(learner.weights, task, task.evaluation_rows))

    def metrics(self, key: Key, omega: Omega, task: Training, learner: Trained) -> dict[str, Scalar]:
        """Return the accuracy on the task's evaluation examples."""
        guesses = jnp.argmax(self.logits(learner.weights, task, task.evaluation_rows), axis=1)
        labels = jnp.asarray(stacked(NAMES).labels)[task.data_set, task.evaluation_rows]
        return {"accuracy": jnp.mean(guesses == labels, dtype=jnp.float32)}

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw the loss on the test part of each data set as it is trained on, and that of AdamW as usual."""
        from evometa.plots import style

        steps = tuple(range(1, self.inner_steps + 1))

        @jax.jit
        def curves(omega: Omega) -> jax.Array:
            def one(key: Key, place: Scalar) -> jax.Array:
                return learning_curve(self, key, omega, self.draw(key, place, 1), steps)[0]

            keys = jax.random.split(key, 8)
            return jax.vmap(lambda place: jax.vmap(one, (0, None))(keys, place).mean(axis=0))(jnp.arange(len(NAMES)))

        usual = self.space.decode(self.space.start(key))
        found = {"found": np.asarray(curves(omega)), "AdamW as usual": np.asarray(curves(usual))}
        picture = style.figure(width=9.0, height=4.4)
        grid = picture.subplots(2, 4, sharex=True, sharey=True).ravel()
        for place, (name, axes) in enumerate(zip(NAMES, grid, strict=False)):
            for (label, losses), color in zip(found.items(), (style.BLUE, style.GREY), strict=True):
                axes.plot(steps, losses[place], color=color, label=label)
            style.label_axes(axes, x="", y="")
            title = name.replace("_", " ")
            axes.set_title(f"{title}, left out" if name in self.left_out else title, fontsize="small")
            axes.set_ylim(0, 1.2)
        grid[0].set_ylabel("test loss")
        grid[4].set_ylabel("test loss")
        grid[4].set_xlabel("inner step")
        grid[7].set_axis_off()
        grid[7].legend(*grid[0].get_legend_handles_labels(), loc="center", frameon=False)
        return {"data_sets": picture}
