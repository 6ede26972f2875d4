"""One JAX device for each CPU core.

By default JAX sees a whole CPU as one device, and a program of many small learners keeps little of it busy. With one
device a core the engine shards the population over the cores. The number has to be asked for before JAX's backend
starts, so ``import evometa`` does it. A user's own choice is left alone:

1. a JAX backend that runs already, ``jax_num_cpu_devices`` (set in code or as ``JAX_NUM_CPU_DEVICES``), or
   ``--xla_force_host_platform_device_count`` in ``XLA_FLAGS``;
2. the environment variable ``EVOMETA_CPU_DEVICES``: how many devices to ask for, 1 to leave JAX as it is.
"""

import os

import jax

from evometa.errors import ConfigurationError

VARIABLE = "EVOMETA_CPU_DEVICES"
"""Environment variable that says how many CPU devices to ask for."""


def cpu_cores() -> int:
    """Return the number of CPU cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def request_cpu_devices() -> None:
    """Ask JAX for one CPU device a core, or for the number the environment says, unless the user chose already.

    Raises:
        ConfigurationError: ``EVOMETA_CPU_DEVICES`` is not a whole number of at least 1.
    """
    count = _wanted()
    chosen = jax.config.jax_num_cpu_devices != -1  # type: ignore[attr-defined]  # -1: JAX's default, nobody asked
    if count == 1 or chosen or "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:  # the backend runs already, with the devices it has
        return


def _wanted() -> int:
    given = os.environ.get(VARIABLE)
    if given is None:
        return cpu_cores()
    if not (given.isascii() and given.isdecimal() and int(given) >= 1):
        raise ConfigurationError(
            f"{VARIABLE} expects a whole number of at least 1, the CPU devices to ask JAX for, got {given!r}; "
            "unset it for one device a core."
        )
    return int(given)
