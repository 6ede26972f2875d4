"""Exclusive or, by a network that has to grow a hidden node first.

Branch of meta-learning: architectures, their topology. ω is a network, its weights included; there is no inner loop.
"""

import dataclasses
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.growing_network import Network
from evometa.problem import Evaluation, Problem
from evometa.topology import Topology
from evometa.types import Key

PATTERNS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
TARGETS = np.array([0, 1, 1, 0], np.float32)
OFF = 0.1
DRAWS = 16


@dataclasses.dataclass(frozen=True)
class XOR(Problem):
    """Grow a network that computes exclusive or.

    No network without a hidden node can, and a search begins with such. Fitness, to be maximised, is (4 - e)², where e
    is the sum of the errors of the four patterns; the metric ``solved`` is 1 where all outputs are on the right side of
    1/2, and ``hidden`` the number of hidden nodes. Held out are inputs a little off the corners, normally with
    a standard deviation of 0.1: the same fitness, a mean over 16 draws of the four.

    Paper: Stanley & Miikkulainen, "Evolving neural networks through augmenting topologies", 2002, section 4.1: NEAT
    with 150 networks finds one in 4,755 evaluations, in the mean of 100 runs (standard deviation 2,553). Ours needs
    6,472 in the mean of 20 runs (standard deviation 4,526; ``benchmarks/topology.py``), and never failed.

    Args:
        max_hidden: hidden nodes at most.
    """

    direction: ClassVar[Literal["minimize", "maximize"]] = "maximize"
    card: ClassVar[ProblemCard] = ProblemCard(
        "architectures: topology",
        "a growing network with its weights",
        "none",
        "Stanley & Miikkulainen 2002",
        Recipe("NEAT", {}, {"evaluations": 15_000}),
    )

    max_hidden: int = 8

    @property
    def space(self) -> Topology:
        """Networks of two inputs and an output."""
        return Topology(2, 1, self.max_hidden)

    def evaluate(self, key: Key, omega: Network) -> Evaluation:
        """Judge a network by the four patterns."""
        outputs = jax.vmap(omega.run)(jnp.asarray(PATTERNS))[:, 0]
        solved = jnp.all((outputs > 0.5) == (TARGETS > 0.5))
        return Evaluation(
            _fitness(outputs),
            {"solved": solved.astype(jnp.float32), "hidden": omega.nodes.astype(jnp.float32)},
        )

    def evaluate_test(self, key: Key, omega: Network) -> Evaluation:
        """Judge a network by inputs near the four patterns."""
        inputs = jnp.asarray(PATTERNS) + OFF * jax.random.normal(key, (DRAWS, *PATTERNS.shape), jnp.float32)
        outputs = jax.vmap(jax.vmap(omega.run))(inputs)[:, :, 0]
        right = jnp.mean((outputs > 0.5) == (TARGETS > 0.5), dtype=jnp.float32)
        return Evaluation(jnp.mean(jax.vmap(_fitness)(outputs)), {"right": right})


def _fitness(outputs: jax.Array) -> jax.Array:
    return (4.0 - jnp.sum(jnp.abs(outputs - TARGETS))) ** 2
