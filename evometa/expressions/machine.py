"""The interpreter of programs: a loop over instructions with a branch on each instruction's primitive.

A program is data, so one compiled interpreter runs every expression of a primitive set, and no candidate causes a
compilation. When programs run one at a time, only the primitive of the instruction is computed. Under ``vmap`` over
programs every primitive is computed and one result is selected: the values are the same, and on an accelerator this is
the faster way.

Derivatives follow from those of the primitives. With respect to arguments, and if all primitives are elementwise, each
register carries tangents beside its value (forward mode). With respect to constants, or if a primitive reduces,
cotangents are carried backwards over the instructions (reverse mode, :mod:`sweep`).
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from evometa.backend.kernels import one_kernel
from evometa.expressions import sweep
from evometa.expressions.primitives import Primitive, PrimitiveSet
from evometa.types import Scalar


class Tables(NamedTuple):
    """A program of at most N instructions, as integers in two layouts.

    ``instructions`` reuses registers, for forward evaluation. Its operands are rows if they are not negative, first the
    arguments and then the registers; a negative operand ``~place`` is the constant at that place.
    ``among_results`` keeps every result in a row of its own, for the backward sweep. Its operands are all rows: first
    the arguments, then the results of the instructions, then the constants.
    """

    instructions: jax.Array
    """``[N, 5]``: the code, the register that holds the result, and three operands."""
    among_results: jax.Array
    """``[N, 4]``: the code, and three operands."""
    steps: Scalar
    """The number of instructions, at most N."""
    root: Scalar
    """The operand that holds the value of the expression, in the layout of ``instructions``."""
    root_among_results: Scalar
    """The same in the layout of ``among_results``."""


def run(primitives: PrimitiveSet, tables: Tables, constants: jax.Array, arguments: tuple[jax.Array, ...]) -> jax.Array:
    """Return the value ``[W]`` of a program on arguments ``[W]``; elementwise unless a primitive reduces."""
    if any(primitive.reduces for primitive in primitives.primitives):
        return _run_reducing(primitives, tables, constants, arguments)
    return _run(primitives, tables, constants, arguments)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _run(primitives: PrimitiveSet, tables: Tables, constants: jax.Array, arguments: Any) -> jax.Array:
    return _forward(primitives, tables, constants, arguments, ())[0]


@functools.partial(_run.defjvp, symbolic_zeros=True)
def _derivative(primitives: PrimitiveSet, primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    """Multiply the elementwise derivatives with the tangents; this is linear, so JAX can transpose it.

    The derivatives themselves are computed with the value, by the mode that the module describes.
    """
    tables, constants, arguments = primals
    _, constants_tangent, argument_tangents = tangents
    varied = tuple(i for i, tangent in enumerate(argument_tangents) if not isinstance(tangent, SymbolicZero))
    if isinstance(constants_tangent, SymbolicZero):
        value, *derivatives = _forward(primitives, tables, constants, arguments, varied)
        tangent = jnp.zeros_like(value)
    else:
        rows = _results(primitives, tables, constants, arguments)
        value = rows[tables.root_among_results]
        cotangents = _backward(primitives, tables, rows, jnp.ones_like(value))
        tangent = constants_tangent @ cotangents[-constants.shape[0] :]
        derivatives = [cotangents[i] for i in varied]
    for i, derivative in zip(varied, derivatives, strict=True):
        tangent = tangent + derivative * argument_tangents[i]
    return value, tangent


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _run_reducing(primitives: PrimitiveSet, tables: Tables, constants: jax.Array, arguments: Any) -> jax.Array:
    return _forward(primitives, tables, constants, arguments, ())[0]


def _reducing_forward(
    primitives: PrimitiveSet, tables: Tables, constants: jax.Array, arguments: Any
) -> tuple[jax.Array, Any]:
    rows = _results(primitives, tables, constants, arguments)
    return rows[tables.root_among_results], (tables, rows)


def _reducing_backward(primitives: PrimitiveSet, residuals: Any, cotangent: jax.Array) -> Any:
    tables, rows = residuals
    cotangents = _backward(primitives, tables, rows, cotangent)
    inputs = len(primitives.arguments)
    of_constants = cotangents[inputs + tables.among_results.shape[0] :]
    return None, jnp.sum(of_constants, axis=1), tuple(cotangents[:inputs])


_run_reducing.defvjp(_reducing_forward, _reducing_backward)


def _results(primitives: PrimitiveSet, tables: Tables, constants: jax.Array, arguments: Any) -> jax.Array:
    rows: jax.Array = sweep.results(primitives, tables.among_results, tables.steps, jnp.stack(arguments), constants)
    return rows


def _backward(primitives: PrimitiveSet, tables: Tables, rows: jax.Array, cotangent: jax.Array) -> jax.Array:
    root = tables.root_among_results
    cotangents: jax.Array = sweep.backward(primitives, tables.among_results, tables.steps, root, rows, cotangent)
    return cotangents


def _forward(
    primitives: PrimitiveSet, tables: Tables, constants: jax.Array, arguments: Any, varied: tuple[int, ...]
) -> tuple[jax.Array, ...]:
    """Return the value, and its derivative with respect to each of the varied arguments; all are ``[W]``."""
    return tuple(one_kernel(functools.partial(_loop, primitives, varied), tables, constants, arguments))


# A problem evaluates expressions at several places of its program: each kind of call is traced once.
@functools.partial(jax.jit, static_argnums=(0, 1), inline=True)
def _loop(
    primitives: PrimitiveSet, varied: tuple[int, ...], tables: Tables, constants: jax.Array, arguments: Any
) -> tuple[jax.Array, ...]:
    inputs, row = len(arguments), arguments[0]
    registers = jnp.zeros((max_registers(primitives, tables.instructions.shape[0]), row.shape[0]), row.dtype)
    unit = np.eye(inputs, dtype=row.dtype)

    # Values and tangents are separate arrays: XLA would not vectorise loops over one array that holds both.
    def read(rows: jax.Array, operand: Scalar, constant: jax.Array | float) -> jax.Array:
        row = jax.lax.dynamic_index_in_dim(rows, jnp.maximum(operand, 0), keepdims=False)
        return jnp.where(operand < 0, constant, row)

    def value(rows: jax.Array, operand: Scalar) -> jax.Array:
        return read(rows, operand, constants[jnp.maximum(~operand, 0)])

    def branch(primitive: Primitive) -> Callable[..., tuple[jax.Array, ...]]:
        def compute(rows: tuple[jax.Array, ...], operands: jax.Array) -> tuple[jax.Array, ...]:
            primals = [value(rows[0], operands[k]) for k in range(primitive.arity)]
            if not primals:
                no_tangents = [jnp.zeros_like(row)] * len(varied)
                return jnp.broadcast_to(primitive.function(), row.shape).astype(row.dtype), *no_tangents
            if not varied:
                return (primitive.function(*primals),)
            tangents = [[read(each, operands[k], 0.0) for k in range(primitive.arity)] for each in rows[1:]]
            results = [jax.jvp(primitive.function, primals, each) for each in tangents]
            return results[0][0], *(tangent for _, tangent in results)

        return compute

    branches = [branch(primitive) for primitive in primitives.primitives]

    def step(carry: tuple[jax.Array, tuple[jax.Array, ...]]) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        number, rows = carry
        instruction = jax.lax.dynamic_index_in_dim(tables.instructions, number, keepdims=False)
        result = jax.lax.switch(instruction[0], branches, rows, instruction[2:])
        register = inputs + instruction[1]
        return number + 1, tuple(
            jax.lax.dynamic_update_index_in_dim(old, new, register, 0) for old, new in zip(rows, result, strict=True)
        )

    start = (
        jnp.concatenate([jnp.stack(arguments), registers]),
        *(jnp.concatenate([jnp.broadcast_to(unit[i][:, None], (inputs, row.shape[0])), registers]) for i in varied),
    )
    values, *tangents = jax.lax.while_loop(lambda carry: carry[0] < tables.steps, step, (jnp.int32(0), start))[1]
    return value(values, tables.root), *(read(each, tables.root, 0.0) for each in tangents)


@functools.cache
def max_registers(primitives: PrimitiveSet, length: int) -> int:
    """Return how many registers a tree of at most ``length`` nodes can need in the order of :mod:`ordering`."""
    arities = sorted({p.arity for p in primitives.primitives})
    max_arity = max(arities, default=0)
    instructions = length if 1 in arities or 0 in arities else (length - 1) // max(min(arities, default=1), 1)
    # need[n] is the largest number for n instructions. The k-th largest input has at most (n - 1) / k instructions, and
    # meanwhile the results of the k - 1 larger inputs are held in registers.
    need = [0]
    for n in range(1, max(instructions, 1) + 1):
        parts = [(n - 1) // k for k in range(1, max_arity + 1)]
        need.append(max(1, *(k + need[part] for k, part in enumerate(parts) if part), 1))
    return need[-1]
