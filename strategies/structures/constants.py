"""A CMA-ES inside genetic programming, for the constants of the best tree."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.expressions import Tree
from evometa.spaces import Box
from evometa.strategies.cma.cmaes import CMAES
from evometa.strategy import Feedback
from evometa.types import Key, Scalar

MOST = 8
"""How many constants of a tree are tuned, the first ones."""


class ConstantSearch(NamedTuple):
    """The state of the search for constants."""

    tree: Tree
    """The tree whose constants are searched, ``[L]``."""
    cmaes: Any
    """State over what is added to them, ``[MOST]``; () when nothing is tuned."""


@dataclasses.dataclass(frozen=True)
class TunedConstants:
    """Draws variants of the best tree with other constants, by CMA-ES.

    Args:
        count: how many in a generation; 0: none.
        code: the code of the constant in the trees.
    """

    count: int
    code: int

    @property
    def _cmaes(self) -> CMAES:
        return CMAES(self.count, sigma=0.3)

    def init(self, key: Key, tree: Tree) -> ConstantSearch:
        """Begin with a tree."""
        return ConstantSearch(tree, self._cmaes.init(key, Box((MOST,), start=np.zeros(MOST))) if self.count else ())

    def ask(self, key: Key, state: ConstantSearch) -> tuple[Tree, ConstantSearch]:
        """Return trees ``[count, L]``."""
        steps, cmaes = self._cmaes.ask(key, state.cmaes)
        constants = state.tree.op == self.code
        place = jnp.cumsum(constants) - 1
        added = jnp.where(constants & (place < MOST), steps[:, jnp.clip(place, 0, MOST - 1)], 0.0)
        op = jnp.broadcast_to(state.tree.op, added.shape)
        return Tree(op, state.tree.constant + added), state._replace(cmaes=cmaes)

    def tell(
        self,
        key: Key,
        state: ConstantSearch,
        genotypes: Tree,
        fitness: jax.Array,
        tried: slice,
        asked: Scalar,
        best: Tree,
    ) -> ConstantSearch:
        """Tell CMA-ES the fitness of the trees, if they were asked for; restart when another tree is the best."""
        key_tell, key_init = jax.random.split(key)
        same = asked & jnp.all(best.op == state.tree.op)
        told = self._cmaes.tell(key_tell, state.cmaes, self._steps(state, genotypes)[tried], Feedback(fitness[tried]))
        going_on = ConstantSearch(state.tree, told)
        after: ConstantSearch = jax.tree.map(lambda a, b: jnp.where(same, a, b), going_on, self.init(key_init, best))
        return after

    def _steps(self, state: ConstantSearch, genotypes: Tree) -> jax.Array:
        """Return the steps added to the constants ``[P, MOST]``; 0 where the tree has fewer constants."""
        constants = state.tree.op == self.code
        place = jnp.argsort(~constants, stable=True)[:MOST]
        return jnp.where(constants[place], genotypes.constant[:, place] - state.tree.constant[place], 0.0)
