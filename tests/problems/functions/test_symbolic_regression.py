"""Symbolic regression: its targets, its fitness by hand, its tables, and formulas that are found."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evometa as em
from evometa import ConfigurationError, naming
from evometa.expressions import parse
from evometa.problem import Evaluation
from evometa.problems.functions.formulas import FORMULAS
from evometa.problems.functions.symbolic_regression import SymbolicRegression
from evometa.strategies import RandomSearch

KEY = jax.random.key(0)
ANSWERS = {
    "nguyen-1": "mul(x, add(1.0, mul(x, add(1.0, x))))",
    "nguyen-2": "mul(x, add(1.0, mul(x, add(1.0, mul(x, add(1.0, x))))))",
    "nguyen-5": "sub(mul(sin(mul(x, x)), cos(x)), 1.0)",
    "nguyen-6": "add(sin(x), sin(add(x, mul(x, x))))",
    "nguyen-7": "add(log(add(x, 1.0)), log(add(mul(x, x), 1.0)))",
    "nguyen-8": "exp(div(log(x), add(1.0, 1.0)))",
    "nguyen-9": "add(sin(x), sin(mul(y, y)))",
    "nguyen-10": "mul(sin(x), add(cos(y), cos(y)))",
    "koza-2": "mul(x, mul(sub(mul(x, x), div(x, x)), sub(mul(x, x), div(x, x))))",
}


def judge(problem: SymbolicRegression, text: str, *, test: bool = False) -> Evaluation:
    """Return the judgement of a formula."""
    omega = problem.space.decode(parse(problem.primitives, text, 31))
    return (problem.evaluate_test if test else problem.evaluate)(KEY, omega)


@pytest.mark.parametrize("target", ANSWERS)
def test_the_answer_is_recovered_on_both_parts(target: str) -> None:
    problem = SymbolicRegression(target, linear_scaling=False)
    for test in (False, True):
        found = judge(problem, ANSWERS[target], test=test)
        assert found.fitness < 1e-10
        assert (found.metrics["hits"], found.metrics["recovered"]) == (1, 1)
        np.testing.assert_allclose(found.metrics["r2"], 1)


@pytest.mark.parametrize("target", FORMULAS)
def test_points_are_those_of_the_papers(target: str) -> None:
    formula = FORMULAS[target]
    fitted, held_out = SymbolicRegression(target).parts
    assert fitted.columns.shape == (len(formula.arguments), len(fitted.label))
    assert fitted.columns.min() >= formula.low
    assert fitted.columns.max() <= formula.high
    if target == "keijzer-6":
        assert (len(fitted.label), len(held_out.label)) == (50, 120)
        np.testing.assert_allclose(held_out.label[[0, 1, 119]], [1, 1.5, 5.3688683], rtol=1e-6)
    else:
        assert len(fitted.label) == len(held_out.label) == (100 if len(formula.arguments) == 2 else 20)
        assert not np.isin(held_out.columns, fitted.columns).any()


def test_fitness_by_hand() -> None:
    problem = SymbolicRegression("nguyen-8", linear_scaling=False)
    x, y = problem.parts[0].columns[0], problem.parts[0].label
    expected = np.mean((x - y) ** 2) / np.var(y)
    found = judge(problem, "x")
    np.testing.assert_allclose(found.fitness, expected, rtol=1e-5)
    np.testing.assert_allclose(found.metrics["hits"], np.mean(np.abs(x - y) <= 0.01))


def test_linear_scaling_is_least_squares_of_the_points_to_fit_alone() -> None:
    problem = SymbolicRegression("nguyen-6", linear_scaling=True)
    fitted, held_out = problem.parts
    slope, intercept = np.polyfit(fitted.columns[0], fitted.label, 1)
    for part, test in ((fitted, False), (held_out, True)):
        residual = slope * part.columns[0] + intercept - part.label
        np.testing.assert_allclose(
            judge(problem, "x", test=test).fitness, np.mean(residual**2) / np.var(part.label), rtol=1e-4
        )
    line = problem.line(problem.space.decode(parse(problem.primitives, "x", 31)))
    np.testing.assert_allclose(line, [slope, intercept], rtol=1e-5)


def test_a_constant_is_judged_by_its_mean_and_what_overflows_fails() -> None:
    constant = judge(SymbolicRegression("nguyen-1"), "div(1.0, add(1.0, add(1.0, 1.0)))")
    np.testing.assert_allclose(constant.fitness, 1, rtol=1e-6)
    for linear_scaling in (False, True):
        problem = SymbolicRegression("nguyen-1", functions=("square", "exp"), linear_scaling=linear_scaling)
        assert not np.isfinite(judge(problem, "square(square(square(square(exp(exp(exp(x)))))))").fitness)


def test_cases_are_the_errors_of_blocks_along_the_first_column() -> None:
    problem = SymbolicRegression("nguyen-1", cases=5, linear_scaling=False)
    found = judge(problem, "x")
    x, y = problem.parts[0].columns[0], problem.parts[0].label
    assert (np.diff(x) >= 0).all()
    blocks = ((x - y) ** 2 / np.var(y)).reshape(5, 4).mean(axis=1)
    np.testing.assert_allclose(found.objectives, blocks, rtol=1e-4)
    np.testing.assert_allclose(jnp.mean(found.objectives), found.fitness, rtol=1e-5)
    assert judge(SymbolicRegression("nguyen-1"), "x").objectives is None


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(1, 2, (2, 40))
    rows = "\n".join(f"{p},{q},{r}" for p, r, q in zip(a, b, 3 * a / b - 7, strict=True))
    path = write(tmp_path / "own.csv", f"size of it,price,sin\n{rows}\n")
    problem = SymbolicRegression(csv=path, label="price", seed=1)
    assert problem.primitives.argument_names == ("size_of_it", "sin_")
    assert [len(part.label) for part in problem.parts] == [30, 10]
    for test in (False, True):
        assert judge(problem, "div(size_of_it, sin_)", test=test).fitness < 1e-10
    other = SymbolicRegression(csv=path, label="price", seed=2)
    assert not np.isin(problem.parts[1].label, other.parts[1].label).all()
    last = SymbolicRegression(csv=path, functions=("add", "tanh"))
    assert last.primitives.argument_names == ("size_of_it", "price")
    np.testing.assert_allclose(sorted(np.concatenate([part.label for part in last.parts])), sorted(b))
    assert naming.rebuild(naming.describe(problem)) == problem


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        (None, {}, "none at"),
        ("a,b\n1,2\n3,\n", {}, "line 3, column 'b' expects a number, and the value is missing"),
        ("a,b\n1,2\nNA,3\n", {}, "line 3, column 'a' expects a number, and the value is missing"),
        ("a,b\n1,2\nred,3\n", {}, "expects a finite number, got 'red'"),
        ("a,b\n1,2\ninf,3\n", {}, "expects a finite number, got 'inf'"),
        ("a\n1\n2\n", {}, "at least two column names"),
        ("a,a\n1,2\n3,4\n", {}, "all different"),
        ("a,b\n1,2\n3,4,5\n", {}, "expects 2 cells in line 3, got 3"),
        ("a,b\n1,2\n", {}, "at least 2 rows"),
        ("", {}, "a header line"),
        ("height,b\n1,2\n3,4\n5,6\n7,8\n", {"label": "heigt"}, "Nearest: height"),
        ("a,b\n1,2\n3,2\n5,2\n7,2\n", {}, "takes at least 2 values"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str | None, settings: dict[str, str], message: str) -> None:
    path = tmp_path / "bad.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        SymbolicRegression(csv=str(path), **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": "nguyen-11"}, "Nearest: nguyen-1"),
        ({"functions": ("add", "cosine")}, "functions that it knows, got 'cosine'"),
        ({"cases": 21}, "cases from 0 to the number of points, 20, got 21"),
        ({"cases": -1}, "got -1"),
        ({"held_out": 1.0}, "held_out between 0 and 1"),
        ({"seed": -1}, "seed >= 0"),
        ({"label": "y"}, "label only with a csv"),
    ],
)
def test_bad_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SymbolicRegression(**settings)  # type: ignore[arg-type]


def test_a_search_finds_a_formula(tmp_path: Path) -> None:
    rows = "\n".join(f"{a},{a * a + a}" for a in np.linspace(-1, 1, 40))
    path = write(tmp_path / "own.csv", f"a,b\n{rows}\n")
    problem = SymbolicRegression(csv=path, functions=("add", "mul"), max_size=7)
    search = em.Search(problem, RandomSearch(64), seed=0, progress=False, devices=1)
    result = search.run(generations=200, target=1e-9)
    assert result.best_fitness < 1e-9
    assert result.held_out < 1e-8
    assert result.metrics["held_out/recovered"] == 1
