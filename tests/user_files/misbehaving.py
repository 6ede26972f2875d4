"""A user's own file: plain-Python problems that misbehave as ω tells them to."""

import dataclasses
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from neighbour import double  # works only while, or because, this file's folder is on sys.path

from evometa import Box, Dict, Evaluation, HostProblem, Integer, Like, Space

GOOD, RAISE, HANG, DIE, EXIT, NAN, PRINT, NOTHING, ARRAY, QUIT, BAD_METRIC, PROTOCOL = range(12)


@dataclasses.dataclass(frozen=True)
class Misbehaving(HostProblem):
    """Does what the first number of ω says; the fitness is twice the second plus a random number."""

    metric_names: ClassVar[tuple[str, ...]] = ("accuracy", "pid")

    @property
    def space(self) -> Space:
        return Box((2,))

    def evaluate(self, rng: np.random.Generator, omega: Any) -> Any:
        action, value = int(omega[0]), float(omega[1])
        match action:
            case 1:
                raise ValueError("no such thing")
            case 2:
                time.sleep(1000)
            case 3:
                os.kill(os.getpid(), signal.SIGKILL)
            case 4:
                sys.exit(0)
            case 5:
                return float("nan")
            case 6:
                print("hello from a candidate")
                os.write(1, b"\x00\x00raw bytes")
            case 7:
                return None
            case 8:
                return np.zeros(1)
            case 9:
                os._exit(3)
            case 10:
                return Evaluation(0.0, {"accuracy": "high"})
            case 11:
                sys.stdin.read()  # would wait for ever, were it the pipe of the protocol
        return double(value) + rng.random()

    def evaluate_test(self, rng: np.random.Generator, omega: Any) -> Any:
        return Evaluation(-omega[1], {"pid": np.int64(os.getpid())})


@dataclasses.dataclass(frozen=True)
class Sleepy(HostProblem):
    """Later candidates are ready first."""

    metric_names: ClassVar[tuple[str, ...]] = ("draw",)

    @property
    def space(self) -> Space:
        return Box(())

    def evaluate(self, rng: np.random.Generator, omega: Any) -> Evaluation:
        time.sleep(0.05 * max(0.0, 4.0 - float(omega)))
        return Evaluation(float(omega) + rng.normal(), {"draw": rng.random()})


@dataclasses.dataclass(frozen=True)
class Structured(HostProblem):
    """Fails unless ω has exactly the structure and types of its space."""

    @property
    def space(self) -> Space:
        weights = (jnp.zeros((2, 3)), {"half": jnp.zeros((), jnp.bfloat16)})
        return Dict({"z": Box(low=1e-3, high=1.0, log=True), "a": Integer(0, 9, (2,)), "m": Like(weights)})

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        matrix, half = omega["m"]
        assert isinstance(omega["z"], np.floating)
        assert omega["a"].dtype == np.int32
        assert half["half"].dtype == jnp.bfloat16
        matrix += 1.0  # ω is the problem's own copy
        return float(omega["z"] + omega["a"].sum() + matrix.sum() + half["half"])


@dataclasses.dataclass(frozen=True)
class Does(HostProblem):
    """Runs the code of the number that is ω; the fitness is what it leaves in ``result``, or else 1."""

    codes: tuple[str, ...] = ()

    @property
    def space(self) -> Space:
        return Integer(0, max(1, len(self.codes) - 1))

    def evaluate(self, rng: np.random.Generator, omega: Any) -> Any:
        names: dict[str, Any] = {"double": double, "Evaluation": Evaluation, "kept": KEPT}
        exec(self.codes[int(omega)], names)
        return names.get("result", 1.0)


KEPT: list[Any] = []
"""What outlives a call."""


def square(x: float) -> float:
    """Return the square; for processes that a candidate starts, which import it by name."""
    return x * x


@dataclasses.dataclass(frozen=True)
class Lingering(HostProblem):
    """Locks a file, hands the lock to a process of its own too, and hangs."""

    lock: Path = Path("lock")

    @property
    def space(self) -> Space:
        return Box(())

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        descriptor = os.open(self.lock, os.O_CREAT | os.O_RDWR)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        subprocess.Popen(["sleep", "1000"], pass_fds=[descriptor])
        self.lock.with_suffix(".taken").touch()
        while True:
            pass
