"""Gradient steps inside genetic programming, for the constants of the best trees."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from evometa.evaluation import Evaluator, Whole, Work, map_chunks
from evometa.expressions import Tree
from evometa.problem import BaseProblem, Evaluation, InnerTraining, Problem
from evometa.program import sign_of
from evometa.strategies import _populations
from evometa.types import Genotype, Key, Scalar

LINE_SEARCH = 6
"""Evaluations that a step may take to find its length."""


@dataclasses.dataclass(frozen=True)
class GivenConstants:
    """Hands on trees whose constants were tuned where they were evaluated; the same methods as ``TunedConstants``.

    Args:
        count: how many in a generation.
    """

    count: int

    def init(self, key: Key, tree: Tree) -> Tree:
        """Begin with copies of a tree."""
        copies: Tree = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (self.count, *leaf.shape)), tree)
        return copies

    def ask(self, key: Key, state: Tree) -> tuple[Tree, Tree]:
        """Return trees ``[count, L]``."""
        return state, state

    def tell(self, key: Key, state: Tree, *told: Any) -> Tree:
        """Learn nothing: the next trees come from :class:`TuningByGradient`."""
        return state


@dataclasses.dataclass(frozen=True, eq=False)
class TuningByGradient:
    """Evaluates each population as the problem says, and then moves the constants of its best trees down the gradient.

    By L-BFGS (Liu & Nocedal 1989) on the fitness, on the same tasks. The moved trees are carried into the next
    generation, where they are candidates like all others. Trees of equal fitness, likely copies, are tuned once, and
    trees without constants only if there are not enough others. What got no better stays as it was.

    Args:
        evaluator: its problem, space, chunk size and devices.
        count: how many trees.
        steps: steps for each.
        code: of the constant in the trees.
    """

    evaluator: Evaluator
    count: int
    steps: int
    code: int

    @property
    def inner_steps_per_evaluation(self) -> int:
        """The problem's own; those of tuning are not counted."""
        return self.evaluator.problem.inner_steps_per_evaluation

    def work(self) -> Work:
        """Return what evaluating one candidate takes; the few that are tuned are so one at a time."""
        return self.evaluator.work()

    def initial(self) -> Tree:
        """Return trees ``[count, L]``, which the first generation does not take yet."""
        return GivenConstants(self.count).init(jax.random.key(0), self.evaluator.space.start(jax.random.key(0)))

    def prepare(self, state: Any, carried: Tree) -> tuple[Any, Tree]:
        """Give the strategy the tuned trees."""
        return state._replace(constants=carried), carried

    def population(self, root: Key, key: Key, carried: Tree, genotypes: Genotype) -> tuple[Evaluation, Tree]:
        """Evaluate a population, and tune its best."""
        evaluation, _ = Whole(self.evaluator).population(root, key, (), genotypes)
        chosen = _populations.take(genotypes, self._best(genotypes, jnp.asarray(evaluation.fitness)))
        shared, devices = self.evaluator.judge.draw(key), self.evaluator.devices
        tuned: Tree = map_chunks(self.tune, shared, chosen, chunk=1, devices=devices)
        return evaluation, tuned

    def _best(self, genotypes: Tree, fitness: jax.Array) -> jax.Array:
        loss = jnp.where(jnp.isfinite(fitness), sign_of(self.evaluator.problem) * fitness, jnp.inf)
        order = jnp.argsort(loss)
        copy = jnp.zeros(len(order), bool).at[order[1:]].set(loss[order[1:]] == loss[order[:-1]])
        last = copy | ~jnp.any(genotypes.op == self.code, axis=1) | ~jnp.isfinite(loss)
        return lax.sort((last, loss, lax.iota(jnp.int32, len(loss))), num_keys=2)[2][: self.count]

    def loss(self, shared: Any, op: jax.Array, constants: jax.Array) -> Scalar:
        """Return the fitness of a tree, to be minimised, as a function of its constants."""
        evaluation = self.evaluator.judge.one(shared, self.evaluator.omega(Tree(op, constants)))
        return sign_of(self.evaluator.problem) * jnp.asarray(evaluation.fitness)

    def tune(self, shared: Any, tree: Tree) -> Tree:
        """Return a tree with its constants moved."""
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
        moved = lax.fori_loop(0, self.steps, step, start)[0]
        before, after = lax.map(loss, jnp.stack([tree.constant, moved]))
        better = jnp.all(jnp.isfinite(moved)) & (after < before)
        return Tree(tree.op, jnp.where(better, moved, tree.constant))


def refuse_unless_tunable(problem: BaseProblem) -> str | None:
    """Return why constants cannot be tuned by the gradient of a problem's fitness, or None when they can."""
    if isinstance(problem, (Problem, InnerTraining)):
        tuning = TuningByGradient(Evaluator(problem, problem.space, 0, 1, ()), 1, 1, 0)
        work = tuning.work()
        try:
            jax.eval_shape(jax.grad(tuning.loss, argnums=2), work.shared, *work.item)
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
