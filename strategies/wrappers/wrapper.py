"""The base of strategies that wrap another strategy: forwards what they do not change."""

import dataclasses
from typing import Any, ClassVar, Protocol, TypeVar

import jax

from evometa.errors import ConfigurationError
from evometa.evaluation_plan import EvaluationPlan, FullEvaluation
from evometa.feasibility import ConstraintHandling
from evometa.problem import BaseProblem
from evometa.spaces import Space
from evometa.strategies.cma.cmaes import CMAES
from evometa.strategy import ArchiveRecord, Strategy
from evometa.types import Genotype, Key, Scalar


class Wrapping(Protocol):
    """The state of a wrapper."""

    @property
    def inner(self) -> Any:
        """The state of the inner strategy."""


State = TypeVar("State", bound=Wrapping)


@dataclasses.dataclass(frozen=True)
class Wrapper(Strategy[State]):
    """Forwards everything to the inner strategy; wrappers override what they change.

    Raises:
        ConfigurationError: the inner strategy needs a way of evaluation that the wrapper cannot forward.
    """

    forwarded_plans: ClassVar[tuple[type[EvaluationPlan], ...]] = (FullEvaluation,)
    """The evaluation plans of the inner strategy that the wrapper can forward."""

    strategy: Strategy[Any] = CMAES()  # noqa: RUF009 (frozen)
    """The inner strategy."""

    def __post_init__(self) -> None:
        if self.strategy.asks_in_python:
            raise ConfigurationError(
                f"{type(self).__name__} expects a strategy that can be compiled, and {type(self.strategy).__name__} "
                "asks in plain Python; use it without the wrapper."
            )
        if not isinstance(self.strategy.evaluation, self.forwarded_plans):
            plans = " or ".join(plan.__name__ for plan in self.forwarded_plans)
            raise ConfigurationError(
                f"{type(self).__name__} expects a strategy with the evaluation plan {plans}, and that of "
                f"{type(self.strategy).__name__} is {type(self.strategy.evaluation).__name__}, which it cannot "
                "forward; use the strategy without it."
            )

    @property
    def population_size(self) -> int:
        """The candidates of the inner strategy."""
        return self.strategy.population_size

    @property
    def stop_reasons(self) -> tuple[str, ...]:
        """Those of the inner strategy."""
        return self.strategy.stop_reasons

    @property
    def required_feedback(self) -> tuple[str, ...]:
        """That of the inner strategy."""
        return self.strategy.required_feedback

    @property
    def told_when_all_fail(self) -> bool:
        """Whether the inner strategy is told of generations in which all failed."""
        return self.strategy.told_when_all_fail

    @property
    def constraint_handling(self) -> ConstraintHandling:
        """The inner strategy is told of constraints in its own form (:func:`evometa.strategy.tell_population`)."""
        return "none" if self.strategy.constraint_handling == "none" else "own"

    @property
    def objective_names(self) -> tuple[str, ...]:
        """Those of the inner strategy."""
        return self.strategy.objective_names

    @property
    def members_per_task_set(self) -> int:
        """That of the inner strategy."""
        return self.strategy.members_per_task_set

    @property
    def evaluation(self) -> EvaluationPlan:
        """That of the inner strategy."""
        return self.strategy.evaluation

    def incompatibility(self, space: Space) -> str | None:
        """Refuse what the inner strategy refuses."""
        return self.strategy.incompatibility(space)

    def problem_incompatibility(self, problem: BaseProblem) -> str | None:
        """Refuse what the inner strategy refuses."""
        return self.strategy.problem_incompatibility(problem)

    def begin_episodes(self, state: Any, begins: jax.Array) -> Any:
        """Tell the inner strategy which pairs begin an episode, where it has windows."""
        inner: Any = self.strategy
        return state._replace(inner=inner.begin_episodes(state.inner, begins))

    def told(self, state: Any) -> Scalar:
        """Return the windows that the inner strategy was told of, where it trains a population."""
        inner: Any = self.strategy
        windows: Scalar = inner.told(state.inner)
        return windows

    def parents(self, state: Any) -> jax.Array:
        """Return whose learners each member continues with, where the inner strategy trains a population."""
        inner: Any = self.strategy
        members: jax.Array = inner.parents(state.inner)
        return members

    def begin_training(self, state: Any, begins: Scalar) -> Any:
        """Tell the inner strategy whether a training run begins, where it trains a population."""
        inner: Any = self.strategy
        return state._replace(inner=inner.begin_training(state.inner, begins))

    def begun(self, state: State, points: Genotype) -> State:
        """Begin the inner strategy there."""
        changed: Any = state
        begun: State = changed._replace(inner=self.strategy.begun(state.inner, points))
        return begun

    def resized(self, key: Key, state: State, space: Space, former: Strategy[State]) -> State:
        """Resize the state of the inner strategy, where that is of the same class as before."""
        before = former.strategy if isinstance(former, Wrapper) else None
        if before is None or not isinstance(self.strategy, type(before)):
            return state
        changed: Any = state
        resized: State = changed._replace(inner=self.strategy.resized(key, state.inner, space, before))
        return resized

    def center(self, state: State) -> Genotype | None:
        """Return that of the inner strategy."""
        return self.strategy.center(state.inner)

    def round(self, state: State) -> Scalar | None:
        """Return that of the inner strategy."""
        return self.strategy.round(state.inner)

    def archive(self, state: State) -> ArchiveRecord | None:
        """Return that of the inner strategy."""
        return self.strategy.archive(state.inner)

    def population(self, state: State) -> ArchiveRecord | None:
        """Return that of the inner strategy."""
        return self.strategy.population(state.inner)

    def stop(self, state: State) -> Scalar:
        """Stop when the inner strategy does."""
        return self.strategy.stop(state.inner)

    def diagnostics(self, state: State) -> dict[str, Scalar]:
        """Return those of the inner strategy."""
        return self.strategy.diagnostics(state.inner)


def refuse_without_center(wrapper: Wrapper[Any], strategy: Strategy[Any], space: Space) -> str | None:
    """Return why a wrapper that needs the center of a strategy cannot search a space with it, or None when it can."""
    reason = strategy.incompatibility(space)
    if reason is None:
        state = jax.eval_shape(lambda key: strategy.init(key, space), jax.eval_shape(jax.random.key, 0))
        if jax.eval_shape(strategy.center, state) is None:
            return (
                f"{type(wrapper).__name__} expects a strategy with a center, the middle of its distribution, and "
                f"{type(strategy).__name__} has none."
            )
    return reason
