"""Primitives: the typed functions, arguments and constants that an expression consists of.

A :class:`Primitive` is a named JAX function of up to three inputs. A :class:`PrimitiveSet` is a collection of
primitives with named arguments and, usually, constants. Every node of an expression has an integer *code*: first the
primitives, in their order, then the arguments, then the constant. The value of a constant is stored separately.

Types are strings that restrict which result may become which input, as in strongly typed genetic programming
(Montana 1995). When an expression is evaluated, a value of any type is an array of floats: a "bool" is 0.0 or 1.0.
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
from evometa.settings import Checked, Finite

MAX_ARITY = 3
PADDING = -1
"""The code of the places after the last node of a tree."""


@dataclasses.dataclass(frozen=True)
class Primitive(metaclass=Checked):
    """A named function of 0 to 3 inputs.

    Raises:
        ConfigurationError: the name is no Python identifier, there are more than three inputs, or the function fails
            on arrays of one shape or returns another shape.
    """

    name: str
    """The function's name in the text of an expression."""
    function: Callable[..., jax.Array]
    """Maps arrays of one shape and float type to an array of the same; a function of no inputs returns a number."""
    types: tuple[str, ...] = ("real", "real")
    """The type of each input."""
    returns: str = "real"
    """The type of the result."""
    python: str = ""
    """Template of an operator in Python, such as ``"({0} + {1})"``; empty for a call by name."""
    symbolic: Callable[..., Any] | None = None
    """Maps SymPy expressions to one, such as ``sympy.sin``; None for the default that
    :func:`~evometa.expressions.to_sympy` describes."""
    reduces: bool = False
    """Whether an entry of the result depends on other entries of the inputs, as in a mean."""

    def __post_init__(self) -> None:
        require_name("Primitive", self.name)
        if len(self.types) > MAX_ARITY:
            raise ConfigurationError(
                f"Primitive expects at most {MAX_ARITY} inputs, got {len(self.types)} types for {self.name!r}."
            )
        shape = (2, 3) if self.types else ()
        inputs = [jax.ShapeDtypeStruct(shape, jnp.float32)] * self.arity
        try:
            output = jax.eval_shape(self.function, *inputs)
            valid = output.shape == shape and jnp.issubdtype(output.dtype, jnp.floating)
        except Exception as error:  # whatever a user's function raises
            raise ConfigurationError(
                f"Primitive expects a JAX function of {self.arity} arrays for {self.name!r}, one for each of the types "
                f"{self.types}, and it fails: {str(error).splitlines()[0] if str(error) else repr(error)}"
            ) from error
        if not valid:
            raise ConfigurationError(
                f"Primitive expects a function that keeps the shape and float type of its inputs for {self.name!r}, "
                f"and float32{list(shape)} became {output.dtype}{list(output.shape)}."
            )

    @property
    def arity(self) -> int:
        """The number of inputs."""
        return len(self.types)


def require_name(owner: str, name: Any) -> None:
    """Raise ConfigurationError unless a name is a Python identifier."""
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
"""Elementwise primitives for losses, protected so that values and gradients stay finite."""

REDUCTIONS: tuple[Primitive, ...] = (
    Primitive("mean", functions.mean, _R, reduces=True),
    Primitive("sum", functions.sum, _R, reduces=True),
    Primitive("largest", functions.largest, _R, reduces=True),
)
"""Primitives that reduce over all entries of an array."""


