"""A report says what a run was and found, needs no network, and its commands do what it says."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from scipy import stats

from evometa import ConfigurationError, Halving, RunDirectoryError, Search
from evometa.cli.main import _parse, main
from evometa.cli.run import PROBLEM
from evometa.naming import load
from evometa.problems import ZDT2, CommandProblem, LearnedActivation, SymbolicRegression
from evometa.report import report
from evometa.report.blocks import Page, Section, Text
from evometa.report.commands import repeat_command
from evometa.report.comparison import standings
from evometa.report.page import render
from evometa.report.trial_charts import best_first, importance
from evometa.storage.manifest import describe_run, read_manifest
from evometa.strategies import CMAES, NSGA2, AugmentedLagrangian, GeneticAlgorithm, GeneticProgramming, RandomSearch

TOYS = Path(__file__).parents[1] / "toys.py"
Bowl, Chase, Tuned = (load(f"{TOYS}:{name}") for name in ("Bowl", "Chase", "Tuned"))


def figures(page: str) -> Iterator[dict[str, Any]]:
    """Return the charts of a page, as Plotly accepts them."""
    for text in re.findall(r'<script type="application/json" class="figure">(.*?)</script>', page):
        figure = json.loads(text)
        go.Figure(figure)  # raises for anything that Plotly does not know
        yield figure


def headings(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def test_a_run_of_settings_is_explained(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    Search(Tuned(), GeneticAlgorithm(10), run_directory=folder, workers=1, progress=False).run(generations=4)
    page = report(folder)
    assert headings(page) == [
        "What was found",
        "Fitness",
        "Population",
        "Candidates",
        "Cost",
        "What was searched",
        "Commands",
    ]
    assert "<th>" not in page
    assert not re.search(r'(src|href)="(?!#|data:)', page.partition("<script>")[0])
    drawn = list(figures(page))
    best = next(trace for trace in drawn[0]["data"] if trace["name"] == "best so far")
    history = pd.read_csv(folder / "history.csv")
    np.testing.assert_allclose(best["y"], history["best_so_far"], rtol=1e-6)
    lines = next(figure["data"][0] for figure in drawn if figure["data"][0]["type"] == "parcoords")
    labels = [axis["label"] for axis in lines["dimensions"]]
    assert labels[0] == "fitness"
    assert {"batch", "momentum", "optimizer"} <= set(labels)
    brightest = int(np.argmax(lines["line"]["color"]))
    assert lines["dimensions"][0]["values"][brightest] == pytest.approx(history["best_so_far"].iloc[-1], rel=1e-6)
    shares = next(figure for figure in drawn if "stackgroup" in figure["data"][0])
    np.testing.assert_allclose(np.sum([trace["y"] for trace in shares["data"]], axis=0), 1.0)


@pytest.mark.parametrize(
    ("problem", "strategy", "found"),
    [
        (SymbolicRegression(), GeneticProgramming(8, proposals=1), ["<math", "as a tree", "Size against error"]),
        (
            ZDT2(dimension=3),
            NSGA2(8),
            ["The front of the objectives", "search with trials=True", "that the strategy keeps"],
        ),
        (Chase(), CMAES(4), ["held-out tasks", "inner steps"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_was_found_is_drawn_by_its_kind(problem: Any, strategy: Any, found: list[str], tmp_path: Path) -> None:
    search = Search(problem, strategy, run_directory=tmp_path / "run", validate_every=1, workers=1, progress=False)
    search.run(generations=2)
    page = report(tmp_path / "run", pictures=False)
    assert len(list(figures(page))) >= 2
    for words in found:
        assert words in page


def test_text_of_a_run_cannot_become_code() -> None:
    evil = "</script><script>alert(1)</script>"
    page = render(Page(evil, evil, [], [Section(evil, [Text(evil)])]))
    assert "<script>alert(1)" not in page


@pytest.mark.parametrize(
    ("problem", "strategy"),
    [(Bowl(3, noise=0.1), CMAES(6, sigma=0.5)), (Chase(inner_steps=2), RandomSearch(4))],
    ids=lambda value: type(value).__name__,
)
def test_the_command_repeats_the_run(problem: Any, strategy: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    search = Search(problem, strategy, seed=5, validate_every=2, run_directory=folder, workers=1, progress=False)
    search.run(generations=3)
    words = shlex.split(repeat_command(read_manifest(folder), 3))
    assert words[:2] == ["evometa", "run"]
    assert main([*words[1:], "--run-directory", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "history.csv").read_bytes() == (folder / "history.csv").read_bytes()


def test_what_the_command_line_cannot_say_is_said_in_python() -> None:
    manifest = describe_run(Bowl(3), AugmentedLagrangian(CMAES(6)), 1, {})
    assert "em.strategies.AugmentedLagrangian(strategy=CMAES(population_size=6" in repeat_command(manifest, 3)
    halved = {"halving": Halving(rungs=4, reduction=2).as_word()}
    assert ", seed=1, halving=em.Halving.from_word('2:4'))" in repeat_command(manifest._replace(options=halved), 3)
    other = manifest._replace(options={"asynchronous": True})
    assert ", seed=1, asynchronous=True)" in repeat_command(other, 3)
    at_once = shlex.split(repeat_command(describe_run(Bowl(3), CMAES(6), 1, other.options), 3))
    assert _parse(at_once[1:]).asynchronous
    command = CommandProblem("p {x}", {"x": {"type": "float", "low": 0.5}}, "loss", kept=Path("/kept"))
    words = shlex.split(repeat_command(describe_run(command, CMAES(6), 1, {}), 3))
    parsed = _parse(words[1:])
    assert getattr(parsed, PROBLEM) == command
    begun = describe_run(Bowl(3), CMAES(6), 1, {}, [[[0.0]]], {"run": "/runs/other", "part": "trials"})
    assert "--start=/runs/other --start-part trials" in repeat_command(begun, 3)
    assert repeat_command(begun._replace(start=None), 3).startswith("import evometa as em")
    assert "--halving 2:4 " in repeat_command(describe_run(Bowl(3), CMAES(6), 1, halved), 3)
    assert repeat_command(describe_run(LearnedActivation(hidden=(8, 4)), RandomSearch(4), 1, {}), 2) == (
        "evometa run learned-activation --problem.hidden 8 4 --strategy random-search --strategy.population-size 4 "
        "--seed 1 --generations 2"
    )


def test_groups_are_ranked_with_paired_tests(tmp_path: Path) -> None:
    runs: dict[str, list[Path]] = {"good": [], "worse": [], "once": []}
    rng = np.random.default_rng(0)
    values = {"good": rng.normal(size=4), "worse": rng.normal(1.0, size=4), "once": rng.normal(3.0, size=1)}
    for label, numbers in values.items():
        for seed, value in enumerate(numbers):
            folder = tmp_path / f"{label}{seed}"
            search = Search(Bowl(2), RandomSearch(2), seed=seed, run_directory=folder, progress=False)
            search.run(generations=1)
            written = json.loads((folder / "result.json").read_text())
            written["best_fitness"] = written["selected_fitness"] = float(value)
            (folder / "result.json").write_text(json.dumps(written))
            runs[label].append(folder)
    measure, ranked = standings(runs)
    assert measure == "selected_fitness"
    assert [one.label for one in ranked] == sorted(values, key=lambda label: values[label].mean())
    first, second = ranked[0], next(one for one in ranked if one.label == "worse")
    np.testing.assert_allclose(first.mean, values["good"].mean())
    interval = stats.t.interval(0.95, 3, values["good"].mean(), stats.sem(values["good"]))
    np.testing.assert_allclose(first.half_width, (interval[1] - interval[0]) / 2)
    np.testing.assert_allclose(second.p_value, stats.ttest_rel(values["worse"], values["good"]).pvalue)
    assert np.isnan(next(one for one in ranked if one.label == "once").half_width)
    page = report([path for paths in runs.values() for path in paths])
    assert headings(page) == ["Ranking", "Curves", "Runs", "Commands"]
    assert len(list(figures(page))) == 1


def test_importance_is_that_of_the_settings_that_matter() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"omega/a": rng.random(200), "omega/b": rng.random(200), "omega/c": rng.choice(["x", "y"], 200)}
    )
    table["fitness"] = 5 * table["omega/a"] + (table["omega/c"] == "x")
    shares = importance(best_first(table, minimize=True), ["omega/a", "omega/b", "omega/c"])
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["omega/a"] > shares["omega/c"] > 5 * shares["omega/b"]


def test_trials_that_were_stopped_rank_behind_the_others() -> None:
    table = pd.DataFrame({"fitness": [3.0, 1.0, 2.0, 0.0, 2.0], "stopped_at": [np.nan, 9, np.nan, 3, np.nan]})
    for minimize, order, ranks in ((True, [2, 4, 0, 1, 3], [1, 1, 2, 3, 4]), (False, [0, 2, 4, 1, 3], [1, 2, 2, 3, 4])):
        found = best_first(table, minimize=minimize)
        assert (found.index.tolist(), found["rank"].tolist()) == (order, ranks)
    assert best_first(table[["fitness"]], minimize=True).index.tolist()[:2] == [3, 1]


def test_bad_input_is_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunDirectoryError, match="run directory"):
        report(tmp_path)
    with pytest.raises(ConfigurationError, match="at least one run directory"):
        report([])
    assert main(["report", str(tmp_path)]) == 2
    assert "evometa: " in capsys.readouterr().err
