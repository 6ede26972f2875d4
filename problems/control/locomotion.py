"""A body that learns within ten rollouts to run at a speed it is not told: one initialisation for all speeds.

Branch of meta-learning: learned initialisations and step sizes, for reinforcement learning. Each task is a speed; a
linear policy is adapted to it by hill climbing.
"""

import dataclasses
import math
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from evometa.card import ProblemCard, Recipe
from evometa.environments import Agent, Policy, State, Trajectory, record
from evometa.inner_training import train
from evometa.problem import InnerTraining
from evometa.problems.control.episode_pictures import episode_pictures
from evometa.problems.control.query_adaptation import QueryAdaptation, QueryLearner
from evometa.problems.control.running_body import SECONDS, RunningBody
from evometa.problems.shared.recording import held_out
from evometa.problems.shared.shortening import shortened
from evometa.settings import Count, Positive
from evometa.spaces import Dict, Like
from evometa.types import Key, Omega, Scalar

PARTS = 5
"""The range of speeds has this many equal parts; the middle third of each is held out."""


class Run(NamedTuple):
    """A task: the body with a target, twice, and the directions in which the policy is changed."""

    start: State
    """Where the rollouts start that the policy learns from."""
    other: State
    """Where the one starts by which it is evaluated."""
    noise: jax.Array
    """``[rollouts, 1, D]``, standard normal."""


