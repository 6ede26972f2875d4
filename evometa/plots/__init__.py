"""Plots of runs and of what they found. For most plots, the numbers can be computed without drawing.

=====================  ===============================  ==============================================
plot                   its numbers                      shows
=====================  ===============================  ==============================================
:func:`fitness`        :func:`fitness_curves`           one run: best, quartiles, held-out
:func:`compare`        :func:`comparison`               several runs, with confidence bands over seeds
:func:`diagnostics`    :func:`strategy_diagnostics`     numbers of the strategy, such as its step size
:func:`pareto`         :func:`pareto_fronts`            several objectives: Pareto fronts
:func:`archive`        :func:`archive_map`              measures: the fitness over an archive
:func:`adaptation`     ``problems.adaptation_curves``   a learner before and after a few inner steps
:func:`over_steps`     values by name                   schedules or losses over inner steps
:func:`episode`        images and predictions           few-shot classification of images
:func:`filmstrip`      what draws a frame               frames of an episode or a clip side by side
:func:`animation`      what draws a frame               the same, moving
:func:`losses`         :func:`loss_curves`              a learned loss beside the usual one
:func:`tree`           :func:`tree_nodes`               an expression as a tree
:func:`topology`       :func:`topology_graph`           a grown network
:func:`cell`           :func:`cell_graph`               a cell of operations
=====================  ===============================  ==============================================

Every plotting function returns a new matplotlib ``Figure`` (:func:`animation` a ``FuncAnimation``) and uses no global
state and no display.
"""

from evometa.plots.adapting import Adaptation, adaptation
from evometa.plots.archive import ArchiveMap, archive, archive_map, draw_archive
from evometa.plots.comparing import Comparison, Group, compare, comparison, draw_comparison
from evometa.plots.curves import FitnessCurves, draw_fitness, fitness, fitness_curves
from evometa.plots.diagnostics import Diagnostics, diagnostics, draw_diagnostics, strategy_diagnostics
from evometa.plots.episodes import episode
from evometa.plots.graph import Graph, GraphLink, GraphNode, cell, cell_graph, draw_graph, topology, topology_graph
from evometa.plots.losses import LossCurves, draw_losses, loss_curves, losses
from evometa.plots.moving import animation, filmstrip
from evometa.plots.over_steps import over_steps
from evometa.plots.pareto import ParetoFront, ParetoFronts, draw_pareto, pareto, pareto_fronts
from evometa.plots.tree import TreeNode, draw_tree, tree, tree_nodes

__all__ = [
    "Adaptation",
    "ArchiveMap",
    "Comparison",
    "Diagnostics",
    "FitnessCurves",
    "Graph",
    "GraphLink",
    "GraphNode",
    "Group",
    "LossCurves",
    "ParetoFront",
    "ParetoFronts",
    "TreeNode",
    "adaptation",
    "animation",
    "archive",
    "archive_map",
    "cell",
    "cell_graph",
    "compare",
    "comparison",
    "diagnostics",
    "draw_archive",
    "draw_comparison",
    "draw_diagnostics",
    "draw_fitness",
    "draw_graph",
    "draw_losses",
    "draw_pareto",
    "draw_tree",
    "episode",
    "filmstrip",
    "fitness",
    "fitness_curves",
    "loss_curves",
    "losses",
    "over_steps",
    "pareto",
    "pareto_fronts",
    "strategy_diagnostics",
    "topology",
    "topology_graph",
    "tree",
    "tree_nodes",
]
