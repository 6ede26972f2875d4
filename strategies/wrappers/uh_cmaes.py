"""Uncertainty handling for CMA-ES (Hansen, Niederberger, Guzzella & Koumoutsakos 2009, UH-CMA-ES)."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from evometa.errors import ConfigurationError
from evometa.feasibility import ConstraintHandling
from evometa.settings import Count
from evometa.spaces import Space
from evometa.strategies.cma.cmaes import CMAES, CMAESState
from evometa.strategies.wrappers.wrapper import Wrapper
from evometa.strategy import Feedback, Strategy
from evometa.types import Key, Scalar

THETA, CUMULATION = 0.5, 0.3
"""How much the ranks may change before it counts, and how fast the measurement follows; pycma's choice."""


class UHCMAESState(NamedTuple):
    """CMA-ES, the population that is being evaluated, and the uncertainty of its ranks."""

    inner: CMAESState
    genotypes: jax.Array
    """The population ``[P, D]``."""
    fitness: jax.Array
    """Its fitness in each round ``[most_rounds, P + R]``, the last R of candidates evaluated twice a round."""
    judged: Scalar
    """Rounds so far, int32."""
    rounds: Scalar
    """Rounds that a population gets, a real number; its whole part counts."""
    uncertainty: Scalar
    """s̄: how much more the ranks change from one evaluation to the other than they may."""


