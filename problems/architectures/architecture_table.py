"""A tabular benchmark of architecture search: every cell of a small space, trained in advance.

Branch of meta-learning: architectures. The cells were trained once, by :class:`ArchitectureSearch`; evaluating an
architecture is a table look-up, and the best cell is known.
"""

import dataclasses
import functools
import math
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError
from evometa.inner_training import learning_curve
from evometa.problem import Evaluation, Problem
from evometa.problems.architectures.architecture_search import ArchitectureSearch, cells, require_cells
from evometa.spaces import Categorical
from evometa.storage.files import npz, write_atomically
from evometa.types import Key, Omega, Scalar

DIGITS = Path(__file__).with_name("architecture_table.npz")
"""The default cells of :class:`ArchitectureSearch` on digits, a mean over 4 tasks drawn with seed 0."""
CHUNK = 25
"""Architectures that are trained together."""


class Trained(NamedTuple):
    """The losses of all architectures, ``[K] * E`` by the operation on each edge, float32; a mean over tasks."""

    validation: NDArray[np.float32]
    test: NDArray[np.float32]
    operations: tuple[str, ...]
    nodes: int


@dataclasses.dataclass(frozen=True)
class ArchitectureTable(Problem):
    """Find the best cell of a table of trained cells.

    ω and fitness are those of :class:`ArchitectureSearch`; there is no inner loop. The losses are means over tasks that
    are the same for all cells, so the fitness is deterministic. The metric ``regret`` is the difference from the best
    cell of the table, in nats, and ``better`` the fraction of all cells that are better. The held-out fitness is the
    loss of the same networks on the test part.

    Paper: Dong & Yang, "NAS-Bench-201", 2020, arXiv:2001.00326, a table of larger networks.

    Args:
        file: an .npz file that :func:`write_architecture_table` wrote; empty for the table that comes with the package,
            15,625 cells on digits.

    Raises:
        ConfigurationError: no such file, or one that is not a table.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="architectures",
        omega="a cell: an operation for each edge",
        learner="none: all are trained already",
        paper="Dong & Yang 2020",
        recipe=Recipe(
            "AgedEvolution", {"population_size": 1, "living": 8, "tournament_size": 25}, {"evaluations": 2000}
        ),
    )

    file: str = ""

    def __post_init__(self) -> None:
        self.trained  # noqa: B018 - raises if the file is not a table

    @property
    def trained(self) -> Trained:
        """The table."""
        return read_architecture_table(self.file or DIGITS)

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw the cell."""
        from evometa.plots import cell

        return {"cell": cell(self.trained.operations, omega)}

    @property
    def space(self) -> Categorical:
        """An operation for each edge."""
        return cells(self.trained.operations, self.trained.nodes)

    def evaluate(self, key: Key, omega: Omega) -> Evaluation:
        """Return the validation loss."""
        return self._look_up(omega, self.trained.validation)

    def evaluate_test(self, key: Key, omega: Omega) -> Evaluation:
        """Return the loss on the test part."""
        return self._look_up(omega, self.trained.test)

    def _look_up(self, omega: Omega, losses: NDArray[np.float32]) -> Evaluation:
        place = omega @ jnp.asarray(losses.shape[0] ** np.arange(losses.ndim)[::-1], jnp.int32)
        loss, ascending = jnp.asarray(losses.ravel())[place], np.sort(losses.ravel())
        better = jnp.searchsorted(jnp.asarray(ascending), loss).astype(jnp.float32) / losses.size
        return Evaluation(loss, {"regret": loss - ascending[0], "better": better})


def train_all(
    problem: ArchitectureSearch, seed: int = 0, *, progress: Callable[[int, int], None] = lambda done, of: None
) -> Trained:
    """Train every architecture of a problem's space, all on the same tasks.

    Args:
        problem: defines the cells, their training and the number of tasks.
        seed: seed of the tasks.
        progress: called after each block with the number of trained architectures and their total.
    """
    space, root = problem.space, jax.random.key(seed)
    shape = (len(space.choices),) * space.size
    key_tasks, key_learners = jax.random.split(root)
    keys = jax.random.split(key_tasks, problem.num_tasks)

    def one(omega: Omega) -> Any:
        def on_task(key_task: Key, key: Key) -> tuple[Scalar, Scalar]:
            task, held_out = problem.sample_task(key_task), problem.sample_test_task(key_task)
            _, learner = learning_curve(problem, key, omega, task, (problem.inner_steps,))
            return problem.loss(key, omega, task, learner), problem.loss(key, omega, held_out, learner)

        losses = jax.vmap(on_task)(keys, jax.random.split(key_learners, problem.num_tasks))
        return jax.tree.map(jnp.mean, losses)

    run = jax.jit(lambda omegas: jax.lax.map(one, omegas, batch_size=CHUNK))
    everything = np.stack(np.unravel_index(np.arange(math.prod(shape)), shape), axis=1).astype(np.int32)
    found = []
    for block in np.array_split(everything, max(1, len(everything) // (40 * CHUNK))):
        found.append(jax.device_get(run(block)))
        progress(sum(len(validation) for validation, _ in found), len(everything))
    validation, test = (np.concatenate(part).reshape(shape) for part in zip(*found, strict=True))
    return Trained(validation, test, problem.operations, problem.nodes)


def write_architecture_table(trained: Trained, file: str | os.PathLike[str]) -> None:
    """Write a table as an .npz file of arrays, nothing pickled."""
    names, nodes = np.array(trained.operations), np.array(trained.nodes)
    arrays = {"validation": trained.validation, "test": trained.test, "operations": names, "nodes": nodes}
    write_atomically(Path(file), npz(arrays))


def read_architecture_table(file: str | os.PathLike[str]) -> Trained:
    """Read what :func:`write_architecture_table` wrote.

    Raises:
        ConfigurationError: no such file, or one that is not a table.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise ConfigurationError(
            f"ArchitectureTable expects an .npz file of trained cells, and there is none at {str(file)!r}; make one "
            "with train_all and write_architecture_table."
        )
    return _read(path.resolve(), path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> Trained:
    try:
        with np.load(path) as file:
            validation, test = np.asarray(file["validation"], np.float32), np.asarray(file["test"], np.float32)
            operations, nodes = tuple(str(name) for name in file["operations"]), int(file["nodes"])
    except (KeyError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigurationError(
            f"ArchitectureTable expects a file that write_architecture_table wrote, and {path.name} is not one "
            f"({error}); write it again."
        ) from None
    require_cells("ArchitectureTable", operations, nodes)
    shape = (len(operations),) * (nodes * (nodes - 1) // 2)
    if validation.shape != shape or test.shape != shape:
        raise ConfigurationError(
            f"ArchitectureTable expects a loss for each of {math.prod(shape):,} cells, {path.name} has losses of "
            f"shapes {validation.shape} and {test.shape}; write it again."
        )
    return Trained(validation, test, operations, nodes)
