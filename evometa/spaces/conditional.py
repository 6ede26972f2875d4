"""Parts of a :class:`~evometa.Dict` that are constant, or that mean something only beside certain choices."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError
from evometa.settings import Checked, Finite
from evometa.spaces.base import REAL, Coordinates, VectorSpace
from evometa.types import Key, Omega


class Fixed(VectorSpace):
    """A constant that is part of ω and not searched; its genotype has no coordinates.

    Args:
        value: a number, an array or a pytree of them.

    Raises:
        ConfigurationError: a value that is none of these.
    """

    def __init__(self, value: Any) -> None:
        try:
            self.value = jax.tree.map(np.asarray, value)
            wrong = any(leaf.dtype.kind not in "biuf" for leaf in jax.tree.leaves(self.value))
        except ValueError:
            wrong = True
        if wrong:
            raise ConfigurationError(
                f"Fixed expects a number, an array or a pytree of them, got {value!r}; other constants are fields of "
                "the problem."
            )
        self.coordinates = Coordinates.of(0, -np.inf, np.inf, REAL)
        self._start = np.zeros(0)

    def sample(self, key: Key) -> jax.Array:
        """Return the genotype, which is empty."""
        return self.start(key)

    def encode(self, omega: Omega) -> NDArray[np.float64]:
        """Return the genotype, which is empty.

        Raises:
            ConfigurationError: ω is not the value, up to the rounding of single precision.
        """
        same = str(jax.tree.structure(omega)) == str(jax.tree.structure(self.value)) and all(
            np.shape(given) == leaf.shape
            and np.asarray(given).dtype.kind in "biuf"
            and np.allclose(given, leaf, rtol=1e-6, atol=0.0, equal_nan=True)
            for given, leaf in zip(jax.tree.leaves(omega), jax.tree.leaves(self.value), strict=True)
        )
        if not same:
            own = jax.tree.map(np.ndarray.tolist, self.value)
            raise ConfigurationError(
                f"Fixed expects its own value in a start, {own}, got {omega!r}; leave it out, or change the space."
            )
        return np.zeros(0)

    def decode(self, genotype: jax.Array) -> Omega:
        """Return the value."""
        return jax.tree.map(jnp.asarray, self.value)


@dataclasses.dataclass(frozen=True, eq=False)
class When(metaclass=Checked):
    """A part of a :class:`~evometa.Dict` that is active only beside certain values of another part, named before it.

    ``Dict({"optimizer": Categorical(["adam", "sgd"]), "momentum": When("optimizer", "sgd", Box((), 0.0, 0.99))})``

    A plain-Python problem gets only the parts that are active. A JAX problem, whose ω has one structure, gets
    ``otherwise`` in place of what is not active; :meth:`~evometa.Dict.active` says which parts are.

    Args:
        name: the name of the other part, a ``Categorical`` or ``Integer`` without a shape, itself conditional or not.
        values: for which of its choices or integers this part is active: one, or several in a list, tuple, set or
            range.
        space: the space of this part.
        otherwise: the number that a JAX problem gets for it where it is not active.
    """

    name: str
    values: Any
    space: VectorSpace
    otherwise: Finite = 0.0
