"""Gradient descent through inner training, for comparison with evolution and for a warm start."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax

from evometa.evaluation_plan import EvaluationPlan, GradientEvaluation, Mode
from evometa.feasibility import ConstraintHandling
from evometa.settings import Count, Fraction, Positive
from evometa.spaces import Space, VectorSpace
from evometa.strategies.shared import populations
from evometa.strategies.shared.checks import vector_space
from evometa.strategies.shared.gradient_steps import GradientSteps
from evometa.strategies.shared.optimizer import Optimizer
from evometa.strategy import Feedback, Strategy, refuse_unless_continuous
from evometa.types import Key, Scalar

MEMORY = 0.9
"""What the running mean of a point's fitness keeps of itself in a generation."""
PATIENCE = 10
"""Generations without any gradient before a search ends."""


class GradientState(NamedTuple):
    """P points, each with its own optimizer; leading axis P."""

    points: jax.Array
    """Where each is, ``[P, D]``."""
    safe: jax.Array
    """Where each was last when fitness and gradient were finite, ``[P, D]``; at first where it starts."""
    failed: jax.Array
    """Whether the last evaluation failed, bool ``[P]``. From asking to telling all have, in case nothing is told."""
    mean: jax.Array
    """Running mean of the fitness, ``[P]``; +inf before there is one."""
    norm: jax.Array
    """Euclidean norm of the last gradient before it was shortened, ``[P]``."""
    idle: Scalar
    """Generations in a row in which every gradient was exactly zero, int32."""
    optimizer: optax.OptState
    """Moments and counts of the optimizers, arrays."""
    space: VectorSpace
    """The space, a static part of the state."""


