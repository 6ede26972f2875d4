"""Population-based training (Jaderberg et al. 2017, arXiv:1711.09846)."""

import dataclasses
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from evometa.settings import Chance, Count, Positive, Range, Several
from evometa.spaces import Space
from evometa.strategies.shared import populations
from evometa.strategy import ArchiveRecord, Feedback, TrainsPopulation
from evometa.types import Genotype, Key, Scalar


class Past(NamedTuple):
    """The windows of the training run so far; leading axis W, the number of windows."""

    genotypes: Genotype
    """What each member was trained with, ``[W, P, ...]``."""
    parents: jax.Array
    """Whose learners each member continued with, int32 ``[W, P]``; anything in the first row."""
    fitness: jax.Array
    """The fitness of each, ``[W, P]``."""


class PBTState(NamedTuple):
    """The members, and the history of their windows."""

    window: Scalar
    """Windows told of this training run, int32, up to W."""
    genotypes: Genotype
    """What the members are trained with in the next window, ``[P, ...]``; anything where a training run begins."""
    parents: jax.Array
    """Whose learners they continue with, int32 ``[P]``; likewise."""
    past: Past
    """The rows of the windows told."""
    space: Space
    """The space, a static part of the state."""


@dataclasses.dataclass(frozen=True)
class PBT(TrainsPopulation[PBTState]):
    """Population-based training: train a population once; between windows the worst continue from the best.

    For the hyperparameters of long training, over any space. After each window, members in the lowest ``fraction``, and
    those that failed, *exploit*: each takes over learners and hyperparameters of a member drawn from the best
    ``fraction``. Then they *explore*: their hyperparameters are mutated, or now and then drawn anew. All others
    continue unchanged. The first members are the space's start and draws from the space.

    The search stops by itself when all W windows are done, at the cost of P whole trainings. Its result is a schedule:
    ``result.archive`` holds what the best member's learners were trained with, window by window (``omegas``, leaves
    ``[W, ...]``), and their losses then (``fitness``). :func:`evometa.replay` trains other learners by it. By contrast,
    ``best_omega`` is the last ω of the best member, ``held_out`` its fitness if it is kept constant for a whole
    training, and ``selected_omega`` the best constant ω among the best of some windows.

    Selection sees only the next window, so a schedule may be greedy: it prefers what helps at once, such as a
    learning rate that is small too soon (Dalibard and Jaderberg 2021, arXiv:2109.13800).

    Raises:
        ConfigurationError: population_size below 2, windows below 1, a fraction outside (0, 0.5], a chance outside
            [0, 1], or a mutation_scale that is not positive; with the problem: no inner training, inner_steps that W
            does not divide, or an objective other than Final().
    """

    population_size: Several = 32
    """Members, P >= 2; the paper has 20 to 80."""
    windows: Count = 20
    """W, the windows of a training run; a divisor of the problem's inner_steps."""
    fraction: Annotated[float, Range(above=0, most=0.5)] = 0.2
    """The part of the members that exploit, and of those they exploit, in (0, 0.5]; one of each at least."""
    resample_probability: Chance = 0.1
    """Chance that who explores draws its hyperparameters from the whole space instead, in [0, 1]."""
    mutation_rate: Chance = 1.0
    """Chance of each hyperparameter to change when exploring, in [0, 1], as in ``Space.mutate``; 1, as in the paper,
    for real numbers, and less where there are categories, of which 1 would leave none as it is."""
    mutation_scale: Positive = 0.1
    """Size of that change, of a real number in genotype units, of an integer in parts of its range. The factors 0.8 and
    1.2 of the paper are about 0.03 for a number searched over three decades."""

    stop_reasons = ("trained: all windows of the training run are done",)

    def init(self, key: Key, space: Space) -> PBTState:
        """Start before the first window."""
        size = self.population_size

        def blank(*shape: int) -> Genotype:
            return jax.tree.map(lambda leaf: jnp.zeros((*shape, *leaf.shape), leaf.dtype), space.start(key))

        parents = jnp.arange(size, dtype=jnp.int32)
        fitness = jnp.full((self.windows, size), jnp.inf, jnp.result_type(float))
        past = Past(blank(self.windows, size), jnp.tile(parents, (self.windows, 1)), fitness)
        return PBTState(jnp.int32(0), blank(size), parents, past, space)

    def told(self, state: PBTState) -> Scalar:
        """Return the number of windows told so far."""
        return state.window

    def parents(self, state: PBTState) -> jax.Array:
        """Return whose learners each member continues with, ``[P]``."""
        return state.parents

    def begin_training(self, state: PBTState, begins: Scalar) -> PBTState:
        """Forget the windows told where a training run begins."""
        return state._replace(window=jnp.where(begins, 0, state.window))

    def ask(self, key: Key, state: PBTState) -> tuple[Genotype, PBTState]:
        """Return the members; random draws where a training run begins."""
        begins = state.window % self.windows == 0
        drawn = populations.draw(key, state.space, self.population_size)
        return jax.tree.map(lambda new, old: jnp.where(begins, new, old), drawn, state.genotypes), state

    def tell(self, key: Key, state: PBTState, genotypes: Genotype, feedback: Feedback) -> PBTState:
        """Record the window, then exploit and explore."""
        fitness = feedback.fitness
        row = state.window % self.windows
        now = Past(genotypes, state.parents, fitness.astype(state.past.fitness.dtype))
        past = jax.tree.map(lambda rows, new: rows.at[row].set(new), state.past, now)
        key_exploit, key_explore = jax.random.split(key)
        parents, explores = self._exploit(key_exploit, fitness)
        keys = jax.random.split(key_explore, self.population_size)
        genotypes = populations.take(genotypes, parents)
        genotypes = jax.vmap(lambda *args: self._explore(state.space, *args))(keys, genotypes, explores)
        return PBTState(row + 1, genotypes, parents, past, state.space)

    def _exploit(self, key: Key, fitness: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return whom each member continues from, int32 ``[P]``, and which explore, bool ``[P]``; by truncation."""
        size = self.population_size
        key_ties, key_donors = jax.random.split(key)
        members = lax.iota(jnp.int32, size)
        _, _, ranked = lax.sort((fitness, jax.random.uniform(key_ties, (size,)), members), num_keys=2)
        place = jnp.zeros_like(members).at[ranked].set(members, unique_indices=True)
        sound = jnp.isfinite(fitness)
        few = max(1, int(self.fraction * size))
        replaced = (place >= size - few) | ~sound
        donors = jnp.clip(jnp.sum(sound, dtype=jnp.int32), 1, few)
        drawn = ranked[jax.random.randint(key_donors, (size,), 0, donors)]
        return jnp.where(replaced, drawn, members), replaced

    def _explore(self, space: Space, key: Key, genotype: Genotype, explores: Scalar) -> Genotype:
        """Return the genotype ``[...]`` of one member for the next window."""
        key_resample, key_sample, key_mutate = jax.random.split(key, 3)
        resampled = jax.random.bernoulli(key_resample, self.resample_probability)
        drawn, mutant = (
            space.sample(key_sample),
            space.mutate(key_mutate, genotype, self.mutation_rate, self.mutation_scale),
        )
        return jax.tree.map(
            lambda old, new, other: jnp.where(explores, jnp.where(resampled, new, other), old), genotype, drawn, mutant
        )

    def archive(self, state: PBTState) -> ArchiveRecord:
        """Return the schedule that made the learners of the best member, one genotype for each window told."""
        rows = lax.iota(jnp.int32, self.windows)
        last = state.window - 1
        winner = jnp.argmin(state.past.fitness[last]).astype(jnp.int32)

        def back(member: Scalar, row: Scalar) -> tuple[Scalar, Scalar]:
            return jnp.where(row <= last, state.past.parents[row, member], member), member

        _, members = lax.scan(back, winner, rows, reverse=True)
        genotypes, _, fitness = jax.tree.map(lambda leaf: leaf[rows, members], state.past)
        return ArchiveRecord(genotypes, fitness, rows <= last)

    def stop(self, state: PBTState) -> Scalar:
        """Stop after the last window."""
        return (state.window == self.windows).astype(jnp.int32)

    def population(self, state: PBTState) -> ArchiveRecord:
        """Return what the members were trained with in the last window."""
        genotypes, _, fitness = jax.tree.map(lambda leaf: leaf[state.window - 1], state.past)
        return ArchiveRecord(genotypes, fitness, jnp.broadcast_to(state.window > 0, fitness.shape))

    def diagnostics(self, state: PBTState) -> dict[str, Scalar]:
        """Return how many members continued with another member's learners."""
        others = state.parents != lax.iota(jnp.int32, self.population_size)
        return {"exploited": jnp.sum(others)}
