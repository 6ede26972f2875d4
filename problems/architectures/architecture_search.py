"""Neural architecture search: a cell of operations.

Branch of meta-learning: architectures. ω assigns an operation to each edge of a small graph, and is evaluated by
training that network. One compiled program serves all architectures: every edge computes all operations, and ω masks
all but one.
"""

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError, nearest
from evometa.problem import InnerTraining
from evometa.problems.shared.classification import Name, components, draw_rows, other_data_set, table
from evometa.problems.shared.networks import accuracy, cross_entropy
from evometa.settings import Count, Items, Positive, Several
from evometa.spaces import Categorical
from evometa.types import Key, Omega, Scalar

OPERATIONS: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "none": lambda values, linear: jnp.zeros_like(values),
    "skip": lambda values, linear: values,
    "linear": lambda values, linear: linear,
    "relu": lambda values, linear: jax.nn.relu(linear),
    "tanh": lambda values, linear: jnp.tanh(linear),
}
"""What an edge may compute, from the values at its source and from a linear layer applied to them."""


class Training(NamedTuple):
    """A task: everything random about one training run, and the examples it is evaluated on."""

    weights: Any
    """Initial weights: of the edges ``[E, width, width]`` and ``[E, width]``, of the output ``[width, C]``."""
    batches: jax.Array
    """``[S, B]``, rows of the training part: the minibatch of each step."""
    evaluation_rows: jax.Array
    """Rows of the validation part, or of the test part for a held-out task."""


class Learner(NamedTuple):
    """A network that is being trained."""

    weights: Any
    moments: Any
    """The state of Adam."""
    steps: jax.Array
    """``[]``, updates so far."""


