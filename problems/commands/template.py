"""A command line with parameters in braces, as in ``train.py --lr {lr}``, and the words that values make of it."""

import os
import re
import shlex
import string
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evometa.errors import ConfigurationError, nearest
from evometa.problems.commands.space_file import as_text

Piece = tuple[str, str | None, str]
"""Text, and the parameter that follows it with its format; None for the parameter where none does."""

_OPERATORS = ("|", "||", "&", "&&", ";", "<", "<<", "<<<")
_PATH = re.compile(r"(?<![^\s=;|&(])[\w./~+-]+(?![^\s;|&)])")


def pieces(text: str, known: Collection[str]) -> list[Piece]:
    """Return the pieces of a text with parameters in braces, as in ``str.format``; ``{{`` is one brace.

    Raises:
        ConfigurationError: a brace without its other one, or a name that is not known.
    """
    braces = "write {{ and }} for braces that are no parameter"
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ConfigurationError(
            f"A command expects its parameters in braces, as in '--lr {{lr}}', got {text!r}: "
            f"{str(error).lower()}; {braces}."
        ) from None
    found: list[Piece] = []
    for literal, name, form, conversion in parsed:
        if name is not None and name not in known:
            raise ConfigurationError(
                f"The command names {{{name}}}, which is no parameter of the space; {braces}. {nearest(name, known)}"
            )
        if conversion:
            raise ConfigurationError(f"A command expects no conversion in {{{name}!{conversion}}}; leave it out.")
        found.append((literal, name, form or ""))
    return found


def split(command: str | Sequence[str]) -> list[str]:
    """Return the words of a command as a shell would split it, with quotes and backslashes.

    Raises:
        ConfigurationError: a quote that is not closed, or no word.
    """
    try:
        words = shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError as error:
        raise ConfigurationError(
            f"A command expects each quote to be closed, got {command!r}: {str(error).lower()}; close it."
        ) from None
    if not words or not words[0]:
        raise ConfigurationError(f"A command expects the program first, as in 'python train.py', got {command!r}.")
    unquoted = shlex.split(command, posix=False) if isinstance(command, str) else []
    for word in unquoted:
        if word in _OPERATORS or re.fullmatch(r"\d?>>?(&\d)?", word):
            raise ConfigurationError(
                f"The command has {word!r}, which only a shell understands; say shell=True (--shell), or put the word "
                "into quotes."
            )
    if "=" in words[0].split("/")[0]:
        raise ConfigurationError(
            f"A command expects the program first, got {words[0]!r}; set variables by environment "
            "(--environment NAME=VALUE), or say shell=True (--shell)."
        )
    return words


def named(texts: Sequence[str], known: Collection[str]) -> set[str]:
    """Return the parameters that texts name."""
    return {name for text in texts for _, name, _ in pieces(text, known) if name is not None}


def require_all_used(used: Collection[str], parameters: Sequence[str]) -> None:
    """Raise ConfigurationError where a parameter is searched that the program is not told."""
    missing = [name for name in parameters if name not in used]
    if missing and "parameters" not in used:
        raise ConfigurationError(
            f"The command does not name {', '.join(missing)}, so the program would not be told; put {{{missing[0]}}} "
            "where its value goes, or {parameters} for the path of a JSON file with all values."
        )


def filled(text: str, known: Collection[str], values: Mapping[str, Any], quote: Any = str) -> str | None:
    """Return a text with the values of its parameters; None where one of them has none, as inactive ones have."""
    parts = []
    for literal, name, form in pieces(text, known):
        parts.append(literal)
        if name is not None:
            if name not in values:
                return None
            try:
                parts.append(quote(format(values[name], form) if form else as_text(values[name])))
            except (TypeError, ValueError) as error:
                raise ConfigurationError(
                    f"The command gives {{{name}:{form}}}, a format that its value {values[name]!r} does not take: "
                    f"{error}; see Python's format specifications."
                ) from None
    return "".join(parts)


def words_with(words: Sequence[str], known: Collection[str], values: Mapping[str, Any]) -> list[str]:
    """Return words with their values; a parameter without one takes its word, and the option before it, away."""
    found: list[str] = []
    for word in words:
        whole = filled(word, known, values)
        if whole is not None:
            found.append(whole)
        elif re.fullmatch(r"\{[^{}]*\}", word) and len(found) > 1 and re.fullmatch(r"--?[\w-]+", found[-1]):
            found.pop()
    return found


def found_from(words: Sequence[str], folder: Path) -> list[str]:
    """Return words in which paths that exist in a folder are absolute, since the program runs in another one.

    These are files, and folders that are written with a slash, as words of their own or after ``=``. The program itself
    is looked for as a shell does: a name without a slash on the path alone.
    """
    return [_absolute(word, folder, program=place == 0) for place, word in enumerate(words)]


def _absolute(word: str, folder: Path, *, program: bool = False) -> str:
    head, mark, path = word.rpartition("=") if "=" in word and not program else ("", "", word)
    if not path or "{" in path or "\0" in path or path.startswith(("/", "-")) or (program and "/" not in path):
        return word
    if path.startswith("~/"):
        return f"{head}{mark}{_braces(os.path.expanduser(path))}"
    try:
        there = (folder / path).is_file() or ("/" in path and (folder / path).is_dir())
    except OSError:  # a name too long for one
        return word
    return f"{head}{mark}{_braces(str(folder / path))}" if there else word


def _braces(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def shell_found_from(text: str, folder: Path) -> str:
    """Return a shell's text in which paths that exist in a folder are absolute, but where output goes to them."""

    def replaced(match: re.Match[str]) -> str:
        if re.search(r">\s*$", text[: match.start()]):
            return match[0]
        absolute = _absolute(match[0], folder)
        return match[0] if absolute == match[0] else shlex.quote(absolute)

    return _PATH.sub(replaced, text)


def require_unquoted(text: str, known: Collection[str], special: Mapping[str, str]) -> None:
    """Raise ConfigurationError where a shell's text has a parameter within quotes whose values need quotes themselves.

    Args:
        text: the shell's text.
        known: the names that it may have in braces.
        special: a value that needs quotes, by parameter.
    """
    before = ""
    for literal, name, _ in pieces(text, known):
        before += literal
        if name is not None and name in special and _open_quote(before):
            raise ConfigurationError(
                f"The command has {{{name}}} within quotes; its values, such as {special[name]!r}, are quoted for the "
                "shell already: write it outside of the quotes."
            )
        before += "" if name is None else "x"


def _open_quote(text: str) -> str:
    """Return the quote that is open at the end of a shell's text; empty where none is."""
    quote, characters = "", iter(text)
    for character in characters:
        if character == "\\" and quote != "'":
            next(characters, None)
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
    return quote


def special_texts(texts: Iterator[tuple[str, str]]) -> dict[str, str]:
    """Return a value that a shell needs quoted, by the parameter that may have it."""
    return {name: text for name, text in texts if shlex.quote(text) != text}
