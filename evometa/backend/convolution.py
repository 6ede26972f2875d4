"""Convolution that is fast for a population of small networks.

On a CPU, XLA computes a batch of convolutions with *different* kernels, as a population of networks needs it, one after
the other. Here they are matrix products: the windows of the images as rows, times the kernel's weights as columns. A
population is then one batched matrix product, and so are its gradients. On accelerators XLA's convolution is used.
"""

from typing import Literal

import jax
from jax import lax
from jax import numpy as jnp

from evometa.errors import ConfigurationError


def conv2d(
    images: jax.Array, kernel: jax.Array, *, stride: int = 1, padding: Literal["SAME", "VALID"] = "SAME"
) -> jax.Array:
    """Convolve images with a kernel, equal to ``lax.conv_general_dilated`` for NHWC images up to rounding.

    On a CPU it multiplies shifted slices with a matrix, elsewhere it is XLA's convolution. Both can be batched
    (``vmap``) and differentiated any number of times.

    Args:
        images: ``[B, H, W, C]``, floats.
        kernel: ``[KH, KW, C, O]``, of the same type.
        stride: rows and columns from one window to the next, at least 1.
        padding: "SAME" pads with zeros so that the result has ``ceil(H / stride)`` rows; "VALID" does not pad.

    Returns:
        ``[B, H', W', O]``, of the type of its arguments.

    Raises:
        ConfigurationError: shapes, types, stride or padding that do not fit together.
    """
    if images.ndim != 4 or kernel.ndim != 4 or images.shape[3] != kernel.shape[2] or images.dtype != kernel.dtype:
        raise ConfigurationError(
            "conv2d expects images [B, H, W, C] and a kernel [KH, KW, C, O] with the same C and the same type, "
            f"got {images.dtype}{list(images.shape)} and {kernel.dtype}{list(kernel.shape)}."
        )
    if stride < 1 or padding not in ("SAME", "VALID"):
        raise ConfigurationError(
            f"conv2d expects stride >= 1 and padding 'SAME' or 'VALID', got stride={stride} and padding={padding!r}."
        )
    if padding == "VALID" and (images.shape[1] < kernel.shape[0] or images.shape[2] < kernel.shape[1]):
        raise ConfigurationError(
            f"conv2d expects images at least as large as the kernel where padding='VALID', got {images.shape[1:3]} "
            f"pixels and a kernel of {kernel.shape[:2]}; use padding='SAME'."
        )
    if jax.default_backend() == "cpu":
        return _shifted_slices(images, kernel, stride, padding)
    return lax.conv_general_dilated(
        images, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _shifted_slices(images: jax.Array, kernel: jax.Array, stride: int, padding: str) -> jax.Array:
    batch, height, width, channels = images.shape
    kernel_height, kernel_width, _, outputs = kernel.shape
    pads = lax.padtype_to_pads((height, width), (kernel_height, kernel_width), (stride, stride), padding)
    (top, bottom), (left, right) = pads
    rows = (top + height + bottom - kernel_height) // stride + 1
    columns = (left + width + right - kernel_width) // stride + 1
    # Rows and columns are split into (position, phase), so that each shift is a slice without stride: it is read
    # contiguously, and its gradient is a pad. The images are first cut or padded to the positions that windows cover.
    down, across = rows + (kernel_height - 1) // stride, columns + (kernel_width - 1) // stride
    config = ((0, 0, 0), (top, down * stride - height - top, 0), (left, across * stride - width - left, 0), (0, 0, 0))
    grid = lax.pad(images, jnp.zeros((), images.dtype), config)
    grid = grid.reshape(batch, down, stride, across, stride, channels)
    shifts = []
    for i in range(kernel_height):
        for j in range(kernel_width):
            (y, y_phase), (x, x_phase) = divmod(i, stride), divmod(j, stride)
            shifts.append(grid[:, y : y + rows, y_phase, x : x + columns, x_phase])
    windows = jnp.concatenate(shifts, axis=-1).reshape(batch * rows * columns, -1)
    return (windows @ kernel.reshape(-1, outputs)).reshape(batch, rows, columns, outputs)
