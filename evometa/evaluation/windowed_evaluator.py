"""Evaluation by windows: learners that are carried from one generation to the next.

Training a learner to its end for one evaluation of ω is slow where inner training is long. A strategy that is
:class:`~evometa.Unrolled` evaluates candidates by a *window* of K inner steps instead. The next generation continues
from there with its own candidates, until the *episode* is at its horizon and a new one begins. The engine owns the
learners:

- Candidates 2i and 2i + 1 are an antithetic pair. Each has its own learners; the pair shares the episode: its place in
  it, its horizon, its T tasks and all keys.
- Everything random about an episode follows from (seed, pair, number of the episode), so tasks are drawn anew for each
  window, and a checkpoint holds learners and counters alone.
- A window ends with its episode, so no window holds losses of two. Its steps beyond the horizon, where K does not
  divide it, are idle.
- The first episode of each pair is cut to another length, so that the resets of a search are spread evenly over
  generations. A pair in which a loss is not finite begins a new episode in the next generation.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.evaluation.carried_learners import CarriedLearners, learners_incompatibility
from evometa.evaluation.population_evaluator import Evaluated, OneCandidate, register, register_incompatibility
from evometa.evaluation.task_source import TaskSet, mean
from evometa.evaluation_plan import WindowedEvaluation
from evometa.inner_training import begin, part_key, train, validate
from evometa.problem import BaseProblem, Evaluation, InnerTraining, Problem
from evometa.spaces import Space
from evometa.strategy import Unrolled
from evometa.types import Genotype, Key, Learner, Scalar, Task


class Episodes(NamedTuple):
    """What is carried between windows; leading axis P/2 except for the learners."""

    number: jax.Array
    """Episodes that each pair had before this one, int32 ``[P/2]``."""
    window: jax.Array
    """Windows that each pair has done of this one, int32 ``[P/2]``."""
    learners: Learner
    """``[P, T, ...]``; anything where ``window`` is 0."""

    @property
    def begins(self) -> jax.Array:
        """For which pairs the next window is the first of an episode, bool ``[P/2]``."""
        return self.window == 0


class Place(NamedTuple):
    """The place of one pair in its episode; int32 scalars."""

    pair: Scalar
    number: Scalar
    window: Scalar


@dataclasses.dataclass(frozen=True, eq=False)
class WindowedEvaluator(CarriedLearners[Unrolled[Any]]):
    """Evaluates populations by windows of inner training."""

    @property
    def plan(self) -> WindowedEvaluation:
        """How long a window is, and an episode."""
        plan = self.strategy.evaluation
        assert isinstance(plan, WindowedEvaluation)
        return plan

    @property
    def inner_steps_per_evaluation(self) -> int:
        """T · K: learner updates that evaluating one candidate by one window costs."""
        return self.training.num_tasks * self.plan.unroll_length

    def initial(self) -> Episodes:
        """Return the state before the first window."""
        population = self.strategy.population_size
        none = jnp.zeros((population // 2,), jnp.int32)
        _, _, learners = self.one_candidate().item
        return Episodes(none, none, jax.tree.map(lambda s: jnp.zeros((population, *s.shape), s.dtype), learners))

    def one_candidate(self) -> OneCandidate:
        """Return the function that evaluates one candidate by one window."""
        key = jax.eval_shape(jax.random.key, 0)
        genotype = jax.eval_shape(self.space.sample, key)
        pairs, draw = self.strategy.population_size // 2, self.tasks.draw

        def learners(key: Key, genotype: Genotype) -> Learner:
            return self.learners(draw(key), genotype)

        def shared(key: Key) -> tuple[jax.Array, TaskSet]:
            return jnp.zeros((pairs,), jnp.int32), jax.vmap(draw)(jax.random.split(key, pairs))

        item = (jax.ShapeDtypeStruct((), jnp.int32), genotype, jax.eval_shape(learners, key, genotype))
        return OneCandidate(self._one, jax.eval_shape(shared, key), item)

    def prepare(self, state: Any, carried: Episodes) -> tuple[Any, Episodes]:
        """Tell the strategy which pairs begin an episode."""
        return self.strategy.begin_episodes(state, carried.begins), carried

    def evaluate(self, root: Key, key: Key, carried: Episodes, genotypes: Genotype) -> Evaluated:
        """Evaluate a population by its next window; all episodes follow from the key of the search.

        Constraints are those of the learners as they are after the window. There are neither metrics, which are of
        fully trained learners, nor objectives or measures, which no strategy with windows uses.
        """
        episodes = carried
        pairs = jnp.arange(len(episodes.number), dtype=jnp.int32)
        places = Place(pairs, episodes.number, episodes.window)
        keys, _ = jax.vmap(functools.partial(_episode_keys, root))(places)
        shared = (episodes.window, jax.vmap(self.tasks.draw)(keys))
        items = (jnp.repeat(pairs, 2), genotypes, episodes.learners)
        evaluation, learners = self._map(self._one, shared, items, self.chunk)
        failed = ~jnp.all(jnp.isfinite(evaluation.fitness.reshape(-1, 2)), axis=1)
        ends = failed | (episodes.window + 1 >= jax.vmap(functools.partial(self._windows, root))(places))
        after = Episodes(episodes.number + ends.astype(jnp.int32), jnp.where(ends, 0, episodes.window + 1), learners)
        return Evaluated(Evaluation(*evaluation), after)

    def _one(
        self, shared: tuple[jax.Array, TaskSet], item: tuple[Scalar, Genotype, Learner]
    ) -> tuple[Evaluation, Learner]:
        """Train the learners ``[T, ...]`` of one candidate for a window; return its evaluation, and the learners.

        Args:
            shared: which window each pair is in ``[P/2]``, and its tasks.
            item: the number of the candidate's pair, its genotype and its learners.
        """
        pair, genotype, learners = item
        window, tasks = jax.tree.map(lambda leaf: leaf[pair], shared)
        omega = self.omega(genotype)
        problem, length = self.training, self.plan.unroll_length
        table = step_weights(self.plan, problem)
        start = window * length

        def on_task(key: Key, task: Task, learner: Learner) -> tuple[Evaluation, Learner]:
            def counted(number: Scalar, learner: Learner) -> Scalar:
                loss = functools.partial(validate, problem, key, omega, task, learner, number)
                weight = jnp.asarray(table, jax.eval_shape(loss).dtype)[number]
                return jnp.asarray(jax.lax.cond(weight > 0, lambda: weight * loss(), lambda: jnp.zeros_like(weight)))

            def step(carry: tuple[Learner, Scalar], number: Scalar) -> tuple[tuple[Learner, Scalar], None]:
                learner = train(problem, key, omega, task, carry[0], number - 1, 1)
                return (learner, carry[1] + counted(number, learner)), None

            # With one candidate in a chunk these are branches: losses are computed only where they count, and learners
            # are made only where an episode begins.
            learner = jax.lax.cond(window == 0, lambda: begin(problem, key, omega, task), lambda: learner)
            total = jnp.zeros((), jax.eval_shape(counted, start, learner).dtype)
            if table[0]:
                total = jnp.where(start == 0, counted(start, learner), total)
            numbers = start + jnp.arange(1, length + 1, dtype=jnp.int32)
            (learner, total), _ = jax.lax.scan(step, (learner, total), numbers)
            found = problem.evaluate_learner(part_key(key, "metrics"), omega, task, learner, total)
            return Evaluation(total, constraints=found.constraints), learner

        results, learners = jax.vmap(on_task)(tasks.keys, tasks.tasks, learners)
        return mean(results), learners

    def _windows(self, key: Key, place: Place) -> Scalar:
        """Return the number of windows in an episode; int32 scalar."""
        length, shortest = self.plan.unroll_length, self.plan.shortest_horizon
        most = -(-self.training.inner_steps // length)
        windows = jnp.float32(most)
        if shortest is not None:
            least = -(-shortest // length)
            _, key_horizon = _episode_keys(key, place)
            draw = jax.random.uniform(key_horizon, (), jnp.float32, np.log(least), np.log(most + 1))
            windows = jnp.clip(jnp.floor(jnp.exp(draw)), least, most)
        # The first episodes end one after the other.
        share = place.pair.astype(jnp.float32) / (self.strategy.population_size // 2)
        first = jnp.minimum(1 + jnp.floor(share * windows), windows)
        return jnp.where(place.number == 0, first, windows).astype(jnp.int32)


def _episode_keys(key: Key, place: Place) -> tuple[Key, Key]:
    """Return the keys of an episode, for its tasks and for its horizon."""
    keys = jax.random.split(jax.random.fold_in(jax.random.fold_in(key, place.pair), place.number))
    return keys[0], keys[1]


def step_weights(plan: WindowedEvaluation, problem: InnerTraining) -> NDArray[np.float64]:
    """Return how much the loss after each inner step, from 0 on, counts in the fitness of the window it is in.

    The mean over the windows of an episode is the problem's objective. Of episodes of different length each window
    counts alike.

    Returns:
        ``[1 + number of windows · K]``, zero where a step does not count.
    """
    length = plan.unroll_length
    windows = -(-problem.inner_steps // length)
    steps = np.array(problem.objective.steps(problem.inner_steps))
    weights = np.zeros(1 + windows * length)
    weights[steps] = windows / len(steps) if plan.shortest_horizon is None else 1 / length
    return weights


@register
def _make(
    plan: WindowedEvaluation, strategy: Unrolled[Any], problem: Problem | InnerTraining, space: Space
) -> WindowedEvaluator:
    return WindowedEvaluator(problem, space, strategy=strategy)


@register_incompatibility
def _incompatibility(plan: WindowedEvaluation, strategy: Unrolled[Any], problem: BaseProblem) -> str | None:
    name, length = type(strategy).__name__, plan.unroll_length
    if not isinstance(problem, InnerTraining):
        return (
            f"{name} expects a problem with inner training to unroll, an InnerTraining, and {type(problem).__name__} "
            "is none; use FullES or OpenAIES."
        )
    shortest = problem.inner_steps if plan.shortest_horizon is None else plan.shortest_horizon
    if not 1 <= length <= shortest <= problem.inner_steps:
        return (
            f"{name} expects unroll_length <= shortest horizon <= inner_steps, so that every episode has a whole "
            f"window, got unroll_length={length}, shortest_horizon={plan.shortest_horizon} and a problem with "
            f"inner_steps={problem.inner_steps}."
        )
    counts = step_weights(plan, problem) > 0
    in_windows = counts[1:].reshape(-1, length)
    in_windows[0] |= counts[0]
    uncounted = not in_windows.any(axis=1).all()
    if uncounted or (plan.shortest_horizon is not None and not counts[1 : problem.inner_steps + 1].all()):
        return (
            f"{name} expects an objective with a loss in every window of {length} inner steps (in every step, where "
            f"horizons are drawn), since a window without any teaches nothing, got {problem.objective}; use Mean()."
        )
    _, _, learners = _make(plan, strategy, problem, problem.space).one_candidate().item
    return learners_incompatibility(name, learners)
