"""Runs that differ in their seeds only, grouped under a label that says in what the groups differ."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evometa.errors import ConfigurationError
from evometa.naming import without_modules
from evometa.naming.words import short_name, value_in_words
from evometa.storage.manifest import Manifest, read_manifest


def groups(directories: Sequence[Path], labels: Sequence[str] = ()) -> dict[str, list[Path]]:
    """Group runs under labels: given ones, or names of their strategies with the settings in which runs differ.

    A setting that another strategy lacks is no difference: only runs of the same class are compared in its settings.

    Raises:
        ConfigurationError: labels were given, and not one for each directory.
    """
    if labels and len(labels) != len(directories):
        raise ConfigurationError(
            f"--label expects a label for each of the {len(directories)} run directories, got {len(labels)}."
        )
    settings = {path: _flat_settings(read_manifest(path)) for path in directories}
    differing = set()
    for key in {key for flat in settings.values() for key in flat}:
        if len({json.dumps(flat[key]) for flat in settings.values() if key in flat}) > 1:
            differing.add(key)
    labelled: dict[str, list[Path]] = {}
    for number, (path, flat) in enumerate(settings.items()):
        label = labels[number] if labels else _label(flat, differing)
        labelled.setdefault(label, []).append(path)
    return labelled


def _flat_settings(manifest: Manifest) -> dict[tuple[str, ...], Any]:
    """Return the settings of a run, each under a key with the class that it belongs to."""
    flat: dict[tuple[str, ...], Any] = {}
    for role, description in (("problem", manifest.problem), ("strategy", manifest.strategy)):
        thing = without_modules(description)
        flat[role,] = thing["type"]
        flat |= {(role, thing["type"], name): value for name, value in thing["fields"].items()}
    return flat | {("option", flat["problem",], name): value for name, value in manifest.options.items()}


def _label(settings: dict[tuple[str, ...], Any], differing: set[tuple[str, ...]]) -> str:
    names = [
        short_name(settings[role,]) for role in ("problem", "strategy") if role == "strategy" or (role,) in differing
    ]
    fields = [
        f"{key[-1]}={value_in_words(value)}" for key, value in settings.items() if key in differing and len(key) > 1
    ]
    return " ".join([*names, *fields])
