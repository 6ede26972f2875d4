"""One JAX device for each CPU core.

By default JAX treats a CPU as one device, and a program of many small learners uses few of its cores. With one device
per core the engine shards the population over the cores. The number of devices must be set before JAX's backend starts,
so ``import evometa`` does it, unless the user has decided already:

1. if a JAX backend is running, if ``jax_num_cpu_devices`` is set (in code or as ``JAX_NUM_CPU_DEVICES``), or if
   ``XLA_FLAGS`` contains ``--xla_force_host_platform_device_count``, nothing is changed;
2. otherwise the environment variable ``EVOMETA_CPU_DEVICES`` is the number of devices; 1 leaves JAX as it is.
"""

import os

import jax

from evometa.backend.container import cpu_cores
from evometa.errors import ConfigurationError

VARIABLE = "EVOMETA_CPU_DEVICES"
"""The environment variable for the number of CPU devices."""


def request_cpu_devices() -> None:
    """Set JAX's number of CPU devices to one per core, or to ``EVOMETA_CPU_DEVICES``, unless the user has set it.

    Raises:
        ConfigurationError: ``EVOMETA_CPU_DEVICES`` is not a whole number of at least 1.
    """
    count = _wanted()
    chosen = jax.config.jax_num_cpu_devices != -1  # type: ignore[attr-defined]  # -1 is JAX's default, not set
    if count == 1 or chosen or "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:  # the backend is running already
        return


def _wanted() -> int:
    given = os.environ.get(VARIABLE)
    if given is None:
        return cpu_cores()
    if not (given.isascii() and given.isdecimal() and int(given) >= 1):
        raise ConfigurationError(
            f"{VARIABLE} expects a whole number of at least 1, the number of JAX's CPU devices, got {given!r}; "
            "unset it for one device per core."
        )
    return int(given)
