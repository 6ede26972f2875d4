"""Genetic programming (Koza 1992): breeding expressions, with a preference for new behaviour."""

import dataclasses
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from evometa.errors import ConfigurationError
from evometa.evaluation_plan import EvaluationPlan, FullEvaluation
from evometa.expressions import Expression, Tree
from evometa.expressions.tree import sizes
from evometa.feasibility import feasible
from evometa.problem import BaseProblem
from evometa.settings import Chance, Count, Natural, NonNegative, Positive, Several
from evometa.spaces import Space
from evometa.strategies.shared import populations
from evometa.strategies.shared.vectors import refuse_unless_length, require_length
from evometa.strategies.structures.constant_gradient import ConstantTuning, GivenConstants
from evometa.strategies.structures.constants import TunedConstants
from evometa.strategies.structures.lexicase import lexicase
from evometa.strategy import ArchiveRecord, Feedback, Strategy
from evometa.types import Genotype, Key, Scalar


class GeneticProgrammingState(NamedTuple):
    """The parents, best first, and the best of each size."""

    parents: Tree
    """``[P, L]``."""
    fitness: jax.Array
    """``[P]``, as evaluated in the last generation; +inf for failed ones."""
    cases: jax.Array
    """``[P, C]``, the errors that lexicase selection weighs; ``[P, 0]`` with tournaments."""
    best: Tree
    """``[L, L]``: the best expression of each size evaluated so far, from 1 node to L."""
    best_fitness: jax.Array
    """``[L]``; +inf where there is none."""
    seen: jax.Array
    """Fingerprints of what was evaluated, uint32 ``[memory]``."""
    judged: Scalar
    """How many fingerprints were ever kept, int32."""
    fresh: Scalar
    """Share of the last proposals that did something new and alive."""
    constants: Any
    """The search for constants of the best tree; or trees that were tuned, ``[tuned, L]``."""
    started: Scalar
    """Whether there are parents yet, bool."""
    space: Expression
    """The space, a static part of the state."""


