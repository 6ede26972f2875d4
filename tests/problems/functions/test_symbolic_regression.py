"""Symbolic regression: targets, fitness by hand, tables, and formulas that are found."""

import json
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

import evometa as em
from evometa import ConfigurationError, naming
from evometa.cli.inspect import problem_of
from evometa.expressions import latex, parse, python, source, to_sympy
from evometa.expressions import text as expression_text
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


def evaluate(problem: SymbolicRegression, text: str, *, test: bool = False) -> Evaluation:
    """Return the evaluation of a formula."""
    omega = problem.space.decode(parse(problem.primitives, text, 31))
    return (problem.evaluate_test if test else problem.evaluate)(KEY, omega)


@pytest.mark.parametrize("target", ANSWERS)
def test_the_answer_is_recovered_on_both_parts(target: str) -> None:
    problem = SymbolicRegression(target, linear_scaling=False)
    for test in (False, True):
        found = evaluate(problem, ANSWERS[target], test=test)
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
    found = evaluate(problem, "x")
    np.testing.assert_allclose(found.fitness, expected, rtol=1e-5)
    np.testing.assert_allclose(found.metrics["hits"], np.mean(np.abs(x - y) <= 0.01))


def test_linear_scaling_is_least_squares_of_the_points_to_fit_alone() -> None:
    problem = SymbolicRegression("nguyen-6", linear_scaling=True)
    fitted, held_out = problem.parts
    slope, intercept = np.polyfit(fitted.columns[0], fitted.label, 1)
    for part, test in ((fitted, False), (held_out, True)):
        residual = slope * part.columns[0] + intercept - part.label
        np.testing.assert_allclose(
            evaluate(problem, "x", test=test).fitness, np.mean(residual**2) / np.var(part.label), rtol=1e-4
        )
    line = problem.line(problem.space.decode(parse(problem.primitives, "x", 31)))
    np.testing.assert_allclose(line, [slope, intercept], rtol=1e-8)


def test_a_constant_is_evaluated_by_its_mean_and_what_overflows_fails() -> None:
    constant = evaluate(SymbolicRegression("nguyen-1"), "div(1.0, add(1.0, add(1.0, 1.0)))")
    np.testing.assert_allclose(constant.fitness, 1, rtol=1e-6)
    for linear_scaling in (False, True):
        problem = SymbolicRegression("nguyen-1", functions=("square", "exp"), linear_scaling=linear_scaling)
        assert not np.isfinite(evaluate(problem, "square(square(square(square(exp(exp(exp(x)))))))").fitness)


def test_cases_are_the_errors_of_blocks_along_the_first_column() -> None:
    problem = SymbolicRegression("nguyen-1", cases=5, linear_scaling=False)
    found = evaluate(problem, "x")
    x, y = problem.parts[0].columns[0], problem.parts[0].label
    assert (np.diff(x) >= 0).all()
    blocks = ((x - y) ** 2 / np.var(y)).reshape(5, 4).mean(axis=1)
    np.testing.assert_allclose(found.objectives, blocks, rtol=1e-4)
    np.testing.assert_allclose(jnp.mean(found.objectives), found.fitness, rtol=1e-5)
    assert evaluate(SymbolicRegression("nguyen-1"), "x").objectives is None


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
        assert evaluate(problem, "div(size_of_it, sin_)", test=test).fitness < 1e-10
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
        ({"cases": 21}, "cases of at most the number of points, 20, got 21"),
        ({"cases": -1}, "got -1"),
        ({"held_out": 1.0}, "to be a number above 0 and below 1, got 1.0"),
        ({"seed": -1}, "to be a whole number of at least 0, got -1"),
        ({"label": "y"}, "label only with a csv"),
    ],
)
def test_bad_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SymbolicRegression(**settings)  # type: ignore[arg-type]


def table(path: Path, **columns: Any) -> str:
    np.savetxt(path, np.stack(list(columns.values()), 1), "%.17g", ",", header=",".join(columns), comments="")
    return str(path)


