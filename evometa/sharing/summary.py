"""A run in names and values: its settings, its progress, what it found."""

import math
from pathlib import Path
from typing import Any

from evometa.errors import RunDirectoryError
from evometa.naming.words import call_in_words
from evometa.search.progress import duration, short


def settings(directory: Path) -> list[tuple[str, str]]:
    """Return the settings of a run as names and values, from its manifest."""
    from evometa.search.start import in_words
    from evometa.storage.manifest import read_manifest

    manifest = read_manifest(directory)
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    rows = [
        ("problem", call_in_words(manifest.problem)),
        ("strategy", call_in_words(manifest.strategy)),
        ("seed", f"{manifest.seed}"),
    ]
    rows += [(name.replace("_", " "), f"{value}") for name, value in manifest.options.items()]
    rows += [("start", in_words(manifest.start))] if manifest.start is not None else []
    rows += [
        ("changed", f"at generation {change['generation']:,}: {change['part']}, before {_former(change)}")
        for change in manifest.changes
    ]
    rows += [("created", manifest.created), ("git commit", manifest.git_commit or "none"), ("versions", versions)]
    return rows


def progress(directory: Path) -> list[tuple[str, str]]:
    """Return the progress of a run as names and values, from its history and newest checkpoint."""
    import numpy as np

    from evometa.storage import checkpoint, failures, history

    kinds = failures.counts(failures.read(directory))
    shown = "; ".join(f"{count:,} x {kind}" for kind, count in list(kinds.items())[:3])
    more = f"; {len(kinds) - 3} more kinds" if len(kinds) > 3 else ""
    failing = [("failures", f"{shown}{more} (tracebacks in {failures.FAILURES})")] if kinds else []
    try:
        run = history.read(directory)
    except RunDirectoryError:
        return [("generations", "none yet"), *failing]
    if not len(run):
        return [("generations", "none yet"), *failing]
    rows = [("generations", f"{run['generation'][-1]:,}"), ("evaluations", short(run["evaluations"][-1]))]
    rows += [("inner steps", short(run["inner_steps"][-1]))] if run["inner_steps"][-1] else []
    rows += [("seconds", duration(run.seconds[-1])), ("failed", f"{run['failed'].sum():,} candidates")]
    rows += failing
    saved = checkpoint.progress(directory)
    averaged = saved.get("center_tasks", 0) if saved else 0
    for name, label in (("best_so_far", "best"), ("median", "median"), ("center", "center"), ("held_out", "held-out")):
        known = np.flatnonzero(np.isfinite(run[name]))
        if known.size:
            at = known[-1]
            if name == "best_so_far":  # the generation in which it was found
                at = np.flatnonzero(run[name] == run[name][at])[0]
            of = f", {averaged:,} task{'s' * (averaged > 1)}" if averaged and name in ("center", "held_out") else ""
            rows.append((label, f"{run[name][at]:.6g} (generation {run['generation'][at]:,}{of})"))
    rows += selected(directory)
    rows.append(("checkpoint", f"generation {saved['generation']:,}" if saved else "none"))
    if saved and saved.get("stop_reason"):
        rows.append(("stopped", str(saved["stop_reason"])))
    return rows


def selected(directory: Path) -> list[tuple[str, str]]:
    """Return the direction of a run and the fitness of its selected candidate, as names and values, where known."""
    from evometa.storage import result_file

    numbers = result_file.numbers(directory)
    if numbers is None:
        return []
    tasks = numbers["selection_tasks"]
    of = f"{tasks:,} " if tasks else ""
    known = {
        f"on {of}fresh task{'s' * (tasks != 1)}": numbers["selected_fitness"],
        "held-out": numbers["selected_held_out"],
    }
    words = [f"{value:.6g} {name}" for name, value in known.items() if math.isfinite(value)]
    rows = [("selected", f"{', '.join(words)} (generation {numbers['generations']:,})")] if words else []
    text = result_file.found_text(directory)
    rows += [("found", text)] if text else []
    spent = f"{short(numbers['validation_evaluations'])} evaluations"
    if numbers["best_feasible"] is not None:
        rows.append(("constraints", constraints_in_words(numbers["best_feasible"])))
    return [("direction", numbers["direction"]), *rows, ("validation", spent)]


def constraints_in_words(feasible: bool) -> str:
    """Return whether the best of a search keeps the constraints, in words."""
    return "kept by the best" if feasible else "violated by every candidate; best_omega violates them least"


def _former(change: dict[str, Any]) -> str:
    before = change["before"]
    if change["part"] in ("problem", "strategy"):
        return call_in_words(before)
    return str(change.get("file", before))