@dataclasses.dataclass(frozen=True)
class PrimitiveSet(metaclass=Checked):
    """The building blocks of expressions: named arguments, primitives and constants.

    Args:
        arguments: a dict from name to type, or a tuple of names that are all "real".
        primitives: the functions; :data:`LOSS_PRIMITIVES` by default.
        returns: the type of an expression's value.
        ephemeral: the distribution of constants, whose type is "real": a number is the standard deviation of a normal
            distribution around 0, a tuple holds the allowed values; None for no constants.

    Raises:
        ConfigurationError: no argument, a name used twice, constants that are not finite, a type that nothing returns.
    """

    arguments: Any = ("prediction", "label")
    primitives: tuple[Primitive, ...] = LOSS_PRIMITIVES
    returns: str = "real"
    ephemeral: Finite | tuple[Finite, ...] | None = 1.0

    def __post_init__(self) -> None:
        given = self.arguments.items() if isinstance(self.arguments, Mapping) else self.arguments
        several = isinstance(given, Iterable) and not isinstance(given, str)
        pairs = tuple((one, "real") if isinstance(one, str) else one for one in given) if several else ()
        named = all(isinstance(pair, tuple) and [*map(type, pair)] == [str, str] for pair in pairs)
        if not pairs or not named:
            raise ConfigurationError(
                "PrimitiveSet expects names of arguments, at least one, as a tuple such as ('prediction', 'label') or "
                f"a dict from name to type, got {self.arguments!r}."
            )
        object.__setattr__(self, "arguments", pairs)
        for name in self.argument_names:
            require_name("PrimitiveSet", name)
        repeated = sorted({name for name in self.names if self.names.count(name) > 1})
        if repeated:
            raise ConfigurationError(f"PrimitiveSet expects each name once, got {repeated} twice; rename one.")
        self._check_constants()
        for owner, types in (("returns", (self.returns,)), *((p.name, p.types) for p in self.primitives)):
            for type_ in types:
                if not math.isfinite(self.least_sizes[self.types.index(type_)]):
                    raise ConfigurationError(
                        f"PrimitiveSet expects something that makes the type {type_!r} for {owner!r}, and nothing "
                        f"does; add an argument or a primitive of that type, or leave {owner!r} out."
                    )

    def _check_constants(self) -> None:
        ephemeral = self.ephemeral
        values = ephemeral if isinstance(ephemeral, tuple) else (ephemeral,)
        if ephemeral is not None and not (
            values
            and all(isinstance(v, (int, float)) and math.isfinite(v) for v in values)
            and (isinstance(ephemeral, tuple) or ephemeral > 0)
        ):
            raise ConfigurationError(
                "PrimitiveSet expects ephemeral to be a finite scale > 0, a tuple of finite values, or None, "
                f"got {ephemeral!r}."
            )

    def add(
        self, name: str, function: Callable[..., jax.Array], types: tuple[str, ...] | None = None, **options: Any
    ) -> "PrimitiveSet":
        """Return the set with one more primitive: ``primitives.add("sin", jnp.sin)``.

        Args:
            name: its name.
            function: its function.
            types: the type of each input; None: "real" for each of the function's parameters without a default.
            options: further fields of :class:`Primitive`.
        """
        inputs = ("real",) * _count_inputs(name, function) if types is None else types
        return dataclasses.replace(self, primitives=(*self.primitives, Primitive(name, function, inputs, **options)))

    @property
    def argument_names(self) -> tuple[str, ...]:
        """The names of the arguments, in order."""
        return tuple(name for name, _ in self.arguments)

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The name of each code, except the constant's."""
        return (*(primitive.name for primitive in self.primitives), *self.argument_names)

    @property
    def constant(self) -> int:
        """The code of the constant, the largest."""
        return len(self.names)

    @functools.cached_property
    def types(self) -> tuple[str, ...]:
        """All types; a type's number is its index here."""
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
        types = [*(p.returns for p in self.primitives), *(type_ for _, type_ in self.arguments), "real"]
        return np.array([self.types.index(type_) for type_ in types], np.int32)

    @functools.cached_property
    def inputs(self) -> NDArray[np.int32]:
        """The numbers of the types of each code's inputs, ``[codes, 3]``; -1 for inputs that it does not have."""
        table = np.full((self.constant + 1, MAX_ARITY), -1, np.int32)
        for code, primitive in enumerate(self.primitives):
            table[code, : primitive.arity] = [self.types.index(type_) for type_ in primitive.types]
        return table

    @functools.cached_property
    def drawable(self) -> NDArray[np.bool_]:
        """Which codes a random expression may contain: all, or all except the constant."""
        return np.arange(self.constant + 1) < self.constant + (self.ephemeral is not None)

    @functools.cached_property
    def least_sizes(self) -> NDArray[np.float64]:
        """The size of the smallest tree of each type; +inf for a type without trees."""
        return self._minimum(lambda children: 1.0 + sum(children))

    @functools.cached_property
    def least_depths(self) -> NDArray[np.float64]:
        """The depth of the shallowest tree of each type, 0 for a single node; +inf for a type without trees."""
        return self._minimum(lambda children: 1.0 + max(children) if children else 0.0)

    def _minimum(self, measure: Callable[[list[float]], float]) -> NDArray[np.float64]:
        """Return the minimum over all trees of each type of a measure that follows from those of the root's inputs."""
        least = np.full(len(self.types), np.inf)
        for _ in range(len(self.types) + 1):  # a smallest tree contains no smaller tree of its own type
            for code in np.flatnonzero(self.drawable):
                children = [float(least[type_]) for type_ in self.inputs[code, : self.arities[code]]]
                least[self.results[code]] = min(least[self.results[code]], measure(children))
        return least

    def code(self, name: str) -> int:
        """Return the code of a primitive or an argument.

        Raises:
            ConfigurationError: there is neither of that name.
        """
        if name not in self.names:
            raise ConfigurationError(
                f"An expression expects the names of its primitive set, got {name!r}. {nearest(name, self.names)}"
            )
        return self.names.index(name)


def _count_inputs(name: str, function: Callable[..., Any]) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"PrimitiveSet.add expects the types of {name!r}, whose inputs cannot be counted; give types=('real',)."
        ) from None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds and p.default is p.empty for p in parameters)
