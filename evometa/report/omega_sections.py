"""ω, drawn by its kind: weights layer by layer, settings as a table, formulas as trees, schedules as curves."""

import contextlib
import warnings
from typing import Any

import jax
import numpy as np
import sympy

from evometa.errors import EvometaError
from evometa.expressions import to_sympy
from evometa.plots import style
from evometa.report import charts
from evometa.report.blocks import Block, Chart, Code, Formula, Picture, Table, Text
from evometa.report.charts import BLUE, GREEN, PALETTE
from evometa.report.images import image_uri
from evometa.report.pictures import start_of
from evometa.sharing.formats import formulas
from evometa.sharing.run import Run
from evometa.storage import result_file
from evometa.storage.drift import largest_layers
from evometa.storage.omega_values import arrays, cells, plain, weights
from evometa.storage.result import Archive
from evometa.strategy import TrainsPopulation
from evometa.types import Omega

LARGEST_TREE = 40
"""Nodes of a formula up to which its tree is drawn."""


def omega_blocks(run: Run) -> list[Block]:
    """Return what the selected ω is."""
    text = result_file.found_text(run.path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a class that has moved; the page says so elsewhere
            omega = run.selected_omega
    except EvometaError:
        return [Text("Nothing was found yet.")]
    if omega is None:
        return [Text("Every candidate failed.")]
    named = formulas(omega)
    if named:
        return [block for name, formula in named.items() for block in _formula(name, formula)]
    values = _readable(run, omega)
    layers = weights(omega)
    if layers:
        return [Text(f"{text}."), _weights(run, layers)]
    named_values = values if isinstance(values, dict) else cells(values)
    rows = [(name, _short(value)) for name, value in named_values.items()]
    return [Table(["part of ω", "value"], rows)]


def _readable(run: Run, omega: Omega) -> Any:
    try:
        return plain(run.problem.space.readable(omega))
    except EvometaError:  # the class has moved
        return plain(omega)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_short, value))}]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _formula(name: str, formula: Any) -> list[Block]:
    """Return a formula: typeset, as text, and as a tree."""
    from evometa.plots import tree

    shown: list[Block] = []
    with contextlib.suppress(EvometaError, NotImplementedError):  # what SymPy does not know stands as text below
        symbolic = sympy.sympify(to_sympy(formula.primitives, formula.tree))
        shown.append(Formula(sympy.mathml(symbolic.evalf(4), printer="presentation")))
    shown.append(Code(str(formula), "" if len(str(formula)) < 400 else f"{name} as text"))
    if int(np.sum(np.asarray(formula.tree.op) >= 0)) <= LARGEST_TREE:
        shown.append(Picture(image_uri(tree(formula.primitives, formula.tree)), f"{name} as a tree"))
    return shown


def _weights(run: Run, layers: dict[str, Any]) -> Block:
    """Return the size of each layer beside how far it is from where the search began."""
    start = start_of(run)
    names = largest_layers(layers)
    found = np.array([_root_mean_square(layers[name]) for name in names])
    traces = [charts.bars(names, found, "found", BLUE)]
    if start is not None:
        begin = arrays(start)
        moved = [_root_mean_square(layers[name] - begin[name]) for name in names]
        traces.append(charts.bars(names, moved, "distance from the start", GREEN))
    height = 120 + 26 * len(names)
    figure = charts.chart(traces, x="root mean square", height=height, barmode="group", hovermode="closest")
    return Chart(figure, "Weights of each layer: their size, and how far the search has moved them.")


def _root_mean_square(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def archive_blocks(run: Run) -> list[Block]:
    """Return the candidates that a strategy keeps as its answer: a front, an archive or a schedule."""
    try:
        archive, strategy = run.archive, run.strategy
    except EvometaError:
        return []
    if archive is None or not len(archive.fitness):
        return []
    if isinstance(strategy, TrainsPopulation):
        return [_schedule(archive)]
    if archive.objectives is not None:
        return [_front(archive)]
    return [_places(archive)] if archive.measures is not None else []


def _front(archive: Archive) -> Block:
    """Return the first two objectives of each candidate, with its ω at the pointer."""
    objectives = archive.objectives
    assert objectives is not None
    names = [*archive.objective_names, *(f"objective {i + 1}" for i in range(len(archive.objective_names), 2))]
    texts = [_text_of(archive.omegas, i) for i in range(len(objectives))]
    columns = [np.asarray(objectives[:, i], float) for i in range(min(2, objectives.shape[1]))]
    first, second = columns if len(columns) > 1 else (columns[0], archive.fitness)
    formula = bool(formulas(archive.omegas))
    if formula:  # fitness against size: the size is what people look for first
        names, (first, second) = names[::-1][-2:], (second, first)
    traces = [charts.points(first, second, "candidates", BLUE, texts)]
    log = style.log_scale_fits([np.asarray(second, float)])
    figure = charts.chart(traces, x=names[0], y=names[1], log=log, hovermode="closest")
    words = "Size against error of the formulas that are kept." if formula else "The front of the objectives."
    return Chart(figure, f"{words} {len(objectives):,} candidates.")


def _text_of(omegas: Omega, place: int) -> str:
    """Return one of several ω in a line; empty where it is long."""
    one = jax.tree.map(lambda leaf: np.asarray(leaf)[place], omegas)
    named = formulas(one)
    text = ", ".join(str(formula) for formula in named.values()) if named else str(plain(one))
    return text if len(text) <= 160 else ""


def _places(archive: Archive) -> Block:
    """Return the places of an archive in the space of the first two measures, coloured by fitness."""
    measures = np.asarray(archive.measures, float)
    second = measures[:, 1] if measures.shape[1] > 1 else np.zeros(len(measures))
    points = charts.points(measures[:, 0], second, "candidates", BLUE, [f"{value:.5g}" for value in archive.fitness])
    points["marker"] = {"color": charts.numbers(archive.fitness), "colorscale": "Viridis", "showscale": True, "size": 6}
    figure = charts.chart([points], x="measure 1", y="measure 2", hovermode="closest")
    return Chart(figure, f"The archive: {len(measures):,} candidates, coloured by fitness.")


def _schedule(archive: Archive) -> Block:
    """Return each setting of a schedule over the windows of training."""
    named = {name: array for name, array in arrays(archive.omegas).items() if array.ndim == 1}
    windows = np.arange(1, len(archive.fitness) + 1, dtype=float)
    traces = [
        charts.line(windows, np.asarray(values, float), name, PALETTE[number % len(PALETTE)])
        for number, (name, values) in enumerate(named.items())
    ]
    log = style.log_scale_fits([np.asarray(values, float) for values in named.values()])
    figure = charts.chart(traces, x="window of training", y="setting", log=log)
    return Chart(figure, "The schedule that the best member was trained with.")
