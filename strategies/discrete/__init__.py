"""Distributions over integers and categories.

================  ====================================
file              holds
================  ====================================
:mod:`pbil`       a table of probabilities
:mod:`reinforce`  a policy, trained by policy gradient
================  ====================================
"""
