"""CMA-ES with restarts: IPOP (Auger & Hansen 2005) and BIPOP (Hansen 2009).

Both restart from random points of the space; IPOP with twice the population each time, BIPOP in turn with
populations that double and with small ones and small step sizes, with the same budget for both. A run in which no
candidate has succeeded yet restarts at another point with the same population.

**No restart costs a compilation.** The population is asked for in *batches* of one size, the smallest population's: a
population of 16 batches takes 16 generations of the search, evaluated on the same tasks (they are one *round*), and is
told when it is complete. So every candidate that is evaluated counts, and only the update of the distribution is
compiled several times, once for each doubling.
"""

import abc
import dataclasses
import functools
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from evometa.errors import ConfigurationError
from evometa.settings import Count, NonNegative, Several, StepSize
from evometa.spaces import Space, VectorSpace
from evometa.strategies.cma.cmaes import CMAES, CMAESState, adapt, begun_at, decode, start_at
from evometa.strategies.cma.rates import padded_rates
from evometa.strategies.cma.stagnation import (
    Progress,
    extent,
    most_generations,
    no_progress,
    patience,
    record,
    spread,
    stagnates,
    window,
)
from evometa.strategies.shared.checks import vector_space
from evometa.strategies.shared.failures import elsewhere
from evometa.strategies.shared.noise import standard_normal
from evometa.strategy import (
    Feedback,
    Strategy,
    refuse_unless_continuous,
    unless_all_failed,
)
from evometa.types import Genotype, Key, Scalar

FAILED_BATCHES = 10
"""Batches after which a run is begun at another point while all of its candidates fail."""

TWIN = 2
"""A population of each regime is at most half of the larger regime's."""


class Run(NamedTuple):
    """One run of CMA-ES between two restarts, and its place in the schedule of restarts."""

    cma: CMAESState
    """The distribution; without noise, which is in the buffers."""
    batches: Scalar
    """How many batches the population has, int32."""
    sigma: Scalar
    """First step size."""
    allowed: Scalar
    """Batches that the run may take."""
    taken: Scalar
    """Batches that it took."""
    large: Scalar
    """Whether it is of the large regime, bool."""
    doublings: Scalar
    """How often the large population was doubled, int32."""
    spent_large: Scalar
    """Batches that the large regime took in earlier runs; the first run counts as small."""
    spent_small: Scalar
    last_large: Scalar
    """Batches that the last run of the large regime took."""
    restarts: Scalar
    """How many restarts there were, int32."""
    round: Scalar
    """Populations told, int32."""


class Buffers(NamedTuple):
    """The population that is being evaluated, batch by batch; N is the size of the largest population."""

    noise: jax.Array
    """``[N, D]``."""
    genotypes: jax.Array
    """``[N, D]``."""
    fitness: jax.Array
    """``[N]``, +inf where nothing has been evaluated yet."""


class RestartedState(NamedTuple):
    """A run, the population that is being evaluated, and the space it restarts in."""

    run: Run
    buffers: Buffers
    batch: Scalar
    """Batches of the population that were evaluated, int32."""
    space: VectorSpace


