"""Evaluation plans: how a strategy wants its population to be evaluated.

A plan is data. The strategy names one (:attr:`evometa.Strategy.evaluation`), and the population evaluator that is
registered for its class carries it out (:mod:`evometa.evaluation.population_evaluator`).
"""

import dataclasses
from typing import Literal

from evometa.halving import Halving

Mode = Literal["reverse", "forward"]
"""How derivatives are carried through a computation."""


@dataclasses.dataclass(frozen=True)
class EvaluationPlan:
    """Base of all plans."""


@dataclasses.dataclass(frozen=True)
class FullEvaluation(EvaluationPlan):
    """Evaluate each candidate from scratch, as the problem says; nothing is carried between generations."""


@dataclasses.dataclass(frozen=True)
class HalvedEvaluation(EvaluationPlan):
    """Evaluate from scratch, and train only the best candidates of each rung further."""

    halving: Halving


@dataclasses.dataclass(frozen=True)
class WindowedEvaluation(EvaluationPlan):
    """Evaluate by windows of an unroll that continues over generations; candidates 2i and 2i + 1 share an episode."""

    unroll_length: int
    """K, inner steps in a window."""
    shortest_horizon: int | None = None
    """None: every episode has the problem's ``inner_steps``. A number: horizons are drawn log-uniformly from it up to
    ``inner_steps``, in whole windows."""


@dataclasses.dataclass(frozen=True)
class PopulationTraining(EvaluationPlan):
    """Evaluate by the next window of training runs that continue, as population-based training does."""

    windows: int
    """W, the windows of a training run; a divisor of the problem's ``inner_steps``."""


@dataclasses.dataclass(frozen=True)
class GradientEvaluation(EvaluationPlan):
    """Evaluate from scratch, and differentiate the fitness with respect to the genotype besides."""

    mode: Mode = "reverse"
    """Reverse: the time of a few evaluations, memory for every inner step. Forward: the time of about D evaluations,
    constant memory."""
