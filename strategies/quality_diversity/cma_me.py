"""CMA-ME: CMA-ES that climb towards new and better cells (Fontaine, Togelius, Nikolaidis & Hoover 2020)."""

import dataclasses
from typing import ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from evometa.errors import ConfigurationError
from evometa.feasibility import ranked
from evometa.settings import Count, StepSize
from evometa.spaces import Space
from evometa.strategies.cma.stagnation import narrowest, spread, tolerance
from evometa.strategies.cma.update import add_to_diagonal, factorise
from evometa.strategies.quality_diversity import cma_emitter
from evometa.strategies.quality_diversity.cma_emitter import Emitter
from evometa.strategies.quality_diversity.grid import IMPROVED, REJECTED, Elites, Entry, GridStrategy, pick
from evometa.strategies.shared.checks import vector_space
from evometa.strategies.shared.failures import another_width
from evometa.strategies.shared.noise import standard_normal
from evometa.strategy import Feedback, Strategy, refuse_unless_continuous
from evometa.types import Key, Scalar


class CMAMEState(NamedTuple):
    """The archive, and the emitters that fill it."""

    elites: Elites
    emitters: Emitter
    """Leading axis E."""
    generation: Scalar
    """Generations told, int32."""
    restarts: Scalar
    """How often an emitter began anew, int32."""


