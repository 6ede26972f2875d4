"""A maze that is learned from the returns of walks to many goals: what is learned is the layout.

Branch of meta-learning: shared knowledge of tasks. Tasks are goals in one maze; ω is what a planner believes of its
walls before it sees any.
"""

import dataclasses
import functools
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.card import ProblemCard, Recipe
from evometa.problem import Evaluation, Problem
from evometa.problems.control.mazes import distances, draw_layout, draw_walls, neighbours, passages
from evometa.settings import Chance, Count, Natural, NonNegative, Several
from evometa.spaces import Box
from evometa.types import Key, Omega, Scalar

CLOSED = 1e6
"""The cost of a side at which the robot met a wall, in moves."""
HELD_OUT = 0.25
"""The share of cells that are goals of tests alone."""


class Planner(NamedTuple):
    """A robot on its way, and what it believes of the maze."""

    cell: Scalar
    """Where it is, int32."""
    costs: jax.Array
    """``[N, 4]``, what each side of each cell costs to pass, in moves."""
    values: jax.Array
    """``[N]``, what the way from each cell to the goal costs at least."""
    moves: Scalar
    """Moves so far, those into walls included, int32."""


@dataclasses.dataclass(frozen=True)
class MazeLayout(Problem):
    """Learn the layout of a maze from how long the ways to many goals take.

    A robot plans its way to a goal by what it believes each passage of the maze to cost, and always takes the side that
    looks best. A move into a wall is lost, and the robot remembers that wall until the goal is reached; it revises its
    plan as LRTA* does (Korf 1990), so that it always arrives. ω holds the costs that it begins with, one for each pair
    of neighbouring cells: without knowledge all are 1. The fitness, to be minimised, is the number of moves over the
    length of the shortest way, and a little for moves that were not expected. A quarter of the cells are goals of tests
    alone.

    Result (``benchmarks/mazes.py layout``), 30 seconds of CMA-ES on a shared core: ways to held-out goals are 1.02,
    1.00 and 1.00 times as long as the shortest in three mazes; 4.65, 3.17 and 2.46 times without knowledge, and 28 to
    38 times with the costs of another maze. Without ``surprise`` two mazes have 1.02 and 1.01, and the third 5.69.

    Args:
        layout: the number of the maze.
        size: rows and columns.
        loops: the chance of a wall that is not needed to be open; 0: the maze is a tree.
        limit: moves after which the robot gives up.
        surprise: what is added to the fitness for each unit of the squared logarithm of the moves over those that the
            robot expected when it began. A way says with it what each passage on it costs, also one out of a dead end
            that is no goal of the search; without this, such a cost walks at random, and a way to a held-out goal there
            can be long.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="control",
        omega="costs of passages",
        learner="planner",
        paper="Korf 1990",
        recipe=Recipe("CMAES", {"population_size": 32}, {"seconds": 30}),
    )

    layout: Natural = 0
    size: Several = 7
    loops: Chance = 0.1
    limit: Count = 300
    surprise: NonNegative = 0.1
    num_tasks: Count = dataclasses.field(default=32, kw_only=True)

    @property
    def space(self) -> Box:
        """Costs from .1 to 100 moves, by their logarithms; a search starts where each passage costs one move."""
        pairs, _ = passages(self.size)
        return Box((len(pairs),), 0.1, 100.0, log=True, scale=1.0, start=1.0)

    @property
    def maze(self) -> "FixedMaze":
        """The maze."""
        return fixed_maze(self.layout, self.size, self.loops)

    def shifted(self) -> dict[str, "MazeLayout"]:
        """The same in another maze, of which nothing was learned."""
        return {"another maze": dataclasses.replace(self, layout=self.layout + 1)}

    def evaluate(self, key: Key, omega: Omega) -> Evaluation:
        """Walk from a random cell to a goal of the search; what was not expected adds to the fitness."""
        walk = self._walk(key, omega, self.maze.goals)
        wrong = jnp.log(walk.metrics["moves"] / walk.metrics["expected"]) ** 2
        return walk._replace(fitness=walk.fitness + np.float32(self.surprise) * wrong)

    def evaluate_test(self, key: Key, omega: Omega) -> Evaluation:
        """Walk from a random cell to a goal of tests alone."""
        return self._walk(key, omega, self.maze.test_goals)

    def _walk(self, key: Key, omega: Omega, goals: NDArray[np.int32]) -> Evaluation:
        start, goal = self.draw_way(key, goals)

        def on_its_way(planner: Planner) -> Scalar:
            return (planner.cell != goal) & (planner.moves < self.limit)

        first = self.plan(omega, start, goal)
        moves = jax.lax.while_loop(on_its_way, self.move, first).moves.astype(jnp.float32)
        metrics = {"moves": moves, "expected": first.values[start]}
        return Evaluation(moves / jnp.asarray(self.maze.shortest)[goal, start], metrics)

    def draw_way(self, key: Key, goals: NDArray[np.int32]) -> tuple[Scalar, Scalar]:
        """Draw a goal of some, and another cell to start in."""
        key_goal, key_start = jax.random.split(key)
        goal = jax.random.choice(key_goal, jnp.asarray(goals))
        start = jax.random.randint(key_start, (), 0, self.size**2 - 1)
        return jnp.where(start >= goal, start + 1, start), goal

    def plan(self, omega: Omega, start: Scalar, goal: Scalar) -> Planner:
        """Return a robot at the start, with the values of its first plan."""
        _, sides = passages(self.size)
        costs = jnp.where(sides >= 0, omega[sides], CLOSED)
        beyond = neighbours(self.size)
        there = jnp.arange(self.size**2) == goal

        def relax(values: jax.Array, _: None) -> tuple[jax.Array, None]:
            return jnp.where(there, 0.0, jnp.min(costs + values[beyond], axis=1)), None

        values = jnp.where(there, 0.0, CLOSED).astype(jnp.float32)
        values, _ = jax.lax.scan(relax, values, None, 4 * self.size)
        return Planner(start, costs, values, jnp.int32(0))

    def move(self, planner: Planner) -> Planner:
        """Take the side that looks best, and remember whether there was a wall."""
        beyond, layout = (jnp.asarray(table) for table in (neighbours(self.size), self.maze.layout))
        here = jnp.arange(self.size**2) == planner.cell
        expected = planner.costs[planner.cell] + planner.values[beyond[planner.cell]]
        side = jnp.argmin(expected)
        passes = layout[planner.cell, side]
        values = jnp.where(here, jnp.maximum(planner.values, jnp.min(expected)), planner.values)
        wall = here[:, None] & (jnp.arange(4) == side)[None] & ~passes
        cell = jnp.where(passes, beyond[planner.cell, side], planner.cell)
        return Planner(cell, jnp.where(wall, CLOSED, planner.costs), values, planner.moves + 1)

    def record(self, omega: Omega, start: Scalar, goal: Scalar) -> NDArray[np.int32]:
        """Return the cells of a way, one for each move, ``[moves + 1]``."""

        def step(planner: Planner, _: None) -> tuple[Planner, Planner]:
            return self.move(planner), planner

        planners = jax.jit(lambda: jax.lax.scan(step, self.plan(omega, start, goal), None, self.limit + 1)[1])()
        cells = np.asarray(planners.cell)
        there = np.flatnonzero(cells == goal)
        return cells[: there[0] + 1] if len(there) else cells

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw the maze with what ω believes of it, and animate the longest way to a held-out goal."""
        from evometa.plots import animation, style

        goal = int(self.draw_way(key, self.maze.test_goals)[1])
        start = int(np.argmax(self.maze.shortest[goal]))
        ways = {
            name: self.record(known, jnp.int32(start), jnp.int32(goal))
            for name, known in (("without knowledge", np.ones_like(omega)), ("found", omega))
        }
        titles = [
            f"{name}: {len(way) - 1} moves of {self.maze.shortest[goal, start]:.0f}" for name, way in ways.items()
        ]
        pairs, _ = passages(self.size)
        picture = style.figure(width=8.0, height=2.9)
        for axes, title, way in zip(
            picture.subplots(1, 3), ["costs found", *titles], [None, *ways.values()], strict=True
        ):
            if way is None:
                rows, columns = np.divmod(pairs, self.size)
                shown = axes.scatter(columns.mean(1), -rows.mean(1), c=np.log10(omega), s=30, cmap="viridis")
                picture.colorbar(shown, ax=axes, label="log10 of moves")
            else:
                axes.plot(way % self.size, -(way // self.size), color="#0072B2", linewidth=1.5)
            draw_walls(axes, self.maze.layout)
            axes.plot(goal % self.size, -(goal // self.size), "*", color="#D55E00", markersize=10)
            axes.set(xticks=[], yticks=[])
            axes.set_title(title, fontsize="small")
        panels = {title: self._frames(way, goal) for title, way in zip(titles, ways.values(), strict=True)}
        longest = max(map(len, ways.values()))
        return {"layout": picture, "walking": animation(panels, range(min(longest, 80)), frames_per_second=8)}

    def _frames(self, way: NDArray[np.int32], goal: int) -> Any:
        def draw(axes: Any, frame: int) -> None:
            draw_walls(axes, self.maze.layout)
            seen = way[: frame + 1]
            axes.plot(seen % self.size, -(seen // self.size), color="#0072B2", linewidth=1, alpha=0.5)
            for cell, marker, colour in ((goal, "*", "#D55E00"), (seen[-1], "o", "#0072B2")):
                axes.plot(cell % self.size, -(cell // self.size), marker, color=colour, markersize=8)

        return draw


class FixedMaze(NamedTuple):
    """One maze, arrays of numpy."""

    layout: NDArray[np.bool_]
    """``[N, 4]``, which sides of each cell are open."""
    shortest: NDArray[np.float32]
    """``[N, N]``, the length of the shortest way between any two cells."""
    goals: NDArray[np.int32]
    """Cells that are goals of the search."""
    test_goals: NDArray[np.int32]
    """Cells that are goals of tests."""


@functools.cache
def fixed_maze(number: int, size: int, loops: float) -> FixedMaze:
    """Return a maze by its number."""
    with jax.ensure_compile_time_eval():
        layout = draw_layout(jax.random.key(number), size, loops)
        shortest = jax.vmap(lambda goal: distances(layout, goal))(jnp.arange(size**2))
    cells = np.random.default_rng(number).permutation(size**2).astype(np.int32)
    held_out = max(1, round(HELD_OUT * size**2))
    return FixedMaze(np.asarray(layout), np.asarray(shortest), cells[held_out:], cells[:held_out])
