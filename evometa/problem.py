"""Problems: what evaluates ω.

========================  ==============================================================================
:class:`Problem`          evaluate one ω by a JAX function; batched over the population by the engine
:class:`InnerTraining`    evaluate one ω by training learners with it on tasks: what most people subclass
:class:`HostProblem`      evaluate one ω by plain Python, in worker processes
========================  ==============================================================================

A problem is a frozen dataclass: its fields are its settings, printed, stored in the run's manifest, and turned into
command-line options. The fields of the base classes are given by keyword, so that the positional arguments of a
subclass are its own fields. All methods are pure; randomness comes in by the key (or generator) they are handed, and
is the same for the whole population of a generation, so that candidates differ by ω alone (common random numbers).

Optional methods are defined on the base classes; a subclass that has one overrides it, and the engine asks for that
(:func:`overrides`).
"""

import abc
import contextlib
import dataclasses
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import numpy as np

from evometa.backend.precision import precision
from evometa.card import ProblemCard
from evometa.errors import ConfigurationError
from evometa.inner_training import mean_loss, part_key
from evometa.objectives import Final, Objective
from evometa.reporting import report
from evometa.settings import Checked, Count, Natural, Positive
from evometa.spaces import Space
from evometa.types import Key, Learner, Omega, Scalar, Task

VALIDATION_TASKS = 256
"""Tasks of each kind that a validation of a compiled problem with noise averages, unless something else is said."""


class Evaluation(NamedTuple):
    """The evaluation of one ω, where the fitness alone does not say everything.

    Fields left as None are absent. A candidate with a non-finite fitness, objective, constraint or measure failed.
    """

    fitness: Scalar | float
    """What a search for one goal optimises, a scalar; a non-finite one marks a failed candidate."""
    metrics: Mapping[str, Scalar | float] = {}
    """Named scalars for the history, such as an accuracy; they do not steer the search."""
    objectives: Any = None
    """``[M]``: several goals at once, each in the problem's direction, for strategies that weigh them by dominance."""
    constraints: Any = None
    """``[C]``: each must be ≤ 0; a candidate that violates one is never the best of a search."""
    measures: Any = None
    """``[K]``: the candidate's place in behaviour space, for strategies that fill an archive."""


VECTORS = ("objectives", "constraints", "measures")
"""The vectors that an :class:`Evaluation` may have besides its fitness."""


def as_evaluation(result: Any) -> Evaluation:
    """Return what a problem returned as an :class:`Evaluation`; a number is its fitness."""
    return result if isinstance(result, Evaluation) else Evaluation(result)


def _keep_keyword_only(cls: type) -> None:
    """Make fields that a class declares again keyword-only where those of its bases are.

    A subclass does so to change a default. ``@dataclass``, which comes after this, would make them positional, and the
    first ones at that.
    """
    inherited = getattr(cls, "__dataclass_fields__", {})
    for name, hint in inspect.get_annotations(cls).items():
        if "ClassVar" in str(hint) or not getattr(inherited.get(name), "kw_only", False):
            continue
        default = vars(cls).get(name, dataclasses.MISSING)
        if not isinstance(default, dataclasses.Field):
            setattr(cls, name, dataclasses.field(default=default, kw_only=True))
        elif default.kw_only is dataclasses.MISSING:
            default.kw_only = True


