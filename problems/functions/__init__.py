"""Functions to optimise or to find again, most with a known answer.

==========================  =========================================
file                        holds
==========================  =========================================
:mod:`test_functions`       sphere, ellipsoid, Rosenbrock, ...
:mod:`black_boxes`          their formulas, and others
:mod:`zdt`                  two objectives
:mod:`dtlz`                 any number of objectives
:mod:`linear_projection`    measures for an archive
:mod:`influence_balancing`  long inner training with a known gradient
:mod:`symbolic_regression`  a formula for given points
:mod:`formulas`             formulas it is tested on
:mod:`scaling`              the best line from a formula's values to a label
:mod:`csv_tables`           points from CSV files
==========================  =========================================
"""
