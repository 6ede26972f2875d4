"""What a setting means, from the docstrings around it."""

import ast
import functools
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
        words = re.split(r"[.;:](?:\s|$)|,? (?:in )?\(", words)[0].strip()
        words = words[:1].lower() + words[1:] if words[1:2].islower() else words
        return f"{name} ({words})" if 0 < len(words) <= _LONGEST and words != "none" else name
    return name


def _texts(name: str, owner: Any) -> Iterator[str]:
    classes = owner.__mro__ if isinstance(owner, type) else ()
    for thing in (*classes, *(vars(cls).get("__init__") for cls in classes), owner):
        entry = rf"^ *\**{name}: (.+?)(?=^ *\**\w+: |^\s*$|\Z)"
        yield from re.findall(entry, getattr(thing, "__doc__", None) or "", re.DOTALL | re.MULTILINE)[:1]
    for cls in classes:
        if name in inspect.get_annotations(cls) and name in (texts := _below_fields(cls)):
            yield texts[name]


@functools.lru_cache(maxsize=256)  # reading a class takes milliseconds
def _below_fields(cls: type) -> dict[str, str]:
    """Return the strings that stand below fields in their class."""
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    except (OSError, TypeError, SyntaxError):  # typed into a session, or not there
        return {}
    texts = {}
    for pair in itertools.pairwise(getattr(body, "body", [])):
        match pair:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                texts[name] = text
    return texts
