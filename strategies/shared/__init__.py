"""What strategies of several families share.

=====================  =========================================
file                   holds
=====================  =========================================
:mod:`evosax_seam`     the seam to evosax
:mod:`optimizer`       ``Optimizer``: SGD, Adam, ClipUp, optax
:mod:`ranks`           ranks with ties, failed candidates last
:mod:`gradient_steps`  steps by a gradient optimizer
:mod:`noise`           Gaussian noise
:mod:`antithetic`      antithetic pairs
:mod:`checks`          checks of hyperparameters and spaces
:mod:`populations`     populations as pytrees
:mod:`variation`       how two parents make a child
:mod:`categorical`     a distribution over choices
:mod:`vectors`         how many objectives or measures there are
=====================  =========================================
"""
