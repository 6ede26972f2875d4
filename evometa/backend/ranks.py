"""Several processes that compute as one: JAX's own distributed runtime, and how its processes agree.

Each process, a *rank*, runs the same search; the population is spread over the devices of all of them. What depends on
one process alone (its clock, a Ctrl-C, the files of the run directory) is agreed on before anything follows from it:
otherwise one rank would stop, and the others wait for it for ever. In a process without company all of this is free.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from numpy.typing import NDArray

from evometa import errors
from evometa.backend.collectives import LOOPBACK, bind_collectives, host_and_port, is_loopback
from evometa.errors import ConfigurationError, EvometaError

JOIN_SECONDS = 300
"""How long a rank waits for the others to start."""
SILENCE_SECONDS = 20
"""After how many seconds without a sign of life JAX ends the processes that are left."""

Found = TypeVar("Found")


def initialize(
    coordinator: str | None = None,
    processes: int | None = None,
    process_id: int | None = None,
    *,
    join_seconds: int = JOIN_SECONDS,
    local_devices: Sequence[int] | None = None,
) -> None:
    """Make this process one of several that search together; call it in each of them before anything else.

    After it, the same ``Search(...).run(...)`` in every process is one search: the population is spread over all
    devices, the first process writes the run directory and shows the progress, and every process returns the result.
    ``evometa run --distributed`` does this, and watches the processes besides.

    What is not given is taken from SLURM, Open MPI or Kubernetes, as ``jax.distributed.initialize`` does.

    Args:
        coordinator: where process 0 can be reached, ``HOST:PORT``, the same in all processes. JAX's coordinator listens
            on this address alone.
        processes: how many there are.
        process_id: which one this is, from 0 on.
        join_seconds: how long to wait for the others.
        local_devices: the accelerators of this machine that this process uses; None: all of them, or what the
            environment gives it.

    Raises:
        ConfigurationError: neither arguments nor environment say which process this is, JAX has computed something
            already, or the others did not come in time.
    """
    if jax.distributed.is_initialized():
        raise ConfigurationError("distributed.initialize expects to be called once in a process, and was before.")
    given = None not in (coordinator, processes, process_id)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process_id,
            local_devices,
            cluster_detection_method="deactivate" if given else None,
            initialization_timeout=join_seconds,
            heartbeat_timeout_seconds=SILENCE_SECONDS,
            coordinator_bind_address=_bound(coordinator),
        )
    except (ValueError, RuntimeError) as error:
        raise ConfigurationError(
            "distributed.initialize expects coordinator, processes and process_id, or the environment of SLURM, Open "
            f"MPI or Kubernetes, before anything else uses JAX, and that all processes come: {_first_line(error)}"
        ) from None
    if coordinator is not None:
        bind_collectives(coordinator)
    with _quiet_output():  # gloo prints a line when it connects
        agree([0.0])


def _bound(coordinator: str | None) -> str | None:
    """Return where JAX's coordinator listens: at its address; everywhere (None) where its own machine calls that local.

    Debian lets a machine's name stand for a loopback address on that machine alone.
    """
    if coordinator is None:
        return None
    host, _ = host_and_port(coordinator)
    return None if is_loopback(host) and host not in LOOPBACK else coordinator


def count() -> int:
    """Return the number of ranks; 1 in a process without company."""
    return int(jax.process_count())


def index() -> int:
    """Return which rank this is, from 0 on."""
    return int(jax.process_index())


def is_first() -> bool:
    """Return whether this is rank 0, which writes and speaks for all."""
    return index() == 0


def agree(values: Sequence[float]) -> NDArray[np.float64]:
    """Return what every rank gives, float64 ``[ranks, K]``, once all of them are here."""
    own = np.asarray(values, np.float64)
    if count() == 1:
        return own[None]
    return _gathered(own.view(np.uint32)).view(np.float64)


def any_of(*, here: bool) -> bool:
    """Return whether something is so on any rank."""
    return here if count() == 1 else bool(agree([float(here)]).any())


def from_first(make: Callable[[], Found]) -> Found:
    """Return what rank 0 makes, on every rank.

    Args:
        make: called on rank 0 only; returns what fits JSON. What it raises of evometa's errors is raised everywhere.
    """
    if count() == 1:
        return make()
    told: list[Any] = [None, None, None]
    raised: EvometaError | None = None
    if is_first():
        try:
            told[0] = make()
        except EvometaError as error:
            raised, told[1:] = error, [_public(type(error)), str(error)]
    told = json.loads(broadcast(json.dumps(told).encode()))
    if raised is not None:
        raise raised
    if told[1] is not None:
        raise getattr(errors, told[1])(told[2])
    return told[0]  # type: ignore[no-any-return]


def on_first(act: Callable[[], Found]) -> Found | None:
    """Have rank 0 do something, and return what it returns there, None on the others; errors as in from_first."""
    found: list[Found] = []
    from_first(lambda: found.append(act()))
    return found[0] if found else None


def broadcast(content: bytes) -> bytes:
    """Return the bytes that rank 0 has, on every rank."""
    if count() == 1:
        return content
    length = int(agree([float(len(content))])[0, 0])
    padded = np.zeros(-(-length // 4) * 4, np.uint8)
    if is_first():
        padded[:length] = np.frombuffer(content, np.uint8)
    from jax.experimental.multihost_utils import broadcast_one_to_all

    return np.asarray(broadcast_one_to_all(padded.view(np.uint32))).tobytes()[:length]


def _gathered(own: NDArray[np.uint32]) -> NDArray[np.uint32]:
    from jax.experimental.multihost_utils import process_allgather

    return np.ascontiguousarray(process_allgather(own))


def _public(kind: type[EvometaError]) -> str:
    """Return the name of the nearest class that errors.py defines."""
    return next(base.__name__ for base in kind.__mro__ if hasattr(errors, base.__name__))


@contextlib.contextmanager
def _quiet_output() -> Iterator[None]:
    """Throw away what libraries print on standard output meanwhile."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
