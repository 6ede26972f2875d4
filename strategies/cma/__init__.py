"""CMA-ES and its relatives: a covariance, adapted.

======================  ==============================================
file                    holds
======================  ==============================================
:mod:`cmaes`            full covariance
:mod:`restarted_cmaes`  IPOP and BIPOP restarts
:mod:`sep_cmaes`        diagonal covariance
:mod:`lmmaes`           a few remembered directions
:mod:`cmaes_margin`     mixed with integers and categories
:mod:`margin`           integers under a Gaussian, kept free to change
:mod:`choices`          chances of categories, by natural gradient
:mod:`rates`            weights and learning rates
:mod:`update`           the update that its relatives share
:mod:`diagonal`         diagonal decoding
:mod:`stagnation`       the stop at stagnation
======================  ==============================================
"""
