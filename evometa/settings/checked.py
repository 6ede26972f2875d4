"""The metaclass and the decorator that check arguments before the code that they are meant for sees them."""

import abc
import dataclasses
import functools
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar, Union, cast, get_args, get_origin

from evometa.errors import ConfigurationError, nearest
from evometa.settings.conversion import convert, described, shown
from evometa.settings.meaning import named
from evometa.settings.ranges import Advice, OutOfRange, Range, Refused

F = TypeVar("F", bound=Callable[..., Any])


class Checked(abc.ABCMeta):
    """The metaclass of classes whose arguments are checked before ``__init__`` sees them."""

    instances_only: ClassVar[bool] = True
    """A setting with such a class as its type takes nothing but its instances."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Check the arguments, and make an instance with them.

        Raises:
            ConfigurationError: an argument is missing, unknown or does not fit; or the class is abstract.
        """
        missing = sorted(cls.__abstractmethods__)
        if missing:
            raise ConfigurationError(
                f"{cls.__name__} expects to define {', '.join(missing)}, which {cls._requires(missing[0])} requires; "
                f"add {'it' if len(missing) == 1 else 'them'} to the class."
            )
        args, kwargs = _fit(cls.__name__, _expectations(cls), args, kwargs)
        return super().__call__(*args, **kwargs)

    def _requires(cls, method: str) -> str:
        return next(base.__name__ for base in reversed(cls.__mro__) if method in vars(base))

    @property
    def __signature__(cls) -> inspect.Signature:
        """The signature of the class itself, which the metaclass's own would hide."""
        function = cls.__init__ if cls.__init__ is not object.__init__ else _no_arguments  # type: ignore[misc]
        signature = inspect.signature(function)
        return signature.replace(parameters=list(signature.parameters.values())[1:])


def _no_arguments(self: object) -> None: ...


def checked(function: F) -> F:
    """Decorate a function or method whose arguments are checked as its annotations say."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = _fit(function.__qualname__, _expectations(function), args, kwargs)
        return function(*args, **kwargs)

    return cast(F, call)


class _Expected(NamedTuple):
    """What a class or function expects."""

    signature: inspect.Signature
    hints: dict[str, Any]
    thing: Any
    """The class or function."""


@functools.lru_cache(maxsize=1024)
def _expectations(thing: Any) -> _Expected:
    signature = inspect.signature(thing)
    function = thing.__init__ if isinstance(thing, type) else thing  # type: ignore[misc]
    space = getattr(function, "__globals__", {})
    written = getattr(function, "__annotations__", {})
    hints = {name: _evaluated(written.get(name, Any), space, {}) for name in signature.parameters}
    if not isinstance(thing, type):
        return _Expected(signature, hints, thing)
    if dataclasses.is_dataclass(thing):
        for field in dataclasses.fields(thing):
            # A field that a subclass declares again keeps the ranges of its base class.
            if field.name in hints and written.get(field.name) == field.type:
                hints[field.name] = _field_hint(thing, field.name)
    return _Expected(signature, hints, thing)


def _field_hint(cls: type, name: str) -> Any:
    found: list[Any] = []
    for base in cls.__mro__:
        if name in (annotations := inspect.get_annotations(base)):
            module = sys.modules.get(base.__module__)
            found.append(_evaluated(annotations[name], vars(module) if module else {}, dict(vars(base))))
    hint = found[0].type if isinstance(found[0], dataclasses.InitVar) else found[0]
    rules = [rule for one in (hint, *found[1:]) if get_origin(one) is Annotated for rule in get_args(one)[1:]]
    ranges = [rule for rule in rules if isinstance(rule, Range)]
    if ranges:  # one that lies in all of them
        rules = [functools.reduce(Range.within, ranges), *(rule for rule in rules if not isinstance(rule, Range))]
    plain, *bases = (get_args(one)[0] if get_origin(one) is Annotated else one for one in (hint, *found[1:]))
    if not _has_ranges(plain):  # such as tuple[int, ...] for tuple[Count, ...]
        plain = next((base for base in bases if _has_ranges(base) and _bare(base) == _bare(plain)), plain)
    for rule in rules:
        plain = Annotated[plain, rule]
    return plain


def _has_ranges(hint: Any) -> bool:
    return get_origin(hint) is Annotated or any(map(_has_ranges, get_args(hint)))


def _bare(hint: Any) -> Any:
    """Return an annotation without the ranges in it, for comparison."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    kind = Union if get_origin(hint) is types.UnionType else get_origin(hint)
    return (kind, *map(_bare, get_args(hint))) if get_args(hint) else hint


