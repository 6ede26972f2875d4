"""The checks of a problem, on one generation of three candidates."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evometa.backend.precision import entropy_of, key_of, whole_seed
from evometa.evaluation.checks import check_problem
from evometa.evaluation.full_evaluator import FullEvaluator
from evometa.evaluation.task_source import KeyDraws, TaskSet
from evometa.inner_training import begin, train
from evometa.naming import describe, rebuild
from evometa.problem import BaseProblem, Evaluation, HostProblem, InnerTraining, Problem, as_evaluation, precision_of
from evometa.testing.promises import (
    close,
    equal,
    match,
    require,
    traces_to,
)


def check_problem_contract(problem: BaseProblem, *, seed: int = 0) -> None:
    """Check that a problem keeps its contract, on one generation of three candidates.

    The methods fit together; the fitness is finite for the space's start, depends on the key (or generator) and ω
    alone, and is the same for equal candidates of a generation, and for candidates together as for each alone; fields
    are enough to build the problem again; inner training in pieces is what it is at once. A plain-Python problem is
    called in this process.

    Args:
        problem: an instance, with few tasks and inner steps.
        seed: seed of candidates and tasks.

    Raises:
        ContractError: the first promise that is not kept.
        ConfigurationError: the methods do not fit together.
    """
    with precision_of(problem):
        space = check_problem(problem)
    name, seed = type(problem).__name__, whole_seed("check_problem_contract", seed)
    require(rebuild(describe(problem)) == problem, f"{name} expects to be rebuilt from its own fields")
    if isinstance(problem, HostProblem):
        with precision_of(problem):
            omega = jax.jit(lambda key: space.decode(space.repair(space.start(key))))(key_of(seed))
        _check_host(problem, space.present(jax.device_get(omega)), entropy_of(seed))
        return
    assert isinstance(problem, (Problem, InnerTraining))
    _CompiledCheck(problem, FullEvaluator(problem, space, 0, 3, (jax.local_devices()[0],))).run(key_of(seed))


class _CompiledCheck:
    """The checks of a problem that JAX compiles; candidates and tasks run through the same few programs."""

    def __init__(self, problem: Problem | InnerTraining, evaluator: FullEvaluator) -> None:
        self.problem, self.evaluator, self.name = problem, evaluator, type(problem).__name__

    def draw(self, key: Any) -> Any:
        """Return tasks, held-out tasks, and three genotypes: the start of the space, another, and the start again."""
        key_start, key_sample, key_evaluate = jax.random.split(key, 3)
        space, source = self.evaluator.space, self.evaluator.tasks
        start, other = space.start(key_start), space.sample(key_sample)
        population = jax.tree.map(lambda *leaves: jnp.stack(leaves), start, other, start)
        held_out = source.sample(key_evaluate, source.tasks_per_candidate, test=True)
        return source.draw(key_evaluate), held_out, population

    def one(self, tasks: Any, genotype: Any) -> Evaluation:
        """Evaluate one candidate."""
        return self.evaluator.tasks.evaluate(tasks, self.evaluator.omega(genotype))

    def alone(self, tasks: Any, population: Any) -> Evaluation:
        """Evaluate candidates one after the other."""
        found: Evaluation = jax.lax.map(functools.partial(self.one, tasks), population)
        return found

    def together(self, tasks: Any, population: Any) -> Evaluation:
        """Evaluate candidates at once, by the problem's own method where it has one."""
        source = self.evaluator.tasks
        if isinstance(source, KeyDraws):
            return source.evaluate_population(tasks, jax.vmap(self.evaluator.omega)(population))
        return jax.vmap(functools.partial(self.one, tasks))(population)

    def run(self, root: Any) -> None:
        """Raise ContractError for the first promise that is not kept."""
        name, draw, evaluate = self.name, jax.jit(self.draw), jax.jit(self.alone)
        tasks, held_out, population = draw(root)
        found = evaluate(tasks, population)
        fitness = np.asarray(found.fitness)
        require(math.isfinite(fitness[0]), f"{name} expects a finite fitness where its space starts, got {fitness[0]}")
        require(
            traces_to(draw.trace(root).jaxpr, self.draw, root)
            and traces_to(evaluate.trace(tasks, population).jaxpr, self.alone, tasks, population)
            and match(equal, found, evaluate(tasks, population)),
            f"{name} expects its methods to depend on their arguments alone, and two calls compute differently",
        )
        together = jax.jit(self.together)(tasks, population)
        values = np.asarray(together.fitness)
        require(
            close(values[0], values[2]),
            f"{name} expects the same fitness for equal candidates of a generation, got {values[0]} and {values[2]}",
        )
        require(
            match(close, found, together),
            f"{name} expects candidates to have the same fitness together as alone, got {values} instead of {fitness}",
        )
        if isinstance(self.problem, InnerTraining):  # whose tasks are data: the program is there already
            self.require_finite(evaluate(held_out, population))
            if self.problem.inner_steps > 1:
                self.pieces(self.problem, tasks, population)
        elif self.problem.has_test():
            self.require_finite(jax.jit(self.tested)(held_out, population))

    def tested(self, keys: Any, population: Any) -> Evaluation:
        """Evaluate the candidates on what is held out, with the first key."""
        found: Evaluation = jax.lax.map(
            lambda genotype: self.evaluator.tasks.evaluate_on(self.evaluator.omega(genotype), keys[0], test=True),
            population,
        )
        return found

    def require_finite(self, held_out: Evaluation) -> None:
        """Require that the first candidate's held-out fitness is finite."""
        fitness = np.asarray(held_out.fitness)[0]
        require(math.isfinite(fitness), f"{self.name} expects a finite held-out fitness where it starts, got {fitness}")

    def pieces(self, problem: InnerTraining, tasks: TaskSet, population: Any) -> None:
        """Require that training in two pieces, between which the learner leaves the program, is training at once."""

        @jax.jit
        def begun(tasks: TaskSet, population: Any) -> Any:
            key, task = _first(tasks)
            return begin(problem, key, self.evaluator.omega(_first(population)), task)

        @jax.jit
        def trained(tasks: TaskSet, population: Any, learner: Any, start: int, end: int) -> Any:
            (key, task), omega = _first(tasks), self.evaluator.omega(_first(population))
            steps = lambda number, learner: train(problem, key, omega, task, learner, number, 1)  # noqa: E731
            return jax.lax.fori_loop(start, end, steps, learner)

        learner, last = begun(tasks, population), problem.inner_steps
        once = trained(tasks, population, learner, 0, last)
        require(
            match(close, once, trained(tasks, population, trained(tasks, population, learner, 0, 1), 1, last)),
            f"{self.name} expects the same learner from training in pieces as at once, and it differs",
        )


def _first(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[0], tree)


def _check_host(problem: HostProblem, omega: Any, seed: int) -> None:
    for method in ("evaluate", "evaluate_test") if problem.has_test() else ("evaluate",):
        name, found = f"{type(problem).__name__}.{method}", []
        for _ in range(2):
            result = getattr(problem, method)(np.random.default_rng(seed), jax.tree.map(np.array, omega))
            whole = as_evaluation(result)
            metrics = whole.metrics
            found.append(float(whole.fitness))
            given = {n: len(v) for n, v in whole._asdict().items() if n not in ("fitness", "metrics") and v is not None}
            require(
                given == dict(problem.vector_lengths),
                f"{name} expects what its class's vector_lengths says, {dict(problem.vector_lengths)}, got {given}",
            )
            require(
                set(metrics) == set(problem.metric_names),
                f"{name} expects the metrics {problem.metric_names}, its class's metric_names, got {tuple(metrics)}",
            )
        require(math.isfinite(found[0]), f"{name} expects a finite fitness where its space starts, got {found[0]}")
        require(found[0] == found[1], f"{name} expects the same fitness from the same seed, got {found}")
