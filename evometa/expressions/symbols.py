"""The default primitives in SymPy: the functions without their protection.

Only a constant input is protected as in :mod:`functions`, so that no formula contains a division by zero. SymPy is
imported when one of these is first called: its import takes as long as that of all the rest of evometa.
"""

from typing import Any

NEARLY_ZERO = 1e-6
"""As in :mod:`functions`."""
_MAX_EXPONENT = 10


def _is_zero(a: Any) -> bool:
    return bool(a.is_number) and abs(float(a)) < NEARLY_ZERO


def divide(a: Any, b: Any) -> Any:
    """Return a / b, and 1 where b is the number 0."""
    return b * 0 + 1 if _is_zero(b) else a / b


def log(a: Any) -> Any:
    """Return log|a|, and 0 for the number 0."""
    import sympy

    return sympy.Integer(0) if _is_zero(a) else sympy.log(sympy.Abs(a))


def exp(a: Any) -> Any:
    """Return the exponential of a, where a number is clipped to [-10, 10]."""
    import sympy

    if a.is_number:
        return sympy.exp(max(-_MAX_EXPONENT, min(_MAX_EXPONENT, a)))
    constant, rest = a.as_coeff_Add()
    if constant.is_Float and abs(constant) > _MAX_EXPONENT:
        # SymPy takes a decimal out, exp(x - 1e9) = exp(-1e9) exp(x), of which one part is 0 and the other infinite.
        constant = sympy.Rational(str(constant))
    return sympy.exp(constant + rest)


def sqrt(a: Any) -> Any:
    """Return √|a|, and 0 for the number 0."""
    import sympy

    return sympy.Integer(0) if _is_zero(a) else sympy.sqrt(sympy.Abs(a))


def power(a: Any, b: Any) -> Any:
    """Return a to the power of b, of |a| if b is not a whole number; a number 0 as in :mod:`functions`."""
    import sympy

    if _is_zero(a):
        return sympy.Piecewise((0, b > 0), (1, True))
    if b.is_integer or a.is_nonnegative:
        return a**b
    if b.is_number:
        return sympy.Abs(a) ** b
    return sympy.Abs(a) ** b * sympy.Piecewise((sympy.sign(a), sympy.Eq(sympy.Mod(b, 2), 1)), (1, True))


def absolute(a: Any) -> Any:
    """Return |a|."""
    import sympy

    return sympy.Abs(a)


def tan(a: Any) -> Any:
    """Return the tangent of a."""
    import sympy

    return sympy.tan(a)


def square(a: Any) -> Any:
    """Return a²."""
    return a**2


def minimum(a: Any, b: Any) -> Any:
    """Return the smaller of a and b."""
    import sympy

    return sympy.Min(a, b)


def maximum(a: Any, b: Any) -> Any:
    """Return the larger of a and b."""
    import sympy

    return sympy.Max(a, b)


def less(a: Any, b: Any) -> Any:
    """Return the condition a < b."""
    import sympy

    return sympy.StrictLessThan(a, b)


def if_then_else(condition: Any, a: Any, b: Any) -> Any:
    """Return a where the condition holds, otherwise b."""
    import sympy

    holds = condition if isinstance(condition, sympy.logic.boolalg.Boolean) else sympy.Gt(condition, 0.5)
    return sympy.Piecewise((a, holds), (b, True))
