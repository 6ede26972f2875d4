"""Spreading a population over devices and walking it in chunks: candidates × tasks × inner steps in one program.

The population is split over devices, each device walks its share in *chunks* (``lax.map``), a chunk's candidates and
all their tasks are batched (``vmap``), and inner steps are a ``scan``. A small chunk keeps its working set in a
core's cache, which on a CPU is worth several times the speed of batching the whole population at once.

**What is guaranteed.** Tasks and keys depend on (seed, generation) alone. A chunk is always the same compiled body
over exactly ``chunk`` candidates (the last one is padded, and the padding dropped), so with the same chunk size a
candidate's fitness is equal to the last bit whatever the number of devices and the population around it. Another chunk
size may choose other matrix kernels: the same draws and the same mathematics, equal to rounding.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

MEMBERS = "members"
"""The axis of a mesh of devices: each holds consecutive members of the population."""


def map_chunks(
    function: Callable[[Any, Any], Any], shared: Any, items: Any, *, chunk: int, devices: tuple[jax.Device, ...]
) -> Any:
    """Return ``function(shared, item)`` for every item, in chunks, spread over devices.

    Args:
        function: from what all items share and one item to a pytree of arrays.
        shared: a pytree every device gets whole.
        items: a pytree whose leaves have the same leading axis ``N``.
        chunk: items batched at a time.
        devices: where to run; the items of each are consecutive.

    Returns:
        A pytree with leading axis ``N``.
    """

    def walk(shared: Any, items: Any) -> Any:
        one = functools.partial(function, shared)
        if chunk == 1:
            return _loop(one, items)
        blocks = jax.tree.map(lambda leaf: leaf.reshape(-1, chunk, *leaf.shape[1:]), items)
        results = _loop(jax.vmap(one), blocks)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), results)

    return spread(walk, shared, items, devices=devices, multiple=chunk)


def spread(
    walk: Callable[[Any, Any], Any], shared: Any, items: Any, *, devices: tuple[jax.Device, ...], multiple: int = 1
) -> Any:
    """Return ``walk(shared, share)`` of each device's share of the items, as one.

    Args:
        walk: from what all items share and consecutive items to a pytree of arrays with the items' leading axis.
        shared: a pytree every device gets whole.
        items: a pytree whose leaves have the same leading axis ``N``.
        devices: where to run.
        multiple: what the number of items on each device is a multiple of; padded, and the padding dropped.

    Returns:
        A pytree with leading axis ``N``.
    """
    count = jax.tree.leaves(items)[0].shape[0]
    padding = -count % (len(devices) * multiple)
    if padding:
        items = jax.tree.map(
            lambda leaf: jnp.concatenate([leaf, jnp.broadcast_to(leaf[:1], (padding, *leaf.shape[1:]))]), items
        )
    if len(devices) > 1:
        split = PartitionSpec(MEMBERS)
        mesh = mesh_of(devices)
        walk = jax.shard_map(walk, mesh=mesh, in_specs=(PartitionSpec(), split), out_specs=split, check_vma=False)
    results = on_every_device(walk(shared, items), devices)
    return jax.tree.map(lambda leaf: leaf[:count], results)


def _loop(function: Callable[[Any], Any], blocks: Any) -> Any:
    """Return the function of each block, computed in a loop that the compiler cannot dissolve.

    A loop of a single round would be fused with what surrounds it, and its arithmetic rounded in another way. So the
    number of rounds is hidden from the compiler, and a single block gets a second one that no round takes.
    """
    function = jax.jit(function, inline=True)  # traced once, for the shapes of its results and in the loop
    count = jax.tree.leaves(blocks)[0].shape[0]
    if count == 1:
        blocks = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), blocks)

    def block(number: int | jax.Array) -> Any:
        return function(jax.tree.map(lambda leaf: leaf[number], blocks))

    def one(number: jax.Array, results: Any) -> Any:
        return jax.tree.map(lambda all_, new: all_.at[number].set(new), results, block(number))

    empty = jax.tree.map(lambda s: jnp.zeros((count, *s.shape), s.dtype), jax.eval_shape(lambda: block(0)))
    return jax.lax.fori_loop(0, jax.lax.optimization_barrier(jnp.int32(count)), one, empty)


def mesh_of(devices: tuple[jax.Device, ...]) -> Mesh:
    """Return the mesh of several devices, its one axis named ``MEMBERS``."""
    return jax.make_mesh((len(devices),), (MEMBERS,), axis_types=(AxisType.Auto,), devices=devices)


def on_every_device(tree: Any, devices: tuple[jax.Device, ...]) -> Any:
    """Give every device the whole of each array, computed by then.

    What is computed from it is then the same program whatever the number of devices: sums have one order, and the
    compiler cannot fuse them into what came before in one way here and in another there.
    """
    if len(devices) > 1:
        tree = jax.lax.with_sharding_constraint(tree, NamedSharding(mesh_of(devices), PartitionSpec()))
    return jax.lax.optimization_barrier(tree)
