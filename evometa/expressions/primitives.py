"""Primitives: what an expression may be made of, and of which types.

A :class:`Primitive` is a named JAX function of up to three inputs; a :class:`PrimitiveSet` is a choice of them with
named arguments and constants. Every node of an expression has a *code*, an integer: the primitives come first, in
their order, then the arguments, then the constant, whose value is kept beside.

Types constrain what may be plugged into what, as in strongly typed genetic programming (Montana 1995). They are plain
words. Whatever its type, a value is an array of floats when an expression is evaluated: a "bool" is 0.0 or 1.0.
"""

import dataclasses
import functools
import inspect
import keyword
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError, nearest
from evometa.expressions import functions, symbols

MOST_INPUTS = 3
NOTHING = -1
"""The code of places behind the end of a tree."""


@dataclasses.dataclass(frozen=True)
class Primitive:
    """A named function of 0 to 3 inputs.

    Raises:
        ConfigurationError: a name that is no Python identifier, more than three inputs, or a function that fails on
            arrays of one shape or returns another shape.
    """

    name: str
    """How the function is written in text."""
    function: Callable[..., jax.Array]
    """From arrays of one shape and float type to an array of the same; a function of no inputs returns a number."""
    types: tuple[str, ...] = ("real", "real")
    """The type of each input."""
    returns: str = "real"
    """The type of the result."""
    python: str = ""
    """Template of an operator in Python, such as ``"({0} + {1})"``; empty: a call by name."""
    symbolic: Callable[..., Any] | None = None
    """From SymPy expressions to one, such as ``sympy.sin``; None: as :func:`~evometa.expressions.to_sympy` says."""
    reduces: bool = False
    """Whether an entry of the result depends on other entries of the inputs, as in a mean."""

    def __post_init__(self) -> None:
        require_name("Primitive", self.name)
        object.__setattr__(self, "types", tuple(self.types))
        if len(self.types) > MOST_INPUTS:
            raise ConfigurationError(
                f"Primitive expects at most {MOST_INPUTS} inputs, got {len(self.types)} types for {self.name!r}."
            )
        shape = (2, 3) if self.types else ()
        inputs = [jax.ShapeDtypeStruct(shape, jnp.float32)] * self.arity
        try:
            found = jax.eval_shape(self.function, *inputs)
            kept = found.shape == shape and jnp.issubdtype(found.dtype, jnp.floating)
        except Exception as error:  # whatever a user's function raises
            raise ConfigurationError(
                f"Primitive expects a JAX function of {self.arity} arrays for {self.name!r}, one for each of the types "
                f"{self.types}, and it fails: {str(error).splitlines()[0] if str(error) else repr(error)}"
            ) from error
        if not kept:
            raise ConfigurationError(
                f"Primitive expects a function that keeps the shape and float type of its inputs for {self.name!r}, "
                f"and float32{list(shape)} became {found.dtype}{list(found.shape)}."
            )

    @property
    def arity(self) -> int:
        """The number of inputs."""
        return len(self.types)


def require_name(owner: str, name: Any) -> None:
    """Raise ConfigurationError unless a name can be written in Python."""
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ConfigurationError(f"{owner} expects a name that is a Python identifier, such as 'sin', got {name!r}.")


