"""An evolution strategy whose update is made by small networks, found by meta-learning (Lange et al. 2023).

The networks are those of :class:`evometa.problems.LearnedEvolutionStrategy`, which trains them.
"""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.errors import ConfigurationError, RunDirectoryError
from evometa.settings import Finite, Several, StepSize
from evometa.spaces import Space
from evometa.strategies.shared import warm_start
from evometa.strategies.shared.checks import vector_space
from evometa.strategies.shared.noise import standard_normal
from evometa.strategy import Feedback, Strategy, refuse_unless_continuous
from evometa.types import Key, Scalar

PATHS = np.array([0.1, 0.5, 0.9], np.float32)
"""The weight of the newest step in each evolution path."""
TIME_SCALES = np.array([1, 3, 10, 30, 100, 300, 1000], np.float32)
"""The time features tanh(t / τ - 1) go from about -1 to about 1 around these numbers of generations."""
FEATURES = 3
"""Features of each candidate: its rank, its standard score, and whether it is better than all before."""
LEAST_SIGMA, LARGEST_SIGMA = 1e-6, 10.0
"""Bounds of the standard deviations, as multiples of the first one."""


class Distribution(NamedTuple):
    """A normal distribution with diagonal covariance, and its evolution paths."""

    mean: jax.Array
    """``[D]``."""
    sigma: jax.Array
    """``[D]``."""
    paths: jax.Array
    """``[6, D]``: moving averages at three time scales of the recombined noise and of its recombined square - 1."""
    best: Scalar
    """The lowest value so far."""
    generation: Scalar
    """Generations so far, int32."""


def begin(mean: jax.Array, sigma: float, best: Scalar) -> Distribution:
    """Return the distribution around a mean ``[D]``, before which the lowest value was ``best``."""
    paths = jnp.zeros((2 * len(PATHS), len(mean)), mean.dtype)
    return Distribution(mean, jnp.full_like(mean, sigma), paths, best, jnp.int32(0))


def update(weights: Any, old: Distribution, noise: jax.Array, values: jax.Array, sigma: float) -> Distribution:
    """Return the distribution after a population.

    Args:
        weights: of the networks: a dict of arrays, in the type of the distribution.
        old: the distribution that the population was drawn from.
        noise: ``[N, D]``: candidates are mean + sigma · noise.
        values: their values ``[N]``, to be minimised.
        sigma: the first standard deviation.
    """
    share_of = _attend(weights, _features(values, old.best))
    moved = share_of @ noise
    spread = share_of @ noise**2
    newest = jnp.stack([moved] * len(PATHS) + [spread - 1] * len(PATHS))
    share = jnp.asarray(np.tile(PATHS, 2)[:, None], newest.dtype)
    paths = (1 - share) * old.paths + share * newest

    time = jnp.tanh(old.generation.astype(newest.dtype) / TIME_SCALES.astype(newest.dtype) - 1)
    hidden = jax.nn.relu(paths.T @ weights["paths"] + (time @ weights["time"])[None])
    rates = jax.nn.sigmoid(hidden @ weights["rates"] + weights["rates_bias"][None])
    mean = old.mean + rates[:, 0] * old.sigma * moved
    width = old.sigma * (1 + rates[:, 1] * (jnp.sqrt(spread) - 1))
    width = jnp.clip(width, LEAST_SIGMA * sigma, LARGEST_SIGMA * sigma)
    return Distribution(mean, width, paths, jnp.minimum(old.best, jnp.min(values)), old.generation + 1)


def _features(values: jax.Array, best: Scalar) -> jax.Array:
    """Return ``[N, 3]``: rank from -0.5 (lowest value) to 0.5; standard score; whether it is a new best."""
    # Counted, not sorted: sorting is slow when a population is batched.
    below = jnp.sum(values[:, None] > values[None], axis=1, dtype=values.dtype)
    equal = jnp.sum(values[:, None] == values[None], axis=1, dtype=values.dtype)
    rank = (below + (equal - 1) / 2) / (len(values) - 1) - 0.5
    centred = values - jnp.mean(values)
    score = centred / (jnp.sqrt(jnp.mean(centred**2)) + 1e-20)
    return jnp.stack([rank, score, (values < best).astype(values.dtype)], axis=1)


def _attend(weights: Any, features: jax.Array) -> jax.Array:
    """Return the recombination weights ``[N]``, of sum 1, of candidates with features ``[N, 3]``."""
    queries, keys, values = (features @ weights[name] for name in ("query", "key", "value"))
    attention = jax.nn.softmax(queries @ keys.T / float(np.sqrt(queries.shape[1])))
    return jax.nn.softmax((attention @ values)[:, 0])


class LearnedESState(NamedTuple):
    """The distribution, the networks, and the noise of the last population."""

    distribution: Distribution
    weights: Any
    """Of the networks; kept here, so that a run that is resumed has those it began with."""
    noise: jax.Array
    """``[P, D]``."""


