import numpy as np
import pytest

from evometa import plots
from evometa.errors import ConfigurationError
from evometa.topology import Network, RecurrentNetwork


def network() -> Network:
    """Two inputs, room for three hidden nodes; the second of two is above the first."""
    hidden = np.zeros((3, 6), np.float32)
    hidden[0, [0, 2]] = 1.0, -2.0
    hidden[1, [1, 3]] = 0.5, 3.0
    return Network(hidden, np.array([[0, 0, 0, 0, -1.5, 0]], np.float32), np.int32(2))


def test_a_network_has_its_nodes_and_weights() -> None:
    graph = plots.topology_graph(network(), ["x", "y"], ["both"])
    assert [(node.label, node.kind) for node in graph.nodes] == [
        ("x", "input"),
        ("y", "input"),
        ("bias", "input"),
        ("", "hidden"),
        ("", "hidden"),
        ("both", "output"),
    ]
    assert [node.y for node in graph.nodes] == pytest.approx([0, 0, 0, 1 / 3, 2 / 3, 1])
    links = {(link.source, link.target): link.weight for link in graph.links}
    assert links == {(0, 3): 1.0, (2, 3): -2.0, (1, 4): 0.5, (3, 4): 3.0, (4, 5): -1.5}
    picture = plots.topology(network())
    assert len(picture.axes[0].patches) == 5


def test_links_back_are_bent_and_loops_are_drawn() -> None:
    plain = network()
    back = np.zeros((4, 4), np.float32)
    back[0, 1], back[3, 3] = 2.0, -1.0  # from the second hidden node to the first, and from the output to itself
    graph = plots.topology_graph(RecurrentNetwork(plain.hidden, plain.output, back[:3], back[3:], plain.nodes))
    links = {(link.source, link.target): (link.weight, link.bend) for link in graph.links[5:]}
    assert links == {(4, 3): (2.0, 0.35), (5, 5): (-1.0, 0.35)}
    plots.draw_graph(graph).canvas.draw()


def test_a_cell_has_its_edges_without_none() -> None:
    graph = plots.cell_graph(("none", "skip", "relu"), [2, 0, 1])
    assert [node.kind for node in graph.nodes] == ["input", "hidden", "output"]
    assert [(link.source, link.target, link.label) for link in graph.links] == [(0, 1, "relu"), (1, 2, "skip")]
    assert {text.get_text() for text in plots.cell(("none", "skip", "relu"), [2, 0, 1]).axes[0].texts} == {
        "relu",
        "skip",
        "0",
        "1",
        "2",
    }


def test_a_wrong_number_of_edges_or_names_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="one for each pair of nodes, got 4"):
        plots.cell_graph(("relu",), [0, 0, 0, 0])
    with pytest.raises(ConfigurationError, match="a name for each of 2 inputs, got 1"):
        plots.topology_graph(network(), ["x"])
