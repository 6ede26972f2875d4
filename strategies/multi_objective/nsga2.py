"""NSGA-II: several objectives by fronts and crowding (Deb, Pratap, Agarwal & Meyarivan 2002)."""

import dataclasses
from typing import Annotated, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from evometa.errors import ConfigurationError
from evometa.feasibility import ConstraintHandling
from evometa.feasibility import violation as amount
from evometa.pareto import crowding, fronts
from evometa.problem import BaseProblem
from evometa.settings import Advice, Chance, Finite, Positive, Range, Several
from evometa.spaces.base import REAL, Space, VectorSpace
from evometa.strategies.multi_objective.hypervolume import MOST_OBJECTIVES, hypervolume
from evometa.strategies.shared import populations
from evometa.strategies.shared.variation import others, polynomial_mutation, simulated_binary_crossover
from evometa.strategies.shared.vectors import refuse_unless_length, require_length
from evometa.strategy import ArchiveRecord, Feedback, Strategy
from evometa.types import Genotype, Key, Scalar

ASKED = -1


class NSGA2State(NamedTuple):
    """The parents, in the order of the crowded comparison: those of better fronts first, then the less crowded ones."""

    parents: Genotype
    """``[P, ...]``, inside the space."""
    fitness: jax.Array
    """``[P]``; +inf for failed candidates and for those not evaluated yet, as the objectives."""
    objectives: jax.Array
    """``[P, M]``."""
    violation: jax.Array
    """``[P]``: the sum of what constraints are violated by; 0 for what is allowed."""
    front: jax.Array
    """``[P]``, int32; 0 is the best. Before any candidate has succeeded: 2 P, and ``ASKED`` from the first ask on."""
    reference: jax.Array
    """``[M]``, the reference point of the hypervolume; +inf before there is one."""
    started: Scalar
    """Whether the parents have been evaluated, bool."""
    space: Space
    """The space, a static part of the state."""


