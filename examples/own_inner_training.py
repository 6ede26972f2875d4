"""Your own inner training: initial weights that adapt to a sine wave from ten of its points.

python examples/own_inner_training.py
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

import evometa as em


def draw_weights(key: jax.Array) -> list[dict[str, jax.Array]]:
    """Draw the weights of a network with one input, 40 hidden units and one output."""
    first, last = jax.random.split(key)
    return [
        {"kernel": jax.random.normal(first, (1, 40)), "bias": jnp.zeros(40)},
        {"kernel": jax.random.normal(last, (40, 1)) / 40**0.5, "bias": jnp.zeros(1)},
    ]


@dataclasses.dataclass(frozen=True)
class Sine(em.InnerTraining):
    """Few-shot regression: ω holds the initial weights of a network."""

    inner_steps: int = 5
    learning_rate: float = 0.02

    @property
    def space(self) -> em.Space:
        """All weights of the network."""
        return em.Like(draw_weights)

    def sample_task(self, key: jax.Array) -> dict[str, jax.Array]:
        """Draw a wave, ten points to train on and twenty to evaluate on."""
        key_amplitude, key_phase, key_x = jax.random.split(key, 3)
        amplitude = jax.random.uniform(key_amplitude, minval=0.1, maxval=5.0)
        phase = jax.random.uniform(key_phase, maxval=jnp.pi)
        x = jax.random.uniform(key_x, (30, 1), minval=-5.0, maxval=5.0)
        return {"x": x, "y": amplitude * jnp.sin(x - phase)}

    def init(self, key: jax.Array, omega: Any, task: Any) -> Any:
        """Start at ω."""
        return omega

    def step(self, key: jax.Array, omega: Any, task: Any, learner: Any) -> Any:
        """Take one step of gradient descent. The search itself needs no gradient of any of this."""
        gradient = jax.grad(self.error)(learner, task["x"][:10], task["y"][:10])
        return jax.tree.map(lambda w, g: w - self.learning_rate * g, learner, gradient)

    def loss(self, key: jax.Array, omega: Any, task: Any, learner: Any) -> jax.Array:
        """Return the learner's error on the other points."""
        return self.error(learner, task["x"][10:], task["y"][10:])

    def error(self, weights: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        """Return the network's mean squared error."""
        first, last = weights
        hidden = jnp.tanh(x @ first["kernel"] + first["bias"])
        return jnp.mean((hidden @ last["kernel"] + last["bias"] - y) ** 2)


def main(generations: int = 1000, run_directory: str | None = None) -> em.Result:
    """Search; with a run directory, save the run and plot its curves."""
    strategy = em.strategies.OpenAIES(population_size=128, sigma=0.05, learning_rate=0.03)
    result = em.Search(Sine(), strategy, seed=0, run_directory=run_directory).run(generations=generations)
    print(f"error after {Sine.inner_steps} steps on new waves: {result.held_out:.2f} ({result.seconds:.0f} s)")
    if run_directory:
        em.plots.fitness(run_directory).savefig(f"{run_directory}/fitness.png")
    return result


if __name__ == "__main__":
    main()
