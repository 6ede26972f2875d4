"""A problem whose calls hang while a file is there."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np

from evometa import Box, HostProblem


@dataclasses.dataclass(frozen=True)
class Hanging(HostProblem):
    flag: str = ""

    @property
    def space(self) -> Box:
        return Box((2,), -1.0, 1.0)

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        while Path(self.flag).exists():
            time.sleep(0.02)
        return float(np.sum(omega**2) + rng.normal())
