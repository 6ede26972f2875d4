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
        function: closes over the arrays that it reads, and returns a pytree of arrays. What it does not read must not
            go in: an operand without a use breaks the compiler (seen with XLA of jaxlib 0.10.2).
    """
    if jax.default_backend() != "cpu":
        return function()

    def inside() -> T:
        with set_xla_metadata(xla_cpu_small_call=None, inlineable=None):
            return function()

    with set_xla_metadata(xla_cpu_small_call="true", inlineable="false"):
        return jax.jit(inside)()
