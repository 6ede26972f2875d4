"""The worker process of a plain-Python problem: receives candidates and returns their evaluations.

It is started only by :class:`~evometa.executors.worker_process.WorkerProcess`. Messages are frames
(:mod:`evometa.executors.frames`) over pipes. A worker ends when its input ends, so it never outlives the search that
started it: the call in flight is interrupted as by Ctrl-C, exit handlers run, and after a short grace it is killed with
all that it started.
"""

import atexit
import contextlib
import faulthandler
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from evometa.executors.calls import Calls, Prepared
from evometa.executors.frames import pack, read
from evometa.executors.messages import cutoffs_of
from evometa.executors.processes import GRACE, descendants, kill
from evometa.executors.surroundings import Streams, Surroundings, Wear
from evometa.executors.user_modules import import_under_own_names
from evometa.naming import rebuild


class _Turn:
    """Whether the user's code is running, and so may be interrupted, and whether the input has ended."""

    busy = False
    over = False
    calls: Calls | None = None
    """What makes the calls, once the problem is built."""


_Request = tuple[dict[str, Any], list[NDArray[Any]], Prepared | None]


def main() -> None:
    """Answer requests until the input ends."""
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    with contextlib.suppress(OSError):  # where memory runs out, the system is to end a worker rather than the search
        Path("/proc/self/oom_score_adj").write_text("500")
    requests, replies = _private_streams()
    atexit.register(_end_all, os.getpid())  # the last of the exit handlers, since it is the first registered
    os.register_at_fork(after_in_child=replies.close)  # a child of the user's code has nothing to answer
    inbox: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
    # A thread reads the input, so that its end (the parent process is gone) is noticed even if the user's code hangs.
    threading.Thread(target=_listen, args=(requests, inbox), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        _answer_all(inbox, replies)


def _answer_all(inbox: "queue.SimpleQueue[_Request | None]", replies: BinaryIO) -> None:
    first = inbox.get()
    if first is None:
        return
    import_under_own_names(first[0]["problem"], first[0]["main"])
    calls = _Turn.calls = Calls(rebuild(first[0]["problem"]))
    surroundings, wear, process = (Surroundings(), Streams()), Wear(), os.getpid()
    replies.write(pack({"ready": True}))
    while (request := inbox.get()) is not None:
        _Turn.busy = True
        try:
            header, leaves, prepared = request
            answer = calls.answer(header["method"], header["seed"], leaves, surroundings, cutoffs_of(header), prepared)
        finally:
            _Turn.busy = False
        if os.getpid() != process:  # the user's code forked, and this is its child
            os._exit(1 if "failure" in answer else 0)
        resident, worn = wear.look()
        answer |= {"trial": header["trial"], "resident": resident, "worn": worn}
        replies.write(pack(answer))


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Move the protocol to file descriptors of its own, which user code that prints or reads cannot disturb."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, replies


def _listen(requests: BinaryIO, inbox: "queue.SimpleQueue[_Request | None]") -> None:
    while (request := read(requests)) is not None:
        header, leaves = request
        prepared = None
        if _Turn.calls is not None:  # beside the call before it, if that lets go of the interpreter
            with contextlib.suppress(Exception):  # which the call meets again and reports
                prepared = _Turn.calls.prepare(header["seed"], leaves)
        inbox.put((header, leaves, prepared))
    _Turn.over = True
    inbox.put(None)
    main_thread = threading.main_thread().ident
    if _Turn.busy and main_thread is not None:  # so that the user's code can end what it started
        with contextlib.suppress(ProcessLookupError):
            signal.pthread_kill(main_thread, signal.SIGINT)
    time.sleep(GRACE)
    _end_all(os.getpid())


def _end_all(process: int) -> None:
    """Kill this worker and whatever the user's code started, once nobody waits for its answers."""
    if _Turn.over and os.getpid() == process:
        kill(descendants(process))
        os.killpg(os.getpgrp(), signal.SIGKILL)
