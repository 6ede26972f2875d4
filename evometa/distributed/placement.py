"""Which ranks are started here, and where they find each other: from options, a cluster's environment, or all here."""

import dataclasses
import os
import socket
from typing import Any

from evometa.backend.collectives import host_and_port
from evometa.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class Placement:
    """The ranks of a distributed search, and those of them that are started here."""

    coordinator: str
    """``HOST:PORT`` of JAX's coordinator, in rank 0. The supervisor of rank 0 listens on the next port."""
    processes: int
    own: tuple[int, ...]
    """The ranks started here: one of them, or all."""
    local_devices: tuple[int, ...] | None = None
    """The accelerators of this machine that the one rank here uses; None for all of them."""

    @property
    def is_alone(self) -> bool:
        """Whether all ranks are started here."""
        return len(self.own) == self.processes


def place(coordinator: str | None, processes: int | None, process_id: int | None, join_seconds: int) -> Placement:
    """Return which ranks are started here.

    With a number of processes alone, all of them, on loopback. What is missing otherwise is read from the environment
    of SLURM, Open MPI, Kubernetes or a TPU pod as ``jax.distributed.initialize`` reads it.

    Args:
        coordinator: ``HOST:PORT``.
        processes: how many ranks there are.
        process_id: which of them this is.
        join_seconds: how long the environment may take to be asked.

    Raises:
        ConfigurationError: something is missing or out of range.
    """
    if processes is not None and processes < 1:
        raise ConfigurationError(f"--processes expects the number of ranks, at least 1, got {processes}.")
    if coordinator is None and process_id is None and processes is not None:
        return Placement(f"127.0.0.1:{_free_port()}", processes, tuple(range(processes)))
    devices = None
    if None in (coordinator, processes, process_id):
        coordinator, processes, process_id, devices = _detected(coordinator, processes, process_id, join_seconds)
    if coordinator is None or processes is None or process_id is None:
        raise ConfigurationError(
            "--distributed expects --processes N, to start N ranks on this machine; or, for one rank of several "
            "machines, --coordinator HOST:PORT --processes N --process-id I, or the environment of SLURM, Open MPI or "
            "Kubernetes, of which nothing was found here."
        )
    if not 0 <= process_id < processes:
        raise ConfigurationError(f"--process-id expects a rank from 0 to {processes - 1}, got {process_id}.")
    try:
        _, port = host_and_port(coordinator)
    except ValueError:
        port = 0
    if not 0 < port < 65535 or not coordinator.rpartition(":")[0]:
        raise ConfigurationError(
            f"--coordinator expects HOST:PORT, the address of rank 0 and a free port below 65535, got {coordinator!r}."
        )
    return Placement(coordinator, processes, (process_id,), devices)


def _detected(coordinator: str | None, processes: int | None, process_id: int | None, seconds: int) -> Any:
    """Return coordinator, processes, rank and devices as JAX finds them in the environment; None what it does not."""
    try:
        from jax._src.clusters import ClusterEnv  # jax.distributed.initialize reads them so, and tells nobody
    except ImportError:
        return coordinator, processes, process_id, None
    try:
        *found, devices = ClusterEnv.auto_detect_unset_distributed_params(
            coordinator, processes, process_id, None, None, seconds
        )
    except (RuntimeError, ValueError, KeyError) as error:
        raise ConfigurationError(
            f"--distributed expects the environment of the cluster to say which rank this is: {error}; give "
            "--coordinator HOST:PORT --processes N --process-id I."
        ) from None
    return *found, None if devices is None else tuple(devices)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cores_of(rank: int, processes: int) -> set[int] | None:
    """Return the cores for one of several ranks on this machine; None where there are too few, or none can be named."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    each = len(cores) // processes
    return set(cores[rank * each : (rank + 1) * each]) or None
