"""What this process may use of its machine: the cores and the memory of its container.

A container (Docker, Kubernetes, a batch system) sees all cores of its machine, and is slowed down or killed when it
uses more than its control group allows. Both versions of control groups are read, each at the group of this process
and at all groups around it.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

_NO_LIMIT = 2**60
"""Bytes from which on version 1 means no limit."""


def cpu_cores(root: Path = Path("/")) -> int:
    """Return the number of CPU cores available to this process: those it may run on, or its CPU quota where lower.

    A quota of 1.5 cores counts as 2.

    Args:
        root: the folder that holds ``proc``, for tests.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(root)
    return max(1, min(cores, math.ceil(quota))) if math.isfinite(quota) else cores


def cpu_quota(root: Path = Path("/")) -> float:
    """Return the cores that the control groups of this process allow, infinity without a quota."""
    quotas = [math.inf]
    for version, group in _groups(root, "cpu"):
        if version == 2:
            quota, period = [*_words(group / "cpu.max"), "max", "100000"][:2]
        else:
            quota, period = ((_words(group / f"cpu.cfs_{name}_us") or ["-1"])[0] for name in ("quota", "period"))
        if _is_positive(quota) and _is_positive(period):
            quotas.append(int(quota) / int(period))
    return min(quotas)


def machine_memory(root: Path = Path("/")) -> int:
    """Return the bytes of memory that this process can have at most: the machine's, or its container's where lower."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for version, group in _groups(root, "memory"):
        words = _words(group / ("memory.max" if version == 2 else "memory.limit_in_bytes"))
        if words and _is_positive(words[0]) and int(words[0]) < _NO_LIMIT:
            limits.append(int(words[0]))
    return min(limits)


def out_of_memory_kills(root: Path = Path("/")) -> int:
    """Return how many processes the system has killed since it started because memory ran out, 0 where it is silent."""
    counts = [line.split()[1] for line in _lines(root / "proc/vmstat") if line.startswith("oom_kill ")]
    return int(counts[0]) if counts else 0


def _groups(root: Path, controller: str) -> Iterator[tuple[int, Path]]:
    """Yield version and folder of the control groups of this process that govern a resource, innermost first."""
    places: dict[str, tuple[int, str]] = {}
    for line in _lines(root / "proc/self/cgroup"):
        number, names, path = [*line.split(":", 2), "", ""][:3]
        if number == "0" and not names:
            places["cgroup2"] = 2, path
        elif controller in names.split(","):
            places["cgroup"] = 1, path
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        kind, options = after.split()[:1], after.split()[2:]
        if len(before.split()) < 5 or not kind or kind[0] not in places:
            continue
        if kind[0] == "cgroup" and controller not in ",".join(options).split(","):
            continue
        version, path = places[kind[0]]
        inside, mount = before.split()[3:5]
        top = root / mount.lstrip("/")
        # A container that does not see the groups above it has its own mounted in their place.
        within = path[len(inside.rstrip("/")) :] if path.startswith(inside) else "/"
        folder = top / within.strip("/")
        while folder != top and folder.is_relative_to(top):
            yield version, folder
            folder = folder.parent
        yield version, top


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _words(file: Path) -> list[str]:
    return " ".join(_lines(file)).split()


def _is_positive(text: str) -> bool:
    return text.isdecimal() and int(text) > 0
