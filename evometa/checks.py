"""Checking a problem before anything is compiled: abstract evaluation finds wrong shapes and says whose they are."""

import dataclasses
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from evometa.errors import ConfigurationError
from evometa.evaluation import Evaluator
from evometa.problem import VECTORS, BaseProblem, Evaluation, HostProblem, InnerTraining, Problem
from evometa.space import Space
from evometa.strategy import Strategy


def check_problem(problem: BaseProblem) -> Space:
    """Return the problem's space after checking that its methods fit together.

    Raises:
        ConfigurationError: fields that are no fields, a space that is none, a loss or fitness that is not a scalar, a
            step that changes the learner's structure, shapes or types; the message names class and method.
        Exception: what a method itself raises, with a note that says which method it was.
    """
    if not isinstance(problem, (Problem, InnerTraining, HostProblem)):
        raise ConfigurationError(
            f"Search expects a problem, an instance of Problem, InnerTraining or HostProblem, got {problem!r}"
            f"{'; make an instance of the class first' if isinstance(problem, type) else ''}."
        )
    _check_fields(problem)
    name = type(problem).__name__
    space = problem.space
    if not isinstance(space, Space):
        raise ConfigurationError(f"{name}.space expects a space such as Box or Like (as a property), got {space!r}.")
    key = jax.eval_shape(jax.random.key, 0)
    genotype = jax.eval_shape(space.sample, key)
    omega = jax.eval_shape(lambda g: space.decode(space.repair(g)), genotype)
    if isinstance(problem, InnerTraining):
        _check_inner(problem, key, omega)
    elif isinstance(problem, Problem):
        judged = _abstract(f"{name}.evaluate", problem.evaluate, key, omega)
        _check_evaluation(f"{name}.evaluate", judged, problem.objective_names)
    return space


def require_feedback(strategy: Strategy[Any], problem: BaseProblem) -> None:
    """Raise ConfigurationError when the evaluations of a problem lack feedback that a strategy requires."""
    given = set(vector_lengths(problem)) if strategy.required_feedback else set()
    missing = [name for name in strategy.required_feedback if name not in given | {"gradient"}]  # which the engine adds
    if missing:
        where = "vector_lengths" if isinstance(problem, HostProblem) else "the Evaluation it returns"
        raise ConfigurationError(
            f"{type(strategy).__name__} requires {' and '.join(missing)}, and {type(problem).__name__} gives none; "
            f"add them to {where}."
        )


def vector_lengths(problem: BaseProblem) -> dict[str, int]:
    """Return how many objectives, constraints and measures the judgements of a (checked) problem have."""
    if isinstance(problem, HostProblem):
        return {name: length for name, length in problem.vector_lengths.items() if length}
    assert isinstance(problem, (Problem, InnerTraining))
    space = problem.space
    evaluator = Evaluator(problem, space, 0, 1, ())
    key = jax.eval_shape(jax.random.key, 0)
    work = evaluator.work()
    judged = jax.eval_shape(work.function, work.shared, jax.eval_shape(space.sample, key))
    vectors = {name: getattr(judged, name) for name in VECTORS}
    return {name: vector.shape[0] for name, vector in vectors.items() if vector is not None}


def _check_fields(problem: BaseProblem) -> None:
    fields = {field.name for field in dataclasses.fields(problem)}
    for cls in type(problem).__mro__:
        for name, hint in inspect.get_annotations(cls).items():
            if name not in fields and "ClassVar" not in str(hint):
                raise ConfigurationError(
                    f"{cls.__name__}.{name} has a type like a field, and {cls.__name__} is no dataclass of its own; "
                    "put @dataclasses.dataclass(frozen=True) above the class."
                )


