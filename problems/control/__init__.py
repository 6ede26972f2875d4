"""Control: learners that act, and are told what they earned.

==================  ==================================
file                holds
==================  ==================================
:mod:`double_pole`  two poles on a cart, by a topology
:mod:`bandit`       a recurrent learner for bandits
:mod:`recurrent`    a gated recurrent unit
==================  ==================================
"""