@dataclasses.dataclass(frozen=True)
class Locomotion(InnerTraining):
    """Adapt one initialisation of a policy to a target speed by a few rollouts of hill climbing.

    A body with two legs (:class:`RunningBody`, compiled, in place of MuJoCo's half cheetah) is rewarded for running at
    a speed that it is not told. Its policy is linear, without noise. The learner plays a rollout; in each step it
    changes all weights at random, plays another, and keeps the weights if their return is larger. ω holds the initial
    weights and, for each of them, the logarithm of the standard deviation of its changes. The fitness, to be maximised,
    is the return of one more rollout after the steps, which starts with other joints. Speeds of training and held-out
    speeds are parts of the same range that do not overlap.

    Papers: the tasks and the reward as in Finn, Abbeel and Levine, "Model-agnostic meta-learning for fast adaptation of
    deep networks", ICML 2017 (speeds U(0, 2), 200 steps); adaptation as in Song et al., "ES-MAML", ICLR 2020.

    Result, mean return of 200 steps at held-out speeds, mean of 3 seeds (``benchmarks/locomotion.py --seconds 60``):
    -110 before adaptation, -44 after ten rollouts. From random weights as many rollouts come to -147, from a policy
    that was searched for without adaptation to -90, with the scale of changes tuned.

    Args:
        fastest: greatest speed in m/s.
        friction: of the ground, the greatest force along it relative to that upwards.
        horizon: steps of a rollout, of 0.04 s each.
        scale: standard deviation of changes at which the search starts, in weight units.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="learned initialisations and step sizes",
        omega="initial weights of a policy, and scales of their changes",
        learner="linear policy, hill climbing",
        paper="Song et al. 2020",
        recipe=Recipe(
            "OpenAIES",
            {"population_size": 128, "sigma": 0.1, "learning_rate": 0.05, "shaping": "pair_difference",
             "tasks_per_pair": True},
            {"seconds": 120},
        ),
    )  # fmt: skip

    direction: ClassVar[Literal["minimize", "maximize"]] = "maximize"

    num_tasks: Count = 1
    inner_steps: Count = 10
    fastest: Positive = 2.0
    friction: Positive = 1.0
    horizon: Count = 200
    scale: Positive = 0.1

    def shifted(self) -> dict[str, "Locomotion"]:
        """Speeds up to half as large again; half the friction; half as many rollouts."""
        return {
            "faster": dataclasses.replace(self, fastest=1.5 * self.fastest),
            "slippery": dataclasses.replace(self, friction=0.5 * self.friction),
            "half the rollouts": shortened(self, self.inner_steps // 2),
        }

    @property
    def environment(self) -> RunningBody:
        """The body."""
        return RunningBody(fastest=self.fastest, friction=self.friction, max_steps=self.horizon)

    @property
    def policy(self) -> Policy:
        """The linear policy."""
        return Policy(self.environment.observation_size, self.environment.actions)

    @property
    def rule(self) -> QueryAdaptation:
        """How it learns: a rollout a step, whose changes of the weights are kept if its return is larger."""
        return QueryAdaptation(self.environment, self.policy, 1, "hill-climbing", scale=1.0, learning_rate=0.0)

    @property
    def space(self) -> Dict:
        """Initial weights, and the logarithm of the standard deviation of each weight's changes."""
        shapes = jax.eval_shape(self.policy.draw, jax.random.key(0))
        scales = jax.tree.map(lambda leaf: np.full(leaf.shape, math.log(self.scale), np.float32), shapes)
        return Dict({"weights": Like(self.policy.draw), "log_scales": Like(scales)})

    def sample_task(self, key: Key) -> Run:
        """Draw a speed for training."""
        return self._draw_run(key, test=False)

    def sample_test_task(self, key: Key) -> Run:
        """Draw a held-out speed."""
        return self._draw_run(key, test=True)

    def _draw_run(self, key: Key, *, test: bool) -> Run:
        keys, middle, wide = jax.random.split(key, 5), (0.5 if test else 1.0), (1 / 6 if test else 1 / 3)
        part = jax.random.randint(keys[0], (), 0, PARTS, jnp.int32)
        within = (middle + jax.random.uniform(keys[1], (), jnp.float32, -wide, wide)) % 1  # training: both outer thirds
        target = self.fastest / PARTS * (part + within)
        start, other = (self.environment.reset(k)._replace(target=target) for k in keys[2:4])
        return Run(start, other, self.rule.noise(keys[4], self.inner_steps))

    def init(self, key: Key, omega: Omega, task: Run) -> QueryLearner:
        """Play a rollout of ω's weights."""
        return self.rule.begin(omega["weights"], task.start, task.noise)

    def step(self, key: Key, omega: Omega, task: Run, learner: QueryLearner) -> QueryLearner:
        """Change the weights, play a rollout, and keep them if it has a larger return."""
        scales = jnp.exp(ravel_pytree(omega["log_scales"])[0])
        return self.rule.update(learner, task.start, task.noise * scales[None, None])

    def loss(self, key: Key, omega: Omega, task: Run, learner: QueryLearner) -> Scalar:
        """Return the return of a rollout from another start."""
        return self.rule.play(learner.weights, task.other)

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw speeds before and after adaptation at held-out targets, and a rollout of each at the fastest one."""
        from evometa.plots import style

        @jax.jit
        def played(task: Run, before: QueryLearner) -> tuple[Trajectory, ...]:
            after = train(self, key, omega, task, before, 0, self.inner_steps)
            policy, agent = self.policy, Agent.new(self.policy)
            return tuple(
                record(self.environment, policy, learner.weights, key, agent, task.other)[0]
                for learner in (before, after)
            )

        tasks, start = held_out(self, key, omega, 24)
        episodes = dict(zip(("before", f"{self.inner_steps} rollouts"), jax.vmap(played)(tasks, start), strict=True))
        wanted, picture = tasks.other.target, style.figure(width=4.2, height=3.6)
        axes = picture.subplots()
        axes.plot([0, self.fastest], [0, self.fastest], color=style.GREY, linewidth=0.8)
        for (name, episode), color in zip(episodes.items(), (style.ORANGE, style.BLUE), strict=True):
            ahead = np.asarray(episode.states.place[0])
            speed = (ahead[:, -1] - ahead[:, 0]) / (SECONDS * max(ahead.shape[1] - 1, 1))
            axes.plot(wanted, speed, "o", color=color, markersize=4, label=name)
        style.label_axes(axes, x="target in m/s", y="mean speed in m/s")
        axes.legend(fontsize="small")
        fastest = int(np.argmax(wanted))
        one = {
            name: jax.tree.map(lambda leaf: np.asarray(leaf[fastest]), episode) for name, episode in episodes.items()
        }
        return {"speeds": picture, **episode_pictures(self.environment, one)}
