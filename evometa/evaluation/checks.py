"""Checking a problem before anything is compiled: abstract evaluation finds wrong shapes and says whose they are."""

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp

from evometa.backend.static_leaves import abstract, is_array, pack
from evometa.errors import ConfigurationError, warn
from evometa.problem import VECTORS, BaseProblem, HostProblem, InnerTraining, Problem, as_evaluation, overrides
from evometa.settings import Count
from evometa.settings.conversion import convert, described, shown
from evometa.settings.ranges import Refused
from evometa.spaces import Space, VectorSpace


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
    check_names(problem, _base_of(problem))
    name = type(problem).__name__
    space = problem.space
    if not isinstance(space, Space):
        advice = (
            "; give em.Dict of it"
            if isinstance(space, Mapping)
            else "; put @property above it, and return an instance" * callable(space)
        )
        raise ConfigurationError(f"{name}.space expects a space such as Box or Like, got {space!r}{advice}.")
    for method in _METHODS[_base_of(problem)]:
        _check_arguments(problem, method)
    if isinstance(space, VectorSpace) and not space.size:
        raise ConfigurationError(
            f"{name}.space expects at least one number to search, and has none: its shape is empty, or all in it is "
            "constant; give it a coordinate."
        )
    key = jax.eval_shape(jax.random.key, 0)
    genotype = jax.eval_shape(space.sample, key)
    omega = abstract(lambda g: space.decode(space.repair(g)), genotype)
    _check_methods(problem, key, genotype, omega)
    return space


def _check_methods(problem: BaseProblem, key: Any, genotype: Any, omega: Any) -> None:
    name = type(problem).__name__
    if isinstance(problem, InnerTraining):
        _check_inner(problem, key, omega)
    elif isinstance(problem, HostProblem):
        _check_declared(problem)
    elif isinstance(problem, Problem):
        evaluation = _abstract(f"{name}.evaluate", problem.evaluate, key, omega)
        _check_evaluation(f"{name}.evaluate", evaluation, problem.objective_names)
        if overrides(problem, "evaluate_test"):
            test = _abstract(f"{name}.evaluate_test", problem.evaluate_test, key, omega)
            _check_evaluation(f"{name}.evaluate_test", test, problem.objective_names)
        if overrides(problem, "evaluate_population"):
            _check_population(problem, key, genotype, evaluation)


def _check_population(problem: Problem, key: Any, genotype: Any, one: Any) -> None:
    """Raise ConfigurationError unless a whole population is evaluated as one candidate is, with a leading axis P."""
    size, method, space = 5, f"{type(problem).__name__}.evaluate_population", problem.space
    genotypes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((size, *leaf.shape), leaf.dtype), genotype)
    omegas = abstract(jax.vmap(lambda g: space.decode(space.repair(g))), genotypes)
    expected, found = as_evaluation(one), as_evaluation(_abstract(method, problem.evaluate_population, key, omegas))
    if not isinstance(found.metrics, Mapping) or found.metrics.keys() != expected.metrics.keys():
        names = sorted(map(str, found.metrics)) if isinstance(found.metrics, Mapping) else _shape(found.metrics)
        raise ConfigurationError(
            f"{method} expects the metrics that evaluate returns, {sorted(expected.metrics)}, got {names}; return the "
            "same from both."
        )
    parts: dict[str, tuple[Any, Any]] = {"the fitness": (expected.fitness, found.fitness)}
    parts |= {f"the metric {name!r}": (value, found.metrics[name]) for name, value in expected.metrics.items()}
    parts |= {name: (getattr(expected, name), getattr(found, name)) for name in VECTORS}
    for part, (wanted, given) in parts.items():
        if (wanted is None) != (given is None):
            raise ConfigurationError(
                f"{method} expects {part} just where evaluate returns the same, got {_shape(given)} instead of "
                f"{_shape(wanted)} for each candidate; return the same from both."
            )
        shape = None if wanted is None else (size, *wanted.shape)
        if shape is not None and getattr(given, "shape", None) != shape:
            letters = str(("P", *wanted.shape)).replace("'", "")
            raise ConfigurationError(
                f"{method} expects {part} of all P candidates in an array of shape {letters}, {shape} for {size}, got "
                f"{_shape(given)}; one row for each candidate, in their order."
            )
        if wanted is not None and not jnp.issubdtype(given.dtype, jnp.floating) and part == "the fitness":
            raise ConfigurationError(f"{method} expects {part} as floats, got {given.dtype}; convert it.")


