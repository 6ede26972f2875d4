"""What was found, evaluated on tasks of other distributions."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import pytest

import evometa as em
from evometa.errors import ConfigurationError
from evometa.search.generalization import generalization


@dataclasses.dataclass(frozen=True)
class Away(em.InnerTraining):
    """The distance of ω from a normal number around ``center``; held-out numbers lie 10 further."""

    inner_steps: int = 0
    center: float = 0.0

    @property
    def space(self) -> em.Box:
        return em.Box(())

    def shifted(self) -> Mapping[str, em.Problem]:
        return {"far": dataclasses.replace(self, center=self.center + 100)}  # type: ignore[dict-item]

    def sample_task(self, key: Any) -> Any:
        return self.center + jax.random.normal(key)

    def sample_test_task(self, key: Any) -> Any:
        return 10 + self.sample_task(key)

    def init(self, key: Any, omega: Any, task: Any) -> Any:
        return ()

    def step(self, key: Any, omega: Any, task: Any, learner: Any) -> Any:
        return learner

    def loss(self, key: Any, omega: Any, task: Any, learner: Any) -> Any:
        return task - omega


class Coin(em.HostProblem):
    @property
    def space(self) -> em.Box:
        return em.Box(())

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        return float(omega + rng.normal())


def test_each_distribution_is_evaluated_with_its_own_tasks() -> None:
    found = generalization(Away(), np.float32(1), tasks=400)
    assert [score.distribution for score in found] == ["training", "held-out", "far"]
    for score, mean in zip(found, (-1, 9, 109), strict=True):
        assert score.standard_error == pytest.approx(0.05, rel=0.2)
        assert abs(score.fitness - mean) < 4 * score.standard_error
    again, other = (generalization(Away(), np.float32(1), tasks=400, seed=seed)[0].fitness for seed in (0, 1))
    assert again == found[0].fitness != other


def test_plain_problems_and_plain_python() -> None:
    (only,) = generalization(em.problems.Sphere(), np.zeros(16, np.float32), tasks=1)
    assert only.distribution == "training"
    assert math.isnan(only.standard_error)
    (only,) = generalization(Coin(), 5.0, tasks=300)
    assert abs(only.fitness - 5) < 4 * only.standard_error < 0.4


def test_refuses_no_tasks() -> None:
    with pytest.raises(ConfigurationError, match=r"tasks .* of at least 1, got 0"):
        generalization(Away(), np.float32(1), tasks=0)
