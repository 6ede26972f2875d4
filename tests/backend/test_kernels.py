import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from evometa.backend import kernels
from evometa.backend.chunks import mesh_of
from evometa.backend.kernels import one_kernel, running_on, single_kernels

DEVICES = tuple(jax.local_devices())

on_several_devices = pytest.mark.skipif(not kernels.SEVERAL_DEVICES, reason="JAX 0.7 puts no kernel on such devices")


def collatz(start: jax.Array) -> dict[str, jax.Array]:
    """Count the steps to 1, with a loop and a branch."""

    def step(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        value, count = state
        return jax.lax.cond(value % 2 == 0, lambda v: v // 2, lambda v: 3 * v + 1, value), count + 1

    value, count = jax.lax.while_loop(lambda state: state[0] != 1, step, (start, jnp.int32(0)))
    return {"value": value, "count": count}


COUNTS = {27: 111, 97: 118, 6: 8, 1: 0}  # sequence A006577 of the OEIS


def test_the_installed_jax_compiles_a_marked_call_to_a_single_kernel() -> None:
    # The one promise of these tests that a new JAX may break without a wrong result: expressions would only be slow.
    assert single_kernels(), f"JAX {jax.__version__} lost it: find what the mark is called now, or what replaces it"


def call_is_inlined() -> bool:
    return False


def mark_is_gone() -> bool:
    raise ImportError("cannot import name 'set_xla_metadata'")


@on_several_devices
@pytest.mark.parametrize(
    ("compiled", "reason"),
    [
        (call_is_inlined, "its call was taken apart"),
        (mark_is_gone, "ImportError: cannot import name 'set_xla_metadata'"),
    ],
)
def test_where_it_is_lost_functions_run_as_usual_and_one_warning_says_so(
    monkeypatch: pytest.MonkeyPatch, compiled: Callable[[], bool], reason: str
) -> None:
    monkeypatch.setattr(kernels, "_compiles_to_one_call", compiled)
    monkeypatch.setattr(kernels, "single_kernels", functools.cache(single_kernels.__wrapped__))
    with (
        running_on(mesh_of(DEVICES[:1])),
        pytest.warns(UserWarning, match=rf"{reason}.* several times more slowly") as told,
    ):
        counts = [jax.jit(lambda start: one_kernel(collatz, start)).lower(jnp.int32(start)) for start in COUNTS]
    assert len(told) == 1
    assert "xla_cpu_small_call" not in counts[0].as_text()
    assert int(counts[0].compile()(jnp.int32(27))["count"]) == COUNTS[27]


def test_a_kernel_is_a_call_of_its_own_and_computes_the_same() -> None:
    everywhere = {"in_specs": PartitionSpec(), "out_specs": PartitionSpec(), "check_vma": False}
    kernel = jax.jit(jax.shard_map(functools.partial(one_kernel, collatz), mesh=mesh_of(DEVICES), **everywhere))
    for start, count in COUNTS.items():
        assert jax.tree.map(int, kernel(jnp.int32(start))) == {"value": 1, "count": count}
    (marked,) = [line for line in kernel.lower(jnp.int32(27)).as_text().splitlines() if "xla_cpu_small_call" in line]
    assert "call @" in marked
    # The compiler kept it: one call, and all loops inside.
    entry = kernel.lower(jnp.int32(27)).compile().as_text().split("ENTRY")[1]
    assert " call(" in entry
    assert " while(" not in entry


def test_a_program_for_several_devices_has_no_kernels_outside_the_program_of_each() -> None:
    assert "xla_cpu_small_call" not in jax.jit(lambda start: one_kernel(collatz, start)).lower(jnp.int32(27)).as_text()
    mesh = mesh_of(DEVICES)
    split = NamedSharding(mesh, PartitionSpec(mesh.axis_names[0]))

    @jax.jit
    def counts(starts: jax.Array) -> jax.Array:
        starts = jax.lax.with_sharding_constraint(starts, split)
        return one_kernel(lambda starts: jax.lax.map(lambda start: collatz(start)["count"], starts), starts)

    assert counts(jnp.array(list(COUNTS), jnp.int32)).tolist() == list(COUNTS.values())


def test_a_kernel_inside_loops_reads_what_it_needs_and_no_more() -> None:
    def total(starts: jax.Array, unread: jax.Array) -> jax.Array:
        def add(sum_: jax.Array, item: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            start, other = item
            return sum_ + one_kernel(lambda start, other: collatz(start)["count"], start, other * sum_), None

        return jax.lax.scan(add, jnp.int32(0), (starts, unread))[0]

    starts = jnp.array(list(COUNTS), jnp.int32)
    assert int(jax.jit(total)(starts, jnp.ones((4, 5), jnp.int32))) == sum(COUNTS.values())


def test_a_batch_of_kernels_is_one_of_functions() -> None:
    starts = jnp.array([list(COUNTS)] * 2, jnp.int32)
    batched = jax.jit(jax.vmap(jax.vmap(lambda start: one_kernel(collatz, start))))
    np.testing.assert_array_equal(batched(starts)["count"], [list(COUNTS.values())] * 2)
    assert "xla_cpu_small_call" not in batched.lower(starts).as_text()


def test_what_does_not_fit_is_compiled_as_usual() -> None:
    kernel = jax.jit(lambda values: one_kernel(lambda v: jnp.sort(collatz(jnp.int32(6))["count"] * v), values))
    assert kernel(jnp.arange(3)[::-1]).tolist() == [0, 8, 16]
    assert "xla_cpu_small_call" not in kernel.lower(jnp.arange(3)).as_text()


@on_several_devices
@pytest.mark.parametrize("count", [1, 2])
def test_a_kernel_on_one_of_several_devices_or_on_all(count: int) -> None:
    with running_on(mesh_of(DEVICES[:count])):
        kernel = jax.jit(lambda start: one_kernel(collatz, start)).lower(jnp.int32(27))
    assert "xla_cpu_small_call" in kernel.as_text()
    assert jax.tree.map(int, kernel.compile()(jnp.int32(27))) == {"value": 1, "count": 111}
