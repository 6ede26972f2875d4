"""conv2d equals lax.conv_general_dilated, including its gradients and batches."""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError, conv2d

Padding = Literal["SAME", "VALID"]
# images, kernel, stride: a kernel with fewer rows than the stride leaves pixels unread, 28 → 14 is the usual net.
CASES = [
    ((2, 28, 28, 1), (3, 3, 1, 4), 2),
    ((2, 7, 9, 3), (3, 2, 3, 2), 1),
    ((1, 8, 5, 2), (2, 4, 2, 3), 3),
    ((1, 9, 9, 2), (1, 1, 2, 3), 3),
    ((1, 5, 6, 1), (5, 5, 1, 1), 2),
]


def reference(images: jax.Array, kernel: jax.Array, stride: int, padding: Padding) -> jax.Array:
    return jax.lax.conv_general_dilated(
        images, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def draw(*shape: int) -> jax.Array:
    return jax.random.normal(jax.random.key(sum(shape)), shape)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("images", "kernel", "stride"), CASES)
def test_equals_lax(images: tuple[int, ...], kernel: tuple[int, ...], stride: int, padding: Padding) -> None:
    x, w = draw(*images), draw(*kernel)
    cotangent = draw(*jax.eval_shape(lambda: reference(x, w, stride, padding)).shape)

    @jax.jit
    def both(x: jax.Array, w: jax.Array) -> list[tuple[jax.Array, ...]]:
        results = []
        for convolve in (
            lambda x, w: conv2d(x, w, stride=stride, padding=padding),
            functools.partial(reference, stride=stride, padding=padding),
        ):
            value, back = jax.vjp(convolve, x, w)
            results.append((value, *back(cotangent)))
        return results

    for found, expected in zip(*both(x, w), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_batch_of_kernels_and_images() -> None:
    x, w = draw(3, 2, 6, 6, 2), draw(3, 3, 3, 2, 4)
    found = jax.vmap(lambda x, w: conv2d(x, w, stride=2))(x, w)
    expected = jnp.stack([reference(x[i], w[i], 2, "SAME") for i in range(3)])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_accelerators_use_their_own_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    def convolutions(platform: str) -> int:
        monkeypatch.setattr(jax, "default_backend", lambda: platform)
        program = jax.make_jaxpr(lambda x, w: conv2d(x, w))(draw(1, 6, 6, 2), draw(3, 3, 2, 4))
        return str(program).count("conv_general_dilated")

    assert [convolutions("cpu"), convolutions("gpu")] == [0, 1]


@pytest.mark.parametrize(
    ("images", "kernel", "options", "words"),
    [
        ((1, 5, 5, 2), (3, 3, 3, 4), {}, "the same C"),
        ((5, 5, 2), (3, 3, 2, 4), {}, r"images \[B, H, W, C\]"),
        ((1, 5, 5, 2), (3, 3, 2, 4), {"stride": 0}, "stride >= 1"),
        ((1, 5, 5, 2), (3, 3, 2, 4), {"padding": "full"}, "'SAME' or 'VALID'"),
        ((1, 5, 5, 2), (6, 6, 2, 4), {"padding": "VALID"}, "use padding='SAME'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    images: tuple[int, ...], kernel: tuple[int, ...], options: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        conv2d(draw(*images), draw(*kernel), **options)  # type: ignore[arg-type]
