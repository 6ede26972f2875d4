"""A rank and its supervisor: signs of life, what to say when it fails, and an end with it."""

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from evometa.distributed.lines import BEAT_SECONDS, Lines

VARIABLE = "EVOMETA_RANK"
"""The environment variable by which a supervisor tells a process which rank it is."""
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl
PATIENCE = 30.0
"""Seconds that a rank waits to be ended after an error, which may only follow from another rank's."""

_own: Lines | None = None


def is_supervised() -> bool:
    """Return whether this process is a rank that a supervisor has started."""
    return VARIABLE in os.environ or _own is not None


def tell(**message: Any) -> None:
    """Send the supervisor a message; nothing without one."""
    if _own is not None:
        _own.send(**message)


def run(command: Callable[[], int]) -> int:
    """Run a command as a rank; return its exit status.

    Args:
        command: what the supervisor's own command line says.
    """
    global _own
    settings = json.loads(os.environ.pop(VARIABLE))  # not for the processes that this one starts
    _end_with_parent(settings.pop("parent"))
    lines = _own = Lines(settings.pop("channel"))
    threading.Thread(target=_beat, args=(lines,), daemon=True).start()
    try:
        from evometa.backend import ranks
        from evometa.errors import EvometaError

        try:
            ranks.initialize(**settings)
        except EvometaError as error:
            print(f"evometa: {error}", file=sys.stderr)
            return 2
        lines.send(joined=True)
        return command()
    except Exception:
        lines.send(error=traceback.format_exc())
        time.sleep(PATIENCE)
        return 1


def _beat(lines: Lines) -> None:
    """Give signs of life; end the process when the supervisor is gone, which no exit handler may hold up."""
    while not lines.closed:
        lines.send(beat=True)
        time.sleep(BEAT_SECONDS)
        lines.read()
    os.kill(os.getpid(), signal.SIGKILL)


def _end_with_parent(parent: int) -> None:
    """Have Linux kill this process when its parent dies, even if it is stopped then."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
