"""Chunks fit the memory budget, and several devices are used where that is faster."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from evometa import ConfigurationError, Search
from evometa.naming import load
from evometa.search.planning import CACHE_BYTES, plan
from evometa.strategies import RandomSearch

TOYS = Path(__file__).parents[1] / "toys.py"
Bowl, Waves = load(f"{TOYS}:Bowl"), load(f"{TOYS}:Waves")
MIB = 2**20


def chosen(problem: Any, population: int, **options: Any) -> Any:
    options = {"memory_budget": 2**31} | options
    return plan(problem, problem.space, RandomSearch(population), **options)


def temporary(evaluator: Any, chunk: int) -> int:
    """The temporary memory of a batch of so many candidates, as the compiler states it."""
    source, key = evaluator.tasks, jax.random.key(0)
    batch = jax.ShapeDtypeStruct((chunk, evaluator.space.size), jnp.float32)
    evaluate = jax.vmap(lambda shared, one: source.evaluate(shared, evaluator.space.decode(one)), in_axes=(None, 0))
    compiled = jax.jit(evaluate).lower(jax.eval_shape(source.draw, key), batch).compile()
    return int(compiled.memory_analysis().temp_size_in_bytes)


def test_an_automatic_chunk_is_the_largest_power_of_two_that_stays_in_the_cache() -> None:
    evaluator = chosen(Waves(width=64), 4096, devices=1)
    assert 1 < evaluator.chunk < 1024
    assert evaluator.chunk.bit_count() == 1
    assert temporary(evaluator, evaluator.chunk) <= CACHE_BYTES < 1.3 * temporary(evaluator, 2 * evaluator.chunk)


def test_a_small_budget_makes_small_chunks() -> None:
    large, small = (chosen(Waves(), 256, devices=1, memory_budget=budget).chunk for budget in (2**31, 100_000))
    assert small < large
    assert temporary(chosen(Waves(), 256, devices=1), small) <= 100_000


def test_a_chunk_is_never_larger_than_a_devices_share() -> None:
    assert chosen(Bowl(), 9, devices=1).chunk == 8
    assert chosen(Bowl(), 9, devices=2).chunk == 4
    assert chosen(Bowl(), 1, devices=2).chunk == 1
    assert chosen(Bowl(), 9, population_chunk=100, devices=2).chunk == 5
    assert chosen(Bowl(), 9, population_chunk=3).chunk == 3


def test_devices_are_used_where_there_is_work_for_them() -> None:
    assert len(chosen(Bowl(), 64).devices) == 1
    assert len(chosen(Waves(inner_steps=50), 256).devices) == 2
    assert len(chosen(Waves(inner_steps=50), 256, devices=1).devices) == 1
    assert len(chosen(Bowl(), 64, devices=2).devices) == 2


def test_a_plan_is_the_same_every_time() -> None:
    first, second = (chosen(Waves(), 100) for _ in range(2))
    assert (first.chunk, first.devices) == (second.chunk, second.devices)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"devices": 3}, "devices from 1 to the 2 local devices JAX has, got 3"),
        ({"devices": 0}, "got 0"),
        ({"population_chunk": 0}, "population_chunk >= 1, candidates batched at a time, or 'auto', got 0"),
        ({"population_chunk": -4}, "got -4"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        chosen(Bowl(), 8, **options)


def test_a_generation_that_does_not_fit_the_budget_is_refused_with_its_need() -> None:
    search = Search(Bowl(dimension=1000), RandomSearch(1000), memory_budget=MIB, validation_tasks=1)
    with pytest.raises(ConfigurationError, match=r"memory_budget=1 MiB, .* needs \d+ MiB; raise the budget, or lower"):
        search.run(generations=1)
