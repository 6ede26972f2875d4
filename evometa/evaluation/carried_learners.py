"""What population evaluators have in common whose learners are carried from one generation to the next."""

import dataclasses
from typing import Any, Generic, TypeVar, cast

import jax
import jax.numpy as jnp

from evometa.evaluation.population_evaluator import PopulationEvaluator
from evometa.evaluation.task_source import TaskSet, TrainingTasks
from evometa.inner_training import begin
from evometa.problem import InnerTraining
from evometa.strategy import Strategy
from evometa.types import Genotype, Learner

Carrier = TypeVar("Carrier", bound=Strategy[Any])


@dataclasses.dataclass(frozen=True, eq=False)
class CarriedLearners(PopulationEvaluator, Generic[Carrier]):
    """Evaluates by inner training that continues over generations.

    Args:
        strategy: the strategy whose hooks say where training begins and continues.
    """

    strategy: Carrier = dataclasses.field(kw_only=True)

    @property
    def training(self) -> InnerTraining:
        """The problem, as the inner training that it is."""
        return cast(InnerTraining, self.problem)

    @property
    def tasks(self) -> TrainingTasks:
        """Where the tasks come from."""
        return TrainingTasks(self.training)

    def learners(self, tasks: TaskSet, genotype: Genotype) -> Learner:
        """Initialise the learners of one candidate, ``[T, ...]``."""
        omega = self.omega(genotype)
        return jax.vmap(lambda key, task: begin(self.training, key, omega, task))(tasks.keys, tasks.tasks)


def learners_incompatibility(name: str, learners: Learner) -> str | None:
    """Return why learners of these shapes cannot be carried, in one sentence, or None when they can.

    Args:
        name: the strategy's name.
        learners: a pytree of shapes.
    """
    for path, leaf in jax.tree_util.tree_flatten_with_path(learners)[0]:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return (
                f"{name} expects learners of plain arrays, which can be kept while it trains in parts, and learner"
                f"{jax.tree_util.keystr(path)} is a random key; use the key that step is given."
            )
    return None
