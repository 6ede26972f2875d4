"""CMA-ES and its variants: evolution strategies that adapt a covariance matrix.

======================  ==============================================
file                    holds
======================  ==============================================
:mod:`cmaes`            full covariance
:mod:`restarted_cmaes`  IPOP and BIPOP restarts
:mod:`sep_cmaes`        diagonal covariance
:mod:`lmmaes`           low-rank covariance, limited memory
:mod:`cmaes_margin`     mixed with integers and categories
:mod:`margin`           integers, with a margin so that they can change
:mod:`choices`          probabilities of categories, by natural gradient
:mod:`rates`            weights and learning rates
:mod:`update`           the update that all variants share
:mod:`diagonal`         diagonal decoding
:mod:`stagnation`       the stop at stagnation
======================  ==============================================
"""
