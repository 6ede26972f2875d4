"""The sections of several runs: a ranked table with confidence intervals and paired tests, and their curves."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from evometa.errors import EvometaWarning, RunDirectoryError
from evometa.plots import style
from evometa.plots.comparing import BAND_RUNS, comparison
from evometa.plots.facts import facts
from evometa.report import charts
from evometa.report.blocks import Block, Chart, Code, Figure, Page, Section, Table, Text
from evometa.report.charts import PALETTE
from evometa.sharing.grouping import groups
from evometa.storage import result_file
from evometa.storage.manifest import read_manifest

MEASURES = {
    "selected_held_out": "held-out fitness",
    "selected_fitness": "selected fitness",
    "best_fitness": "best fitness",
}
"""By what runs are ranked: the first that every run has."""
CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Standing:
    """A group of runs in the ranked table."""

    label: str
    values: dict[int, float]
    """The result of each run, by its seed."""
    mean: float
    half_width: float
    """Of the confidence interval of the mean, by Student's t; NaN for a single run."""
    difference: float
    """The mean difference from the first of the table, over the seeds that both have; NaN for the first."""
    p_value: float
    """Of a paired t-test of that difference, corrected for the number of groups (Holm 1979); NaN with fewer than three
    seeds that both have."""


def standings(runs: Mapping[str, Sequence[Path]]) -> tuple[str, list[Standing]]:
    """Return the measure by which groups of runs are ranked, and the groups, the best first.

    Args:
        runs: run directories by the label of their group.

    Raises:
        RunDirectoryError: a run has no result yet.
    """
    numbers = {path: result_file.numbers(path) for paths in runs.values() for path in paths}
    without = [path for path, found in numbers.items() if found is None]
    if without:
        raise RunDirectoryError(
            f"A ranked table expects runs with results, and {without[0]} has none yet; leave it out, or wait for its "
            "first checkpoint."
        )
    known = {path: found for path, found in numbers.items() if found is not None}
    measure = next(
        (name for name in MEASURES if all(np.isfinite(found[name]) for found in known.values())), "best_fitness"
    )
    sign = -1.0 if any(found["direction"] == "maximize" for found in known.values()) else 1.0
    results = {
        label: {read_manifest(path).seed: float(known[path][measure]) for path in paths}
        for label, paths in runs.items()
    }
    ordered = sorted(results, key=lambda label: sign * float(np.mean(list(results[label].values()))))
    first = results[ordered[0]]
    raw = [_paired(results[label], first) for label in ordered]
    corrected = _holm(np.array([p for _, p in raw]))
    return measure, [
        Standing(label, results[label], *_interval(list(results[label].values())), raw[i][0], float(corrected[i]))
        for i, label in enumerate(ordered)
    ]


def _interval(values: list[float]) -> tuple[float, float]:
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, float("nan")
    return mean, float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values))


def _paired(own: Mapping[int, float], first: Mapping[int, float]) -> tuple[float, float]:
    """Return the mean difference over common seeds, and the p-value of a paired t-test."""
    seeds = sorted(own.keys() & first.keys())
    differences = np.array([own[seed] - first[seed] for seed in seeds])
    if own is first or not len(seeds):
        return float("nan"), float("nan")
    mean = float(differences.mean())
    if len(seeds) < 3 or np.ptp(differences) == 0:
        return mean, float("nan")
    return mean, float(stats.ttest_1samp(differences, 0.0).pvalue)


def _holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values corrected for their number; NaN stays (Holm 1979)."""
    corrected, tests = p_values.copy(), np.flatnonzero(np.isfinite(p_values))
    largest = 0.0
    for rank, place in enumerate(tests[np.argsort(p_values[tests])]):
        largest = max(largest, min(1.0, (len(tests) - rank) * float(p_values[place])))
        corrected[place] = largest
    return corrected


def ranked_table(runs: Mapping[str, Sequence[Path]]) -> Table:
    """Return the ranked table of groups of runs; errors as of :func:`standings`."""
    measure, ranked = standings(runs)
    rows = [
        (
            f"{place}",
            one.label,
            f"{len(one.values)}",
            _number(one.mean) + (f" ± {one.half_width:.2g}" if np.isfinite(one.half_width) else ""),
            _number(one.difference, sign=True),
            f"{one.p_value:.2g}" if np.isfinite(one.p_value) else "–",
        )
        for place, one in enumerate(ranked, 1)
    ]
    headers = ("rank", "runs", "seeds", f"{MEASURES[measure]}, 95 % interval", "against the first", "p")
    caption = (
        "Means over seeds. Differences and p-values are of pairs of runs with the same seed: a t-test, corrected for "
        "the number of comparisons (Holm)."
    )
    return Table(headers, rows, caption)


def _number(value: float, *, sign: bool = False) -> str:
    return "–" if not np.isfinite(value) else f"{value:+.4g}" if sign else f"{value:.5g}"


def comparison_page(directories: Sequence[Path], labels: Sequence[str] = ()) -> Page:
    """Return the page of several runs.

    Args:
        directories: the run directories.
        labels: the label of each; runs of one label are a group. Empty: runs that differ in their seeds only are.
    """
    runs = groups(directories, labels)
    problems = sorted({facts(path).problem.partition("(")[0] for path in directories})
    seeds = sum(len(paths) for paths in runs.values())
    command = " \\\n    ".join(["evometa report", *map(str, directories)])
    blocks: list[Block] = []
    try:
        blocks.append(ranked_table(runs))
    except RunDirectoryError as error:
        blocks.append(Text(str(error)))
    sections = [
        Section("Ranking", blocks),
        Section("Curves", [_curves(runs)]),
        Section("Runs", [_list(runs)]),
        Section("Commands", [Code(command)]),
    ]
    figures = [Figure("groups", f"{len(runs)}"), Figure("runs", f"{seeds}")]
    return Page(", ".join(problems), f"comparison of {seeds} runs", figures, sections)


def _curves(runs: Mapping[str, Sequence[Path]]) -> Block:
    """Return the mean curve of each group with its confidence interval."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvometaWarning)  # of different problems, which the title shows
        compared = comparison({label: list(paths) for label, paths in runs.items()})
    traces = []
    for number, group in enumerate(compared.groups):
        color = PALETTE[number % len(PALETTE)]
        if len(group.values) >= BAND_RUNS:
            shade = charts.band(group.position, group.lower, group.upper, f"{group.label}, 95 %", color)
            traces += [trace | {"showlegend": False} for trace in shade]
        traces.append(charts.line(group.position, group.mean, group.label, color))
    better = f" ({compared.better} is better)" if compared.better else ""
    label = style.readable(compared.quantity)
    figure = charts.chart(traces, x=compared.x, y=f"{label}{better}", log=compared.log, height=420)
    return Chart(
        figure, f"{label} of each group: mean over seeds, and its 95 % confidence interval from three runs on."
    )


def _list(runs: Mapping[str, Sequence[Path]]) -> Table:
    rows = []
    for label, paths in runs.items():
        for path in paths:
            found = result_file.numbers(path) or {}
            held_out = found.get("selected_held_out", float("nan"))
            rows.append(
                (
                    label,
                    str(path),
                    f"{read_manifest(path).seed}",
                    f"{found.get('generations', 0):,}",
                    f"{found.get('evaluations', 0):,}",
                    f"{found.get('seconds', 0.0):,.0f}",
                    _number(found.get("best_fitness", float("nan"))),
                    _number(held_out),
                )
            )
    return Table(("runs", "folder", "seed", "generations", "evaluations", "seconds", "best", "held-out"), rows)
