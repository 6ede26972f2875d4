from evometa import plots
from evometa.expressions import PrimitiveSet, parse

PRIMITIVES = PrimitiveSet(("x",))
TREE = parse(PRIMITIVES, "add(square(x), if_then_else(less(x, 0.25), x, 2))", 31)


def test_leaves_are_in_order_and_nodes_above_the_middle_of_their_inputs() -> None:
    nodes = plots.tree_nodes(PRIMITIVES, TREE)
    assert [(n.label, n.x, n.depth) for n in nodes] == [
        ("add", 1.375, 0),
        ("square", 0.0, 1),
        ("x", 0.0, 2),
        ("if_then_else", 2.75, 1),
        ("less", 1.5, 2),
        ("x", 1.0, 3),
        ("0.25", 2.0, 3),
        ("x", 3.0, 2),
        ("2", 4.0, 2),
    ]
    assert [n.kind for n in nodes[:3]] == ["primitive", "primitive", "argument"]
    assert nodes[-1].kind == "constant"


def test_the_plot_has_a_label_for_each_node_and_a_line_for_each_input() -> None:
    (axes,) = plots.tree(PRIMITIVES, TREE).axes
    assert len(axes.texts) == 9
    assert len(axes.lines) == 8
    assert axes.lines[0].get_xydata().tolist() == [[1.375, 0], [0, -1]]  # type: ignore[union-attr]
