"""All that the measurements take from inside the engine, in one place: a change of the engine is followed here."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

import evometa as em
from evometa.evaluation import Evaluator, TaskJudge, map_chunks
from evometa.gradients import Differentiated
from evometa.planning import plan
from evometa.problem import Evaluation, InnerTraining, Problem
from evometa.program import CompiledProgram
from evometa.run_directory import RunDirectory
from evometa.strategies import _hypervolume
from evometa.strategy import Strategy
from evometa.unroll import Unrolled, Unroller

MEMORY_BUDGET = 2**31


def tell(strategy: Strategy[Any], key: jax.Array, state: Any, genotypes: Any, fitness: Any) -> Any:
    """Return the state of a strategy after it was told the fitness ``[P]`` of a population, lower is better."""
    return strategy.tell(key, state, genotypes, fitness)


def tell_all(strategy: Strategy[Any], key: jax.Array, state: Any, genotypes: Any, evaluation: Evaluation) -> Any:
    """Likewise, with the metrics and all else that an evaluation says of a population."""
    return strategy.learn(key, state, genotypes, evaluation)


def population_evaluator(problem: Problem | InnerTraining) -> Callable[[jax.Array, Any], Evaluation]:
    """Return a function from a key and genotypes ``[P, ...]`` to their evaluation, for one device, one at a time."""
    return Evaluator(problem, problem.space, 0, 1, (jax.devices()[0],)).population


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
    return Layout(found.population, found.judge.draw, found.work().function, found.chunk, found.devices)


def map_population(
    function: Callable[[Any, Any], Any], shared: Any, items: Any, *, chunk: int, devices: Sequence[jax.Device]
) -> Any:
    """Return a function of what all share and of each of ``[P]`` items, computed as the engine computes populations."""
    return map_chunks(function, shared, items, chunk=chunk, devices=tuple(devices))


def draw_trials(problem: InnerTraining, seed: int, count: int, *, test: bool) -> Any:
    """Return tasks of a problem and keys for their learners, ``(keys, tasks)`` with leading axis ``count``."""
    return TaskJudge(problem).trials(jax.random.key(seed), count, test=test)


def on_trial(problem: InnerTraining, *, test: bool) -> Callable[[Any, Any], Evaluation]:
    """Return a function from ω and one trial to its evaluation."""
    return functools.partial(TaskJudge(problem).on_trial, test=test)


def with_and_without_gradient(problem: InnerTraining) -> tuple[Any, dict[str, Callable[[Any, Any], Any]]]:
    """Return shared tasks, and functions from them and a genotype to its evaluation, alone and with its gradient."""
    evaluator = Evaluator(problem, problem.space, 0, 1, (jax.local_devices()[0],))
    functions: dict[str, Callable[[Any, Any], Any]] = {"fitness alone": evaluator.work().function}
    functions["with gradient, reverse mode"] = Differentiated(evaluator)._one
    if problem.space.size < 10:
        functions["with gradient, forward mode"] = Differentiated(evaluator, "forward")._one
    return evaluator.judge.draw(jax.random.key(0)), functions


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
    evaluator = Evaluator(problem, problem.space, 2, strategy.population_size, (jax.local_devices()[0],))
    if not isinstance(strategy, Unrolled):

        def whole(root: jax.Array, key: jax.Array, state: Any, waiting: Any) -> tuple[Any, jax.Array, Any]:
            genotypes, state = strategy.ask(key, state)
            return state, jax.numpy.asarray(evaluator.population(key, genotypes).fitness), waiting

        return Windows(tuple, whole, 1)
    unroller = Unroller(evaluator, strategy)

    def window(root: jax.Array, key: jax.Array, state: Any, waiting: Any) -> tuple[Any, jax.Array, Any]:
        genotypes, state = strategy.ask(key, strategy.begin_episodes(state, waiting.begins))
        evaluation, waiting = unroller.population(root, key, waiting, genotypes)
        return state, jax.numpy.asarray(evaluation.fitness), waiting

    return Windows(unroller.initial, window, problem.inner_steps // strategy.unroll_length)


def one_generation(problem: InnerTraining, strategy: Strategy[Any]) -> Callable[[], None]:
    """Return what runs one more generation of a search's compiled program on one device, and nothing else."""
    evaluator = plan(problem, problem.space, strategy, memory_budget=MEMORY_BUDGET, devices=1)
    never: Any = {"validate_every": 2**30, "validation_tasks": 1, "finalists": 0}
    program = CompiledProgram(evaluator, strategy, 0, memory_budget=MEMORY_BUDGET, **never)
    state, number = program.initial(), 0

    def run() -> None:
        nonlocal state, number
        number += 1
        state, _, _ = program.advance(state, number, 1, -float("inf"))

    return run


def program_bytes(search: em.Search) -> int:
    """Return the memory that the compiled program of a search says it needs."""
    analysis = search._program._dispatch.memory_analysis()  # type: ignore[union-attr]
    return int(analysis.temp_size_in_bytes + analysis.argument_size_in_bytes)


def hypervolume(objectives: int, reference: float) -> Callable[[Any], float]:
    """Return a function from points ``[N, M]`` to what they dominate up to a reference point, all to be minimised."""
    corner = jax.numpy.full(objectives, reference)
    return lambda points: float(_hypervolume.hypervolume(jax.numpy.asarray(points), corner))


SAVES = (RunDirectory, "save")
"""The method that writes a checkpoint: its class and its name."""
