"""Algorithms of evosax (Lange 2022, arXiv:2212.04180) by their names, behind this package's contract."""

import dataclasses
import functools
import importlib.metadata
import inspect
import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from evometa.errors import ConfigurationError, nearest
from evometa.feasibility import ConstraintHandling, penalised, ranked
from evometa.settings import Finite, Positive, Several, StepSize
from evometa.spaces import Space, VectorSpace
from evometa.strategies.shared import antithetic, populations
from evometa.strategies.shared.checks import vector_space
from evometa.strategies.shared.evosax_distribution import algorithms, build, call, settle
from evometa.strategies.shared.ranks import centered_ranks, gains, places, shares
from evometa.strategy import Feedback, Strategy, refuse_unless_continuous
from evometa.types import Key, Scalar

# What benchmarks/evosax_trust.py found with this version, in float32 and float64; it prints what each verdict rests on.
TRIED = "0.3.2"

TRUSTED = (
    *("ARS", "ASEBO", "CMAAnchoredLES", "DES", "DifferentialEvolution", "ESMC", "GESMR_GA", "GradientlessDescent"),
    *("HillClimbing", "LES", "LGA", "MR15_GA", "Open_ES", "PGPE", "PSO", "SAMR_GA", "SNES", "SimpleES", "SimpleGA"),
    "SimulatedAnnealing",
)
"""Algorithms of evosax that keep the contract of a strategy, by their names there."""

REFUSED = {
    "CMA_ES": "it does not stop when it has converged, and its candidates become NaN; use CMAES",
    "CR_FM_NES": "its candidates become NaN on an ellipsoid; use CRFMNES",
    "DiffusionEvolution": "it follows a schedule of 128 generations, and ends far from the optimum of a sphere",
    "EvoTF_ES": "its integers do not keep their type in double precision",
    "GuidedES": "it waits for gradients, whose absence it marks by NaN in its state; use OpenAIES",
    "LM_MA_ES": "its candidates become NaN in the second generation of a sphere; use LMMAES",
    "MA_ES": "it gives the weights of the best to samples in the order of storage, and its candidates become NaN in "
    "float32; use CMAES",
    "NoiseReuseES": "it keeps its noise as for unrolls in windows, and stays where it is on Rosenbrock's function; "
    "use NRES",
    "PersistentES": "it sums up its noise as for unrolls in windows, and does not recover from a very large fitness; "
    "use PES",
    "RandomSearch": "it draws from a function instead of a space; use RandomSearch of this package",
    "Rm_ES": "its rule for σ sees recombination weights, and shrinks σ alike whatever the fitness; use LMMAES",
    "SV_CMA_ES": "it has one mean for each of several populations, where a search has one start and one center",
    "SV_Open_ES": "it has one mean for each of several populations, where a search has one start and one center",
    "Sep_CMA_ES": "it does not stop when it has converged, and its candidates become NaN; use SepCMAES",
    "iAMaLGaM_Full": "its variances explode on a slope, and its candidates become NaN; use CMAES",
    "iAMaLGaM_Univariate": "its variances explode on a slope, and its candidates become NaN; use SNES",
    "xNES": "it takes the exponential of a matrix element by element, and learns no correlations; use XNES",
}
"""The other ones, with the reason."""

_PAIRED = ("ARS", "ASEBO", "Open_ES", "PGPE")
"""Estimate a gradient from mirrored pairs, member i of the first half of the candidates with i of the second."""

