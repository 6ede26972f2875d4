"""Random mazes, and a robot that walks in one."""

import dataclasses
import functools
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.environments import Discrete, Environment, State, Transition
from evometa.settings import Chance, Count, Several
from evometa.types import Key, Scalar

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""North, east, south, west: row and column."""


@functools.cache
def passages(size: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the pairs of neighbouring cells ``[E, 2]``, and the pair at each cell's four sides ``[N, 4]``, -1 outside.

    The cells of a square maze are numbered row by row; N is their number.
    """
    pairs: list[tuple[int, int]] = []
    sides = np.full((size * size, 4), -1, np.int32)
    for cell in range(size * size):
        row, column = divmod(cell, size)
        for side, (down, right) in ((1, MOVES[1]), (2, MOVES[2])):
            if row + down < size and column + right < size:
                other = (row + down) * size + column + right
                sides[cell, side] = sides[other, (side + 2) % 4] = len(pairs)
                pairs.append((cell, other))
    return np.asarray(pairs, np.int32), sides


def draw_layout(key: Key, size: int, loops: float) -> jax.Array:
    """Draw a maze: which of the four sides of each cell are open, ``[N, 4]``.

    Passages with random weights make a minimal spanning tree (Prim's algorithm), so that every cell can be reached, and
    each of the other walls is open with a chance of its own.

    Args:
        key: randomness.
        size: rows and columns.
        loops: the chance of a wall that the tree leaves to be open.
    """
    pairs, sides = passages(size)
    key_weights, key_loops = jax.random.split(key)
    weights = jax.random.uniform(key_weights, (len(pairs),))

    def grow(carry: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple[jax.Array, jax.Array], None]:
        reached, opened = carry
        leads_out = reached[pairs[:, 0]] != reached[pairs[:, 1]]
        chosen = jnp.argmin(jnp.where(leads_out, weights, jnp.inf))
        return (reached.at[jnp.asarray(pairs)[chosen]].set(True), opened.at[chosen].set(True)), None

    start = jnp.zeros(size * size, bool).at[0].set(True), jnp.zeros(len(pairs), bool)
    (_, opened), _ = jax.lax.scan(grow, start, None, size * size - 1)
    opened = opened | (jax.random.uniform(key_loops, opened.shape) < loops)
    return jnp.where(sides >= 0, opened[sides], False)


def distances(layout: jax.Array, goal: Scalar) -> jax.Array:
    """Return the steps from each cell of a maze ``[N, 4]`` to a goal, ``[N]``, float32."""
    cells = len(layout)
    beyond = neighbours(round(cells**0.5))

    def relax(found: jax.Array, _: None) -> tuple[jax.Array, None]:
        onward = jnp.min(jnp.where(layout, found[beyond], jnp.inf), axis=1) + 1
        return jnp.minimum(found, onward), None

    start = jnp.where(jnp.arange(cells) == goal, 0.0, jnp.inf).astype(jnp.float32)
    return jax.lax.scan(relax, start, None, cells)[0]


@functools.cache
def neighbours(size: int) -> NDArray[np.int32]:
    """Return the cell beyond each side of each cell, ``[N, 4]``; beyond the border the cell itself."""
    pairs, sides = passages(size)
    own = np.arange(size * size, dtype=np.int32)[:, None]
    return np.where(sides >= 0, pairs[sides].sum(-1) - own, own).astype(np.int32)


class Walk(NamedTuple):
    """The state: a maze, and a robot in it."""

    layout: jax.Array
    """``[N, 4]``, which sides of each cell are open."""
    goal: Scalar
    """The cell to be reached, int32."""
    cell: Scalar
    """The robot's, int32."""
    heading: Scalar
    """The side through which it came into the cell, reversed: the direction of its last move, int32; 0 at first."""


@dataclasses.dataclass(frozen=True)
class Maze(Environment):
    """A robot in a random maze that looks for a goal which it sees only when it is there.

    An action is one of four directions; where a wall is, the robot takes the next open side clockwise. It observes the
    four sides of its cell, its last direction, its position, and whether it is at the goal. An episode ends with the
    step after it has come to the goal, in which it stays; each move before is worth -1.

    Args:
        size: rows and columns.
        loops: the chance of a wall that is not needed to be open; 0: mazes are trees.
        max_steps: the time limit in steps.
    """

    size: Several = 5
    loops: Chance = 0.2
    max_steps: Count = 60

    actions: ClassVar[Discrete] = Discrete(4)

    def reset(self, key: Key) -> State:
        """Draw a maze, a goal, and another cell to start in."""
        key_layout, key_cells = jax.random.split(key)
        goal, cell = jax.random.choice(key_cells, self.size**2, (2,), replace=False).astype(jnp.int32)
        return Walk(draw_layout(key_layout, self.size, self.loops), goal, cell, jnp.int32(0))

    def step(self, key: Key, state: State, action: jax.Array) -> Transition:
        """Move to the next cell, unless the robot is at its goal."""
        there = state.cell == state.goal
        sides = (action + jnp.arange(4)) % 4
        side = sides[jnp.argmax(state.layout[state.cell][sides])].astype(jnp.int32)
        cell = jnp.where(there, state.cell, jnp.asarray(neighbours(self.size))[state.cell, side])
        after = state._replace(cell=cell, heading=jnp.where(there, state.heading, side))
        return Transition(after, jnp.where(there, 0.0, -1.0), there)

    def observe(self, state: State) -> jax.Array:
        """Return what the robot sees, ``[11]``: open sides, last direction, place from -1 to 1, whether it has come."""
        place = jnp.stack([state.cell // self.size, state.cell % self.size])
        parts = (
            state.layout[state.cell],
            jax.nn.one_hot(state.heading, 4),
            place * (2 / (self.size - 1)) - 1,
            (state.cell == state.goal)[None],
        )
        return jnp.concatenate([part.astype(jnp.float32) for part in parts])

    def draw(self, axes: Any, state: Walk) -> None:
        """Draw walls, goal and robot."""
        draw_walls(axes, np.asarray(state.layout))
        for cell, marker, colour in ((state.goal, "*", "#D55E00"), (state.cell, "o", "#0072B2")):
            axes.plot(cell % self.size, -(cell // self.size), marker, color=colour, markersize=9)


def draw_walls(axes: Any, layout: NDArray[np.bool_]) -> None:
    """Draw the walls of a maze ``[N, 4]``; cell (row, column) is at x = column, y = -row."""
    size = round(len(layout) ** 0.5)
    for cell, sides in enumerate(layout):
        y, x = -(cell // size), cell % size
        for side, (down, right) in zip(sides, MOVES, strict=True):
            if not side:
                middle, along = (x + right / 2, y - down / 2), (down / 2, right / 2)
                axes.plot(
                    [middle[0] - along[0], middle[0] + along[0]],
                    [middle[1] - along[1], middle[1] + along[1]],
                    color="#404040", linewidth=1.5, solid_capstyle="round",
                )  # fmt: skip
    axes.set(xlim=(-0.7, size - 0.3), ylim=(0.3 - size, 0.7), aspect="equal")