_R = ("real",)
LOSS_PRIMITIVES: tuple[Primitive, ...] = (
    Primitive("add", jnp.add, _R * 2, python="({0} + {1})", symbolic=operator.add),
    Primitive("sub", jnp.subtract, _R * 2, python="({0} - {1})", symbolic=operator.sub),
    Primitive("mul", jnp.multiply, _R * 2, python="({0} * {1})", symbolic=operator.mul),
    Primitive("div", functions.divide, _R * 2, symbolic=symbols.divide),
    Primitive("log", functions.log, _R, symbolic=symbols.log),
    Primitive("exp", functions.exp, _R, symbolic=symbols.exp),
    Primitive("sqrt", functions.sqrt, _R, symbolic=symbols.sqrt),
    Primitive("square", jnp.square, _R, symbolic=symbols.square),
    Primitive("tanh", jnp.tanh, _R),
    Primitive("min", jnp.minimum, _R * 2, symbolic=symbols.minimum),
    Primitive("max", jnp.maximum, _R * 2, symbolic=symbols.maximum),
    Primitive("sign", jnp.sign, _R),
    Primitive("less", functions.less, _R * 2, "bool", symbolic=symbols.less),
    Primitive("if_then_else", functions.if_then_else, ("bool", "real", "real"), symbolic=symbols.if_then_else),
)
"""Elementwise primitives for losses, protected so that values and gradients are finite."""

REDUCTIONS: tuple[Primitive, ...] = (
    Primitive("mean", functions.mean, _R, reduces=True),
    Primitive("sum", functions.sum, _R, reduces=True),
    Primitive("largest", functions.largest, _R, reduces=True),
)
"""Primitives over all entries of an array."""


