"""Connecting to a Ray cluster, or starting one that only this machine can reach and that ends with the search."""

import builtins
import contextlib
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from evometa.backend.container import cpu_cores
from evometa.errors import ConfigurationError
from evometa.executors.ray_settings import Ray
from evometa.executors.reaper import BOOT

LEAST_VERSION = (2, 60)
"""The oldest Ray that was tried."""

LONGEST_PATH = 30
"""Characters of a temporary folder that leave room for the names of Ray's sockets."""

SWITCHES = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Environment of a local cluster: it reports nothing, and, as on other systems by default, its servers listen on the
loopback interface alone."""


def imported() -> Any:
    """Return the module ``ray``.

    Raises:
        ConfigurationError: Ray is not installed, or is too old.
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError(
            f"Workers on Ray expect the package ray, which cannot be imported ({error}); install it with "
            "pip install 'evometa[ray]'."
        ) from None
    version = getattr(ray, "__version__", "0")
    known = tuple(int(part) if part.isdecimal() else 0 for part in version.split(".")[:2])
    if known < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        raise ConfigurationError(
            f"Workers on Ray expect ray {least} or later, got {version}; upgrade it with pip install 'evometa[ray]'."
        )
    return ray


class _Own:
    """The connection that evometa made: Ray has one for each process, and it ends with the last search that uses it."""

    lock = threading.Lock()
    users = 0
    stack = contextlib.ExitStack()


@contextlib.contextmanager
def connected(settings: Ray) -> Iterator[Any]:
    """Yield the module ``ray``, connected to the cluster that the settings name; end what was started.

    Where the user's program has called ``ray.init`` already, that connection is used and stays.

    Raises:
        ConfigurationError: Ray is not there, or no cluster is within the limit.
    """
    ray = imported()
    with _Own.lock:
        if not ray.is_initialized():
            _Own.stack = _connect(ray, settings)
        _Own.users += 1
    try:
        yield ray
    finally:
        with _Own.lock:
            _Own.users -= 1
            if not _Own.users:
                _Own.stack.close()


def _connect(ray: Any, settings: Ray) -> contextlib.ExitStack:
    """Connect to a cluster or start one; return what ends that."""
    address = settings.address or os.environ.get("RAY_ADDRESS") or "local"
    with contextlib.ExitStack() as stack:
        environment = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
        stack.callback(_restore, environment)
        stack.callback(setattr, builtins, "print", print)  # which Ray replaces to keep its progress bars in place
        if address == "local":
            folder = stack.enter_context(_folder())
            _start(ray, address, _local(settings, folder))
        else:
            _require_cluster(address, settings.start_limit)
            _start(ray, address, {})
        stack.callback(ray.shutdown)
        return stack.pop_all()


def _start(ray: Any, address: str, options: Mapping[str, Any]) -> None:
    """Call ``ray.init``, which would change how this process ends when it is asked to."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        with _loopback(ray) if address == "local" else contextlib.nullcontext(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*fork")  # JAX's and Python's, of how Ray starts processes
            ray.init(address=address, log_to_driver=True, logging_level="ERROR", **options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError, OSError) as error:
        with contextlib.suppress(Exception):
            ray.shutdown()
        where = "a local Ray cluster to start" if address == "local" else f"a Ray cluster at {address}"
        raise ConfigurationError(
            f"Workers on Ray expect {where}, and Ray says: {' '.join(str(error).split()) or type(error).__name__}"
        ) from None
    except BaseException:
        ray.shutdown()
        raise
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)


def _local(settings: Ray, folder: str) -> dict[str, Any]:
    """Return the options of a local cluster, which has room for all workers that were asked for."""
    workers = settings.workers or max(1, int(cpu_cores() / max(1.0, settings.cpus)))
    return {
        "num_cpus": max(cpu_cores(), math.ceil(workers * settings.cpus)),
        "resources": {name: workers * amount for name, amount in settings.resources.items()},
        "include_dashboard": False,
        "_temp_dir": folder,
    }


@contextlib.contextmanager
def _loopback(ray: Any) -> Iterator[None]:
    """Have Ray take this machine's address for the loopback's, as it does by itself where firewalls ask."""
    constants = ray._private.ray_constants
    before = getattr(constants, "ENABLE_RAY_CLUSTER", True)
    os.environ.update(SWITCHES)
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


def _restore(environment: Mapping[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("RAY_") and name not in environment]:
        del os.environ[name]
    os.environ.update(environment)


@contextlib.contextmanager
def _folder() -> Iterator[str]:
    """Yield a folder for the sockets and logs of a local cluster, with a short path.

    A process of its own removes it and ends what is left of the cluster, when the context or this process ends.
    """
    place = tempfile.gettempdir() if len(tempfile.gettempdir()) <= LONGEST_PATH else "/tmp"
    folder = os.path.realpath(tempfile.mkdtemp(prefix="evometa-ray-", dir=place))
    command = [sys.executable, "-c", BOOT, folder, *map(os.path.abspath, sys.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as reaper:
        yield folder
        reaper.communicate()


def _require_cluster(address: str, limit: float) -> None:
    """Wait until a cluster answers; asked by another process, which a cluster that does not answer may end.

    Raises:
        ConfigurationError: none does within the limit, it refuses this process, or it is no address.
    """
    if "://" in address:
        raise ConfigurationError(
            f"Ray expects the address of a cluster's head, such as 10.0.0.1:6379, or auto, got {address}; run the "
            "search on a machine of the cluster, which Ray's client cannot replace."
        )
    end = time.monotonic() + limit
    command = [sys.executable, "-m", "ray.scripts.scripts", "status"]
    command += [] if address == "auto" else ["--address", address]
    said = ""
    while (left := end - time.monotonic()) > 0:
        try:
            asked = subprocess.run(command, capture_output=True, text=True, timeout=left, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            break
        if asked.returncode == 0:
            return
        if "InvalidAuthToken" in asked.stderr:  # with which Ray's servers refuse tokens, and calls without one
            raise ConfigurationError(
                f"Workers on Ray expect the token of the Ray cluster at {address}, which refused this process; set "
                "RAY_AUTH_MODE=token, with the token of the cluster's head in ~/.ray/auth_token or RAY_AUTH_TOKEN."
            )
        said = "".join(f" ({' '.join(line.split())})" for line in asked.stderr.strip().splitlines()[-1:])
        time.sleep(min(1.0, max(0.0, end - time.monotonic())))
    raise ConfigurationError(
        f"Workers on Ray expect a Ray cluster at {address}, and none answered within {limit:g} s{said}; start one with "
        "ray start --head, or correct --ray-address."
    )
