"""The tree-structured Parzen estimator of Optuna: a model in place of evolution, a baseline for plain-Python problems.

Optuna's samplers are plain Python, so they cannot be part of a compiled program. What keeps them within the contract:
the state holds the candidates that were told and their fitness, as arrays; each ask puts these into a new study, whose
sampler's seed follows from the key. So an ask depends on key and state alone, and a resumed search continues bit for
bit, without anything of Optuna's in its checkpoints.
"""

import contextlib
import dataclasses
import importlib.util
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError
from evometa.settings import Count, Natural
from evometa.spaces import Space, VectorSpace
from evometa.spaces.base import CATEGORY, INTEGER
from evometa.strategies.shared import populations
from evometa.strategies.shared.checks import vector_space
from evometa.strategy import Feedback, Strategy
from evometa.types import Genotype, Key, Scalar


class OptunaTPEState(NamedTuple):
    """The candidates that were told, at most N of them."""

    genotypes: jax.Array
    """``[N, D]``; after N candidates, the next one takes the place of the oldest."""
    fitness: jax.Array
    """``[N]``, to be minimised; +inf for failed candidates and where there is none yet."""
    told: Scalar
    """Candidates told so far, int32."""
    space: VectorSpace
    """The space, a static part of the state."""


@dataclasses.dataclass(frozen=True)
class OptunaTPE(Strategy[OptunaTPEState]):
    """Optuna's TPE: propose where the density of good candidates is high and that of the others low.

    For plain-Python problems, whose evaluations take longer than such a model, and spaces of vectors between bounds:
    real numbers, integers and categories. It needs Optuna, which ``pip install "evometa[optuna]"`` brings. Candidates
    that failed are the worst of all to the model. Each ask puts the candidates told into a new study, which takes about
    a tenth of a millisecond for each, besides the model's own time.

    Paper: Bergstra, Bardenet, Bengio & Kégl, "Algorithms for hyper-parameter optimization", NeurIPS 2011; Akiba et al.,
    "Optuna", KDD 2019.

    Raises:
        ConfigurationError: population_size above memory; with the space: Optuna is not installed, or a coordinate has
            no bounds.
    """

    asks_in_python: ClassVar[bool] = True

    population_size: Count = 8
    """Candidates in a generation, P >= 1. They are proposed one after the other, each as if those before were poor, so
    that they differ; 1 is the algorithm of the paper."""
    startup: Natural = 10
    """Candidates that are drawn at random before the model is used."""
    memory: Count = 4096
    """N, the newest candidates that the model is made of."""

    def __post_init__(self) -> None:
        if self.memory < self.population_size:
            raise ConfigurationError(
                f"OptunaTPE expects memory for a generation at least, got memory={self.memory} for population_size="
                f"{self.population_size}; raise memory."
            )

    def incompatibility(self, space: Space) -> str | None:
        """Refuse what is no vector between bounds, and everything where there is no Optuna."""
        if importlib.util.find_spec("optuna") is None:
            return 'OptunaTPE needs Optuna, and it is not installed; pip install "evometa[optuna]" brings it.'
        if not isinstance(space, VectorSpace):
            return f"OptunaTPE searches vectors (Box, Integer, Categorical, Dict), got {type(space).__name__}."
        if not np.isfinite([space.coordinates.lower, space.coordinates.upper]).all():
            return (
                f"OptunaTPE searches between bounds, and {type(space).__name__} has a number without; give its Box low "
                "and high, or use CMAES."
            )
        return None

    def init(self, key: Key, space: Space) -> OptunaTPEState:
        """Begin without candidates."""
        vectors, dtype = vector_space(self, space), jnp.result_type(float)
        return OptunaTPEState(
            genotypes=jnp.zeros((self.memory, vectors.size), dtype),
            fitness=jnp.full(self.memory, jnp.inf, dtype),
            told=jnp.int32(0),
            space=vectors,
        )

    def ask(self, key: Key, state: OptunaTPEState) -> tuple[Genotype, OptunaTPEState]:
        """Propose P genotypes; in the first generation the initial points come first."""
        seed, told = int(jax.random.bits(key, (), jnp.uint32)), int(state.told)
        newest = np.arange(max(told - self.memory, 0), told) % self.memory
        genotypes, fitness = np.asarray(state.genotypes), np.asarray(state.fitness)
        proposed = self._proposed(seed, state.space, genotypes[newest], fitness[newest]).astype(genotypes.dtype)
        if not told and (state.space.starts is not None or state.space.start_given):
            given = np.asarray(populations.draw(key, state.space, self.population_size))
            starts = 1 if state.space.starts is None else len(state.space.starts)
            proposed[:starts] = given[:starts]
        return proposed, state

    def tell(self, key: Key, state: OptunaTPEState, genotypes: Genotype, feedback: Feedback) -> OptunaTPEState:
        """Remember the candidates."""
        places = (state.told + jnp.arange(self.population_size)) % self.memory
        return state._replace(
            genotypes=state.genotypes.at[places].set(genotypes),
            fitness=state.fitness.at[places].set(feedback.fitness),
            told=state.told + self.population_size,
        )

    def _proposed(
        self, seed: int, space: VectorSpace, genotypes: NDArray[Any], fitness: NDArray[Any]
    ) -> NDArray[np.float64]:
        """Return P genotypes ``[P, D]`` that TPE proposes after candidates ``[N, D]`` with a fitness ``[N]``."""
        import optuna

        distributions = _distributions(space)
        with _quiet():
            sampler = optuna.samplers.TPESampler(n_startup_trials=self.startup, seed=seed, constant_liar=True)
            study = optuna.create_study(sampler=sampler)
            for genotype, value in zip(genotypes.tolist(), fitness.tolist(), strict=True):
                params = {
                    name: number if isinstance(each, optuna.distributions.FloatDistribution) else round(number)
                    for (name, each), number in zip(distributions.items(), genotype, strict=True)
                }
                trial = optuna.trial.create_trial(params=params, distributions=distributions, value=value)
                study.add_trial(trial)
            asked = [study.ask(distributions).params for _ in range(self.population_size)]
        return np.array([[params[name] for name in distributions] for params in asked], np.float64)


def _distributions(space: VectorSpace) -> dict[str, Any]:
    """Return Optuna's distribution of each coordinate of a genotype."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for number, (lower, upper, kind, log) in enumerate(zip(*space.coordinates, strict=True)):
        if kind == CATEGORY:
            found[f"{number}"] = CategoricalDistribution(range(round(upper) + 1))
        elif kind == INTEGER:
            found[f"{number}"] = IntDistribution(round(lower), round(upper), log=bool(log))
        else:
            found[f"{number}"] = FloatDistribution(float(lower), float(upper))
    return found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from announcing each study, and from warning that the constant liar is an experiment."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
