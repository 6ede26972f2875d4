"""Inequality constraints by an augmented Lagrangian.

Atamna, Auger & Hansen 2017, "Linearly convergent evolution strategies via augmented Lagrangian constraint handling".
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from evometa.errors import ConfigurationError
from evometa.evaluation.compatibility import vector_lengths
from evometa.problem import BaseProblem
from evometa.settings import Count
from evometa.spaces import Space
from evometa.strategies.wrappers.wrapper import Wrapper, refuse_without_center
from evometa.strategy import Feedback, refuse_unless_continuous, tell_population
from evometa.types import Key, Scalar

K_1, K_2, DAMPING = 3.0, 5.0, 5.0
"""The paper's constants k₁, k₂ and d_γ."""


class LagrangianState(NamedTuple):
    """The state of the inner strategy, and the penalty coefficients of each constraint."""

    inner: Any
    multiplier: jax.Array
    """γ ``[C]``, at least 0."""
    penalty: jax.Array
    """μ ``[C]``, positive; 0 before the first generation."""
    last_value: Scalar
    """h, fitness with prices, at the center of the generation before."""
    last_constraints: jax.Array
    """g ``[C]`` there."""


@dataclasses.dataclass(frozen=True)
class AugmentedLagrangian(Wrapper[LagrangianState]):
    """Handle inequality constraints g(ω) ≤ 0 by adaptive penalties, for any continuous strategy.

    The inner strategy minimises the fitness plus, for each constraint, γ g + μ g²/2 (where that grows with g). The
    multipliers γ and penalties μ adapt to fitness and constraints at the strategy's center, which is evaluated as an
    additional candidate in each generation. Where the constrained optimum is a minimum of the Lagrangian, convergence
    is as fast as without constraints. The search's best is the best feasible candidate.

    Raises:
        ConfigurationError: with the space: the inner strategy has no center, or the space is not continuous; with the
            problem: it has no constraints.
    """

    num_constraints: Count = 1
    """C, how many constraints the problem has."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if "constraints" in self.strategy.required_feedback:
            raise ConfigurationError(
                "AugmentedLagrangian expects a strategy that leaves the constraints to it, and "
                f"{type(self.strategy).__name__} requires them itself; use one of the two."
            )

    @property
    def required_feedback(self) -> tuple[str, ...]:
        """Constraints, and what the inner strategy requires."""
        return ("constraints", *self.strategy.required_feedback)

    @property
    def population_size(self) -> int:
        """P + 1: the center is evaluated too."""
        return self.strategy.population_size + 1

    def incompatibility(self, space: Space) -> str | None:
        """Refuse what is not continuous, what the inner strategy refuses, and strategies without a center."""
        if refuse_unless_continuous(self, space):
            return (
                "AugmentedLagrangian searches real vectors only (Box, Like, Dict of these), and "
                f"{type(space).__name__} holds integers, categories or structures; use a strategy for that space "
                "without it, such as CMAwM or GeneticAlgorithm, which keeps constraints by itself."
            )
        return refuse_without_center(self, self.strategy, space)

    def problem_incompatibility(self, problem: BaseProblem) -> str | None:
        """Refuse problems with another number of constraints."""
        has = vector_lengths(problem).get("constraints", self.num_constraints)  # none at all: says the search
        if has != self.num_constraints:
            return (
                f"AugmentedLagrangian expects num_constraints={has}, as {type(problem).__name__} has, "
                f"got {self.num_constraints}."
            )
        return self.strategy.problem_incompatibility(problem)

    def init(self, key: Key, space: Space) -> LagrangianState:
        """Start without penalties."""
        none = jnp.zeros((self.num_constraints,))
        return LagrangianState(self.strategy.init(key, space), none, none, jnp.zeros(()), none)

    def ask(self, key: Key, state: LagrangianState) -> tuple[jax.Array, LagrangianState]:
        """Return the candidates of the inner strategy, and its center as the last one."""
        genotypes, inner = self.strategy.ask(key, state.inner)
        center = jnp.asarray(self.strategy.center(state.inner))
        return jnp.concatenate([genotypes, center[None]]), state._replace(inner=inner)

    def tell(self, key: Key, state: LagrangianState, genotypes: jax.Array, feedback: Feedback) -> LagrangianState:
        """Update the penalties by the center, and tell the inner strategy the penalised fitness."""
        dtype = state.multiplier.dtype
        assert feedback.constraints is not None
        fitness, constraints = feedback.fitness.astype(dtype), feedback.constraints.astype(dtype)
        begins = jnp.all(state.penalty == 0) & jnp.any(jnp.isfinite(fitness))
        state = state._replace(
            penalty=jnp.where(begins, _first_penalty(fitness, constraints, genotypes), state.penalty)
        )
        state = self._priced(state, fitness[-1], constraints[-1], begins, genotypes.shape[1])
        augmented = fitness + jnp.sum(_price(state, constraints), axis=1)
        told = jnp.where(jnp.isfinite(augmented), augmented, jnp.inf)  # a finite price of a failed candidate is none
        # The prices take the place of the constraints.
        parts = jax.tree.map(lambda leaf: leaf[:-1], feedback._replace(fitness=told, constraints=None))
        return state._replace(inner=tell_population(self.strategy, key, state.inner, genotypes[:-1], parts))

    def _priced(self, state: LagrangianState, value: Scalar, g: jax.Array, begins: Scalar, d: int) -> LagrangianState:
        """Return the state with penalties updated by the fitness ``value`` and constraints g ``[C]`` of the center."""
        known = jnp.isfinite(value)
        g = jnp.where(known, g, state.last_constraints)
        multiplier = jnp.maximum(0.0, state.multiplier + state.penalty * g / DAMPING)
        h = value + jnp.sum(_price(state, g[None])[0])
        # Raise μ where constraints change the function too little, or barely change themselves; else lower it.
        weak = state.penalty * g**2 < K_1 * jnp.abs(h - state.last_value) / d
        stuck = K_2 * jnp.abs(g - state.last_constraints) < jnp.abs(state.last_constraints)
        factor = jnp.where(weak | stuck, 2 ** (1 / (4 * d)), 2 ** (-1 / d))
        # A constraint that does not bind has no price to be raised.
        idle = (state.multiplier <= 0) & (multiplier <= 0)
        factor = jnp.where(idle | begins, 1.0, factor)
        return state._replace(
            multiplier=jnp.where(known, multiplier, state.multiplier),
            penalty=jnp.where(known, state.penalty * factor, state.penalty).astype(g.dtype),
            last_value=jnp.where(known, h, state.last_value),
            last_constraints=g,
        )

    def diagnostics(self, state: LagrangianState) -> dict[str, Scalar]:
        """Return the diagnostics of the inner strategy, and the largest penalties."""
        own = self.strategy.diagnostics(state.inner)
        return {**own, "multiplier": jnp.max(state.multiplier), "penalty": jnp.max(state.penalty)}


def _price(state: LagrangianState, g: jax.Array) -> jax.Array:
    """Return γ g + μ g²/2 where it grows with g, and its smallest value below, for constraints g ``[N, C]``."""
    penalty = jnp.where(state.penalty > 0, state.penalty, 1.0)
    g = jnp.maximum(g, (-state.multiplier / penalty)[None])
    return jnp.where(state.penalty > 0, state.multiplier[None] * g + state.penalty[None] * g**2 / 2, 0.0)


def _first_penalty(fitness: jax.Array, constraints: jax.Array, genotypes: jax.Array) -> jax.Array:
    """Return μ ``[C]`` for which penalties and fitness vary by as much over the first population."""

    def spread(values: jax.Array) -> Scalar:
        low, high = jnp.nanpercentile(jnp.where(jnp.isfinite(values), values, jnp.nan), jnp.array([25.0, 75.0]))
        width: Scalar = high - low
        return jnp.where(jnp.isfinite(width), width, 0.0)

    squares = jax.vmap(spread, in_axes=1)(constraints**2)
    tiny = jnp.finfo(fitness.dtype).tiny ** 0.5
    mu = 2 * spread(fitness) / (genotypes.shape[1] * jnp.maximum(squares, tiny))
    large = jnp.finfo(fitness.dtype).max ** 0.4  # a penalty is multiplied by squares
    return jnp.where(mu > 0, jnp.minimum(mu, large), 1.0)