X, MINUTES = np.random.default_rng(0).uniform(0.5, 2, 60), np.arange(60.0)
SHAPES = ("add", "mul", "sub", "div", "sqrt", "log", "exp", "square", "sin", "pow", "abs", "tan")
NUMPY = {"div": np.divide, "sqrt": np.sqrt, "log": np.log, "exp": np.exp, "square": np.square, "pow": np.power}
NUMPY |= {"tan": np.tan}


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (X, 100 + 30 * X**2, "square(x)"),
        (X, -2.6e5 + 1e-3 * X**2, "square(x)"),  # varies little around a large value
        (1e-9 * X, 5 * np.sqrt(1e-9 * X) + 1, "sqrt(x)"),
        (1e-9 * X, np.log(1e-9 * X), "log(x)"),
        (1e-9 * X, 1e-19 * X**2, "square(x)"),
        (1e9 * X, 3 / (1e9 * X), "div(1.0, x)"),
        (1.7e9 + 60 * MINUTES, 0.5 * MINUTES, "x"),  # Unix seconds, a minute apart
        (1.7e9 + MINUTES / 64, 5 * np.exp(MINUTES / 64), "exp(x)"),
        (X, 1e300 * X**2, "square(x)"),  # squares overflow
        (X, 1e-300 * X**2, "square(x)"),
        (X - 1, 1 - 3 * (X - 1) ** 3, "pow(x, 3.0)"),
        (X - 1, 1e8 * (np.tan(X - 1) + np.abs(X - 1)), "add(tan(x), abs(x))"),
    ],
)
def test_the_whole_formula_in_the_units_of_the_table_is_printed_and_exported(
    tmp_path: Path, x: Any, y: Any, text: str
) -> None:
    problem = SymbolicRegression(csv=table(tmp_path / "own.csv", x=x, y=y), functions=SHAPES)
    assert len(np.unique(problem.space.points[0])) == 45  # no two values have become one
    for test in (False, True):
        found = evaluate(problem, text, test=test)
        assert (found.fitness < 1e-10, found.metrics["recovered"]) == (True, 1)
    omega = problem.space.decode(parse(problem.primitives, text, 31))
    module: dict[str, Any] = {}
    exec(source(omega.primitives, omega.tree), module)
    exported = to_sympy(omega.primitives, omega.tree)
    predictions = {
        "called": omega(x),
        "exported": module["expression"](x),
        "python": eval(python(omega.primitives, omega.tree), NUMPY | {"x": x}),
        "sympy": sympy.lambdify(sympy.Symbol("x", real=True), exported)(x),
    }
    assert latex(omega.primitives, omega.tree) == sympy.latex(exported)  # with all digits
    for way, predicted in predictions.items():
        assert np.mean(((predicted - y) / np.abs(y).max()) ** 2) < 1e-13 * np.var(y / np.abs(y).max()), way


def test_predictions_are_those_that_were_evaluated_without_scaling_too(tmp_path: Path) -> None:
    path = table(tmp_path / "own.csv", x=1e-9 * X, y=-2.6e5 + 1e-3 * X**2)
    for linear_scaling, text in ((False, "add(x, 0.3)"), (True, "add(x, 0.3)"), (True, "1.0"), (False, "1.0")):
        problem = SymbolicRegression(csv=path, functions=("add",), linear_scaling=linear_scaling)
        omega = problem.space.decode(parse(problem.primitives, text, 31))
        for part, test in zip(problem.parts, (False, True), strict=True):
            error = np.mean((omega(*part.columns) - part.label) ** 2) / np.var(part.label)
            np.testing.assert_allclose(evaluate(problem, text, test=test).fitness, error, rtol=1e-4)
    assert str(omega) == "add(mul(0.001, 1.0), -259999.998)".replace("add", "sub").replace("-2", "2")


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X, 1e9 + 1e-6 * X**2, r"'y' varies by 3.7e-06 around 1e\+09, of which double precision keeps 1 digits"),
        (1e-9 ** (X - 0.5), X, "'x' are so much smaller than the others that div, log and sqrt take them for 0"),
        (
            np.concatenate([1 + 1e-9 * MINUTES[:40], 100 * X[:20]]),
            X,
            "values of column 'x' are the same in single prec",
        ),
    ],
)
def test_what_precision_loses_is_said(tmp_path: Path, x: Any, y: Any, message: str) -> None:
    with pytest.warns(UserWarning, match=message):
        SymbolicRegression(csv=table(tmp_path / "own.csv", x=x, y=y))