@dataclasses.dataclass(frozen=True)
class BaseProblem(metaclass=Checked):
    """What all kinds of problem have in common."""

    direction: ClassVar[Literal["minimize", "maximize"]] = "minimize"
    """Whether a smaller or a larger fitness is better."""
    card: ClassVar[ProblemCard | None] = None
    """The problem in a line of ``evometa list``, and the strategy and budget that ``evometa run`` uses by default."""

    objective_names: ClassVar[tuple[str, ...]] = ()
    """Names of the objectives of an evaluation, in their order, such as ``("error", "milliseconds")``; when empty they
    are numbered."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.direction not in ("minimize", "maximize"):
            raise ConfigurationError(
                f"{cls.__name__}.direction expects 'minimize' or 'maximize', got {cls.direction!r}."
            )
        _keep_keyword_only(cls)

    def __post_init__(self) -> None:
        """Check what settings have to do with one another; each by itself is checked as its annotation says."""

    @property
    @abc.abstractmethod
    def space(self) -> Space:
        """What ω may be."""

    @property
    def num_tasks(self) -> int | None:
        """How many tasks, episodes or draws one evaluation averages; None for problems without noise (the default).

        A problem whose fitness depends on its key or generator says so with a number, as a field or a class variable
        (``num_tasks = 1``): the engine calls ``evaluate`` that many times, each time with randomness of its own.
        """
        return None

    @property
    def num_validation_tasks(self) -> int:
        """How many tasks, episodes or draws a validation averages where :class:`~evometa.Search` is not told."""
        return 1 if self.num_tasks is None else VALIDATION_TASKS

    @property
    def data_files(self) -> tuple[str, ...]:
        """Paths of files that the problem reads, which fields of it name.

        Copies of up to 16 MiB are kept in the run directory, for whoever reads the run after one has changed; who
        resumes the run is warned of it.
        """
        return ()

    @property
    def inner_steps_per_evaluation(self) -> int:
        """Learner updates that evaluating one candidate once costs (T · S for inner training, otherwise 0)."""
        return 0

    def has_test(self) -> bool:
        """Whether the problem can evaluate ω on something held out from the search: it overrides ``evaluate_test``."""
        return overrides(self, "evaluate_test")

    def shifted(self) -> Mapping[str, "BaseProblem"]:
        """Return problems for the same ω with tasks of other distributions, by name; by default none.

        They measure generalization beyond the training distribution (:func:`evometa.generalization`); a
        search never uses them.
        """
        return {}

    def export(self, omega: Omega) -> Any:
        """Return one ω as others use it; by default ω itself.

        A problem whose ω is more than numbers returns what works by itself: an ``optax.GradientTransformation`` where ω
        is an optimizer, a function from observations to actions where it is a policy.
        """
        return omega

    def sources(self, omega: Omega) -> Mapping[str, str]:
        """Return one ω as source code for other libraries, by their names, such as ``{"torch": ...}``; by default none.

        ``evometa export RUN --as NAME`` writes them.
        """
        return {}

    def pictures(self, key: Any, omega: Omega) -> Mapping[str, Any]:
        """Draw what one ω does on held-out tasks; by default nothing.

        ``evometa plot`` writes them for the selected ω of a run.

        Args:
            key: randomness, a JAX key; a ``numpy.random.Generator`` for a :class:`HostProblem`.
            omega: one ω.

        Returns:
            Matplotlib figures by name, each written as NAME.png; an ``Animation`` is written as NAME.gif.
        """
        return {}


class Problem(BaseProblem):
    """Evaluate one ω by a JAX function.

    Subclasses define :attr:`space` and :meth:`evaluate`, and override :meth:`evaluate_test` and
    :meth:`evaluate_population` where they have them.
    """

    @abc.abstractmethod
    def evaluate(self, key: Key, omega: Omega) -> Scalar | Evaluation:
        """Return the fitness of one ω, a scalar, or an :class:`Evaluation`."""

    def evaluate_test(self, key: Key, omega: Omega) -> Scalar | Evaluation:
        """Return the fitness of one ω on what is held out from the search; optional."""
        return self.evaluate(key, omega)

    def evaluate_population(self, key: Key, omegas: Omega) -> jax.Array | Evaluation:
        """Return the fitness ``[P]`` of a population, or an :class:`Evaluation` with leading axis P; optional.

        The same evaluations as those of :meth:`evaluate`, for problems that are faster when all ω are known.
        """
        return jax.vmap(lambda omega: self.evaluate(key, omega))(omegas)


@dataclasses.dataclass(frozen=True, kw_only=True)
class InnerTraining(BaseProblem):
    """Evaluate one ω by training a learner with it on each of several tasks.

    Subclasses define :attr:`space`, :meth:`sample_task`, :meth:`init`, :meth:`step` and :meth:`loss`. Each is written
    for one candidate, one task and one learner; the engine batches them. From them it builds the whole unroll: the
    learner is initialised, updated ``inner_steps`` times, and its validation losses make up the fitness as the
    ``objective`` says, averaged over tasks.

    Args:
        num_tasks: T, tasks drawn in each generation and shared by the whole population.
        inner_steps: S, updates of each learner.
        objective: which losses of the learning curve count.
    """

    num_tasks: Count = 16
    inner_steps: Natural = 1
    objective: Objective = Final()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.objective.steps(self.inner_steps)  # raises when the objective does not fit the number of steps

    @property
    def inner_steps_per_evaluation(self) -> int:
        """T · S: learner updates that evaluating one candidate once costs."""
        return self.num_tasks * self.inner_steps

    def has_test(self) -> bool:
        """True: :meth:`sample_test_task` always gives held-out tasks."""
        return True

    @abc.abstractmethod
    def sample_task(self, key: Key) -> Task:
        """Draw one task of the training distribution, with all the data that :meth:`step` and :meth:`loss` use.

        Called once a task and generation, outside the population's batching: the place for random draws (minibatch
        indices too), which then cost nothing per candidate.
        """

    def sample_test_task(self, key: Key) -> Task:
        """Draw one held-out task; by default from the training distribution, with a key the search never uses."""
        return self.sample_task(key)

    @abc.abstractmethod
    def init(self, key: Key, omega: Omega, task: Task) -> Learner:
        """Return a learner before its first update."""

    @abc.abstractmethod
    def step(self, key: Key, omega: Omega, task: Task, learner: Learner) -> Learner:
        """Return the learner after one more update; same structure, shapes and types."""

    @abc.abstractmethod
    def loss(self, key: Key, omega: Omega, task: Task, learner: Learner) -> Scalar:
        """Return the learner's loss on the task's validation data, a scalar."""

    def metrics(self, key: Key, omega: Omega, task: Task, learner: Learner) -> Mapping[str, Scalar]:
        """Return named scalars of the fully trained learner for the history; none by default."""
        return {}

    def evaluate_task(self, key: Key, omega: Omega, task: Task) -> Evaluation:
        """Train one learner with one ω on one task; its fitness is what the objective says."""
        fitness, learner = mean_loss(self, key, omega, task, self.objective.steps(self.inner_steps))
        return self.evaluate_learner(part_key(key, "metrics"), omega, task, learner, fitness)

    def evaluate_learner(self, key: Key, omega: Omega, task: Task, learner: Learner, fitness: Scalar) -> Evaluation:
        """Return the evaluation of a fully trained learner; the engine averages it over tasks.

        By default the fitness that the objective gave and :meth:`metrics`; override it to add objectives, constraints
        or measures.
        """
        return Evaluation(fitness, self.metrics(key, omega, task, learner))


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostProblem(BaseProblem):
    """Evaluate one ω by plain Python: scikit-learn, PyTorch, a simulator; run by worker processes.

    It is searched in double precision whatever JAX's switch: fitness, ranks and records are float64, as is ω where its
    space does not say otherwise.

    Subclasses define :attr:`space` and :meth:`evaluate`, and override :meth:`evaluate_test` where something is held
    out. A call that raises, exceeds the time limit or kills its worker is a failed candidate: it is counted and
    reported, and the search continues.

    Args:
        time_limit: seconds one call may take, None for no limit.
    """

    time_limit: Positive | None = None

    metric_names: ClassVar[tuple[str, ...]] = ()
    """The names of the metrics that an :class:`Evaluation` of this problem has, for the history's columns."""
    calls_again: ClassVar[bool] = False
    """Whether a candidate that a search meets again is evaluated again in any case. A search finds out whether it must:
    a problem whose calls draw from their generator, or whose first calls of one candidate differ (by draws from other
    generators, say), is noisy. So this is needed only for noise that shows rarely."""
    vector_lengths: ClassVar[Mapping[str, int]] = {}
    """How many objectives, constraints and measures it has, such as ``{"objectives": 2}``; absent are those not named.
    """

    @abc.abstractmethod
    def evaluate(self, rng: np.random.Generator, omega: Omega) -> float | Evaluation:
        """Return the fitness of one ω (leaves are numpy arrays, scalars where the space's shape is empty)."""

    def evaluate_test(self, rng: np.random.Generator, omega: Omega) -> float | Evaluation:
        """Return the fitness of one ω on what is held out from the search; optional."""
        return self.evaluate(rng, omega)

    def report(self, step: int, value: float | Evaluation) -> None:
        """Tell the search how a call of :meth:`evaluate` is doing; the call may end here.

        With ``Search(..., pruning=...)`` a candidate that is not worth more work ends by :class:`~evometa.Stopped`,
        which this raises; ``finally`` and ``with`` in the problem's code run as ever. Its fitness is the value reported
        last, ranked behind those that were not stopped. A value that is not finite ends it as a failed candidate.
        Without pruning, in validations, and where the problem is called by hand, a report changes nothing.

        Args:
            step: inner steps done so far in this call, such as epochs or trees; ascending from one report to the next.
            value: what :meth:`evaluate` would return if it ended now: an :class:`Evaluation` with objectives, if any.

        Raises:
            Stopped: the call is to end.
            ConfigurationError: a step that is no whole number or does not ascend, or a value that ``evaluate`` must not
                return.
        """
        report(step, value)

    @property
    def call_limit(self) -> float | None:
        """Seconds after which whoever runs a call ends it: the time limit, unless the problem keeps that itself."""
        return self.time_limit

    def require_ready(self) -> None:
        """Raise ConfigurationError where something that calls need is not on this machine; nothing by default.

        Called when a search is made or resumed, and not by those who only read a run.
        """

    def keeping_files(self, folder: Path) -> "HostProblem":
        """Return the problem as its calls keep files of candidates in a folder of the run directory; by default itself.

        Called before a search's first call; the folder need not exist. What is kept is for people alone.
        """
        return self

    @property
    def num_validation_tasks(self) -> int:
        """Four times as many calls as one evaluation; one for problems without noise."""
        return 1 if self.num_tasks is None else 4 * self.num_tasks


def sign_of(problem: BaseProblem) -> float:
    """Return the factor that turns the problem's fitness into one to minimise, and back."""
    return -1.0 if problem.direction == "maximize" else 1.0


def precision_of(problem: BaseProblem) -> contextlib.AbstractContextManager[object]:
    """Return the context in which the space of a problem is used: double precision for plain-Python problems."""
    return precision(double=isinstance(problem, HostProblem))


def overrides(problem: BaseProblem, method: str) -> bool:
    """Return whether a problem's class defines an optional method of its base class by itself."""
    base = next(kind for kind in (Problem, InnerTraining, HostProblem) if isinstance(problem, kind))
    return getattr(type(problem), method, None) is not getattr(base, method, None)
