"""Strategies: who searches. One strategy a file, all behind the contract of :mod:`evometa.strategy`.

========================  ===========================================================================================
:class:`CMAES`            full covariance: the first choice up to a few hundred real numbers
:class:`OpenAIES`         isotropic noise and a gradient optimizer: network weights, noisy fitness
:class:`PGPE`             a standard deviation per coordinate and normalised steps: network weights
:class:`SNES`             natural gradient with a standard deviation per coordinate: many separable real numbers
:class:`RandomSearch`     independent draws from any space: the baseline to beat
========================  ===========================================================================================

Modules with a leading underscore hold what several strategies share: tie-averaged ranks, noise, and the seam to evosax.
"""

from evometa.strategies.cmaes import CMAES
from evometa.strategies.openai_es import OpenAIES
from evometa.strategies.pgpe import PGPE
from evometa.strategies.random_search import RandomSearch
from evometa.strategies.snes import SNES

__all__ = ["CMAES", "PGPE", "SNES", "OpenAIES", "RandomSearch"]
