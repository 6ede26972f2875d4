"""Population-based training: a population of training runs that go on from one generation to the next.

A candidate is a member of the population: hyperparameters ω, and a learner on each task. A generation is a *window*:
every learner is trained for the next S / W inner steps with its member's ω of the moment, and judged as it is then.
Between windows the strategy may let a member go on from another member's learners, and with other hyperparameters. So
the W windows of S inner steps are one training run of the whole population, in which hyperparameters become a schedule.

The engine owns the learners. All members share tasks and keys, which follow from (seed, number of the training run);
so a checkpoint holds learners and counters alone.
"""

import abc
import dataclasses
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from evometa.carried_learners import CarriesLearners, refuse_learners
from evometa.evaluation import Evaluator, Judging, TaskSet, Work, map_chunks
from evometa.objectives import Final
from evometa.problem import BaseProblem, Evaluation, InnerTraining, _part, begin, train, validate
from evometa.strategy import Strategy
from evometa.types import Genotype, Key, Learner, Omega, Scalar, Task

State = TypeVar("State")


class TrainsPopulation(Strategy[State]):
    """A strategy that judges candidates by training runs that go on.

    What the search guarantees besides: before each ``ask`` it moves learners as :meth:`parents` says and calls
    :meth:`begin_training`. Subclasses are frozen dataclasses with this field besides ``population_size``.
    """

    windows: int
    """W, the windows of a training run; a divisor of the problem's ``inner_steps``."""

    def judging(self, evaluator: Evaluator) -> Judging:
        """Judge by training that goes on."""
        return PopulationTrainer(evaluator, self)

    def problem_incompatibility(self, problem: BaseProblem) -> str | None:
        """Refuse problems without inner training, and those whose objective or length does not fit windows."""
        return refuse_population_training(self, problem)

    @abc.abstractmethod
    def told(self, state: State) -> Scalar:
        """Return how many windows of the training run the strategy was told of, int32 from 0 to W."""

    @abc.abstractmethod
    def parents(self, state: State) -> jax.Array:
        """Return from whose learners each member goes on, int32 ``[P]``."""

    @abc.abstractmethod
    def begin_training(self, state: State, begins: Scalar) -> State:
        """Return the state that knows whether a new training run begins with the next window; bool scalar.

        It does in the first generation, after a whole training run, and after a window in which every member failed.
        """


class TrainingRun(NamedTuple):
    """What is carried between windows."""

    number: Scalar
    """Training runs before this one, int32."""
    window: Scalar
    """Windows judged of this one, int32."""
    learners: Learner
    """``[P, T, ...]``; anything where ``window`` is 0."""


class Shared(NamedTuple):
    """What the members share in one window."""

    trials: TaskSet
    window: Scalar


