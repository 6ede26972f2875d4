"""Many small steps as one piece of machine code."""

from collections.abc import Callable
from typing import TypeVar

import jax
from jax.experimental.xla_metadata import set_xla_metadata

T = TypeVar("T")


def one_kernel(function: Callable[[], T]) -> T:
    """Return the value of a function, computed on a CPU by a single piece of machine code, loops and branches included.

    Otherwise each round of a loop is a sequence of calls, of 20 to 50 ns each, and each call is compiled alone: where
    a round computes less than a microsecond, this is several times as fast, and compiles in half the time. It is for
    arithmetic entry by entry and on scalars: matrix products are faster outside, where the compiler has kernels for
    them. Elsewhere than on a CPU the function is simply called.

    Args:
        function: closes over the arrays that it reads, and returns a pytree of arrays. It must read all it is handed:
            an operand without a use makes the compiler fail (XLA of jaxlib 0.10).
    """
    if jax.default_backend() != "cpu":
        return function()

    def call() -> T:
        # The mark is put on the operation that made the value: the call, which is then neither taken apart nor split.
        leaves, structure = jax.tree.flatten(jax.jit(function)())
        marked: jax.Array = set_xla_metadata(leaves[0], xla_cpu_small_call="true", inlineable="false")
        result: T = jax.tree.unflatten(structure, [marked, *leaves[1:]])
        return result

    return jax.jit(call)()
