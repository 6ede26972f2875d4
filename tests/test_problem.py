"""Problems that do not fit together are refused before anything is compiled, class and method named."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from evometa import Box, ConfigurationError, Evaluation, HostProblem, Integer, Problem, Search, generalization
from evometa.evaluation.checks import check_problem
from evometa.evaluation.compatibility import noisy
from evometa.naming import load
from evometa.strategies import RandomSearch

TOYS = Path(__file__).with_name("toys.py")
Bowl, Chase, Errand = (load(f"{TOYS}:{name}") for name in ("Bowl", "Chase", "Errand"))


def variant(base: Any, **methods: Any) -> Any:
    """An instance of a class like the base but for some methods."""
    return type("Mine", (base,), methods)()


def test_the_cost_of_an_evaluation_is_counted() -> None:
    assert Bowl().inner_steps_per_evaluation == 0
    assert Chase(num_tasks=5, inner_steps=7).inner_steps_per_evaluation == 35
    assert Errand().inner_steps_per_evaluation == 0
    assert (Bowl().has_test(), Chase().has_test(), Errand().has_test()) == (False, True, True)


@dataclasses.dataclass(frozen=True)
class Scaled(Errand):  # type: ignore[misc]
    scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class Patient(Errand):  # type: ignore[misc]
    time_limit: float | None = 60.0
    scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class Stepping(Chase):  # type: ignore[misc]
    inner_steps: int = dataclasses.field(default=9)


@pytest.mark.parametrize("kind", [Scaled, Patient])
def test_positional_arguments_are_a_class_s_own_fields_also_where_it_changes_a_default(kind: Any) -> None:
    problem = kind(1e8)
    assert (problem.scale, problem) == (1e8, kind(scale=1e8))
    with pytest.raises(ConfigurationError, match="at most 1 argument without a name, got 3"):
        kind(1e8, 3)
    assert Patient().time_limit == Patient.time_limit == 60.0
    assert Patient(time_limit=2.0).time_limit == 2.0
    assert (Stepping(0.25).rate, Stepping(0.25).inner_steps) == (0.25, 9)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Chase(num_tasks=0), "Chase expects num_tasks .* of at least 1, got 0"),
        (lambda: Chase(inner_steps=-1), "Chase expects inner_steps .* of at least 0, got -1"),
        (lambda: Errand(time_limit=0.0), "Errand expects time_limit .* above 0 or None, got 0.0"),
        (lambda: variant(Bowl, direction="upwards"), "Mine.direction expects 'minimize' or 'maximize', got 'upwards'"),
    ],
)
def test_settings_out_of_range_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make()


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (variant(Bowl, evaluate=lambda *_: jnp.zeros(3)), r"Mine.evaluate expects .* a scalar.* shape \(3,\); reduce"),
        (variant(Bowl, evaluate=lambda *_: None), "Mine.evaluate expects to return a scalar.* got None"),
        (variant(Bowl, evaluate=lambda *_: jnp.int32(3)), "Mine.evaluate expects to return a float, got int32"),
        (
            variant(Bowl, evaluate=lambda *_: Evaluation(jnp.float32(0), {"accuracy": jnp.zeros(2)})),
            r"Mine.evaluate expects scalar metrics, and 'accuracy' is an array of shape \(2,\)",
        ),
        (variant(Bowl, space=3), "Mine.space expects a space such as Box or Like"),
        (variant(Chase, loss=lambda *_: jnp.zeros((2, 1))), r"Mine.loss expects .* a scalar.* shape \(2, 1\)"),
        (
            variant(Chase, step=lambda *args: jnp.zeros(2)),
            r"Mine.step expects to keep the learner's shapes and types, .* from float32\[\] to float32\[2\]",
        ),
        (variant(Chase, step=lambda *args: args[-1].astype(jnp.float16)), r"from float32\[\] to float16\[\]"),
        (
            variant(Chase, init=lambda *_: {"w": jnp.zeros(2), "v": {"u": jnp.zeros(1)}},
                    step=lambda *args: {"w": jnp.zeros(2), "v": {"u": jnp.zeros(3)}}, loss=lambda *_: jnp.zeros(()),
                    metrics=lambda *_: {}),
            r"changed learner\['v'\]\['u'\] from float32\[1\] to float32\[3\]",
        ),
        (variant(Chase, step=lambda *args: (args[-1],)), "Mine.step expects to return a learner like the one it was"),
        (
            variant(Chase, metrics=lambda *_: {"curve": jnp.zeros(4)}),
            "Mine.metrics expects scalar metrics, and 'curve' is an array",
        ),
        (
            variant(Bowl, objective_names=("a", "b"), evaluate=lambda *_: Evaluation(jnp.zeros(()), {}, jnp.zeros(3))),
            r"as many objectives as objective_names has names, got 3 for \('a', 'b'\); name all or none",
        ),
        (Bowl, "an instance of Problem, InnerTraining or HostProblem, got .*; make an instance of the class first"),
        ("sphere", "got 'sphere'"),
    ],
)  # fmt: skip
def test_methods_that_do_not_fit_are_named(problem: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        check_problem(problem)


def test_held_out_tasks_are_checked_too() -> None:
    wrong = variant(Chase, sample_test_task=lambda self, key: jnp.zeros((2,)))
    with pytest.raises(ConfigurationError, match=r"Mine.step expects to keep the learner's shapes|Mine.loss expects"):
        check_problem(wrong)


def test_what_a_method_raises_says_which_method_it_was() -> None:
    broken = variant(Chase, loss=lambda self, key, omega, task, learner: task["y"])
    with pytest.raises(TypeError) as caught:
        check_problem(broken)
    assert any("while checking Mine.loss with arguments of shapes" in note for note in caught.value.__notes__)


class NoDecorator(Problem):
    width: int = 8

    @property
    def space(self) -> Any:
        return Box((self.width,))

    def evaluate(self, key: Any, omega: Any) -> Any:
        return jnp.sum(omega)


@dataclasses.dataclass(frozen=True)
class Decorated(NoDecorator):
    depth: int = 1


def test_a_forgotten_decorator_is_noticed() -> None:
    for problem in (NoDecorator(), Decorated()):
        with pytest.raises(ConfigurationError, match=r"NoDecorator.width has a type like a field.*dataclass"):
            check_problem(problem)


class Plain(HostProblem):
    space = Integer(0, 1)

    def evaluate(self, rng: Any, omega: Any) -> float:
        return 0.0


def test_a_space_may_be_a_class_attribute() -> None:
    assert check_problem(Plain()) is Plain.space


@pytest.mark.parametrize(
    ("base", "name", "method", "words"),
    [
        (
            Bowl,
            "evaluate_tests",
            lambda self, key, omega: 0.0,
            "did you mean evaluate_test, which a Problem may define",
        ),
        (Errand, "evaluate_tst", lambda self, rng, omega: 0.0, None),  # Errand has an evaluate_test
        (Chase, "sample_test_tasks", lambda self, key: 0.0, None),  # likewise
        (Bowl, "evaluate_populations", lambda self, key, omegas: 0.0, "did you mean evaluate_population"),
        (Bowl, "evaluate_tests", lambda self, omega: 0.0, None),  # a helper with other arguments
    ],
)
def test_a_misspelt_optional_method_is_an_error_with_the_nearest_name(
    base: Any, name: str, method: Any, words: str | None
) -> None:
    problem = variant(base, **{name: method})
    if words is None:
        check_problem(problem)
        return
    with pytest.raises(ConfigurationError, match=f"Mine.{name} would never be called; {words}"):
        check_problem(problem)


def test_a_misspelt_method_of_a_strategy_is_an_error_too() -> None:
    mine = type("Mine", (RandomSearch,), {"centers": lambda self, state: None})(4)
    with pytest.raises(ConfigurationError, match=r"Mine\.centers would never be called; did you mean center"):
        Search(Bowl(), mine)


def test_noise_is_declared_or_seen_in_the_use_of_the_key() -> None:
    assert noisy(Bowl())  # it draws, though with a factor of 0
    assert not noisy(variant(Bowl, evaluate=lambda self, key, omega: omega.sum()))
    assert noisy(variant(Bowl, evaluate=lambda self, key, omega: omega.sum() + jax.random.normal(key)))
    assert noisy(variant(Bowl, num_tasks=1))
    assert noisy(Chase())
    assert not noisy(Errand())
    assert noisy(variant(Errand, num_tasks=2))


class Columns(Problem):
    """Has a metric whose name is set."""

    space = Box((1,))
    name = "error, top-5"

    def evaluate(self, key: Any, omega: Any) -> Evaluation:
        return Evaluation(omega[0], {self.name: omega[0]})


class Declared(HostProblem):
    """Declares other metrics than it has."""

    space = Box((1,))
    metric_names = ("accuracy",)

    def evaluate(self, rng: Any, omega: Any) -> Evaluation:
        return Evaluation(float(omega[0]), {"accuracy": 1.0, "seconds": 2.0})


@pytest.mark.parametrize("name", ["two\nlines", "a\ttab", "", 7])
def test_metrics_that_cannot_be_columns_are_refused(name: Any) -> None:
    check_problem(Columns())
    for base, given in ((Columns, {"name": name}), (Declared, {"metric_names": ("fine", name)})):
        with pytest.raises(ConfigurationError, match=f"names that fit in one line.*{re.escape(repr(name))}"):
            check_problem(type("Renamed", (base,), given)())


def test_metrics_of_plain_python_are_declared_once_each() -> None:
    for names, words in (("accuracy", "expects a tuple of names, got 'accuracy'"), (("a", "a"), "each metric once")):
        with pytest.raises(ConfigurationError, match=words):
            check_problem(type("Renamed", (Declared,), {"metric_names": names})())


@pytest.mark.parametrize(
    ("base", "methods", "words"),
    [
        (Bowl, {"evaluate": lambda self, key, omega: None}, "got None; add the return that the method ends without"),
        (Bowl, {"evaluate": lambda self, key, omega: (0.0, {})}, "got a tuple; return em.Evaluation(fitness, metrics)"),
        (Bowl, {"evaluate": lambda self, key, omega: "0"}, "got a str"),
        (Bowl, {"evaluate": lambda self, omega: 0.0}, "Mine.evaluate expects the arguments (self, key, omega)"),
        (Errand, {"evaluate": lambda self, omega: 0.0}, "Mine.evaluate expects the arguments (self, rng, omega)"),
        (Chase, {"loss": lambda self, omega, learner: 0.0}, "expects the arguments (self, key, omega, task, learner)"),
        (
            Errand,
            {"evaluate": lambda self, omega, rng: 0.0},
            "in the order (self, rng, omega), in which it is called, got",
        ),
        (Chase, {"step": lambda self, k, omega, learner, task: 0.0}, "in the order (self, key, omega, task, learner)"),
        (Chase, {"sample_task": lambda self: 0.0}, "Mine.sample_task expects the arguments (self, key)"),
        (Chase, {"metrics": lambda self, key, omega, task, learner: [1.0]}, "expects metrics as a dict"),
        (Bowl, {"space": {"a": Box(())}}, "Mine.space expects a space such as Box or Like"),
        (Bowl, {"space": {"a": Box(())}}, "give em.Dict of it"),
        (Bowl, {"space": lambda self: Box(())}, "put @property above it"),
        (Bowl, {"space": Box((0,))}, "Mine.space expects at least one number to search, and has none"),
    ],
)
def test_first_mistakes_in_a_problem_are_named(base: Any, methods: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        check_problem(variant(base, **methods))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Search(Bowl, RandomSearch(4)), "got the class Bowl; give an instance of a Problem, InnerTraining or"),
        (lambda: Search(Bowl(), RandomSearch), "got the class RandomSearch; give an instance such as OpenAIES("),
        (lambda: Search(Bowl()), "Search expects strategy (the strategy, an instance), got none; give it"),
        (lambda: Search(Bowl(), RandomSearch(4), callbacks=print), "got the function print; write (print,)"),
        (
            lambda: Search(Bowl(), RandomSearch(4), population=3),
            "Search has no setting population. Nearest: population",
        ),
        (lambda: Search(Bowl(), RandomSearch(4), seed=1.5), "to be a whole number, got 1.5"),
        (
            lambda: Search(Bowl(), RandomSearch(4), workers=-1),
            "to be a whole number of at least 0, 'ray', an instance of Ray, a function or None, got -1",
        ),
        (lambda: Search(Bowl(), RandomSearch(4), run_directory=3), "to be a string, a path or None, got 3"),
        (lambda: Search(Bowl(), RandomSearch(4)).run(100), "got 100; name it, as in generations=100"),
        (lambda: Search(Bowl(), RandomSearch(4)).run(generations=1e3), "got 1000.0; write 1000"),
        (lambda: Search(Bowl(), RandomSearch(4)).run(target=float("nan")), "to be a finite number or None, got nan"),
        (lambda: Search(Bowl(), RandomSearch(4)).run(generations=0), "a whole number of at least 1 or None, got 0"),
        (lambda: Search(Bowl(), RandomSearch(4)).run(evaluations=-5, seconds=1.0), "at least 1 or None, got -5"),
        (lambda: Search(Bowl(), RandomSearch(4)).run(seconds=float("nan")), "to be a number above 0 or None, got nan"),
        (lambda: Search(Bowl(), RandomSearch(4)).run(seconds=-1), "to be a number above 0 or None, got -1"),
        (lambda: Search.resume(3), "run_directory (the folder of the run) to be a string or a path, got 3"),
        (lambda: generalization(Bowl(), jnp.zeros(3), tasks=1.5), "a whole number of at least 1, got 1.5"),
    ],
)
def test_first_mistakes_with_a_search_are_named(call: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        call()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (lambda f: f[:, None], "expects the fitness of all P candidates in an array of shape (P,), (5,) for 5"),
        (lambda f: f[1:], "got an array of shape (4,)"),
        (jnp.sum, "got an array of shape ()"),
        (lambda f: None, "expects the fitness just where evaluate returns the same, got None"),
        (lambda f: f.astype(int), "expects the fitness as floats, got int32; convert it"),
        (lambda f: Evaluation(f, {"error": f}), "expects the metrics that evaluate returns, [], got ['error']"),
        (lambda f: Evaluation(f, constraints=f[:, None]), "expects constraints just where evaluate returns the same"),
    ],
)
def test_a_population_is_evaluated_as_one_candidate_is(found: Any, words: str) -> None:
    problem = variant(Bowl, evaluate_population=lambda self, key, omegas: found(jnp.sum(omegas, axis=1)))
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        check_problem(problem)


@pytest.mark.parametrize("found", [lambda f: f, Evaluation])
def test_the_fitness_of_a_population_alone_is_an_evaluation(found: Any) -> None:
    check_problem(variant(Bowl, evaluate_population=lambda self, key, omegas: found(jnp.sum(omegas, axis=1))))


@pytest.mark.parametrize("method", ["evaluate", "evaluate_test", "evaluate_population"])
def test_rank_promotion_is_reported_in_the_users_code_alone(method: str) -> None:
    with jax.numpy_rank_promotion("raise"):
        check_problem(Bowl())
        promoting = variant(Bowl, **{method: lambda self, key, x: jnp.sum(jnp.ones((3, *x.shape)) + x)})
        with pytest.raises(ValueError, match="rank_promotion") as caught:
            check_problem(promoting)
    assert any(f"while checking Mine.{method}" in note for note in caught.value.__notes__)
