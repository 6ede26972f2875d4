"""What problems of several branches share: data sets, networks and their training.

======================  ==========================================
file                    holds
======================  ==========================================
:mod:`networks`         the network, the losses and the learner
:mod:`feature_map`      a convolutional network
:mod:`digits`           scikit-learn's digits, split
:mod:`digits_training`  an MLP trained on digits
:mod:`classification`   small data sets, split
:mod:`label_noise`      wrong labels
:mod:`learned_steps`    initial weights with step sizes, and a step by these
:mod:`recording`        the learner after every inner step, for pictures
:mod:`scalars`          spaces of single numbers
:mod:`shortening`       a problem with less training
:mod:`tuned_training`   training at several learning rates at once
======================  ==========================================
"""
