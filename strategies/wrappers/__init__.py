"""Strategies around another strategy, which is a field of theirs: for restarts, noise and constraints.

===========================  =====================================
file                         holds
===========================  =====================================
:mod:`wrapper`               what wrappers leave as it is
:mod:`restarts`              begun anew when it stops or stagnates
:mod:`averaged`              its center, averaged over generations
:mod:`reevaluated`           each candidate several times
:mod:`uh_cmaes`              CMA-ES that measures and treats noise
:mod:`augmented_lagrangian`  inequality constraints
===========================  =====================================
"""
