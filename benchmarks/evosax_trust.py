"""Every algorithm of the installed evosax through the contract suite and long searches, in float32 and float64.

What :class:`evometa.strategies.Evosax` trusts rests on this. With the adapter's own settings an algorithm must keep the
contract (:func:`evometa.testing.check_strategy`), and in ``--seeds`` searches of 3000 generations of 32 candidates in 5
dimensions, from a unit away in every coordinate, no state may ever hold a NaN, long after everything has converged, and
it has to come to

- 5 % of the first value on the sphere, also when every second candidate fails at first and one generation all tie;
- 50 % of it where noise as large as a tenth of the first value is added;
- 90 % of it on an ellipsoid of condition 1e4 at an angle to the axes: to progress.

Prints one markdown table: final values in parts of the first value, of the worst seed; that of the center, a mean over
the last 10 generations, or where an algorithm keeps a population that of the candidate that was evaluated best. Ends
with an error when the verdicts of the adapter are not those of the table.

    python benchmarks/evosax_trust.py
"""

import argparse
import dataclasses
import sys
from typing import Any

import evosax.algorithms
import jax
import jax.numpy as jnp
import numpy as np
from _engine import tell
from _measure import note, parse_arguments, print_table

from evometa.errors import EvometaError
from evometa.spaces import Box
from evometa.strategies.evosax_adapter import REFUSED, TRUSTED, Evosax
from evometa.testing import check_strategy

POPULATION, DIMENSION, GENERATIONS, FAILING = 32, 5, 3000, 20
LIMITS = {"sphere": 0.05, "failures": 0.05, "noisy": 0.5, "ellipsoid": 0.9}
ANGLED = np.linalg.qr(np.random.default_rng(0).normal(size=(DIMENSION, DIMENSION)))[0]


@dataclasses.dataclass(frozen=True)
class AnyEvosax(Evosax):
    """Any algorithm of evosax, trusted or not."""

    def _require_trusted(self) -> None:
        pass


def functions(x: jax.Array) -> jax.Array:
    """Return what is searched, in the order of LIMITS and without noise, ``[4, ...]`` for ``[..., D]``."""
    sphere = jnp.sum((x - 1) ** 2, axis=-1)
    ellipsoid = jnp.sum(jnp.logspace(0, 4, DIMENSION) * ((x - 1) @ ANGLED.astype(x.dtype)) ** 2, axis=-1)
    return jnp.stack([sphere, sphere, sphere, ellipsoid])


def searches(strategy: Evosax, seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the final values in parts of the first, ``[4]``, and the generation with the first NaN or 0, ``[4]``."""
    space, odd = Box((DIMENSION,), start=np.zeros(DIMENSION)), jnp.arange(strategy.population_size) % 2 == 1
    first = functions(jnp.zeros(DIMENSION))

    def run(which: Any, key: Any) -> Any:
        def generation(carry: Any, number: Any) -> Any:
            state, seeming, found = carry
            key_ask, key_tell, key_noise = jax.random.split(jax.random.fold_in(key, number), 3)
            genotypes, state = strategy.ask(key_ask, state)
            true = functions(genotypes)[which]
            failing = jnp.where((number < FAILING) & odd, jnp.inf, true)
            failing = jnp.where(number == FAILING, first[which], failing)
            noisy = true + 0.1 * first[which] * jax.random.normal(key_noise, true.shape)
            told = jnp.select([which == 1, which == 2], [failing, noisy], true)
            winner = jnp.argmin(told)
            found = jnp.where(told[winner] < seeming, true[winner], found)
            state = tell(strategy, key_tell, state, genotypes, told)
            center = strategy.center(state)
            value = found if center is None else functions(center)[which]
            broken = jnp.array([jnp.any(jnp.isnan(leaf)) for leaf in jax.tree.leaves(state)]).any()
            broken &= number > 0  # an algorithm may mark by NaN what it does not have yet
            broken |= ~jnp.all(jnp.isfinite(genotypes))
            return (state, jnp.minimum(told[winner], seeming), found), (value / first[which], broken)

        carry = strategy.init(key, space), jnp.full((), jnp.inf), jnp.full((), jnp.inf)
        _, (values, broken) = jax.lax.scan(generation, carry, jnp.arange(GENERATIONS))
        return jnp.mean(values[-10:]), jnp.where(broken.any(), jnp.argmax(broken) + 1, 0)

    every = jax.vmap(jax.vmap(run, (0, None)), (None, 0))
    values, broken = jax.jit(every)(jnp.arange(len(LIMITS)), jax.random.split(jax.random.key(1), seeds))
    return np.max(values, axis=0), np.max(broken, axis=0)


def measure(algorithm: str, seeds: int) -> tuple[str, list[str]]:
    """Return what an algorithm breaks, or nothing, and its final values."""
    strategy, breaks, shown = AnyEvosax(algorithm, POPULATION), [], ["" for _ in LIMITS]
    try:
        values, broken = searches(strategy, seeds)
        shown = [f"{value:.1g}" for value in values]
        if broken.any():
            where = np.argmin(np.where(broken, broken, GENERATIONS + 1))
            breaks.append(f"NaN on {list(LIMITS)[where]} after {broken[where]} generations")
        far = [name for (name, limit), value in zip(LIMITS.items(), values, strict=True) if value >= limit]
        breaks += [f"stops short on {', '.join(far)}"] if far else []
        check_strategy(strategy)
    except EvometaError as error:
        breaks.append(str(error).removesuffix(".").replace(type(strategy).__name__, "the contract"))
    except Exception as error:  # evosax's own, of any kind
        breaks.append(f"{type(error).__name__}: {str(error).splitlines()[0]}")
    return "; ".join(breaks), shown


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--algorithms", nargs="*", default=sorted(evosax.algorithms.algorithms, key=str.lower))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--precisions", nargs="+", default=["float32", "float64"])
    arguments = parse_arguments(parser, "--algorithms SimpleES --seeds 1 --precisions float32")
    rows, surprises = [], []
    for algorithm in arguments.algorithms:
        trusted, sound = algorithm in TRUSTED, True
        for precision in arguments.precisions:
            jax.config.update("jax_enable_x64", precision == "float64")
            breaks, values = measure(algorithm, arguments.seeds)
            sound &= not breaks
            rows.append([algorithm, "yes" if trusted else "no", precision, *values])
            rows[-1].append(breaks or ("" if trusted else REFUSED.get(algorithm, "not known to the adapter")))
            note(rows[-1])
        # An algorithm may be refused for what its source says, but nothing that breaks may be trusted.
        surprises += [algorithm] if trusted > sound or algorithm not in {*TRUSTED, *REFUSED} else []
        jax.clear_caches()
    print_table(["algorithm", "trusted", "precision", *LIMITS, "what breaks, or why it is refused"], rows)
    if surprises:
        sys.exit(f"Not the verdict of strategies/evosax_adapter.py: {', '.join(surprises)}; correct it there.")


if __name__ == "__main__":
    main()
