"""The contract between a strategy and the search.

A strategy is a frozen dataclass of hyperparameters, its state a NamedTuple of arrays. The search calls

    state = strategy.init(key, space)
    genotypes, state = strategy.ask(key, state)             # [P, ...]
    state = strategy.tell(key, state, genotypes, feedback)  # feedback.fitness [P]

all of it inside one compiled program; every method is pure. What the search guarantees, and a strategy may rely on:

- Fitness and objectives are to be **minimised**: the search changes their sign where the problem maximises.
- A failed candidate has fitness ``+inf``, and so have its objectives and constraints; its measures and gradient are 0.
  No number in the feedback is NaN or ``-inf``. ``tell`` must return a usable state for any number of failed candidates
  short of all. A generation in which every candidate failed is told only to strategies that ask for it
  (:attr:`Strategy.told_when_all_fail`), so that they can widen, move or restart; others keep the state that ``ask``
  returned. Either way the next ``ask``, which has another key, must return other candidates.
- A strategy that cannot do without constraints, objectives, measures or gradients names them in
  :attr:`Strategy.required_feedback`; the search then refuses problems that lack them. Other fields may be None.
- A strategy need not know of constraints: the search tells it a fitness in which feasible candidates come first
  (:attr:`Strategy.constraint_handling`).
- ``genotypes`` are exactly what ``ask`` returned, even where the problem was given a repaired form of them.
- The search keeps the best candidate so far; a strategy need not.
- Where ``ask`` calls another library, it may be plain Python (:attr:`Strategy.asks_in_python`).

State arrays use JAX's default float type (float64 under ``jax_enable_x64``). A strategy that needs the space later
may keep it in its state: a space is a static part of a pytree and holds no arrays.
"""

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from evometa.errors import ConfigurationError
from evometa.evaluation_plan import EvaluationPlan, FullEvaluation, PopulationTraining, WindowedEvaluation
from evometa.feasibility import ConstraintHandling, penalised, ranked
from evometa.problem import BaseProblem
from evometa.settings import Checked
from evometa.spaces import Space, VectorSpace
from evometa.types import Genotype, Key, Scalar

State = TypeVar("State")


class Redrawn(NamedTuple):
    """A population that is not there as a whole: its strategy draws each member again (:meth:`Strategy.member`)."""

    state: Any
    """The strategy's state as ``ask`` returned it."""


class Feedback(NamedTuple):
    """What a strategy is told about the population that it asked for; leading axis P."""

    fitness: jax.Array
    """``[P]``, to be minimised; ``+inf`` for failed candidates. Where the problem has constraints, see
    :attr:`Strategy.constraint_handling`."""
    objectives: jax.Array | None = None
    """``[P, M]``, to be minimised; ``+inf`` for failed candidates. None where the problem has none, as below."""
    constraints: jax.Array | None = None
    """``[P, C]``, each violated where it is above 0; ``+inf`` for failed candidates."""
    measures: jax.Array | None = None
    """``[P, K]``, coordinates in behaviour space; 0 for failed candidates."""
    gradient: Genotype | None = None
    """The gradient of the fitness with respect to the genotype, leaves ``[P, ...]``; 0 for failed candidates."""


class ArchiveRecord(NamedTuple):
    """Candidates that a strategy keeps: its archive (a Pareto front, a grid of elites) or its population; N places.

    All values are as the strategy was told them.
    """

    genotypes: Genotype
    """Leaves ``[N, ...]``."""
    fitness: jax.Array
    """``[N]``, to be minimised."""
    occupied: jax.Array
    """Which places hold a candidate, bool ``[N]``."""
    objectives: jax.Array | None = None
    """``[N, M]``, to be minimised; None where there are none, as below."""
    constraints: jax.Array | None = None
    """``[N, C]``."""
    measures: jax.Array | None = None
    """``[N, K]``."""


