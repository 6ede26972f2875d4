"""A learned evolution strategy: small networks that turn the fitness of a population into the next one.

Branch of meta-learning: learned optimizers, of black boxes. The inner learner is itself an evolution strategy, on
functions of which it sees values alone; how it recombines its candidates and how far it goes is what is learned.
"""

import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError
from evometa.problem import InnerTraining
from evometa.problems._black_boxes import FUNCTIONS
from evometa.spaces import Like
from evometa.types import Key, Omega, Scalar

PATHS = np.array([0.1, 0.5, 0.9], np.float32)
"""What the evolution paths take of the newest step."""
TIME_SCALES = np.array([1, 3, 10, 30, 100, 300, 1000], np.float32)
"""Generations after which each of the time features goes from about -1 to about 1."""
FEATURES = 3
"""What is seen of each candidate: its rank, its standard score, and whether it is better than all before."""
LEAST = 1e-8
"""A fitness so small, in parts of what the search began with, is as good as 0."""
LARGEST = 1e6
"""One so large is as bad as it gets."""


class BlackBox(NamedTuple):
    """A task: a function to minimise, turned and moved, and the luck of its search; float32."""

    function: Scalar
    """Its place among all functions of the problem, int32."""
    optimum: jax.Array
    """``[D]``, where it is 0."""
    rotation: jax.Array
    """``[D, D]``, orthogonal."""
    start: jax.Array
    """``[D]``, the mean of the first population."""
    scale: Scalar
    """The value at the start; others are given in parts of it."""
    noise: jax.Array
    """``[S, N, D]``, standard normal; drawn in advance, so that all candidates search with the same luck."""


class Searcher(NamedTuple):
    """A learner: a normal distribution with a standard deviation for each coordinate, and its past; float32."""

    mean: jax.Array
    """``[D]``."""
    sigma: jax.Array
    """``[D]``."""
    paths: jax.Array
    """``[6, D]``: means over the past of the recombined noise and of its recombined square less 1, at three scales."""
    best: Scalar
    """The least value so far, in parts of that at the start."""
    generation: Scalar
    """Generations so far, int32."""


