"""The user's own file of the run in ``hostbowl-cmaes``."""

import dataclasses

import numpy as np

import evometa as em


@dataclasses.dataclass(frozen=True)
class HostBowl(em.HostProblem):
    """A bowl around ``shift`` in three dimensions, with noise."""

    shift: float = 1.0

    @property
    def space(self) -> em.Space:
        return em.Box((3,), -5.0, 5.0)

    def evaluate(self, rng: np.random.Generator, omega: np.ndarray) -> float:
        return float(np.sum((omega - self.shift) ** 2) + 0.01 * rng.normal())