class Strategy(Generic[State], metaclass=Checked):
    """Searches a space by asking for the fitness of candidates.

    Subclasses are frozen dataclasses with a field ``population_size``. It and the properties below may be overridden
    by a field, a class variable or a property.
    """

    set_elsewhere: ClassVar[Mapping[str, str]] = {
        "initial": "Search(initial=...)",
        "x0": "Search(initial=...), or the start of the space",
        "bounds": "low and high of the space, such as Box((3,), -5.0, 5.0)",
        "seed": "Search(seed=...)",
        "callbacks": "Search(callbacks=...)",
        "workers": "Search(workers=...)",
        "generations": "Search(...).run(generations=...)",
        "target": "Search(...).run(target=...)",
    }
    """Where to set what is no setting of strategies, for those who know libraries in which it is."""

    if TYPE_CHECKING:  # at run time a dataclass would take an inherited property for the default of its field

        @property
        @abc.abstractmethod
        def population_size(self) -> int:
            """P, the candidates in a generation."""

    @property
    def stop_reasons(self) -> tuple[str, ...]:
        """Why the strategy may stop by itself, in words; :meth:`stop` returns 1 + the index of one."""
        return ()

    @property
    def objective_names(self) -> tuple[str, ...]:
        """What the objectives of :meth:`archive` are called where they are not the problem's own.

        The fitness comes first, then what is to be minimised whatever the problem's direction.
        """
        return ()

    @property
    def required_feedback(self) -> tuple[str, ...]:
        """Fields of :class:`Feedback`, besides fitness, that the strategy cannot do without."""
        return ()

    @property
    def constraint_handling(self) -> ConstraintHandling:
        """In which form the strategy is told of constraints (:mod:`evometa.feasibility`).

        By default ``own`` where it requires constraints, otherwise ``ranked``: candidates that violate constraints have
        a huge fitness. A strategy that computes with the values of the fitness says ``penalised``.
        """
        return "own" if "constraints" in self.required_feedback else "ranked"

    @property
    def members_per_task_set(self) -> int:
        """How many consecutive candidates share one set of tasks; 0: the whole population (the default).

        2 gives each antithetic pair (candidates 2i and 2i + 1) tasks of its own.
        """
        return 0

    @property
    def redraws(self) -> bool:
        """Whether :meth:`member` draws each candidate of the last ask again (False by default).

        Large populations of such a strategy are nowhere as a whole: each device draws the candidate that it evaluates,
        and :meth:`tell` is given a :class:`Redrawn` in place of the genotypes.
        """
        return False

    def member(self, state: State, index: jax.typing.ArrayLike) -> Genotype | None:
        """Return candidate ``index`` of the last ask, as it was; None where :attr:`redraws` is False.

        Args:
            state: as :meth:`ask` returned it.
            index: its place in the population, int32 scalar.
        """
        return None

    @property
    def asks_in_python(self) -> bool:
        """Whether :meth:`ask` is plain Python (False by default), such as a call of another library.

        It is then no part of a compiled program, and the strategy searches for plain-Python problems only. What it
        returns depends on its arguments alone nevertheless, and is of NumPy's arrays; all other methods are as ever.
        """
        return False

    @property
    def told_when_all_fail(self) -> bool:
        """Whether :meth:`tell` is also called for a generation in which every candidate failed.

        False (the default): the state then stays as :meth:`ask` returned it.
        """
        return False

    def incompatibility(self, space: Space) -> str | None:
        """Return why the strategy cannot search a space, in one sentence, or None when it can."""
        return None

    def problem_incompatibility(self, problem: BaseProblem) -> str | None:
        """Return why the strategy cannot search for a problem, in one sentence, or None when it can."""
        return None

    @property
    def evaluation(self) -> EvaluationPlan:
        """How the population is evaluated: from scratch (the default), by windows, with gradients.

        Other plans than :class:`~evometa.evaluation_plan.FullEvaluation` need a problem that is compiled.
        """
        return FullEvaluation()

    @abc.abstractmethod
    def init(self, key: Key, space: Space) -> State:
        """Return the state before the first generation."""

    def begun(self, state: State, points: Genotype) -> State:
        """Return the state before the first generation of a search that begins from several known points.

        By default the state itself: :meth:`init` has begun at the best of them, or will ask for them first. A strategy
        with a search distribution should take its mean and spread from them.

        Args:
            state: what :meth:`init` returned.
            points: leaves ``[K, ...]``, the best first; the good ones of those that are known.
        """
        return state

    @abc.abstractmethod
    def ask(self, key: Key, state: State) -> tuple[Genotype, State]:
        """Return a population of genotypes ``[P, ...]`` and the state that remembers it."""

    @abc.abstractmethod
    def tell(self, key: Key, state: State, genotypes: Genotype, feedback: Feedback) -> State:
        """Return the state updated by the evaluation of a population.

        Args:
            key: random key.
            state: the state that :meth:`ask` returned.
            genotypes: the population that :meth:`ask` returned, leaves ``[P, ...]``.
            feedback: its fitness ``[P]``, and what else the problem's evaluations have.
        """

    def resized(self, key: Key, state: State, space: Space, former: "Strategy[State]") -> State:
        """Return the state with which a run continues that had another ``population_size`` so far.

        By default the state itself, which is right where nothing in it depends on the population size. A strategy that
        keeps its candidates should keep the best of them and fill the other places with new ones. Where the result has
        not the structure and the shapes of what :meth:`init` returns, the search refuses to continue.

        Args:
            key: random key.
            state: the state after a generation of the former strategy.
            space: the space.
            former: the strategy as it was, of this class or one that it is derived from.
        """
        return state

    def round(self, state: State) -> Scalar | None:
        """Return the number of the population that the candidates asked for next belong to, or None (the default).

        For strategies that ask for one population in several generations: those of one round are evaluated on the same
        tasks. None: each generation is a round of its own.
        """
        return None

    def center(self, state: State) -> Genotype | None:
        """Return the genotype in the middle of the search distribution, or None when there is no such thing."""
        return None

    def archive(self, state: State) -> ArchiveRecord | None:
        """Return the archive of candidates that is the answer, or None where the answer is the best candidate."""
        return None

    def population(self, state: State) -> ArchiveRecord | None:
        """Return the members that the strategy keeps from one generation to the next, or None where it keeps none."""
        return None

    def stop(self, state: State) -> Scalar:
        """Return 0 to continue, or 1 + the index of a stop reason; int32 scalar."""
        return jnp.zeros((), jnp.int32)

    def diagnostics(self, state: State) -> dict[str, Scalar]:
        """Return named scalars about the state for the history, such as σ."""
        return {}


