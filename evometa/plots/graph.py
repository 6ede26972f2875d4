"""Plots of graphs: grown networks and cells of operations."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from numpy.typing import ArrayLike

from evometa.errors import ConfigurationError
from evometa.plots import style
from evometa.topology import Network, RecurrentNetwork


@dataclasses.dataclass(frozen=True)
class GraphNode:
    """A node of a graph, with its position in the plot."""

    label: str
    kind: str
    """``"input"``, ``"hidden"`` or ``"output"``."""
    x: float
    y: float


@dataclasses.dataclass(frozen=True)
class GraphLink:
    """An arrow from one node to another, given by their indices."""

    source: int
    target: int
    label: str = ""
    weight: float = 0.0
    """The sign gives the arrow's colour and the size its width; 0 is a thin grey arrow."""
    bend: float = 0.0
    """Curvature of the arrow; 0 is straight."""


@dataclasses.dataclass(frozen=True)
class Graph:
    """The nodes and links of a plot."""

    nodes: tuple[GraphNode, ...]
    links: tuple[GraphLink, ...]


def topology_graph(
    network: Network | RecurrentNetwork, inputs: Sequence[str] = (), outputs: Sequence[str] = ()
) -> Graph:
    """Compute the graph of :func:`topology`: inputs at the bottom, outputs on top, hidden nodes above their inputs.

    Links that carry the value of the step before are bent.

    Args:
        network: ω of a search over :class:`~evometa.topology.Topology`, such as ``result.best_omega``.
        inputs: names of the inputs; by default their numbers.
        outputs: names of the outputs, likewise.

    Raises:
        ConfigurationError: the number of names is not that of the inputs or outputs.
    """
    count = int(network.nodes)
    first = network.hidden.shape[1] - len(network.hidden)
    weights = np.concatenate([np.asarray(network.hidden)[:count], np.asarray(network.output)])[:, : first + count]
    depth = np.zeros(first + count)
    for number in range(count):
        depth[first + number] = 1 + np.max(depth * (weights[number] != 0))
    below = [*_names(inputs, first - 1, "inputs"), "bias"]
    above = _names(outputs, len(network.output), "outputs")
    middle, top = (first - 1) / 2, depth.max() + 1
    nodes = [GraphNode(name, "input", float(x), 0.0) for x, name in enumerate(below)]
    for number in range(count):
        level = np.flatnonzero(depth[first:] == depth[first + number])
        # Evenly spaced, but shifted between levels, so that few arrows coincide.
        shift = (0.0, 0.31, -0.19)[int(depth[first + number]) % 3]
        place = (np.flatnonzero(level == number)[0] + 1 + shift) / (len(level) + 1) - 0.5
        nodes.append(GraphNode("", "hidden", middle + first * place, float(depth[first + number] / top)))
    nodes += [GraphNode(name, "output", middle + x - (len(above) - 1) / 2, 1.0) for x, name in enumerate(above)]
    links = [
        GraphLink(int(source), first + int(target), weight=float(weights[target, source]))
        for target, source in zip(*np.nonzero(weights), strict=True)
    ]
    if isinstance(network, RecurrentNetwork):
        back = np.concatenate([np.asarray(network.hidden_back)[:count], np.asarray(network.output_back)])
        back = np.delete(back, np.s_[count : len(network.hidden)], axis=1)  # hidden nodes that there are not
        links += [
            GraphLink(first + int(source), first + int(target), weight=float(back[target, source]), bend=0.35)
            for target, source in zip(*np.nonzero(back), strict=True)
        ]
    return Graph(tuple(nodes), tuple(links))


def _names(given: Sequence[str], count: int, what: str) -> list[str]:
    if given and len(given) != count:
        raise ConfigurationError(f"topology expects a name for each of {count} {what}, got {len(given)}.")
    return list(given) or [str(number) for number in range(count)]


