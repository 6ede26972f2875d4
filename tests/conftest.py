"""What every test runs under; set before anything imports JAX, and inherited by the processes that tests start."""

import os
import signal
from pathlib import Path

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would all processes they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.update(
    {
        # The same two CPU devices on every machine: sharded and single-device results are compared everywhere.
        "EVOMETA_CPU_DEVICES": "2",
        # Programs compiled by one test, process or run serve the next.
        "JAX_COMPILATION_CACHE_DIR": os.environ.get("JAX_COMPILATION_CACHE_DIR")
        or str(Path(__file__).parents[1] / ".cache" / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
        "MPLBACKEND": "agg",
        # Compiling is most of what the tests do, and their programs are small: the least optimisation is the fastest,
        # and the emitters that fuse operations take another two fifths.
        "XLA_FLAGS": " ".join(
            (
                os.environ.get("XLA_FLAGS", ""),
                "--xla_backend_optimization_level=0",
                "--xla_cpu_use_fusion_emitters=false",
            )
        ).strip(),
    }
)
