"""Making the result of a search from its state, its counters and its final selection."""

import math

import jax
import numpy as np

from evometa.feasibility import feasible
from evometa.problem import Evaluation, HostProblem
from evometa.search.archives import archive_from
from evometa.search.decisions import StopReason
from evometa.search.driver import Driver
from evometa.search.generation import SearchState, validation_columns
from evometa.search.selection import Selection
from evometa.storage.failures import counts
from evometa.storage.omega_text import omega_text
from evometa.storage.result import Archive, Counters, Result
from evometa.types import Genotype, Omega


def result_of(driver: Driver, state: SearchState, done: Counters, selection: Selection, reason: StopReason) -> Result:
    """Return what a search has found.

    Args:
        driver: knows problem, space, strategy and prices.
        state: the state of the search.
        done: its counters.
        selection: the final selection.
        reason: why the search stopped.
    """
    with driver.precision():
        return _result_of(driver, state, done, selection, reason)


def _result_of(driver: Driver, state: SearchState, done: Counters, selection: Selection, reason: StopReason) -> Result:
    def omega(genotype: Genotype) -> Omega:
        found = jax.device_get(driver.decode(genotype))
        return driver.space.present(found) if isinstance(driver.problem, HostProblem) else found

    lost = done.all_failed and not math.isfinite(_fitness(selection.selected_train))
    selected = None if lost else omega(selection.selected)
    has_center = driver.strategy.center(state.strategy) is not None
    numbers = {"center": done.center, "held_out": done.held_out}
    if selection.center_train is not None:
        columns = validation_columns(selection.center_train, selection.center_test)
        numbers = {name: float(value) for name, value in columns.items()}
    center_fitness, held_out = numbers.pop("center"), numbers.pop("held_out")
    spent = driver.prices.of_tasks(done.validation_tasks)
    return Result(
        best_omega=None if done.all_failed else omega(state.best_genotype),
        best_fitness=driver.best_fitness(state),
        center_omega=omega(selection.center) if has_center else None,
        center_fitness=center_fitness,
        held_out=held_out,
        metrics=numbers,
        selected_omega=selected,
        found="" if lost else omega_text(driver.space.readable(selected)),
        selected_fitness=_fitness(selection.selected_train),
        selected_held_out=_fitness(selection.selected_test),
        archive=archive_of(driver, state),
        generations=done.generation,
        evaluations=done.evaluations,
        inner_steps=done.inner_steps,
        validation_evaluations=spent.evaluations,
        validation_inner_steps=spent.inner_steps,
        validation_tasks=done.validation_tasks,
        selection_tasks=selection.tasks,
        failed=done.failed,
        failures=counts(driver.failures),
        seconds=done.seconds,
        direction=driver.problem.direction,
        stop_reason=reason.text,
        stop_code=reason.code,
        best_feasible=driver.best_feasible(state),
        selected_feasible=_feasible(selection.selected_train, driver.best_feasible(state)),
    )


def _feasible(evaluation: Evaluation | None, otherwise: bool | None) -> bool | None:
    if evaluation is None or evaluation.constraints is None:
        return otherwise
    return bool(feasible(np.asarray(evaluation.constraints)))


def _fitness(evaluation: Evaluation | None) -> float:
    return math.nan if evaluation is None else float(evaluation.fitness)


def archive_of(driver: Driver, state: SearchState) -> Archive | None:
    """Return the candidates that the strategy keeps as its answer, None where that is one."""
    record = driver.strategy.archive(state.strategy)
    if record is None:
        return None
    # All places are decoded, so that the program does not depend on how many hold something.
    omegas = driver.decode_all(record.genotypes)
    constrained = driver.best_feasible(state) is not None
    return archive_from(record, omegas, driver.problem, driver.strategy, constrained=constrained)