def test_values_that_single_precision_cannot_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="that single precision can hold together, and column 'x'"):
        SymbolicRegression(csv=table(tmp_path / "own.csv", x=np.where(MINUTES == 3, 1e200, X), y=X))


@pytest.mark.parametrize(("x", "y", "name"), [(X, 1e-320 * MINUTES, "y"), (1e-310 * MINUTES, X, "x")])
def test_numbers_that_double_precision_cuts_are_refused(tmp_path: Path, x: Any, y: Any, name: str) -> None:
    words = f"all digits, above 1e-305, and those of column '{name}' are at most .*; multiply the column by a power"
    with pytest.raises(ConfigurationError, match=words):
        SymbolicRegression(csv=table(tmp_path / "own.csv", x=x, y=y))


def test_formulas_to_begin_with_are_in_the_units_of_the_table(tmp_path: Path) -> None:
    path = table(tmp_path / "own.csv", a=1e-9 * X, t=1.7e9 + MINUTES / 64, b=MINUTES, y=1e-6 * X)
    problem = SymbolicRegression(csv=path, functions=("add", "mul", "exp"), max_size=7)
    space = problem.space
    seen = {"a": "mul(1000000000.0, a)", "t": "sub(t, 1700000000.5)", "b": "b"}
    for inner in ("add(exp(t), mul(a, b))", "exp(add(t, 2.5))"):
        outer = re.sub(r"\b[at]\b", lambda name: seen[name[0]], inner)
        for given in (outer, space.decode(space.encode(outer))):
            assert expression_text(problem.primitives, space.encode(given)) == inner
    for name in "at":
        with pytest.raises(ConfigurationError, match=re.escape(f"{seen[name]}, got '{name}' by itself in")):
            em.Search(problem, RandomSearch(4), initial=[f"exp({name})"])
    plain = SymbolicRegression(csv=path, functions=("exp",), linear_scaling=False)
    found = plain.space.decode(plain.space.encode("mul(1e-06, exp(b))"))  # as the label is seen
    assert str(found) == "mul(1e-06, exp(b))"
    with pytest.raises(ConfigurationError, match=re.escape("mul(1e-06, ...); write it so")):
        plain.space.encode("exp(b)")


def test_ordinary_columns_are_seen_as_they_are(tmp_path: Path) -> None:
    problem = SymbolicRegression(csv=table(tmp_path / "own.csv", a=X, b=1990 + MINUTES, c=100 * X, y=X))
    assert all(unit == (0, 1) for unit in (*problem.units.columns, problem.units.label))


def test_rows_weigh_what_they_are_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x, weights = np.sort(X), rng.integers(1, 4, 60)
    y = x + rng.normal(size=60) + np.where(weights == 3, 1.0, 0.0)
    path = table(tmp_path / "own.csv", x=x, y=y, w=weights.astype(float))
    problem = SymbolicRegression(csv=path, weights="w", cases=3)
    fitted, held_out = problem.parts
    assert problem.primitives.argument_names == ("x",)
    shares = fitted.weights
    assert shares is not None
    slope, intercept = np.polyfit(fitted.columns[0], fitted.label, 1, w=np.sqrt(shares))
    for part, test in ((fitted, False), (held_out, True)):
        errors = (slope * part.columns[0] + intercept - part.label) ** 2
        variance = np.average((part.label - np.average(part.label, weights=part.weights)) ** 2, weights=part.weights)
        found = evaluate(problem, "x", test=test)
        np.testing.assert_allclose(found.fitness, np.average(errors, weights=part.weights) / variance, rtol=1e-4)
        if not test:
            blocks = [np.average(errors[b], weights=shares[b]) / variance for b in np.array_split(np.arange(45), 3)]
            np.testing.assert_allclose(found.objectives, blocks, rtol=1e-4)
    omega = problem.space.decode(parse(problem.primitives, "x", 31))
    np.testing.assert_allclose(problem.line(omega), [slope, intercept], rtol=1e-7)
    with pytest.raises(ConfigurationError, match="expects weights only with a csv"):
        SymbolicRegression(weights="w")