@dataclasses.dataclass(frozen=True)
class LearnedEvolutionStrategy(InnerTraining):
    """Learn an evolution strategy that minimises functions it never saw.

    Each inner step is a generation: N candidates x = mean + sigma z, z standard normal, are drawn and evaluated. A
    layer of self-attention over them, which sees each one's centred rank, standard score and whether it is a new best,
    gives their weights w, whatever N is. An MLP, applied to each coordinate alike, sees evolution paths of Σ w z and
    Σ w z² - 1 and the time, and gives two rates in (0, 1), with which the mean moves towards the weighted mean and
    sigma towards the weighted standard deviation around the old mean. ω are the weights of both networks. They see
    neither where candidates are nor how large a value is, so no function, unit or place is special.

    Tasks are functions with a random optimum in [-4, 4]^D, a random rotation, and a random start in [-5, 5]^D. Fitness,
    to be minimised, is log10 of the best value so far over the value at the start, at least -8, after the last
    generation. Held-out tasks have other functions; shifted ones have more dimensions or a larger population too.

    Paper: Lange et al., "Discovering evolution strategies via meta-black-box optimization" (LES), ICLR 2023,
    arXiv:2211.11260, whose attention and rates these are. There the paths are of steps in the units of x; here of z
    and z², which no scaling of a function's argument changes. None of their numbers is compared here. Our result,
    the median rank of four on held-out functions after half a minute of learning: 2, where OpenAI-ES tuned on the
    training functions has 3, SNES 3 and CMA-ES 1 (``benchmarks/learned_evolution_strategy.py``).

    Args:
        population_size: N, at least 2.
        dimension: D, at least 2.
        sigma: the first standard deviation of each coordinate.
        units: of the attention and of the MLP's hidden layer.
        functions: names of those that are trained on: sphere, ellipsoid, rastrigin, rosenbrock, discus, bent_cigar,
            sharp_ridge, different_powers, schaffers, ackley, zakharov.
        test_functions: names of those held out.

    Raises:
        ConfigurationError: a size too small, sigma not positive, no function, or one of an unknown name.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="learned black-box optimizers",
        omega="weights of an evolution strategy",
        learner="the evolution strategy, on test functions",
        paper="Lange et al. 2023",
        recipe=Recipe("OpenAIES", {"population_size": 64, "sigma": 0.1, "learning_rate": 0.03}, {"seconds": 120}),
    )

    num_tasks: int = 16
    inner_steps: int = 50
    population_size: int = 16
    dimension: int = 6
    sigma: float = 2.0
    units: int = 8
    functions: tuple[str, ...] = ("sphere", "ellipsoid", "rastrigin", "rosenbrock", "discus")
    test_functions: tuple[str, ...] = (
        "bent_cigar",
        "sharp_ridge",
        "different_powers",
        "schaffers",
        "ackley",
        "zakharov",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.population_size, self.dimension) < 2 or self.units < 1 or not self.sigma > 0:
            raise ConfigurationError(
                "LearnedEvolutionStrategy expects population_size and dimension of at least 2, at least 1 unit and "
                f"sigma > 0, got population_size={self.population_size}, dimension={self.dimension}, "
                f"units={self.units} and sigma={self.sigma}."
            )
        unknown = set(self._names) - FUNCTIONS.keys()
        if unknown or not self.functions or not self.test_functions:
            raise ConfigurationError(
                f"LearnedEvolutionStrategy expects one or more of {', '.join(FUNCTIONS)} in functions and in "
                f"test_functions, got {self.functions} and {self.test_functions}."
            )

    @property
    def _names(self) -> tuple[str, ...]:
        return (*self.functions, *self.test_functions)

    @property
    def space(self) -> Like:
        """The weights of both networks; a search starts at a draw with variance 1 / inputs."""
        return Like(self._draw)

    def _draw(self, key: Key) -> dict[str, Any]:
        shapes = {
            "query": (FEATURES, self.units),
            "key": (FEATURES, self.units),
            "value": (FEATURES, 1),
            "paths": (2 * len(PATHS), self.units),
            "time": (len(TIME_SCALES), self.units),
            "rates": (self.units, 2),
        }
        keys = jax.random.split(key, len(shapes))
        weights: dict[str, Any] = {
            name: jax.random.normal(one, shape, jnp.float32) / np.float32(np.sqrt(shape[0]))
            for one, (name, shape) in zip(keys, shapes.items(), strict=True)
        }
        return weights | {"rates_bias": jnp.zeros(2, jnp.float32)}

    def shifted(self) -> dict[str, "LearnedEvolutionStrategy"]:
        """Held-out functions in thrice the dimensions; with four times the population; for twice the generations."""
        return {
            "more dimensions": dataclasses.replace(self, dimension=3 * self.dimension),
            "larger population": dataclasses.replace(self, population_size=4 * self.population_size),
            "longer": dataclasses.replace(self, inner_steps=2 * self.inner_steps),
        }

    def sample_task(self, key: Key) -> BlackBox:
        """Draw a function that is trained on, its optimum and rotation, where to start, and the noise."""
        key_function, key_task = jax.random.split(key)
        return self.task(key_task, jax.random.randint(key_function, (), 0, len(self.functions)))

    def sample_test_task(self, key: Key) -> BlackBox:
        """Draw a function that is held out, and the rest likewise."""
        key_function, key_task = jax.random.split(key)
        return self.task(key_task, jax.random.randint(key_function, (), len(self.functions), len(self._names)))

    def task(self, key: Key, function: jax.typing.ArrayLike) -> BlackBox:
        """Draw a task with a given function, by its place in ``functions + test_functions``."""
        key_places, key_noise = jax.random.split(key)
        d, shape = self.dimension, (self.inner_steps, self.population_size, self.dimension)
        optimum, start = jax.random.uniform(key_places, (2, d), jnp.float32, -1, 1) * np.array([[4], [5]], np.float32)
        # One draw for two purposes: each is a second of compiling.
        normal = jax.random.normal(key_noise, (math.prod(shape) + d * d,), jnp.float32)
        q, r = jnp.linalg.qr(normal[: d * d].reshape(d, d))
        rotation, noise = q * jnp.sign(jnp.diag(r)), normal[d * d :].reshape(shape)
        drawn = BlackBox(jnp.asarray(function, jnp.int32), optimum, rotation, start, jnp.float32(1), noise)
        return drawn._replace(scale=self.values(drawn, start[None])[0])

    def values(self, task: BlackBox, points: jax.Array) -> jax.Array:
        """Return the function's values ``[N]`` at points ``[N, D]``, in parts of that at the start, at most 10⁶."""
        turned = (points - task.optimum) @ task.rotation.T
        each = [jax.vmap(FUNCTIONS[name]) for name in self._names]
        values = jax.lax.switch(task.function, each, turned) / task.scale
        return jnp.where(values < LARGEST, values, np.float32(LARGEST))  # also where it is not a number

    def init(self, key: Key, omega: Omega, task: BlackBox) -> Searcher:
        """Begin around the start."""
        sigma = jnp.full_like(task.start, self.sigma)
        paths = jnp.zeros((2 * len(PATHS), self.dimension), jnp.float32)
        return Searcher(task.start, sigma, paths, jnp.float32(1), jnp.int32(0))

    def step(self, key: Key, omega: Omega, task: BlackBox, learner: Searcher) -> Searcher:
        """Draw, evaluate and recombine one population."""
        noise = task.noise[learner.generation]
        values = self.values(task, learner.mean + learner.sigma * noise)
        return self.update(omega, learner, noise, values)

    def update(self, omega: Omega, learner: Searcher, noise: jax.Array, values: jax.Array) -> Searcher:
        """Return the learner after a population made of noise ``[N, D]`` had values ``[N]``."""
        weights = _attend(omega, _features(values, learner.best))
        moved = weights @ noise
        spread = weights @ noise**2
        newest = jnp.stack([moved] * len(PATHS) + [spread - 1] * len(PATHS))
        share = jnp.asarray(np.tile(PATHS, 2)[:, None])
        paths = (1 - share) * learner.paths + share * newest

        time = jnp.tanh(learner.generation.astype(jnp.float32) / TIME_SCALES - 1)
        hidden = jax.nn.relu(paths.T @ omega["paths"] + time @ omega["time"])
        rates = jax.nn.sigmoid(hidden @ omega["rates"] + omega["rates_bias"])
        mean = learner.mean + rates[:, 0] * learner.sigma * moved
        sigma = learner.sigma * (1 + rates[:, 1] * (jnp.sqrt(spread) - 1))
        sigma = jnp.clip(sigma, np.float32(1e-6 * self.sigma), np.float32(10 * self.sigma))
        return Searcher(mean, sigma, paths, jnp.minimum(learner.best, jnp.min(values)), learner.generation + 1)

    def loss(self, key: Key, omega: Omega, task: BlackBox, learner: Searcher) -> Scalar:
        """Return log10 of the best value so far in parts of that at the start."""
        return jnp.log10(jnp.maximum(learner.best, np.float32(LEAST)))


def _features(values: jax.Array, best: Scalar) -> jax.Array:
    """Return ``[N, 3]``: rank from -0.5 to 0.5, the lowest value first; standard score; whether it is a new best."""
    # Counted, not sorted: sorting is slow when a population is batched.
    below = jnp.sum(values[:, None] > values, axis=1, dtype=jnp.float32)
    equal = jnp.sum(values[:, None] == values, axis=1, dtype=jnp.float32)
    rank = (below + (equal - 1) / 2) / np.float32(len(values) - 1) - np.float32(0.5)
    centred = values - jnp.mean(values)
    score = centred / (jnp.sqrt(jnp.mean(centred**2)) + np.float32(1e-20))
    return jnp.stack([rank, score, (values < best).astype(jnp.float32)], axis=1)


def _attend(omega: Omega, features: jax.Array) -> jax.Array:
    """Return weights ``[N]`` of sum 1 of candidates with features ``[N, 3]``, by self-attention."""
    queries, keys, values = (features @ omega[name] for name in ("query", "key", "value"))
    attention = jax.nn.softmax(queries @ keys.T / np.float32(np.sqrt(queries.shape[1])))
    return jax.nn.softmax((attention @ values)[:, 0])
