"""Several objectives at once: a Pareto front.

==================  ==============================
file                holds
==================  ==============================
:mod:`nsga2`        NSGA-II, with constraints
:mod:`pareto`       dominance, fronts and crowding
:mod:`hypervolume`  exact hypervolume
==================  ==============================
"""
