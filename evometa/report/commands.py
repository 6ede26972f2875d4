"""The commands that repeat and resume a run."""

import dataclasses
import shlex
from pathlib import Path
from typing import Any

from evometa import naming
from evometa.errors import EvometaError
from evometa.naming.words import kebab, short_name, value_in_words
from evometa.objectives import Objective, write_objective
from evometa.storage.manifest import Manifest


def resume_command(directory: Path, generations: int) -> str:
    """Return the command that continues a run to twice its generations."""
    return f"evometa resume {shlex.quote(str(directory))} --generations {max(2 * generations, 1)}"


def repeat_command(manifest: Manifest, generations: int) -> str:
    """Return the command that runs a search again; Python where the command line cannot say all of it.

    Args:
        manifest: that of the run.
        generations: how many the run has.
    """
    try:
        words = _words(manifest)
    except (EvometaError, _NotOnCommandLine):
        return _in_python(manifest, generations)
    start = manifest.start or {}
    if manifest.initial is not None and "run" not in start:  # points that the user gave
        return _in_python(manifest, generations)
    words += [f"--start={start['run']}", "--start-part", start["part"]] if start else []
    options = {**manifest.options, "seed": manifest.seed, "generations": max(generations, 1)}
    for name, value in options.items():
        flag = f"--{kebab_field(name)}"
        words += _option(flag, f"--no-{kebab_field(name)}", value, value)
    return shlex.join(["evometa", "run", *words])


class _NotOnCommandLine(Exception):
    """A setting that no option can hold."""


def _words(manifest: Manifest) -> list[str]:
    """Return problem and strategy as words of the command line."""
    words = []
    for role, flag in (("problem", []), ("strategy", ["--strategy"])):
        description = getattr(manifest, role)
        thing: Any = naming.rebuild(description)
        reference = description["type"]
        words += [*flag, short_name(reference) if reference.startswith("evometa.") else reference]
        default = _defaults(type(thing))
        for field, value in description["fields"].items():
            actual = getattr(thing, field)
            if field not in default or default[field] != actual:
                words += _option(f"--{role}.{kebab_field(field)}", f"--{role}.no-{kebab_field(field)}", actual, value)
    return words


def _defaults(cls: type[Any]) -> dict[str, Any]:
    try:
        thing = cls()
    except EvometaError:  # a class that needs a setting
        known = {field.name: field.default for field in dataclasses.fields(cls)}
        return {name: value for name, value in known.items() if value is not dataclasses.MISSING}
    return dict(vars(thing))


def _option(flag: str, negated: str, actual: Any, written: Any) -> list[str]:
    """Return an option as words.

    Args:
        flag: its name.
        negated: its name for False.
        actual: the value.
        written: the value as the manifest has it.
    """
    if isinstance(actual, Objective):
        return [flag, write_objective(actual)]
    if isinstance(actual, bool):
        return [flag if actual else negated]
    if hasattr(actual, "as_word"):
        return [flag, actual.as_word()]
    if isinstance(actual, Path):
        return [flag, str(actual)]
    if isinstance(written, list) and all(isinstance(part, str | int | float) for part in written) and written:
        return [flag, *map(_plain, written)]
    if isinstance(written, str | int | float) or written is None:
        return [flag, _plain(written)]
    raise _NotOnCommandLine(flag)


def _plain(value: Any) -> str:
    return "None" if value is None else str(value)


def kebab_field(name: str) -> str:
    """Return the name of a field as an option has it."""
    return kebab(name).replace("_", "-")


def _in_python(manifest: Manifest, generations: int) -> str:
    problem, strategy = map(value_in_words, (manifest.problem, manifest.strategy))
    module = manifest.problem["type"].partition(":")[0]
    kinds = {"halving": "em.Halving", "pruning": "em.Pruning"}
    rules = [f", {name}={kinds[name]}.from_word({word!r})" for name, word in manifest.options.items() if name in kinds]
    rules += [", asynchronous=True"] if manifest.options.get("asynchronous") else []
    if manifest.start is not None and "run" in manifest.start:
        rules.append(f", start=em.Start({manifest.start['run']!r}, {manifest.start['part']!r})")
    elif manifest.initial is not None:
        rules.append(", start=...")  # the points that it was given
    return (
        f"import evometa as em  # the problem's class is in {module}\n\n"
        f"search = em.Search({problem}, em.strategies.{strategy}, seed={manifest.seed}{''.join(rules)})\n"
        f"search.run(generations={max(generations, 1)})"
    )