def _check_inner(problem: InnerTraining, key: Any, omega: Any) -> None:
    name = type(problem).__name__
    task = _abstract(f"{name}.sample_task", problem.sample_task, key)
    held_out = _abstract(f"{name}.sample_test_task", problem.sample_test_task, key)
    for kind in (task, held_out):
        learner = _abstract(f"{name}.init", problem.init, key, omega, kind)
        after = _abstract(f"{name}.step", problem.step, key, omega, kind, learner)
        _check_same(f"{name}.step", learner, after)
        _check_evaluation(f"{name}.loss", _abstract(f"{name}.loss", problem.loss, key, omega, kind, learner))
        metrics = _abstract(f"{name}.metrics", problem.metrics, key, omega, kind, learner)
        _check_metrics(f"{name}.metrics", metrics)
        judge = f"{name}.evaluate_learner"
        fitness = jax.ShapeDtypeStruct((), jnp.float32)
        judged = _abstract(judge, problem.evaluate_learner, key, omega, kind, learner, fitness)
        _check_evaluation(judge, judged, problem.objective_names)
    _warn_of_double_precision(name, omega, learner)


def _check_same(method: str, before: Any, after: Any) -> None:
    flat_before, tree_before = jax.tree_util.tree_flatten_with_path(before)
    flat_after, tree_after = jax.tree_util.tree_flatten_with_path(after)
    if str(tree_before) != str(tree_after):
        raise ConfigurationError(
            f"{method} expects to return a learner like the one it was given, {tree_before}, and returned {tree_after}."
        )
    for (path, old), (_, new) in zip(flat_before, flat_after, strict=True):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise ConfigurationError(
                f"{method} expects to keep the learner's shapes and types, and changed "
                f"learner{jax.tree_util.keystr(path)} from {old.dtype}{list(old.shape)} to "
                f"{new.dtype}{list(new.shape)}; mend init or step."
            )


def _check_evaluation(method: str, result: Any, objective_names: tuple[str, ...] = ()) -> None:
    whole = result if isinstance(result, Evaluation) else Evaluation(result)
    fitness: Any = whole.fitness
    if not hasattr(fitness, "shape") or fitness.shape != ():
        raise ConfigurationError(
            f"{method} expects to return a scalar, one number for one candidate, got "
            f"{_shape(fitness)}; reduce it, with jnp.mean for example."
        )
    if not jnp.issubdtype(fitness.dtype, jnp.floating):
        raise ConfigurationError(f"{method} expects to return a float, got {fitness.dtype}; convert it.")
    _check_metrics(method, whole.metrics)
    for name in VECTORS:
        value = getattr(whole, name)
        if value is None:
            continue
        if len(getattr(value, "shape", ())) != 1 or not value.shape[0]:
            raise ConfigurationError(
                f"{method} expects {name} as a vector of at least one number, got {_shape(value)}; use jnp.stack."
            )
        if not jnp.issubdtype(value.dtype, jnp.floating):
            raise ConfigurationError(f"{method} expects {name} as floats, got {value.dtype}; convert them.")
        if name == "objectives" and objective_names and len(objective_names) != value.shape[0]:
            raise ConfigurationError(
                f"{method} expects as many objectives as objective_names has names, got {value.shape[0]} for "
                f"{objective_names}; name all or none."
            )


def _check_metrics(method: str, metrics: Any) -> None:
    for name, value in metrics.items():
        if getattr(value, "shape", None) != ():
            raise ConfigurationError(f"{method} expects scalar metrics, and {name!r} is {_shape(value)}; reduce it.")


def _shape(value: Any) -> str:
    return f"an array of shape {value.shape}" if hasattr(value, "shape") else f"a {type(value).__name__}"


def _warn_of_double_precision(name: str, omega: Any, learner: Any) -> None:
    def double(tree: Any) -> bool:
        return any(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(tree))

    if double(learner) and not double(omega):
        warnings.warn(
            f"{name} trains learners in float64 although its ω is not: under jax_enable_x64 an array made without a "
            "dtype is float64, at half the speed; give float32 explicitly in sample_task, init and step.",
            stacklevel=4,
        )


def _abstract(method: str, function: Callable[..., Any], *args: Any) -> Any:
    try:
        return jax.eval_shape(function, *args)
    except Exception as error:
        shapes = ", ".join(str(jax.tree.map(lambda s: f"{s.dtype}{list(s.shape)}", arg)) for arg in args)
        error.add_note(f"evometa: while checking {method} with arguments of shapes {shapes}")
        raise
