"""Many small steps as one piece of machine code."""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun
from jax.sharding import Mesh, PartitionSpec

from evometa.errors import warn

WITHIN = frozenset(
    """
    abs acos acosh add add_any and asin asinh atan atan2 atanh bitcast_convert_type broadcast_in_dim cbrt ceil
    clamp concatenate convert_element_type copy cos cosh div dynamic_slice dynamic_update_slice eq erf erf_inv erfc
    exp exp2 expm1 floor ge gt integer_pow iota is_finite le log log1p logistic lt max min mul ne neg nextafter not
    or pow reduce_and reduce_max reduce_min reduce_or reduce_prod reduce_sum rem reshape round rsqrt select_n
    shift_left shift_right_arithmetic shift_right_logical sign sin sinh slice sqrt square squeeze stack
    stop_gradient sub tan tanh xor
    """.split()  # noqa: SIM905 - readable as words
)
"""What a kernel may hold beside loops, branches and calls: entry by entry, sums, and moving numbers about."""

SEVERAL_DEVICES = jax.__version_info__ >= (0, 8)
"""Whether a kernel can be put on each of several devices: JAX 0.7 confuses their meshes for closed-over arrays."""


def one_kernel(function: Callable[..., Any], *given: Any) -> Any:
    """Return ``function(*given)``, computed on a CPU by a single piece of machine code, loops and branches included.

    Otherwise each round of a loop is a sequence of calls, of 20 to 50 ns each, and each call is compiled alone: where a
    round computes less than a microsecond, this is several times as fast, and compiles in half the time. A function
    that holds more than :data:`WITHIN`, such as a matrix product or a sort, is compiled as usual, and so it is under
    ``vmap``, for derivatives, elsewhere than on a CPU, without :func:`single_kernels`, and where the compiler may
    spread it over several devices and :func:`running_on` does not tell which.

    Args:
        function: from arrays to a pytree of arrays. A loop in it must not carry what it does not read: an operand
            without a use makes the compiler fail (XLA of jaxlib 0.10).
        given: pytrees of arrays.
    """
    mesh = _MESH.get() if SEVERAL_DEVICES else None
    alone = _on_one_device(mesh)
    jitted = not jax.config.jax_disable_jit  # type: ignore[attr-defined]  # made at run time
    if not jitted or jax.default_backend() != "cpu" or not (alone or mesh is not None):
        return function(*given)
    traced, shapes = jax.make_jaxpr(function, return_shape=True)(*given)
    if not all(name in WITHIN for name in _names(traced.jaxpr)) or not single_kernels():
        return function(*given)
    structure = jax.tree.structure(shapes)

    @jax.custom_batching.custom_vmap
    def kernel(*given: Any) -> Any:
        # What is read is closed over, so that nothing else becomes an operand. The mark is put on the operation that
        # made the value: the call, which is then neither taken apart nor split.
        leaves = jax.jit(lambda: jaxpr_as_fun(traced)(*jax.tree.leaves(given)))()
        return jax.tree.unflatten(structure, [_mark(leaves[0]), *leaves[1:]])

    @kernel.def_vmap
    def batched(count: int, axes: list[Any], *given: Any) -> tuple[Any, Any]:
        places = jax.tree.map(lambda there: 0 if there else None, axes)
        values = jax.vmap(function, in_axes=tuple(places), axis_size=count)(*given)
        return values, jax.tree.map(lambda _: True, values)

    @jax.custom_jvp
    def plain(*given: Any) -> Any:
        return kernel(*given)

    @plain.defjvp
    def pushed(primals: Any, tangents: Any) -> tuple[Any, Any]:
        return jax.jvp(function, primals, tangents)

    compiled = jax.jit(plain)
    if not alone:  # each device computes the same
        whole = PartitionSpec()
        compiled = jax.shard_map(compiled, mesh=mesh, in_specs=whole, out_specs=whole, check_vma=False)
    return compiled(*given)


@functools.cache
def single_kernels() -> bool:
    """Return whether this JAX compiles a marked call to a single kernel on a CPU; warn, once, where it does not.

    The mark is an attribute that XLA may rename or drop in any release, so a small loop is compiled and the compiled
    program is read: 40 ms, at the first function that would be a kernel.
    """
    # In a thread of its own, since JAX keeps the mesh, the transformations and the settings of the trace around this
    # call by thread.
    with ThreadPoolExecutor(1) as thread:
        try:
            lost = None if thread.submit(_compiles_to_one_call).result() else "its call was taken apart"
        except Exception as error:  # whatever a later JAX says; results do not depend on it
            lost = f"{type(error).__name__}: {error}".splitlines()[0]
    if lost is not None:
        warn(
            f"JAX {jax.__version__} does not compile a loop marked xla_cpu_small_call to a single kernel ({lost}): "
            "expressions (symbolic regression, learned losses) give the same results, but evaluate several times more "
            "slowly on a CPU and take twice as long to compile; JAX 0.10 has it.",
        )
    return lost is None


def _compiles_to_one_call() -> bool:
    """Compile a small loop as a marked call, and return whether the compiled program holds the call and no loop."""

    def count(start: jax.Array) -> jax.Array:
        return jax.lax.while_loop(lambda value: value < 9, lambda value: value + 1, start)

    marked = jax.jit(lambda start: _mark(jax.jit(count)(start)))
    entry = str(marked.lower(jax.ShapeDtypeStruct((), jnp.int32)).compile().as_text()).split("ENTRY")[1]
    return " call(" in entry and " while(" not in entry


def _mark(value: Any) -> Any:
    """Mark the operation that made a value."""
    from jax.experimental.xla_metadata import set_xla_metadata  # experimental: a JAX without it is one that cannot mark

    return set_xla_metadata(value, xla_cpu_small_call="true", inlineable="false")


_MESH: contextvars.ContextVar[Mesh | None] = contextvars.ContextVar("mesh", default=None)


@contextlib.contextmanager
def running_on(mesh: Mesh) -> Iterator[None]:
    """Say on which devices what is traced will run; on each of them the same."""
    token = _MESH.set(mesh)
    try:
        yield
    finally:
        _MESH.reset(token)


def _on_one_device(mesh: Mesh | None) -> bool:
    """Return whether what is traced runs on one device: it is said to, or is the program of each one (shard_map).

    Otherwise the compiler asks inside the kernel which device it is, and there a kernel has no answer.
    """
    only = jax.device_count() == 1 if mesh is None else mesh.size == 1
    return only or bool(jax.sharding.get_abstract_mesh().manual_axes)


def mesh_to_split_over() -> Mesh | None:
    """Return the mesh of the several devices that what is traced will run on together; None where each runs alone."""
    mesh = _MESH.get()
    return None if mesh is None or _on_one_device(mesh) else mesh


def _names(jaxpr: Any) -> Iterator[str]:
    """Return the names of all operations but those that hold others."""
    for equation in jaxpr.eqns:
        parts = [part for value in equation.params.values() for part in (value if type(value) is tuple else (value,))]
        inner = [getattr(part, "jaxpr", part) for part in parts if hasattr(part, "eqns") or hasattr(part, "jaxpr")]
        if not inner:
            yield equation.primitive.name
        for part in inner:
            yield from _names(part)
