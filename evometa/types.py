"""The words of the package, as types.

Shape letters, used in every docstring and comment:

====== =====================================================================
``P``  population size: candidates judged in one generation
``D``  genotype size: numbers in one candidate of a vector space
``T``  tasks a candidate is judged on in one generation
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
"""What a strategy sees of one candidate: ``[D]`` floats for every vector space."""

Omega = Any
"""What a problem sees of one candidate: the decoded genotype, any pytree."""

Task = Any
"""One task of the inner loop: any pytree of arrays."""

Learner = Any
"""The state of one learner in the inner loop (its parameters θ and what else it carries): any pytree of arrays."""

Scalar = jax.Array
"""An array of shape ``[]``."""
