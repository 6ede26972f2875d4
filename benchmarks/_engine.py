"""All that the measurements take from inside the engine, in one place: a change of the engine is followed here."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

import evometa as em
from evometa.backend.chunks import map_chunks
from evometa.evaluation.full_evaluator import FullEvaluator
from evometa.evaluation.gradient_evaluator import GradientEvaluator
from evometa.evaluation.population_evaluator import evaluator_for
from evometa.evaluation.task_source import TrainingTasks
from evometa.executors import Trial as Trial
from evometa.executors.choice import executor_for
from evometa.inner_training import begin, train, validate
from evometa.problem import Evaluation, InnerTraining, Problem, precision_of
from evometa.search.compiled_driver import CompiledDriver
from evometa.search.driver import ValidationSettings
from evometa.search.planning import plan
from evometa.storage.run_directory import RunDirectory
from evometa.strategies.multi_objective import hypervolume as _hypervolume
from evometa.strategy import Feedback, Strategy

MEMORY_BUDGET = 2**31

EXECUTORS: dict[str, Callable[[em.HostProblem, int], Any]] = {
    "in-process": lambda problem, workers: executor_for(problem, 0),
    "pool": executor_for,
    "ray": lambda problem, workers: executor_for(problem, em.Ray(workers=workers)),
}
"""What runs the calls of a plain-Python problem, on so many workers."""


def tell(strategy: Strategy[Any], key: jax.Array, state: Any, genotypes: Any, fitness: Any) -> Any:
    """Return the state of a strategy after it was told the fitness ``[P]`` of a population, lower is better."""
    return strategy.tell(key, state, genotypes, Feedback(fitness))


def tell_all(strategy: Strategy[Any], key: jax.Array, state: Any, genotypes: Any, evaluation: Evaluation) -> Any:
    """Likewise, with the objectives, constraints and measures that an evaluation says of a population."""
    feedback = {name: value for name, value in evaluation._asdict().items() if name != "metrics"}
    return strategy.tell(key, state, genotypes, Feedback(**feedback))


def centers(
    strategy: Strategy[Any],
    state: Any,
    fitness: Callable[[jax.Array, Any], jax.Array],
    key: jax.Array,
    generations: int,
) -> jax.Array:
    """Return the center of a strategy after each generation, ``[G, D]``, to be called within a program.

    For searches that share one compiled program because what they differ by is an argument of it.

    Args:
        strategy: what searches.
        state: its first state.
        fitness: from a key and genotypes ``[P, D]`` to ``[P]``, lower is better.
        key: random key.
        generations: how many.
    """

    def generation(state: Any, key: jax.Array) -> tuple[Any, Any]:
        key_ask, key_fitness, key_tell = jax.random.split(key, 3)
        genotypes, state = strategy.ask(key_ask, state)
        found = fitness(key_fitness, genotypes)
        found = jax.numpy.where(jax.numpy.isfinite(found), found, jax.numpy.inf)
        state = tell(strategy, key_tell, state, genotypes, found)
        return state, strategy.center(state)

    return jax.lax.scan(generation, state, jax.random.split(key, generations))[1]


def population_evaluator(problem: Problem | InnerTraining) -> Callable[[jax.Array, Any], Evaluation]:
    """Return a function from a key and genotypes ``[P, ...]`` to their evaluation, for one device, one at a time."""
    return FullEvaluator(problem, problem.space, 0, 1, (jax.devices()[0],)).population


class Layout(NamedTuple):
    """How a search evaluates a population on all devices."""

    population: Callable[[jax.Array, Any], Evaluation]
    """From a key and genotypes ``[P, ...]`` to their evaluation."""
    draw: Callable[[jax.Array], Any]
    """From a key to the tasks that all candidates share."""
    one: Callable[[Any, Any], Evaluation]
    """From shared tasks and one genotype to its evaluation."""
    chunk: int
    devices: tuple[jax.Device, ...]


def layout(problem: Problem | InnerTraining, strategy: Strategy[Any], chunk: int | None = None) -> Layout:
    """Return how a search lays out a population; ``chunk`` sets the candidates at a time on each device."""
    size: Any = chunk or "auto"
    found = plan(problem, problem.space, strategy, population_chunk=size, memory_budget=MEMORY_BUDGET)
    assert isinstance(found, FullEvaluator)
    return Layout(found.population, found.tasks.draw, found.one_candidate().function, found.chunk, found.devices)


def map_population(
    function: Callable[[Any, Any], Any], shared: Any, items: Any, *, chunk: int, devices: Sequence[jax.Device]
) -> Any:
    """Return a function of what all share and of each of ``[P]`` items, computed as the engine computes populations."""
    return map_chunks(function, shared, items, chunk=chunk, devices=tuple(devices))


def draw_trials(problem: InnerTraining, seed: int, count: int, *, test: bool) -> Any:
    """Return tasks of a problem and keys for their learners, ``(keys, tasks)`` with leading axis ``count``."""
    return _drawn(problem, count, test)(jax.random.key(seed))


@functools.cache
def _drawn(problem: InnerTraining, count: int, test: bool) -> Any:
    return jax.jit(functools.partial(TrainingTasks(problem).sample, count=count, test=test))


def on_trial(problem: InnerTraining) -> Callable[[Any, Any], Evaluation]:
    """Return a function from ω and one trial, held-out ones too, to its evaluation."""
    return functools.partial(TrainingTasks(problem).evaluate_on, test=False)


def mean_fitness(problem: InnerTraining, omega: Any, tasks: int, *, test: bool = True, seed: int = 2026) -> float:
    """Return the fitness of an ω, the mean over tasks that no search draws."""
    return float(_mean_fitness(problem, tasks, test)(omega, jax.random.key(seed)))


@functools.cache
def _mean_fitness(problem: InnerTraining, tasks: int, test: bool) -> Any:
    source = TrainingTasks(problem)
    evaluate = functools.partial(source.evaluate_on, test=test)

    def mean(omega: Any, key: Any) -> Any:
        trials = source.sample(key, count=tasks, test=test)
        found = jax.lax.map(lambda trial: evaluate(omega, trial).fitness, trials, batch_size=min(tasks, 64))
        return jax.numpy.mean(found)

    return jax.jit(mean)


def center_of(search: em.Search) -> Any:
    """Return the ω of a strategy's center while a search runs, for callbacks."""
    state, space = search._run.state, search.problem.space
    assert state is not None
    with precision_of(search.problem):
        return jax.device_get(space.decode(space.repair(search.strategy.center(state.strategy))))