@dataclasses.dataclass(frozen=True)
class ArchitectureSearch(InnerTraining):
    """Find the cell that trains best: the operation on each edge between its nodes.

    A cell has ``nodes`` nodes; the value of a node is the sum of the outputs of the edges from all earlier nodes. The
    first node holds the first ``width`` principal components of an example, and a linear layer maps the last node to
    logits. ω is ``[E]`` int32, the index in ``operations`` for each of the E = nodes · (nodes - 1) / 2 edges, in the
    order 0→1, 0→2, 1→2, 0→3 and so on; 15,625 cells by default. The inner loop trains the cell by Adam on minibatches,
    so briefly that all cells could be trained (:class:`ArchitectureTable` holds the result); the distance of a search
    from the optimum is therefore known exactly.

    Fitness, to be minimised, is the cross-entropy in nats on the validation part (a fifth of the examples) after the
    last step; the metric ``accuracy`` is measured there too. Held-out tasks are evaluated on the test part, another
    fifth, which a search never sees. Tasks differ by initial weights and minibatches, which all cells share.

    Paper: Dong & Yang, "NAS-Bench-201", 2020, arXiv:2001.00326, has a space of this form with convolutions, trained
    for 200 epochs; Real et al., "Regularized evolution for image classifier architecture search", 2018,
    arXiv:1802.01548, searches such cells by aged evolution. Our networks are far smaller, and no number of theirs is
    compared here.

    Result, medians (``benchmarks/aged_evolution.py``): aged evolution evaluates 22 cells until one is among the best
    1 %, random search 74. When each cell is actually trained: 24 on 4 tasks that are fixed during a search, 32 on 8 new
    tasks for each cell, and 44 on 2 new ones.

    Args:
        operations: names of operations: none, skip (the identity), and linear, relu and tanh (a layer each).
        nodes: number of nodes of a cell, at least 2.
        width: size of a node, at most the number of features.
        batch_size: B, examples in one inner step, drawn with replacement.
        learning_rate: step size of Adam.
        data_set: a data set bundled with scikit-learn, or a synthetic one.

    Raises:
        ConfigurationError: a space without any cell, operations that are unknown or named twice, a width larger than
            the data, sizes or a learning rate that are not positive.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="architectures",
        omega="a cell: an operation for each edge",
        learner="a masked supernet, trained by Adam",
        paper="Dong & Yang 2020",
        recipe=Recipe(
            "AgedEvolution", {"population_size": 1, "living": 8, "tournament_size": 25}, {"evaluations": 400}
        ),
    )

    num_tasks: int = 2
    inner_steps: int = 80
    operations: Annotated[tuple[str, ...], Items()] = tuple(OPERATIONS)
    nodes: Several = 4
    width: Count = 16
    batch_size: Count = 32
    learning_rate: Positive = 0.01
    data_set: Name = "digits"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_cells("ArchitectureSearch", self.operations, self.nodes)
        features = table(self.data_set).features.shape[1]
        if self.width > features:
            raise ConfigurationError(
                f"ArchitectureSearch expects a width of at most the number of features of {self.data_set}, {features}, "
                f"got {self.width}."
            )

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw the cell."""
        from evometa.plots import cell

        return {"cell": cell(self.operations, omega)}

    @property
    def space(self) -> Categorical:
        """An operation for each edge."""
        return cells(self.operations, self.nodes)

    def shifted(self) -> dict[str, "ArchitectureSearch"]:
        """Four times the training; half the width; another data set."""
        other = other_data_set(self.data_set)
        most = table(other).features.shape[1]
        return {
            "longer training": dataclasses.replace(self, inner_steps=4 * self.inner_steps),
            "half the width": dataclasses.replace(self, width=max(1, self.width // 2)),
            other: dataclasses.replace(self, data_set=other, width=min(self.width, most)),
        }

    def sample_task(self, key: Key) -> Training:
        """Draw initial weights and minibatches; evaluated on the validation part."""
        return self._draw(key, table(self.data_set).validation)

    def sample_test_task(self, key: Key) -> Training:
        """Draw initial weights and minibatches; evaluated on the test part."""
        return self._draw(key, table(self.data_set).test)

    def _draw(self, key: Key, evaluation_rows: NDArray[np.int32]) -> Training:
        key_edges, key_output, key_batches = jax.random.split(key, 3)
        count, width, data = len(edges(self.nodes)), self.width, table(self.data_set)
        scale = np.float32(width**-0.5)
        weights = {
            "edges": scale * jax.random.normal(key_edges, (count, width, width), jnp.float32),
            "biases": jnp.zeros((count, width), jnp.float32),
            "output": scale * jax.random.normal(key_output, (width, data.targets.shape[1]), jnp.float32),
        }
        batches = draw_rows(key_batches, data.training, (self.inner_steps, self.batch_size))
        return Training(weights, batches, jnp.asarray(evaluation_rows))

    def init(self, key: Key, omega: Omega, task: Training) -> Learner:
        """Start from the task's initial weights."""
        return Learner(task.weights, self._optimizer.init(task.weights), jnp.int32(0))

    @property
    def _optimizer(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)

    def step(self, key: Key, omega: Omega, task: Training, learner: Learner) -> Learner:
        """Take one step of Adam on the next minibatch."""
        rows = task.batches[learner.steps]
        gradient = jax.grad(lambda weights: self._error(omega, weights, rows))(learner.weights)
        updates, moments = self._optimizer.update(gradient, learner.moments)
        return Learner(optax.apply_updates(learner.weights, updates), moments, learner.steps + 1)

    def _error(self, omega: Omega, weights: Any, rows: jax.Array) -> Scalar:
        logits = self.predict(omega, weights, self._inputs[rows])
        return cross_entropy(logits, jnp.asarray(table(self.data_set).targets)[rows])

    @property
    def _inputs(self) -> jax.Array:
        return jnp.asarray(components(self.data_set, self.width))

    def predict(self, omega: Omega, weights: Any, inputs: jax.Array) -> jax.Array:
        """Return the logits ``[B, C]`` of a cell for principal components ``[B, width]``."""
        values = [inputs] + [jnp.zeros_like(inputs)] * (self.nodes - 1)
        for edge, (source, end) in enumerate(edges(self.nodes)):
            linear = values[source] @ weights["edges"][edge] + weights["biases"][edge][None]
            results = [OPERATIONS[name](values[source], linear) for name in self.operations]
            # select_n needs at least two cases.
            chosen = jax.lax.select_n(omega[edge], *results) if len(results) > 1 else results[0]
            values[end] = values[end] + chosen
        return cast(jax.Array, values[-1] @ weights["output"])

    def loss(self, key: Key, omega: Omega, task: Training, learner: Learner) -> Scalar:
        """Return the cross-entropy on the task's evaluation examples."""
        return self._error(omega, learner.weights, task.evaluation_rows)

    def metrics(self, key: Key, omega: Omega, task: Training, learner: Learner) -> dict[str, Scalar]:
        """Return the accuracy on the task's evaluation examples."""
        logits = self.predict(omega, learner.weights, self._inputs[task.evaluation_rows])
        return {"accuracy": accuracy(logits, jnp.asarray(table(self.data_set).labels)[task.evaluation_rows])}


def edges(nodes: int) -> tuple[tuple[int, int], ...]:
    """Return the source and the end of each edge of a cell."""
    return tuple((source, end) for end in range(1, nodes) for source in range(end))


def cells(operations: tuple[str, ...], nodes: int) -> Categorical:
    """Return the space of cells."""
    return Categorical(operations, (len(edges(nodes)),))


def require_cells(owner: str, operations: tuple[str, ...], nodes: int) -> None:
    """Raise ConfigurationError if the space has no cells, or if operations are unknown or named twice."""
    if not operations or nodes < 2:
        raise ConfigurationError(
            f"{owner} expects at least one operation and 2 nodes, since the space of architectures is empty "
            f"otherwise, got operations={operations} and nodes={nodes}."
        )
    unknown = [name for name in operations if name not in OPERATIONS]
    if unknown:
        raise ConfigurationError(
            f"{owner} expects operations that it knows, got {unknown[0]!r}. {nearest(unknown[0], OPERATIONS)}"
        )
    if len(set(operations)) < len(operations):
        raise ConfigurationError(f"{owner} expects operations that are all different, got {operations}.")
