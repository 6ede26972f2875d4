"""CMA-ES as pycma has it (Hansen's own implementation): a baseline for plain-Python problems.

pycma's own state is no set of arrays. What keeps it within the contract: the state here holds the start, the seeds of
all generations and the fitness that they were told. From these each ask runs pycma through again, without evaluating
anything, and then asks it for the next generation. So a resumed search continues bit for bit, and its checkpoints hold
nothing of pycma's.
"""

import dataclasses
import importlib.util
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError
from evometa.settings import Count, Several, StepSize
from evometa.spaces import Space, VectorSpace
from evometa.strategies.shared import warm_start
from evometa.strategies.shared.checks import vector_space
from evometa.strategy import Feedback, Strategy, refuse_unless_continuous
from evometa.types import Genotype, Key, Scalar

PYCMA_REASONS = ("tolfun", "tolx", "tolfunhist", "tolstagnation", "tolconditioncov", "noeffectaxis", "noeffectcoord")
"""What pycma calls its reasons to stop, as far as they have a name here."""


class PyCMAState(NamedTuple):
    """What a run of pycma follows from; G generations at most."""

    start: jax.Array
    """``[D]``, where it begins."""
    seeds: jax.Array
    """``[G]``, uint32: from which each generation was drawn."""
    fitness: jax.Array
    """``[G, P]``, what each was told, to be minimised; +inf for failed candidates."""
    told: Scalar
    """Generations told so far, int32."""
    mean: jax.Array
    """``[D]``, the mean of the distribution from which the newest generation was drawn."""
    stopped: Scalar
    """What :meth:`PyCMA.stop` returned before that, int32."""
    space: VectorSpace
    """The space, a static part of the state."""
    deviation: jax.Array | tuple[()] = ()
    """``[D]``, the first standard deviations, where it begins from known points."""


