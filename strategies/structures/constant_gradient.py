"""Gradient steps inside genetic programming, for the constants of the best trees."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from evometa.evaluation.full_evaluator import FullEvaluator
from evometa.evaluation.population_evaluator import Evaluated, register, register_incompatibility
from evometa.evaluation_plan import EvaluationPlan
from evometa.expressions import Expression, Tree
from evometa.feasibility import ranked
from evometa.problem import BaseProblem, Evaluation, InnerTraining, Problem, sign_of
from evometa.spaces import Space
from evometa.strategies.shared import populations
from evometa.strategy import Strategy
from evometa.types import Genotype, Key, Scalar

LINE_SEARCH = 6
"""Evaluations that a step may take to find its length."""


@dataclasses.dataclass(frozen=True)
class ConstantTuning(EvaluationPlan):
    """The plan: evaluate from scratch, then tune the constants of the best trees by gradient."""

    count: int
    """How many trees are tuned in a generation."""
    steps: int
    """Steps for each."""


@dataclasses.dataclass(frozen=True)
class GivenConstants:
    """Passes on trees whose constants were tuned during evaluation; has the methods of ``TunedConstants``.

    Args:
        count: how many in a generation.
    """

    count: int

    def init(self, key: Key, tree: Tree) -> Tree:
        """Start with copies of a tree."""
        copies: Tree = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (self.count, *leaf.shape)), tree)
        return copies

    def ask(self, key: Key, state: Tree) -> tuple[Tree, Tree]:
        """Return trees ``[count, L]``."""
        return state, state

    def tell(self, key: Key, state: Tree, *told: Any) -> Tree:
        """Return the state unchanged: the next trees come from :class:`TuningByGradient`."""
        return state


@dataclasses.dataclass(frozen=True, eq=False)
class TuningByGradient(FullEvaluator):
    """Evaluates each population, and then tunes the constants of its best trees by gradient descent.

    By L-BFGS (Liu & Nocedal 1989) on the fitness, on the same tasks. The tuned trees are candidates of the next
    generation like all others. Trees of equal fitness, likely copies, are tuned once, and trees without constants only
    if there are not enough others. Trees that do not improve stay unchanged. The inner steps of tuning are not counted.

    Args:
        plan: how many trees, and how many steps for each.
        code: the code of the constant in the trees.
    """

    plan: ConstantTuning = dataclasses.field(kw_only=True)
    code: int = dataclasses.field(kw_only=True)

    def initial(self) -> Tree:
        """Return trees ``[count, L]``, which the first generation does not take yet."""
        return GivenConstants(self.plan.count).init(jax.random.key(0), self.space.start(jax.random.key(0)))

    def prepare(self, state: Any, carried: Tree) -> tuple[Any, Tree]:
        """Give the strategy the tuned trees."""
        return state._replace(constants=carried), carried

    def evaluate(self, root: Key, key: Key, carried: Tree, genotypes: Genotype) -> Evaluated:
        """Evaluate a population, and tune its best."""
        evaluation = self.population(key, genotypes)
        chosen = populations.take(genotypes, self._best(genotypes, evaluation))
        tuned: Tree = self._map(self.tune, self.tasks.draw(key), chosen, 1)
        return Evaluated(evaluation, tuned)

    def _best(self, genotypes: Tree, evaluation: Evaluation) -> jax.Array:
        fitness = jnp.asarray(evaluation.fitness)
        loss = jnp.where(jnp.isfinite(fitness), sign_of(self.problem) * fitness, jnp.inf)
        if evaluation.constraints is not None:
            loss = ranked(loss, evaluation.constraints)
        order = jnp.argsort(loss)
        copy = jnp.zeros(len(order), bool).at[order[1:]].set(loss[order[1:]] == loss[order[:-1]])
        last = copy | ~jnp.any(genotypes.op == self.code, axis=1) | ~jnp.isfinite(loss)
        return lax.sort((last, loss, lax.iota(jnp.int32, len(loss))), num_keys=2)[2][: self.plan.count]

    def loss(self, shared: Any, op: jax.Array, constants: jax.Array) -> Scalar:
        """Return the fitness of a tree, to be minimised, as a function of its constants."""
        evaluation = self.tasks.evaluate(shared, self.omega(Tree(op, constants)))
        return sign_of(self.problem) * jnp.asarray(evaluation.fitness)

    def tune(self, shared: Any, tree: Tree) -> Tree:
        """Return a tree with its constants tuned."""
        loss = functools.partial(self.loss, shared, tree.op)
        search = optax.scale_by_zoom_linesearch(LINE_SEARCH, initial_guess_strategy="one")
        solver = optax.lbfgs(memory_size=8, linesearch=search)
        value_and_gradient = optax.value_and_grad_from_state(loss)

        def step(_: Any, carry: Any) -> Any:
            constants, state = carry
            value, gradient = value_and_gradient(constants, state=state)
            updates, state = solver.update(gradient, state, constants, value=value, grad=gradient, value_fn=loss)
            return optax.apply_updates(constants, updates), state

        start = tree.constant, solver.init(tree.constant)
        moved = lax.fori_loop(0, self.plan.steps, step, start)[0]
        before, after = lax.map(loss, jnp.stack([tree.constant, moved]))
        better = jnp.all(jnp.isfinite(moved)) & (after < before)
        return Tree(tree.op, jnp.where(better, moved, tree.constant))


@register
def _make(
    plan: ConstantTuning, strategy: Strategy[Any], problem: Problem | InnerTraining, space: Space
) -> TuningByGradient:
    return tuning_evaluator(plan, problem, space)


def tuning_evaluator(plan: ConstantTuning, problem: Problem | InnerTraining, space: Space) -> TuningByGradient:
    """Return the evaluator of a plan for a problem and its space of expressions."""
    assert isinstance(space, Expression)
    return TuningByGradient(problem, space, plan=plan, code=space.primitives.constant)


@register_incompatibility
def _incompatibility(plan: ConstantTuning, strategy: Strategy[Any], problem: BaseProblem) -> str | None:
    if isinstance(problem, (Problem, InnerTraining)):
        tuning = tuning_evaluator(plan, problem, problem.space)
        one = tuning.one_candidate()
        try:
            jax.eval_shape(jax.grad(tuning.loss, argnums=2), one.shared, *one.item)
        except (TypeError, ValueError, NotImplementedError) as error:
            why = str(error).splitlines()[0].rstrip(". ")
        else:
            return None
    else:
        why = "it is evaluated by plain Python"
    return (
        "GeneticProgramming(tuning='gradient') expects a problem whose fitness JAX can differentiate by constants, and "
        f"{type(problem).__name__} is none: {why}; use tuning='cmaes'."
    )
