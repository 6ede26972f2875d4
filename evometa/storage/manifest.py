"""``manifest.json``: what a run searches, with what, and what was changed when it was resumed.

It holds problem and strategy with all their fields, the seed, the options that the results depend on, the digests of
the user's files, and versions. A field that a later version added has a default, so older manifests are read.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from evometa import naming
from evometa.errors import RunDirectoryError, warn
from evometa.problem import BaseProblem

MANIFEST = "manifest.json"
SCHEMA_VERSION = 1
_DIGEST = "digest"
"""Of all other fields, by which an edit is noticed; missing in manifests of older versions."""
_PACKAGES = ("evometa", "jax", "jaxlib", "numpy", "optax", "flax", "evosax", "orbax-checkpoint")


class Manifest(NamedTuple):
    """What was run; the content of ``manifest.json``."""

    problem: dict[str, Any]
    """The problem as :func:`evometa.naming.describe` gives it."""
    strategy: dict[str, Any]
    """The strategy, likewise."""
    seed: int
    options: dict[str, Any]
    """The search's options that its results depend on."""
    sources: dict[str, Any]
    """Path and digest of each user's file that defines the problem or strategy."""
    versions: dict[str, str]
    """Versions of evometa and its main dependencies."""
    git_commit: str | None
    """The commit of the folder the run was started in, if it is under git."""
    created: str
    """Local time, ISO 8601."""
    schema_version: int = SCHEMA_VERSION
    direction: str | None = None
    """The problem's direction; None in manifests of older versions."""
    random: dict[str, Any] | None = None
    """How JAX makes random numbers; likewise."""
    changes: tuple[dict[str, Any], ...] = ()
    """What was changed when the run was resumed, each with the ``generation`` after which it holds, the ``part`` of the
    manifest, and the value ``before``."""
    initial: list[Any] | None = None
    """The genotypes of the initial points that the search was given: each leaf, ``[K, ...]``, as nested lists."""
    start: dict[str, Any] | None = None
    """Where these come from, and that the best is known to be the first; None for points of which nothing is known."""

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        content = self._asdict()
        return json.dumps(content | {_DIGEST: _digest_of(content)}, indent=2).encode() + b"\n"


def describe_run(
    problem: Any,
    strategy: Any,
    seed: int,
    options: dict[str, Any],
    initial: list[Any] | None = None,
    start: dict[str, Any] | None = None,
) -> Manifest:
    """Return the manifest of a new run."""
    return Manifest(
        problem=naming.describe(problem),
        strategy=naming.describe(strategy),
        seed=seed,
        options=options,
        sources={reference: found for reference, found in map(_source, (problem, strategy)) if found}
        | data_of(problem),
        versions={name: importlib.metadata.version(name) for name in _PACKAGES},
        git_commit=_git_commit(),
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        direction=problem.direction,
        random=random_numbers(),
        initial=initial,
        start=start,
    )


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a run.

    Raises:
        RunDirectoryError: there is none, it cannot be read, or it was written by another schema.
    """
    path = Path(path).expanduser()
    try:
        content = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        version = content["schema_version"]
    except (OSError, ValueError, KeyError, TypeError):
        within = next((f", such as {run.parent}" for run in sorted(path.glob(f"*/{MANIFEST}"))), "")
        raise RunDirectoryError(
            f"{path} was expected to be a run directory with a readable {MANIFEST}; give the folder of a run{within}."
        ) from None
    if version != SCHEMA_VERSION:
        raise RunDirectoryError(
            f"{path / MANIFEST} has schema version {version}, and this version of evometa reads {SCHEMA_VERSION}; "
            f"use the version that wrote it, evometa {content.get('versions', {}).get('evometa', 'unknown')}."
        )
    missing = [name for name in Manifest._fields if name not in content and name not in Manifest._field_defaults]
    if missing:
        raise RunDirectoryError(f"{path / MANIFEST} lacks {', '.join(missing)}; restore the file from a copy.")
    wrong = next((name for name, is_so in _FORMS.items() if name in content and not is_so(content[name])), None)
    if wrong is not None:
        raise RunDirectoryError(
            f"{path / MANIFEST} was expected to hold {wrong} as evometa wrote it, got {content[wrong]!r:.100}; undo "
            "the edit, or restore the file from a copy."
        )
    known = {name: content[name] for name in Manifest._fields if name in content}
    return Manifest(**known)._replace(changes=tuple(content.get("changes", ())))


def warn_of_edit(path: Path) -> None:
    """Warn where the manifest of a run was changed by something else than evometa."""
    with contextlib.suppress(OSError, ValueError):
        content = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        if content.pop(_DIGEST, None) not in (None, _digest_of(content)):
            warn(
                f"{path / MANIFEST} was edited since evometa wrote it, so the run continues with what it says now, and "
                "its history may be that of no single search; undo the edit, or give Search.resume another problem or "
                "strategy, which is recorded.",
            )


def _digest_of(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _is_described(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str)


def _is_change(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and {"generation", "part", "before"} <= value.keys()
        and isinstance(value["generation"], int)
    )


def _is_source(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), str) for name in ("file", "sha256"))


_FORMS: dict[str, Callable[[Any], bool]] = {
    "problem": _is_described,
    "strategy": _is_described,
    "seed": lambda value: type(value) is int,
    "options": lambda value: isinstance(value, dict),
    "sources": lambda value: isinstance(value, dict) and all(map(_is_source, value.values())),
    "versions": lambda value: isinstance(value, dict),
    "direction": lambda value: value in (None, "minimize", "maximize"),
    "random": lambda value: value is None or isinstance(value, dict),
    "changes": lambda value: isinstance(value, list) and all(map(_is_change, value)),
    "initial": lambda value: value is None or isinstance(value, list),
    "start": lambda value: value is None or isinstance(value, dict),
}
"""Whether fields of a manifest have the form that evometa gives them; the values are checked where they are used."""


def data_of(problem: BaseProblem) -> dict[str, dict[str, str]]:
    """Return path and digest of each file that a problem reads, by its name; files that cannot be read are left out."""
    found = {}
    for file in map(Path, problem.data_files):
        with contextlib.suppress(OSError):
            found[file.name] = {"file": os.path.abspath(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    return found


def warn_of_changed_data(manifest: Manifest, problem: BaseProblem) -> None:
    """Warn of each file that the problem of a run reads and that has changed since the run began."""
    for name, now in data_of(problem).items():
        if manifest.sources.get(name, now)["sha256"] != now["sha256"]:
            warn(
                f"{now['file']} has changed since the run began, so what is computed from it, such as the slope and "
                "intercept of a formula, is not what the run found; restore the file, or resume the run.",
            )


def _source(thing: Any) -> tuple[str, dict[str, Any] | None]:
    return naming.reference(type(thing)), naming.fingerprint(type(thing))


def random_numbers() -> dict[str, Any]:
    """Return the settings of JAX that decide which numbers follow from a key."""
    return {
        "implementation": str(jax.config.jax_default_prng_impl),  # type: ignore[attr-defined]
        "partitionable": bool(getattr(jax.config, "jax_threefry_partitionable", True)),
    }


def _git_commit() -> str | None:
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
