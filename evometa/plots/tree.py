"""Plot of expressions as trees."""

import dataclasses

from matplotlib.figure import Figure

from evometa.expressions.notation import fold, number_in
from evometa.expressions.primitives import Primitive, PrimitiveSet
from evometa.expressions.tree import Tree
from evometa.plots import style


@dataclasses.dataclass(frozen=True)
class TreeNode:
    """A node of an expression tree, with its position in the plot."""

    label: str
    kind: str
    """``"primitive"``, ``"argument"`` or ``"constant"``."""
    x: float
    """Leaves are at 0, 1, 2, ... from left to right, other nodes above the middle of their inputs."""
    depth: int
    """0 for the root."""
    inputs: tuple["TreeNode", ...] = ()


def tree_nodes(primitives: PrimitiveSet, tree: Tree) -> tuple[TreeNode, ...]:
    """Compute the nodes of :func:`tree`, in prefix order.

    Args:
        primitives: the primitive set of the tree.
        tree: one tree.

    Raises:
        ConfigurationError: the tree is not valid for the primitive set.
    """

    def call(primitive: Primitive, parts: list[TreeNode]) -> TreeNode:
        return TreeNode(primitive.name, "primitive", 0.0, 0, tuple(parts))

    write = number_in(tree, digits=3)
    root = fold(
        primitives,
        tree,
        lambda name: TreeNode(name, "argument", 0.0, 0),
        lambda value: TreeNode(write(value), "constant", 0.0, 0),
        call,
    )
    return _prefix(_placed(root, 0, 0)[0])


def _placed(node: TreeNode, depth: int, leaves: int) -> tuple[TreeNode, int]:
    """Return a node with the positions of its subtree, and the number of leaves up to the end of the subtree."""
    if not node.inputs:
        return dataclasses.replace(node, x=float(leaves), depth=depth), leaves + 1
    placed = []
    for part in node.inputs:
        positioned, leaves = _placed(part, depth + 1, leaves)
        placed.append(positioned)
    middle = (placed[0].x + placed[-1].x) / 2
    return dataclasses.replace(node, x=middle, depth=depth, inputs=tuple(placed)), leaves


def _prefix(node: TreeNode) -> tuple[TreeNode, ...]:
    return (node, *(below for part in node.inputs for below in _prefix(part)))


def tree(primitives: PrimitiveSet, tree: Tree) -> Figure:
    """Plot an expression as a tree, with the root on top.

    Args:
        primitives: the primitive set of the tree.
        tree: one tree, such as ``result.selected_omega.tree`` of a search over expressions.

    Returns:
        A figure; ``figure.savefig("tree.png")`` writes it.

    Raises:
        ConfigurationError: the tree is not valid for the primitive set.
    """
    return draw_tree(tree_nodes(primitives, tree))


def draw_tree(nodes: tuple[TreeNode, ...]) -> Figure:
    """Plot the nodes of :func:`tree_nodes`."""
    width, depth = max(node.x for node in nodes), max(node.depth for node in nodes)
    picture = style.figure(width=max(3.0, 0.9 * (width + 1)), height=max(2.0, 0.75 * (depth + 1)))
    axes = picture.subplots()
    axes.set_axis_off()
    colours = dict(zip(("primitive", "argument", "constant"), style.PALETTE, strict=False))
    for node in nodes:
        for part in node.inputs:
            axes.plot([node.x, part.x], [-node.depth, -part.depth], color=style.GREY, linewidth=1.0, zorder=1)
    for node in nodes:
        axes.text(
            node.x,
            -node.depth,
            node.label,
            ha="center",
            va="center",
            fontsize="small",
            bbox={"boxstyle": "round", "facecolor": "white", "edgecolor": colours[node.kind]},
        )
    axes.set_xlim(-0.7, width + 0.7)
    axes.set_ylim(-depth - 0.5, 0.5)
    return picture
