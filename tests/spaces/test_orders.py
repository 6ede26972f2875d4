"""Permutations and subsets, alone and beside other parts of a Dict."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, Categorical, ConfigurationError, Dict, Permutation, Subset

KEYS = jax.random.split(jax.random.key(0), 4000)


def omegas(space: Any, genotypes: Any) -> np.ndarray:
    return np.asarray(jax.jit(jax.vmap(space.decode))(genotypes))


def assert_evenly(counts: Counter[Any], values: Any) -> None:
    values = list(values)
    assert set(counts) == set(values)
    share, total = 1 / len(values), sum(counts.values())
    deviation = math.sqrt(total * share * (1 - share))
    assert all(abs(counts[value] - total * share) < 5 * deviation for value in values), counts


@pytest.mark.parametrize(
    ("space", "all_omegas"),
    [
        (Permutation(4), list(itertools.permutations(range(4)))),
        (Subset(5, 2), list(itertools.combinations(range(5), 2))),
    ],
)
def test_draws_are_valid_and_equally_likely_and_repair_leaves_them_alone(space: Any, all_omegas: Any) -> None:
    drawn = jax.jit(jax.vmap(space.sample))(KEYS)
    assert_evenly(Counter(map(tuple, omegas(space, drawn).tolist())), all_omegas)
    assert jax.jit(jax.vmap(space.repair))(drawn).tobytes() == drawn.tobytes()
    encoded = np.asarray([space.encode(omega) for omega in all_omegas], np.float32)
    assert jax.jit(jax.vmap(space.repair))(encoded).tobytes() == encoded.tobytes()
    assert list(map(tuple, omegas(space, encoded).tolist())) == all_omegas


def test_any_real_numbers_are_keys() -> None:
    keys = np.asarray([0.3, -7.0, 1e9, 0.2, 0.1], np.float32)
    for space, expected in ((Permutation(5), [1, 4, 3, 0, 2]), (Subset(5, 2), [0, 2])):
        assert jax.jit(lambda keys, space=space: space.decode(space.repair(keys)))(keys).tolist() == expected


def neighbours(order: tuple[int, ...]) -> set[tuple[int, ...]]:
    """Return all orders that one reversal, swap or move makes of an order."""
    found, n = set(), len(order)
    for i, j in itertools.permutations(range(n), 2):
        low, high = min(i, j), max(i, j)
        found.add(order[:low] + order[low : high + 1][::-1] + order[high + 1 :])
        swapped, moved = list(order), list(order)
        swapped[i], swapped[j] = swapped[j], swapped[i]
        moved.insert(j, moved.pop(i))
        found |= {tuple(swapped), tuple(moved)}
    return found


def test_a_mutation_is_a_reversal_a_swap_or_a_move() -> None:
    space, order = Permutation(5), (3, 0, 4, 1, 2)
    parent = jnp.asarray(space.encode(order), jnp.float32)
    children = omegas(space, jax.jit(jax.vmap(lambda key: space.mutate(key, parent)))(KEYS))
    assert set(map(tuple, children.tolist())) == neighbours(order)


def order_crossover(first: list[int], second: list[int], begin: int, end: int) -> tuple[int, ...]:
    """Return Davis's child, by its description."""
    n, kept = len(first), first[begin:end]
    rest = [item for item in second[end:] + second[:end] if item not in kept]
    child: list[int] = [-1] * n
    child[begin:end] = kept
    for place, item in zip([*range(end, n), *range(begin)], rest, strict=True):
        child[place] = item
    return tuple(child)


def test_a_child_of_two_orders_is_that_of_order_crossover() -> None:
    space, first, second = Permutation(5), [0, 1, 2, 3, 4], [3, 1, 4, 0, 2]
    parents = [jnp.asarray(space.encode(order), jnp.float32) for order in (first, second)]
    children = omegas(space, jax.jit(jax.vmap(lambda key: space.crossover(key, *parents)))(KEYS))
    ends = itertools.combinations_with_replacement(range(6), 2)
    assert set(map(tuple, children.tolist())) == {order_crossover(first, second, *pair) for pair in ends}


def test_subsets_exchange_one_item_and_inherit_what_both_parents_have() -> None:
    space = Subset(6, 3)
    first, second = (jnp.asarray(space.encode(items), jnp.float32) for items in ([0, 1, 2], [0, 4, 5]))
    mutated = omegas(space, jax.jit(jax.vmap(lambda key: space.mutate(key, first)))(KEYS))
    expected = {tuple(sorted({0, 1, 2} - {out} | {into})) for out in (0, 1, 2) for into in (3, 4, 5)}
    assert_evenly(Counter(map(tuple, mutated.tolist())), expected)
    children = omegas(space, jax.jit(jax.vmap(lambda key: space.crossover(key, first, second)))(KEYS))
    assert_evenly(
        Counter(map(tuple, children.tolist())), [(0, *two) for two in itertools.combinations((1, 2, 4, 5), 2)]
    )


def test_parts_of_a_dict_vary_by_their_own_operators() -> None:
    space = Dict({"x": Box((2,), 0.0, 1.0), "order": Permutation(4), "kind": Categorical(3), "some": Subset(4, 2)})
    assert (space.size, space.continuous, space.has_real_genotypes) == (11, False, False)
    sampled = jax.jit(jax.vmap(space.sample))(KEYS[:400])
    mutated = jax.jit(jax.vmap(lambda key, one: space.mutate(key, one, 0.0)))(KEYS[:400], sampled)
    crossed = jax.jit(jax.vmap(space.crossover))(KEYS[:400], sampled, mutated[::-1])
    repaired, decode = jax.jit(jax.vmap(space.repair)), jax.jit(jax.vmap(space.decode))
    for genotypes in (sampled, mutated, crossed):
        assert repaired(genotypes).tobytes() == genotypes.tobytes()
        omega = decode(genotypes)
        assert (np.sort(omega["order"], axis=1) == np.arange(4)).all()
    # With rate 0 one part changes, a block with as many chances as it has coordinates.
    sampled, mutated = np.asarray(sampled), np.asarray(mutated)
    changed = np.stack([(sampled != mutated)[:, part].any(axis=1) for part in np.split(np.arange(11), [2, 6, 7])], 1)
    assert (changed.sum(axis=1) == 1).all()
    np.testing.assert_allclose(changed.mean(axis=0), np.array([2, 4, 1, 4]) / 11, atol=5 * 0.5 / 20)


def test_orders_and_subsets_begin_where_they_are_told_to() -> None:
    space = Dict({"order": Permutation(3, start=[2, 0, 1]), "some": Subset(4, 2, start=[3, 1])})
    omega = jax.jit(lambda: space.decode(space.start(jax.random.key(0))))()
    assert (omega["order"].tolist(), omega["some"].tolist()) == ([2, 0, 1], [1, 3])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Permutation(1), "to be a whole number from 2 to 1,048,576, got 1"),
        (lambda: Permutation(3, start=[0, 1, 1]), "each of the items 0 to 2 once, got [0, 1, 1]"),
        (lambda: Subset(3, 3), "fewer items than there are, got 3 of 3"),
        (lambda: Subset(3, 1.5), "Subset expects chosen"),  # type: ignore[arg-type]
        (lambda: Subset(3, 0), "Subset expects chosen (k, from 1 to n - 1) to be a whole number of at least 1, got 0"),
        (lambda: Subset(3, 2, start=[0, 3]), "2 different items of 0 to 2, got [0, 3]"),
        (lambda: Subset(3, 2, start=[1, 1]), "2 different items"),
    ],
)
def test_bad_input_is_refused(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        make()
