"""The machine that programs run on: a loop over instructions, a branch on each one's code.

All data of a program are arrays, so one compiled machine runs every expression of a primitive set: no candidate ever
causes a compilation. Where one program runs at a time the branch is a real one, and an instruction costs what its
primitive does. Under ``vmap`` over programs every primitive is computed and one result selected: the same values, and
on an accelerator the faster way.

Derivatives are those of the primitives, by rules of the machine's own. Entry by entry, and towards arguments alone,
each register carries its tangents beside its value. Towards constants, or where a primitive reduces, a sweep back over
the instructions carries cotangents (:mod:`sweep`).
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from evometa.expressions import sweep
from evometa.expressions.primitives import Primitive, PrimitiveSet
from evometa.kernels import one_kernel
from evometa.types import Scalar


class Tables(NamedTuple):
    """The integers of a program of N instructions.

    An operand is a row where it is not negative: an argument, or behind these a register; otherwise ``~place`` of a
    constant. Among results, each in a row of its own, all operands are rows: arguments, instructions, constants.
    """

    instructions: jax.Array
    """``[N, 5]``: the code, the register that the result is put in, and three operands."""
    among_results: jax.Array
    """``[N, 4]``: the code, and the three operands among results."""
    steps: Scalar
    """How many instructions there are, N at most."""
    root: Scalar
    """The operand that is the value of the whole."""
    root_among_results: Scalar


def run(primitives: PrimitiveSet, tables: Tables, constants: jax.Array, arguments: tuple[jax.Array, ...]) -> jax.Array:
    """Return the value ``[W]`` of a program on arguments ``[W]``, entry by entry unless a primitive reduces."""
    if any(primitive.reduces for primitive in primitives.primitives):
        return _run_reducing(primitives, tables, constants, arguments)
    return _run(primitives, tables, constants, arguments)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _run(primitives: PrimitiveSet, tables: Tables, constants: jax.Array, arguments: Any) -> jax.Array:
    return _forward(primitives, tables, constants, arguments, ())[0]


@functools.partial(_run.defjvp, symbolic_zeros=True)
def _derivative(primitives: PrimitiveSet, primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    """Multiply the derivatives at each entry, which are data, with the tangents: linear, so it works in both modes."""
    tables, constants, arguments = primals
    _, of_constants, of_arguments = tangents
    moved = tuple(i for i, tangent in enumerate(of_arguments) if not isinstance(tangent, SymbolicZero))
    if isinstance(of_constants, SymbolicZero):
        value, *derivatives = _forward(primitives, tables, constants, arguments, moved)
        tangent = jnp.zeros_like(value)
    else:
        rows = _results(primitives, tables, constants, arguments)
        value = rows[tables.root_among_results]
        swept = _back(primitives, tables, rows, jnp.ones_like(value))
        tangent = of_constants @ swept[-constants.shape[0] :]
        derivatives = [swept[i] for i in moved]
    for i, derivative in zip(moved, derivatives, strict=True):
        tangent = tangent + derivative * of_arguments[i]
    return value, tangent


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _run_reducing(primitives: PrimitiveSet, tables: Tables, constants: jax.Array, arguments: Any) -> jax.Array:
    return _forward(primitives, tables, constants, arguments, ())[0]


def _kept(primitives: PrimitiveSet, tables: Tables, constants: jax.Array, arguments: Any) -> tuple[jax.Array, Any]:
    rows = _results(primitives, tables, constants, arguments)
    return rows[tables.root_among_results], (tables, rows)


def _cotangents(primitives: PrimitiveSet, kept: Any, cotangent: jax.Array) -> Any:
    tables, rows = kept
    swept = _back(primitives, tables, rows, cotangent)
    inputs = len(primitives.arguments)
    return None, jnp.sum(swept[inputs + tables.among_results.shape[0] :], axis=1), tuple(swept[:inputs])


_run_reducing.defvjp(_kept, _cotangents)


def _results(primitives: PrimitiveSet, tables: Tables, constants: jax.Array, arguments: Any) -> jax.Array:
    given = tables.among_results, tables.steps, jnp.stack(arguments), constants
    return sweep.results(primitives, *given)


def _back(primitives: PrimitiveSet, tables: Tables, rows: jax.Array, cotangent: jax.Array) -> jax.Array:
    given = tables.among_results, tables.steps, tables.root_among_results, rows, cotangent
    return sweep.back(primitives, *given)


def _forward(
    primitives: PrimitiveSet, tables: Tables, constants: jax.Array, arguments: Any, moved: tuple[int, ...]
) -> tuple[jax.Array, ...]:
    """Return the value and its derivatives towards the K arguments that are moved, each ``[W]``."""
    return one_kernel(functools.partial(_loop, primitives, tables, constants, arguments, moved))


def _loop(
    primitives: PrimitiveSet, tables: Tables, constants: jax.Array, arguments: Any, moved: tuple[int, ...]
) -> tuple[jax.Array, ...]:
    inputs, row = len(arguments), arguments[0]
    registers = jnp.zeros((most_registers(primitives, tables.instructions.shape[0]), row.shape[0]), row.dtype)
    unit = np.eye(inputs, dtype=row.dtype)

    # Values and tangents are arrays of their own: loops over both, joined in one, would not be vectorised.
    def read(rows: jax.Array, operand: Scalar, constant: jax.Array | float) -> jax.Array:
        found = jax.lax.dynamic_index_in_dim(rows, jnp.maximum(operand, 0), keepdims=False)
        return jnp.where(operand < 0, constant, found)

    def value(rows: jax.Array, operand: Scalar) -> jax.Array:
        return read(rows, operand, constants[jnp.maximum(~operand, 0)])

    def branch(primitive: Primitive) -> Callable[..., tuple[jax.Array, ...]]:
        def compute(rows: tuple[jax.Array, ...], operands: jax.Array) -> tuple[jax.Array, ...]:
            inward = [value(rows[0], operands[k]) for k in range(primitive.arity)]
            if not inward:
                still = [jnp.zeros_like(row)] * len(moved)
                return jnp.broadcast_to(primitive.function(), row.shape).astype(row.dtype), *still
            if not moved:
                return (primitive.function(*inward),)
            tangents = [[read(each, operands[k], 0.0) for k in range(primitive.arity)] for each in rows[1:]]
            pushed = [jax.jvp(primitive.function, inward, each) for each in tangents]
            return pushed[0][0], *(outward for _, outward in pushed)

        return compute

    branches = [branch(primitive) for primitive in primitives.primitives]

    def step(carry: tuple[jax.Array, tuple[jax.Array, ...]]) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        number, rows = carry
        instruction = jax.lax.dynamic_index_in_dim(tables.instructions, number, keepdims=False)
        found = jax.lax.switch(instruction[0], branches, rows, instruction[2:])
        place = inputs + instruction[1]
        return number + 1, tuple(
            jax.lax.dynamic_update_index_in_dim(old, new, place, 0) for old, new in zip(rows, found, strict=True)
        )

    begun = (
        jnp.concatenate([jnp.stack(arguments), registers]),
        *(jnp.concatenate([jnp.broadcast_to(unit[i][:, None], (inputs, row.shape[0])), registers]) for i in moved),
    )
    values, *pushed = jax.lax.while_loop(lambda carry: carry[0] < tables.steps, step, (jnp.int32(0), begun))[1]
    return value(values, tables.root), *(read(each, tables.root, 0.0) for each in pushed)


@functools.cache
def most_registers(primitives: PrimitiveSet, length: int) -> int:
    """Return how many registers a tree of up to ``length`` nodes needs at most, in the order of :mod:`program`."""
    arities = sorted({p.arity for p in primitives.primitives})
    most_inputs = max(arities, default=0)
    instructions = length if 1 in arities or 0 in arities else (length - 1) // max(min(arities, default=1), 1)
    # need[n]: the largest number for n instructions; the k-th largest input has no more than (n - 1) / k of them, and
    # k - 1 results wait for it.
    need = [0]
    for n in range(1, max(instructions, 1) + 1):
        parts = [(n - 1) // k for k in range(1, most_inputs + 1)]
        need.append(max(1, *(k + need[part] for k, part in enumerate(parts) if part), 1))
    return need[-1]
