"""Choosing how a population is laid out: how many devices, how many candidates in a chunk.

Both choices follow from the program alone (its arithmetic, the memory its compiled form says it needs), never from a
clock, so that the same search is laid out the same way every time.
"""

import dataclasses
import functools
from typing import Any, Literal

import jax

from evometa.backend import ranks
from evometa.backend.flops import flops
from evometa.errors import ConfigurationError
from evometa.evaluation import (  # noqa: F401  (register)
    full_evaluator,
    gradient_evaluator,
    halving_evaluator,
    training_evaluator,
    windowed_evaluator,
)
from evometa.evaluation.population_evaluator import OneCandidate, PopulationEvaluator, evaluator_for
from evometa.halving import Halving
from evometa.problem import InnerTraining, Problem
from evometa.spaces import Space
from evometa.strategy import Strategy

# Below this much arithmetic in a generation, waiting for the other devices costs more than they save.
LEAST_FLOPS_TO_SPREAD = 4e6
# A chunk's temporaries should stay near the second-level cache of a core.
CACHE_BYTES = 500_000
LARGEST_CHUNK = 1024


def plan(
    problem: Problem | InnerTraining,
    space: Space,
    strategy: Strategy[Any],
    *,
    population_chunk: int | Literal["auto"] = "auto",
    memory_budget: int,
    devices: int | None = None,
    halving: Halving | None = None,
    begun: int | None = None,
) -> PopulationEvaluator:
    """Return the population evaluator of a strategy's plan with its chunk size and devices chosen.

    Args:
        problem: the problem.
        space: its space.
        strategy: the strategy, for its population size and task sharing.
        population_chunk: candidates in a chunk, or "auto": on a CPU the largest power of two whose temporaries stay
            in a core's cache, or 1 where what ω computes branches; elsewhere the largest within half the memory budget.
        memory_budget: bytes the whole evaluation may take on all devices together.
        devices: how many local devices to use, of each rank; None: all of all ranks where the work is worth it,
            otherwise one, on which each rank computes the same.
        halving: train only the best candidates further.
        begun: the chunk that a run began with, and with which it continues on any number of devices, to every bit.

    Raises:
        ConfigurationError: a chunk or device count out of range.
    """
    population = strategy.population_size
    evaluator = evaluator_for(strategy, problem, space, halving)
    one = evaluator.one_candidate()
    chosen = _devices(one, population, devices)
    share = -(-evaluator.fewest_at_once(population) // len(chosen))
    if begun is not None:
        chunk = begun
    elif population_chunk == "auto":
        on_cpu = chosen[0].platform == "cpu"
        budget = min(CACHE_BYTES, memory_budget) if on_cpu else memory_budget // (2 * len(chosen))
        most = (1 if space.branches else min(share, LARGEST_CHUNK)) if on_cpu else share
        here = next(device for device in chosen if device.process_index == ranks.index())
        chunk = ranks.from_first(functools.partial(_largest_chunk, one, here, most, budget))
    elif not isinstance(population_chunk, int) or population_chunk < 1:
        raise ConfigurationError(
            f"Search expects population_chunk >= 1, candidates batched at a time, or 'auto', got {population_chunk!r}."
        )
    else:
        chunk = min(population_chunk, share)
    return dataclasses.replace(evaluator, chunk=chunk, devices=chosen)


def _devices(one: OneCandidate, population: int, wanted: int | None) -> tuple[jax.Device, ...]:
    own = [jax.local_devices(process_index=rank) for rank in range(ranks.count())]
    least = min(map(len, own))
    if wanted is not None and not 1 <= wanted <= least:
        raise ConfigurationError(f"Search expects devices from 1 to the {least} local devices JAX has, got {wanted}.")
    if wanted is None and population * flops(*one) < LEAST_FLOPS_TO_SPREAD:
        return (own[ranks.index()][0],)
    return tuple(device for devices in own for device in devices[: wanted or least])


def _largest_chunk(one: OneCandidate, device: jax.Device, most: int, budget: int) -> int:
    """Return the largest power of two within ``most`` whose batch is predicted to need at most ``budget`` bytes.

    The memory of a chunk is close to a + b · chunk; two small compilations give both numbers.
    """
    here = jax.sharding.SingleDeviceSharding(device)
    # How memory is laid out is decided before machine code is written, whose optimisation is half of what compiling
    # costs here.
    fast: dict[str, str | bool] | None = {"xla_backend_optimization_level": "0"} if device.platform == "cpu" else None

    def temporary(chunk: int) -> int:
        batch = jax.tree.map(lambda s: jax.ShapeDtypeStruct((chunk, *s.shape), s.dtype), one.item)
        batched = jax.jit(jax.vmap(one.function, in_axes=(None, 0)), in_shardings=here, out_shardings=here)
        analysis = batched.lower(one.shared, batch).compile(compiler_options=fast).memory_analysis()
        arguments = sum(int(leaf.size) * int(leaf.dtype.itemsize) for leaf in jax.tree.leaves(batch))
        return int(getattr(analysis, "temp_size_in_bytes", 0)) + arguments

    if most < 2:
        return 1
    first, second = temporary(1), temporary(2)
    each = max(second - first, 1)
    affordable = max(1, int((budget - (first - each)) // each))
    chunk = 1
    while 2 * chunk <= min(most, affordable):
        chunk *= 2
    return chunk


def check_memory(compiled: Any, budget: int) -> None:
    """Raise ConfigurationError when a compiled program says that it needs more memory than the budget."""
    analysis = compiled.memory_analysis()
    needed = sum(int(getattr(analysis, f"{part}_size_in_bytes", 0)) for part in ("temp", "argument", "output")) - int(
        getattr(analysis, "alias_size_in_bytes", 0)
    )
    if needed > budget:
        raise ConfigurationError(
            f"Search expects one generation to fit memory_budget={budget / 2**20:.0f} MiB, and the compiled program "
            f"needs {needed / 2**20:.0f} MiB; raise the budget, or lower "
            "population_size, population_chunk or num_tasks."
        )
