"""The sections of one run."""

from collections.abc import Sequence

import numpy as np

from evometa.errors import EvometaError, RunDirectoryError
from evometa.plots import style
from evometa.plots.curves import fitness_curves
from evometa.plots.diagnostics import PREFIX
from evometa.report import charts
from evometa.report.blocks import Block, Chart, Code, Facts, Figure, Page, Picture, Section, Table, Text
from evometa.report.charts import BLUE, GREEN, ORANGE, VERMILION
from evometa.report.commands import repeat_command, resume_command
from evometa.report.drift_chart import drift_blocks
from evometa.report.images import image_uri
from evometa.report.omega_sections import archive_blocks, omega_blocks
from evometa.report.pictures import pictures
from evometa.report.trial_charts import trial_blocks
from evometa.search.progress import duration, short
from evometa.sharing.run import Run
from evometa.sharing.summary import progress, settings
from evometa.storage import failures, history, result_file
from evometa.storage.history import History

COSTS = ("generations", "evaluations", "inner steps", "seconds", "failed", "validation", "checkpoint", "stopped")
"""What of a run's progress is its cost."""


def run_page(run: Run, *, pictures: bool = True) -> Page:
    """Return the page of one run.

    Args:
        run: the run.
        pictures: whether to draw the problem's own pictures, which may take seconds.
    """
    rows, found = dict(progress(run.path)), _history(run)
    fitness, population, weights, cost = _course(rows, run, found)
    sections = [
        Section("What was found", [*_found(run, rows), *omega_blocks(run)]),
        fitness,
        population,
        weights,
        Section("Candidates", trial_blocks(run)),
        Section("Archive", archive_blocks(run)),
        Section("Pictures", _pictures(run) if pictures else []),
        Section("Failures", _failures(run)),
        cost,
        Section("What was searched", [Facts(settings(run.path))]),
        Section("Commands", _commands(run, found)),
    ]
    return _page(run, found, sections)


def live_page(run: Run) -> Page:
    """Return what of :func:`run_page` changes with every generation, and takes little time to draw."""
    found = _history(run)
    return _page(run, found, _course(dict(progress(run.path)), run, found))


def _page(run: Run, found: History | None, sections: Sequence[Section]) -> Page:
    kinds = [part["type"].rpartition(":")[2] for part in (run.manifest.problem, run.manifest.strategy)]
    subtitle = f"searched with {kinds[1]}, seed {run.seed}, begun {run.manifest.created[:16].replace('T', ' ')}"
    return Page(kinds[0], subtitle, _figures(run, found), [section for section in sections if section.blocks])


def _course(rows: dict[str, str], run: Run, found: History | None) -> tuple[Section, Section, Section, Section]:
    """Return the course of the search: its fitness, its population, how weights moved, and its cost."""
    return (
        Section("Fitness", _fitness(run, found)),
        Section("Population", _population(found)),
        Section("Weights", drift_blocks(run)),
        Section("Cost", [Facts([(name, rows[name]) for name in COSTS if name in rows])]),
    )


def _history(run: Run) -> History | None:
    try:
        return history.read(run.path)
    except RunDirectoryError:
        return None


def _figures(run: Run, found: History | None) -> list[Figure]:
    """Return the numbers at the top of the page."""
    numbers = result_file.numbers(run.path) or {}
    named = {
        "best": numbers.get("best_fitness"),
        "selected": numbers.get("selected_fitness"),
        "held-out": numbers.get("selected_held_out"),
    }
    figures = [Figure(name, f"{value:.5g}") for name, value in named.items() if value is not None]
    figures = [figure for figure in figures if figure.value != "nan"]
    if found is not None and len(found):
        figures.append(Figure("generations", f"{found['generation'][-1]:,}"))
        figures.append(Figure("evaluations", short(int(found["evaluations"][-1]))))
        figures.append(Figure("time", duration(float(found.seconds[-1]))))
    return figures


def _found(run: Run, rows: dict[str, str]) -> list[Block]:
    names = ("direction", "best", "center", "held-out", "selected", "constraints")
    return [Facts([(name, rows[name]) for name in names if name in rows])]