_SERVICES = ("report",)
"""Methods that the problem's code calls, and does not define."""


def check_names(thing: object, base: type) -> None:
    """Raise ConfigurationError for a method whose name is nearly that of an optional one, which is not there.

    A misspelt method would never be called. A name counts as misspelt when the method takes as many arguments as the
    optional one.
    """
    own = {
        name: value
        for cls in type(thing).__mro__
        if not cls.__module__.startswith("evometa.")
        for name, value in vars(cls).items()
        if inspect.isfunction(value) and not name.startswith("_") and not hasattr(base, name)
    }
    optional = [name for name in dir(base) if not name.startswith("_") and inspect.isfunction(getattr(base, name))]
    absent = [name for name in optional if getattr(type(thing), name) is getattr(base, name) and name not in _SERVICES]
    for name, method in own.items():
        for near in difflib.get_close_matches(name, absent, n=1, cutoff=0.8):
            expected = inspect.signature(getattr(base, near)).parameters
            if len(inspect.signature(method).parameters) == len(expected):
                raise ConfigurationError(
                    f"{type(thing).__name__}.{name} would never be called; did you mean {near}, which a "
                    f"{base.__name__} may define? Rename it (or begin it with an underscore)."
                )


def _base_of(problem: BaseProblem) -> type:
    return next(kind for kind in (Problem, InnerTraining, HostProblem) if isinstance(problem, kind))


def _check_fields(problem: BaseProblem) -> None:
    fields = {field.name for field in dataclasses.fields(problem)}
    for cls in type(problem).__mro__:
        for name, hint in inspect.get_annotations(cls).items():
            if name not in fields and not any(mark in str(hint) for mark in ("ClassVar", "KW_ONLY")):
                raise ConfigurationError(
                    f"{cls.__name__}.{name} has a type like a field, and {cls.__name__} is no dataclass of its own; "
                    "put @dataclasses.dataclass(frozen=True) above the class."
                )


_METHODS: dict[type, tuple[str, ...]] = {
    Problem: ("evaluate", "evaluate_test", "evaluate_population"),
    HostProblem: ("evaluate", "evaluate_test"),
    InnerTraining: (
        *("sample_task", "sample_test_task", "init", "step", "loss"),
        *("metrics", "evaluate_task", "evaluate_learner"),
    ),
}
"""The methods that the engine calls."""


def _check_inner(problem: InnerTraining, key: Any, omega: Any) -> None:
    name = type(problem).__name__
    task = _abstract(f"{name}.sample_task", problem.sample_task, key)
    held_out = _abstract(f"{name}.sample_test_task", problem.sample_test_task, key)
    for kind in (task,) if _shapes(task) == _shapes(held_out) else (task, held_out):
        learner = _abstract(f"{name}.init", problem.init, key, omega, kind)
        after = _abstract(f"{name}.step", problem.step, key, omega, kind, learner)
        _check_same(f"{name}.step", pack(learner), pack(after))
        _check_evaluation(f"{name}.loss", _abstract(f"{name}.loss", problem.loss, key, omega, kind, learner))
        metrics = _abstract(f"{name}.metrics", problem.metrics, key, omega, kind, learner)
        _check_metrics(f"{name}.metrics", metrics)
        method = f"{name}.evaluate_learner"
        fitness = jax.ShapeDtypeStruct((), jnp.float32)
        evaluation = _abstract(method, problem.evaluate_learner, key, omega, kind, learner, fitness)
        _check_evaluation(method, evaluation, problem.objective_names)
    _warn_of_double_precision(name, pack(omega), pack(learner))


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
                f"{new.dtype}{list(new.shape)}; fix init or step."
            )


