"""Simulators: what a policy is trained in, learned so that the policy works on the real system.

===========================  ===============================================================
file                         holds
===========================  ===============================================================
:mod:`driven_swing_up`       a cart-pole with delay, dry friction and backlash
:mod:`simulator_parameters`  the parameters of a simulator, learned from rollouts of the real one
===========================  ===============================================================
"""