def _evaluated(hint: Any, globals_: Mapping[str, Any], locals_: Mapping[str, Any]) -> Any:
    if not isinstance(hint, str):
        return hint
    try:
        return eval(hint, dict(globals_), dict(locals_))  # what typing.get_type_hints does, one at a time
    except Exception:  # a name that only type checkers import
        return Any


def _fit(
    owner: str, expected: _Expected, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call, converted; raise ConfigurationError for what does not fit."""
    try:
        bound = expected.signature.bind(*args, **kwargs)
    except TypeError as error:
        raise ConfigurationError(_misfit(owner, expected, args, kwargs) or f"{owner}: {error}.") from None
    for name, parameter in expected.signature.parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name in bound.arguments:
            bound.arguments[name] = _fitted(owner, expected, name, bound.arguments[name])
        else:
            _fitted(owner, expected, name, parameter.default, default=True)
    return bound.args, bound.kwargs


def _misfit(owner: str, expected: _Expected, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """Return why a call does not fit a signature, in a sentence."""
    if isinstance(expected.thing, types.FunctionType) and [*expected.signature.parameters][:1] in (["self"], ["cls"]):
        _, *rest = expected.signature.parameters.values()
        signature = expected.signature.replace(parameters=rest)
        return _misfit(owner, expected._replace(signature=signature, thing=None), args[1:], kwargs)
    parameters = [p for p in expected.signature.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    names = [p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY]
    positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    for name in kwargs:
        if name not in names:
            elsewhere = getattr(expected.thing, "set_elsewhere", {}).get(name)
            return f"{owner} has no setting {name}. {f'Set {elsewhere}.' if elsewhere else nearest(name, names)}"
    given = {*positional[: len(args)], *kwargs}
    if len(args) > len(positional):
        extra = shown(args[len(positional)])
        free = next((name for name in names if name not in given), None)
        takes = f"at most {len(positional)}" if positional else "no"
        advice = f"; name it, as in {free}={extra}" if free else ""
        return f"{owner} expects {takes} argument{'s'[: len(positional) != 1]} without a name, got {extra}{advice}."
    twice = [name for name in positional[: len(args)] if name in kwargs]
    if twice:
        return f"{owner} expects {twice[0]} once, got it without a name and by its name."
    missing = [p.name for p in parameters if p.default is p.empty and p.name not in given]
    return f"{owner} expects {named(missing[0], expected.thing)}, got none; give it." if missing else None


def _fitted(owner: str, expected: _Expected, name: str, value: Any, *, default: bool = False) -> Any:
    """Return one argument, converted. A default may have another type than it declares, such as None."""
    hint = expected.hints[name]
    try:
        return convert(value, hint)
    except Refused as refused:
        if default and not isinstance(refused, OutOfRange):
            return value
        if not isinstance(refused, OutOfRange) and repr(value) == repr(expected.signature.parameters[name].default):
            return value  # "size: int = None", which older code writes, or NaN for no number
        wanted = f"{named(name, expected.thing)} to be {described(hint)}"
        raise ConfigurationError(
            f"{owner} expects {wanted}, got {shown(value)}{_advice(hint) or refused.args[0]}."
        ) from None


def _advice(hint: Any) -> str:
    """Return what an annotation, or one of several, advises."""
    parts = get_args(hint)
    texts = [part.text for part in parts if isinstance(part, Advice)]
    return f"; {texts[0]}" if texts else "".join(_advice(part) for part in parts if get_origin(part) is Annotated)