@dataclasses.dataclass(frozen=True)
class Gradient(GradientSteps, Strategy[GradientState]):
    """Differentiate the fitness through all of inner training (``jax.grad``), and take steps by an optax optimizer.

    With initial weights for ω this is MAML (Finn et al. 2017, arXiv:1703.03400), with hyperparameters the hypergradient
    of Maclaurin et al. 2015 (arXiv:1502.03492). Where JAX can differentiate a problem, its inner training is short and
    smooth, and D is large, no other strategy needs so few evaluations. Through long training gradients may explode or
    be nearly random (Metz et al. 2021, arXiv:2111.05803), which the column ``strategy/gradient_norm`` shows; evolution
    sees a smoothed objective instead.

    P independent points share each generation's tasks. One begins at the space's start, the others at draws from the
    space; the center is the point whose running mean of the fitness is best. A point at which fitness or gradient is
    not finite goes halfway back to the last point where both were finite; if there is none, it is drawn again. If all
    gradients are exactly zero for ten generations, as for a fitness that counts errors, the search stops with that
    reason.

    The center can be a warm start for evolution, as the start of a space. ::

        found = em.Search(Sinusoid(), Gradient()).run(seconds=60).center_omega

        class Warm(Sinusoid):
            @property
            def space(self):
                return em.Dict({"weights": em.Like(found["weights"])})  # of a Box: em.Box(..., start=found[...])

        em.Search(Warm(), OpenAIES()).run(seconds=60)

    Raises:
        ConfigurationError: population_size below 1; learning_rate, largest_norm or decay_generations not positive; a
            final fraction outside (0, 1]; with the problem: one that JAX cannot differentiate.
    """

    population_size: Count = 1
    """Points, P >= 1."""
    learning_rate: Positive = 0.001
    """Step of the optimizer in genotype units: for Adam about the step of each coordinate in a generation."""
    optimizer: Optimizer | str = "adam"
    """What turns gradients into steps; see :class:`Optimizer`."""
    largest_norm: Positive = 10.0
    """Longer gradients are shortened to this Euclidean norm, in fitness over genotype units."""
    decay_generations: Count = 1000
    """Generations over which the learning rate falls exponentially to its final fraction; then constant."""
    learning_rate_final: Fraction = 1.0
    """Final fraction of the learning rate, in (0, 1]."""
    mode: Mode = "reverse"
    """How to differentiate. Reverse: in the time of a few evaluations, with the learner of every inner step in memory.
    Forward: in the time of about D evaluations, in constant memory; for few hyperparameters and long training."""

    required_feedback: ClassVar[tuple[str, ...]] = ("gradient",)
    constraint_handling: ClassVar[ConstraintHandling] = "none"
    stop_reasons: ClassVar[tuple[str, ...]] = (
        f"nogradient: for {PATIENCE} generations every gradient was exactly zero; evolution needs none",
    )

    def incompatibility(self, space: Space) -> str | None:
        """Refuse spaces with anything but real coordinates."""
        return refuse_unless_continuous(self, space)

    @property
    def evaluation(self) -> EvaluationPlan:
        """Evaluate the fitness with its gradient."""
        return GradientEvaluation(self.mode)

    def init(self, key: Key, space: Space) -> GradientState:
        """Put the first point at the space's start and the others at random draws."""
        space = vector_space(self, space)
        points = populations.draw(key, space, self.population_size)
        none = jnp.zeros(self.population_size, points.dtype)
        optimizer = jax.vmap(self._transformation().init)(points)
        failed = jnp.zeros_like(none, bool)
        return GradientState(points, points, failed, none + jnp.inf, none, jnp.int32(0), optimizer, space)

    def resized(self, key: Key, state: GradientState, space: Space, former: Strategy[GradientState]) -> GradientState:
        """Keep the best points with their optimizers; draws fill the other places."""

        def rows(state: GradientState) -> Any:
            return state.points, state.safe, state.failed, state.mean, state.norm, state.optimizer

        kept = populations.resized(rows(state), rows(self.init(key, space)), jnp.argsort(state.mean))
        names = ("points", "safe", "failed", "mean", "norm", "optimizer")
        return state._replace(**dict(zip(names, kept, strict=True)))

    def ask(self, key: Key, state: GradientState) -> tuple[jax.Array, GradientState]:
        """Return the points ``[P, D]``, after bringing back those that failed."""
        drawn = populations.draw(key, state.space, self.population_size, begin=False)
        lost = (state.failed & jnp.isinf(state.mean))[:, None]
        safe = jnp.where(lost, drawn, state.safe)
        points = jnp.where(lost, drawn, state.points)
        points = jnp.where(state.failed[:, None], safe + (points - safe) / 2, points)
        return points, state._replace(points=points, safe=safe, failed=jnp.ones_like(state.failed))

    def tell(self, key: Key, state: GradientState, genotypes: jax.Array, feedback: Feedback) -> GradientState:
        """Take one step of each optimizer."""
        fitness = feedback.fitness.astype(state.mean.dtype)
        failed = ~jnp.isfinite(fitness)
        # Each part is scaled before they are added up: no finite fitness overflows it.
        mean = jnp.where(jnp.isfinite(state.mean), MEMORY * state.mean + (1 - MEMORY) * fitness, fitness)
        gradient, norm = jax.vmap(self._shorten)(jnp.asarray(feedback.gradient))
        updates, optimizer = jax.vmap(self._transformation().update)(gradient, state.optimizer, genotypes)

        def unless_failed(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(failed.reshape(-1, *[1] * (new.ndim - 1)), old, new)

        return GradientState(
            points=unless_failed(genotypes + jnp.asarray(updates), genotypes),
            safe=unless_failed(genotypes, state.safe),
            failed=failed,
            mean=unless_failed(mean, state.mean),
            norm=unless_failed(norm, state.norm),
            idle=jnp.where(jnp.all(failed | (norm == 0)) & ~jnp.all(failed), state.idle + 1, 0),
            optimizer=jax.tree.map(unless_failed, optimizer, state.optimizer),
            space=state.space,
        )

    def _shorten(self, gradient: jax.Array) -> tuple[jax.Array, Scalar]:
        """Return a gradient ``[D]`` clipped to the largest norm, and its norm before."""
        largest = jnp.max(jnp.abs(gradient), initial=0.0)  # goes out first, so that squares do not overflow
        direction = gradient / jnp.where(largest > 0, largest, 1.0)
        length = jnp.linalg.norm(direction)
        allowed = jnp.minimum(largest, self.largest_norm / jnp.where(length > 0, length, 1.0))
        return direction * allowed, largest * length

    def _best(self, state: GradientState) -> Scalar:
        return jnp.argmin(state.mean)

    def center(self, state: GradientState) -> jax.Array:
        """Return the best of the points ``[D]``, or where its fitness was last finite."""
        points = jnp.where(state.failed[:, None], state.safe, state.points)
        return points[self._best(state)]

    def stop(self, state: GradientState) -> Scalar:
        """Return 1 when there has been no gradient for too long, or 0."""
        return (state.idle >= PATIENCE).astype(jnp.int32)

    def diagnostics(self, state: GradientState) -> dict[str, Scalar]:
        """Return the norm of the best point's gradient."""
        return {"gradient_norm": state.norm[self._best(state)]}
