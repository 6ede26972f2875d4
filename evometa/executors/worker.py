"""The worker process of a plain-Python problem: receives candidates and returns their evaluations.

It is started only by :class:`~evometa.executors.worker_pool.WorkerPool`. Messages go over pipes, in frames of a JSON
header and a body of ``np.save`` buffers, preceded by the sizes of both. A worker ends when its input ends, so it never
outlives the search that started it.
"""

import faulthandler
import io
import json
import os
import queue
import signal
import struct
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, BinaryIO

import jax
import numpy as np
from numpy.typing import NDArray

from evometa.naming import rebuild
from evometa.problem import VECTORS, Evaluation, HostProblem, precision_of
from evometa.types import Omega

SIZES = struct.Struct(">IQ")
"""The numbers of bytes of the header and of the body, at the front of every frame."""

GRACE = 2.0
"""Seconds that the user's code may still run after the input has ended."""

Request = tuple[dict[str, Any], list[NDArray[Any]]]


def pack(header: dict[str, Any], leaves: Iterable[Any] = ()) -> bytes:
    """Return the bytes of one frame of a JSON header and arrays."""
    body = io.BytesIO()
    for leaf in leaves:
        np.save(body, np.asarray(leaf), allow_pickle=False)
    text = json.dumps(header).encode()
    return SIZES.pack(len(text), body.tell()) + text + body.getvalue()


def read(stream: BinaryIO) -> Request | None:
    """Read one frame; return None at the end of the stream."""
    sizes = stream.read(SIZES.size)
    if len(sizes) < SIZES.size:
        return None
    header_size, body_size = SIZES.unpack(sizes)
    header, body = stream.read(header_size), stream.read(body_size)
    if len(header) + len(body) < header_size + body_size:
        return None
    buffers, leaves = io.BytesIO(body), []
    while buffers.tell() < body_size:
        leaves.append(np.load(buffers, allow_pickle=False))
    return json.loads(header), leaves


def main() -> None:
    """Answer requests until the input ends."""
    faulthandler.enable()
    requests, replies = _private_streams()
    inbox: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
    # A thread reads the input, so that its end (the parent process is gone) is noticed even if the user's code hangs.
    threading.Thread(target=_listen, args=(requests, inbox), daemon=True).start()
    first = inbox.get()
    if first is None:
        return
    problem: HostProblem = rebuild(first[0]["problem"])
    structure = omega_structure(problem)
    replies.write(pack({"ready": True}))
    while (request := inbox.get()) is not None:
        replies.write(pack(_answer(problem, structure, *request)))


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Move the protocol to file descriptors of its own, which user code that prints or reads cannot disturb."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, replies


def _listen(requests: BinaryIO, inbox: "queue.SimpleQueue[Request | None]") -> None:
    while (request := read(requests)) is not None:
        inbox.put(request)
    inbox.put(None)
    time.sleep(GRACE)
    os.killpg(os.getpgrp(), signal.SIGKILL)  # the process group, to include processes that the user's code started


def omega_structure(problem: HostProblem) -> Any:
    """Return ω as a pytree of shapes and types, without computing anything."""
    with precision_of(problem):
        space = problem.space
        return jax.eval_shape(lambda key: space.decode(space.sample(key)), jax.eval_shape(jax.random.key, 0))


def _omega(structure: Any, leaves: list[NDArray[Any]]) -> Omega:
    shapes, treedef = jax.tree.flatten(structure)
    # Types that are not NumPy's own, such as bfloat16, arrive as plain bytes.
    typed = (
        leaf.view(shape.dtype) if leaf.dtype.kind == "V" else leaf for leaf, shape in zip(leaves, shapes, strict=True)
    )
    return jax.tree.unflatten(treedef, [leaf[()] for leaf in typed])  # [()] turns 0-d arrays into NumPy scalars


def _answer(problem: HostProblem, structure: Any, header: dict[str, Any], leaves: list[NDArray[Any]]) -> dict[str, Any]:
    try:
        omega = _omega(structure, leaves)
        evaluate = getattr(problem, header["method"])
        result = evaluate(np.random.default_rng(header["seed"]), omega)
        return _outcome(result, header["method"], problem.vector_lengths)
    except BaseException as error:  # SystemExit too: a candidate must not end its worker
        lines = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == _file(problem)]
        where = f" ({os.path.basename(lines[-1].filename)}, line {lines[-1].lineno})" if lines else ""
        # From the user's own code on, where there is any of it.
        frames = list(traceback.walk_tb(error.__traceback__))
        own = next((i for i, (frame, _) in enumerate(frames) if frame.f_code.co_filename == _file(problem)), 0)
        error.__traceback__ = _tail(error.__traceback__, own)
        shown = "".join(traceback.format_exception(error))
        return {"failure": f"raised: {type(error).__name__}: {error}{where}", "error": shown}


def _file(problem: HostProblem) -> str | None:
    return getattr(sys.modules[type(problem).__module__], "__file__", None)


def _tail(trace: TracebackType | None, skip: int) -> TracebackType | None:
    for _ in range(skip):
        trace = trace.tb_next if trace is not None else None
    return trace


def _wrong(reason: str) -> dict[str, Any]:
    """Return the failure of a call that returned something of the wrong kind."""
    return {"failure": reason, "error": reason}


def _outcome(result: Any, method: str, lengths: Mapping[str, int]) -> dict[str, Any]:
    """Check what the user's code returned; return it as JSON, or a failure with the reason."""
    evaluation = result if isinstance(result, Evaluation) else Evaluation(result)
    fitness, metrics = evaluation.fitness, evaluation.metrics
    numbers = {"fitness": fitness, **{f"metric {name}": value for name, value in metrics.items()}}
    for name, value in numbers.items():
        array = np.asarray(value)
        if array.shape != () or array.dtype.kind not in "iuf":
            given = f"an array of shape {array.shape}" if array.shape else type(value).__name__
            return _wrong(f"{method} expects to return a number or an Evaluation of numbers; {name} is {given}")
    vectors = {}
    for name in VECTORS:
        vector = getattr(evaluation, name)
        array = np.asarray([] if vector is None else vector)
        if array.shape != (lengths.get(name, 0),) or array.dtype.kind not in "iuf":
            return _wrong(
                f"{method} expects {lengths.get(name, 0)} {name}, as vector_lengths of the problem says, "
                f"and {name} is {vector!r}"
            )
        vectors[name] = array
    for name, array in {"fitness": np.asarray(fitness), **vectors}.items():
        if not np.isfinite(array).all():
            return {"failure": f"non-finite {name}: {array.tolist()}"}
    return {
        "fitness": float(fitness),
        "metrics": {str(name): float(value) for name, value in metrics.items()},
        "vectors": {name: [float(x) for x in value] for name, value in vectors.items() if len(value)},
    }