@dataclasses.dataclass(frozen=True)
class NSGA2(Strategy[NSGA2State]):
    """NSGA-II: keep the best of parents and children by fronts, and within a front the least crowded.

    For problems whose :class:`~evometa.Evaluation` has ``objectives``; ``Result.archive`` is the Pareto front.
    Constraints come first: a candidate that violates them less is better, whatever its objectives. Real coordinates are
    bred by simulated binary crossover and polynomial mutation, all others by the space's own ``crossover`` and
    ``mutate``. Parents keep the objectives they were evaluated with, so on a noisy problem lucky candidates stay.

    Raises:
        ConfigurationError: population_size below 2, fewer than two objectives, a reference point of another length, a
            chance outside [0, 1], or an eta that is not positive.
    """

    population_size: Several = 100
    """Parents, and children in a generation, P >= 2."""
    objectives: Annotated[int, Range(least=2), Advice("for a single one use GeneticAlgorithm")] = 2
    """M, how many objectives the problem has, at least 2."""
    crossover_rate: Chance = 0.9
    """Chance of two children to be crossed from their parents, in [0, 1]; otherwise they are copies, then mutated."""
    crossover_eta: Positive = 15.0
    """The larger, the closer real coordinates of children are to those of their parents; positive."""
    mutation_rate: Chance | None = None
    """Chance of each part of a child to change, in [0, 1]; None: 1/D, and exactly one part where there is no D."""
    mutation_eta: Positive = 20.0
    """The larger, the smaller the changes of real coordinates, which are about 1 / eta of a range; positive."""
    reference_point: tuple[Finite, ...] | None = None
    """Up to where the ``hypervolume`` in the history is counted (for two or three objectives), a number for each
    objective as it is to be minimised; None: the worst of each in the first generation."""

    required_feedback: ClassVar[tuple[str, ...]] = ("objectives",)
    constraint_handling: ClassVar[ConstraintHandling] = "own"

    def __post_init__(self) -> None:
        if self.reference_point is not None and len(self.reference_point) != self.objectives:
            raise ConfigurationError(
                f"NSGA2 expects a reference_point of {self.objectives} numbers, one for each objective, "
                f"got {self.reference_point}."
            )

    def problem_incompatibility(self, problem: BaseProblem) -> str | None:
        """Refuse problems with another number of objectives."""
        return refuse_unless_length(self, problem, "objectives", self.objectives, "objectives")

    def init(self, key: Key, space: Space) -> NSGA2State:
        """Draw the first population."""
        size, m, dtype = self.population_size, self.objectives, jnp.result_type(float)
        reference = np.full(m, np.inf) if self.reference_point is None else self.reference_point
        return NSGA2State(
            parents=populations.draw(key, space, size),
            fitness=jnp.full(size, jnp.inf, dtype),
            objectives=jnp.full((size, m), jnp.inf, dtype),
            violation=jnp.full(size, jnp.inf, dtype),
            front=jnp.full(size, 2 * size, jnp.int32),
            reference=jnp.asarray(reference, dtype),
            started=jnp.asarray(False),
            space=space,
        )

    def resized(self, key: Key, state: NSGA2State, space: Space, former: Strategy[NSGA2State]) -> NSGA2State:
        """Keep the best parents, which come first; random draws, ranked behind all others, fill the other places."""
        fresh = self.init(key, space)
        names = ("parents", "fitness", "objectives", "violation", "front")
        return state._replace(**dict(zip(names, populations.resized(state[:5], fresh[:5]), strict=True)))

    def ask(self, key: Key, state: NSGA2State) -> tuple[Genotype, NSGA2State]:
        """Return random draws until a population has a candidate that did not fail; then children."""

        def first() -> Genotype:
            return lax.cond(
                state.front[0] == ASKED,
                lambda: populations.draw(key, state.space, self.population_size),
                lambda: state.parents,
            )

        genotypes = lax.cond(state.started, lambda: self._children(key, state), first)
        return genotypes, state._replace(front=jnp.where(state.started, state.front, ASKED))

    def _children(self, key: Key, state: NSGA2State) -> Genotype:
        space, size = state.space, self.population_size
        key_parents, key_cross, key_mutate, key_other = jax.random.split(key, 4)
        parents = populations.take(state.parents, self._pairs(key_parents))
        rate = self.mutation_rate
        if rate is None:
            rate = 1 / space.size if isinstance(space, VectorSpace) else 0.0

        def bred() -> Genotype:
            one = jax.tree.map(lambda leaf: jnp.concatenate(leaf)[:size], parents)
            two = jax.tree.map(lambda leaf: jnp.concatenate(leaf[::-1])[:size], parents)
            return others(key_other, space, one, two, crossover_rate=self.crossover_rate, mutation_rate=rate)

        if not isinstance(space, VectorSpace):
            return bred()
        bounds = space.coordinates
        crossed = simulated_binary_crossover(
            key_cross, bounds, parents, rate=self.crossover_rate, eta=self.crossover_eta
        )
        children = polynomial_mutation(key_mutate, bounds, crossed[:size], rate=rate, eta=self.mutation_eta)
        if not space.continuous:
            children = jnp.where(bounds.kind == REAL, children, bred())
        return children

    def _pairs(self, key: Key) -> jax.Array:
        """Return the parents of ⌈P/2⌉ pairs, ``[2, ⌈P/2⌉]``, by two rounds of binary tournaments among all members."""
        size = self.population_size
        rounds = jax.vmap(lambda key: jax.random.permutation(key, size))(jax.random.split(key))
        rounds = jnp.concatenate([rounds, rounds[:, : size % 2]], axis=1)
        return jnp.min(rounds.reshape(2, -1, 2), axis=2)  # parents are in order, so the smaller number is better

    def tell(self, key: Key, state: NSGA2State, genotypes: Genotype, feedback: Feedback) -> NSGA2State:
        """Make the better half of parents and children the next parents."""
        told = require_length(self, "objectives", feedback.objectives, self.objectives, "objectives")
        size, dtype = self.population_size, state.objectives.dtype
        violation = jnp.where(jnp.isfinite(feedback.fitness), 0.0, jnp.inf).astype(dtype)
        if feedback.constraints is not None:
            violation += amount(feedback.constraints).astype(dtype)
        children = state._replace(
            parents=genotypes,
            fitness=feedback.fitness.astype(dtype),
            objectives=told.astype(dtype),
            violation=violation,
        )
        # Children first: of equals the newer one survives, so that a population drifts where all is flat.
        both = jax.tree.map(lambda new, old: jnp.concatenate([new, old]), children[:4], state[:4])
        _, _, objectives, violation = both
        front = fronts(objectives, violation, size)
        lucky = jax.random.bits(key, (2 * size,), jnp.uint32)
        number, distance = lax.iota(jnp.int32, 2 * size), -crowding(objectives, front)
        order = lax.sort((front, distance, lucky, number), num_keys=3)[3][:size]
        seen = jnp.where(jnp.isfinite(told), told, -jnp.inf).astype(dtype)
        fixed = state.started | jnp.asarray(self.reference_point is not None)
        parents, fitness, objectives, violation = populations.take(both, order)
        return NSGA2State(
            parents=parents,
            fitness=fitness,
            objectives=objectives,
            violation=violation,
            front=front[order],
            reference=jnp.where(fixed, state.reference, jnp.max(seen, axis=0)),
            started=jnp.asarray(True),
            space=state.space,
        )

    def archive(self, state: NSGA2State) -> ArchiveRecord:
        """Return the parents; those of the first front that violate no constraint are the archive."""
        return ArchiveRecord(state.parents, state.fitness, self._on_front(state), objectives=state.objectives)

    @staticmethod
    def _on_front(state: NSGA2State) -> jax.Array:
        return (state.front == 0) & (state.violation == 0)

    def population(self, state: NSGA2State) -> ArchiveRecord:
        """Return the parents of the next generation, best fronts first."""
        started = jnp.broadcast_to(state.started, state.fitness.shape)
        return ArchiveRecord(state.parents, state.fitness, started, objectives=state.objectives)

    def diagnostics(self, state: NSGA2State) -> dict[str, Scalar]:
        """Return the number of different feasible candidates in the first front, and its hypervolume.

        There is no hypervolume for more than three objectives, whose exact computation takes too long.
        """
        on_front = self._on_front(state)
        found = {"front": jnp.sum(on_front, dtype=jnp.int32)}
        if self.objectives <= MOST_OBJECTIVES:
            points = jnp.where(on_front[:, None], state.objectives, jnp.inf)
            known = jnp.where(jnp.isfinite(state.reference), state.reference, 0.0)
            found["hypervolume"] = jnp.where(state.started, hypervolume(points, known), 0.0)
        return found
