"""A learned evolution strategy: small networks that map the fitness of a population to its update.

Branch of meta-learning: learned black-box optimizers. The inner learner is itself an evolution strategy, on functions
of which it gets only values; its recombination weights and learning rates are meta-learned.
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
from evometa.problems.functions.black_boxes import FUNCTIONS
from evometa.settings import Count, Positive, Several
from evometa.spaces import Like
from evometa.strategies.es.learned_es import Distribution, LearnedES, begin, in_a_row, shapes, update
from evometa.types import Key, Omega, Scalar

LEAST = 1e-8
"""Values below this, relative to the value at the start, count as this."""
LARGEST = 1e6
"""Values above this, relative to the value at the start, count as this."""


class BlackBox(NamedTuple):
    """A task: a function to minimise, rotated and shifted, and the random numbers of its search; float32."""

    function: Scalar
    """Its index among all functions of the problem, int32."""
    optimum: jax.Array
    """``[D]``, the point with value 0."""
    rotation: jax.Array
    """``[D, D]``, orthogonal."""
    start: jax.Array
    """``[D]``, the mean of the first population."""
    scale: Scalar
    """The value at the start, relative to which values are given."""
    noise: jax.Array
    """``[S, N, D]``, standard normal; drawn in advance, so that all ω search with the same random numbers."""


@dataclasses.dataclass(frozen=True)
class LearnedEvolutionStrategy(InnerTraining):
    """Learn an evolution strategy that minimises unseen functions.

    Each inner step is a generation: N candidates x = mean + sigma z, z standard normal, are sampled and evaluated. A
    layer of self-attention over them, with each one's centred rank, standard score and whether it is a new best as
    inputs, gives their recombination weights w, for any N. An MLP, applied to each coordinate, gets evolution paths of
    Σ w z and Σ w z² - 1 and the time, and gives two learning rates in (0, 1), with which the mean moves towards the
    weighted mean and sigma towards the weighted standard deviation around the old mean. ω holds the weights of both
    networks. Their inputs contain neither positions nor absolute values, so the strategy is invariant to translation
    and to the scale of the function.

    Tasks are functions with a random optimum in [-4, 4]^D, a random rotation, and a random start in [-5, 5]^D. Fitness,
    to be minimised, is log10 of the best value so far over the value at the start, at least -8, after the last
    generation. Held-out tasks have other functions; shifted ones also have more dimensions, a larger population or more
    generations.

    Paper: Lange et al., "Discovering evolution strategies via meta-black-box optimization" (LES), ICLR 2023,
    arXiv:2211.11260, for the attention and the learning rates. There the paths are of steps in the units of x; here of
    z and z², which are invariant to the scale of x. None of their numbers is compared here. Result, median rank among
    four strategies on held-out functions after half a minute of meta-training: 2, where OpenAI-ES tuned on the training
    functions has 3, SNES 3 and CMA-ES 1 (``benchmarks/learned_evolution_strategy.py``).

    Args:
        population_size: N, at least 2.
        dimension: D, at least 2.
        sigma: initial standard deviation of each coordinate.
        units: width of the attention and of the MLP's hidden layer.
        functions: names of the training functions: sphere, ellipsoid, rastrigin, rosenbrock, discus, bent_cigar,
            sharp_ridge, different_powers, schaffers, ackley, zakharov.
        test_functions: names of the held-out functions.

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
    population_size: Several = 16
    dimension: Several = 6
    sigma: Positive = 2.0
    units: Count = 8
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
        """The weights of both networks; a search starts at random weights of variance 1 / inputs."""
        return Like(self._draw)

    def _draw(self, key: Key) -> dict[str, Any]:
        each = shapes(self.units)
        biases = {"rates_bias": jnp.zeros(each.pop("rates_bias"), jnp.float32)}
        keys = jax.random.split(key, len(each))
        weights: dict[str, Any] = {
            name: jax.random.normal(one, shape, jnp.float32) / np.float32(np.sqrt(shape[0]))
            for one, (name, shape) in zip(keys, each.items(), strict=True)
        }
        return weights | biases

    def export(self, omega: Omega) -> LearnedES:
        """Return the strategy, with the default step size of strategies."""
        return LearnedES(self.population_size, weights=in_a_row(omega))

    def shifted(self) -> dict[str, "LearnedEvolutionStrategy"]:
        """Three times the dimensions; four times the population; twice the generations."""
        return {
            "more dimensions": dataclasses.replace(self, dimension=3 * self.dimension),
            "larger population": dataclasses.replace(self, population_size=4 * self.population_size),
            "longer": dataclasses.replace(self, inner_steps=2 * self.inner_steps),
        }

    def sample_task(self, key: Key) -> BlackBox:
        """Draw a training function, its optimum and rotation, the start, and the noise."""
        key_function, key_task = jax.random.split(key)
        return self.task(key_task, jax.random.randint(key_function, (), 0, len(self.functions)))

    def sample_test_task(self, key: Key) -> BlackBox:
        """Draw a held-out function, and the rest likewise."""
        key_function, key_task = jax.random.split(key)
        return self.task(key_task, jax.random.randint(key_function, (), len(self.functions), len(self._names)))

    def task(self, key: Key, function: jax.typing.ArrayLike) -> BlackBox:
        """Draw a task with a given function, by its index in ``functions + test_functions``."""
        key_places, key_noise = jax.random.split(key)
        d, shape = self.dimension, (self.inner_steps, self.population_size, self.dimension)
        optimum, start = jax.random.uniform(key_places, (2, d), jnp.float32, -1, 1) * np.array([[4], [5]], np.float32)
        # One draw for both, since each takes a second to compile.
        normal = jax.random.normal(key_noise, (math.prod(shape) + d * d,), jnp.float32)
        q, r = jnp.linalg.qr(normal[: d * d].reshape(d, d))
        rotation, noise = q * jnp.sign(jnp.diag(r))[None], normal[d * d :].reshape(shape)
        drawn = BlackBox(jnp.asarray(function, jnp.int32), optimum, rotation, start, jnp.float32(1), noise)
        return drawn._replace(scale=self.values(drawn, start[None])[0])

    def values(self, task: BlackBox, points: jax.Array) -> jax.Array:
        """Return the function's values ``[N]`` at points ``[N, D]``, relative to that at the start, at most 10⁶."""
        turned = (points - task.optimum[None]) @ task.rotation.T
        each = [jax.vmap(FUNCTIONS[name]) for name in self._names]
        values = jax.lax.switch(task.function, each, turned) / task.scale
        return jnp.where(values < LARGEST, values, np.float32(LARGEST))  # also if it is NaN

    def init(self, key: Key, omega: Omega, task: BlackBox) -> Distribution:
        """Start from the distribution around the task's start."""
        return begin(task.start, self.sigma, jnp.float32(1))

    def step(self, key: Key, omega: Omega, task: BlackBox, learner: Distribution) -> Distribution:
        """Sample, evaluate and recombine one population."""
        noise = task.noise[learner.generation]
        values = self.values(task, learner.mean[None] + learner.sigma[None] * noise)
        return self.update(omega, learner, noise, values)

    def update(self, omega: Omega, learner: Distribution, noise: jax.Array, values: jax.Array) -> Distribution:
        """Return the learner after a population with noise ``[N, D]`` and values ``[N]``."""
        return update(omega, learner, noise, values, self.sigma)

    def loss(self, key: Key, omega: Omega, task: BlackBox, learner: Distribution) -> Scalar:
        """Return log10 of the best value so far, relative to that at the start."""
        return jnp.log10(jnp.maximum(learner.best, np.float32(LEAST)))
