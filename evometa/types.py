"""Type aliases, and the shape letters of all docstrings.

Shape letters, used in every docstring and comment:

====== =====================================================================
``P``  population size: candidates evaluated in one generation
``D``  genotype size: dimension of a vector space
``T``  tasks that a candidate is evaluated on in one generation
``S``  inner steps: updates of one learner on one task
``B``  batch: examples in one inner step
``G``  generations
====== =====================================================================
"""

from typing import Any

import jax

Key = jax.Array
"""A typed JAX random key, as made by :func:`jax.random.key`."""

Genotype = Any
"""A candidate as strategies see it: ``[D]`` floats in a vector space."""

Omega = Any
"""A candidate as problems see it: the decoded genotype, any pytree."""

Task = Any
"""One task of the inner loop: any pytree of arrays."""

Learner = Any
"""The state of one learner in the inner loop, its parameters θ and anything else: any pytree of arrays."""

Scalar = jax.Array
"""An array of shape ``[]``."""
