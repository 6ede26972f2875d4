"""Plot of several runs together, with confidence bands over seeds."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from evometa.errors import ConfigurationError, nearest
from evometa.plots import style
from evometa.plots.curves import Run, X, load, positions
from evometa.plots.style import Curve
from evometa.storage.history import History


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
        quantity: a column of the history; None takes ``held_out`` if every run has it, otherwise ``best_so_far``.
        x: the quantity on the x-axis.
        confidence: level in (0, 1) of the confidence interval of the mean.
        points: number of positions on the x-axis at which runs are compared.

    Raises:
        ConfigurationError: nothing to compare, or a quantity or x-axis that does not exist.
        RunDirectoryError: a folder holds no history.
    """
    loaded = {label: [load(run) for run in _as_list(value)] for label, value in runs.items()}
    if not loaded or not all(loaded.values()):
        raise ConfigurationError(f"compare expects one or more runs under each label, got {dict(runs)}.")
    if not 0 < confidence < 1:
        raise ConfigurationError(f"compare expects 0 < confidence < 1, such as 0.95, got {confidence}.")
    all_runs = [run for group in loaded.values() for run in group]
    quantity = quantity or ("held_out" if all(_has(run, "held_out") for run in all_runs) else "best_so_far")
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
    return Comparison(x, quantity, log, confidence, groups)


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

    The band is the pointwise confidence interval of the mean by Student's t distribution; thin lines are single runs.
    On a logarithmic axis, mean and interval are those of the logarithm. A curve ends with its label's shortest run.

    Args:
        runs: label -> a run (directory or history), or several that differ only in their seeds.
        quantity: a column of the history; None takes ``held_out`` if every run has it, otherwise ``best_so_far``.
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
        label = f"{group.label} ({seeds} runs)" if seeds > 1 else group.label
        axes.plot(group.position, group.mean, color=colour, linestyle=dash, linewidth=1.8, marker=marker, label=label)
        if seeds > 1:
            axes.fill_between(group.position, group.lower, group.upper, color=colour, alpha=0.18, linewidth=0)
            axes.plot(group.position, group.values.T, color=colour, linewidth=0.6, alpha=0.5)
    # With two or three seeds a band can be far wider than the curves; then it is cut, so that curves stay readable.
    style.limit_y_axis(axes, [group.values for group in numbers.groups])
    style.label_axes(axes, x=numbers.x, y=style.readable(numbers.quantity))
    if any(len(group.values) > 1 for group in numbers.groups):
        axes.set_title(f"mean, {100 * numbers.confidence:g} % confidence, single runs", fontsize="small", loc="left")
    axes.legend(frameon=False, fontsize="small")
    return picture
