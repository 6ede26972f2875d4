"""Hyperparameters of a learner, constant or over time.

===============================  =====================================
file                             holds
===============================  =====================================
:mod:`digits_hyperparameters`    an MLP on digits, by gradient descent
:mod:`boosting_hyperparameters`  gradient boosting in scikit-learn
:mod:`decision_tree`             a decision tree
:mod:`binary_network`            a network of bits
:mod:`hyperparameter_schedule`   a learning rate over time
:mod:`noisy_quadratic`           the same, with a known answer
:mod:`schedules`                 learning rate schedules as ω
===============================  =====================================
"""