def tell_population(
    strategy: Strategy[State], key: Key, state: State, genotypes: Genotype, feedback: Feedback
) -> State:
    """Tell a strategy what became of a population, with constraints in the form that it asks for.

    Unless all of it failed and the strategy is not told of that. Arguments and result are those of
    :meth:`Strategy.tell`, the fitness that of the problem; whoever runs a strategy calls this function.
    """
    told = strategy.tell(key, state, genotypes, in_terms_of(strategy, feedback))
    return told if strategy.told_when_all_fail else unless_all_failed(feedback.fitness, told, state)


def unless_all_failed(fitness: jax.Array, told: State, otherwise: State) -> State:
    """Return a state that was told a fitness ``[P]``, or another where every candidate failed."""
    # A select, not a branch: it fuses with what computes the state, and a branch costs more than a light strategy.
    any_sound = jnp.any(jnp.isfinite(fitness))
    chosen: State = jax.tree.map(lambda new, old: jnp.where(any_sound, new, old), told, otherwise)
    return chosen


def in_terms_of(strategy: Strategy[Any], feedback: Feedback) -> Feedback:
    """Return feedback with constraints in the form that a strategy asks for."""
    if feedback.constraints is None or strategy.constraint_handling in ("own", "none"):
        return feedback
    order = ranked if strategy.constraint_handling == "ranked" else penalised
    return feedback._replace(fitness=order(feedback.fitness, feedback.constraints))


def refuse_unless_continuous(strategy: Strategy[Any], space: Space) -> str | None:
    """Return why a strategy for real vectors cannot search a space, or None when it can."""
    if isinstance(space, VectorSpace) and space.has_real_genotypes:
        return None
    return (
        f"{type(strategy).__name__} searches real vectors only (Box, Like, Dict of these), "
        f"and {type(space).__name__} holds integers, categories or structures; "
        "use CMAwM, GeneticAlgorithm or RandomSearch, or describe those parts as a Box."
    )


def require_space(strategy: Strategy[Any], space: Space) -> None:
    """Raise ConfigurationError with the strategy's own words when it cannot search a space."""
    reason = strategy.incompatibility(space)
    if reason:
        raise ConfigurationError(reason)


class Unrolled(Strategy[State]):
    """A strategy that evaluates candidates by windows of an unroll that continues over generations.

    What the search guarantees besides: before each ``ask`` it calls :meth:`begin_episodes`; the fitness of a candidate
    is that of one window, and its mean over the windows of an episode is the objective of that episode. Subclasses are
    frozen dataclasses with these two fields besides ``population_size``, which is even.
    """

    unroll_length: int
    """K, inner steps in a window."""
    shortest_horizon: int | None
    """None: every episode has the problem's ``inner_steps``. A number: horizons are drawn log-uniformly from it up to
    ``inner_steps``, in whole windows."""

    @property
    def members_per_task_set(self) -> int:
        """2: a pair shares its episode."""
        return 2

    @property
    def evaluation(self) -> EvaluationPlan:
        """By windows."""
        return WindowedEvaluation(self.unroll_length, self.shortest_horizon)

    @abc.abstractmethod
    def begin_episodes(self, state: State, begins: jax.Array) -> State:
        """Return the state that knows for which pairs, ``[P/2]`` bool, the next window is the first of an episode."""


class TrainsPopulation(Strategy[State]):
    """A strategy that evaluates candidates by training runs that continue from one generation to the next.

    What the search guarantees besides: before each ``ask`` it moves learners as :meth:`parents` says and calls
    :meth:`begin_training`. Subclasses are frozen dataclasses with this field besides ``population_size``.
    """

    windows: int
    """W, the windows of a training run; a divisor of the problem's ``inner_steps``."""

    @property
    def evaluation(self) -> EvaluationPlan:
        """By training that continues."""
        return PopulationTraining(self.windows)

    @abc.abstractmethod
    def told(self, state: State) -> Scalar:
        """Return how many windows of the training run the strategy was told of, int32 from 0 to W."""

    @abc.abstractmethod
    def parents(self, state: State) -> jax.Array:
        """Return whose learners each member continues with, int32 ``[P]``."""

    @abc.abstractmethod
    def begin_training(self, state: State, begins: Scalar) -> State:
        """Return the state that knows whether a new training run begins with the next window; bool scalar.

        It does in the first generation, after a whole training run, and after a window in which every member failed.
        """
