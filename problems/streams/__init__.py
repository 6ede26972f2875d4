"""Streams: what a learner has learned becomes wrong, and it must adapt without end.

===========================  ===============================================================
file                        holds
==========================  ==================================================
:mod:`switching_bandit`     bandits whose arms change by surprise
:mod:`drifting_regression`  regression whose target drifts now and then
==========================  ==================================================
"""
