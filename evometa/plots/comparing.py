"""Plot of several runs together, with confidence bands over seeds."""

import dataclasses
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from evometa.errors import ConfigurationError, nearest, warn
from evometa.plots import style
from evometa.plots.curves import X, load, positions
from evometa.plots.facts import Run, facts
from evometa.plots.style import Curve
from evometa.storage.history import History

BAND_RUNS = 3
"""Runs from which on a confidence band is drawn: that of two is 13 standard errors wide to each side."""
LABEL_WIDTH = 90
"""Characters in a line of the legend."""
SHORT = 100
"""Characters of all labels together up to which the legend is within the axes."""
FITNESS = ("best", "lower_quartile", "median", "upper_quartile", "best_so_far", "center", "held_out")
"""The columns of a history that are a fitness."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs that differ only in their seeds."""

    label: str
    position: Curve
    """Positions on the x-axis ``[N]``, from the latest start to the earliest end of the runs."""
    values: Curve
    """The quantity of each run, interpolated at these positions, ``[runs, N]``."""
    mean: Curve
    """The mean over runs ``[N]``: arithmetic, or geometric on a logarithmic scale."""
    lower: Curve
    """Lower end of the confidence interval of the mean ``[N]``; NaN for a single run."""
    upper: Curve
    """Upper end of the confidence interval of the mean ``[N]``."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The numbers of :func:`compare`."""

    x: X
    quantity: str
    log: bool
    """Whether the quantity is compared on a logarithmic scale."""
    confidence: float
    groups: tuple[Group, ...]
    better: str = ""
    """Which fitness is better, "smaller" or "larger", where the runs say it."""


def comparison(
    runs: Mapping[str, Run | Sequence[Run]],
    *,
    quantity: str | None = None,
    x: X = "generation",
    confidence: float = 0.95,
    points: int = 300,
) -> Comparison:
    """Compute the numbers of :func:`compare`.

    Args:
        runs: label -> a run, or several that differ only in their seeds.
        quantity: a column of the history; None takes ``held_out`` if every run has it, otherwise the ``center`` of
            noisy problems, or ``best_so_far``.
        x: the quantity on the x-axis.
        confidence: level in (0, 1) of the confidence interval of the mean.
        points: number of positions on the x-axis at which runs are compared.

    Raises:
        ConfigurationError: nothing to compare, or a quantity or x-axis that does not exist.
        RunDirectoryError: a folder holds no history.
    """
    about = [facts(run) for value in runs.values() for run in _as_list(value)]
    problems = sorted({fact.problem for fact in about if fact.problem})
    if len(problems) > 1:
        warn(
            f"The compared runs are of different problems, whose fitness may not be comparable: {'; '.join(problems)}.",
        )
    loaded = {label: [load(run) for run in _as_list(value)] for label, value in runs.items()}
    if not loaded or not all(loaded.values()):
        raise ConfigurationError(f"compare expects one or more runs under each label, got {dict(runs)}.")
    if not 0 < confidence < 1:
        raise ConfigurationError(f"compare expects 0 < confidence < 1, such as 0.95, got {confidence}.")
    all_runs = [run for group in loaded.values() for run in group]
    wanted = ("held_out", "center") if any(fact.noisy for fact in about) else ("held_out",)
    everywhere = [name for name in wanted if all(_has(run, name) for run in all_runs)]
    quantity = quantity or [*everywhere, "best_so_far"][0]
    for label, group in loaded.items():
        for run in group:
            if not _has(run, quantity):
                known = [name for name in run.columns if _has(run, name)]
                raise ConfigurationError(
                    f"compare expects {quantity!r} to be a column with numbers in every run, "
                    f"and a run of {label!r} has none. {nearest(quantity, known)}"
                )
    log = style.log_scale_fits([run[quantity] for run in all_runs])
    groups = tuple(_group(label, group, quantity, x, log, confidence, points) for label, group in loaded.items())
    better = {fact.better for fact in about}
    return Comparison(x, quantity, log, confidence, groups, better.pop() if len(better) == 1 else "")


def _as_list(runs: Run | Sequence[Run]) -> Sequence[Run]:
    return list(runs) if isinstance(runs, list | tuple) else [runs]  # type: ignore[list-item]


def _has(run: History, quantity: str) -> bool:
    return quantity in run and bool(np.isfinite(run[quantity]).any())