@dataclasses.dataclass(frozen=True)
class _RestartedCMAES(Strategy[RestartedState]):
    """What IPOP and BIPOP share.

    Raises:
        ConfigurationError: population_size below 2, sigma not positive, a negative tolerance, largest below 1.
    """

    population_size: Several = 16
    """Candidates in a batch, P >= 2, which is the population of the first run; Hansen's choice is
    ``CMAES.default_population_size(D)``."""
    sigma: StepSize = 0.3
    """First step size in genotype units, also after restarts (in BIPOP's small regime it is smaller)."""
    largest: Count = 128
    """The population is doubled up to this many batches at most; a power of two. The state holds that many."""
    diagonal_decoding: bool = False
    """As in :class:`CMAES`."""
    tolfun: NonNegative = 1e-11
    """End a run as :class:`CMAES` does; 0 switches the reason off, as for the other two."""
    tolfunhist: NonNegative = 1e-12
    """Likewise."""
    tolx: NonNegative = 1e-11
    """Likewise."""

    told_when_all_fail: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.largest & (self.largest - 1):
            raise ConfigurationError(
                f"{type(self).__name__} expects largest as a power of two, how many batches the largest population "
                f"has, got {self.largest}."
            )

    @property
    def _local(self) -> CMAES:
        return CMAES(
            self.population_size,
            self.sigma,
            self.diagonal_decoding,
            stagnation=True,
            tolfun=self.tolfun,
            tolfunhist=self.tolfunhist,
            tolx=self.tolx,
        )

    def incompatibility(self, space: Space) -> str | None:
        """Refuse spaces with anything but real coordinates."""
        return refuse_unless_continuous(self, space)

    def init(self, key: Key, space: Space) -> RestartedState:
        """Begin the first run at the space's start."""
        space = vector_space(self, space)
        mean = space.start(key)
        zero = jnp.int32(0)
        none = jnp.zeros((), mean.dtype)
        run = Run(
            cma=self._begun(mean, jnp.asarray(self.sigma, mean.dtype)),
            batches=jnp.int32(1),
            sigma=jnp.asarray(self.sigma, mean.dtype),
            allowed=most_generations(self.population_size, space.size).astype(mean.dtype),
            taken=none,
            large=jnp.asarray(False),
            doublings=zero,
            spent_large=none,
            spent_small=none,
            last_large=none,
            restarts=zero,
            round=zero,
        )
        places = self.largest * self.population_size
        empty = jnp.zeros((places, space.size), mean.dtype)
        return RestartedState(run, Buffers(empty, empty, jnp.full((places,), jnp.inf, mean.dtype)), zero, space)

    def begun(self, state: RestartedState, points: jax.Array) -> RestartedState:
        """Take mean and covariance of the first run from known points ``[K, D]``."""
        return state._replace(run=state.run._replace(cma=begun_at(state.run.cma, points, self.sigma)))

    def resized(
        self, key: Key, state: RestartedState, space: Space, former: Strategy[RestartedState]
    ) -> RestartedState:
        """Keep the run and the budgets; the population that is being evaluated is drawn again."""
        fresh, run = self.init(key, space), state.run
        ratio = former.population_size / self.population_size  # budgets count batches
        most = self.largest.bit_length() - 1
        budgets = ("allowed", "taken", "spent_large", "spent_small", "last_large")
        return fresh._replace(
            run=run._replace(
                cma=run.cma._replace(history=fresh.run.cma.history),
                batches=jnp.minimum(run.batches, self.largest),
                doublings=jnp.minimum(run.doublings, most),
                **{name: jnp.round(getattr(run, name) * ratio) for name in budgets},
            )
        )

    def _begun(self, mean: jax.Array, sigma: jax.Array) -> CMAESState:
        # The longest history that any population needs.
        history = jnp.full((window(self.population_size, len(mean)),), jnp.inf, mean.dtype)
        start = start_at(mean, sigma, decoded=self.diagonal_decoding)
        return start._replace(history=history, progress=no_progress())

    def ask(self, key: Key, state: RestartedState) -> tuple[jax.Array, RestartedState]:
        """Draw the next batch ``[P, D]`` of the population."""
        noise = standard_normal(key, (self.population_size, state.buffers.noise.shape[1]))
        genotypes = decode(state.run.cma, noise)
        at = (state.batch * self.population_size, jnp.int32(0))
        put = functools.partial(jax.lax.dynamic_update_slice, start_indices=at)
        buffers = state.buffers._replace(
            noise=put(state.buffers.noise, noise), genotypes=put(state.buffers.genotypes, genotypes)
        )
        return genotypes, state._replace(buffers=buffers)

    def tell(self, key: Key, state: RestartedState, genotypes: jax.Array, feedback: Feedback) -> RestartedState:
        """Keep the batch's fitness; when the population is complete, adapt, and restart where the run is over."""
        kept = feedback.fitness.astype(state.buffers.fitness.dtype)
        all_fitness = jax.lax.dynamic_update_slice(state.buffers.fitness, kept, (state.batch * self.population_size,))
        buffers = state.buffers._replace(fitness=all_fitness)
        run = state.run._replace(taken=state.run.taken + 1)
        complete = state.batch + 1 == run.batches
        run = jax.lax.cond(complete, lambda: self._complete(key, run, buffers, state.space), lambda: run)
        cleared = jnp.where(complete, jnp.inf, all_fitness)
        return RestartedState(
            run, buffers._replace(fitness=cleared), jnp.where(complete, 0, state.batch + 1), state.space
        )

    def _complete(self, key: Key, run: Run, buffers: Buffers, space: VectorSpace) -> Run:
        sizes = [2**k for k in range(self.largest.bit_length())]
        branch = sum((run.batches > size).astype(jnp.int32) for size in sizes[:-1])

        def told(size: int) -> CMAESState:
            places = size * self.population_size
            part = jax.tree.map(lambda leaf: leaf[:places], buffers)
            return self._told(run, part)

        cma = jax.lax.switch(branch, [functools.partial(told, size) for size in sizes])
        cma = unless_all_failed(buffers.fitness, cma, self._failed(run))
        run = run._replace(cma=cma, round=run.round + 1)
        over = (cma.stopped > 0) | (run.taken + run.batches > run.allowed)
        hopeless = (cma.generation == 0) & (run.taken >= FAILED_BATCHES)
        after: Run = jax.lax.cond(
            over | hopeless,
            lambda: jax.lax.cond(over, lambda: self._restarted(key, run, space), lambda: self._moved(key, run, space)),
            lambda: run,
        )
        return after

    def _failed(self, run: Run) -> CMAESState:
        """Return the distribution after a population in which every candidate failed."""
        progress = run.cma.progress
        assert isinstance(progress, Progress)
        progress = progress._replace(since=progress.since + 1)
        population = run.batches * self.population_size
        stuck = progress.since > patience(population, len(run.cma.mean)) / 2
        stagnant = 1 + [reason.partition(":")[0] for reason in CMAES.stop_reasons].index("tolstagnation")
        tried = elsewhere(run.cma, run.sigma)
        return tried._replace(progress=progress, stopped=jnp.where(stuck, stagnant, tried.stopped))

    def _moved(self, key: Key, run: Run, space: VectorSpace) -> Run:
        """Return a run in which no candidate has succeeded, restarted at another point."""
        return run._replace(cma=self._begun(space.sample(key), run.sigma), restarts=run.restarts + 1)

    def _told(self, run: Run, part: Buffers) -> CMAESState:
        """Return the distribution after a population, which takes the first places of the buffers."""
        places, d = part.genotypes.shape
        population = run.batches * self.population_size
        inside = jnp.arange(places) < population
        noise = jnp.where(inside[:, None], part.noise, 0.0)
        genotypes = jnp.where(inside[:, None], part.genotypes, run.cma.mean)
        r = padded_rates(population.astype(run.sigma.dtype), d, places)
        cma = adapt(run.cma._replace(noise=noise), genotypes, part.fitness, r)
        # The flat history is as long as this population asks for; what is beyond it repeats a number from within.
        length = 10 + jnp.ceil(30 * d / population).astype(jnp.int32)
        best = jnp.min(part.fitness)
        history = run.cma.history.at[cma.generation % length].set(best)
        used = jnp.where(jnp.arange(len(history)) < length, history, best)
        assert isinstance(cma.progress, Progress)
        progress = record(cma.progress, cma.generation, part.fitness, population)
        stagnant = stagnates(progress, cma.generation, population, d)
        differs = spread(part.fitness)
        cma = cma._replace(extent=extent(run.cma.extent, cma.generation, differs))
        stopped = self._local.reason(cma, differs, jnp.max(used) - jnp.min(used), stagnant, run.sigma)
        return cma._replace(noise=run.cma.noise, history=history, progress=progress, stopped=stopped)

    def _restarted(self, key: Key, run: Run, space: VectorSpace) -> Run:
        key_mean, key_plan = jax.random.split(key)
        spent_large = run.spent_large + jnp.where(run.large, run.taken, 0)
        spent_small = run.spent_small + jnp.where(run.large, 0, run.taken)
        last_large = jnp.where(run.large, run.taken, run.last_large)
        large = self._large_next(spent_large, spent_small)
        most = self.largest.bit_length() - 1
        doublings = jnp.minimum(run.doublings + large.astype(jnp.int32), most)
        scale = 2.0 ** doublings.astype(run.sigma.dtype)
        share, shrink = jax.random.uniform(key_plan, (2,), run.sigma.dtype)
        # λ = λ₀ (½ λ_large / λ₀)^(u²) and σ = σ₀ 10^(-2u') in the small regime, to whole batches.
        small = jnp.round(jnp.maximum(scale / TWIN, 1.0) ** (share**2))
        batches = jnp.where(large, scale, small).astype(jnp.int32)
        sigma = self.sigma * jnp.where(large, 1.0, 10 ** (-2 * shrink)).astype(run.sigma.dtype)
        allowed = batches * most_generations(batches * self.population_size, space.size)
        allowed = jnp.where(large, allowed, jnp.minimum(allowed, last_large / 2))
        return run._replace(
            cma=self._begun(space.sample(key_mean), sigma),
            batches=batches,
            sigma=sigma,
            allowed=allowed.astype(run.allowed.dtype),
            taken=jnp.zeros_like(run.taken),
            large=large,
            doublings=doublings,
            spent_large=spent_large,
            spent_small=spent_small,
            last_large=last_large,
            restarts=run.restarts + 1,
        )

    @abc.abstractmethod
    def _large_next(self, spent_large: Scalar, spent_small: Scalar) -> jax.Array:
        """Return whether the next run is of the large regime, from the batches that each has taken; bool."""

    def round(self, state: RestartedState) -> Scalar:
        """Return the number of the population: its batches share their tasks."""
        return state.run.round

    def center(self, state: RestartedState) -> Genotype | None:
        """Return None: the mean of the present run may be the worst of all runs; the best candidate counts."""
        return None

    def diagnostics(self, state: RestartedState) -> dict[str, Scalar]:
        """Return σ, the population and the number of restarts."""
        run = state.run
        return {
            "sigma": run.cma.sigma,
            "population": run.batches * self.population_size,
            "restarts": run.restarts,
        }


@dataclasses.dataclass(frozen=True)
class IPOPCMAES(_RestartedCMAES):
    """CMA-ES that restarts with twice the population whenever it stops.

    For rugged functions whose good optima lie in a common valley: the larger population smooths the ruggedness.
    """

    def _large_next(self, spent_large: Scalar, spent_small: Scalar) -> jax.Array:
        return jnp.asarray(True)


@dataclasses.dataclass(frozen=True)
class BIPOPCMAES(_RestartedCMAES):
    """CMA-ES that restarts with large and small populations in turn, with the same budget for both.

    The first choice where nothing is known about the local optima: large populations for rugged functions, small ones
    with small step sizes for isolated global optima.
    """

    def _large_next(self, spent_large: Scalar, spent_small: Scalar) -> jax.Array:
        return spent_small >= spent_large
