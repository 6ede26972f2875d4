"""The checks of a problem, on one generation of three candidates."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evometa.backend.precision import entropy_of, key_of, whole_seed
from evometa.evaluation.checks import check_problem
from evometa.evaluation.full_evaluator import FullEvaluator
from evometa.naming import describe, rebuild
from evometa.problem import BaseProblem, HostProblem, InnerTraining, Problem, as_evaluation, begin, precision_of, train
from evometa.spaces import Space
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
    alone, and is the same for equal candidates of a generation; fields are enough to build the problem again; inner
    training in pieces is what it is at once. A plain-Python problem is called in this process.

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
    key_start, key_sample, key_evaluate = jax.random.split(key_of(seed), 3)
    with precision_of(problem):
        start, other = jax.jit(space.start)(key_start), jax.jit(space.sample)(key_sample)
        omega = jax.device_get(jax.jit(lambda genotype: space.decode(space.repair(genotype)))(start))
    if isinstance(problem, HostProblem):
        _check_host(problem, space.present(omega), entropy_of(seed))
        return
    assert isinstance(problem, (Problem, InnerTraining))
    population = jax.tree.map(lambda *leaves: jnp.stack(leaves), start, other, start)
    evaluator = FullEvaluator(problem, space, 0, 1, (jax.local_devices()[0],))
    traced = jax.jit(evaluator.population).trace(key_evaluate, population)
    evaluate = traced.lower().compile()
    found = evaluate(key_evaluate, population)
    fitness = np.asarray(found.fitness)
    require(math.isfinite(fitness[0]), f"{name} expects a finite fitness where its space starts, got {fitness[0]}")
    require(
        bool(fitness[0] == fitness[2]),
        f"{name} expects the same fitness for equal candidates of a generation, got {fitness[0]} and {fitness[2]}",
    )
    again = evaluate(key_evaluate, population)
    require(
        traces_to(traced.jaxpr, evaluator.population, key_evaluate, population) and match(equal, found, again),
        f"{name} expects its methods to depend on their arguments alone, and two calls compute differently",
    )
    batched = jax.jit(dataclasses.replace(evaluator, chunk=3).population)(key_evaluate, population)
    require(
        match(close, found, batched),
        f"{name} expects that candidates can be batched, and vmap changes {fitness} to {np.asarray(batched.fitness)}",
    )
    if problem.has_test():
        held_out = jax.jit(lambda key, one: evaluator.validate(key, one, 2, test=True))(key_evaluate, start)
        require(bool(jnp.isfinite(held_out.fitness)), f"{name} expects a finite held-out fitness where it starts")
    if isinstance(problem, InnerTraining) and problem.inner_steps > 1:
        _check_pieces(problem, space, start, key_evaluate)


def _check_pieces(problem: InnerTraining, space: Space, genotype: Any, key: Any) -> None:
    @jax.jit
    def run(genotype: Any, cut: Any) -> Any:
        omega, task = space.decode(space.repair(genotype)), problem.sample_task(key)
        learner = begin(problem, key, omega, task)
        once = train(problem, key, omega, task, learner, 0, problem.inner_steps)
        piece = train(problem, key, omega, task, learner, 0, 1)
        return once, train(problem, key, omega, task, piece, cut, problem.inner_steps - 1)

    require(
        match(close, *run(genotype, 1)),
        f"{type(problem).__name__} expects the same learner from training in pieces as at once, and it differs",
    )


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