def check_metric_names(owner: str, names: Iterable[Any]) -> None:
    """Raise ConfigurationError for metrics that cannot be columns of a history."""
    for name in names:
        if not (isinstance(name, str) and name and name.isprintable()):
            raise ConfigurationError(
                f"{owner} expects metrics with names that fit in one line, since these are columns of the history, got "
                f"{name!r}; rename it."
            )


_LENGTHS: Any = Mapping[Literal["objectives", "constraints", "measures"], Count]


def _check_declared(problem: HostProblem) -> None:
    where, names = f"{type(problem).__name__}.metric_names", problem.metric_names
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ConfigurationError(f"{where} expects a tuple of names, got {names!r}; write ({names!r},).")
    check_metric_names(where, names)
    if len({*names}) < len([*names]):
        raise ConfigurationError(f"{where} expects each metric once, got {tuple(names)}; remove what is named twice.")
    try:
        convert(problem.vector_lengths, _LENGTHS)
    except Refused as refused:
        raise ConfigurationError(
            f"{type(problem).__name__} expects vector_lengths to be {described(_LENGTHS)}, got "
            f"{shown(problem.vector_lengths)}{refused.args[0]}."
        ) from None


def _check_evaluation(method: str, result: Any, objective_names: tuple[str, ...] = ()) -> None:
    whole = as_evaluation(result)
    fitness: Any = whole.fitness
    if not hasattr(fitness, "shape") or fitness.shape != ():
        raise ConfigurationError(
            f"{method} expects to return a scalar, one number for one candidate, got "
            f"{_shape(fitness)}; {_remedy(fitness)}."
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
    if not isinstance(metrics, Mapping):
        raise ConfigurationError(f"{method} expects metrics as a dict from names to numbers, got {_shape(metrics)}.")
    check_metric_names(method, metrics)
    for name, value in metrics.items():
        if getattr(value, "shape", None) != ():
            raise ConfigurationError(f"{method} expects scalar metrics, and {name!r} is {_shape(value)}; reduce it.")


def _remedy(fitness: Any) -> str:
    if fitness is None:
        return "add the return that the method ends without"
    if isinstance(fitness, tuple | list | dict):
        return "return em.Evaluation(fitness, metrics) to give more than the fitness"
    return "reduce it, with jnp.mean for example"


def _shape(value: Any) -> str:
    if value is None:
        return "None"
    return f"an array of shape {value.shape}" if hasattr(value, "shape") else f"a {type(value).__name__}"


def _warn_of_double_precision(name: str, omega: Any, learner: Any) -> None:
    def double(tree: Any) -> bool:
        return any(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(tree))

    if double(learner) and not double(omega):
        warn(
            f"{name} trains learners in float64 although its ω is not: under jax_enable_x64 an array made without a "
            "dtype is float64, at half the speed; give float32 explicitly in sample_task, init and step.",
        )


def _shapes(tree: Any) -> str:
    return str(jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}" if is_array(leaf) else leaf, tree))


def _check_arguments(problem: BaseProblem, name: str) -> None:
    """Raise ConfigurationError unless a method takes as many arguments as its base class says, in that order."""
    expected = [*inspect.signature(getattr(_base_of(problem), name)).parameters][1:]
    own = inspect.signature(getattr(problem, name))
    shared = [argument for argument in own.parameters if argument in expected]
    if shared != [argument for argument in expected if argument in shared]:
        raise ConfigurationError(
            f"{type(problem).__name__}.{name} expects its arguments in the order (self, {', '.join(expected)}), in "
            f"which it is called, got (self, {', '.join(own.parameters)}); put them into that order."
        )
    try:
        own.bind(*expected)
    except TypeError:
        given = [*inspect.signature(getattr(type(problem), name)).parameters]
        raise ConfigurationError(
            f"{type(problem).__name__}.{name} expects the arguments (self, {', '.join(expected)}), with which it "
            f"is called, got ({', '.join(given)}); define it with all of them, also those that it does not use."
        ) from None


def _abstract(method: str, function: Callable[..., Any], *args: Any) -> Any:
    try:
        return abstract(function, *args)
    except Exception as error:
        shapes = ", ".join(_shapes(arg) for arg in args)
        error.add_note(f"evometa: while checking {method} with arguments of shapes {shapes}")
        raise
