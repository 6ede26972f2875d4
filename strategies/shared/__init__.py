"""What strategies of several families share.

==========================  =========================================
file                        holds
==========================  =========================================
:mod:`optimizer`            ``Optimizer``: SGD, Adam, ClipUp, optax
:mod:`in_slices`            optimizers of vectors that devices share
:mod:`gradient_steps`       steps by a gradient optimizer
:mod:`evosax_distribution`  distributions that evosax adapts
:mod:`ranks`                ranks with ties, failed candidates last
:mod:`failures`             generations in which all candidates failed
:mod:`noise`                Gaussian noise
:mod:`antithetic`           antithetic pairs
:mod:`checks`               checks of hyperparameters and spaces
:mod:`populations`          populations as pytrees
:mod:`variation`            how two parents make a child
:mod:`categorical`          a distribution over categories
:mod:`warm_start`           a distribution from points that are known to be good
:mod:`vectors`              how many objectives or measures there are
==========================  =========================================
"""
