"""Many small steps as one piece of machine code."""

from collections.abc import Callable
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata


def one_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, compiled by a CPU as a single piece of machine code, loops and branches included.

    Otherwise each round of a loop is a sequence of calls, of 20 to 50 ns each, and each call is compiled alone: where
    a round computes less than a microsecond, this is several times as fast, and compiles in half the time. It is for
    arithmetic entry by entry and on scalars: matrix products are faster outside, where the compiler has kernels for
    them. Elsewhere than on a CPU the function is as it was.

    Args:
        function: from arrays to arrays.
    """

    def inside(*given: Any) -> Any:
        with set_xla_metadata(xla_cpu_small_call=None, inlineable=None):
            return function(*given)

    def call(*given: Any) -> Any:
        if jax.default_backend() != "cpu":
            return function(*given)
        with set_xla_metadata(xla_cpu_small_call="true", inlineable="false"):
            return jax.jit(inside)(*given)

    return call
