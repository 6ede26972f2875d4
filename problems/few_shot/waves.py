"""Sine waves as few-shot regression tasks."""

import dataclasses
import math
import typing
from typing import NamedTuple

import jax
import jax.numpy as jnp

from evometa.errors import ConfigurationError
from evometa.problem import InnerTraining
from evometa.settings import Count, Finite
from evometa.types import Key

X_RANGE = (-5.0, 5.0)
AMPLITUDES = (0.1, 5.0)
PHASES = (0.0, math.pi)


class Wave(NamedTuple):
    """A task: the wave ``amplitude · sin(x - phase)``, and points of it; all float32."""

    amplitude: jax.Array
    """``[]``"""
    phase: jax.Array
    """``[]``"""
    support_x: jax.Array
    """``[shots, 1]``, the points that the learner adapts to."""
    query_x: jax.Array
    """``[queries, 1]``, the points that it is evaluated on."""

    def at(self, x: jax.Array) -> jax.Array:
        """Return the wave's values at ``x``, of any shape."""
        return self.amplitude * jnp.sin(x - self.phase)


@dataclasses.dataclass(frozen=True)
class WaveRegression(InnerTraining):
    """Few-shot regression of sine waves.

    Amplitude, phase and points are drawn uniformly. Subclasses say what ω and the learner are; their docstrings
    describe the fields.
    """

    shots: Count = 10
    queries: Count = 20
    test_queries: Count = 100
    x_range: tuple[Finite, Finite] = X_RANGE

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.x_range[0] < self.x_range[1]:
            raise ConfigurationError(
                f"{type(self).__name__} expects x_range as two numbers, the smaller first, got {self.x_range}."
            )

    def shifted(self) -> dict[str, typing.Self]:
        """Half and twice the shots; points shifted beyond the range of training."""
        low, high = self.x_range
        quarter = (high - low) / 4
        return {
            "half the shots": dataclasses.replace(self, shots=max(self.shots // 2, 1)),
            "twice the shots": dataclasses.replace(self, shots=2 * self.shots),
            "x moved by a quarter": dataclasses.replace(self, x_range=(low + quarter, high + quarter)),
        }

    def sample_task(self, key: Key) -> Wave:
        """Draw a wave and its points."""
        return self._draw_wave(key, self.queries)

    def sample_test_task(self, key: Key) -> Wave:
        """Draw a wave of the same distribution, with ``test_queries`` query points."""
        return self._draw_wave(key, self.test_queries)

    def _draw_wave(self, key: Key, queries: int) -> Wave:
        amplitude, phase, support, query = (
            jax.random.uniform(k, shape, jnp.float32, *limits)
            for k, shape, limits in zip(
                jax.random.split(key, 4),
                ((), (), (self.shots, 1), (queries, 1)),
                (AMPLITUDES, PHASES, self.x_range, self.x_range),
                strict=True,
            )
        )
        return Wave(amplitude, phase, support, query)
