"""Whether a strategy and a problem fit together, and what the one makes no use of that the other returns."""

from typing import Any

import jax
import jax.numpy as jnp

from evometa.backend.static_leaves import abstract, pack, unpack
from evometa.errors import ConfigurationError, IgnoredFeedbackWarning, warn
from evometa.evaluation.checks import check_names
from evometa.evaluation.population_evaluator import plan_incompatibility
from evometa.halving import Halving
from evometa.problem import VECTORS, BaseProblem, HostProblem, InnerTraining, Problem, as_evaluation, overrides
from evometa.pruning import MedianPruning, Pruning
from evometa.spaces import Space
from evometa.strategy import Strategy


def require_compatible(
    strategy: Strategy[Any], problem: BaseProblem, space: Space, halving: Halving | None = None
) -> None:
    """Raise ConfigurationError, in the words of what does not fit, when a strategy cannot search for a problem."""
    check_names(strategy, Strategy)
    for reason in (
        strategy.incompatibility(space),
        _python_incompatibility(strategy, problem),
        strategy.problem_incompatibility(problem),
        plan_incompatibility(strategy, problem, halving),
    ):
        if reason:
            raise ConfigurationError(reason)
    given = set(vector_lengths(problem)) if strategy.required_feedback else set()  # tracing takes time
    missing = [name for name in strategy.required_feedback if name not in given | {"gradient"}]  # which the engine adds
    if missing:
        where = "vector_lengths" if isinstance(problem, HostProblem) else "the Evaluation it returns"
        raise ConfigurationError(
            f"{type(strategy).__name__} requires {' and '.join(missing)}, and {type(problem).__name__} gives none; "
            f"add them to {where}."
        )


def _python_incompatibility(strategy: Strategy[Any], problem: BaseProblem) -> str | None:
    if not strategy.asks_in_python or isinstance(problem, HostProblem):
        return None
    return (
        f"{type(strategy).__name__} asks in plain Python, so it expects a plain-Python problem (HostProblem), and "
        f"{type(problem).__name__} is compiled; use another strategy, or evaluate it in a HostProblem."
    )


def require_prunable(pruning: Pruning, strategy: Strategy[Any], problem: BaseProblem) -> None:
    """Raise ConfigurationError, in the words of what does not fit, where the calls of a problem cannot be pruned."""
    name, expects = type(problem).__name__, "Search(pruning=...) expects"
    if not isinstance(problem, HostProblem):
        raise ConfigurationError(
            f"{expects} a plain-Python problem (HostProblem), whose calls report how they are doing, and {name} is "
            "compiled; use halving=Halving() where it has inner training."
        )
    others = [vector for vector in problem.vector_lengths if vector != "objectives"]
    if others:
        raise ConfigurationError(
            f"{expects} candidates that are compared by their fitness or objectives, and {name} returns "
            f"{' and '.join(others)} besides; search without it."
        )
    if isinstance(pruning, MedianPruning) and "objectives" in strategy.required_feedback:
        raise ConfigurationError(
            f"MedianPruning compares one number, and {type(strategy).__name__} weighs several objectives; use ASHA()."
        )
    if problem.num_tasks not in (None, 1):
        raise ConfigurationError(
            f"{expects} one call for each candidate, and {name} averages num_tasks={problem.num_tasks} of them; "
            "average in evaluate, and report the mean."
        )


def warn_of_ignored(strategy: Strategy[Any], problem: BaseProblem) -> None:
    """Warn of what a (compatible) problem's evaluations have and a strategy makes no use of."""
    name, cls, lengths = type(strategy).__name__, type(problem).__name__, vector_lengths(problem)
    for vector, remedy in _INSTEAD.items():
        if vector in lengths and vector not in strategy.required_feedback:
            warn(
                f"{name} makes no use of the {vector} that {cls} returns; {remedy}.",
                IgnoredFeedbackWarning,
            )
    if "constraints" in lengths and strategy.constraint_handling == "none":
        warn(
            f"{name} follows the fitness alone and does not steer by the constraints that {cls} returns, so only what "
            "it comes across keeps them; use a strategy that ranks candidates, such as OpenAIES or CMAES.",
            IgnoredFeedbackWarning,
        )


_INSTEAD = {
    "objectives": "use NSGA2 for a Pareto front, or GeneticProgramming(cases=...) where they are errors on cases",
    "measures": "use MAPElites or CMAME for an archive over them",
}


def vector_lengths(problem: BaseProblem) -> dict[str, int]:
    """Return how many objectives, constraints and measures the evaluations of a (checked) problem have."""
    if isinstance(problem, HostProblem):
        return {name: length for name, length in problem.vector_lengths.items() if length}
    assert isinstance(problem, (Problem, InnerTraining))
    evaluation = as_evaluation(_abstract_evaluation(problem))
    vectors = {name: getattr(evaluation, name) for name in VECTORS}
    return {name: vector.shape[0] for name, vector in vectors.items() if vector is not None}


def _abstract_evaluation(problem: Problem | InnerTraining) -> Any:
    """Return the shapes of the evaluation of one ω, without tracing its inner training where that can be avoided."""
    space, key = problem.space, jax.eval_shape(jax.random.key, 0)
    omega = abstract(lambda key: space.decode(space.repair(space.sample(key))), key)
    if isinstance(problem, Problem):
        return abstract(problem.evaluate, key, omega)
    task = abstract(problem.sample_task, key)
    if overrides(problem, "evaluate_task"):
        return abstract(problem.evaluate_task, key, omega, task)
    learner = abstract(problem.init, key, omega, task)
    fitness = jax.ShapeDtypeStruct((), jnp.float32)
    return abstract(problem.evaluate_learner, key, omega, task, learner, fitness)


def noisy(problem: BaseProblem) -> bool:
    """Return whether evaluating the same ω again may give another fitness.

    So it is with inner training, with problems that say how many tasks an evaluation averages, and with a
    :class:`Problem` that makes use of its key.
    """
    if problem.num_tasks is not None:
        return True
    if not isinstance(problem, Problem):
        return False
    space, key = problem.space, jax.eval_shape(jax.random.key, 0)
    omega = pack(abstract(lambda key: space.decode(space.repair(space.sample(key))), key))

    def fitness(key: Any, omega: Any) -> Any:
        return [
            as_evaluation(evaluate(key, unpack(omega))).fitness
            for evaluate in (problem.evaluate, problem.evaluate_test)
        ]

    return _uses_first_argument(jax.make_jaxpr(fitness)(key, omega).jaxpr)


def _uses_first_argument(jaxpr: Any) -> bool:
    """Return whether the results of a traced function depend on its first argument (a step inside counts whole)."""

    def variables(atoms: Any) -> set[Any]:
        return {atom for atom in atoms if not hasattr(atom, "val")}  # the others are literals

    wanted = variables(jaxpr.outvars)
    for equation in reversed(jaxpr.eqns):
        if wanted & set(equation.outvars):
            wanted |= variables(equation.invars)
    return jaxpr.invars[0] in wanted
