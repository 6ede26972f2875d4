"""Exclusive or, by a network of evolving topology, which has to add a hidden node first.

Branch of meta-learning: architectures, topology. ω is a network with its weights; there is no inner loop.
"""

import dataclasses
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.problem import Evaluation, Problem
from evometa.settings import Natural
from evometa.topology import Network, Topology
from evometa.types import Key

PATTERNS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
TARGETS = np.array([0, 1, 1, 0], np.float32)
OFF = 0.1
DRAWS = 16


@dataclasses.dataclass(frozen=True)
class XOR(Problem):
    """Evolve a network that computes exclusive or.

    ω is a network with its topology and weights. A search starts from networks without hidden nodes, which cannot
    compute exclusive or. Fitness, to be maximised, is (4 - e)², where e is the sum of the absolute errors of the four
    patterns; the metric ``solved`` is 1 if all outputs are on the correct side of 1/2, and ``hidden`` the number of
    hidden nodes. The held-out fitness is the same for inputs with normal noise of standard deviation 0.1, a mean over
    16 draws of the four patterns.

    Paper: Stanley & Miikkulainen, "Evolving neural networks through augmenting topologies", 2002, section 4.1: NEAT
    with 150 networks needs 4,755 evaluations, mean of 100 runs (standard deviation 2,553). Result: ours needs 6,825,
    mean of 100 runs, all successful (standard deviation 3,422; ``benchmarks/topology.py``).

    Args:
        max_hidden: maximum number of hidden nodes.
    """

    direction: ClassVar[Literal["minimize", "maximize"]] = "maximize"
    card: ClassVar[ProblemCard] = ProblemCard(
        branch="architectures: topology",
        omega="a growing network with its weights",
        learner="none",
        paper="Stanley & Miikkulainen 2002",
        recipe=Recipe("NEAT", {}, {"evaluations": 15_000}),
    )

    max_hidden: Natural = 8

    @property
    def space(self) -> Topology:
        """Networks with two inputs and one output."""
        return Topology(2, 1, self.max_hidden)

    def evaluate(self, key: Key, omega: Network) -> Evaluation:
        """Evaluate a network on the four patterns."""
        outputs = jax.vmap(omega.run)(jnp.asarray(PATTERNS))[:, 0]
        solved = jnp.all((outputs > 0.5) == (TARGETS > 0.5))
        return Evaluation(
            _fitness(outputs),
            {"solved": solved.astype(jnp.float32), "hidden": omega.nodes.astype(jnp.float32)},
        )

    def evaluate_test(self, key: Key, omega: Network) -> Evaluation:
        """Evaluate a network on noisy inputs near the four patterns."""
        inputs = jnp.asarray(PATTERNS)[None] + OFF * jax.random.normal(key, (DRAWS, *PATTERNS.shape), jnp.float32)
        outputs = jax.vmap(jax.vmap(omega.run))(inputs)[:, :, 0]
        right = jnp.mean((outputs > 0.5) == (TARGETS > 0.5)[None], dtype=jnp.float32)
        return Evaluation(jnp.mean(jax.vmap(_fitness)(outputs)), {"right": right})


def _fitness(outputs: jax.Array) -> jax.Array:
    return (4.0 - jnp.sum(jnp.abs(outputs - TARGETS))) ** 2
