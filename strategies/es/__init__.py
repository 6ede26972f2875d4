"""Evolution strategies that estimate a gradient or a natural gradient from a population.

================  =====================================================
file              holds
================  =====================================================
:mod:`openai_es`  isotropic noise, a gradient optimizer
:mod:`pgpe`       a standard deviation per coordinate, normalised steps
:mod:`snes`       separable natural evolution strategy
:mod:`xnes`       natural evolution strategy with full covariance
:mod:`crfmnes`    fast natural evolution strategy, many dimensions
:mod:`learned_es` recombination and rates by learned networks
:mod:`windowed`   PES, NRES, TruncatedES, FullES
================  =====================================================
"""