KEPT_SIGMA, FIRST_SIGMA = 0.1, 0.3
KEPT_RATE, NATURAL_RATE = 0.03, 1.0


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
    distribution start at the space's start; those that keep a population start with that and random draws from the
    whole space. Where evosax would turn the fitness into ranks or recombination weights, that is done here, so that
    tied candidates share them. Other algorithms are told the fitness, clipped to a size whose square does not overflow;
    for a failed candidate that size if they keep a population, otherwise the worst of the generation. A mirrored pair
    in which one member failed is dropped.

    Raises:
        ConfigurationError: an algorithm that evosax does not have, or one that does not keep the contract, with the
            reason; an evosax older than the one that was tried; sigma, learning_rate or a setting that the algorithm
            does not have; a population_size that it cannot work with.
    """

    algorithm: str = "DifferentialEvolution"
    """evosax's name of the algorithm, one of ``TRUSTED``."""
    population_size: Several = 64
    """Candidates in a generation, P >= 2; some algorithms ask for an even number or for more."""
    sigma: StepSize | None = None
    """First standard deviation, in genotype units; None for 0.3 where the algorithm adapts it, and 0.1 where it keeps
    it."""
    learning_rate: Positive | None = None
    """Step of the mean, for algorithms that hand it to an optimizer: of Adam for gradients (None: 0.03), plain for
    recombination weights (None: 1)."""
    settings: tuple[tuple[str, Finite], ...] = ()
    """Names and values of evosax's further parameters of the algorithm."""

    constraint_handling: ClassVar[ConstraintHandling] = "own"

    def __post_init__(self) -> None:
        self._require_trusted()
        algorithms()

    def _require_trusted(self) -> None:
        if self.algorithm in REFUSED:
            raise ConfigurationError(
                "Evosax expects an algorithm of evosax that keeps the contract of a strategy, and "
                f"{self.algorithm} does not: {REFUSED[self.algorithm]}."
            )
        if self.algorithm not in TRUSTED:
            raise ConfigurationError(
                f"Evosax expects the name of a trusted algorithm of evosax, got {self.algorithm!r}. "
                f"{nearest(self.algorithm, TRUSTED)}"
            )
        installed = importlib.metadata.version("evosax")
        if _numbers(installed) < _numbers(TRIED):
            raise ConfigurationError(
                f"Evosax expects evosax {TRIED} or newer, since older algorithms were not tried, got {installed}; "
                "update evosax."
            )

    def incompatibility(self, space: Space) -> str | None:
        """Refuse spaces with anything but real coordinates."""
        return refuse_unless_continuous(self, space)

    def init(self, key: Key, space: Space) -> EvosaxAdapterState:
        """Start a distribution at the space's start; a population is evaluated in the first generation."""
        space = vector_space(self, space)
        plan = self._plan(space)
        if plan.breeds:
            # The numbers are replaced by those of the first generation; only structure, shapes and types count.
            blank = jnp.zeros((self.population_size, space.size))
            inner = call(plan.algorithm.init, key, blank, jnp.zeros(self.population_size), plan.parameters)
        else:
            inner = call(plan.algorithm.init, key, space.start(key), plan.parameters)
        return EvosaxAdapterState(settle(inner), jnp.asarray(not plan.breeds), space)

    def resized(
        self, key: Key, state: EvosaxAdapterState, space: Space, former: Strategy[EvosaxAdapterState]
    ) -> EvosaxAdapterState:
        """Keep a distribution, or the best members; random draws, which rank behind these, fill the other places."""
        plan = self._plan(state.space)
        if not plan.breeds:
            return state
        drawn = populations.draw(key, state.space, self.population_size, begin=False)
        fresh = settle(call(plan.algorithm.init, key, drawn, jnp.full(self.population_size, _limit()), plan.parameters))
        order = jnp.argsort(state.inner.fitness)

        def rows(old: jax.Array, new: jax.Array) -> jax.Array:
            return old if old.shape == new.shape else populations.resized(old, new, order)

        return state._replace(inner=jax.tree.map(rows, state.inner, fresh))

    def ask(self, key: Key, state: EvosaxAdapterState) -> tuple[jax.Array, EvosaxAdapterState]:
        """Return the algorithm's candidates ``[P, D]``, or a first population."""
        plan = self._plan(state.space)

        def asked(key: Key) -> tuple[jax.Array, Any]:
            genotypes, inner = call(plan.algorithm.ask, key, state.inner, plan.parameters)
            # A coordinate that does not matter may grow without end, until inf - inf is not a number.
            return jnp.clip(genotypes.astype(jnp.result_type(float)), -_limit(), _limit()), settle(inner)

        def drawn(key: Key) -> tuple[jax.Array, Any]:
            return populations.draw(key, state.space, self.population_size), state.inner

        genotypes, inner = jax.lax.cond(state.started, asked, drawn, key) if plan.breeds else asked(key)
        return genotypes, state._replace(inner=inner)

    def tell(self, key: Key, state: EvosaxAdapterState, genotypes: jax.Array, feedback: Feedback) -> EvosaxAdapterState:
        """Tell the algorithm the shaped fitness; a first population becomes its own."""
        fitness = feedback.fitness
        plan = self._plan(state.space)
        if feedback.constraints is not None:
            # A population is compared with later ones, a distribution is told values.
            if plan.breeds:
                fitness = ranked(fitness, feedback.constraints, _limit())
            else:
                fitness = penalised(fitness, feedback.constraints)
        fitness = plan.shape(fitness.astype(jnp.result_type(float)))

        def told(key: Key) -> Any:
            return settle(call(plan.algorithm.tell, key, genotypes, fitness, state.inner, plan.parameters)[0])

        def begun(key: Key) -> Any:
            return settle(call(plan.algorithm.init, key, genotypes, fitness, plan.parameters))

        inner = jax.lax.cond(state.started, told, begun, key) if plan.breeds else told(key)
        return EvosaxAdapterState(inner, jnp.asarray(True), state.space)

    def center(self, state: EvosaxAdapterState) -> jax.Array | None:
        """Return the mean ``[D]``, or None for an algorithm that keeps a population."""
        return None if self._plan(state.space).breeds else state.inner.mean

    def _plan(self, space: VectorSpace) -> "_Plan":
        return _plan(self, space.size, jnp.result_type(float))


def _limit() -> float:
    """Return a large number whose square does not overflow in JAX's default float type."""
    return math.pow(jnp.finfo(jnp.result_type(float)).max, 0.4)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")[:3] if part.isdigit()]


