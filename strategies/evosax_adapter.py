"""Algorithms of evosax (Lange 2022, arXiv:2212.04180) by their names, behind this package's contract."""

import dataclasses
import functools
import inspect
from typing import Any, NamedTuple

import evosax.algorithms
import jax
import jax.numpy as jnp
import numpy as np
import optax
from evosax.core import fitness_shaping
from numpy.typing import NDArray

from evometa.errors import ConfigurationError, nearest
from evometa.space import Space, VectorSpace
from evometa.strategies import _evosax, _populations
from evometa.strategies._checks import vector_space
from evometa.strategies._ranks import centered_ranks, places, shares
from evometa.strategy import Strategy, refuse_unless_continuous, require_population, require_positive
from evometa.types import Key, Scalar

# Found with evosax 0.3.2: the checks of evometa.testing, and searches of 400 generations with a population of 32 on the
# sphere, Rosenbrock's function and a rotated ellipsoid of condition 1e4 in 4 dimensions, in float32.
REFUSED = {
    "CMA_ES": "its state becomes NaN once σ has shrunk to nothing on a sphere; use CMAES",
    "CR_FM_NES": "its state becomes NaN on Rosenbrock's function; use CRFMNES",
    "DiffusionEvolution": "it follows a schedule of a fixed number of generations, and reaches neither optimum",
    "ESMC": "its state becomes infinite after a very large fitness; use OpenAIES",
    "GuidedES": "its state becomes NaN after a generation with a failed or with tied candidates; use OpenAIES",
    "LGA": "its state becomes NaN after a generation with a failed candidate; use GeneticAlgorithm",
    "LM_MA_ES": "its candidates become NaN on a sphere; use LMMAES",
    "MA_ES": "it weighs the samples in the order of storage instead of that of their fitness; use CMAES",
    "NoiseReuseES": "its state becomes infinite after a very large fitness, and it is meant for unrolls in pieces",
    "PersistentES": "its state becomes infinite after a very large fitness, and it is meant for unrolls in pieces",
    "RandomSearch": "it takes a sampling function instead of a space; use RandomSearch of this package",
    "Rm_ES": "it stops short on a sphere, and its success rule compares weighed ranks, not fitness; use LMMAES",
    "SV_CMA_ES": "it has several means, where a search begins at one point and reports one center",
    "SV_Open_ES": "it has several means, where a search begins at one point and reports one center",
    "Sep_CMA_ES": "its state becomes NaN once σ has shrunk to nothing on a sphere; use SepCMAES",
    "iAMaLGaM_Full": "it makes no progress on Rosenbrock's function; use CMAES",
    "iAMaLGaM_Univariate": "it makes no progress on Rosenbrock's function; use SNES",
    "xNES": "it takes the exponential of a matrix element by element, and learns no correlations; use XNES",
}
"""Algorithms of evosax that this package does not offer, with the reason."""


class EvosaxAdapterState(NamedTuple):
    """The state of an evosax algorithm of either kind."""

    inner: Any
    """evosax's own state, a pytree of arrays."""
    started: Scalar
    """Whether the algorithm has a population yet, bool; one that keeps none starts at once."""
    space: VectorSpace
    """The space, a static part of the state."""


