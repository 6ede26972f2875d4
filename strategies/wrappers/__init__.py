"""Strategies around another strategy, which is a field of theirs: for restarts, noise and constraints.

===========================  =====================================
file                         holds
===========================  =====================================
:mod:`wrapper`               what wrappers forward unchanged
:mod:`restarts`              restarted when it stops or stagnates
:mod:`averaged`              its center, averaged over generations
:mod:`reevaluated`           each candidate several times
:mod:`uh_cmaes`              CMA-ES that adapts to the noise
:mod:`augmented_lagrangian`  inequality constraints
===========================  =====================================
"""