class _Plan(NamedTuple):
    """An evosax algorithm and its parameters."""

    algorithm: Any
    parameters: Any
    breeds: bool
    """Whether it keeps a population, which is evaluated before the algorithm begins."""
    paired: bool
    """Whether it compares the members of mirrored pairs."""
    shaping: Any
    """evosax's own shaping function, which says what the algorithm expects."""
    table: NDArray[np.float64]
    """Recombination weights, best first, ``[P]``; empty where there are none."""

    def shape(self, fitness: jax.Array) -> jax.Array:
        """Return the shaped fitness that the algorithm is told, ``[P]``."""
        from evosax.core import fitness_shaping  # slow to import, as the algorithms are

        if self.paired:
            pairs = antithetic.join(*jnp.split(fitness, 2))
            fitness = jnp.concatenate(antithetic.split(antithetic.drop_broken(pairs)))
        if self.shaping is fitness_shaping.weights_fitness_shaping_fn:
            at, pulls, pushes = places(fitness), np.maximum(self.table, 0.0), np.minimum(self.table, 0.0)
            # Failed candidates never pull the mean, however few have succeeded.
            sound = gains(pulls, at) * pulls.sum() + shares(pushes, at)
            return jnp.where(at.valid.all(), shares(self.table, at), sound)
        if self.shaping is fitness_shaping.centered_rank_fitness_shaping_fn:
            return centered_ranks(places(fitness))
        valid = jnp.isfinite(fitness)
        fitness = jnp.clip(fitness, -_limit(), _limit())
        if self.breeds:
            return fitness
        worst = jnp.max(jnp.where(valid, fitness, -jnp.inf))
        return jnp.where(valid, fitness, jnp.where(valid.any(), worst, 0.0))  # every pair may be broken


@functools.cache
def _plan(strategy: Evosax, dimension: int, dtype: np.dtype[Any]) -> _Plan:
    # The dtype is part of the cache's key alone: what evosax builds depends on JAX's x64 switch.
    del dtype
    from evosax.core import fitness_shaping  # slow to import, as the algorithms are

    name, settings = strategy.algorithm, dict(strategy.settings)
    kind = algorithms().algorithms[name]
    arguments = inspect.signature(kind.__init__).parameters
    shaping = arguments["fitness_shaping_fn"].default
    chosen = _arguments(strategy, arguments, weighs=shaping is fitness_shaping.weights_fitness_shaping_fn)
    try:
        algorithm = build(kind, strategy.population_size, dimension, **chosen)
    except AssertionError as error:
        raise ConfigurationError(
            f"evosax's {name} does not accept population_size={strategy.population_size} in {dimension} dimensions: "
            f"{str(error).rstrip('.')}."
        ) from None
    with jax.ensure_compile_time_eval():
        parameters = algorithm.default_params
        settings = {key: value for key, value in settings.items() if key not in chosen}
        numbers = {field.name: getattr(parameters, field.name) for field in dataclasses.fields(parameters)}
        fields = [key for key, value in numbers.items() if isinstance(value, (int, float, jax.Array))]
        if "std_schedule" not in arguments and "std_init" in fields:
            settings.setdefault("std_init", FIRST_SIGMA if strategy.sigma is None else strategy.sigma)
        elif strategy.sigma is not None and "std_schedule" not in arguments:
            raise ConfigurationError(f"Evosax expects sigma=None for {name}, which has none, got {strategy.sigma}.")
        for key, value in settings.items():
            if key not in fields:
                raise ConfigurationError(
                    f"Evosax expects settings that evosax's {name} has, got {key!r}. {nearest(key, fields)}"
                )
            parameters = parameters.replace(**{key: jnp.full_like(numbers[key], value)})
        table = np.asarray(getattr(parameters, "weights", np.zeros(0)), np.float64)
    breeds = name in algorithms().population_based_algorithms
    paired = getattr(algorithm, "use_antithetic_sampling", name in _PAIRED)
    return _Plan(algorithm, parameters, breeds, paired, shaping, table)


def _arguments(strategy: Evosax, known: Any, *, weighs: bool) -> dict[str, Any]:
    """Return the arguments of an algorithm's construction that a strategy chooses."""
    # The counts and switches among the settings, which are floats to the shell.
    chosen: dict[str, Any] = {
        key: int(value) for key, value in strategy.settings if key in known and isinstance(known[key].default, int)
    }
    if "optimizer" in known:
        optimizer: Callable[[float], optax.GradientTransformation] = optax.sgd if weighs else optax.adam
        rate = strategy.learning_rate or (NATURAL_RATE if weighs else KEPT_RATE)
        chosen["optimizer"] = optimizer(rate)
    elif strategy.learning_rate is not None:
        raise ConfigurationError(
            f"Evosax expects learning_rate=None for {strategy.algorithm}, which has no optimizer, "
            f"got {strategy.learning_rate}; leave it out."
        )
    if "std_schedule" in known:
        chosen["std_schedule"] = optax.constant_schedule(KEPT_SIGMA if strategy.sigma is None else strategy.sigma)
    return chosen