def _group(
    label: str, runs: Sequence[History], quantity: str, x: X, log: bool, confidence: float, points: int
) -> Group:
    curves = []
    for run in runs:
        finite = np.isfinite(run[quantity])
        curves.append((positions(run, x)[finite], np.asarray(run[quantity], np.float64)[finite]))
    first, last = max(at[0] for at, _ in curves), min(at[-1] for at, _ in curves)
    if first > last:
        raise ConfigurationError(
            f"compare expects the runs of one label to overlap on the x-axis {x!r}, and those of {label!r} do not; "
            "give them labels of their own."
        )
    grid = np.unique(np.linspace(first, last, points))
    scaled = np.stack([np.interp(grid, at, np.log(value) if log else value) for at, value in curves])
    mean = scaled.mean(axis=0)
    half = np.full_like(mean, np.nan)
    if len(runs) > 1:
        standard_error = scaled.std(axis=0, ddof=1) / np.sqrt(len(runs))
        half = standard_error * stats.t.ppf(0.5 + confidence / 2, len(runs) - 1)
    unscale = np.exp if log else np.asarray
    return Group(label, grid, unscale(scaled), unscale(mean), unscale(mean - half), unscale(mean + half))


def compare(
    runs: Mapping[str, Run | Sequence[Run]],
    *,
    quantity: str | None = None,
    x: X = "generation",
    confidence: float = 0.95,
) -> Figure:
    """Plot one quantity of several runs; runs with the same label as their mean with a confidence band over seeds.

    The band is the pointwise confidence interval of the mean by Student's t distribution, drawn for three runs or more;
    with two it would cover everything. Thin lines are single runs.
    On a logarithmic axis, mean and interval are those of the logarithm. A curve ends with its label's shortest run.

    Args:
        runs: label -> a run (directory or history), or several that differ only in their seeds.
        quantity: a column of the history; None takes ``held_out`` if every run has it, otherwise the ``center`` of
            noisy problems, or ``best_so_far``.
        x: the quantity on the x-axis.
        confidence: level in (0, 1) of the confidence band.

    Returns:
        A figure; ``figure.savefig("comparison.png")`` writes it.

    Raises:
        ConfigurationError: nothing to compare, or a quantity or x-axis that does not exist.
        RunDirectoryError: a folder holds no history.
    """
    return draw_comparison(comparison(runs, quantity=quantity, x=x, confidence=confidence))


def draw_comparison(numbers: Comparison) -> Figure:
    """Plot the numbers of :func:`comparison`."""
    picture = style.figure()
    axes = picture.subplots()
    if numbers.log:
        axes.set_yscale("log")
    for i, group in enumerate(numbers.groups):
        colour, dash = style.PALETTE[i % len(style.PALETTE)], ("-", "--", ":")[i // len(style.PALETTE) % 3]
        seeds = len(group.values)
        marker = "o" if len(group.position) == 1 else ""
        label = textwrap.fill(f"{group.label} ({seeds} runs)" if seeds > 1 else group.label, LABEL_WIDTH)
        axes.plot(group.position, group.mean, color=colour, linestyle=dash, linewidth=1.8, marker=marker, label=label)
        if seeds > 1:
            if seeds >= BAND_RUNS:
                axes.fill_between(group.position, group.lower, group.upper, color=colour, alpha=0.18, linewidth=0)
            axes.plot(group.position, group.values.T, color=colour, linewidth=0.6, alpha=0.5)
    # With few seeds a band can be far wider than the curves; then it is cut, so that curves stay readable.
    style.limit_y_axis(axes, [group.values for group in numbers.groups])
    better = f" ({numbers.better} is better)" if numbers.better and numbers.quantity in FITNESS else ""
    style.label_axes(axes, x=numbers.x, y=style.readable(numbers.quantity) + better)
    most = max(len(group.values) for group in numbers.groups)
    if most > 1:
        band = f", {100 * numbers.confidence:g} % confidence" if most >= BAND_RUNS else ""
        axes.set_title(f"mean{band}, single runs", fontsize="small", loc="left")
    if sum(len(group.label) for group in numbers.groups) <= SHORT:
        axes.legend(frameon=False, fontsize="small")
    else:  # long labels would cover the curves
        picture.legend(*axes.get_legend_handles_labels(), frameon=False, fontsize="small", loc="outside lower left")
        lines = sum(text.count("\n") + 1 for text in axes.get_legend_handles_labels()[1])
        picture.set_figheight(picture.get_figheight() + 0.2 * lines)
    return picture