@dataclasses.dataclass(frozen=True)
class PyCMA(Strategy[PyCMAState]):
    """CMA-ES of the package pycma: to compare with, on plain-Python problems.

    For real vectors of two numbers or more. It needs pycma, which ``pip install "evometa[pycma]"`` brings. Each ask
    repeats all generations so far, which takes about a millisecond for each: ``CMAES``, which is compiled and carries
    its state on, is the one to use otherwise.

    Paper: Hansen, "The CMA evolution strategy: a tutorial", 2016; github.com/CMA-ES/pycma.

    Raises:
        ConfigurationError: with the space: pycma is not installed, or it is no space of at least two real numbers; more
            generations than ``generations``.
    """

    asks_in_python: ClassVar[bool] = True
    stop_reasons: ClassVar[tuple[str, ...]] = (
        "generations: the setting generations was reached",
        *(f"{name}: pycma stopped with {name}" for name in PYCMA_REASONS),
        "other: pycma stopped",
    )

    population_size: Several = 8
    """Candidates in a generation, P >= 2."""
    sigma: StepSize = 0.3
    """First standard deviation, in genotype units."""
    generations: Count = 1000
    """G, generations that its state has room for; the search stops after them."""

    def incompatibility(self, space: Space) -> str | None:
        """Refuse all but real vectors of two numbers or more, and everything where there is no pycma."""
        if importlib.util.find_spec("cma") is None:
            return 'PyCMA needs pycma, and it is not installed; pip install "evometa[pycma]" brings it.'
        if reason := refuse_unless_continuous(self, space):
            return reason
        if isinstance(space, VectorSpace) and space.size < 2:
            return "PyCMA searches two numbers or more, got one; use CMAES."
        return None

    def init(self, key: Key, space: Space) -> PyCMAState:
        """Begin at the space's start."""
        vectors, dtype = vector_space(self, space), jnp.result_type(float)
        return PyCMAState(
            start=vectors.start(key),
            seeds=jnp.zeros(self.generations, jnp.uint32),
            fitness=jnp.zeros((self.generations, self.population_size), dtype),
            told=jnp.int32(0),
            mean=vectors.start(key),
            stopped=jnp.int32(0),
            space=vectors,
        )

    def begun(self, state: PyCMAState, points: jax.Array) -> PyCMAState:
        """Take mean and standard deviations from known points ``[K, D]``."""
        mean, deviation = warm_start.separate(points.astype(state.start.dtype), self.sigma)
        return state._replace(start=mean, mean=mean, deviation=deviation)

    def ask(self, key: Key, state: PyCMAState) -> tuple[Genotype, PyCMAState]:
        """Draw P genotypes."""
        told = int(state.told)
        if told >= self.generations:
            raise ConfigurationError(
                f"PyCMA expects no more than generations={self.generations}, which its state has room for, and that "
                "many are done; give it more room from the beginning."
            )
        seeds: Any = np.array(state.seeds)
        seeds[told] = int(jax.random.bits(key, (), jnp.uint32))
        normal = _Normal()
        run, dtype = self._run_through(state, seeds[:told], normal), np.asarray(state.start).dtype
        mean: Any = np.array(run.mean, dtype)
        stopped: Any = np.int32(self._reason(run.stop()) if told else 0)
        normal.seed(seeds[told])
        drawn: Any = np.array(run.ask(), dtype)
        return drawn, state._replace(seeds=seeds, mean=mean, stopped=stopped)

    def _run_through(self, state: PyCMAState, seeds: NDArray[np.uint32], normal: "_Normal") -> Any:
        """Return pycma as it is after generations of these seeds ``[told]``."""
        import cma

        bounds = [
            [bound if np.isfinite(bound) else None for bound in side.tolist()] for side in state.space.coordinates[:2]
        ]
        bounded = any(bound is not None for side in bounds for bound in side)
        options = {"popsize": self.population_size, "randn": normal, "verbose": -9, "verb_log": 0}
        options |= {"bounds": bounds} if bounded else {}
        sigma, deviation = self.sigma, np.asarray(state.deviation, np.float64)
        if deviation.size:
            sigma = float(np.exp(np.mean(np.log(deviation))))
            options |= {"CMA_stds": deviation / sigma}
        strategy = cma.CMAEvolutionStrategy(np.array(state.start, np.float64), sigma, options)
        for seed, fitness in zip(seeds, np.asarray(state.fitness, np.float64), strict=False):
            normal.seed(seed)
            strategy.tell(strategy.ask(), _without_infinity(fitness).tolist())
        return strategy

    def _reason(self, stops: Any) -> int:
        found = [PYCMA_REASONS.index(name) for name in stops if name in PYCMA_REASONS]
        return (2 + min(found)) if found else len(self.stop_reasons) if stops else 0

    def tell(self, key: Key, state: PyCMAState, genotypes: Genotype, feedback: Feedback) -> PyCMAState:
        """Remember the fitness."""
        return state._replace(fitness=state.fitness.at[state.told].set(feedback.fitness), told=state.told + 1)

    def center(self, state: PyCMAState) -> Genotype:
        """Return the mean from which the newest generation was drawn."""
        return state.mean

    def stop(self, state: PyCMAState) -> Scalar:
        """Return why pycma stopped before the newest generation, or that there is no room for another one."""
        return jnp.where(state.told >= self.generations, 1, state.stopped).astype(jnp.int32)


class _Normal:
    """Normal random numbers for pycma, seeded anew for each generation."""

    def seed(self, seed: Any) -> None:
        """Begin with a seed."""
        self._state = np.random.RandomState(int(seed))

    def __call__(self, *shape: int) -> NDArray[np.float64]:
        """Draw an array of a shape."""
        return np.asarray(self._state.standard_normal(shape))


def _without_infinity(fitness: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a fitness ``[P]`` in which failed candidates are finite, and worse than all others."""
    sound = fitness[np.isfinite(fitness)]
    with np.errstate(over="ignore"):
        worse = min(sound.max() + np.ptp(sound) + 1.0, np.finfo(np.float64).max)
    return np.where(np.isfinite(fitness), fitness, worse)
