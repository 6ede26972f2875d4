"""A point robot that learns within one or two updates where its hidden goal is: an initialisation for adaptation.

Branch of meta-learning: learned initialisations, for reinforcement learning. Each task is a goal; a policy plays a few
episodes and takes a step of the policy gradient.
"""

import dataclasses
import operator
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.environments import Policy, State
from evometa.errors import ConfigurationError
from evometa.objectives import Mean, Objective
from evometa.problem import InnerTraining
from evometa.problems.control.point_robot import PointRobot
from evometa.problems.control.policy_gradient import GaussianPolicy, PolicyGradient
from evometa.problems.control.query_adaptation import QueryAdaptation
from evometa.problems.shared.recording import record_learner
from evometa.settings import Count, Fraction, Positive
from evometa.spaces import Dict, Like
from evometa.types import Key, Learner, Omega, Scalar


class Goal(NamedTuple):
    """A task: a robot in the origin with its goal, and the noise of all that is drawn while it learns."""

    start: State
    noise: jax.Array
    """Of actions, ``[inner_steps + 1, steps, 2, episodes]``, or of queries, ``[inner_steps, queries, D]``."""


@dataclasses.dataclass(frozen=True)
class Navigation(InnerTraining):
    """Find a hidden goal in the plane within one or two updates of a policy, from learned initial weights.

    A robot starts in the origin and moves by at most .1 along each coordinate in a step. It observes its position; the
    reward is minus its distance to a goal that it does not see, until both coordinates are within .01 of the goal's or
    100 steps are over. A policy with Gaussian actions plays 20 episodes and takes a step of the policy gradient. ω
    holds its initial weights, a step size for each of them in each update, and by how much the deviation of actions
    changes with each update: to know after one update how far away the goal is, the robot has to wander widely first,
    and to stay there it must not. The fitness, to be maximised, is the mean return of the episodes after each update
    (``objective``: after which ones).

    Paper: Finn, Abbeel and Levine, "Model-agnostic meta-learning for fast adaptation of deep networks", ICML 2017, and
    its authors' code. Theirs is a network of 100-100 units whose steps have length .1 and .05, with a discount of .99;
    ours is linear by default, learns its step sizes and has a discount of .9, with which the gradient is less noisy.
    With ``adaptation`` it is the form of Song et al., "ES-MAML", ICLR 2020: goals U(-1, 1)², the squared distance,
    walls at ±1, a linear policy without noise, and an update of 20 queries (one episode each), by an evolution strategy
    or by hill climbing.

    Its authors' plot data has -40.4, -11.7 and -3.3 after 0 to 2 updates. Result (``benchmarks/navigation.py``), 200
    held-out goals, means of 3 seeds on shared cores: -48.8, -7.4 and -2.1 by CMA-ES in 200 seconds, -45.5, -6.9 and
    -2.9 by the gradient through the simulator in 60; the policy gradient as the outer gradient comes to -15 and -6 with
    two seeds, from 16 units, and diverges with the third.

    Args:
        adaptation: how a policy learns: MAML's policy gradient, or the queries of ES-MAML and its environment.
        hidden: width of each hidden layer of the policy of the policy gradient; without any, it is linear.
        episodes: episodes (or queries) of an update; even for an evolution strategy, whose queries are mirrored pairs.
        learning_rate: step size at which the search for those of the policy gradient starts, or step size of the
            evolution strategy; None: 1 and .1.
        perturbation: standard deviation of queries, in weight units.
        discount: what a reward is worth one step later, for the policy gradient.
        horizon: the time limit of an episode in steps.
        goal_range: goals are drawn uniformly between minus this and this in each coordinate; None: .5, and 1 in
            ES-MAML's form.
        through: what :class:`~evometa.strategies.Gradient` differentiates: "simulator", the environment too; "policy",
            only the densities of actions that are taken as given, which is the policy gradient of MAML.

    Raises:
        ConfigurationError: an odd number of queries for an evolution strategy.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="learned initialisations and step sizes",
        omega="initial weights and step sizes of a policy",
        learner="policy, policy gradient",
        paper="Finn et al. 2017",
        recipe=Recipe(
            "Gradient",
            {"learning_rate": 0.03, "decay_generations": 600, "learning_rate_final": 0.1},
            {"seconds": 90},
        ),
    )

    direction: ClassVar[Literal["minimize", "maximize"]] = "maximize"

    num_tasks: Count = 8
    inner_steps: Count = 2
    objective: Objective = Mean()
    adaptation: Literal["policy-gradient", "evolution-strategy", "hill-climbing"] = "policy-gradient"
    hidden: tuple[Count, ...] = ()
    episodes: Count = 20
    learning_rate: Positive | None = None
    perturbation: Positive = 0.1
    discount: Fraction = 0.9
    horizon: Count = 100
    goal_range: Positive | None = None
    through: Literal["simulator", "policy"] = "simulator"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.adaptation == "evolution-strategy" and self.episodes % 2:
            raise ConfigurationError(
                f"Navigation expects an even number of episodes for an evolution strategy, whose queries are mirrored "
                f"pairs, got episodes={self.episodes}."
            )

    @property
    def environment(self) -> PointRobot:
        """The robot."""
        if self.adaptation == "policy-gradient":
            return PointRobot(self.goal_range or 0.5, max_steps=self.horizon)
        return PointRobot(self.goal_range or 1.0, squared=True, wall=1.0, max_steps=self.horizon)

    @property
    def rule(self) -> PolicyGradient | QueryAdaptation:
        """How a policy learns."""
        environment = self.environment
        if self.adaptation == "policy-gradient":
            policy = GaussianPolicy(2, environment.actions, self.hidden)
            rate = self.learning_rate or 1.0
            return PolicyGradient(environment, policy, self.episodes, rate, self.discount, self.through)
        linear, rate = Policy(2, environment.actions), self.learning_rate or 0.1
        return QueryAdaptation(environment, linear, self.episodes, self.adaptation, self.perturbation, rate)

    @property
    def space(self) -> Dict | Like:
        """The initial weights of the policy, at first random ones; for the policy gradient also what it steps by."""
        rule = self.rule
        return rule.space(self.inner_steps) if isinstance(rule, PolicyGradient) else Like(rule.policy.draw)

    def shifted(self) -> dict[str, "Navigation"]:
        """Goals that may be half as far again; half the episodes."""
        further = dataclasses.replace(self, goal_range=1.5 * self.environment.goal_range)
        shifted = {"goals further away": further}
        if self.episodes % 4 == 0:
            shifted["half the episodes"] = dataclasses.replace(self, episodes=self.episodes // 2)
        return shifted

    def sample_task(self, key: Key) -> Goal:
        """Draw a goal, and the noise of the episodes."""
        key_goal, key_noise = jax.random.split(key)
        return Goal(self.environment.reset(key_goal), self.rule.noise(key_noise, self.inner_steps))

    def init(self, key: Key, omega: Omega, task: Goal) -> Learner:
        """Play the episodes of ω's weights."""
        return self.rule.begin(omega, task.start, task.noise)

    def step(self, key: Key, omega: Omega, task: Goal, learner: Learner) -> Learner:
        """Learn from the last episodes, and play those of the new weights."""
        return self.rule.update(learner, task.start, task.noise)

    def loss(self, key: Key, omega: Omega, task: Goal, learner: Learner) -> Scalar:
        """Return the mean return of the last episodes."""
        return self.rule.total(learner)

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw the ways of the robots to three held-out goals before and after each update; animate one of them."""
        from evometa.plots import animation, style

        rows = [self._ways(one, omega) for one in jax.random.split(key, 3)]
        picture = style.figure(width=2.2 * len(rows[0][1]), height=6.6)
        for line, (goal, ways) in zip(picture.subplots(3, len(rows[0][1]), squeeze=False), rows, strict=True):
            for axes, (title, way) in zip(line, ways.items(), strict=True):
                axes.plot(*np.moveaxis(way, -1, 0), color="#0072B2", linewidth=0.6, alpha=0.6)
                self._draw(axes, goal, way[-1])
                axes.set_title(title, fontsize="small")
                axes.set(xticks=[], yticks=[])
        goal, ways = rows[0]
        panels = {title: self._frames(goal, way) for title, way in ways.items()}
        return {"ways": picture, "moving": animation(panels, range(min(self.horizon, 40)), frames_per_second=10)}

    def _ways(self, key: Key, omega: Omega) -> tuple[Any, dict[str, Any]]:
        """Return a held-out goal ``[2]``, and the positions ``[S, N, 2]`` with the return of each update."""
        task, learners = record_learner(self, key, omega)
        rule = self.rule
        first = rule.begin(omega, task.start, task.noise)
        numbers = range(self.inner_steps)
        stages = [first, *(jax.tree.map(operator.itemgetter(number), learners) for number in numbers)]
        names = ["before", "after 1 update", *(f"after {n} updates" for n in range(2, self.inner_steps + 1))]
        return task.start.goal, {
            f"{name}: {float(rule.total(stage)):.3g}": np.asarray(rule.positions(stage, task.start))
            for name, stage in zip(names, stages, strict=True)
        }

    def _frames(self, goal: Any, way: Any) -> Any:
        return lambda axes, frame: self._draw(axes, goal, way[frame])

    def _draw(self, axes: Any, goal: Any, positions: Any) -> None:
        """Draw the goal and where robots ``[N, 2]`` are."""
        limit = 1.4 * self.environment.goal_range
        axes.scatter(*np.transpose(positions), s=8, color="#0072B2", zorder=3)
        axes.scatter(*goal, marker="*", s=70, color="#D55E00", zorder=4)
        axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
