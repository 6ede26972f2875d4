"""The space of expressions: what strategies search when ω is a formula."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from evometa.errors import ConfigurationError
from evometa.expressions import variation
from evometa.expressions.behaviour import Behaviour, behaviour, behaviours
from evometa.expressions.growth import grow
from evometa.expressions.notation import parse
from evometa.expressions.primitives import PrimitiveSet
from evometa.expressions.program import Program, compile_tree
from evometa.expressions.tree import Tree, nodes, require_valid
from evometa.space import Space
from evometa.types import Key, Scalar

INITIAL_DEPTH = 4
"""The largest depth that a drawn tree is grown to."""
POINTS = 64
"""How many points expressions are compared at, by default."""


class Expression(Space):
    """Typed expressions; the genotype is a :class:`~evometa.expressions.Tree`, ω a program to call on arrays.

    Args:
        primitives: what expressions are made of.
        max_size: nodes at most, the length L of a genotype.
        max_depth: depth at most, 0 for a single node.
        start: text of the expression a search begins at; None draws it.
        differentiated: the arguments by which the problem differentiates the expression; none where its value is used.
        points: where two expressions are compared before either is judged, one array ``[W]`` for each argument; None:
            64 draws from a normal distribution for each.

    Raises:
        ConfigurationError: limits that no tree of the right type keeps, or a start that is no valid expression or
            breaks them; a differentiated argument that there is not, or points of another number or of unequal lengths.
    """

    branches = True

    def __init__(
        self,
        primitives: PrimitiveSet,
        max_size: int = 31,
        max_depth: int = 17,
        *,
        start: str | None = None,
        differentiated: Sequence[str] = (),
        points: Sequence[ArrayLike] | None = None,
    ) -> None:
        root = primitives.types.index(primitives.returns)
        size, depth = int(primitives.least_sizes[root]), int(primitives.least_depths[root])
        for name, given, least in (("max_size", max_size, size), ("max_depth", max_depth, depth)):
            if not isinstance(given, int) or given < least:
                raise ConfigurationError(
                    f"Expression expects a whole number {name} >= {least}, what the smallest expression of type "
                    f"{primitives.returns!r} needs, got {given!r}."
                )
        self.primitives, self.max_size, self.max_depth = primitives, max_size, max_depth
        self._root, self._least_depth = root, depth
        self._start = None if start is None else parse(primitives, start, max_size)
        if self._start is not None:
            require_valid(primitives, nodes(self._start), max_depth)
        self._set_points(tuple(differentiated), points)

    def _set_points(self, differentiated: tuple[str, ...], points: Sequence[ArrayLike] | None) -> None:
        names = self.primitives.argument_names
        strangers = [name for name in differentiated if name not in names]
        if strangers:
            raise ConfigurationError(
                f"Expression expects to be differentiated by some of {names}, got {strangers[0]!r}."
            )
        drawn = np.random.default_rng(0).standard_normal((len(names), POINTS))
        given = tuple(np.asarray(one, np.float32) for one in (drawn if points is None else points))
        if len(given) != len(names) or len({one.shape for one in given}) != 1 or given[0].ndim != 1:
            raise ConfigurationError(
                f"Expression expects points as one array [W] for each of {names}, all of one length, "
                f"got the shapes {[one.shape for one in given]}."
            )
        self.points, self.differentiated = given, tuple(names.index(name) for name in differentiated)

    def behaviour(self, genotype: Tree) -> Behaviour:
        """Return what an expression does at the points, and whether it is any use."""
        return behaviour(self.decode(genotype), self._points(), self.differentiated)

    def behaviours(self, genotypes: Tree) -> Behaviour:
        """Return the same for a population ``[P, ...]``."""
        return behaviours(jax.vmap(self.decode)(genotypes), self._points(), self.differentiated)

    def _points(self) -> tuple[jax.Array, ...]:
        return tuple(jnp.asarray(one) for one in self.points)

    def start(self, key: Key) -> Tree:
        """Return the given start, or a draw."""
        return self.sample(key) if self._start is None else self._start

    def sample(self, key: Key) -> Tree:
        """Draw a tree: half of them full, half not, to a depth drawn between 1 and 4 (Koza's ramped half-and-half)."""
        lots = jax.random.uniform(key, (2 + 2 * self.max_size,))
        most = min(INITIAL_DEPTH, self.max_depth)
        least = min(max(1, self._least_depth), most)
        return grow(
            lots[2:],
            self.primitives,
            self.max_size,
            type_=self._root,
            max_size=self.max_size,
            max_depth=self.max_depth,
            depth=least + (lots[0] * (most + 1 - least)).astype(jnp.int32),
            full=lots[1] < 0.5,
        )

    def repair(self, genotype: Tree) -> Tree:
        """Return the genotype: all that this space makes is valid."""
        return genotype

    def decode(self, genotype: Tree) -> Program:
        """Turn a genotype into a program that is called with one array for each argument."""
        return compile_tree(self.primitives, genotype)

    def mutate(self, key: Key, genotype: Tree, rate: float = 1.0, scale: float = 0.1) -> Tree:
        """Return a changed copy: by one of four changes, equally likely.

        A new random subtree; a node replaced by a subtree below it; nodes exchanged for others of the same types; or
        constants moved. A tree without a place for the last three gets a new subtree.

        Args:
            key: random key.
            genotype: a valid tree.
            rate: chance in [0, 1] of each node, or of each constant, to change by one of the last two; one does in any
                case.
            scale: how far constants move, in standard deviations of what they are drawn from.
        """
        primitives, size, depth = self.primitives, self.max_size, self.max_depth
        lots = jax.random.uniform(key, (4 + 3 * size,))
        kind, own = (4 * lots[0]).astype(jnp.int32), lots[1:]  # for whichever change it will be
        changed = [
            variation.hoist(own[:2], primitives, genotype),
            variation.other_codes(own[: 1 + 3 * size], primitives, genotype, rate),
            variation.other_constants(own[: 1 + 2 * size], primitives, genotype, rate, scale),
        ]
        child = variation.new_branch(own[: 3 + 2 * size], primitives, genotype, size, depth)
        for number, other in enumerate(changed):
            child = variation.choose((kind == number) & _differ(other, genotype), other, child)
        return child

    def crossover(self, key: Key, first: Tree, second: Tree) -> Tree:
        """Return the first tree with a subtree of the second in place of one of its own; or as it is if none fits."""
        lots = jax.random.uniform(key, (2,))
        return variation.exchange(lots, self.primitives, first, second, self.max_size, self.max_depth)


def _differ(first: Tree, second: Tree) -> Scalar:
    return jnp.any(first.op != second.op) | jnp.any(first.constant != second.constant)