@dataclasses.dataclass(frozen=True)
class CMAME(GridStrategy[CMAMEState]):
    """CMA-ME: fill a grid of behaviour by several CMA-ES, which search for new cells and for better elites.

    For problems of real numbers whose :class:`~evometa.Evaluation` has ``measures``; ``Result.archive`` is the archive.
    These are the paper's improvement emitters: an emitter ranks its candidates by how they changed the archive: those
    that discovered a cell first, then those that improved one, then the rest, each by the size of the improvement. An
    emitter that no longer improves the archive restarts at a random elite. Candidates that violate a constraint do
    not enter the archive; as long as all do, the emitters follow the half of their candidates that violates the
    constraints least.

    Raises:
        ConfigurationError: a population_size that the emitters cannot share evenly, fewer than two candidates each; a
            sigma that is not positive; cells, low and high of different length or without extent.
    """

    emitters: Count = 15
    """E, distributions that search side by side; each has B = P / E candidates of a generation, at least 2."""
    sigma: StepSize = 0.3
    """First step size of an emitter, in genotype units; positive."""
    selection: Literal["filter", "mu"] = "filter"
    """Who is a parent: all that entered the archive, or the better half."""
    restart: Literal["no_improvement", "basic"] = "no_improvement"
    """When an emitter starts again: once none of its candidates entered the archive, or only when it has converged."""

    told_when_all_fail: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.population_size % self.emitters or self.population_size < 2 * self.emitters:
            raise ConfigurationError(
                f"CMAME expects a population_size that its emitters share evenly, at least two candidates each, "
                f"got {self.population_size} for {self.emitters} emitters."
            )

    @property
    def _batch(self) -> int:
        return self.population_size // self.emitters

    def incompatibility(self, space: Space) -> str | None:
        """Refuse spaces with anything but real coordinates."""
        return refuse_unless_continuous(self, space)

    def init(self, key: Key, space: Space) -> CMAMEState:
        """Begin all emitters at the space's start, with an empty archive."""
        mean = vector_space(self, space).start(key)
        one = cma_emitter.begin(mean, self.sigma, self._batch)
        emitters = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (self.emitters, *leaf.shape)), one)
        return CMAMEState(self._empty(mean), emitters, jnp.int32(0), jnp.int32(0))

    def resized(self, key: Key, state: CMAMEState, space: Space, former: Strategy[CMAMEState]) -> CMAMEState:
        """Keep the archive and the emitters, each with another number of candidates."""
        return state._replace(emitters=state.emitters._replace(noise=self.init(key, space).emitters.noise))

    def ask(self, key: Key, state: CMAMEState) -> tuple[jax.Array, CMAMEState]:
        """Draw ``[P, D]`` candidates, ordered by emitter."""
        noise = standard_normal(key, state.emitters.noise.shape)

        def draw(one: Emitter, noise: jax.Array) -> jax.Array:
            return one.mean[None] + one.sigma * (noise @ one.factor.T)

        genotypes = jax.vmap(draw)(state.emitters, noise).reshape(self.population_size, -1)
        return genotypes, state._replace(emitters=state.emitters._replace(noise=noise))

    def tell(self, key: Key, state: CMAMEState, genotypes: jax.Array, feedback: Feedback) -> CMAMEState:
        """Add the population to the archive, adapt the emitters, and restart those that have converged."""
        elites, entry = self._enter(state.elites, genotypes, feedback)
        if feedback.constraints is not None:
            kept = -ranked(feedback.fitness, feedback.constraints).astype(entry.improvement.dtype)
            least = Entry(jnp.where(jnp.isfinite(kept), IMPROVED, REJECTED), kept)
            entry = jax.tree.map(lambda of, without: jnp.where(elites.filled > 0, of, without), entry, least)
        each = jax.tree.map(lambda leaf: leaf.reshape(self.emitters, self._batch), entry)
        equal = tolerance(1e-12, spread(feedback.fitness.astype(elites.fitness.dtype)))
        follow = jax.vmap(self._follow, in_axes=(0, 0, 0, None, None))
        moves = genotypes.reshape(state.emitters.noise.shape)
        adapted, done = follow(state.emitters, moves, each, equal, elites.filled > 0)
        generation = state.generation + 1
        factor, ridge = lax.cond(
            generation % cma_emitter.refresh(self._batch, genotypes.shape[1]) == 0,
            lambda: factorise(adapted.covariance, adapted.factor),
            lambda: (adapted.factor, jnp.zeros_like(adapted.mean)),
        )
        adapted = adapted._replace(factor=factor, covariance=add_to_diagonal(adapted.covariance, ridge))
        elite = jnp.where(elites.filled > 0, pick(key, elites, self.emitters), adapted.mean)
        fresh = jax.vmap(lambda mean: cma_emitter.begin(mean, self.sigma, self._batch))(elite)
        # With nothing in the archive, an emitter stays where it is and tries another step size.
        width = jnp.where(elites.filled > 0, self.sigma, another_width(adapted.sigma, self.sigma))
        fresh = fresh._replace(sigma=width.astype(adapted.sigma.dtype))
        emitters = jax.tree.map(
            lambda new, old: jnp.where(done.reshape(-1, *[1] * (old.ndim - 1)), new, old),
            fresh._replace(noise=adapted.noise),
            adapted,
        )
        return CMAMEState(elites, emitters, generation, state.restarts + jnp.sum(done, dtype=jnp.int32))

    def _follow(
        self, one: Emitter, genotypes: jax.Array, entry: Entry, equal: Scalar, elites: Scalar
    ) -> tuple[Emitter, Scalar]:
        """Return an emitter adapted to the outcome of its candidates ``[B]``, and whether it is to restart."""
        status, gain = entry
        parents = jnp.minimum(jnp.sum(gain > -jnp.inf, dtype=jnp.int32), self._batch // 2)
        if self.selection == "filter":
            parents = jnp.where(elites, jnp.sum(status > REJECTED, dtype=jnp.int32), parents)
        weights = cma_emitter.weigh(status, gain, parents)
        adapted = cma_emitter.adapt(one, genotypes, weights, parents)
        done = cma_emitter.converged(adapted, status, gain, equal, narrowest(1e-11, self.sigma))
        if self.restart == "no_improvement":
            done |= jnp.all(status == REJECTED)
        return adapted, done

    def diagnostics(self, state: CMAMEState) -> dict[str, Scalar]:
        """Return coverage and QD score, the mean step size of the emitters, and the number of restarts."""
        own = {"sigma": jnp.mean(state.emitters.sigma), "restarts": state.restarts}
        return super().diagnostics(state) | own
