"""Your own problem: fit a decaying oscillation to data with outliers, by a loss without useful gradients.

python examples/own_problem.py
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

import evometa as em


@dataclasses.dataclass(frozen=True)
class Oscillation(em.Problem):
    """Find frequency, decay and amplitude of a signal; one sample in five is an outlier."""

    samples: int = 200

    @property
    def space(self) -> em.Space:
        """Three bounded numbers, two of them searched on a logarithmic scale."""
        return em.Dict(
            {
                "frequency": em.Box((), 0.5, 5.0),
                "decay": em.Box((), 0.01, 10.0, log=True),
                "amplitude": em.Box((), 0.1, 10.0, log=True),
            }
        )

    def evaluate(self, key: jax.Array, omega: Any) -> em.Evaluation:
        """Return the median absolute error, which is robust to the outliers, and the largest error as a metric."""
        time = jnp.linspace(0.0, 4.0, self.samples)
        truth = self.signal(time, {"frequency": 2.0, "decay": 0.5, "amplitude": 3.0})
        outliers = 10.0 * (jnp.arange(self.samples) % 5 == 0)
        error = jnp.abs(self.signal(time, omega) - truth - outliers)
        return em.Evaluation(jnp.median(error), {"worst": jnp.max(error)})

    def signal(self, time: jax.Array, omega: Any) -> Any:
        """Return the oscillation."""
        wave: jax.Array = jnp.sin(2 * jnp.pi * omega["frequency"] * time)
        return omega["amplitude"] * jnp.exp(-omega["decay"] * time) * wave


def main(generations: int = 150) -> em.Result:
    """Search, and print the result."""
    result = em.Search(Oscillation(), em.strategies.CMAES(population_size=32), seed=0).run(generations=generations)
    found = ", ".join(f"{name} {float(value):.3f}" for name, value in result.best_omega.items())
    print(f"median error {result.best_fitness:.2g} with {found}")
    return result


if __name__ == "__main__":
    main()
