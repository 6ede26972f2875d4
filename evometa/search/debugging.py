"""Debugging a compiled problem: its code runs as plain JAX, candidate by candidate, before each dispatch.

JAX's own switches (``jax_debug_nans``, ``jax_debug_infs``, ``jax_disable_jit``, ``jax_numpy_rank_promotion``) are meant
for the user's code. The engine and the strategies hold NaN and infinity on purpose and compile ahead of time, so they
run without the switches, and the user's code is examined with them.
"""

import contextlib
import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from evometa.errors import EvaluationError
from evometa.evaluation.task_source import TrainingTasks
from evometa.inner_training import begin, train, validate
from evometa.problem import VECTORS, InnerTraining
from evometa.search.compiled_driver import CompiledDriver
from evometa.search.generation import SearchState, generation_keys
from evometa.types import Key, Omega, Task


class Switches(NamedTuple):
    """JAX's switches as the user has set them."""

    debug_nans: bool
    debug_infs: bool
    disable_jit: bool
    rank_promotion: str

    @property
    def wanted(self) -> bool:
        """Whether any is set that shows something only when the user's code runs by itself."""
        return self.debug_nans or self.debug_infs or self.disable_jit

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """Run the user's code with them, and uncompiled."""
        with _switched(self._replace(disable_jit=True)):
            yield


def switches() -> Switches:
    """Return JAX's switches as they are."""
    config: Any = jax.config
    return Switches(
        bool(config.jax_debug_nans),
        bool(config.jax_debug_infs),
        bool(config.jax_disable_jit),
        str(config.jax_numpy_rank_promotion),
    )


@contextlib.contextmanager
def _switched(to: Switches) -> Iterator[None]:
    with (
        jax.debug_nans(to.debug_nans),
        jax.debug_infs(to.debug_infs),
        jax.disable_jit(to.disable_jit),
        jax.numpy_rank_promotion(to.rank_promotion),
    ):
        yield


@contextlib.contextmanager
def engine() -> Iterator[Switches]:
    """Run the engine and the strategies, which the switches are not meant for; yield those that the user has set."""
    wanted = switches()
    with _switched(Switches(False, False, False, "allow")):
        yield wanted


class Examiner:
    """Evaluates each generation's candidates one after the other by plain JAX, before the search does.

    Args:
        driver: the driver of the search.
        switches: the user's switches.
        strict: whether a value that is not finite is an error.
    """

    def __init__(self, driver: CompiledDriver, switches: Switches, *, strict: bool) -> None:
        self._driver, self._switches, self._strict = driver, switches, strict

    def examine(self, state: SearchState, number: int) -> None:
        """Evaluate the candidates of generation ``number``.

        Raises:
            EvaluationError: the first value that is not finite, where that is an error: of which candidate, on which
                task and after which inner step.
            Exception: what the problem's code or JAX raises, with a note that names candidate and task.
        """
        driver, evaluator = self._driver, self._driver.evaluator
        keys = generation_keys(driver.keys.generations, number)
        key, round_ = keys[1], driver.strategy.round(state.strategy)
        if round_ is not None:
            key = generation_keys(driver.keys.generations, round_)[1]
        ready, _ = evaluator.prepare(state.strategy, state.carried)
        genotypes, _ = driver.strategy.ask(keys[0], ready)
        omegas = driver.decode_all(genotypes)
        with self._switches.on():
            draw, members, size = evaluator.tasks.draw, evaluator.members_per_task_set, driver.strategy.population_size
            sets = [draw(one) for one in jax.random.split(key, -(-size // members))] if members else [draw(key)]
            for i in range(size):
                shared, omega = sets[i // members if members else 0], jax.tree.map(operator.itemgetter(i), omegas)
                self._candidate(f"candidate {i} of generation {number}", shared, omega)

    def _candidate(self, who: str, shared: Any, omega: Omega) -> None:
        tasks = self._driver.evaluator.tasks
        for t in range(tasks.tasks_per_candidate):
            task, where = jax.tree.map(lambda leaf, t=t: leaf[t], shared), f"{who} on task {t}"
            try:
                if isinstance(tasks, TrainingTasks):
                    self._train(tasks.problem, where, task.keys, omega, task.tasks)
                else:
                    self._require_finite(where, omega, tasks.evaluate_on(omega, task, test=False))
            except EvaluationError:
                raise
            except Exception as error:
                error.add_note(f"This was {where}, ω = {jax.device_get(omega)}.")
                raise

    def _train(self, problem: InnerTraining, where: str, key: Key, omega: Omega, task: Task) -> None:
        learner = begin(problem, key, omega, task)
        self._require_finite(f"{where}, in the learner that init returned", omega, learner)
        counts = problem.objective.steps(problem.inner_steps)
        for step in range(problem.inner_steps + 1):
            if step:
                learner = train(problem, key, omega, task, learner, step - 1, 1)
                self._require_finite(f"{where}, in the learner after inner step {step}", omega, learner)
            if step in counts:
                loss = validate(problem, key, omega, task, learner, step)
                self._require_finite(f"{where}, in the loss after inner step {step}", omega, loss)

    def _require_finite(self, where: str, omega: Omega, found: Any) -> None:
        if not self._strict:
            return
        if hasattr(found, "metrics"):  # an evaluation, whose metrics may be anything
            found = {name: getattr(found, name) for name in ("fitness", *VECTORS)}
        for path, leaf in jax.tree_util.tree_flatten_with_path(found)[0]:
            if jax.numpy.issubdtype(jax.numpy.result_type(leaf), jax.numpy.inexact):
                values = np.asarray(leaf)
                wrong = values[~np.isfinite(values)]
                if wrong.size:
                    name = jax.tree_util.keystr(path) or "value"
                    raise EvaluationError(
                        f"The first value that is not finite belongs to {where}: {name} holds {wrong.flat[0]} "
                        f"({wrong.size} of {values.size} numbers); ω = {jax.device_get(omega)}."
                    )
