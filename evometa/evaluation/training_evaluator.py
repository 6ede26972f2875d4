"""Population-based training: a population of training runs that continue from one generation to the next.

A candidate is a member of the population: hyperparameters ω, and a learner on each task. A generation is a *window*:
every learner is trained for the next S / W inner steps with its member's present ω, and evaluated as it is then.
Between windows the strategy may let a member continue with another member's learners and other hyperparameters. So
the W windows of S inner steps are one training run of the whole population, in which hyperparameters become a schedule.

The engine owns the learners. All members share tasks and keys, which follow from (seed, number of the training run);
so a checkpoint holds learners and counters alone.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from evometa.backend.static_leaves import pack, unpack
from evometa.evaluation.carried_learners import CarriedLearners, learners_incompatibility
from evometa.evaluation.population_evaluator import Evaluated, OneCandidate, register, register_incompatibility
from evometa.evaluation.task_source import TaskSet, mean
from evometa.evaluation_plan import PopulationTraining
from evometa.inner_training import begin, part_key, train, validate
from evometa.objectives import Final
from evometa.problem import BaseProblem, Evaluation, InnerTraining, Problem
from evometa.spaces import Space
from evometa.strategy import TrainsPopulation
from evometa.types import Genotype, Key, Learner, Omega, Scalar, Task


class TrainingRun(NamedTuple):
    """What is carried between windows."""

    number: Scalar
    """Training runs before this one, int32."""
    window: Scalar
    """Windows evaluated of this one, int32."""
    learners: Learner
    """``[P, T, ...]``; anything where ``window`` is 0."""


class Shared(NamedTuple):
    """What the members share in one window."""

    tasks: TaskSet
    window: Scalar


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingEvaluator(CarriedLearners[TrainsPopulation[Any]]):
    """Evaluates populations by the next window of their training."""

    @property
    def windows(self) -> int:
        """W, the windows of a training run."""
        plan = self.strategy.evaluation
        assert isinstance(plan, PopulationTraining)
        return plan.windows

    @property
    def inner_steps_per_evaluation(self) -> int:
        """T · S / W: learner updates that evaluating one candidate by one window costs."""
        return self.training.inner_steps_per_evaluation // self.windows

    def one_candidate(self) -> OneCandidate:
        """Return the function that evaluates one candidate by one window."""
        key = jax.eval_shape(jax.random.key, 0)
        shared = Shared(jax.eval_shape(self.tasks.draw, key), jax.eval_shape(lambda: jnp.int32(0)))
        genotype = jax.eval_shape(self.space.sample, key)
        return OneCandidate(self._one, shared, (genotype, jax.eval_shape(self.learners, shared.tasks, genotype)))

    def initial(self) -> TrainingRun:
        """Return the state before the first window."""
        _, learners = self.one_candidate().item
        population = self.strategy.population_size
        zeros = jax.tree.map(lambda s: jnp.zeros((population, *s.shape), s.dtype), learners)
        return TrainingRun(jnp.int32(0), jnp.int32(0), zeros)

    def prepare(self, state: Any, carried: TrainingRun) -> tuple[Any, TrainingRun]:
        """Move the learners to the members that continue with them, or begin a new training run."""
        told = self.strategy.told(state)
        # A window that was evaluated and not told is one in which every member failed: there is none to continue with.
        begins = (told % self.windows == 0) | (told != carried.window)
        number = carried.number + (begins & (carried.window > 0)).astype(jnp.int32)
        parents = self.strategy.parents(state)
        learners = jax.tree.map(lambda leaf: leaf[parents], carried.learners)
        run = TrainingRun(number, jnp.where(begins, 0, told), learners)
        return self.strategy.begin_training(state, begins), run

    def evaluate(self, root: Key, key: Key, carried: TrainingRun, genotypes: Genotype) -> Evaluated:
        """Evaluate a population by its next window; everything random follows from the key of the search."""
        shared = Shared(self.tasks.draw(jax.random.fold_in(root, carried.number)), carried.window)
        evaluation, learners = self._map(self._one, shared, (genotypes, carried.learners), self.chunk)
        return Evaluated(Evaluation(*evaluation), TrainingRun(carried.number, carried.window + 1, learners))

    def _one(self, shared: Shared, item: tuple[Genotype, Learner]) -> tuple[Evaluation, Learner]:
        """Train the learners ``[T, ...]`` of one member for a window; return its evaluation, and the learners."""
        genotype, learners = item
        omega, problem, windows = self.omega(genotype), self.training, self.windows

        def on_task(key: Key, task: Task, learner: Learner) -> tuple[Evaluation, Learner]:
            # The window is the same for all, so this is a branch, and learners are made only where training begins.
            first = shared.window == 0
            learner = jax.lax.cond(first, lambda: begin(problem, key, omega, task), lambda: learner)
            loss, learner = train_window(problem, key, omega, task, learner, shared.window, windows)
            return problem.evaluate_learner(part_key(key, "metrics"), omega, task, unpack(learner), loss), learner

        results, learners = jax.vmap(on_task)(shared.tasks.keys, shared.tasks.tasks, learners)
        return mean(results), learners


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
    windows = jax.tree.leaves(pack(omegas))[0].shape[0]
    packed = pack(omegas)
    first = unpack(jax.tree.map(lambda leaf: leaf[0], packed))

    def one(learner: Learner, item: tuple[Omega, Scalar]) -> tuple[Learner, Scalar]:
        omega, window = item
        loss, learner = train_window(problem, key, unpack(omega), task, learner, window, windows)
        return learner, loss

    learner, losses = jax.lax.scan(one, begin(problem, key, first, task), (packed, jnp.arange(windows)))
    return losses, unpack(learner)


@register
def _make(
    plan: PopulationTraining, strategy: TrainsPopulation[Any], problem: Problem | InnerTraining, space: Space
) -> TrainingEvaluator:
    return TrainingEvaluator(problem, space, strategy=strategy)


@register_incompatibility
def _incompatibility(plan: PopulationTraining, strategy: TrainsPopulation[Any], problem: BaseProblem) -> str | None:
    name, windows = type(strategy).__name__, plan.windows
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
            f"{name} expects a problem with the objective Final(), since it evaluates learners as they are at the end "
            f"of each window, got {problem.objective}."
        )
    _, learners = _make(plan, strategy, problem, problem.space).one_candidate().item
    return learners_incompatibility(name, learners)
