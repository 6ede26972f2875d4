"""Where the ranks of a search listen for one another on CPUs.

JAX's collectives on CPUs are gloo's, for which each rank opens a port. By default it does so at the address that the
machine's name stands for: beyond loopback where all ranks are on one machine, and useless to other machines where the
name stands for a loopback address, as Debian has it. The address from which the coordinator is reached is neither.
"""

import contextlib
import functools
import socket
from typing import Any

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""What an address is called by that is meant to be this machine's alone."""


def host_and_port(coordinator: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``, the host of IPv6 without its brackets."""
    host, _, port = coordinator.rpartition(":")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Return whether a name or an address stands for this machine alone."""
    try:
        return all(_loopback(str(found[4][0])) for found in socket.getaddrinfo(host, None))
    except OSError:
        return False


def _loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def own_address(host: str, port: int) -> str | None:
    """Return the address of this machine from which another one is reached; None where none is. Nothing is sent."""
    with contextlib.suppress(OSError):
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    return None


def bind_collectives(coordinator: str) -> None:
    """Have gloo listen at the address from which the coordinator is reached; before JAX's backend starts.

    JAX offers no setting for it. Where a version of JAX has renamed what is used here, gloo listens as it does by
    default.
    """
    address = own_address(*host_and_port(coordinator))
    if address is None:
        return
    with contextlib.suppress(ImportError, AttributeError, TypeError):
        from jax._src import distributed, lib, xla_bridge
        from jax.extend.backend import register_backend_factory

        runtime: Any = lib

        def collectives() -> Any:
            return runtime._jax.make_gloo_tcp_collectives(distributed.global_state.client, hostname=address)

        make = functools.partial(_client, xla_bridge.make_cpu_client, collectives)
        register_backend_factory("cpu", make, priority=0, fail_quietly=False)


def _client(make: Any, collectives: Any) -> Any:
    return make(collectives=collectives())
