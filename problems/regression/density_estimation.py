"""Density estimation from 20 points: a normalising flow that adapts from learned initial weights.

Branch of meta-learning: learned initialisations and step sizes, density estimation. Twenty points say little of a
curved density; a flow that has seen many of its kind needs few steps of gradient descent.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.inner_training import begin, train
from evometa.problem import InnerTraining
from evometa.problems.shared.learned_steps import descend
from evometa.settings import Count, Items, Positive
from evometa.spaces import Dict, Like
from evometa.types import Key, Omega, Scalar

GRID = 80
"""Rows and columns of a picture of a density."""


def arc(key: Key, count: int) -> jax.Array:
    """Draw points ``[count, 2]`` of a part of a ring, from a quarter to the whole."""
    keys = jax.random.split(key, 3)
    half = jax.random.uniform(keys[0], (), jnp.float32, math.pi / 4, math.pi)
    angle = half * jax.random.uniform(keys[1], (count,), jnp.float32, -1, 1)
    radius = 1 + 0.1 * jax.random.normal(keys[2], (count,), jnp.float32)
    return radius[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)


def wave(key: Key, count: int) -> jax.Array:
    """Draw points ``[count, 2]`` of a band along a sine wave, from half a period to one and a half."""
    keys = jax.random.split(key, 4)
    half = jax.random.uniform(keys[0], (), jnp.float32, math.pi / 2, 1.5 * math.pi)
    phase = jax.random.uniform(keys[1], (), jnp.float32, 0, 2 * math.pi)
    along = jax.random.uniform(keys[2], (count,), jnp.float32, -1, 1)
    across = 0.6 * jnp.sin(half * along + phase) + 0.1 * jax.random.normal(keys[3], (count,), jnp.float32)
    return jnp.stack([1.5 * along, across], axis=1)


def spiral(key: Key, count: int) -> jax.Array:
    """Draw points ``[count, 2]`` of a spiral of one turn."""
    keys = jax.random.split(key, 2)
    part = jnp.sqrt(jax.random.uniform(keys[0], (count,), jnp.float32, 0.04, 1))
    line = 1.5 * part[:, None] * jnp.stack([jnp.cos(2 * math.pi * part), jnp.sin(2 * math.pi * part)], axis=1)
    return line + 0.1 * jax.random.normal(keys[1], (count, 2), jnp.float32)


Shape = Literal["arc", "wave", "spiral"]
SHAPES: dict[Shape, Callable[[Key, int], jax.Array]] = {"arc": arc, "wave": wave, "spiral": spiral}
"""Each kind of density: a function from a key and N to points ``[N, 2]``."""


def principal(points: jax.Array) -> tuple[jax.Array, jax.Array, Scalar]:
    """Return the middle ``[2]``, the principal axes ``[2, 2]`` (columns) and the standard deviation of points.

    The axis of more variance comes first; along each axis, the longer tail lies on the positive side.
    """
    middle = jnp.mean(points, axis=0)
    centred = points - middle[None]
    covariance = centred.T @ centred / len(points)
    angle = jnp.arctan2(2 * covariance[0, 1], covariance[0, 0] - covariance[1, 1]) / 2
    axes = jnp.stack([jnp.cos(angle), -jnp.sin(angle), jnp.sin(angle), jnp.cos(angle)]).reshape(2, 2)
    tails = jnp.sum((centred @ axes) ** 3, axis=0)
    return middle, axes * jnp.where(tails < 0, -1, 1)[None], jnp.sqrt(jnp.trace(covariance) / 2) + 1e-3


class Sample(NamedTuple):
    """A task: points drawn from one density; float32."""

    support: jax.Array
    """``[shots, 2]``, the points that the learner adapts to."""
    query: jax.Array
    """``[queries, 2]``, the points whose likelihood counts."""


@dataclasses.dataclass(frozen=True)
class DensityEstimation(InnerTraining):
    """Estimate a curved density in the plane from 20 points by a small normalising flow with learned initial weights.

    A flow of affine coupling layers (Dinh et al. 2017) maps points, centred, turned to the support points' principal
    axes and scaled by their standard deviation, to a standard normal; each layer scales and shifts one coordinate by
    what a small tanh network computes from the other. ω holds the initial weights of all layers, and the logarithm of a
    step size for each weight; the inner loop takes steps of gradient descent on the negative log likelihood of the
    support points. The fitness, to be minimised, is the negative log likelihood of a query point in nats. Densities are
    bands along arcs and waves, turned by a random angle, scaled and moved.

    Papers: Finn, Abbeel and Levine 2017 for learned initialisations; Dinh, Sohl-Dickstein and Bengio, "Density
    estimation using Real NVP", ICLR 2017.

    Result (``benchmarks/density_estimation.py``, 60 seconds of one core, 100 held-out densities, smaller is better):
    1.14, 1.15 and 1.15 ± 0.08 nats by the gradient with 3 seeds; 1.38, 1.39 and 1.45 ± 0.09 by OpenAI-ES. A kernel
    density estimate whose bandwidth is cross-validated for each density has 1.35 ± 0.08, mixtures of Gaussians,
    cross-validated too, 1.50 ± 0.09, and the flow trained from random weights 1.83 ± 0.10 at its best. In pairs, the
    gradient is 0.21 ± 0.03 below the kernel density estimate, and evolution 0.02 to 0.10 ± 0.03 above.

    Args:
        shapes: kinds of densities, drawn with equal chance: arc, wave, spiral.
        shots: K, points that the flow adapts to.
        queries: query points of each density.
        test_queries: query points of held-out densities.
        layers: coupling layers of the flow.
        hidden: units of the network of each layer.
        learning_rate: step size at which the search for step sizes starts.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="density estimation",
        omega="initial weights and step sizes of a flow",
        learner="normalising flow, gradient descent",
        paper="Finn et al. 2017; Dinh et al. 2017",
        recipe=Recipe("Gradient", {"learning_rate": 0.003}, {"seconds": 90}),
    )

    num_tasks: int = 8
    inner_steps: int = 10
    shapes: Annotated[tuple[Shape, ...], Items()] = ("arc", "wave")
    shots: Count = 20
    queries: Count = 50
    test_queries: Count = 200
    layers: Count = 4
    hidden: Count = 16
    learning_rate: Positive = 0.03

    @property
    def space(self) -> Dict:
        """Initial weights of all layers, and the logarithm of a step size for each."""
        rates = {
            name: np.full(shape, math.log(self.learning_rate), np.float32) for name, shape in self._shapes().items()
        }
        return Dict({"weights": Like(self._draw), "log_rates": Like(rates)})

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        layers, hidden = self.layers, self.hidden
        return {"in": (layers, hidden), "bias": (layers, hidden), "out": (layers, hidden, 2), "out_bias": (layers, 2)}

    def _draw(self, key: Key) -> dict[str, jax.Array]:
        """Draw weights of a flow that is nearly the identity."""
        scales = {"in": 1.0, "bias": 1.0, "out": 0.1 / math.sqrt(self.hidden), "out_bias": 0.0}
        keys = jax.random.split(key, len(scales))
        return {
            name: jnp.float32(scales[name]) * jax.random.normal(part, shape, jnp.float32)
            for part, (name, shape) in zip(keys, self._shapes().items(), strict=True)
        }

    def shifted(self) -> dict[str, "DensityEstimation"]:
        """Half and twice the points, and spirals."""
        kinds = {
            "half the points": dataclasses.replace(self, shots=max(self.shots // 2, 2)),
            "twice the points": dataclasses.replace(self, shots=2 * self.shots),
        }
        if "spiral" not in self.shapes:
            kinds["spirals"] = dataclasses.replace(self, shapes=("spiral",))
        return kinds

    def sample_task(self, key: Key) -> Sample:
        """Draw a density and points of it."""
        return self._draw_points(key, self.queries)

    def sample_test_task(self, key: Key) -> Sample:
        """Draw a density of the same distribution, with ``test_queries`` query points."""
        return self._draw_points(key, self.test_queries)

    def _draw_points(self, key: Key, queries: int) -> Sample:
        keys = jax.random.split(key, 5)
        which = jax.random.randint(keys[0], (), 0, len(self.shapes), jnp.int32)
        points = jnp.stack([SHAPES[name](keys[1], self.shots + queries) for name in self.shapes])[which]
        angle = jax.random.uniform(keys[2], (), jnp.float32, 0, 2 * math.pi)
        turn = jnp.stack([jnp.cos(angle), jnp.sin(angle), -jnp.sin(angle), jnp.cos(angle)]).reshape(2, 2)
        scale = jax.random.uniform(keys[3], (), jnp.float32, 0.5, 2)
        points = scale * points @ turn + 2 * jax.random.normal(keys[4], (2,), jnp.float32)[None]
        return Sample(points[: self.shots], points[self.shots :])

    def init(self, key: Key, omega: Omega, task: Sample) -> Any:
        """Start at ω's weights."""
        return omega["weights"]

    def log_likelihood(self, weights: Any, support: jax.Array, points: jax.Array) -> jax.Array:
        """Return the logarithm of the flow's density ``[N]`` at points ``[N, 2]``, given the support ``[shots, 2]``."""
        middle, axes, scale = principal(support)
        first, second = ((points - middle[None]) @ axes / scale).T
        total = jnp.zeros_like(first) - 2 * jnp.log(scale)

        def layer(passed: tuple[Any, Any, jax.Array], part: Any) -> tuple[tuple[Any, Any, jax.Array], None]:
            first, second, total = passed
            hidden = jnp.tanh(first[:, None] * part["in"][None] + part["bias"][None])
            out = hidden @ part["out"] + part["out_bias"][None]
            log_scale = 2 * jnp.tanh(out[:, 0] / 2)
            return (second * jnp.exp(log_scale) + out[:, 1], first, total + log_scale), None

        # A loop compiles in a fraction of the time that layers one after the other take.
        (first, second, total), _ = jax.lax.scan(layer, (first, second, total), weights)
        logarithms: jax.Array = total - (first**2 + second**2) / 2 - jnp.float32(math.log(2 * math.pi))
        return logarithms

    def step(self, key: Key, omega: Omega, task: Sample, learner: Any) -> Any:
        """Take one step of gradient descent on the support points."""

        def error(weights: Any) -> Scalar:
            return -jnp.mean(self.log_likelihood(weights, task.support, task.support))

        gradient = jax.grad(error)(learner)
        return descend(learner, omega["log_rates"], gradient)

    def loss(self, key: Key, omega: Omega, task: Sample, learner: Any) -> Scalar:
        """Return the negative log likelihood of a query point, in nats."""
        return -jnp.mean(self.log_likelihood(learner, task.support, task.query))

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw the flow's density for four held-out tasks of all shapes, before and after the inner steps."""
        from evometa.plots import style

        @functools.partial(jax.jit, static_argnums=0)
        def densities(shape: Shape, key: Key) -> tuple[Sample, jax.Array, list[tuple[jax.Array, Scalar]]]:
            task = dataclasses.replace(self, shapes=(shape,)).sample_test_task(key)
            low, high = jnp.min(task.query, axis=0), jnp.max(task.query, axis=0)
            line = jnp.linspace(-0.65, 0.65, GRID)
            grid = (low + high) / 2 + jnp.max(high - low) * jnp.stack(jnp.meshgrid(line, line), axis=-1).reshape(-1, 2)
            before = begin(self, key, omega, task)
            after = train(self, key, omega, task, before, 0, self.inner_steps)
            found = [
                (self.log_likelihood(weights, task.support, grid), self.loss(key, omega, task, weights))
                for weights in (before, after)
            ]
            return task, grid, found

        picture = style.figure(width=8.0, height=4.4)
        keys, columns = jax.random.split(key, 4), picture.subplots(2, 4).T
        for number, (one, column) in enumerate(zip(keys, columns, strict=True)):
            task, grid, found = jax.device_get(densities(self.shapes[number % len(self.shapes)], one))
            ends = (*grid[[0, -1], 0], *grid[[0, -1], 1])
            titles = ("before", f"after {self.inner_steps} steps")
            for axes, (logarithms, loss), title in zip(column, found, titles, strict=True):
                density = np.exp(logarithms).reshape(GRID, GRID)
                axes.imshow(density, origin="lower", extent=ends, cmap="Blues", vmax=np.quantile(density, 0.99))
                axes.plot(*task.support.T, "o", color=style.VERMILION, markersize=2.5)
                axes.set_title(f"{title}: {-loss:.2f} nats", fontsize="small")
                axes.set(xticks=[], yticks=[], xlim=ends[:2], ylim=ends[2:])
        return {"densities": picture}