def topology(network: Network | RecurrentNetwork, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> Figure:
    """Plot a grown network; arrows are blue for positive and orange for negative weights, and wider for larger ones.

    Arguments and errors as in :func:`topology_graph`.

    Returns:
        A figure; ``figure.savefig("network.png")`` writes it.
    """
    return draw_graph(topology_graph(network, inputs, outputs))


def cell_graph(operations: Sequence[str], omega: ArrayLike) -> Graph:
    """Compute the graph of :func:`cell`.

    Args:
        operations: the names of the operations.
        omega: ``[E]``, the operation of each edge by its index, in the order 0→1, 0→2, 1→2, 0→3 and so on.

    Raises:
        ConfigurationError: no cell has this number of edges.
    """
    chosen = [operations[int(index)] for index in np.asarray(omega)]
    count = round((1 + (1 + 8 * len(chosen)) ** 0.5) / 2)
    if count * (count - 1) // 2 != len(chosen) or not chosen:
        raise ConfigurationError(f"cell expects 1, 3, 6, 10 ... edges, one for each pair of nodes, got {len(chosen)}.")
    kinds = ["input", *["hidden"] * (count - 2), "output"]
    nodes = tuple(GraphNode(str(number), kind, 2.0 * number, 0.5) for number, kind in enumerate(kinds))
    pairs = [(source, end) for end in range(1, count) for source in range(end)]
    links = tuple(
        GraphLink(source, end, name, bend=0.0 if end == source + 1 else 0.35 * (-1) ** (end + source))
        for (source, end), name in zip(pairs, chosen, strict=True)
        if name != "none"
    )
    return Graph(nodes, links)


def cell(operations: Sequence[str], omega: ArrayLike) -> Figure:
    """Plot a cell of operations, without the edges "none". Arguments and errors as in :func:`cell_graph`.

    Returns:
        A figure; ``figure.savefig("cell.png")`` writes it.
    """
    return draw_graph(cell_graph(operations, omega))


def draw_graph(graph: Graph) -> Figure:
    """Plot a graph."""
    # Both axes have the same unit, so that labels can be placed on arrows; y from 0 to 1 is three units.
    places = np.array([(node.x, 3.0 * node.y) for node in graph.nodes])
    width = float(np.ptp(places[:, 0])) + 1.4
    picture = style.figure(width=max(4.0, 0.95 * width), height=3.9)
    axes = picture.subplots()
    axes.set_axis_off()
    middle = places[:, 1].mean() if np.ptp(places[:, 1]) == 0 else 1.5
    for link in graph.links:
        colour = style.GREY if not link.weight else style.BLUE if link.weight > 0 else style.ORANGE
        # A link from a node to itself is a loop above it.
        itself = np.array([0.16 * (link.source == link.target), 0.0])
        arrow = FancyArrowPatch(
            places[link.source] - itself,
            places[link.target] + itself,
            connectionstyle=f"arc3,rad={-2.2 if itself.any() else link.bend}",
            arrowstyle="-|>",
            mutation_scale=11,
            shrinkA=6 if itself.any() else 13,
            shrinkB=6 if itself.any() else 13,
            linewidth=1.2 if not link.weight else 0.5 + min(abs(link.weight), 4.0),
            color=colour,
        )
        axes.add_patch(arrow)
        if link.label:
            start, end = places[link.source], places[link.target]
            # The middle of the curve: its control point is off the line by the bend times its length.
            x, y = (start + end) / 2 + np.array([end[1] - start[1], start[0] - end[0]]) * link.bend / 2
            box = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"}
            axes.text(x, y, link.label, ha="center", va="center", fontsize="small", bbox=box)
    colours = dict(zip(("input", "hidden", "output"), (style.GREY, style.GREEN, style.PURPLE), strict=True))
    for node, (x, y) in zip(graph.nodes, places, strict=True):
        box = {"boxstyle": "circle" if len(node.label) < 3 else "round", "facecolor": "white"}
        box["edgecolor"] = colours[node.kind]
        axes.text(x, y, node.label or "   ", ha="center", va="center", fontsize="small", bbox=box)
    axes.set_aspect("equal")
    axes.set_xlim(places[:, 0].min() - 0.7, places[:, 0].max() + 0.7)
    loops = 0.4 * any(link.source == link.target for link in graph.links)
    axes.set_ylim(min(places[:, 1].min(), middle - 1.3) - 0.3, max(places[:, 1].max(), middle + 1.3) + 0.3 + loops)
    return picture
