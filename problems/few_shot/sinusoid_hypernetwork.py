"""Sinusoid regression by a hypernetwork, which maps a support set to the weights of a network.

Branch of meta-learning: black-box learners, hypernetworks. There is no inner gradient descent: one forward pass over a
task's examples computes the learner, and this mapping is meta-learned.
"""

import dataclasses
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from evometa.card import ProblemCard, Recipe
from evometa.problems.few_shot.waves import Wave, WaveRegression
from evometa.problems.shared.networks import MLP, squared_error
from evometa.settings import Count, Items
from evometa.spaces import Like
from evometa.types import Key, Omega, Scalar


@dataclasses.dataclass(frozen=True)
class SinusoidHypernetwork(WaveRegression):
    """Few-shot regression of sine waves by a learner whose weights are computed instead of trained.

    An MLP encodes each support point (x, y), the encodings are averaged, so that their order does not matter, and a
    linear map of the average is added to base weights, which gives the weights of the learner, an MLP with one hidden
    layer. ω holds the weights of the encoder and of the linear map, and the base weights. There are no inner steps.
    Tasks, and the fitness, the mean squared error on query points to be minimised, are those of
    :class:`~evometa.problems.Sinusoid`.

    Papers: Ha, Dai and Le, "HyperNetworks", ICLR 2017; the average over examples as in Garnelo et al., "Conditional
    neural processes", ICML 2018. The reference is the 0.67 after one gradient step from a learned initialisation on 10
    points (Finn, Abbeel and Levine 2017), on the same tasks. Result, mean of 3 seeds after 200 seconds of OpenAI-ES
    on one core: 0.53 on held-out tasks (``benchmarks/black_boxes.py``).

    Args:
        shots: K, support points of each wave, the inputs of the hypernetwork.
        queries: query points of each wave, which the learner is evaluated on.
        test_queries: query points of held-out tasks.
        x_range: lower and upper bound of the points.
        hidden: units of the learner's hidden layer.
        encoder: widths of the MLP that encodes each support point.

    Raises:
        ConfigurationError: a number below 1.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="black-box learners, hypernetworks",
        omega="weights of a hypernetwork",
        learner="the network it makes",
        paper="Ha et al. 2017; Garnelo et al. 2018",
        recipe=Recipe(
            "OpenAIES", {"population_size": 512, "shaping": "pair_difference", "tasks_per_pair": True}, {"seconds": 120}
        ),
    )

    inner_steps: int = 0
    hidden: Count = 20
    encoder: Annotated[tuple[Count, ...], Items()] = (32, 32)

    @property
    def learner(self) -> MLP:
        """The network whose weights are computed."""
        return MLP((self.hidden, 1))

    @property
    def space(self) -> Like:
        """The weights of the hypernetwork, and the base weights of the learner."""
        return Like(self._draw)

    def _draw(self, key: Key) -> dict[str, Any]:
        key_base, key_points, key_out = jax.random.split(key, 3)
        base = self.learner.draw(key_base, inputs=1)
        points = MLP(self.encoder).draw(key_points, inputs=2)
        out = MLP((ravel_pytree(base)[0].size,)).draw(key_out, inputs=self.encoder[-1])
        return {"base": base, "points": points, "out": out}

    def init(self, key: Key, omega: Omega, task: Wave) -> Any:
        """Compute the learner's weights from the support points."""
        examples = jnp.concatenate([task.support_x, task.at(task.support_x)], axis=1)
        encoding = jnp.mean(jax.nn.relu(MLP(self.encoder).run(omega["points"], examples)), axis=0, keepdims=True)
        base, unravel = ravel_pytree(omega["base"])
        (change,) = MLP((base.size,)).run(omega["out"], encoding)
        return unravel(base + change)

    def step(self, key: Key, omega: Omega, task: Wave, learner: Any) -> Any:
        """Return the learner unchanged."""
        return learner

    def loss(self, key: Key, omega: Omega, task: Wave, learner: Any) -> Scalar:
        """Return the mean squared error on the query points."""
        return squared_error(self.learner.run(learner, task.query_x), task.at(task.query_x))
