"""Multi-objective optimization: Pareto fronts.

==================  ==============================
file                holds
==================  ==============================
:mod:`nsga2`        NSGA-II, with constraints
:mod:`hypervolume`  exact hypervolume
==================  ==============================

Dominance, fronts and crowding are in :mod:`evometa.pareto`.
"""
