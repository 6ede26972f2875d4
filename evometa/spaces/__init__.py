"""Spaces: what ω may be, and how a strategy sees it.

The first room of the diagram: problems name a space, strategies search its genotypes. Expressions and topologies are
spaces too, with folders of their own.

file              holds
================  ====================================================================
:mod:`base`       the contract of a space; what spaces of vectors have in common
:mod:`vectors`    ``Box``, ``Like``, ``Integer``, ``Categorical`` and ``Dict`` of them
:mod:`exactness`  which numbers the float type of genotypes can hold
================  ====================================================================
=======
==================  ====================================================================
file                holds
==================  ====================================================================
:mod:`base`         the contract of a space; what spaces of vectors have in common
:mod:`vectors`      ``Box``: real numbers
:mod:`like`         ``Like``: a network's weights, or another pytree of real numbers
:mod:`discrete`     ``Integer`` and ``Categorical``
:mod:`exactness`    which numbers the float type of genotypes can hold
:mod:`orders`       ``Permutation`` and ``Subset``
:mod:`named`        ``Dict`` of spaces
:mod:`conditional`  ``When`` and ``Fixed``, parts of a ``Dict``
:mod:`arrays`       shapes of ω, and numbers that broadcast to them
==================  ====================================================================
"""

from evometa.spaces.base import Space, VectorSpace
from evometa.spaces.conditional import Fixed, When
from evometa.spaces.discrete import Categorical, Integer
from evometa.spaces.like import Like
from evometa.spaces.named import Dict
from evometa.spaces.orders import Permutation, Subset
from evometa.spaces.vectors import Box

__all__ = [
    "Box",
    "Categorical",
    "Dict",
    "Fixed",
    "Integer",
    "Like",
    "Permutation",
    "Space",
    "Subset",
    "VectorSpace",
    "When",
]
