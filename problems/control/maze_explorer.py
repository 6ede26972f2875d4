"""A recurrent explorer that plays two episodes in the same maze, and remembers in the second.

Branch of meta-learning: black-box learners, recurrent. ω holds the weights of a recurrent policy. They are fixed; what
it learns about a maze is in its memory, which it keeps from one episode to the next.
"""

import dataclasses
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.environments import Agent, Policy, Trajectory, play, record
from evometa.objectives import Mean, Objective
from evometa.problem import InnerTraining
from evometa.problems.control.episode_pictures import episode_pictures
from evometa.problems.control.map_policy import MapPolicy
from evometa.problems.control.mazes import Maze, Walk, draw_walls
from evometa.settings import Chance, Count, Several
from evometa.spaces import Like
from evometa.types import Key, Omega, Scalar


class Explorer(NamedTuple):
    """A learner: what the policy remembers, and how long its last episode was."""

    agent: Agent
    moves: Scalar
    """Moves of the last episode, float32."""


@dataclasses.dataclass(frozen=True)
class MazeExplorer(InnerTraining):
    """Explore a maze in one episode, and use in the second what was seen.

    ω holds the weights of a recurrent policy, which chooses the direction of each move (:class:`Maze`). A task is a
    maze with a start and a goal; an inner step is an episode, from the same start to the same goal. Between them the
    memory is kept. It is a map of what the robot itself has seen (:class:`MapPolicy`), or the hidden state of a gated
    recurrent unit. The fitness, to be minimised, is the number of moves, averaged over both episodes.

    Result (``benchmarks/mazes.py explorer``), 3 seeds of OpenAI-ES for 60 seconds on a shared core, held-out mazes:
    with a map 17.2 moves in the first episode and 4.9 in the second, .28 of it, where the shortest way takes 4.7;
    following the wall takes 25.4, and the map with weights set by hand 16.9 and 4.8. With the recurrent unit (24 units,
    256 candidates, 120 seconds, one seed) 19.2 and 17.5.

    Paper: Duan et al., "RL²: fast reinforcement learning via slow reinforcement learning", 2016, whose agent plays two
    episodes in mazes that it sees.

    Args:
        size: rows and columns of the mazes.
        loops: the chance of a wall that is not needed to be open; 0: mazes are trees.
        units: hidden units, of the network that reads the map or of the recurrent unit.
        memory: "map", or "gru", which has to find out by itself how to remember a maze.
        limit: moves after which an episode is over.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="black-box learners, recurrent",
        omega="weights of a recurrent policy",
        learner="the policy's memory",
        paper="Duan et al. 2016",
        recipe=Recipe(
            "OpenAIES",
            {"population_size": 64, "sigma": 0.2, "learning_rate": 0.05, "shaping": "pair_difference",
             "tasks_per_pair": True},
            {"seconds": 60},
        ),
    )  # fmt: skip

    num_tasks: Count = 8
    inner_steps: Count = 2
    objective: Objective = Mean()
    size: Several = 5
    loops: Chance = 0.2
    units: Count = 8
    memory: Literal["map", "gru"] = "map"
    limit: Count = 60

    @property
    def environment(self) -> Maze:
        """Random mazes."""
        return Maze(self.size, self.loops, self.limit)

    @property
    def policy(self) -> Policy | MapPolicy:
        """The explorer's network."""
        environment = self.environment
        if self.memory == "map":
            return MapPolicy(self.size, self.units)
        return Policy(environment.observation_size, environment.actions, (self.units,), recurrent=True)

    @property
    def space(self) -> Like:
        """The weights; a search starts at random ones."""
        return Like(self.policy.draw)

    def shifted(self) -> dict[str, "MazeExplorer"]:
        """Larger mazes; mazes without loops."""
        return {
            "larger mazes": dataclasses.replace(self, size=self.size + 2, limit=2 * self.limit),
            "no loops": dataclasses.replace(self, loops=0.0),
        }

    def sample_task(self, key: Key) -> Walk:
        """Draw a maze, a start and a goal."""
        walk: Walk = self.environment.reset(key)
        return walk

    def init(self, key: Key, omega: Omega, task: Walk) -> Explorer:
        """Return an explorer that remembers nothing."""
        return Explorer(Agent.new(self.policy), jnp.float32(0))

    def step(self, key: Key, omega: Omega, task: Walk, learner: Explorer) -> Explorer:
        """Play one episode with what is remembered of the former."""
        episode, agent = play(self.environment, self.policy, omega, key, learner.agent, task)
        return Explorer(agent, -episode.total)

    def loss(self, key: Key, omega: Omega, task: Walk, learner: Explorer) -> Scalar:
        """Return the moves of the last episode."""
        return learner.moves

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw the ways of both episodes in four held-out mazes, and animate those in the first."""
        from evometa.plots import style

        @jax.jit
        def episodes(key: Key) -> dict[str, Trajectory]:
            task, agent = self.sample_test_task(key), Agent.new(self.policy)
            first, agent = record(self.environment, self.policy, omega, key, agent, task)
            second, _ = record(self.environment, self.policy, omega, key, agent, task)
            return {"first episode": first, "second episode": second}

        played = [jax.device_get(episodes(one)) for one in jax.random.split(key, 4)]
        picture = style.figure(width=8.0, height=4.4)
        for column, maze in zip(picture.subplots(2, 4).T, played, strict=True):
            for axes, (name, episode) in zip(column, maze.items(), strict=True):
                self._draw_way(axes, episode)
                axes.set_title(f"{name}: {-np.sum(episode.rewards):.0f}", fontsize="small")
        return {"ways": picture, "playing": episode_pictures(self.environment, played[0])["playing"]}

    def _draw_way(self, axes: Any, episode: Trajectory) -> None:
        """Draw the maze, the way that the robot went, and where it began and should go."""
        from evometa.plots import style

        cells = episode.states.cell[episode.running]
        # What is gone twice is drawn beside itself.
        beside = 0.01 * (np.arange(len(cells)) - (len(cells) - 1) / 2)
        axes.plot(cells % self.size + beside, -(cells // self.size) + beside, color=style.BLUE, linewidth=1.0)
        draw_walls(axes, episode.states.layout[0])
        for cell, marker, colour in ((cells[0], "o", style.BLUE), (episode.states.goal[0], "*", style.VERMILION)):
            axes.plot(cell % self.size, -(cell // self.size), marker, color=colour, markersize=8)
        axes.set(xticks=[], yticks=[])
