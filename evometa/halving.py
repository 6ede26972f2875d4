"""Successive halving: less training for candidates that look bad early.

All candidates are trained for a few inner steps, the best of them for more, the best of these for more again, up to the
whole training (Jamieson & Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter optimization").
A candidate that was stopped is ranked behind all that were trained further, so any strategy can learn from it.
"""

import dataclasses
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from jax import lax

from evometa.errors import ConfigurationError
from evometa.feasibility import integer_of
from evometa.settings import Checked, Range, Several


@dataclasses.dataclass(frozen=True)
class Halving(metaclass=Checked):
    """Successive halving of each generation over the inner steps of an :class:`~evometa.InnerTraining`.

    With S inner steps and P candidates, rungs=3 and reduction=3: all are trained for S/9 steps, the better third for
    S/3, the best ninth for all S. Together that takes 26 % of the inner steps of the whole training of all.

    Args:
        rungs: how often candidates are compared, the end of the whole training included; from 2 to 31.
        reduction: how many times fewer candidates, with as many times more inner steps, the next rung has; at least 2.
    """

    rungs: Annotated[Several, Range(most=31)] = 3
    reduction: Several = 3

    def steps(self, inner_steps: int) -> tuple[int, ...]:
        """Return after how many of S inner steps each rung is, ascending; the last is S.

        Raises:
            ConfigurationError: there are too few inner steps.
        """
        least = self.reduction ** (self.rungs - 1)
        if inner_steps < least:
            number = least if least < 10**9 else f"{self.reduction}^{self.rungs - 1}"
            raise ConfigurationError(
                f"Halving expects inner_steps of at least {number}, so that each of its "
                f"{self.rungs} rungs has {self.reduction} times the steps of the one before, got {inner_steps}; train "
                "for longer, or give fewer rungs or a smaller reduction."
            )
        return tuple(round(inner_steps / self.reduction**further) for further in reversed(range(self.rungs)))

    def counts(self, population: int) -> tuple[int, ...]:
        """Return how many of P candidates are trained up to each rung; all up to the first, at least 1 to the last."""
        return tuple(-(-population // self.reduction**rung) for rung in range(self.rungs))

    @classmethod
    def from_word(cls, word: str) -> "Halving":
        """Return what ``--halving`` means: ``3``, the reduction, or ``3:4`` with the number of rungs besides."""
        numbers = word.split(":")
        if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
            raise ConfigurationError(
                f"--halving expects the reduction, such as 3, or reduction and rungs, such as 3:4, got {word}."
            )
        reduction, *rungs = map(int, numbers)
        return cls(reduction=reduction, rungs=rungs[0]) if rungs else cls(reduction=reduction)

    def as_word(self) -> str:
        """Return the word that means this."""
        return f"{self.reduction}:{self.rungs}"


def behind(loss: jax.Array, stopped_at: jax.Array) -> jax.Array:
    """Return a loss ``[P]`` in which each candidate that was stopped is worse than all that were trained further.

    Those that were stopped at one rung follow right behind the worst that went further, at the distances that their
    losses had there. So the numbers stay in the range of a generation's losses, and their order is by rung, then by the
    loss at the rung. Where none that was trained to the end is sound, the best of the others keeps its loss.

    Args:
        loss: ``[P]``, to be minimised, as it was when each candidate ended; +inf for failed ones, which stay last.
        stopped_at: ``[P]``, the inner step after which each was stopped; 0 for those that were not.
    """
    dtype = jnp.promote_types(loss.dtype, jnp.result_type(float))
    loss = loss.astype(dtype)
    sound = jnp.isfinite(loss)
    most = jnp.iinfo(jnp.int32).max
    # Sorted: those that were trained to the end, then by rung from the last on, then those that failed.
    rung = jnp.where(sound, jnp.where(stopped_at == 0, -most, -stopped_at), 1)
    rung, value, member = lax.sort((rung, loss, lax.iota(jnp.int32, len(loss))), num_keys=2)
    stopped = (rung > -most) & (rung < 0)
    opens = jnp.concatenate([jnp.ones(1, bool), rung[1:] != rung[:-1]])
    gap = jnp.where(stopped & ~opens, value - jnp.roll(value, 1), 0.0)
    whole = jnp.any(sound & (stopped_at == 0))
    base = jnp.where(whole, jnp.max(jnp.where(rung == -most, value, -jnp.inf)), value[0])
    base = jnp.where(jnp.isfinite(base), base, 0.0)
    largest = jnp.asarray(jnp.finfo(dtype).max, dtype)
    far = jnp.minimum(base + jnp.cumsum(gap), largest)
    # Rounding may make small distances vanish; counted in floats, each step of the order is at least one.
    place = jnp.cumsum(stopped & (opens | (gap > 0)))
    first = _order(base) - jnp.where(whole, 0, 1)
    ordered = lax.cummax(jnp.maximum(jnp.where(stopped, _order(far) - place, first), first)) + place
    found = _float(jnp.minimum(ordered, _order(largest)), dtype)
    return jnp.zeros_like(loss).at[member].set(jnp.where(stopped, found, value), unique_indices=True)


def _order(value: jax.Array) -> jax.Array:
    """Return floats as whole numbers in the same order."""
    bits = lax.bitcast_convert_type(value, integer_of(value.dtype))
    return jnp.where(bits < 0, bits ^ jnp.iinfo(bits.dtype).max, bits)


def _float(order: jax.Array, dtype: Any) -> jax.Array:
    order = order.astype(integer_of(dtype))
    return lax.bitcast_convert_type(jnp.where(order < 0, order ^ jnp.iinfo(order.dtype).max, order), dtype)
