"""Learned losses: as formulas, polynomials and networks.

===========================  ============================
file                         holds
===========================  ============================
:mod:`learned_loss`          a loss as a formula
:mod:`learned_loss_taylor`   a loss as a polynomial
:mod:`learned_loss_network`  a loss as a network
:mod:`loss_training`         training with a learned loss
===========================  ============================
"""
