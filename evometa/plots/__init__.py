"""Pictures of runs: numbers first, then drawing.

=====================  ===============================  =====================================
picture                its numbers                      shows
=====================  ===============================  =====================================
:func:`fitness`        :func:`fitness_curves`           one run: best, quartiles, held-out
:func:`compare`        :func:`comparison`               several runs, confidence over seeds
:func:`adaptation`     ``problems.adaptation_curves``   a learner before and after a few steps
=====================  ===============================  =====================================

Every drawing function returns a matplotlib ``Figure`` of its own: nothing is global, nothing needs a display.
"""

from evometa.plots.adapting import Adaptation, adaptation
from evometa.plots.comparing import Comparison, Group, compare, comparison, draw_comparison
from evometa.plots.curves import FitnessCurves, draw_fitness, fitness, fitness_curves

__all__ = [
    "Adaptation",
    "Comparison",
    "FitnessCurves",
    "Group",
    "adaptation",
    "compare",
    "comparison",
    "draw_comparison",
    "draw_fitness",
    "fitness",
    "fitness_curves",
]
