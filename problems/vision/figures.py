"""Line figures that are seen turned, scaled and bent, with a marked point that moves along with them."""

import jax
import jax.numpy as jnp

from evometa.types import Key

STROKES = 3
RADIUS = 8.0
"""Distance of a figure's furthest control point from its centre in pixels, where it is neither scaled nor bent."""
POINTS = 24
"""At which a stroke is drawn."""


def figure(key: Key) -> jax.Array:
    """Draw control points of cubic Bézier curves, ``[STROKES, 4, 2]``, centred, the furthest at 1; float32."""
    key_strokes, key_places = jax.random.split(key)
    strokes = jnp.cumsum(0.5 * jax.random.normal(key_strokes, (STROKES, 4, 2), jnp.float32), axis=1)
    strokes -= jnp.mean(strokes, axis=1, keepdims=True)
    controls = strokes + 0.6 * jax.random.normal(key_places, (STROKES, 1, 2), jnp.float32)
    controls -= jnp.mean(controls, axis=(0, 1), keepdims=True)
    return controls / jnp.max(jnp.linalg.norm(controls, axis=-1))


def seen(key: Key, controls: jax.Array, *, turn: float, scale: float, bend: float, size: int) -> jax.Array:
    """Return the control points as they lie in an image, in rows and columns of pixels.

    Args:
        key: random key.
        controls: ``[STROKES, 4, 2]``, of a figure.
        turn: greatest angle by which it is turned, in radians.
        scale: greatest logarithm of the factor by which it is scaled.
        bend: greatest curvature, relative to its radius.
        size: rows and columns of the image; the figure's centre is within 7 % of it from the middle.
    """
    keys = jax.random.split(key, 5)
    angle, along, curvature, log_factor = (
        jax.random.uniform(k, (), jnp.float32, -most, most)
        for k, most in zip(keys, (turn, jnp.pi, bend, scale), strict=False)
    )
    axis = jnp.stack([jnp.cos(along), jnp.sin(along)])
    bent = controls + curvature * ((controls @ axis) ** 2 - 0.5)[..., None] * jnp.stack([-axis[1], axis[0]])[None, None]
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    turned = bent @ jnp.array([[cosine, sine], [-sine, cosine]])
    middle = (size - 1) / 2 + jax.random.uniform(keys[4], (2,), jnp.float32, -0.07 * size, 0.07 * size)
    return middle[None, None] + RADIUS * jnp.exp(log_factor) * turned


def ink(controls: jax.Array, size: int, pen: float = 0.8) -> jax.Array:
    """Return the image ``[size, size]``, from 0 (paper) to 1 (ink), of strokes ``[STROKES, 4, 2]`` in pixels."""
    t = jnp.linspace(0, 1, POINTS, dtype=jnp.float32)
    bezier = jnp.stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    dots = jnp.einsum("skx,kp->spx", controls, bezier).reshape(-1, 2)
    # A dot is the outer product of a row and a column, so the sum over all dots is a matrix product.
    rows, columns = (jnp.exp(-(((jnp.arange(size)[None] - dots[:, i, None]) / pen) ** 2)) for i in range(2))
    return 1 - jnp.exp(-1.5 * rows.T @ columns)