def pieces(problem: InnerTraining, steps: int) -> tuple[Any, Any, Any]:
    """Return compiled functions that train the learners of one ω in pieces of so many inner steps.

    The first draws T tasks from a key; the second makes their learners from an ω and the tasks; the third trains these,
    from the number of a step on, and returns the mean validation loss and the learners.
    """

    def first(omega: Any, tasks: Any) -> Any:
        return jax.vmap(lambda key, task: begin(problem, key, omega, task))(tasks.keys, tasks.tasks)

    def piece(omega: Any, tasks: Any, learners: Any, start: Any) -> tuple[Any, Any]:
        def one(key: Any, task: Any, learner: Any) -> tuple[Any, Any]:
            learner = train(problem, key, omega, task, learner, start, steps)
            return validate(problem, key, omega, task, learner, start + steps), learner

        losses, learners = jax.vmap(one)(tasks.keys, tasks.tasks, learners)
        return jax.numpy.mean(losses), learners

    return jax.jit(TrainingTasks(problem).draw), jax.jit(first), jax.jit(piece)


def with_and_without_gradient(problem: InnerTraining) -> tuple[Any, dict[str, Callable[[Any, Any], Any]]]:
    """Return shared tasks, and functions from them and a genotype to its evaluation, alone and with its gradient."""
    evaluator = FullEvaluator(problem, problem.space)
    functions: dict[str, Callable[[Any, Any], Any]] = {"fitness alone": evaluator.one_candidate().function}
    functions["with gradient, reverse mode"] = GradientEvaluator(problem, problem.space).one_candidate().function
    if problem.space.size < 10:
        forward = GradientEvaluator(problem, problem.space, mode="forward")
        functions["with gradient, forward mode"] = forward.one_candidate().function
    return evaluator.tasks.draw(jax.random.key(0)), functions


class Windows(NamedTuple):
    """How a generation of a strategy is evaluated, by whole trainings or by windows of them."""

    begin: Callable[[], Any]
    """Return the learners that wait for their next window, and the like."""
    generation: Callable[[jax.Array, jax.Array, Any, Any], tuple[Any, jax.Array, Any]]
    """From the keys of the search and the generation, the strategy's state and what waits, to the state after asking,
    the fitness and what waits."""
    per_episode: int
    """Generations of an episode."""


def windows(problem: InnerTraining, strategy: Any) -> Windows:
    """Return how a generation is evaluated, the whole population at a time on one device."""
    evaluator = evaluator_for(strategy, problem, problem.space)
    evaluator = dataclasses.replace(evaluator, chunk=strategy.population_size, devices=(jax.local_devices()[0],))

    def generation(root: jax.Array, key: jax.Array, state: Any, waiting: Any) -> tuple[Any, jax.Array, Any]:
        ready, waiting = evaluator.prepare(state, waiting)
        genotypes, state = strategy.ask(key, ready)
        evaluated = evaluator.evaluate(root, key, waiting, genotypes)
        return state, jax.numpy.asarray(evaluated.evaluation.fitness), evaluated.carried

    windows_each = problem.inner_steps // strategy.unroll_length if isinstance(strategy, em.Unrolled) else 1
    return Windows(evaluator.initial, generation, windows_each)


def one_generation(problem: InnerTraining, strategy: Strategy[Any]) -> Callable[[], None]:
    """Return what runs one more generation of a search's compiled program on one device, and nothing else."""
    evaluator = plan(problem, problem.space, strategy, memory_budget=MEMORY_BUDGET, devices=1)
    never = ValidationSettings(every=2**30, tasks=1, finalists=0, share=0.0)
    driver = CompiledDriver(evaluator, strategy, 0, never, memory_budget=MEMORY_BUDGET)
    state, number = driver.initial(), 0

    def run() -> None:
        nonlocal state, number
        number += 1
        state, _, _ = driver.advance(state, number, 1, -float("inf"))

    return run


def program_bytes(search: em.Search) -> int:
    """Return the memory that the compiled program of a search says it needs."""
    analysis = search.running.driver._dispatch.memory_analysis()  # type: ignore[union-attr]
    return int(analysis.temp_size_in_bytes + analysis.argument_size_in_bytes)


def hypervolume(objectives: int, reference: float) -> Callable[[Any], float]:
    """Return a function from points ``[N, M]`` to what they dominate up to a reference point, all to be minimised."""
    corner = jax.numpy.full(objectives, reference)
    return lambda points: float(_hypervolume.hypervolume(jax.numpy.asarray(points), corner))


SAVES = (RunDirectory, "save")
"""The method that writes a checkpoint: its class and its name."""