@dataclasses.dataclass(frozen=True)
class LearnedES(Strategy[LearnedESState]):
    """Search with an evolution strategy that was itself found by evolution (LES, arXiv:2211.11260).

    A layer of self-attention gives the recombination weights of the candidates, from their ranks and standard scores; a
    small network gives each coordinate its learning rates, from evolution paths and time. The networks are found by
    ``evometa run learned-evolution-strategy`` on test functions of few dimensions and some fifty generations, and are
    invariant to translation and to the scale of the fitness: expect them to do best in searches as short.

    Failed candidates count as the worst that did not fail.

    Raises:
        ConfigurationError: population_size below 2, sigma not positive, or no such networks.
    """

    population_size: Several = 16
    """Candidates in a generation, P >= 2."""
    sigma: StepSize = 0.3
    """First standard deviation of every coordinate, in genotype units."""
    weights: str | tuple[Finite, ...] = "learned-evolution-strategy"
    """The networks: the name of an entry of :mod:`evometa.zoo`, the run directory of a search for them, or their
    weights in one row, as ``evometa.load(run_directory).export()`` has them."""

    def __post_init__(self) -> None:
        networks(self.weights)

    def incompatibility(self, space: Space) -> str | None:
        """Refuse spaces with anything but real numbers."""
        return refuse_unless_continuous(self, space)

    def init(self, key: Key, space: Space) -> LearnedESState:
        """Begin at the start of the space."""
        mean = vector_space(self, space).start(key)
        weights = jax.tree.map(lambda leaf: jnp.asarray(leaf, mean.dtype), networks(self.weights))
        distribution = begin(mean, self.sigma, jnp.asarray(jnp.inf, jnp.result_type(float)))
        return LearnedESState(distribution, weights, jnp.zeros((self.population_size, len(mean)), mean.dtype))

    def begun(self, state: LearnedESState, points: jax.Array) -> LearnedESState:
        """Take mean and standard deviations from known points ``[K, D]``."""
        mean, sigma = warm_start.separate(points.astype(state.noise.dtype), self.sigma)
        return state._replace(distribution=state.distribution._replace(mean=mean, sigma=sigma))

    def ask(self, key: Key, state: LearnedESState) -> tuple[jax.Array, LearnedESState]:
        """Draw ``[P, D]`` candidates."""
        noise = standard_normal(key, state.noise.shape).astype(state.noise.dtype)
        mean, sigma, *_ = state.distribution
        return mean[None] + sigma[None] * noise, state._replace(noise=noise)

    def tell(self, key: Key, state: LearnedESState, genotypes: jax.Array, feedback: Feedback) -> LearnedESState:
        """Update the distribution."""
        sound = jnp.isfinite(feedback.fitness)
        worst = jnp.max(jnp.where(sound, feedback.fitness, -jnp.inf))
        # Below the largest number there is, so that sums over the population are finite.
        largest = jnp.finfo(state.noise.dtype).max / 2**20
        values = jnp.clip(jnp.where(sound, feedback.fitness, worst).astype(state.noise.dtype), -largest, largest)
        old = state.distribution
        # In the search for the networks the first value to beat was that of the first mean, which is not known here.
        best = jnp.where(old.generation == 0, jnp.median(values), old.best).astype(values.dtype)
        new = update(state.weights, old._replace(best=best), state.noise, values, self.sigma)
        return state._replace(distribution=new._replace(best=new.best.astype(old.best.dtype)))

    def center(self, state: LearnedESState) -> jax.Array:
        """Return the mean."""
        return state.distribution.mean

    def diagnostics(self, state: LearnedESState) -> dict[str, Scalar]:
        """Return the geometric mean of the standard deviations."""
        return {"sigma": jnp.exp(jnp.mean(jnp.log(state.distribution.sigma)))}


@functools.lru_cache(maxsize=8)
def networks(source: str | tuple[float, ...]) -> dict[str, Any]:
    """Return the weights of the networks.

    Args:
        source: an entry of the zoo, a run directory, or all weights in one row.

    Raises:
        ConfigurationError: there are none, or they are of something else.
    """
    if isinstance(source, tuple):
        return _from_row(source)
    from evometa import zoo
    from evometa.sharing.run import load

    try:
        run = zoo.run(source) if source in zoo.names() else load(source)
    except RunDirectoryError as error:
        raise ConfigurationError(
            f"LearnedES expects weights as an entry of the zoo ({', '.join(zoo.names())}), a run directory, or "
            f"numbers: {error}"
        ) from None
    kind = run.manifest.problem["type"].rpartition(":")[2]
    if kind != "LearnedEvolutionStrategy":
        raise ConfigurationError(
            f"LearnedES expects weights from a search of LearnedEvolutionStrategy, and {source} is of {kind}; give "
            "another run directory, or an entry of the zoo."
        )
    found: dict[str, Any] = run.selected_omega
    return found


def shapes(units: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array of weights, for networks with so many units."""
    return {
        "query": (FEATURES, units),
        "key": (FEATURES, units),
        "value": (FEATURES, 1),
        "paths": (2 * len(PATHS), units),
        "time": (len(TIME_SCALES), units),
        "rates": (units, 2),
        "rates_bias": (2,),
    }


def in_a_row(weights: dict[str, Any]) -> tuple[float, ...]:
    """Return all weights one after the other, in the order of :func:`shapes`."""
    return tuple(float(value) for name in shapes(1) for value in np.ravel(weights[name]))


def _from_row(row: tuple[float, ...]) -> dict[str, Any]:
    fixed, each = (sum(map(math.prod, shapes(units).values())) for units in (0, 1))
    units, rest = divmod(len(row) - fixed, each - fixed)
    if units < 1 or rest:
        raise ConfigurationError(
            f"LearnedES expects the weights of both networks in one row, {each} numbers for one unit and "
            f"{each - fixed} for each more, got {len(row)}; use evometa.load(run_directory).export()."
        )
    found, begins = {}, 0
    for name, shape in shapes(units).items():
        found[name] = np.array(row[begins : begins + math.prod(shape)], np.float32).reshape(shape)
        begins += math.prod(shape)
    return found
