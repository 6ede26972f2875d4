"""A policy of mazes that draws a map of what it has seen, and plans on it by what it has learned to look for."""

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from evometa.environments import Discrete
from evometa.types import Key

CLOSED = 1e6
"""The cost of a side with a wall, in moves."""
UNIT = 10.0
"""Moves of which the network counts what a cell is worth."""
FEATURES = 5
"""Numbers that the network sees of a cell."""


@dataclasses.dataclass(frozen=True)
class MapPolicy:
    """A recurrent policy whose memory is a map, and whose plan is found by dynamic programming on the map.

    The memory holds for each cell, by the robot's own position, what the robot saw when it was there: its open sides,
    and whether the goal was there; nothing of cells in which it was not. In each step a small network, the same for
    every cell, computes from the map what it is worth to be in the cell; the values spread from cell to cell, less a
    move for each open passage and a learned number of moves for one of which nothing is known yet; and the robot moves
    to where the value is largest. What is given is how to draw the map and how values spread; what is learned is the
    network: what is worth going to before the goal is known, and after. It serves mazes of any size.

    Papers: Tamar et al., "Value iteration networks", NeurIPS 2016; Parisotto and Salakhutdinov, "Neural map: structured
    memory for deep reinforcement learning", ICLR 2018.

    Args:
        size: rows and columns of the maze.
        units: hidden units of the network.
    """

    actions: ClassVar[Discrete] = Discrete(4)

    size: int
    units: int

    @property
    def observations(self) -> int:
        """O: open sides, last direction, place, and whether this is the goal."""
        return 11

    def draw(self, key: Key) -> dict[str, jax.Array]:
        """Draw weights of variance 1 / inputs and biases of zero; an unknown passage costs two moves."""
        key_hidden, key_output = jax.random.split(key)
        return {
            "hidden": jax.random.normal(key_hidden, (FEATURES, self.units), jnp.float32) / math.sqrt(FEATURES),
            "hidden_bias": jnp.zeros(self.units, jnp.float32),
            "output": jax.random.normal(key_output, (self.units,), jnp.float32) / math.sqrt(self.units),
            "log_unknown": jnp.float32(math.log(2)),
        }

    def memory(self) -> jax.Array:
        """Return an empty map, ``[size, size, 6]``: open sides, whether the robot was there, and the goal."""
        return jnp.zeros((self.size, self.size, 6), jnp.float32)

    def run(self, weights: Any, memory: jax.Array, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return what each side of the robot's cell leads to, ``[4]``, and the map after an observation ``[O]``."""
        place = jnp.round((observation[8:10] + 1) * ((self.size - 1) / 2))
        here = (jnp.arange(self.size) == place[0])[:, None] & (jnp.arange(self.size) == place[1])[None]
        seen = jnp.concatenate([observation[:4], jnp.ones(1), observation[10:]])
        memory = jnp.where(here[..., None], seen[None, None], memory)
        costs, features = self._read(weights, memory)
        hidden = jnp.tanh(features @ weights["hidden"] + weights["hidden_bias"][None, None])
        worth = UNIT * (hidden @ weights["output"])

        def spread(values: jax.Array, _: None) -> tuple[jax.Array, None]:
            return jnp.maximum(worth, jnp.max(_beyond(values) - costs, axis=-1)), None

        values, _ = jax.lax.scan(spread, worth, None, 3 * self.size)
        return jnp.sum(jnp.where(here[..., None], _beyond(values) - costs, 0.0), axis=(0, 1)), memory

    def choose(self, outputs: jax.Array) -> jax.Array:
        """Return the side that leads to most."""
        return jnp.argmax(outputs).astype(jnp.int32)

    def _read(self, weights: Any, memory: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return what sides cost by a map, ``[size, size, 4]``, and what the network sees of each cell."""
        opened, visited, goal = memory[..., :4], memory[..., 4:5], memory[..., 5:]
        walls = visited * (1 - opened)
        rim = 1 - _beyond(jnp.ones((self.size, self.size)), 0.0)
        opened, walls = (jnp.maximum(part, _across(part)) for part in (opened, walls))
        walls = jnp.maximum(walls, rim)
        costs = jnp.where(walls > 0, CLOSED, jnp.where(opened > 0, 1.0, jnp.exp(weights["log_unknown"])))
        known = jnp.broadcast_to(jnp.max(goal), visited.shape)
        shares = (jnp.mean(part, axis=-1, keepdims=True) for part in (opened, walls))
        return costs, jnp.concatenate([visited, goal, known, *shares], axis=-1)


def _beyond(values: jax.Array, outside: float = -CLOSED) -> jax.Array:
    """Return the values of the cells to the north, east, south and west of each cell, ``[size, size, 4]``."""
    size = len(values)
    wide = jnp.pad(values, 1, constant_values=outside)
    corners = ((0, 1), (1, 2), (2, 1), (1, 0))
    return jnp.stack([wide[row : row + size, column : column + size] for row, column in corners], axis=-1)


def _across(sides: jax.Array) -> jax.Array:
    """Return what the cells beyond say of the sides that they share with each cell, ``[size, size, 4]``."""
    return jnp.stack([_beyond(sides[..., (side + 2) % 4], 0.0)[..., side] for side in range(4)], axis=-1)
