"""Many small steps as one piece of machine code."""

from collections.abc import Callable
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata


def one_kernel(function: Callable[..., Any], *given: Any) -> Any:
    """Return ``function(*given)``, computed on a CPU by a single piece of machine code, loops and branches included.

    Otherwise each round of a loop is a sequence of calls, of 20 to 50 ns each, and each call is compiled alone: where
    a round computes less than a microsecond, this is several times as fast, and compiles in half the time. It is for
    arithmetic entry by entry and on scalars: matrix products are faster outside, where the compiler has kernels for
    them. Elsewhere than on a CPU, under ``vmap``, and for derivatives the function is compiled as usual.

    Args:
        function: from arrays to a pytree of arrays. A loop in it must not carry what it does not read: an operand
            without a use makes the compiler fail (XLA of jaxlib 0.10).
        given: pytrees of arrays.
    """
    if jax.default_backend() != "cpu":
        return function(*given)

    @jax.custom_batching.custom_vmap
    def alone(*given: Any) -> Any:
        # What is read is closed over, so that nothing else becomes an operand. The mark is put on the operation that
        # made the value: the call, which is then neither taken apart nor split.
        leaves, structure = jax.tree.flatten(jax.jit(lambda: function(*given))())
        marked = set_xla_metadata(leaves[0], xla_cpu_small_call="true", inlineable="false")
        return jax.tree.unflatten(structure, [marked, *leaves[1:]])

    @alone.def_vmap
    def batched(count: int, axes: list[Any], *given: Any) -> tuple[Any, Any]:
        places = jax.tree.map(lambda there: 0 if there else None, axes)
        values = jax.vmap(function, in_axes=tuple(places), axis_size=count)(*given)
        return values, jax.tree.map(lambda _: True, values)

    @jax.custom_jvp
    def plain(*given: Any) -> Any:
        return alone(*given)

    @plain.defjvp
    def pushed(primals: Any, tangents: Any) -> tuple[Any, Any]:
        return jax.jvp(function, primals, tangents)

    return jax.jit(plain)(*given)
