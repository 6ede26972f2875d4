"""Weights and learning rates of CMA-ES (Hansen 2016, arXiv:1604.00772, Table 1)."""

import functools
import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np


class Rates(NamedTuple):
    """Table 1 of the tutorial, for one population size and dimension: numbers of numpy, or traced."""

    gain: Any
    """``[P]``, the weights > 0 by place, best first; sum 1."""
    loss: Any
    """``[P]``, the sizes of the weights < 0 by place."""
    mu_eff: Any
    c_sigma: Any
    d_sigma: Any
    c_c: Any
    c_1: Any
    c_mu: Any
    norm: float
    """E‖N(0, I)‖."""
    refresh: Any
    """Generations between two factorisations of C."""
    size: Any
    """Candidates in the population; further places are padding, which weighs nothing."""


def expected_norm(d: int) -> float:
    """Return E‖N(0, I)‖ in D dimensions."""
    return math.sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d * d))


def path_rates(mu_eff: Any, d: int, xp: Any) -> tuple[Any, Any, Any]:
    """Return c_σ, d_σ and c_c by numpy or JAX (55, 56)."""
    c_sigma = (mu_eff + 2) / (d + mu_eff + 5)
    d_sigma = 1 + 2 * xp.maximum(0.0, xp.sqrt((mu_eff - 1) / (d + 1)) - 1) + c_sigma
    return c_sigma, d_sigma, (4 + mu_eff / d) / (d + 4 + 2 * mu_eff / d)


@functools.cache
def rates(population_size: int, dimension: int) -> Rates:
    """Return weights and learning rates for a population whose size is known."""
    return _rates(population_size, dimension, population_size, np)


def padded_rates(population_size: Any, dimension: int, places: int) -> Rates:
    """Return weights and learning rates for a population of traced size; weights are padded with 0 to ``places``."""
    return _rates(population_size, dimension, places, jnp)


def _rates(p: Any, d: int, places: int, xp: Any) -> Rates:
    """Compute the table with numpy or JAX; equation numbers are the tutorial's."""
    place = np.arange(1, places + 1)
    raw = xp.where(place <= p, xp.log((p + 1) / 2) - np.log(place), 0.0)  # (49)
    gain, loss = xp.maximum(raw, 0), xp.maximum(-raw, 0)
    mu_eff = gain.sum() ** 2 / (gain**2).sum()  # (8)
    mu_eff_loss = loss.sum() ** 2 / (loss**2).sum()
    c_sigma, d_sigma, c_c = path_rates(mu_eff, d, xp)
    c_1 = 2 * xp.minimum(1, p / 6) / ((d + 1.3) ** 2 + mu_eff)  # (57), and pycma's care for tiny populations
    c_mu = xp.minimum(1 - c_1, 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((d + 2) ** 2 + mu_eff))  # (58)
    total_loss = xp.minimum(
        xp.minimum(1 + c_1 / c_mu, 1 + 2 * mu_eff_loss / (mu_eff + 2)), (1 - c_1 - c_mu) / (d * c_mu)
    )  # (50-52)
    return Rates(
        gain=gain / gain.sum(),  # (53)
        loss=total_loss * loss / loss.sum(),
        mu_eff=mu_eff,
        c_sigma=c_sigma,
        d_sigma=d_sigma,
        c_c=c_c,
        c_1=c_1,
        c_mu=c_mu,
        norm=expected_norm(d),
        # The factor lags C by a tenth of its time scale at most.
        refresh=xp.maximum(1, xp.floor(1 / (10 * d * (c_1 + c_mu)))).astype(np.int32),
        size=p,
    )
