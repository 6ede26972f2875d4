"""What a setting means, from the docstrings around it."""

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator
from typing import Any

_LONGEST = 100
"""Characters of a meaning that still reads well in the middle of a sentence."""


def named(name: str, owner: Any) -> str:
    """Return a setting's name and, in parentheses, what the docstrings of its class or function say about it."""
    for text in _texts(name, owner):
        words = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`|``", r"\1", " ".join(text.split()))
        words = re.split(r"[.;:](?:\s|$)| \(", words)[0].strip()
        words = words[:1].lower() + words[1:] if words[1:2].islower() else words
        return f"{name} ({words})" if 0 < len(words) <= _LONGEST else name
    return name


def _texts(name: str, owner: Any) -> Iterator[str]:
    classes = owner.__mro__ if isinstance(owner, type) else ()
    for thing in (*classes, *(vars(cls).get("__init__") for cls in classes), owner):
        entry = rf"^ *\**{name}: (.+?)(?=^ *\**\w+: |^\s*$|\Z)"
        yield from re.findall(entry, getattr(thing, "__doc__", None) or "", re.DOTALL | re.MULTILINE)[:1]
    for cls in classes:
        if name in inspect.get_annotations(cls):
            yield from _below_field(name, cls)


def _below_field(name: str, cls: type) -> Iterator[str]:
    """Yield the string that stands below a field in its class."""
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    except (OSError, TypeError, SyntaxError):  # typed into a session, or not there
        return
    lines = getattr(body, "body", [])
    for line, following in itertools.pairwise(lines):
        match line, following:
            case ast.AnnAssign(target=ast.Name(id=found)), ast.Expr(value=ast.Constant(value=str(text))):
                if found == name:
                    yield text
