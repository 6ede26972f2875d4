"""Continual learning: tasks come one after the other, and what was learned first must not be forgotten.

=============================  =======================================================
file                           holds
=============================  =======================================================
:mod:`incremental_sinusoids`   a representation for regression that does not forget
:mod:`incremental_omniglot`    the same for classification of characters
:mod:`forgetting`              what is still known along a stream
=============================  =======================================================
"""