@dataclasses.dataclass(frozen=True)
class UHCMAES(Wrapper[UHCMAESState]):
    """CMA-ES that evaluates some candidates twice to measure the noise, and averages more where it changes the ranks.

    In each generation the first R candidates are evaluated once more, on other tasks. If their ranks change by more
    than a threshold, the population is evaluated over more and more generations (rounds), and the median of the
    evaluations, which is robust to outliers, is its fitness. If ``most_rounds`` are not enough, σ is raised, so that
    the candidates differ by more than the noise. When the ranks are reliable again, there are fewer rounds.

    Raises:
        ConfigurationError: a strategy other than CMAES, reevaluations outside 1 to its population, most_rounds below 1.
    """

    reevaluations: Count | None = None
    """R; None: 2 + P/20."""
    most_rounds: Count = 16
    """Generations that may be spent on evaluating one population; 1: noise is treated by σ alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.strategy, CMAES):
            raise ConfigurationError(
                f"UHCMAES expects a CMAES, whose step size it controls, got {type(self.strategy).__name__}; "
                "use Reevaluated or Averaged."
            )
        if self._again > self.strategy.population_size:
            raise ConfigurationError(
                "UHCMAES expects reevaluations, how many candidates are evaluated twice, of at most the "
                f"population_size of {self.strategy.population_size}, got {self.reevaluations}."
            )

    @property
    def _again(self) -> int:
        return 2 + self.strategy.population_size // 20 if self.reevaluations is None else self.reevaluations

    @property
    def constraint_handling(self) -> ConstraintHandling:
        """As CMA-ES, which is told the median fitness of several rounds."""
        return self.strategy.constraint_handling

    @property
    def population_size(self) -> int:
        """P + R."""
        return self.strategy.population_size + self._again

    @property
    def members_per_task_set(self) -> int:
        """P: a second evaluation is on other tasks."""
        return self.strategy.population_size

    def init(self, key: Key, space: Space) -> UHCMAESState:
        """Start with one round."""
        inner = self.strategy.init(key, space)
        fitness = jnp.zeros((self.most_rounds, self.population_size), inner.mean.dtype)
        one = jnp.ones((), inner.mean.dtype)
        return UHCMAESState(inner, jnp.zeros_like(inner.noise), fitness, jnp.int32(0), one, jnp.zeros_like(one))

    def resized(self, key: Key, state: UHCMAESState, space: Space, former: Strategy[UHCMAESState]) -> UHCMAESState:
        """Resize CMA-ES; the population that is being evaluated is drawn again."""
        inner, fresh = super().resized(key, state, space, former).inner, self.init(key, space)
        return fresh._replace(inner=inner, rounds=state.rounds, uncertainty=state.uncertainty)

    def ask(self, key: Key, state: UHCMAESState) -> tuple[jax.Array, UHCMAESState]:
        """Return the population and its first R candidates again: a new one, or the same for another round."""
        drawn, asked = self.strategy.ask(key, state.inner)
        new = state.judged == 0
        genotypes = jnp.where(new, drawn, state.genotypes)
        inner = asked._replace(noise=jnp.where(new, asked.noise, state.inner.noise))
        return jnp.concatenate([genotypes, genotypes[: self._again]]), state._replace(inner=inner, genotypes=genotypes)

    def tell(self, key: Key, state: UHCMAESState, genotypes: jax.Array, feedback: Feedback) -> UHCMAESState:
        """Add a round; after the last one measure the uncertainty, tell CMA-ES, and adapt the rounds or σ."""
        fitness = state.fitness.at[state.judged].set(feedback.fitness.astype(state.fitness.dtype))
        state = state._replace(fitness=fitness, judged=state.judged + 1)
        complete = state.judged >= state.rounds.astype(jnp.int32)
        after: UHCMAESState = jax.lax.cond(complete, lambda: self._complete(key, state), lambda: state)
        return after

    def _complete(self, key: Key, state: UHCMAESState) -> UHCMAESState:
        size, again = self.strategy.population_size, self._again
        median = _median(state.fitness, state.judged)
        first, second = median[:size], median[size:]
        measured = _rank_changes(first, second)
        uncertainty = state.uncertainty + CUMULATION * (measured - state.uncertainty)
        uncertain = uncertainty > 0
        step = 1 + 2 / (state.genotypes.shape[1] + 10)
        at_most = state.rounds >= self.most_rounds
        rounds = jnp.where(uncertain, state.rounds * step, state.rounds * step**-0.25)
        fitness = first.at[:again].set((first[:again] + second) / 2)
        inner = self.strategy.tell(key, state.inner, state.genotypes, Feedback(fitness))
        inner = inner._replace(sigma=inner.sigma * jnp.where(uncertain & at_most, step, 1.0))
        return UHCMAESState(
            inner,
            state.genotypes,
            jnp.zeros_like(state.fitness),
            jnp.zeros_like(state.judged),
            jnp.clip(rounds, 1, self.most_rounds).astype(state.rounds.dtype),
            uncertainty,
        )

    def diagnostics(self, state: UHCMAESState) -> dict[str, Scalar]:
        """Return the diagnostics of CMA-ES, the rounds of a population, and the uncertainty."""
        own = self.strategy.diagnostics(state.inner)
        return {**own, "rounds": jnp.floor(state.rounds), "uncertainty": state.uncertainty}


def _median(fitness: jax.Array, rows: Scalar) -> jax.Array:
    """Return the median of the first rows of ``[N, P]``, ``[P]``; +inf where half of them or more failed."""
    unused = jnp.arange(len(fitness))[:, None] >= rows
    ordered = jnp.sort(jnp.where(unused | ~jnp.isfinite(fitness), jnp.inf, fitness), axis=0)
    return (ordered[(rows - 1) // 2] + ordered[rows // 2]) / 2


def _rank_changes(first: jax.Array, second: jax.Array) -> Scalar:
    """Return by how much the rank changes between two evaluations exceed their threshold, on average.

    Args:
        first: fitness ``[P]``.
        second: fitness of the first R candidates ``[R]``, evaluated again.
    """
    size, again = len(first), len(second)
    both = jnp.concatenate([first, second, first[again:]])  # 2 P values; what was not evaluated again ties with itself
    rank = jnp.argsort(jnp.argsort(both, stable=True), stable=True)
    old, new = rank[:again], rank[size : size + again]
    failed = jnp.isinf(first[:again]) & jnp.isinf(second)  # failed candidates tie, wherever the sort puts them
    change = jnp.where(failed, 0, jnp.abs(old - new) - (old != new))
    every = jnp.arange(1, 2 * size)

    def limit(at: jax.Array) -> jax.Array:
        distances = jnp.sort(jnp.abs(every[None, :] - at[:, None]), axis=1)
        return distances[:, math.floor(THETA * 0.5 * (2 * size - 2))]

    allowed = 0.5 * (limit(old + 1 - (old > new)) + limit(new + 1 - (new > old)))
    return jnp.mean(change - allowed)