def _fitness(run: Run, found: History | None) -> list[Block]:
    """Return the curves of the fitness, over any of four quantities."""
    if found is None or not len(found):
        return [Text("There are no generations yet.")]
    curves = fitness_curves(run.path)
    drawn = {
        "best of each generation": (curves.best, BLUE, "solid", None),
        "center, on training tasks": (curves.center, ORANGE, "solid", None),
        "held-out tasks": (curves.held_out, VERMILION, "solid", None),
        "best so far": (curves.best_so_far, GREEN, "dot", style.last),
    }
    if curves.known.noisy:
        del drawn["best so far"]  # the luckiest evaluation
    shown = {name: parts for name, parts in drawn.items() if np.isfinite(parts[0]).any()}
    log = style.log_scale_fits([parts[0] for parts in shown.values()])
    quantities = {"generation": np.asarray(found["generation"], float), "evaluations": found["evaluations"]}
    if found["inner_steps"][-1]:
        quantities["inner_steps"] = found["inner_steps"]
    quantities["seconds"] = found.seconds
    views, traces = [], []
    for number, (quantity, position) in enumerate(quantities.items()):
        place = np.asarray(position, float)
        for name, (values, color, dash, reduce) in shown.items():
            trace = charts.line(place, values, name, color, dash=dash, reduce=reduce)
            traces.append(trace | {"visible": number == 0})
        visible = [place == number for place in range(len(quantities)) for _ in shown]
        label = style.readable(quantity)
        views.append({"label": label, "method": "update", "args": [{"visible": visible}, {"xaxis.title.text": label}]})
    menu = [{"type": "buttons", "direction": "right", "buttons": views, "x": 1, "xanchor": "right", "y": -0.16}]
    better = f" ({curves.better} is better)" if curves.better else ""
    figure = charts.chart(traces, x="generation", y=f"fitness{better}", log=log, height=420, updatemenus=menu)
    figure["layout"]["margin"]["b"] = 96
    held_out = " The distance of the held-out curve from that of training tasks is the price of new tasks."
    caption = "Fitness over the run." + (held_out if "held-out tasks" in shown and len(shown) > 1 else "")
    return [Chart(figure, caption)]


def _population(found: History | None) -> list[Block]:
    """Return the spread of the population, its failures, and what the strategy says of itself."""
    if found is None or not len(found):
        return []
    place = np.asarray(found["generation"], float)
    low, high = (np.asarray(found[name], float) for name in ("lower_quartile", "upper_quartile"))
    best, median = (np.asarray(found[name], float) for name in ("best", "median"))
    log = style.log_scale_fits([low, high, best])
    traces = [
        *charts.band(place, low, high, "middle half of the candidates", BLUE),
        charts.line(place, median, "median", BLUE),
        charts.line(place, best, "best", GREEN),
    ]
    blocks: list[Block] = [
        Chart(charts.chart(traces, x="generation", y="fitness", log=log), "The candidates of each generation.")
    ]
    if np.any(found["failed"]):
        failed = charts.line(
            place, np.asarray(found["failed"], float), "failed candidates", VERMILION, reduce=style.mean
        )
        blocks.append(Chart(charts.chart([failed], x="generation", y="failed", height=220), "Failed candidates."))
    own = {name.removeprefix(PREFIX): found[name] for name in found.columns if name.startswith(PREFIX)}
    constant = {name: values[0] for name, values in own.items() if np.all(values == values[0])}
    if constant:
        blocks.append(Facts([(style.readable(name), f"{value:.5g}, all the time") for name, value in constant.items()]))
    for name in (name for name in own if name not in constant):
        values, label = np.asarray(own[name], float), style.readable(name)
        figure = charts.chart(
            [charts.line(place, values, label, ORANGE)],
            x="generation",
            y=label,
            log=style.log_scale_fits([values]),
            height=220,
        )
        blocks.append(Chart(figure, f"{label}, of the strategy itself."))
    return blocks


def _pictures(run: Run) -> list[Block]:
    """Return pictures of the selected ω."""
    try:
        run.problem, run.selected_omega  # noqa: B018 - raises if they are not here
    except EvometaError as error:
        return [Text(f"The problem's own pictures are left out. {error}")]
    try:
        drawn = pictures(run)
    except (EvometaError, OSError, ValueError) as error:  # such as data files that are not here
        return [Text(f"The problem's own pictures could not be drawn: {error}")]
    return [Picture(image_uri(picture), f"{style.readable(name)} of the selected ω") for name, picture in drawn.items()]


def _failures(run: Run) -> list[Block]:
    kinds = failures.read(run.path)
    if not kinds:
        return []
    counted = failures.counts(kinds)
    rows = [(f"{count:,}", kind) for kind, count in counted.items()]
    return [Table(["candidates", "what failed"], rows), *(Code(kinds[kind].first, kind) for kind in counted)]


def _commands(run: Run, found: History | None) -> list[Block]:
    generations = int(found["generation"][-1]) if found is not None and len(found) else 0
    path = str(run.path)
    return [
        Code(
            f"# the same search again, to the same generation\n{repeat_command(run.manifest, generations)}\n\n"
            f"# continue it\n{resume_command(run.path, generations)}\n\n"
            f"# its result on held-out tasks and other task distributions\nevometa generalize {path}\n\n"
            f"# what was found, in a file\nevometa export {path}"
        ),
        Code(f"import evometa as em\n\nfound = em.load({path!r}).export()"),
    ]
