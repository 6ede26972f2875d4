"""Bernoulli bandits: a recurrent network whose state is the learner.

Branch of meta-learning: black-box learners, recurrent. ω holds the weights of a small recurrent network whose inputs
are its last action and reward. The weights are fixed during an episode; what it learns about the arms is in its hidden
state, and the learning algorithm itself is meta-learned. No gradient is used anywhere.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.environments import GRU
from evometa.errors import ConfigurationError
from evometa.objectives import Mean, Objective
from evometa.problem import InnerTraining
from evometa.problems.shared.recording import record_learner
from evometa.settings import Chance, Count, Several
from evometa.spaces import Like
from evometa.types import Key, Omega, Scalar


class Arms(NamedTuple):
    """A task: the success probability of each arm, and the reward of each possible pull; float32."""

    chances: jax.Array
    """``[A]``, from 0 to 1; ``[S, A]`` where they change from pull to pull."""
    pays: jax.Array
    """``[S, A]``, 0 or 1; drawn in advance, so that all candidates face the same random rewards."""


class Player(NamedTuple):
    """A learner: the hidden state of the network, and the last pull; float32."""

    memory: jax.Array
    """``[units]``."""
    sees: jax.Array
    """``[A + 1]``: the last arm as a one-hot vector and its reward; zeros before the first pull."""
    pulls: Scalar
    """Pulls so far, int32."""
    chance: Scalar
    """The success probability of the arm pulled last."""


@dataclasses.dataclass(frozen=True)
class Bandit(InnerTraining):
    """Learn to explore and exploit the arms of a Bernoulli bandit.

    ω holds the weights of a GRU. Each inner step is a pull: the GRU's inputs are the last arm and its reward, and the
    arm with the largest output is pulled. Tasks differ by the success probabilities of the arms. The fitness, to be
    maximised, is the expected total reward of all pulls: each pull counts by the success probability of its arm, which
    has the same mean as the reward and less noise.

    Paper: Duan et al., "RL²: fast reinforcement learning via slow reinforcement learning", 2016, table 1, which trains
    a GRU of 256 units by policy gradients. With chances drawn uniformly and 5 arms it reports a total reward of 6.7 for
    10 pulls (Gittins index 6.6, UCB1 6.7) and 78.7 for 100 (78.3, 78.0). No policy can exceed 6.660 with 10
    pulls; larger figures are chance. Result, mean of 3 seeds on one core (``benchmarks/black_boxes.py``): 6.64 after
    two minutes, and 77.7 for 100 pulls after seven and a half.

    Args:
        arms: A, number of arms, at least 2.
        units: hidden units of the GRU.
        chance_range: range of the success probability of each arm, drawn uniformly.

    Raises:
        ConfigurationError: fewer than 2 arms, no hidden unit, or a range that is not within 0 to 1.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="black-box learners, recurrent",
        omega="weights of a GRU",
        learner="the GRU's state",
        paper="Duan et al. 2016",
        recipe=Recipe("OpenAIES", {"population_size": 256, "sigma": 0.5, "learning_rate": 0.1}, {"seconds": 120}),
    )

    direction: ClassVar[Literal["minimize", "maximize"]] = "maximize"

    num_tasks: int = 256
    inner_steps: int = 10
    objective: Objective = Mean()
    arms: Several = 5
    units: Count = 16
    chance_range: tuple[Chance, Chance] = (0.0, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.chance_range[0] < self.chance_range[1]:
            raise ConfigurationError(f"Bandit expects chance_range as low < high, got {self.chance_range}.")

    @property
    def network(self) -> GRU:
        """The GRU: from the last pull to a preference for each arm."""
        return GRU(self.arms + 1, self.units, self.arms)

    @property
    def space(self) -> Like:
        """The GRU's weights; a search starts at a random initialisation."""
        return Like(self.network.draw)

    def shifted(self) -> Mapping[str, "Bandit"]:
        """Twice the pulls; arms that differ less; arms that pay less."""
        low, high = self.chance_range
        middle, quarter = (low + high) / 2, (high - low) / 4
        return {
            "twice the pulls": dataclasses.replace(self, inner_steps=2 * self.inner_steps),
            "arms alike": dataclasses.replace(self, chance_range=(middle - quarter, middle + quarter)),
            "poor arms": dataclasses.replace(self, chance_range=(low, middle)),
        }

    def sample_task(self, key: Key) -> Arms:
        """Draw the success probabilities of the arms, and the rewards."""
        key_chances, key_rewards = jax.random.split(key)
        chances = jax.random.uniform(key_chances, (self.arms,), jnp.float32, *self.chance_range)
        uniform = jax.random.uniform(key_rewards, (self.inner_steps, self.arms), jnp.float32)
        return Arms(chances, (uniform < chances[None]).astype(jnp.float32))

    def init(self, key: Key, omega: Omega, task: Arms) -> Player:
        """Return the initial hidden state, zeros."""
        memory, sees, chance = (jnp.zeros(shape, jnp.float32) for shape in ((self.units,), (self.arms + 1,), ()))
        return Player(memory, sees, jnp.int32(0), chance)

    def step(self, key: Key, omega: Omega, task: Arms, learner: Player) -> Player:
        """Choose an arm and pull it."""
        memory, preferences = self.network.run(omega, learner.memory, learner.sees)
        # A one-hot vector instead of an index: gathers are slow when a population is batched.
        arm = jax.nn.one_hot(jnp.argmax(preferences), self.arms, dtype=jnp.float32)
        paid = arm @ task.pays[learner.pulls]
        chance = arm @ self.chances_at(task, learner.pulls)
        return Player(memory, jnp.append(arm, paid), learner.pulls + 1, chance)

    def chances_at(self, task: Arms, pull: Scalar) -> jax.Array:
        """Return the success probability of each arm at a pull, ``[A]``."""
        return task.chances

    def loss(self, key: Key, omega: Omega, task: Arms, learner: Player) -> Scalar:
        """Return the success probability of the last pull times the number of pulls; its mean is the total reward."""
        return self.inner_steps * learner.chance

    def metrics(self, key: Key, omega: Any, task: Arms, learner: Player) -> dict[str, Scalar]:
        """Return whether the last pull was of the best arm."""
        chances = self.chances_at(task, learner.pulls - 1)
        return {"best_arm_at_last": (learner.chance >= jnp.max(chances)).astype(jnp.float32)}

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw which arm is pulled in three held-out episodes, over the success probabilities of all arms."""
        from evometa.plots import style

        keys = jax.random.split(key, 3)
        picture = style.figure(width=7.0, height=6.0)
        for axes, one in zip(picture.subplots(3, 1, sharex=True), keys, strict=True):
            task, learners = record_learner(self, one, omega)
            pulls = np.arange(1, self.inner_steps + 1)
            chances = np.stack([np.asarray(self.chances_at(task, jnp.int32(pull))) for pull in range(self.inner_steps)])
            axes.step(pulls, chances, where="mid", color="#c0c0c0", linewidth=1)
            for paid, colour, label in ((1, style.GREEN, "pays"), (0, style.VERMILION, "does not pay")):
                shown = learners.sees[:, -1] == paid
                axes.scatter(pulls[shown], learners.chance[shown], s=9, color=colour, label=label, zorder=3)
            share = np.sum(learners.chance) / np.sum(np.max(chances, axis=1))
            axes.set_title(f"{share:.0%} of what the best arms pay", fontsize="small")
            style.label_axes(axes, x="", y="chance to pay")
        axes.set_xlabel("pull")
        axes.legend(fontsize="x-small", loc="lower right")
        return {"pulls": picture}
