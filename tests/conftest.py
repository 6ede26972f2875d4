"""What every test runs under; set before anything imports JAX, and inherited by the processes that tests start."""

import ctypes
import gc
import os
import signal
import sys
from pathlib import Path

import pytest

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would all processes they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):  # likewise under nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

FUSED = os.environ.get("EVOMETA_TEST_BITS") == "1"
"""Whether this run is that of the tests marked ``bits``."""

LONG = os.environ.get("EVOMETA_TEST_LONG") == "1"
"""Whether this run is that of the tests marked ``long``."""

os.environ.update(
    {
        # The same two CPU devices on every machine: sharded and single-device results are compared everywhere.
        "EVOMETA_CPU_DEVICES": "2",
        # Programs compiled by one test, process or run serve the next.
        "JAX_COMPILATION_CACHE_DIR": os.environ.get("JAX_COMPILATION_CACHE_DIR")
        or str(Path(__file__).parents[1] / ".cache" / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
        "MPLBACKEND": "agg",
        # Threads of scikit-learn that wait for each other burn the time of the other tests' processes.
        "OMP_NUM_THREADS": "1",
        # Compiling is most of what the tests do, and their programs are small: the least optimisation is the fastest,
        # a program in one piece is faster than in many for the cores that the tests leave none of, and the emitters
        # that fuse operations take another two fifths. Without those, arithmetic may differ by rounding between
        # programs for other sizes, so tests of equal bits have a run of their own with them.
        "XLA_FLAGS": " ".join(
            (
                os.environ.get("XLA_FLAGS", ""),
                "--xla_backend_optimization_level=0",
                "--xla_cpu_parallel_codegen_split_count=1",
                *(() if FUSED else ("--xla_cpu_use_fusion_emitters=false",)),
            )
        ).strip(),
    }
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests of equal bits where programs are not compiled for them, and those that take minutes."""
    for item in items:
        if not FUSED and item.get_closest_marker("bits"):
            item.add_marker(pytest.mark.skip("programs are compiled otherwise here; run with EVOMETA_TEST_BITS=1"))
        if not LONG and item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip("takes minutes; run it with make test-long"))


# Tracing makes objects by the hundred thousand that live until its end, and JAX collects its own garbage at each
# collection of Python's: fewer of them save a twentieth of the time.
gc.set_threshold(50_000, 20, 100)


def pytest_collection_finish() -> None:
    """Leave what was imported out of all collections."""
    gc.collect()
    gc.freeze()


_MOST_GROWTH = 2**30
_kept = 0


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Drop the programs and traces that JAX keeps for the whole process, each time it has grown by a gibibyte.

    They are of no use to the tests that follow, and would fill 5 GB.
    """
    global _kept
    if "jax" in sys.modules and _resident() > _kept + _MOST_GROWTH:
        sys.modules["jax"].clear_caches()
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # glibc keeps what was freed between blocks that live on
        _kept = _resident()


def _resident() -> int:
    """Return the bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