@dataclasses.dataclass(frozen=True)
class PrimitiveSet:
    """What expressions are made of: named arguments, primitives and constants.

    Args:
        arguments: name -> type; or names alone, all "real".
        primitives: the functions; :data:`LOSS_PRIMITIVES` unless said otherwise.
        returns: the type of a whole expression.
        ephemeral: how constants, which are "real", are drawn: a number is the standard deviation of a normal
            distribution around 0, a tuple holds the allowed values; None: no constants.

    Raises:
        ConfigurationError: no argument, a name used twice, constants that are not finite, a type that nothing returns.
    """

    arguments: Any = ("prediction", "label")
    primitives: tuple[Primitive, ...] = LOSS_PRIMITIVES
    returns: str = "real"
    ephemeral: float | tuple[float, ...] | None = 1.0

    def __post_init__(self) -> None:
        given = self.arguments
        if isinstance(given, str) or not isinstance(given, (Mapping, Iterable)):
            raise ConfigurationError(f"PrimitiveSet expects names of arguments, a dict or a tuple, got {given!r}.")
        pairs = (
            given.items() if isinstance(given, Mapping) else ((a, "real") if isinstance(a, str) else a for a in given)
        )
        object.__setattr__(self, "arguments", tuple(pairs))
        object.__setattr__(self, "primitives", tuple(self.primitives))
        if isinstance(self.ephemeral, Iterable):
            object.__setattr__(self, "ephemeral", tuple(self.ephemeral))
        for name in self.argument_names:
            require_name("PrimitiveSet", name)
        if not self.arguments:
            raise ConfigurationError("PrimitiveSet expects at least one argument, such as ('prediction', 'label').")
        double = sorted({name for name in self.names if self.names.count(name) > 1})
        if double:
            raise ConfigurationError(f"PrimitiveSet expects each name once, got {double} twice; rename one.")
        self._check_constants()
        for owner, types in (("returns", (self.returns,)), *((p.name, p.types) for p in self.primitives)):
            for type_ in types:
                if not math.isfinite(self.least_sizes[self.types.index(type_)]):
                    raise ConfigurationError(
                        f"PrimitiveSet expects something that makes the type {type_!r} for {owner!r}, and nothing "
                        f"does; add an argument or a primitive of that type, or leave {owner!r} out."
                    )

    def _check_constants(self) -> None:
        drawn = self.ephemeral
        values = drawn if isinstance(drawn, tuple) else (drawn,)
        if drawn is not None and not (
            values
            and all(isinstance(v, (int, float)) and math.isfinite(v) for v in values)
            and (isinstance(drawn, tuple) or drawn > 0)
        ):
            raise ConfigurationError(
                "PrimitiveSet expects ephemeral to be a finite scale > 0, a tuple of finite values, or None, "
                f"got {drawn!r}."
            )

    def add(
        self, name: str, function: Callable[..., jax.Array], types: tuple[str, ...] | None = None, **options: Any
    ) -> "PrimitiveSet":
        """Return the set with one more primitive: ``primitives.add("sin", jnp.sin)``.

        Args:
            name: its name.
            function: its function.
            types: type of each input; None: all "real", as many as the function's parameters without defaults.
            options: further fields of :class:`Primitive`.
        """
        inputs = ("real",) * _parameters(name, function) if types is None else types
        return dataclasses.replace(self, primitives=(*self.primitives, Primitive(name, function, inputs, **options)))

    @property
    def argument_names(self) -> tuple[str, ...]:
        """The names of the arguments, in order."""
        return tuple(name for name, _ in self.arguments)

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The name of each code but the constant's."""
        return (*(primitive.name for primitive in self.primitives), *self.argument_names)

    @property
    def constant(self) -> int:
        """The code of the constant, the largest."""
        return len(self.names)

    @functools.cached_property
    def types(self) -> tuple[str, ...]:
        """All types; a type's number is its place here."""
        used = {"real", self.returns, *(type_ for _, type_ in self.arguments)}
        for primitive in self.primitives:
            used |= {primitive.returns, *primitive.types}
        return tuple(sorted(used))

    @functools.cached_property
    def arities(self) -> NDArray[np.int32]:
        """The number of inputs of each code."""
        return np.array([p.arity for p in self.primitives] + [0] * (len(self.arguments) + 1), np.int32)

    @functools.cached_property
    def results(self) -> NDArray[np.int32]:
        """The number of the type that each code returns."""
        words = [*(p.returns for p in self.primitives), *(type_ for _, type_ in self.arguments), "real"]
        return np.array([self.types.index(word) for word in words], np.int32)

    @functools.cached_property
    def inputs(self) -> NDArray[np.int32]:
        """The numbers of the types that each code takes, ``[codes, 3]``; -1 where it takes none."""
        table = np.full((self.constant + 1, MOST_INPUTS), -1, np.int32)
        for code, primitive in enumerate(self.primitives):
            table[code, : primitive.arity] = [self.types.index(word) for word in primitive.types]
        return table

    @functools.cached_property
    def drawable(self) -> NDArray[np.bool_]:
        """Which codes a random expression may use: all, or all but the constant."""
        return np.arange(self.constant + 1) < self.constant + (self.ephemeral is not None)

    @functools.cached_property
    def least_sizes(self) -> NDArray[np.float64]:
        """The nodes of the smallest tree of each type; +inf where there is none."""
        return self._least(lambda children: 1.0 + sum(children))

    @functools.cached_property
    def least_depths(self) -> NDArray[np.float64]:
        """The depth of the shallowest tree of each type, 0 for a single node; +inf where there is none."""
        return self._least(lambda children: 1.0 + max(children) if children else 0.0)

    def _least(self, whole: Callable[[list[float]], float]) -> NDArray[np.float64]:
        least = np.full(len(self.types), np.inf)
        for _ in range(len(self.types) + 1):  # a smallest tree never holds a type below itself
            for code in np.flatnonzero(self.drawable):
                children = [float(least[type_]) for type_ in self.inputs[code, : self.arities[code]]]
                least[self.results[code]] = min(least[self.results[code]], whole(children))
        return least

    def code(self, name: str) -> int:
        """Return the code of a primitive or an argument.

        Raises:
            ConfigurationError: there is none of that name.
        """
        if name not in self.names:
            raise ConfigurationError(
                f"An expression expects the names of its primitive set, got {name!r}. {nearest(name, self.names)}"
            )
        return self.names.index(name)


def _parameters(name: str, function: Callable[..., Any]) -> int:
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"PrimitiveSet.add expects the types of {name!r}, whose inputs cannot be counted; give types=('real',)."
        ) from None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds and p.default is p.empty for p in given)
