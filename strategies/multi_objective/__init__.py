"""Multi-objective optimization: Pareto fronts.

==================  ==============================
file                holds
==================  ==============================
:mod:`nsga2`        NSGA-II, with constraints
:mod:`pareto`       dominance, fronts and crowding
:mod:`hypervolume`  exact hypervolume
==================  ==============================
"""
