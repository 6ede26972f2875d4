"""What the table of trials shows: which settings matter, which were good together, what was chosen when."""

from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError, EvometaError, RunDirectoryError
from evometa.plots import style
from evometa.report import charts
from evometa.report.blocks import Block, Chart, Text
from evometa.report.charts import BLUE, PALETTE
from evometa.sharing.run import Run
from evometa.storage.omega_values import MOST_SETTINGS
from evometa.storage.result import Archive
from evometa.storage.trials import omega_cells, omega_columns

LEAST_TRIALS = 16
"""Candidates that did not fail from which on importance is computed."""
MOST_LINES = 500
"""Candidates in the parallel coordinates: evenly spaced in rank, so that good and bad ones are seen."""
MOST_AXES = 16


def trial_blocks(run: Run) -> list[Block]:
    """Return the charts of a run's trials; of settings without such a table, how to have it, and what else there is."""
    try:
        table = run.trials
    except ConfigurationError:
        return []
    except RunDirectoryError:
        return _without_trials(run)
    names = _varied(table)
    sound = table[np.isfinite(table["fitness"])]
    if not names or not len(sound):
        return []
    sound = best_first(sound, minimize=run.manifest.direction != "maximize")
    stopped = int(sound["stopped_at"].notna().sum()) if "stopped_at" in sound else 0
    words = f"; {stopped:,} were stopped early and are ranked behind the others" if stopped else ""
    blocks: list[Block] = [Text(f"{len(table):,} candidates were evaluated{words}. trials.csv has one row for each.")]
    if len(sound) >= LEAST_TRIALS and len(names) > 1:
        blocks.append(_importance(sound, names))
    if len(names) > 1:
        caption = "Candidates by their settings, the best in yellow; drag along an axis to select."
        blocks.append(_parallel(sound, names[:MOST_AXES], caption))
    texts = [name for name in names if not _is_number(table[name]) and table[name].nunique() <= 12]
    return [*blocks, *(_shares(table, name) for name in texts)]


def _varied(table: Any) -> list[str]:
    """Return the columns of ω in which candidates differ."""
    return [name for name in table.columns if name.startswith("omega") and table[name].nunique(dropna=False) > 1]


def _without_trials(run: Run) -> list[Block]:
    """Return how to have the table of trials where ω is a few settings, and the members that the strategy keeps."""
    try:
        if not 1 < len(omega_columns(run.problem, run.problem.space)) <= MOST_SETTINGS:
            return []
        members = run.population
    except EvometaError:
        return []
    blocks: list[Block] = [
        Text(
            "How much each setting matters, and all candidates by their settings, are drawn from a table of the "
            "candidates, which this run does not keep: search with trials=True (--trials True), or resume the run with "
            "it."
        )
    ]
    if members is None or not np.isfinite(members.fitness).any():
        return blocks
    table = _table_of(run, members)
    names = _varied(table)
    if len(names) > 1:
        sound = best_first(table[np.isfinite(table["fitness"])], minimize=run.manifest.direction != "maximize")
        caption = "The candidates that the strategy keeps, by their settings, the best in yellow."
        blocks.append(_parallel(sound, names[:MOST_AXES], caption))
    return blocks


def _table_of(run: Run, members: Archive) -> Any:
    """Return candidates as a table like that of trials."""
    import pandas as pd

    def cells(place: int) -> dict[str, Any]:
        omega = jax.tree.map(lambda leaf: np.asarray(leaf)[place], members.omegas)
        return omega_cells(run.problem.space.readable(omega)) | {"fitness": float(members.fitness[place])}

    return pd.DataFrame([cells(place) for place in range(len(members.fitness))])


def best_first(table: Any, *, minimize: bool) -> Any:
    """Return trials from the best on, with their ``rank``; those that were stopped early by where, then by fitness."""
    reached = table["stopped_at"].fillna(np.inf) if "stopped_at" in table else np.inf
    ordered = table.assign(reached=reached).sort_values(
        ["reached", "fitness"], ascending=[False, minimize], kind="stable"
    )
    new = ordered[["reached", "fitness"]].ne(ordered[["reached", "fitness"]].shift()).any(axis=1)
    return ordered.assign(rank=new.cumsum())


def _is_number(column: Any) -> bool:
    return bool(column.dtype.kind in "iufb")


def _label(name: str) -> str:
    return name.removeprefix("omega/")


