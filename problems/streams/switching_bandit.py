"""Bandits whose arms change by surprise: a recurrent network that explores, exploits, and notices.

Branch of meta-learning: black-box learners, online. ω holds the weights of a small recurrent network, as in
:class:`evometa.problems.Bandit`; when to forget is meta-learned, too.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from evometa.card import ProblemCard, Recipe
from evometa.problems.control.bandit import Arms, Bandit
from evometa.settings import Chance, Count
from evometa.types import Key, Scalar


@dataclasses.dataclass(frozen=True)
class SwitchingBandit(Bandit):
    """Learn to explore and exploit the arms of a Bernoulli bandit that changes from time to time.

    Before each pull but the first, with probability ``hazard``, the success probabilities of all arms are drawn anew;
    nothing tells the learner. The fitness, to be maximised, is the expected total reward of all pulls.

    Compared with (``benchmarks/streams.py bandit``): Thompson sampling that knows the hazard and keeps the exact
    posterior over the time of the last change, as in Mellor & Shapiro, "Thompson sampling in switching environments
    with Bayesian online change detection", 2013 (global switching).

    Result, mean of 3 seeds after a minute on one core: a total reward of 134.9, where that Thompson sampling has 128.6,
    one that forgets at a tuned rate 127.5, and the best arm of each pull 149.3.

    Args:
        arms: A, number of arms, at least 2.
        units: hidden units of the GRU.
        chance_range: range of the success probability of each arm, drawn uniformly.
        hazard: probability of a change before each pull.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="online: changing tasks",
        omega="weights of a GRU",
        learner="the GRU's state",
        paper="Mellor & Shapiro 2013",
        recipe=Recipe("OpenAIES", {"population_size": 256, "sigma": 0.5, "learning_rate": 0.1}, {"seconds": 120}),
    )

    num_tasks: int = 64
    inner_steps: int = 200
    arms: Count = 3
    hazard: Chance = 0.02

    def shifted(self) -> dict[str, "SwitchingBandit"]:
        """Changes that are rarer or more frequent, and twice the pulls."""
        return {
            "half the changes": dataclasses.replace(self, hazard=self.hazard / 2),
            "twice the changes": dataclasses.replace(self, hazard=min(1.0, 2 * self.hazard)),
            "twice the pulls": dataclasses.replace(self, inner_steps=2 * self.inner_steps),
        }

    def sample_task(self, key: Key) -> Arms:
        """Draw the changes, the success probabilities after each, and the rewards."""
        key_changes, key_chances, key_rewards = jax.random.split(key, 3)
        changes = jax.random.bernoulli(key_changes, self.hazard, (self.inner_steps,)).at[0].set(True)
        drawn = jax.random.uniform(key_chances, (self.inner_steps, self.arms), jnp.float32, *self.chance_range)
        # Each pull has the chances that were drawn at the last change.
        last = jax.lax.cummax(jnp.where(changes, jnp.arange(self.inner_steps), 0))
        chances = drawn[last]
        uniform = jax.random.uniform(key_rewards, (self.inner_steps, self.arms), jnp.float32)
        return Arms(chances, (uniform < chances).astype(jnp.float32))

    def chances_at(self, task: Arms, pull: Scalar) -> jax.Array:
        """Return the success probability of each arm at a pull, ``[A]``."""
        return task.chances[pull]