@dataclasses.dataclass(frozen=True)
class Evosax(Strategy[EvosaxAdapterState]):
    """Search real vectors by one of evosax's algorithms, where this package has no version of its own.

    ``Evosax("DifferentialEvolution", population_size=64, settings=(("crossover_rate", 0.5),))``. Algorithms that keep a
    distribution start at the space's start; those that keep a population start with that and draws from the whole
    space. What evosax shapes into ranks or recombination weights is shaped here instead, so that tied candidates share
    a place; an algorithm that computes with the fitness itself is told the worst of the others for a failed candidate.

    Raises:
        ConfigurationError: an algorithm that evosax does not have, or one that did not keep the contract, with the
            reason; sigma, learning_rate or a setting that the algorithm does not have; a population_size that it
            cannot work with.
    """

    algorithm: str = "DifferentialEvolution"
    """evosax's name of the algorithm."""
    population_size: int = 64
    """Candidates in a generation, P >= 2; some algorithms ask for an even number or for more."""
    sigma: float | None = None
    """First standard deviation, in genotype units; None for evosax's default, which is 1 as a rule."""
    learning_rate: float | None = None
    """Step of Adam, for algorithms that hand a gradient to an optimizer; None for evosax's default optimizer."""
    settings: tuple[tuple[str, float], ...] = ()
    """Names and values of evosax's further parameters of the algorithm."""

    def __post_init__(self) -> None:
        known = evosax.algorithms.algorithms
        if self.algorithm not in known:
            raise ConfigurationError(
                f"Evosax expects the name of an algorithm of evosax, got {self.algorithm!r}. "
                f"{nearest(self.algorithm, known.keys() - REFUSED.keys())}"
            )
        if self.algorithm in REFUSED:
            raise ConfigurationError(f"Evosax does not offer evosax's {self.algorithm}: {REFUSED[self.algorithm]}.")
        require_population(self, least=2)
        arguments = inspect.signature(known[self.algorithm].__init__).parameters
        if self.learning_rate is not None:
            require_positive(self, learning_rate=self.learning_rate)
            if "optimizer" not in arguments:
                raise ConfigurationError(
                    f"Evosax expects learning_rate=None for {self.algorithm}, which has no optimizer, "
                    f"got {self.learning_rate}; leave it out."
                )
        if self.sigma is not None:
            require_positive(self, sigma=self.sigma)

    def refuses(self, space: Space) -> str | None:
        """Refuse spaces with anything but real coordinates."""
        return refuse_unless_continuous(self, space)

    def init(self, key: Key, space: Space) -> EvosaxAdapterState:
        """Start a distribution at the space's start; leave a population to the first generation."""
        space = vector_space(self, space)
        plan = self._plan(space)
        begin = space.start(key)
        if plan.breeds:
            # The numbers are replaced by those of the first generation; only structure, shapes and types count.
            begin = jnp.zeros((self.population_size, space.size))
            state = plan.algorithm.init(key, begin, jnp.zeros(self.population_size), plan.parameters)
            return EvosaxAdapterState(_evosax.settle(state), jnp.asarray(False), space)
        return EvosaxAdapterState(
            _evosax.start(plan.algorithm, key, begin, plan.parameters).inner, jnp.asarray(True), space
        )

    def ask(self, key: Key, state: EvosaxAdapterState) -> tuple[jax.Array, EvosaxAdapterState]:
        """Return the algorithm's candidates ``[P, D]``, or a first population."""
        plan = self._plan(state.space)

        def asked(key: Key) -> tuple[jax.Array, Any]:
            genotypes, inner = plan.algorithm.ask(key, state.inner, plan.parameters)
            return genotypes.astype(jnp.result_type(float)), _like(state.inner, inner)

        def drawn(key: Key) -> tuple[jax.Array, Any]:
            return _populations.draw(key, state.space, self.population_size), state.inner

        genotypes, inner = jax.lax.cond(state.started, asked, drawn, key) if plan.breeds else asked(key)
        return genotypes, state._replace(inner=inner)

    def tell(self, key: Key, state: EvosaxAdapterState, genotypes: jax.Array, fitness: jax.Array) -> EvosaxAdapterState:
        """Hand the algorithm what it makes of the fitness; a first population becomes its own."""
        plan = self._plan(state.space)
        fitness = plan.shape(fitness).astype(jnp.result_type(float))

        def told(key: Key) -> Any:
            return _like(state.inner, plan.algorithm.tell(key, genotypes, fitness, state.inner, plan.parameters)[0])

        def begun(key: Key) -> Any:
            return _like(state.inner, plan.algorithm.init(key, genotypes, fitness, plan.parameters))

        inner = jax.lax.cond(state.started, told, begun, key) if plan.breeds else told(key)
        return EvosaxAdapterState(inner, jnp.asarray(True), state.space)

    def center(self, state: EvosaxAdapterState) -> jax.Array | None:
        """Return the mean ``[D]``, or None for an algorithm that keeps a population."""
        return None if self._plan(state.space).breeds else state.inner.mean

    def _plan(self, space: VectorSpace) -> "_Plan":
        return _plan(self, space.size, jnp.result_type(float))


def _like(old: Any, new: Any) -> Any:
    return jax.tree.map(lambda one, leaf: jnp.asarray(leaf, one.dtype), old, new)


class _Plan(NamedTuple):
    """An evosax algorithm with all it needs."""

    algorithm: Any
    parameters: Any
    breeds: bool
    """Whether it keeps a population, which is judged before the algorithm begins."""
    shaping: Any
    """evosax's own shaping function, which says what the algorithm expects."""
    table: NDArray[np.float64]
    """Recombination weights, best first, ``[P]``; empty where there are none."""

    def shape(self, fitness: jax.Array) -> jax.Array:
        """Return what the algorithm is told, ``[P]``."""
        if self.shaping is fitness_shaping.weights_fitness_shaping_fn:
            return shares(self.table, places(fitness))
        if self.shaping is fitness_shaping.centered_rank_fitness_shaping_fn:
            return centered_ranks(places(fitness))
        if self.breeds:
            return fitness  # compared, never computed with
        valid = jnp.isfinite(fitness)
        return jnp.where(valid, fitness, jnp.max(jnp.where(valid, fitness, -jnp.inf)))


@functools.cache
def _plan(strategy: Evosax, dimension: int, dtype: np.dtype[Any]) -> _Plan:
    # The dtype is part of the cache's key alone: what evosax builds depends on JAX's x64 switch.
    del dtype
    name, settings = strategy.algorithm, dict(strategy.settings)
    kind = evosax.algorithms.algorithms[name]
    arguments = inspect.signature(kind.__init__).parameters
    chosen: dict[str, Any] = {key: settings.pop(key) for key in arguments.keys() & settings.keys()}
    if strategy.learning_rate is not None:
        chosen["optimizer"] = optax.adam(strategy.learning_rate)
    if strategy.sigma is not None:
        if "std_schedule" in arguments:
            chosen["std_schedule"] = optax.constant_schedule(strategy.sigma)
        else:
            settings["std_init"] = strategy.sigma
    try:
        algorithm = _evosax.build(kind, strategy.population_size, dimension, **chosen)
    except AssertionError as error:
        raise ConfigurationError(
            f"evosax's {name} does not accept population_size={strategy.population_size} and {chosen} "
            f"in {dimension} dimensions: {error}"
        ) from None
    with jax.ensure_compile_time_eval():
        parameters = algorithm.default_params
        fields = [field.name for field in dataclasses.fields(parameters)]
        for key, value in settings.items():
            if key not in fields:
                raise ConfigurationError(
                    f"evosax's {name} has no parameter {key}, which Evosax was given as a setting (sigma is its "
                    f"std_init). {nearest(key, fields)}"
                )
            parameters = parameters.replace(**{key: jnp.asarray(value, jnp.asarray(getattr(parameters, key)).dtype)})
        table = np.asarray(getattr(parameters, "weights", np.zeros(0)), np.float64)
    shaping = arguments["fitness_shaping_fn"].default
    return _Plan(algorithm, parameters, name in evosax.algorithms.population_based_algorithms, shaping, table)