@dataclasses.dataclass(frozen=True, eq=False)
class PopulationTrainer(CarriesLearners):
    """Judges populations by the next window of their training.

    Args:
        evaluator: its problem (an :class:`~evometa.InnerTraining`), space, chunk size and devices.
        strategy: the strategy.
    """

    strategy: TrainsPopulation[Any]

    @property
    def inner_steps_per_evaluation(self) -> int:
        """T · S / W: learner updates that judging one candidate by one window costs."""
        return self.problem.inner_steps_per_evaluation // self.strategy.windows

    def work(self) -> Work:
        """Return what judging one candidate by one window takes."""
        key = jax.eval_shape(jax.random.key, 0)
        shared = Shared(jax.eval_shape(self._judge.draw, key), jax.eval_shape(lambda: jnp.int32(0)))
        genotype = jax.eval_shape(self.evaluator.space.sample, key)

        return Work(self._one, shared, (genotype, jax.eval_shape(self._learners, shared.trials, genotype)))

    def initial(self) -> TrainingRun:
        """Return the state before the first window."""
        _, learners = self.work().item
        population = self.strategy.population_size
        zeros = jax.tree.map(lambda s: jnp.zeros((population, *s.shape), s.dtype), learners)
        return TrainingRun(jnp.int32(0), jnp.int32(0), zeros)

    def prepare(self, state: Any, carried: TrainingRun) -> tuple[Any, TrainingRun]:
        """Move the learners to the members that go on from them, or begin a new training run."""
        told = self.strategy.told(state)
        # A window that was judged and not told is one in which every member failed: nobody is left to go on from.
        begins = (told % self.strategy.windows == 0) | (told != carried.window)
        number = carried.number + (begins & (carried.window > 0)).astype(jnp.int32)
        parents = self.strategy.parents(state)
        learners = jax.tree.map(lambda leaf: leaf[parents], carried.learners)
        run = TrainingRun(number, jnp.where(begins, 0, told), learners)
        return self.strategy.begin_training(state, begins), run

    def population(
        self, root: Key, key: Key, carried: TrainingRun, genotypes: Genotype
    ) -> tuple[Evaluation, TrainingRun]:
        """Judge a population by its next window; everything random follows from the key of the search."""
        shared = Shared(self._judge.draw(jax.random.fold_in(root, carried.number)), carried.window)
        chunk, devices = self.evaluator.chunk, self.evaluator.devices
        judged, learners = map_chunks(self._one, shared, (genotypes, carried.learners), chunk=chunk, devices=devices)
        return Evaluation(*judged), TrainingRun(carried.number, carried.window + 1, learners)

    def _one(self, shared: Shared, item: tuple[Genotype, Learner]) -> tuple[Evaluation, Learner]:
        """Train the learners ``[T, ...]`` of one member for a window; return its judgement, and the learners."""
        genotype, learners = item
        omega, problem, windows = self.evaluator.omega(genotype), self.problem, self.strategy.windows

        def on_task(key: Key, task: Task, learner: Learner) -> tuple[Evaluation, Learner]:
            # The window is the same for all, so this is a branch, and learners are made only where training begins.
            first = shared.window == 0
            learner = jax.lax.cond(first, lambda: begin(problem, key, omega, task), lambda: learner)
            loss, learner = train_window(problem, key, omega, task, learner, shared.window, windows)
            return problem.evaluate_learner(_part(key, "metrics"), omega, task, learner, loss), learner

        results, learners = jax.vmap(on_task)(shared.trials.keys, shared.trials.tasks, learners)
        return Evaluation(*jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), results)), learners


def train_window(
    problem: InnerTraining, key: Key, omega: Omega, task: Task, learner: Learner, window: int | Scalar, windows: int
) -> tuple[Scalar, Learner]:
    """Train a learner for one window of its training run; return its validation loss after that, and the learner."""
    length = problem.inner_steps // windows
    learner = train(problem, key, omega, task, learner, window * length, length)
    return validate(problem, key, omega, task, learner, (window + 1) * length), learner


def replay(problem: InnerTraining, key: Key, omegas: Omega, task: Task) -> tuple[jax.Array, Learner]:
    """Train one learner on one task by a schedule, as population-based training found it.

    Args:
        problem: the problem.
        key: the task's key.
        omegas: the schedule: ω of each window, leaves ``[W, ...]``, such as ``result.archive.omegas``; W divides the
            problem's ``inner_steps``. The learner is initialised with the first.
        task: one task.

    Returns:
        The validation losses after each window ``[W]``, and the trained learner.
    """
    windows = jax.tree.leaves(omegas)[0].shape[0]
    first = jax.tree.map(lambda leaf: leaf[0], omegas)

    def one(learner: Learner, item: tuple[Omega, Scalar]) -> tuple[Learner, Scalar]:
        omega, window = item
        loss, learner = train_window(problem, key, omega, task, learner, window, windows)
        return learner, loss

    learner, losses = jax.lax.scan(one, begin(problem, key, first, task), (omegas, jnp.arange(windows)))
    return losses, learner


def refuse_population_training(strategy: TrainsPopulation[Any], problem: BaseProblem) -> str | None:
    """Return why a strategy cannot train a population on a problem, in one sentence, or None when it can."""
    name, windows = type(strategy).__name__, strategy.windows
    if not isinstance(problem, InnerTraining):
        return (
            f"{name} expects a problem whose training can be cut into windows, an InnerTraining, and "
            f"{type(problem).__name__} is none; use GeneticAlgorithm or CMAES."
        )
    if problem.inner_steps < windows or problem.inner_steps % windows:
        return (
            f"{name} expects windows to divide the problem's inner_steps, so that all windows are equally long, got "
            f"windows={windows} and inner_steps={problem.inner_steps}."
        )
    if not isinstance(problem.objective, Final):
        return (
            f"{name} expects a problem with the objective Final(), since it judges learners as they are at the end of "
            f"each window, got {problem.objective}."
        )
    _, learners = PopulationTrainer(Evaluator(problem, problem.space, 0, 1, ()), strategy).work().item
    return refuse_learners(name, learners)
