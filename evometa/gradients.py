"""Gradients: judging candidates by their fitness and by its gradient with respect to the genotype.

The gradient is that of the mean over tasks, through repair, decoding and the whole of inner training. In reverse mode
its price is that of a few judgements whatever the genotype's size D, and memory for the learner of every inner step; in
forward mode it is that of about D judgements, in constant memory.
"""

import copy
import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp

from evometa.evaluation import Evaluator, Judge, TaskJudge, Work, map_chunks
from evometa.problem import BaseProblem, Evaluation, InnerTraining, Problem
from evometa.strategy import Strategy
from evometa.types import Genotype, Key

Mode = Literal["reverse", "forward"]
"""How derivatives are carried through a computation."""


@dataclasses.dataclass(frozen=True, eq=False)
class Differentiated:
    """Judges each population from scratch, as the problem says, and differentiates the fitness besides.

    A candidate whose gradient is not finite failed, however good its fitness.

    Args:
        evaluator: its problem, space, chunk size and devices.
        mode: the mode of differentiation.
    """

    evaluator: Evaluator
    mode: Mode = "reverse"

    @property
    def inner_steps_per_evaluation(self) -> int:
        """The problem's own; going back through them is not counted."""
        return self.evaluator.problem.inner_steps_per_evaluation

    def work(self) -> Work:
        """Return what judging and differentiating one candidate takes."""
        return self.evaluator.work()._replace(function=self._one)

    def initial(self) -> tuple[()]:
        """Return nothing."""
        return ()

    def prepare(self, state: Any, carried: Any) -> tuple[Any, Any]:
        """Return both as they are."""
        return state, carried

    def population(self, root: Key, key: Key, carried: Any, genotypes: Genotype) -> tuple[Evaluation, Any]:
        """Judge a population on the generation's tasks; the judgements have a gradient like the genotypes."""
        chunk, devices = self.evaluator.chunk, self.evaluator.devices
        shared = self.evaluator.judge.draw(key)
        return Evaluation(*map_chunks(self._one, shared, genotypes, chunk=chunk, devices=devices)), carried

    @property
    def _judge(self) -> Judge:
        problem = self.evaluator.problem
        if self.mode == "forward" or not isinstance(problem, InnerTraining):
            return self.evaluator.judge
        # The way back needs what each inner step computed. Keeping learners alone, and computing the rest once more, is
        # a third of the memory of a network's training, and no slower: it stays in the cache.
        lean = copy.copy(problem)
        object.__setattr__(lean, "step", jax.checkpoint(problem.step, prevent_cse=False))
        return TaskJudge(lean)

    def _one(self, shared: Any, genotype: Genotype) -> Evaluation:
        judge = self._judge

        def fitness(genotype: Genotype) -> tuple[Any, Evaluation]:
            judged = judge.one(shared, self.evaluator.omega(genotype))
            return judged.fitness, judged

        differentiate = jax.grad if self.mode == "reverse" else jax.jacfwd
        found: tuple[Genotype, Evaluation] = differentiate(fitness, has_aux=True)(genotype)
        # In forward mode the gradient has the type of the fitness.
        gradient = jax.tree.map(lambda leaf, like: leaf.astype(like.dtype), found[0], genotype)
        finite = jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(gradient)]).all()
        judged = found[1]
        return judged._replace(fitness=jnp.where(finite, judged.fitness, jnp.nan), gradient=gradient)


def refuse_unless_differentiable(strategy: Strategy[Any], problem: BaseProblem, mode: Mode) -> str | None:
    """Return why the fitness of a problem cannot be differentiated, in one sentence, or None when it can."""
    name, remedy = type(strategy).__name__, "use a strategy that needs fitness alone, such as OpenAIES."
    if not isinstance(problem, (Problem, InnerTraining)):
        return (
            f"{name} expects a problem that JAX can differentiate, a Problem or InnerTraining, and "
            f"{type(problem).__name__} is judged by plain Python; {remedy}"
        )
    work = Differentiated(Evaluator(problem, problem.space, 0, 1, ()), mode).work()
    try:
        jax.eval_shape(*work)
    except (TypeError, ValueError, NotImplementedError) as error:
        return (
            f"{name} expects a problem that JAX can differentiate in {mode} mode, and {type(problem).__name__} is "
            f"none: {str(error).splitlines()[0].rstrip('. ')}; "
            + ("try mode='forward', or " if mode == "reverse" else "")
            + remedy
        )
    return None
