"""JAX's persistent compilation cache, on by default for searches: a program compiled once is loaded the next time.

A search uses the folder ``evometa/jax`` in the user's cache directory (``$XDG_CACHE_HOME``, by default ``~/.cache``),
unless the user has decided already: with ``JAX_COMPILATION_CACHE_DIR`` or ``jax_compilation_cache_dir`` for another
folder, or with ``JAX_ENABLE_COMPILATION_CACHE=false`` for none.
"""

import hashlib
import os
import platform
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

MOST_BYTES = 2**30
"""The size up to which the folder may grow; the programs that were not used for longest go first."""


def use_compilation_cache() -> None:
    """Have JAX keep compiled programs in the user's cache directory, unless the user decided or it is not usable."""
    if jax.config.jax_compilation_cache_dir or not jax.config.jax_enable_compilation_cache:  # type: ignore[attr-defined]
        return
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return  # without a home or in a read-only one, searches compile each time
    if not os.access(folder, os.W_OK):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    if jax.config.jax_compilation_cache_max_size == -1:  # type: ignore[attr-defined]  # JAX's default, no limit
        jax.config.update("jax_compilation_cache_max_size", MOST_BYTES)
    compilation_cache.reset_cache()  # JAX decides at the first compilation whether there is a cache, which may be over


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
