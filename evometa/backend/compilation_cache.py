"""JAX's persistent compilation cache, on by default for searches: a program compiled once is loaded the next time.

A search uses the folder ``evometa/jax`` in the user's cache directory (``$XDG_CACHE_HOME``, by default ``~/.cache``),
unless the user has decided already: with ``JAX_COMPILATION_CACHE_DIR`` or ``jax_compilation_cache_dir`` for another
folder, or with ``JAX_ENABLE_COMPILATION_CACHE=false`` for none.
"""

import contextlib
import functools
import hashlib
import importlib
import os
import platform
import time
import zlib
from pathlib import Path
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

MOST_BYTES = 2**30
"""The size up to which the folder may grow; the programs that were not used for longest go first."""

MOST_CHECKED = 64
"""New entries that a process checks at most, the newest first, so that a search begins without delay."""

_ZSTANDARD = b"\x28\xb5\x2f\xfd"


def use_compilation_cache() -> None:
    """Have JAX keep compiled programs in the user's cache directory, unless the user decided or it is not usable."""
    if not jax.config.jax_enable_compilation_cache:  # type: ignore[attr-defined]
        return
    if chosen := jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
        remove_cut_entries(Path(chosen))
        return
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return  # without a home or in a read-only one, searches compile each time
    if not os.access(folder, os.W_OK):
        return
    remove_cut_entries(folder)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    if jax.config.jax_compilation_cache_max_size == -1:  # type: ignore[attr-defined]  # JAX's default, no limit
        jax.config.update("jax_compilation_cache_max_size", MOST_BYTES)
    compilation_cache.reset_cache()  # JAX decides at the first compilation whether there is a cache, which may be over


@functools.cache
def remove_cut_entries(folder: Path) -> None:
    """Remove entries that a process began to write before it was killed, once a process.

    JAX replaces no entry: it would warn and compile each time. An entry that was found whole is not read again: those
    older than the time of a file ``.checked`` are.
    """
    marker, now = folder / ".checked", time.time_ns()
    with contextlib.suppress(OSError):
        since = marker.stat().st_mtime_ns if marker.exists() else 0
        written = [(entry.stat().st_mtime_ns, entry) for entry in folder.glob("*-cache")]
        unchecked = sorted((entry for entry in written if entry[0] >= since), reverse=True)
        for _, entry in unchecked[:MOST_CHECKED]:
            if not _whole(entry.read_bytes()):
                entry.unlink()
        if unchecked:
            marker.touch()
            os.utime(marker, ns=(now, now))


def _whole(entry: bytes) -> bool:
    """Return whether compressed bytes are complete, as far as they are of the kind that JAX writes by default."""
    if entry.startswith(_ZSTANDARD):
        try:
            zstandard: Any = importlib.import_module("zstandard")  # JAX compresses with it where it is installed
        except ImportError:
            return True
        unpacked: Any = zstandard.ZstdDecompressor().decompressobj()
        error: type[Exception] = zstandard.ZstdError
    else:
        unpacked, error = zlib.decompressobj(), zlib.error
    try:
        unpacked.decompress(entry)
    except error:
        return False
    return bool(unpacked.eof)


def cache_folder() -> Path:
    """Return the folder, one for each kind of processor: a home may be shared, and programs are compiled for one."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "evometa" / "jax" / f"{platform.machine() or 'unknown'}-{_processor()}"


def _processor() -> str:
    """Return a digest of what the processor can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        words = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        words = platform.processor()
    return hashlib.sha256(words.encode()).hexdigest()[:8]