def test_a_table_is_fitted_exported_and_predicted(tmp_path: Path) -> None:
    path = table(tmp_path / "own.csv", a=1e-9 * X, b=100 - 30 * X**2 - X)
    problem = SymbolicRegression(csv=path, functions=("mul", "sin"), max_size=3)
    search = em.Search(problem, RandomSearch(64), seed=0, progress=False, devices=1, run_directory=tmp_path / "run")
    result = search.run(generations=2)
    a, label = problem.parts[1].columns[0], problem.parts[1].label
    loaded = em.load_result(tmp_path / "run")
    text = json.loads((tmp_path / "run" / "result.json").read_text())["selected_omega"]
    assert str(result.selected_omega) == str(loaded.selected_omega) == text
    assert f"{result}" == f"{result!r}"
    assert [line.split()[0] for line in str(result).split("\n")] == ["fitness", "found", "cost", "stopped"]
    assert f"found    {text}\n" in str(result)
    module: dict[str, Any] = {}
    exec(source(loaded.selected_omega.primitives, loaded.selected_omega.tree, "predict"), module)
    error = np.mean((module["predict"](a) - label) ** 2) / np.var(label)
    assert 1e-6 < error < 0.01
    np.testing.assert_allclose(error, result.selected_held_out, rtol=1e-3)
    np.testing.assert_allclose(problem.evaluate_test(KEY, loaded.selected_omega).fitness, error, rtol=1e-3)


def test_a_search_finds_a_formula(tmp_path: Path) -> None:
    rows = "\n".join(f"{a},{a * a + a}" for a in np.linspace(-1, 1, 40))
    path = write(tmp_path / "own.csv", f"a,b\n{rows}\n")
    problem = SymbolicRegression(csv=path, functions=("add", "mul"), max_size=7)
    search = em.Search(problem, RandomSearch(64), seed=0, progress=False, devices=1)
    result = search.run(generations=200, target=1e-9)
    assert result.best_fitness < 1e-9
    assert result.held_out < 1e-8
    assert result.metrics["held_out/recovered"] == 1


def test_what_a_run_found_is_read_without_its_table_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "own.csv", x=X, y=100 + 30 * X)
    problem = SymbolicRegression(csv="own.csv", functions=("sin",), max_size=3)
    result = em.Search(problem, RandomSearch(4), run_directory="run", progress=False).run(generations=1)
    monkeypatch.chdir(tmp_path / "run")
    for change in (lambda file: table(file, other=X, y=100 + 31 * X), Path.unlink):
        change(tmp_path / "own.csv")
        loaded = em.load_result(tmp_path / "run")
        assert str(loaded.selected_omega) == str(result.selected_omega) == loaded.found
        assert problem_of(tmp_path / "run", None).parts[0].label.max() == problem.parts[0].label.max()
    with pytest.raises(ConfigurationError, match=r"there is none at 'own\.csv'"):
        em.Search.resume(tmp_path / "run")


def test_a_table_that_changed_after_the_run_is_told(tmp_path: Path) -> None:
    path = table(tmp_path / "own.csv", x=X, y=100 + 30 * X)
    run = tmp_path / "run"
    em.Search(SymbolicRegression(csv=path, max_size=3), RandomSearch(4), run_directory=run, progress=False).run(
        generations=1
    )
    assert em.load_result(run).selected_omega is not None  # without a warning
    table(tmp_path / "own.csv", x=X, y=100 + 31 * X)
    with pytest.warns(UserWarning, match=r"own\.csv has changed since the run began"):
        em.Search.resume(run)