@dataclasses.dataclass(frozen=True)
class GeneticProgramming(Strategy[GeneticProgrammingState]):
    """Breed expressions by crossover and mutation of tournament winners, with preference for new behaviour.

    For :class:`~evometa.expressions.Expression` spaces. A child comes from a subtree exchange of two parents, or from
    one parent by one of the space's mutations. For each place in a generation several children are proposed; each is
    computed at a few fixed points, and those whose values there differ from all earlier candidates and from each other
    are preferred. Those with a value that is not finite, or without a gradient where the space needs one, come last.
    The elites are kept unchanged and evaluated again, so that an elite that was lucky with a generation's tasks does
    not last. Of two equally good expressions the smaller one wins.

    ``Result.archive`` is the Pareto front of fitness against size; ``Result.best`` the best.

    Raises:
        ConfigurationError: population_size below 2, more elites and tuned members than leave room for children, a
            tournament_size or proposals below 1, negative elites, memory, parsimony, cases or tuned, an
            unknown tuning, a chance outside [0, 1]; with the problem: one whose fitness has no gradient, where it is
            asked for; with the space: one that holds no expressions.
    """

    population_size: Several = 128
    """Candidates in a generation, P >= 2."""
    elites: Natural = 2
    """How many of the best are kept unchanged."""
    tournament_size: Count = 5
    """Members drawn, with replacement, of which the best becomes a parent; the larger, the greedier."""
    crossover_rate: Chance = 0.7
    """Share of the children that are crossed from two parents; the others are mutants of one."""
    mutation_rate: Chance = 0.1
    """Chance of each node of a mutant to change, where its mutation changes nodes or constants; one does anyway."""
    mutation_scale: Positive = 0.3
    """How far a mutated constant moves, in standard deviations of what constants are drawn from."""
    parsimony: NonNegative = 0.0
    """What a node costs, in units of the fitness (Koza's parsimony pressure)."""
    proposals: Count = 4
    """Children proposed for each one that is evaluated; 1 takes all as they come, and no fingerprints are made."""
    memory: Natural = 4096
    """How many of the last fingerprints are remembered."""
    cases: Natural = 0
    """C: select parents by ε-lexicase over as many ``objectives`` of the problem, such as errors of single examples (La
    Cava, Spector & Danai 2016); 0: by tournaments on the fitness."""
    tuned: Natural = 0
    """Members of a generation that try other constants for good trees; 0: none."""
    tuning: Literal["cmaes", "gradient"] = "cmaes"
    """Which constants they try: those that a CMA-ES draws for the best tree, starting anew when another tree is the
    best; or for as many of the last generation's best trees those that steps down the gradient of the fitness lead to,
    where JAX can differentiate the problem's fitness."""
    tuning_steps: Count = 8
    """Steps down the gradient (L-BFGS), each at the price of several evaluations, which are not counted as such."""

    def __post_init__(self) -> None:
        if self.elites + self.tuned >= self.population_size:
            raise ConfigurationError(
                "GeneticProgramming expects fewer elites and tuned members than population_size, so that there are "
                f"children, got {self.elites} + {self.tuned} of {self.population_size}; raise population_size."
            )
        if self.tuned == 1 and self.tuning == "cmaes":
            raise ConfigurationError("GeneticProgramming expects tuned >= 2, the population of a CMA-ES, or 0; got 1.")

    objective_names: ClassVar[tuple[str, ...]] = ("fitness", "size")

    @property
    def required_feedback(self) -> tuple[str, ...]:
        """Objectives, if there is lexicase selection."""
        return ("objectives",) if self.cases else ()

    def incompatibility(self, space: Space) -> str | None:
        """Refuse all but expressions."""
        if isinstance(space, Expression):
            return None
        return (
            f"GeneticProgramming searches expressions (Expression), got {type(space).__name__}; "
            "use GeneticAlgorithm, which searches any space."
        )

    def problem_incompatibility(self, problem: BaseProblem) -> str | None:
        """Refuse problems with another number of cases."""
        return refuse_unless_length(self, problem, "objectives", self.cases, "cases") if self.cases else None

    def _tuning(self, space: Expression) -> Any:
        if self._by_gradient:
            return GivenConstants(self.tuned)
        return TunedConstants(self.tuned, space.primitives.constant)

    @property
    def _by_gradient(self) -> bool:
        return self.tuned > 0 and self.tuning == "gradient"

    @property
    def evaluation(self) -> EvaluationPlan:
        """From scratch; with tuning by gradient, constants are tuned where candidates are evaluated."""
        return ConstantTuning(self.tuned, self.tuning_steps) if self._by_gradient else FullEvaluation()

    def init(self, key: Key, space: Space) -> GeneticProgrammingState:
        """Begin without parents."""
        assert isinstance(space, Expression)
        size, length, dtype = self.population_size, space.max_size, jnp.result_type(float)
        one = space.start(key)

        def blank(count: int) -> Tree:
            return Tree(*(jnp.zeros((count, *leaf.shape), leaf.dtype) for leaf in one))

        return GeneticProgrammingState(
            parents=jax.tree.map(
                lambda leaf, start: leaf.at[: len(start)].set(start), blank(size), _starts(space, one)
            ),
            fitness=jnp.full(size, jnp.inf, dtype),
            cases=jnp.full((size, self.cases), jnp.inf, dtype),
            best=blank(length),
            best_fitness=jnp.full(length, jnp.inf, dtype),
            seen=jnp.zeros(self.memory, jnp.uint32),
            judged=jnp.int32(0),
            fresh=jnp.ones((), dtype),
            constants=self._tuning(space).init(key, one),
            started=jnp.asarray(False),
            space=space,
        )

    def resized(
        self, key: Key, state: GeneticProgrammingState, space: Space, former: Strategy[GeneticProgrammingState]
    ) -> GeneticProgrammingState:
        """Keep the best parents, which come first; draws fill the other places."""
        fresh = self.init(key, space)
        drawn = jax.vmap(space.sample)(jax.random.split(key, self.population_size))
        rows = state.parents, state.fitness, state.cases
        parents, fitness, cases = populations.resized(rows, (drawn, fresh.fitness, fresh.cases))
        return state._replace(parents=parents, fitness=fitness, cases=cases)

    def ask(self, key: Key, state: GeneticProgrammingState) -> tuple[Genotype, GeneticProgrammingState]:
        """Return the elites, trees with tuned constants, and children; in the first generation random draws."""
        key_breed, key_tune = jax.random.split(key)
        size, count = self.population_size, self.population_size * self.proposals
        proposed = lax.cond(
            state.started,
            lambda: self._children(key_breed, state, count),
            lambda: self._drawn(key_breed, state, count),
        )
        chosen, state = self._choose(state, proposed)
        kept = [populations.take(state.parents, jnp.arange(self.elites))]
        if self.tuned:
            tuned, constants = self._tuning(state.space).ask(key_tune, state.constants)
            kept, state = [*kept, tuned], state._replace(constants=constants)
        later = jax.tree.map(lambda *parts: jnp.concatenate(parts)[:size], *kept, chosen)
        return jax.tree.map(lambda a, b: jnp.where(state.started, a, b), later, chosen), state

    def _drawn(self, key: Key, state: GeneticProgrammingState, count: int) -> Tree:
        trees = jax.vmap(state.space.sample)(jax.random.split(key, count))
        given = 1 if state.space.starts is None else len(state.space.starts.op)
        begun: Tree = jax.tree.map(lambda leaf, parents: leaf.at[:given].set(parents[:given]), trees, state.parents)
        return begun

    def _children(self, key: Key, state: GeneticProgrammingState, count: int) -> Tree:
        space, crossed = state.space, round(self.crossover_rate * count)
        key_select, key_cross, key_mutate, key_order = jax.random.split(key, 4)
        if self.cases:
            winners = lexicase(key_select, state.cases, count + crossed)
        else:  # parents are in order, so that a smaller number is better
            contestants = (count + crossed, self.tournament_size)
            winners = jnp.min(jax.random.randint(key_select, contestants, 0, self.population_size), axis=1)
        parents = populations.take(state.parents, winners)
        first, second, single = (
            jax.tree.map(lambda leaf, part=part: leaf[part], parents)
            for part in (slice(crossed), slice(crossed, 2 * crossed), slice(2 * crossed, None))
        )

        def mutant(key: Key, tree: Tree) -> Tree:
            return space.mutate(key, tree, self.mutation_rate, self.mutation_scale)

        exchanged = jax.vmap(space.crossover)(jax.random.split(key_cross, crossed), first, second)
        mutated = jax.vmap(mutant)(jax.random.split(key_mutate, count - crossed), single)
        children: Tree = jax.tree.map(lambda *parts: jnp.concatenate(parts), exchanged, mutated)
        # In a random order, for the first ones go first.
        shuffled: Tree = populations.take(children, jax.random.permutation(key_order, count))
        return shuffled

    def _choose(self, state: GeneticProgrammingState, proposed: Tree) -> tuple[Tree, GeneticProgrammingState]:
        """Return P of the proposals, those with new behaviour first, and remember their behaviour."""
        size = self.population_size
        if self.proposals == 1:
            return proposed, state
        fingerprint, alive = state.space.behaviours(proposed)
        number = lax.iota(jnp.int32, len(fingerprint))
        hashes, numbers = lax.sort((fingerprint, number), num_keys=2)
        again = jnp.zeros_like(alive).at[numbers[1:]].set(hashes[1:] == hashes[:-1])
        remembered = jnp.arange(self.memory) < state.judged
        known = jnp.any((fingerprint[:, None] == state.seen[None, :]) & remembered[None, :], axis=1)
        # New and alive; alive; dead.
        worth = jnp.where(alive, jnp.where(again | known, 1, 0), 2)
        order = jnp.argsort(worth, stable=True)[:size]
        # Only those that will be evaluated are remembered: all at first, later the first ones.
        room = jnp.where(state.started, size - self.elites - self.tuned, size)
        spots = jnp.arange(size)
        where = jnp.where(spots < room, (state.judged + spots) % max(self.memory, 1), self.memory)
        return populations.take(proposed, order), state._replace(
            seen=state.seen.at[where].set(fingerprint[order], mode="drop"),
            judged=state.judged + room,
            fresh=jnp.mean(worth == 0, dtype=state.fresh.dtype),
        )

    def tell(
        self, key: Key, state: GeneticProgrammingState, genotypes: Genotype, feedback: Feedback
    ) -> GeneticProgrammingState:
        """Make the generation the next parents, and keep the best feasible tree of each size."""
        key_order, key_tune = jax.random.split(key)
        fitness = feedback.fitness.astype(state.fitness.dtype)
        count = sizes(genotypes)
        lots = jax.random.bits(key_order, fitness.shape, jnp.uint32)
        number = lax.iota(jnp.int32, len(fitness))
        order = lax.sort((fitness + self.parsimony * count, count, lots, number), num_keys=3)[3]
        parents = populations.take(genotypes, order)
        constants, cases = state.constants, state.cases
        if self.tuned:
            tried = slice(self.elites, self.elites + self.tuned)
            constants = self._tuning(state.space).tell(
                key_tune,
                constants,
                genotypes,
                fitness,
                tried,
                state.started,
                jax.tree.map(lambda leaf: leaf[0], parents),
            )
        entering, told = fitness, feedback.objectives
        if feedback.constraints is not None:
            allowed = feasible(feedback.constraints)
            entering = jnp.where(allowed, fitness, jnp.inf)
            if told is not None:  # the errors on cases count among feasible candidates only, if there are any
                behind = jnp.where(allowed.any(), jnp.inf, fitness)[:, None]
                told = jnp.where(allowed[:, None], told, behind)
        if self.cases:
            cases = require_length(self, "objectives", told, self.cases, "cases").astype(cases.dtype)[order]
        best, best_fitness = _best_of_each_size(state, genotypes, entering, count)
        return state._replace(
            parents=parents,
            fitness=fitness[order],
            cases=cases,
            best=best,
            best_fitness=best_fitness,
            constants=constants,
            started=jnp.asarray(True),
        )

    def archive(self, state: GeneticProgrammingState) -> ArchiveRecord:
        """Return the best of each size; the archive is those that are better than all smaller ones."""
        count = jnp.arange(1, len(state.best_fitness) + 1, dtype=state.best_fitness.dtype)
        before = jnp.concatenate([jnp.full(1, jnp.inf, count.dtype), lax.cummin(state.best_fitness)[:-1]])
        objectives = jnp.stack([state.best_fitness, count], axis=1)
        return ArchiveRecord(state.best, state.best_fitness, state.best_fitness < before, objectives=objectives)

    def population(self, state: GeneticProgrammingState) -> ArchiveRecord:
        """Return the parents of the next generation, best first."""
        return ArchiveRecord(state.parents, state.fitness, jnp.broadcast_to(state.started, state.fitness.shape))

    def diagnostics(self, state: GeneticProgrammingState) -> dict[str, Scalar]:
        """Return the mean size, the size of the best parent, and the share of proposals with new, finite behaviour."""
        count = sizes(state.parents)
        return {"mean_size": jnp.mean(count, dtype=state.fitness.dtype), "best_size": count[0], "fresh": state.fresh}


def _starts(space: Expression, one: Tree) -> Tree:
    """Return the initial expressions ``[K, L]``: those given to the search, or the start of the space."""
    return Tree(*(jnp.asarray(leaf)[None] for leaf in one)) if space.starts is None else space.starts


def _best_of_each_size(
    state: GeneticProgrammingState, genotypes: Tree, fitness: jax.Array, count: jax.Array
) -> tuple[Tree, jax.Array]:
    of_size = count[None, :] == np.arange(1, len(state.best_fitness) + 1)[:, None]
    found = jnp.where(of_size, fitness[None, :], jnp.inf)
    winner = jnp.argmin(found, axis=1)
    value = jnp.min(found, axis=1)
    better = value < state.best_fitness
    best = jax.tree.map(
        lambda old, new: jnp.where(better[:, None], new[winner], old),
        state.best,
        Tree(genotypes.op, genotypes.constant),
    )
    return best, jnp.where(better, value, state.best_fitness)
