"""Spaces: what ω may be, and how a strategy sees it.

The first room of the diagram: problems name a space, strategies search its genotypes. Expressions and topologies are
spaces too, with folders of their own.

================  ====================================================================
file              holds
================  ====================================================================
:mod:`base`       the contract of a space; what spaces of vectors have in common
:mod:`vectors`    ``Box``, ``Like``, ``Integer``, ``Categorical`` and ``Dict`` of them
:mod:`exactness`  which numbers the float type of genotypes can hold
================  ====================================================================
"""

from evometa.spaces.base import Space, VectorSpace
from evometa.spaces.vectors import Box, Categorical, Dict, Integer, Like

__all__ = ["Box", "Categorical", "Dict", "Integer", "Like", "Space", "VectorSpace"]