def _encoded(table: Any, name: str) -> tuple[NDArray[np.float64], list[str] | None]:
    """Return a column as numbers, and the texts that whole numbers stand for; NaN where a part is not active."""
    column = table[name]
    if _is_number(column):
        return np.asarray(column, np.float64), None
    options = sorted(column.dropna().astype(str).unique())
    places = {option: place for place, option in enumerate(options)}
    return np.array([places.get(str(value), np.nan) for value in column], np.float64), options


def importance(table: Any, names: list[str]) -> dict[str, float]:
    """Return how much each part of ω matters: the share of the ranks' variance that is lost without it.

    A random forest predicts the rank of the fitness from ω; the importance of a part is what the prediction of trials
    that a tree was not fitted to loses when that part is shuffled (Breiman 2001), as a share of all.

    Args:
        table: trials that did not fail, with their ``rank``.
        names: the columns of ω.
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    columns = [_encoded(table, name)[0] for name in names]
    inputs = np.stack([np.where(np.isnan(column), -1.0, column) for column in columns], axis=1)
    ranks = table["rank"].rank().to_numpy() / len(table)
    order = np.random.default_rng(0).permutation(len(ranks))[:2000]
    halves = np.array_split(order, 2)
    lost = np.zeros(len(names))
    for fitted, others in (halves, halves[::-1]):
        forest = RandomForestRegressor(64, min_samples_leaf=2, random_state=0).fit(inputs[fitted], ranks[fitted])
        lost += permutation_importance(
            forest, inputs[others], ranks[others], n_repeats=4, random_state=0
        ).importances_mean
    lost = np.maximum(lost, 0.0)
    return dict(zip(names, (lost / max(lost.sum(), 1e-12)).tolist(), strict=True))


def _importance(table: Any, names: list[str]) -> Block:
    shares = importance(table, names)
    ordered = sorted(shares, key=lambda name: -shares[name])[:MOST_AXES]
    bars = charts.bars([_label(name) for name in ordered], [shares[name] for name in ordered], "importance", BLUE)
    figure = charts.chart([bars], x="share", height=110 + 24 * len(ordered), hovermode="closest")
    return Chart(figure, "How much each part of ω matters for the rank of a candidate, by a random forest.")


def _parallel(table: Any, names: list[str], caption: str) -> Block:
    """Return a line for each candidate, from the best on, through its settings, coloured by rank."""
    kept = table.iloc[np.unique(np.linspace(0, len(table) - 1, MOST_LINES).astype(int))]
    ranks = np.linspace(1.0, 0.0, len(kept))
    axes = [_axis(_label(name), *_encoded(kept, name)) for name in names]
    fitness = _axis("fitness", np.asarray(kept["fitness"], np.float64), None)
    lines = {
        "type": "parcoords",
        "line": {"color": charts.numbers(ranks), "colorscale": "Viridis", "showscale": False},
        "dimensions": [fitness, *axes],
        "labelangle": -20,
    }
    figure = charts.chart([lines], height=420)
    figure["layout"] = {"height": 420, "margin": {"l": 70, "r": 60, "t": 90, "b": 24}}
    return Chart(figure, caption)


def _axis(label: str, values: NDArray[np.float64], options: list[str] | None) -> dict[str, Any]:
    """Return an axis of parallel coordinates, logarithmic where the values span decades."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    filled = np.where(np.isfinite(values), values, low)
    if options is not None:
        ticks = {"tickvals": list(range(len(options))), "ticktext": options}
        return {"label": label, "values": charts.numbers(filled), **ticks}
    if style.log_scale_fits([known]):
        powers = np.linspace(np.log10(low), np.log10(high), 4)
        ticks = {"tickvals": charts.numbers(powers), "ticktext": [f"{10**power:.2g}" for power in powers]}
        return {"label": label, "values": charts.numbers(np.log10(filled)), **ticks}
    return {"label": label, "values": charts.numbers(filled)}


def _shares(table: Any, name: str) -> Block:
    """Return how often each option was chosen, generation by generation."""
    counts = table.groupby("generation")[name].value_counts(dropna=False, normalize=True).unstack(fill_value=0.0)
    traces = []
    for number, option in enumerate(counts.columns):
        shown = str(option) if option == option else "not active"  # NaN is not equal to itself
        line = charts.line(
            np.asarray(counts.index, float),
            counts[option].to_numpy(),
            shown,
            PALETTE[number % len(PALETTE)],
            reduce=style.mean,
        )
        traces.append(line | {"stackgroup": "all", "mode": "lines"})
    figure = charts.chart(traces, x="generation", y="share of candidates", height=280)
    figure["layout"]["yaxis"]["range"] = [0, 1]
    return Chart(figure, f"{_label(name)}: the share of each option.")
