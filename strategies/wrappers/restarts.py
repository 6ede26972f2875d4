"""Restarts of any strategy from random points."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from evometa.errors import ConfigurationError
from evometa.evaluation_plan import EvaluationPlan, FullEvaluation, GradientEvaluation
from evometa.feasibility import ranked
from evometa.settings import Count
from evometa.spaces import Space
from evometa.strategies.wrappers.wrapper import Wrapper
from evometa.strategy import Feedback, require_space, tell_population
from evometa.types import Genotype, Key, Scalar

FAILED_GENERATIONS = 10
"""Without a patience: generations after which a run is given up from which no candidate has succeeded."""


class RestartsState(NamedTuple):
    """The state of the inner strategy, and its progress."""

    inner: Any
    best: Scalar
    """Best fitness since the last restart, +inf before there is one."""
    idle: Scalar
    """Generations since then, int32."""
    restarts: Scalar
    """How many restarts there were, int32."""
    round: Scalar
    """Rounds of the runs before this one, int32."""
    space: Space


@dataclasses.dataclass(frozen=True)
class Restarts(Wrapper[RestartsState]):
    """Restart a strategy at a random point when it stops, or has not improved for ``patience`` generations.

    Without ``patience`` it also restarts after ten generations in which every candidate failed, if none has succeeded
    before. The search keeps the best of all runs. A restart is part of the compiled program, and costs no compilation.
    For CMA-ES, ``BIPOPCMAES`` and ``IPOPCMAES`` also change the population size.

    Raises:
        ConfigurationError: patience below 1, or no strategy that can be wrapped.
    """

    patience: Count | None = None
    """Generations without a better candidate after which to restart; None: only when the strategy stops by itself."""

    forwarded_plans: ClassVar[tuple[type[EvaluationPlan], ...]] = (FullEvaluation, GradientEvaluation)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patience is None and not self.strategy.stop_reasons:
            raise ConfigurationError(
                f"Restarts expects a patience with {type(self.strategy).__name__}, which never stops by itself, "
                "got None; give generations without a better candidate."
            )

    @property
    def told_when_all_fail(self) -> bool:
        """True: such a generation counts as one without improvement."""
        return True

    @property
    def stop_reasons(self) -> tuple[str, ...]:
        """None: it restarts instead of stopping."""
        return ()

    def init(self, key: Key, space: Space) -> RestartsState:
        """Begin at the space's start."""
        require_space(self, space)
        none = jnp.int32(0)
        return RestartsState(
            self.strategy.init(key, space), jnp.full((), jnp.inf, jnp.result_type(float)), none, none, none, space
        )

    def ask(self, key: Key, state: RestartsState) -> tuple[Genotype, RestartsState]:
        """Ask the inner strategy."""
        genotypes, inner = self.strategy.ask(key, state.inner)
        return genotypes, state._replace(inner=inner)

    def tell(self, key: Key, state: RestartsState, genotypes: Genotype, feedback: Feedback) -> RestartsState:
        """Tell the inner strategy, and restart it where that is due."""
        key_inner, key_start = jax.random.split(key)
        inner = tell_population(self.strategy, key_inner, state.inner, genotypes, feedback)
        fitness = feedback.fitness
        if feedback.constraints is not None:
            fitness = ranked(fitness, feedback.constraints)
        best = jnp.min(fitness).astype(state.best.dtype)
        idle = jnp.where(best < state.best, 0, state.idle + 1)
        over = self.strategy.stop(inner) > 0
        if self.patience is not None:
            over |= idle >= self.patience
        else:
            over |= jnp.isinf(best) & jnp.isinf(state.best) & (idle >= FAILED_GENERATIONS)
        lasted = state._replace(inner=inner, best=jnp.minimum(best, state.best), idle=idle)

        def restarted() -> RestartsState:
            begun = self.strategy.init(key_start, state.space.without_start())
            rounds = self.strategy.round(inner)
            done = state.round if rounds is None else state.round + rounds + 1
            return RestartsState(
                begun, jnp.full_like(lasted.best, jnp.inf), jnp.zeros_like(idle), state.restarts + 1, done, state.space
            )

        # Spaces compare by identity, and the inner state may hold the one it was begun in.
        return _cond(over, restarted, lambda: lasted)

    def round(self, state: RestartsState) -> Scalar | None:
        """Return the strategy's own round, counted over all runs."""
        own = self.strategy.round(state.inner)
        if own is None:
            return None
        counted: Scalar = state.round + own
        return counted

    def center(self, state: RestartsState) -> None:
        """Return None: the center of the present run may be worse than that of an earlier one."""
        return None

    def stop(self, state: RestartsState) -> Scalar:
        """Never stop."""
        return jnp.zeros((), jnp.int32)

    def diagnostics(self, state: RestartsState) -> dict[str, Scalar]:
        """Return the strategy's own, and the number of restarts."""
        return {**self.strategy.diagnostics(state.inner), "restarts": state.restarts}


def _cond(holds: Scalar, then: Any, otherwise: Any) -> RestartsState:
    """Choose between two states that may differ in the space they started in; that of the second is kept."""
    structure = jax.tree.structure(otherwise())
    leaves = jax.lax.cond(holds, lambda: jax.tree.leaves(then()), lambda: jax.tree.leaves(otherwise()))
    state: RestartsState = jax.tree.unflatten(structure, leaves)
    return state
