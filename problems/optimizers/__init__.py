"""Learned optimizers: as networks, as formulas, and of black boxes.

=================================  ==================================
file                               holds
=================================  ==================================
:mod:`learned_optimizer`           an optimizer as a network
:mod:`base_tasks`                  what it learns to train
:mod:`learned_update_rule`         an optimizer as a formula
:mod:`learned_evolution_strategy`  an evolution strategy as a network
=================================  ==================================
"""
