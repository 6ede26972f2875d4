"""Structures: expressions with their constants, and topologies of networks.

==========================  =========================================
file                        holds
==========================  =========================================
:mod:`genetic_programming`  expressions
:mod:`lexicase`             selection by cases
:mod:`constants`            CMA-ES for the constants of a tree
:mod:`constant_gradient`    gradient steps for the constants of trees
:mod:`neat`                 networks that grow
:mod:`speciation`           species, and how many children each has
==========================  =========================================
"""
