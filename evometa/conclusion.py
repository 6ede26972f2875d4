"""What a search has found, judged once more: the final selection, and the result."""

import functools
import math
from typing import Any

import jax
import numpy as np

from evometa.finalists import Finalists
from evometa.problem import BaseProblem, Evaluation
from evometa.program import Program, SearchState, sign_of, validation_columns
from evometa.result import Archive, Counters, Result
from evometa.space import Space
from evometa.strategy import Strategy
from evometa.types import Genotype, Omega


def best_fitness(state: SearchState, sign: float) -> float:
    """Return the best fitness so far in the problem's own direction, NaN before there is one."""
    best = float(state.best_fitness)
    return sign * best if math.isfinite(best) else math.nan


def conclude(
    program: Program,
    strategy: Strategy[Any],
    problem: BaseProblem,
    space: Space,
    state: SearchState,
    done: Counters,
    reason: str,
) -> Result:
    """Judge the center and the finalists on fresh tasks, and return the result of a search.

    Args:
        program: what judges.
        strategy: the strategy.
        problem: the problem.
        space: its space.
        state: the state of the search.
        done: its counters.
        reason: why it stopped.
    """
    sign = sign_of(problem)
    center = strategy.center(state.strategy)
    middle = state.best_genotype if center is None else center
    train, test = program.judge_result(state, middle)
    chosen, chosen_train, chosen_test = middle, train, test
    for genotype in _finalists(state):
        again, held_out = program.judge_result(state, genotype)
        if _better(again, chosen_train, sign):
            chosen, chosen_train, chosen_test = genotype, again, held_out
    numbers = {name: float(value) for name, value in validation_columns(train, test).items()}
    return Result(
        best_omega=_decode(space, state.best_genotype),
        best_fitness=best_fitness(state, sign),
        center_omega=None if center is None else _decode(space, center),
        center_fitness=numbers.pop("center"),
        held_out=numbers.pop("held_out"),
        metrics=numbers,
        selected_omega=_decode(space, chosen),
        selected_fitness=float(chosen_train.fitness),
        selected_held_out=math.nan if chosen_test is None else float(chosen_test.fitness),
        archive=_archive(strategy, problem, space, state),
        generations=done.generation,
        evaluations=done.evaluations,
        inner_steps=done.inner_steps,
        failed=done.failed,
        seconds=done.seconds,
        stop_reason=reason,
    )


def _finalists(state: SearchState) -> list[Genotype]:
    if not isinstance(state.finalists, Finalists):
        return []
    fitness = np.asarray(state.finalists.fitness)
    leaves, tree = jax.tree.flatten(state.finalists.genotypes)
    return [jax.tree.unflatten(tree, [leaf[i] for leaf in leaves]) for i in np.flatnonzero(np.isfinite(fitness))]


def _better(one: Evaluation, other: Evaluation, sign: float) -> bool:
    def rank(judged: Evaluation) -> tuple[bool, float]:
        feasible = judged.constraints is None or bool(np.all(np.asarray(judged.constraints) <= 0))
        fitness = float(judged.fitness)
        return (not (feasible and math.isfinite(fitness)), sign * fitness)

    return rank(one) < rank(other)


def _decode(space: Space, genotype: Genotype) -> Omega:
    return jax.device_get(_decoded(space, genotype))


@functools.partial(jax.jit, static_argnums=0)
def _decoded(space: Space, genotype: Genotype) -> Omega:
    return space.decode(space.repair(genotype))


@functools.partial(jax.jit, static_argnums=0)
def _all_decoded(space: Space, genotypes: Genotype) -> Omega:
    return jax.vmap(lambda genotype: space.decode(space.repair(genotype)))(genotypes)


def _archive(strategy: Strategy[Any], problem: BaseProblem, space: Space, state: SearchState) -> Archive | None:
    archive = strategy.archive(state.strategy)
    if archive is None:
        return None
    occupied = np.asarray(archive.occupied)
    # All places are decoded, so that the program does not depend on how many hold something.
    every = archive, _all_decoded(space, archive.genotypes)
    kept, omegas = jax.tree.map(lambda leaf: np.asarray(leaf)[occupied], every)
    sign, own = sign_of(problem), strategy.objective_names
    signs = np.where(np.arange(len(own)) > 0, 1.0, sign) if own else sign
    return Archive(
        omegas=omegas,
        genotypes=kept.genotypes,
        fitness=sign * kept.fitness,
        objectives=None if kept.objectives is None else signs * kept.objectives,
        constraints=kept.constraints,
        measures=kept.measures,
        objective_names=own or problem.objective_names,
    )
