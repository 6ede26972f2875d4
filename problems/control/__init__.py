"""Control: learners that act, and are told what they earned.

================================  ===========================================
file                              holds
================================  ===========================================
:mod:`double_pole`                two poles on a cart, by a topology
:mod:`double_pole_no_velocities`  the same by a recurrent topology
:mod:`bandit`                     a recurrent learner for bandits
:mod:`recurrent`                  a gated recurrent unit
================================  ===========================================
"""
