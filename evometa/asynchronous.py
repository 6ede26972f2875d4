"""The contract of strategies for asynchronous search, where no worker waits for a generation.

An asynchronous search (``Search(..., asynchronous=True)``) keeps as many calls of a plain-Python problem on their way
as there are workers. Whenever a call returns, the strategy is told, and asked for one more candidate::

    genotype = strategy.ask_one(key, state, number)                  # [...], asking changes no state
    state = strategy.tell_completed(key, state, genotypes, feedback)  # [N, ...], in the order in which they came

So candidates come back in any order, and each was asked for before some of those that return earlier were known. What
:mod:`evometa.strategy` says of ``tell`` holds for ``tell_completed`` too: fitness is to be minimised, +inf where a
candidate failed, and those of which every one failed are told only to strategies that ask for it.
"""

import abc
from typing import Any

from evometa.problem import BaseProblem, HostProblem
from evometa.strategy import Feedback, State, Strategy, in_terms_of, unless_all_failed
from evometa.types import Genotype, Key, Scalar


class AsynchronousStrategy(Strategy[State]):
    """A strategy that can also be asked for one candidate at a time, and told candidates as they are completed.

    In such a search its ``ask`` and ``tell`` are not called; ``population_size`` is the number of completed candidates
    that make one row of the history.
    """

    @property
    def told_together(self) -> int:
        """How many completed candidates it is told at a time: 1 (the default) or ``population_size``."""
        return 1

    @abc.abstractmethod
    def ask_one(self, key: Key, state: State, number: Scalar) -> Genotype:
        """Return the next candidate, a genotype.

        Args:
            key: random key of this candidate.
            state: what was told so far.
            number: how many candidates were asked for before this one, int32.
        """

    @abc.abstractmethod
    def tell_completed(self, key: Key, state: State, genotypes: Genotype, feedback: Feedback) -> State:
        """Return the state updated by N = :attr:`told_together` candidates.

        Args:
            key: random key.
            state: what was told so far; candidates may come from :meth:`ask_one` with an earlier state.
            genotypes: leaves ``[N, ...]``, in the order in which they were completed.
            feedback: their fitness ``[N]``, and what else the problem's evaluations have.
        """


def tell_completed(
    strategy: AsynchronousStrategy[State], key: Key, state: State, genotypes: Genotype, feedback: Feedback
) -> State:
    """Tell a strategy what became of candidates, as :func:`evometa.strategy.tell_population` does of a population."""
    told = strategy.tell_completed(key, state, genotypes, in_terms_of(strategy, feedback))
    return told if strategy.told_when_all_fail else unless_all_failed(feedback.fitness, told, state)


def incompatibility(strategy: Strategy[Any], problem: BaseProblem) -> str | None:
    """Return why there can be no asynchronous search, in one sentence, or None when there can."""
    if not isinstance(problem, HostProblem):
        return (
            f"An asynchronous search expects a plain-Python problem (HostProblem), whose calls take different times, "
            f"and {type(problem).__name__} is compiled, with all candidates of a generation in one program; leave "
            "asynchronous out."
        )
    if not isinstance(strategy, AsynchronousStrategy):
        return (
            f"An asynchronous search expects a strategy that can be told candidates one by one as they are completed, "
            f"such as AgedEvolution, CMAES, GeneticAlgorithm or RandomSearch, and {type(strategy).__name__} needs "
            "whole generations; use one of those, or leave asynchronous out."
        )
    return None
