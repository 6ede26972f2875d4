"""Floating-point operations are counted as by hand."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from evometa.backend.flops import flops

A, B, V = jnp.zeros((3, 4)), jnp.zeros((4, 5)), jnp.zeros(4)
IMAGE, KERNEL = jnp.zeros((2, 8, 8, 3)), jnp.zeros((3, 3, 3, 16))


def convolution(image: Any, kernel: Any) -> Any:
    return jax.lax.conv_general_dilated(image, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def ten_times(x: Any) -> Any:
    return jax.lax.scan(lambda c, _: (A[:, :3] @ c, None), x, None, length=10)[0]


def branches(x: Any) -> Any:
    return jax.lax.cond(x[0, 0] > 0, lambda: x @ B, lambda: jnp.zeros((3, 5)))


def episode(x: Any) -> Any:
    def up(carry: Any) -> Any:
        return (carry[0] < 200) & (carry[1][0, 0] < 1.0)

    return jax.lax.while_loop(up, lambda carry: (carry[0] + 1, A[:, :3] @ carry[1]), (0, x))


def countdown(x: Any) -> Any:
    return jax.lax.while_loop(lambda c: c[0] > 0, lambda c: (c[0] - 1, A[:, :3] @ c[1]), (200, x))


def stepping(limit: Any, step: Any = 1, start: Any = 0) -> Callable[[Any], Any]:
    """Return a loop whose counter goes up by steps while it is below a limit and the first number is small."""

    def run(x: Any) -> Any:
        def up(carry: Any) -> Any:
            return (carry[0] < limit) & (carry[1][0, 0] < 1.0)

        return jax.lax.while_loop(up, lambda carry: (carry[0] + step, A[:, :3] @ carry[1]), (start, x))[1]

    return run


def flagged(x: Any) -> Any:
    def step(carry: Any) -> Any:
        count, x, _ = carry
        return count + 1, A[:, :3] @ x, (count + 1 >= 200) | (x[0, 0] > 1.0)

    return jax.lax.while_loop(lambda c: ~c[2], step, (0, x, False))


def guarded(x: Any) -> Any:
    """Also compare a value that is no counter with the largest integer."""

    def up(carry: Any) -> Any:
        return (carry[0] < 200) & (carry[2] < 2**31 - 1)

    return jax.lax.while_loop(up, lambda c: (c[0] + 1, A[:, :3] @ c[1], c[2] * 3), (0, x, jnp.int32(1)))


def nested(x: Any) -> Any:
    def step(carry: Any) -> Any:
        return carry[0] + 1, jax.lax.cond(carry[0] > 3, stepping(10), lambda x: x, ten_times(carry[1]))

    return jax.lax.while_loop(lambda carry: carry[0] < 10, step, (0, x))


def unknown(x: Any) -> Any:
    return jax.lax.while_loop(lambda c: True, lambda c: A[:, :3] @ c, x)


@pytest.mark.parametrize(
    ("function", "args", "expected"),
    [
        (lambda a, b: a @ b, (A, B), 2 * 3 * 4 * 5),
        (lambda v: v * v + v, (V,), 8),
        (jnp.sum, (A,), 3 * 4),  # a reduction counts what goes in
        (lambda a, b: jax.vmap(lambda row: row @ b)(a), (A, B), 2 * 3 * 4 * 5),
        (jax.jit(lambda a, b: jax.jit(jnp.matmul)(a, b)), (A, B), 2 * 3 * 4 * 5),
        (convolution, (IMAGE, KERNEL), 2 * (2 * 6 * 6 * 16) * (3 * 3 * 3)),
    ],
)
def test_exact_counts(function: Callable[..., Any], args: Any, expected: float) -> None:
    assert flops(function, *args) == expected


@pytest.mark.parametrize(
    ("function", "args", "expected"),
    [
        (ten_times, (jnp.zeros((3, 5)),), 10 * 2 * 3 * 3 * 5),
        (branches, (A,), 2 * 3 * 4 * 5),  # the dearest branch
        (unknown, (jnp.zeros((3, 5)),), 2 * 3 * 3 * 5),  # a loop of unknown length counts once
        (episode, (jnp.zeros((3, 5)),), 200 * 2 * 3 * 3 * 5),  # up to its limit
        (countdown, (jnp.zeros((3, 5)),), 200 * 2 * 3 * 3 * 5),
        (stepping(jnp.int32(200)), (jnp.zeros((3, 5)),), 200 * 2 * 3 * 3 * 5),  # a constant array
        (stepping(2000, 10), (jnp.zeros((3, 5)),), 200 * 2 * 3 * 3 * 5),
        (stepping(2.0, 0.01, 0.0), (jnp.zeros((3, 5)),), 200 * 2 * 3 * 3 * 5),  # time in seconds
        (stepping(1_000_200, start=1_000_000), (jnp.zeros((3, 5)),), 200 * 2 * 3 * 3 * 5),
        (lambda n, x: stepping(jnp.minimum(n, 200))(x), (4, jnp.zeros((3, 5))), 200 * 2 * 3 * 3 * 5),
        (lambda n, x: stepping(jnp.where(n > 3, 200, 100))(x), (4, jnp.zeros((3, 5))), 200 * 2 * 3 * 3 * 5),
        (lambda n, x: jax.lax.fori_loop(n, 200, lambda _, c: A[:, :3] @ c, x), (4, jnp.zeros((3, 5))), 200 * 90),
        (jax.vmap(lambda n, x: stepping(jnp.minimum(n, 200))(x)), (V, jnp.zeros((4, 3, 5))), 4 * 200 * 90),
        (jax.vmap(jax.vmap(stepping(200))), (jnp.zeros((2, 2, 3, 5)),), 4 * 200 * 90),
        (jax.jit(jax.checkpoint(stepping(200))), (jnp.zeros((3, 5)),), 200 * 90),
        (flagged, (jnp.zeros((3, 5)),), 200 * 90),
        (guarded, (jnp.zeros((3, 5)),), 200 * 90),
        (nested, (jnp.zeros((3, 5)),), 10 * (10 + 10) * 90),
        (jnp.linalg.cholesky, (jnp.zeros((90, 90)),), 90**3 / 3),
        (jax.grad(lambda a, b: jnp.sum(a @ b)), (A, B), 2 * 2 * 3 * 4 * 5),  # there and back
    ],
)
def test_approximate_counts(function: Callable[..., Any], args: Any, expected: float) -> None:
    assert expected <= flops(function, *args) <= 1.5 * expected + 20


def test_shapes_suffice_as_arguments() -> None:
    a, b = (jax.ShapeDtypeStruct((1000, 10_000), jnp.float32), jax.ShapeDtypeStruct((10_000, 100_000), jnp.float32))
    assert flops(jnp.matmul, a, b) == 2e12
