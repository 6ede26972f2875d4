"""What all judging has in common whose learners are carried from one generation to the next."""

import dataclasses

import jax
import jax.numpy as jnp

from evometa.evaluation import Evaluator, TaskJudge, TaskSet
from evometa.problem import InnerTraining, begin
from evometa.types import Genotype, Learner


@dataclasses.dataclass(frozen=True, eq=False)
class CarriesLearners:
    """A part of :class:`~evometa.evaluation.Judging`: what an evaluator says about inner training.

    Args:
        evaluator: its problem (an :class:`~evometa.InnerTraining`), space, chunk size and devices.
    """

    evaluator: Evaluator

    @property
    def problem(self) -> InnerTraining:
        """The problem."""
        return self._judge.problem

    @property
    def _judge(self) -> TaskJudge:
        judge = self.evaluator.judge
        assert isinstance(judge, TaskJudge)
        return judge

    def _learners(self, trials: TaskSet, genotype: Genotype) -> Learner:
        """Initialise the learners of one candidate, ``[T, ...]``."""
        omega = self.evaluator.omega(genotype)
        return jax.vmap(lambda key, task: begin(self.problem, key, omega, task))(trials.keys, trials.tasks)


def refuse_learners(name: str, learners: Learner) -> str | None:
    """Return why learners of these shapes cannot be carried, in one sentence, or None when they can.

    Args:
        name: the strategy's name.
        learners: a pytree of shapes.
    """
    for path, leaf in jax.tree_util.tree_flatten_with_path(learners)[0]:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return (
                f"{name} expects learners of plain arrays, which a checkpoint can hold, and learner"
                f"{jax.tree_util.keystr(path)} is a random key; use the key that step is given."
            )
    return None
