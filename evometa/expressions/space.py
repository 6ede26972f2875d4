"""The space of expressions, for problems in which ω is a formula."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

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
from evometa.expressions.tree import Tree, from_nodes, nodes, require_valid
from evometa.settings import Count, Natural, Numbers
from evometa.spaces import Space
from evometa.types import Key, Omega, Scalar

INITIAL_DEPTH = 4
"""The largest depth to which :meth:`Expression.sample` grows a tree."""
POINTS = 64
"""The default number of points at which expressions are compared."""


class Expression(Space):
    """Typed expressions; a genotype is a :class:`~evometa.expressions.Tree`, ω a callable program.

    Args:
        primitives: the primitive set of the expressions.
        max_size: nodes at most, the length L of a genotype.
        max_depth: depth at most, 0 for a single node.
        start: text of the expression at which a search begins; None draws it.
        differentiated: names of the arguments with respect to which the problem differentiates the expression; empty
            if the problem uses its value.
        points: the points at which expressions are compared before they are evaluated, one array ``[W]`` for each
            argument; None for 64 draws from the standard normal distribution for each.
        omega: makes ω of a program, which is a pytree; None: the program itself is ω.
        inverse: makes text, a tree or a program of what a search is given to begin with, where ω is more than that.

    Raises:
        ConfigurationError: no tree of the right type is within the limits, the start is no valid expression or exceeds
            them, a differentiated argument does not exist, or the points are not one array of one length for each
            argument.
    """

    branches = True

    def __init__(
        self,
        primitives: PrimitiveSet,
        max_size: Count = 31,
        max_depth: Natural = 17,
        *,
        start: str | None = None,
        differentiated: Sequence[str] = (),
        points: Sequence[Annotated[ArrayLike, Numbers()]] | None = None,
        omega: Callable[[Program], Omega] | None = None,
        inverse: Callable[[Any], Any] | None = None,
    ) -> None:
        root = primitives.types.index(primitives.returns)
        size, depth = int(primitives.least_sizes[root]), int(primitives.least_depths[root])
        for name, limit, least in (("max_size", max_size, size), ("max_depth", max_depth, depth)):
            if limit < least:
                raise ConfigurationError(
                    f"Expression expects {name} >= {least}, which the smallest expression of type "
                    f"{primitives.returns!r} needs, got {limit!r}."
                )
        self.primitives, self.max_size, self.max_depth = primitives, max_size, max_depth
        self._root, self._least_depth, self._omega = root, depth, omega
        self._inverse = inverse
        self._start = None if start is None else parse(primitives, start, max_size)
        if self._start is not None:
            require_valid(primitives, nodes(self._start), max_depth)
        self._set_points(tuple(differentiated), points)

    def _set_points(self, differentiated: tuple[str, ...], points: Sequence[ArrayLike] | None) -> None:
        names = self.primitives.argument_names
        unknown = [name for name in differentiated if name not in names]
        if unknown:
            raise ConfigurationError(
                f"Expression expects differentiated to name some of the arguments {names}, got {unknown[0]!r}."
            )
        drawn = np.random.default_rng(0).standard_normal((len(names), POINTS))
        arrays = tuple(np.asarray(array, np.float32) for array in (drawn if points is None else points))
        if len(arrays) != len(names) or len({array.shape for array in arrays}) != 1 or arrays[0].ndim != 1:
            raise ConfigurationError(
                f"Expression expects points as one array [W] for each of {names}, all of one length, "
                f"got the shapes {[array.shape for array in arrays]}."
            )
        self.points, self.differentiated = arrays, tuple(names.index(name) for name in differentiated)

    def behaviour(self, genotype: Tree) -> Behaviour:
        """Return the fingerprint of an expression at the points, and whether it can train anything."""
        return behaviour(self._program(genotype), self._point_arrays(), self.differentiated)

    def behaviours(self, genotypes: Tree) -> Behaviour:
        """Return the same for a population ``[P, ...]``, with a leading axis P."""
        return behaviours(jax.vmap(self._program)(genotypes), self._point_arrays(), self.differentiated)

    def _point_arrays(self) -> tuple[jax.Array, ...]:
        return tuple(jnp.asarray(array) for array in self.points)

    def start(self, key: Key) -> Tree:
        """Return the given start, or a draw."""
        return self.sample(key) if self._start is None else self._start

    def sample(self, key: Key) -> Tree:
        """Draw a tree by ramped half-and-half (Koza 1992), with depths from 1 to 4."""
        uniforms = jax.random.uniform(key, (2 + 2 * self.max_size,))
        deepest = min(INITIAL_DEPTH, self.max_depth)
        shallowest = min(max(1, self._least_depth), deepest)
        return grow(
            uniforms[2:],
            self.primitives,
            self.max_size,
            type_=self._root,
            max_size=self.max_size,
            max_depth=self.max_depth,
            depth=shallowest + (uniforms[0] * (deepest + 1 - shallowest)).astype(jnp.int32),
            full=uniforms[1] < 0.5,
        )

    def repair(self, genotype: Tree) -> Tree:
        """Return the genotype as it is: everything that this space generates is valid."""
        return genotype

    def decode(self, genotype: Tree) -> Omega:
        """Compile a genotype to a program, which is called with one array for each argument."""
        program = self._program(genotype)
        return program if self._omega is None else self._omega(program)

    def _program(self, genotype: Tree) -> Program:
        return compile_tree(self.primitives, genotype)

    def encode(self, omega: Any) -> Tree:
        """Return the tree of an expression: of its text, of a tree, or of what :meth:`decode` returns.

        Raises:
            ConfigurationError: it is no expression of this space.
        """
        program = omega = omega if self._inverse is None else self._inverse(omega)
        tree = parse(self.primitives, omega, self.max_size) if isinstance(omega, str) else program
        tree = tree.tree if isinstance(tree, Program) else tree
        if not isinstance(tree, Tree):
            raise ConfigurationError(
                f"Expression expects its start as text such as 'add(x, 0.5)', a Tree or a program that was found, "
                f"got {type(omega).__name__}."
            )
        prefix = nodes(tree)
        require_valid(self.primitives, prefix, self.max_depth)
        return from_nodes(prefix, self.max_size)

    def mutate(self, key: Key, genotype: Tree, rate: float = 1.0, scale: float = 0.1) -> Tree:
        """Return a copy changed by subtree, hoist, point or constant mutation, all equally likely.

        A tree to which the last three do not apply gets a new subtree.

        Args:
            key: random key.
            genotype: a valid tree.
            rate: chance in [0, 1] of each node to change in a point mutation and of each constant in a constant
                mutation; at least one changes.
            scale: step size of constants, in standard deviations of the distribution that they are drawn from.
        """
        primitives, size, depth = self.primitives, self.max_size, self.max_depth
        uniforms = jax.random.uniform(key, (4 + 3 * size,))
        kind, shared = (4 * uniforms[0]).astype(jnp.int32), uniforms[1:]  # only one of the mutations is taken
        alternatives = [
            variation.hoist_mutation(shared[:2], primitives, genotype),
            variation.point_mutation(shared[: 1 + 3 * size], primitives, genotype, rate),
            variation.constant_mutation(shared[: 1 + 2 * size], primitives, genotype, rate, scale),
        ]
        child = variation.subtree_mutation(shared[: 3 + 2 * size], primitives, genotype, size, depth)
        for number, other in enumerate(alternatives):
            child = variation.select((kind == number) & _differ(other, genotype), other, child)
        return child

    def crossover(self, key: Key, first: Tree, second: Tree) -> Tree:
        """Return the first tree with a subtree replaced by one of the second; unchanged if none fits."""
        uniforms = jax.random.uniform(key, (2,))
        return variation.subtree_crossover(uniforms, self.primitives, first, second, self.max_size, self.max_depth)


def _differ(first: Tree, second: Tree) -> Scalar:
    return jnp.any(first.op != second.op) | jnp.any(first.constant != second.constant)
